"""What MCP listeners serve: virtual servers by path, compiled from a snapshot.

Owns the table of paths, and the making of everything behind it: targets, servers, fronts.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from heddle.backends.mcp.build import build_target
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.endpoint import Endpoint
from heddle.dataplane.mcp.fronting import Record
from heddle.dataplane.mcp.legacy import LegacyFront
from heddle.dataplane.mcp.modern import ModernFront
from heddle.dataplane.mcp.parking import Parking
from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.replay import Replay
from heddle.dataplane.mcp.screening import Screens
from heddle.dataplane.mcp.server import VirtualServer
from heddle.dataplane.mcp.sessions import Sessions
from heddle.dataplane.mcp.sse import MESSAGES, SseFront
from heddle.dataplane.route import MCP, Route
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_mcp import McpServerSpec
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.exchange import Exchange, Handler, Phase, compile_route

UNKNOWN = Route("unknown", {}, MCP)


class McpRouter:
    """All virtual servers, by path and listener."""

    __slots__ = ("_paths", "_restricted", "servers")

    def __init__(self) -> None:
        self._paths: dict[str, Route] = {}
        self._restricted: dict[str, frozenset[str]] = {}
        self.servers: dict[str, VirtualServer] = {}

    def add(self, path: str, route: Route, listeners: tuple[str, ...]) -> None:
        """Serve `route` at `path`, on these listeners or on all."""
        self._paths[path] = route
        if listeners:
            self._restricted[path] = frozenset(listeners)

    def find(self, path: str, listener: str) -> Route:
        """The route of a path; one without methods when nothing is there."""
        route = self._paths.get(path)
        if route is None and path.endswith("/"):
            path = path.rstrip("/")
            route = self._paths.get(path)
        if route is None:
            return UNKNOWN
        restricted = self._restricted.get(path)
        return route if restricted is None or listener in restricted else UNKNOWN


def build_mcp(snapshot: Snapshot, tools: Tools, policies: dict[str, Any], record: Record) -> McpRouter:
    """The router of MCP listeners. Raises ValueError when the snapshot cannot be built."""
    router = McpRouter()
    spec = snapshot.mcp
    if not any(listener.protocol == "MCP" for listener in snapshot.listeners):
        return router
    if spec.sessions.keys:
        tools.sealing.share(spec.sessions.keys)
    upstreams = {
        target.name: Upstream(target, build_target(target, tools, spec.sessions.ttl_s), tools)
        for target in spec.targets
    }
    if any(target.safety.pin != "off" or target.safety.poisoning != "off" for target in spec.targets):
        screens = Screens(upstreams, tools)
        for upstream in upstreams.values():
            screens.watch(upstream)
    checks = McpPolicies(policies)
    authentication = [policy for policy in policies.values() if policy and policy.phase == Phase.AUTHENTICATE]
    kv = tools.kv
    sessions = Sessions(spec.sessions, tools.sealing, kv("mcp_sessions"), tools.bus, tools.clock.now)
    asking, parking = Asking(tools.bus), Parking(tools.sealing, tools.bus)
    replay = Replay(spec.sessions, kv("mcp_replay"))
    tools.closers += [sessions.close, asking.close, parking.close]

    def serve(one: McpServerSpec) -> None:
        server = router.servers[one.name] = VirtualServer(one, upstreams, checks, tools.sealing)
        legacy = LegacyFront(server, sessions, asking, replay)
        endpoint = Endpoint(ModernFront(server, parking), legacy, record)

        def behind(handler: Callable[[Exchange], Awaitable[Reply]]) -> Handler:
            return compile_route(authentication, handler)

        methods = {"POST": behind(endpoint.post), "GET": behind(endpoint.get), "DELETE": behind(endpoint.delete)}
        router.add(one.path, Route("mcp", methods, MCP), one.listeners)
        if one.sse:
            front = SseFront(one.path, legacy, sessions, tools.bus, record)
            router.add(f"{one.path}/sse", Route("mcp", {"GET": behind(front.open)}, MCP), one.listeners)
            router.add(f"{one.path}{MESSAGES}", Route("mcp", {"POST": behind(front.post)}, MCP), one.listeners)

    for one in spec.servers:
        serve(one)
    _connect(upstreams, router)
    return router


def _connect(upstreams: dict[str, Upstream], router: McpRouter) -> None:
    """Have servers hear of the changes of their targets."""

    def changed(upstream: Upstream, what: str) -> None:
        for server in router.servers.values():
            if any(other is upstream for _, other in server.targets()):
                server.changed(what)

    for upstream in upstreams.values():
        upstream.changed = changed
