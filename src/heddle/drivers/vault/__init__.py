"""Credentials of callers at tool servers, kept encrypted: whose, for which target, from which issuer.

Owns the contract. A vault knows nothing of OAuth: it keeps what it is given under an owner (a digest of the caller), a
target and an issuer, and gives it back to whoever names exactly these. A credential that was moved to another owner,
target or issuer inside of the store does not decrypt there. Nothing here, and nothing raised here, shows a secret.
"""

from typing import Protocol

import msgspec

from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr

CLIENT = "client"
"""The owner of what the gateway itself registered as; no digest of a caller looks like it."""
SHARED = "shared"
"""The owner of what all callers use."""


class VaultError(Exception):
    """The vault cannot be read or written; the text names no secret."""


class Place(msgspec.Struct, frozen=True):
    """Under what a credential is kept."""

    owner: str
    """Digest of the caller, `CLIENT` or `SHARED`."""
    target: str
    issuer: str
    """Whose credential it is: an authorization server's; empty for a key that a person left."""


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept. Times in Unix seconds; 0 is not known, or never."""

    access_token: Secret = ""
    expires_s: float = 0.0
    refresh_token: Secret = ""
    scopes: tuple[str, ...] = ()
    """Granted, or asked for where the server did not say."""
    resource: str = ""
    """What it is good for."""
    client_id: str = ""
    """Whom it was issued to."""
    client_secret: Secret = ""
    """Of a registration."""
    method: str = ""
    """How the client proves itself, of a registration."""
    redirect_uri: str = ""
    """Of a registration."""
    label: str = ""
    """Who it belongs to, for people; no secret."""
    created_s: float = 0.0

    def __repr__(self) -> str:
        return hidden_repr(self)


class Kept(msgspec.Struct, frozen=True):
    """A credential, its place, and when it was written."""

    place: Place
    credential: Credential
    changed_s: float


class Vault(Protocol):
    """The store. Methods are quick and block on the disk at most; all raise VaultError."""

    def get(self, place: Place) -> Credential | None:
        """What is kept there."""
        ...

    def list(self, owner: str = "", target: str = "") -> list[Kept]:
        """Everything of an owner, of a target, or of both, the latest first; empty is any."""
        ...

    def put(self, place: Place, credential: Credential) -> None:
        """Keep it in place of what was there; it is on the disk when this returns."""
        ...

    def delete(self, place: Place) -> bool:
        """Forget it; whether there was anything."""
        ...

    def purge(self, before_s: float) -> int:
        """Forget what was last written before then; how many."""
        ...

    def generation(self) -> int:
        """Another number whenever anybody, in any process, may have changed anything. Microseconds."""
        ...

    def claim(self, place: Place, ttl_s: float) -> str | None:
        """The right to renew what is kept there, for a while: a token to `release`, or None while another has it."""
        ...

    def release(self, place: Place, claimed: str) -> None:
        """Give the right back; harmless when it has ended."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...
