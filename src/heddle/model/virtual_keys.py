"""Keys that are made at run time: what the control plane says of them and gateways check callers by.

Owns the one form in which a virtual key crosses between processes, and what can be wrong about one. Its secrets are in
it as digests only. How callers of the admin API write one is in `config_keys`.

*Source:* issue 3, "Budgets"; FIPS 180-4 for the digest.
"""

from typing import Annotated, Any

import msgspec

from heddle.model.redact import hidden_repr
from heddle.model.snapshot import ApiKeyAuthn, LimitSpec, Snapshot
from heddle.model.snapshot_budgets import BudgetSpec

_Hidden = msgspec.Meta(extra={"secret": True})


class KeySecret(msgspec.Struct, frozen=True, array_like=True):
    """One secret that proves a key; there are two while it is rotated."""

    digest: Annotated[bytes, _Hidden]
    """SHA-256, 32 bytes."""
    until_s: float = 0.0
    """Unix time from which it is refused, because another took its place; 0 never."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key, known only by the digests of its secrets."""

    id: str
    """`key-` and 20 hexadecimal digits: stays through rotations, and is what budgets and reports know it by."""
    secrets: tuple[KeySecret, ...]
    user: str = ""
    tenant: str = ""
    agent: str = ""
    models: tuple[str, ...] | None = None
    """Glob patterns; None is no bound, an empty tuple allows no model."""
    expires_at_s: float = 0.0
    """Unix time from which all its secrets are refused; 0 never."""
    disabled: bool = False
    metadata: Annotated[dict[str, Any], _Hidden] = {}
    limits: tuple[LimitSpec, ...] = ()
    """What it may call, besides what the configuration says; counted by key."""
    budgets: tuple[BudgetSpec, ...] = ()
    """What it may spend, likewise."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class UnknownKeyError(LookupError):
    """There is no key of this id. The message is a sentence."""


class KeyRefusedError(ValueError):
    """A key cannot be made or changed like this; the message is a sentence that says why, and no secret."""


class KeyStoreError(Exception):
    """Keys cannot be read or written. The message is a clause that says why, and names no secret."""


def accepts_virtual_keys(snapshot: Snapshot) -> bool:
    """Whether keys made at run time open anything under this configuration."""
    return any(isinstance(entry, ApiKeyAuthn) and entry.virtual for entry in snapshot.authentication)
