"""A virtual server as an OAuth protected resource: which tokens are for it, and what callers are told of it.

Owns where the checks stand: a token is proven by the authentication of all listeners; that it was issued for this
server, with the scopes that a call needs, is asked here.
*Source:* Model Context Protocol, "Authorization"; RFC 9728 section 5.1; RFC 6750 section 3.
"""

from typing import TYPE_CHECKING

from heddle.model.snapshot_mcp import McpServerSpec
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler

if TYPE_CHECKING:
    from heddle.dataplane.mcp_credentials import McpCredentials
    from heddle.identity.oauth.resource_server import ResourceServer


class Protected:
    """One virtual server that wants OAuth tokens."""

    def __init__(self, resource: "ResourceServer", credentials: "McpCredentials") -> None:
        self._resource, self._pages = resource, credentials.pages

    @classmethod
    def of(cls, spec: McpServerSpec, credentials: "McpCredentials") -> "Protected | None":
        """The protection of a server; None where it wants no tokens."""
        resource = credentials.resources.get(spec.path)
        return cls(resource, credentials) if resource is not None else None

    def behind(self, handler: Handler) -> Handler:
        """`handler`, whose refusals of unproven callers say where tokens are to be had."""

        async def challenged(exchange: Exchange) -> Reply:
            try:
                return await handler(exchange)
            except CallError as error:
                if error.reason is Reason.UNAUTHENTICATED:
                    named = any(b"resource_metadata" in value for _, value in error.headers)
                    if not named:
                        invalid = any(b"invalid_token" in value for _, value in error.headers)
                        error.headers = [
                            self._resource.unauthenticated(self._pages.base_url(exchange), invalid=invalid)
                        ]
                raise

        return challenged

    def checked(self, handler: Handler) -> Handler:
        """`handler`, for callers whose token is for this server."""

        async def checked(exchange: Exchange) -> Reply:
            self.check(exchange)
            return await handler(exchange)

        return checked

    def check(self, exchange: Exchange, scopes: tuple[str, ...] = ()) -> None:
        """Whether the caller's token is for this server, and has these scopes too. Raises CallError."""
        self._resource.check(exchange.principal, self._pages.base_url(exchange), scopes)
