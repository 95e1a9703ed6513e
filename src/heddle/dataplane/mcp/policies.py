"""What a call to a tool server passes before and after its target, in the one order there is.

Authorization, limits and guards are the policies of model calls; this only asks them in turn. What is refused by
authorization looks to callers as if it were not there.
"""

from collections.abc import Awaitable
from typing import Any, Protocol

from heddle.dataplane.mcp.guarding import GuardedCall
from heddle.model.mcp import McpCall
from heddle.pipeline.exchange import Exchange


class Authorizes(Protocol):
    """The policy `authorization`."""

    def check_mcp(self, exchange: Exchange) -> None:
        """Raises CallError (FORBIDDEN)."""
        ...

    def permits_mcp(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether some arguments could be allowed."""
        ...

    def allows_mcp(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether exactly this call is allowed; nothing is written down."""
        ...


class Limits(Protocol):
    """The policy `rate_limiting`."""

    def check_mcp(self, exchange: Exchange) -> Awaitable[None] | None:
        """Raises CallError (LIMITED)."""
        ...


class Guards(Protocol):
    """The policy `guards`."""

    def guard_mcp(self, exchange: Exchange, call: McpCall) -> GuardedCall | None:
        """The guards of a call; None when none is for it."""
        ...


class McpPolicies:
    """The policies of a snapshot, as far as they are for calls to tool servers."""

    __slots__ = ("authorization", "guards", "limits")

    def __init__(self, policies: dict[str, Any]) -> None:
        """By the names of `plugins.POLICIES`; None where there is nothing declared."""
        self.authorization: Authorizes | None = policies.get("authorization")
        self.limits: Limits | None = policies.get("rate_limiting")
        guards = policies.get("guards")
        self.guards: Guards | None = guards if hasattr(guards, "guard_mcp") else None

    def permits(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether a list may show it."""
        return self.authorization is None or self.authorization.permits_mcp(exchange, call)

    def allows(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether exactly this call could be made."""
        return self.authorization is None or self.authorization.allows_mcp(exchange, call)

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Let the call pass, or raise CallError; returns what to wait for first when it has to."""
        if self.authorization is not None:
            self.authorization.check_mcp(exchange)
        return self.limits.check_mcp(exchange) if self.limits is not None else None

    def guarding(self, exchange: Exchange, call: McpCall) -> GuardedCall | None:
        """What has to look at what a call says and is told; None when nothing has."""
        return self.guards.guard_mcp(exchange, call) if self.guards is not None else None
