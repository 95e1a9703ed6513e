"""Finding out who may issue credentials for a target: its own document first, then that of its authorization server.

Owns what was found, for a while. A target chooses its authorization server only where the configuration does not; a
document that names another resource, or another issuer, is refused rather than believed.

*Source:* RFC 9728 sections 3.3 and 7.6; RFC 8414 sections 3.2 and 3.3; MCP 2026-07-28, "Authorization Server Location";
MCP 2025-03-26, "Server Metadata Discovery".
"""

from collections.abc import Callable

from heddle.identity.oauth.asking import Asker
from heddle.identity.oauth.documents import (
    ResourceDocument,
    ServerDocument,
    canonical,
    covers,
    origin_of,
    read_resource,
    read_server,
    resource_candidates,
    server_candidates,
)
from heddle.identity.oauth.errors import OAuthError

HOLDS_S = 600.0
"""How long a document is believed without being asked for again."""
MAX_KEPT = 32
"""Issuers of one target whose documents are kept: targets that keep naming new ones do not fill the memory."""


class Discovery:
    """What is known about one target's authorization."""

    __slots__ = ("_asker", "_monotonic", "_resource", "_servers", "_url")

    def __init__(self, asker: Asker, url: str, monotonic: Callable[[], float]) -> None:
        self._asker = asker
        self._url = url
        self._monotonic = monotonic
        self._resource: tuple[ResourceDocument, float] | None = None
        self._servers: dict[str, tuple[ServerDocument, float]] = {}

    def forget(self) -> None:
        """The target did not take a credential: what it says of itself may have changed."""
        self._resource = None

    async def resource(self, named: str = "") -> ResourceDocument:
        """The target's document; `named` is where its challenge says that it is. Raises OAuthError."""
        if self._resource is not None and self._monotonic() < self._resource[1]:
            return self._resource[0]
        for candidate in resource_candidates(self._url, named):
            answer = await self._asker.get(candidate)
            if answer.status == 200:
                found = read_resource(answer.body)
                # Else one target could have tokens made for another.
                if not covers(found.resource, self._url):
                    raise OAuthError("the target's protected-resource metadata is about another resource")
                self._resource = found, self._monotonic() + HOLDS_S
                return found
            _check_absent(answer.status, "the target's protected-resource metadata")
        # As of 2025-03-26, a target without such a document is its own authorization server.
        found = ResourceDocument(canonical(self._url), (origin_of(self._url),))
        self._resource = found, self._monotonic() + HOLDS_S
        return found

    async def issuer(self, configured: str, named: str = "") -> str:
        """The issuer to use: the configured one, else the first that the target names."""
        return configured or (await self.resource(named)).authorization_servers[0]

    async def server(self, issuer: str) -> ServerDocument:
        """The document of an issuer. Raises OAuthError."""
        kept = self._servers.get(issuer)
        if kept is not None and self._monotonic() < kept[1]:
            return kept[0]
        self._asker.check(issuer)
        for candidate in server_candidates(issuer):
            answer = await self._asker.get(candidate)
            if answer.status == 200:
                found = read_server(answer.body, issuer)
                if len(self._servers) >= MAX_KEPT:
                    self._servers.clear()
                self._servers[issuer] = found, self._monotonic() + HOLDS_S
                return found
            _check_absent(answer.status, "the authorization server's metadata")
        raise OAuthError("the authorization server publishes no metadata")

    def known_resource(self, configured: str) -> str:
        """The identifier to ask tokens for: configured, or the target's own word if it was heard, or its URL."""
        if configured:
            return configured
        return self._resource[0].resource if self._resource is not None else canonical(self._url)

    def fits(self, configured: str, resource: str) -> bool:
        """Whether a token that was made for `resource` may be sent to the target as it is configured now."""
        return resource == configured if configured else covers(resource, self._url)


def _check_absent(status: int, what: str) -> None:
    """Any 3xx or 4xx is not there, except that somebody is to wait; a failure says nothing about what is there."""
    if status == 429 or not 300 <= status < 500:
        raise OAuthError(f"{what} could not be read (status {status})")
