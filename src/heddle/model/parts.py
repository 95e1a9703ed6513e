"""The parts that a snapshot is made of, each of which can be sent alone.

Owns what kinds of parts there are and how one is encoded: `KIND/NAME` -> MessagePack of a `SnapshotPart`. No part but
those of kind `secret` has a secret's value: a text that is one stands there as a reference, which `assembly` resolves.
A part says which secrets it needs; who needs the part is known where it was compiled, and not told to gateways.
"""

from typing import Any

import msgspec

from heddle.model.prices import ModelPrice, PriceTable
from heddle.model.snapshot import (
    AdminSpec,
    Authn,
    AuthzRule,
    LimitSpec,
    ListenerSpec,
    MediaSpec,
    ModelSpec,
    ObservabilitySpec,
    ProviderSpec,
)
from heddle.model.snapshot_budgets import BudgetSpec, LedgerSpec, StateSpec
from heddle.model.snapshot_caching import CacheSpec
from heddle.model.snapshot_guards import GuardSpec
from heddle.model.snapshot_mcp import JudgeSpec, McpServerSpec, McpSessionSpec, McpTargetSpec
from heddle.model.snapshot_mcp_auth import CredentialsSpec
from heddle.model.snapshot_routes import AgentModelSpec, AgentSpec, RouteSpec

MARK = "\x00"
"""Stands before the name of a secret part where its value belongs. No text of a configuration has a NUL."""


class ProviderPart(msgspec.Struct, frozen=True, kw_only=True):
    """A provider, and which price list holds for it."""

    spec: ProviderSpec
    prices: str = ""
    """Name of a part of kind `prices`, without the kind; empty is none."""


class SettingsPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a Gateway's GatewayParameters say of the whole process. None says nothing."""

    trust_domain: str = ""
    admin: AdminSpec | None = None
    ledger: LedgerSpec | None = None
    ledger_enabled: bool | None = None
    """None is on with any budget."""
    state: StateSpec | None = None
    sessions: McpSessionSpec | None = None
    credentials: CredentialsSpec | None = None
    judge: JudgeSpec | None = None


class PricesPart(msgspec.Struct, frozen=True, kw_only=True):
    """Prices that a Policy states; those of the earlier part come first."""

    prices: tuple[tuple[str, ModelPrice], ...]
    """(provider as the snapshot calls it, or empty for every one; the price)."""


BODIES: dict[str, Any] = {
    "listener": ListenerSpec,
    "settings": SettingsPart,
    "provider": ProviderPart,
    "prices": PriceTable,
    "price": PricesPart,
    "model": ModelSpec,
    "media": MediaSpec,
    "authentication": tuple[Authn, ...],
    "rule": AuthzRule,
    "limit": LimitSpec,
    "budget": BudgetSpec,
    "guard": GuardSpec,
    "cache": CacheSpec,
    "observability": ObservabilitySpec,
    "target": McpTargetSpec,
    "server": McpServerSpec,
    "declared": bool,
    "offered": bool,
    "route": RouteSpec,
    "agent": AgentSpec,
    "agentmodel": AgentModelSpec,
    "secret": str,
}
"""Kind of part -> what it holds.

Three of them hold nothing but that they are there, because what a snapshot means by a list without entries must not
come about by what is merely left out. `declared/models`: where no model is listed no name is served, rather than every
name by a sole provider. `declared/servers`: the root namespace has virtual servers, so there is none of all its tools.
`offered/NAME`: a target that the latter offers.
"""


class SnapshotPart(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A part as it is sent."""

    order: str = ""
    """Parts of a kind stand in this order, then by name. Listeners, rules, patterns and guards are met in it."""
    body: msgspec.Raw
    """MessagePack of one of `BODIES`."""
    secrets: tuple[str, ...] = ()
    """Names of the parts of kind `secret` that it refers to."""


class PartError(Exception):
    """A part that cannot be used. `name` says which; the message quotes no value."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"part {name}: {message}")
        self.name = name


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(SnapshotPart)


def encode_part(part: SnapshotPart) -> bytes:
    """A part in bytes; the same part has the same bytes."""
    return _encoder.encode(part)


def encode_body(body: Any) -> msgspec.Raw:
    """What a part holds, or its plain data."""
    return msgspec.Raw(_encoder.encode(body))


def decode_part(name: str, data: bytes) -> SnapshotPart:
    """Undo `encode_part`; the body stays as it is. Raises PartError."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise PartError(name, f"is no part: {str(exc)[:200]}") from exc


def kind_of_part(name: str) -> str:
    """`model` of `model/gpt-4o`."""
    return name.partition("/")[0]
