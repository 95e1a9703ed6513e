"""What all credentials of one target are built with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from heddle.drivers.kv import Kv
from heddle.drivers.sealing import Sealing
from heddle.drivers.vault import Vault
from heddle.identity.oauth.asking import Asker
from heddle.identity.oauth.discovery import Discovery
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.registering import Site
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp_auth import OAuthClientSpec
from heddle.net.message import Headers
from heddle.pipeline.assembly import Clock


class TargetCredentials(Protocol):
    """What calls to one target are authorized with."""

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """The fields to send. `caller_token` is what the caller came with; it is exchanged at most, never sent.

        Raises ConsentNeeded, CredentialUnavailable.
        """
        ...

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """The target answered 401 or 403. True: try once again, with fresh `headers`. Raises as `headers` does."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """Of a gateway."""

    vault: Vault
    sealing: Sealing
    flows: Kv
    """Flows that have ended: each ends once."""
    site: Site
    clock: Clock


@dataclass(frozen=True, slots=True)
class Setting:
    """Of a target."""

    name: str
    url: str
    asker: Asker
    discovery: Discovery
    shared: Shared

    @property
    def now(self) -> Callable[[], float]:
        """Unix time in seconds."""
        return self.shared.clock.now

    @property
    def monotonic(self) -> Callable[[], float]:
        """Seconds, never backwards."""
        return self.shared.clock.monotonic

    async def server(self, client: OAuthClientSpec, named: str = "") -> ServerDocument:
        """The authorization server that a configured client belongs to. Raises OAuthError."""
        if client.token_endpoint:
            return ServerDocument(issuer=client.issuer, token_endpoint=client.token_endpoint)
        return await self.discovery.server(await self.discovery.issuer(client.issuer, named))
