"""The last step to a target: within what one tool may have at once, and past targets that are not well.

Owns which of equal targets is asked. Only what was certainly not received is asked of another, and only of one that
this caller may have it from.
"""

from collections.abc import Awaitable

from msgspec.structs import replace

from heddle.backends.mcp.contract import Caller, TargetRequest
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.surface import Entry
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange


class Reaching:
    """Of one virtual server."""

    def __init__(self, policies: McpPolicies) -> None:
        self._policies = policies
        self._under_way: dict[tuple[str, str], int] = {}

    def ask(self, entry: Entry, request: TargetRequest, caller: Caller, exchange: Exchange) -> Awaitable[bytes]:
        """The result as raw JSON. Raises RpcError or CallError."""
        most = entry.spec.max_concurrent if entry.spec is not None else 0
        if most:
            return self._within(most, entry, request, caller, exchange)
        return self._ask(entry, request, caller, exchange)

    async def _within(
        self, most: int, entry: Entry, request: TargetRequest, caller: Caller, exchange: Exchange
    ) -> bytes:
        """The same where only so many calls of the tool may be under way."""
        tool = entry.upstream.name, entry.key
        count = self._under_way.get(tool, 0)
        if count >= most:
            raise CallError(Reason.OVERLOADED, f"The tool `{entry.name}` has as many calls as it may have at once.")
        self._under_way[tool] = count + 1
        try:
            return await self._ask(entry, request, caller, exchange)
        finally:
            self._under_way[tool] -= 1
            if not self._under_way[tool]:
                del self._under_way[tool]

    def _ask(self, entry: Entry, request: TargetRequest, caller: Caller, exchange: Exchange) -> Awaitable[bytes]:
        if not entry.fallbacks:
            return entry.upstream.call(request, caller)
        return self._ask_any(entry, request, caller, exchange)

    async def _ask_any(self, entry: Entry, request: TargetRequest, caller: Caller, exchange: Exchange) -> bytes:
        """The same, of the target or of those that stand in for it."""
        others = [u for u in entry.fallbacks if await self._may_serve(u, entry, caller, exchange)]
        order = sorted((entry.upstream, *others), key=lambda upstream: not upstream.healthy)
        for upstream in order[:-1]:
            try:
                return await upstream.call(request, caller)
            except CallError as error:
                if error.reason not in (Reason.UPSTREAM_UNREACHABLE, Reason.OVERLOADED):
                    raise
        return await order[-1].call(request, caller)

    async def _may_serve(self, upstream: Upstream, entry: Entry, caller: Caller, exchange: Exchange) -> bool:
        """Whether another target shows the same, and this caller may have it from there."""
        call = exchange.mcp
        assert call is not None
        catalogue = await upstream.catalogue(caller)
        if catalogue is None or (entry.kind in catalogue.offers and entry.key not in catalogue.of(entry.kind)):
            return False  # what is withheld there is not had from there
        return self._policies.allows(exchange, replace(call, target=upstream.name))
