"""What MCP listeners serve: virtual servers by path, compiled from a snapshot.

Owns the table of paths, and the making of everything behind it: targets, servers, fronts.
"""

import importlib
from typing import TYPE_CHECKING, Any

from heddle.backends.mcp.build import build_target
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.endpoint import Endpoint
from heddle.dataplane.mcp.feed import REPLACED
from heddle.dataplane.mcp.fronting import Record
from heddle.dataplane.mcp.lasting import Lasting, lasts
from heddle.dataplane.mcp.legacy import LegacyFront
from heddle.dataplane.mcp.modern import ModernFront
from heddle.dataplane.mcp.parking import Parking
from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.protected import Protected
from heddle.dataplane.mcp.replay import Replay
from heddle.dataplane.mcp.screening import Screens
from heddle.dataplane.mcp.search import FindingTools
from heddle.dataplane.mcp.server import VirtualServer
from heddle.dataplane.mcp.sessions import Sessions
from heddle.dataplane.mcp.sse import MESSAGES, SseFront
from heddle.dataplane.route import MCP, Route
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_mcp import McpServerSpec, McpSpec, McpTargetSpec
from heddle.model.snapshot_mcp_auth import NoTargetAuth
from heddle.pipeline.assembly import Tools
from heddle.pipeline.exchange import Handler, Phase, compile_route

if TYPE_CHECKING:
    from heddle.dataplane.mcp_credentials import McpCredentials

UNKNOWN = Route("unknown", {}, MCP)


class McpRouter:
    """All virtual servers, by path and listener."""

    __slots__ = ("_beside", "_pages", "_paths", "_restricted", "fronts", "servers", "upstreams")

    def __init__(self, credentials: "McpCredentials | None" = None) -> None:
        """`credentials` brings pages of its own."""
        self._paths: dict[str, Route] = {}
        self._restricted: dict[str, frozenset[str]] = {}
        self._pages = credentials.pages if credentials is not None else None
        handler = self._pages.handle if self._pages is not None else None
        self._beside = Route("mcp/pages", {"GET": handler, "POST": handler}, MCP) if handler is not None else UNKNOWN
        self.servers: dict[str, VirtualServer] = {}
        self.upstreams: dict[str, Upstream] = {}
        """Targets, whether or not a server offers them."""
        self.fronts: dict[str, SseFront] = {}
        """Those whose sessions are streams, by server."""

    def add(self, path: str, route: Route, listeners: tuple[str, ...]) -> None:
        """Serve `route` at `path`, on these listeners or on all."""
        self._paths[path] = route
        if listeners:
            self._restricted[path] = frozenset(listeners)

    def find(self, path: str, listener: str) -> Route:
        """The route of a path; one without methods when nothing is there."""
        route = self._paths.get(path)
        if route is None and self._pages is not None and self._pages.serves(path):
            return self._beside
        if route is None and path.endswith("/"):
            path = path.rstrip("/")
            route = self._paths.get(path)
        if route is None:
            return UNKNOWN
        restricted = self._restricted.get(path)
        return route if restricted is None or listener in restricted else UNKNOWN

    def replaced(self, successor: "McpRouter | None") -> None:
        """Another configuration is served from now on: who listens here is told to look, and to listen there."""
        for server in self.servers.values():
            server.changed(REPLACED)
        for name, front in self.fronts.items():
            front.hand_over(successor.fronts.get(name) if successor is not None else None)


class _Building:
    """One snapshot's servers, as they are made."""

    def __init__(self, snapshot: Snapshot, tools: Tools, policies: dict[str, Any], record: Record) -> None:
        spec = snapshot.mcp
        self.tools, self.record, self.judge = tools, record, spec.judge
        self.authentication = [p for p in policies.values() if p and p.phase == Phase.AUTHENTICATE]
        self.credentials = _credentials(spec, tools, self.authentication)
        self.router = McpRouter(self.credentials)
        self.upstreams = {target.name: self._upstream(target, spec.sessions.ttl_s) for target in spec.targets}
        self.checks = McpPolicies(policies)
        kv = tools.kv
        self.sessions = Sessions(spec.sessions, tools.sealing, kv("mcp_sessions"), tools.bus, tools.clock.now)
        self.asking = Asking(tools.bus)
        # A call that waits for its caller waits across reloads: nothing of it is under way meanwhile.
        waiting = tools.lasting.get("mcp.parking")
        self.parking: Parking = waiting or tools.lasting.setdefault("mcp.parking", Parking(tools.sealing, tools.bus))
        self.replay = Replay(spec.sessions, kv("mcp_replay"))
        tools.closers += [self.sessions.close, self.asking.close]

    def _upstream(self, target: McpTargetSpec, session_ttl_s: float) -> Upstream:
        if lasts(target):
            return Lasting.of(self.tools).upstream(target, self.tools, session_ttl_s)
        authorizing = self.credentials.authorizing(target.name) if self.credentials is not None else None
        return Upstream(target, build_target(target, self.tools, session_ttl_s, authorizing), self.tools)

    def screen(self) -> None:
        """Show of the targets what may be shown."""
        specs = [upstream.spec.safety for upstream in self.upstreams.values()]
        if any(safety.pin != "off" or safety.poisoning != "off" for safety in specs):
            screens = Screens(self.upstreams, self.tools, self.judge)
            for upstream in self.upstreams.values():
                screens.watch(upstream)

    def serve(self, spec: McpServerSpec) -> None:
        """Serve one virtual server."""
        server = VirtualServer(spec, self.upstreams, self.checks, self.tools)
        self.router.servers[spec.name] = server
        if spec.search is not None:
            server.lists.search = FindingTools(spec.search, server.lists)
        behind = self._behind
        if self.credentials is not None:
            server.protected = Protected.of(spec, self.credentials)
        legacy = LegacyFront(server, self.sessions, self.asking, self.replay)
        endpoint = Endpoint(ModernFront(server, self.parking), legacy, self.record)
        methods = {"POST": endpoint.post, "GET": endpoint.get, "DELETE": endpoint.delete}
        protected = server.protected
        served = {method: behind(handler, protected) for method, handler in methods.items()}
        self.router.add(spec.path, Route("mcp", served, MCP), spec.listeners)
        if spec.sse:
            front = SseFront(spec.path, legacy, self.sessions, self.tools.bus, self.record)
            self.router.fronts[spec.name] = front
            stream, messages = {"GET": behind(front.open, protected)}, {"POST": behind(front.post, protected)}
            self.router.add(f"{spec.path}/sse", Route("mcp", stream, MCP), spec.listeners)
            self.router.add(f"{spec.path}{MESSAGES}", Route("mcp", messages, MCP), spec.listeners)

    def _behind(self, handler: Handler, protected: "Protected | None") -> Handler:
        """`handler`, for callers who have proven who they are, with a token that is for this server."""
        if protected is None:
            return compile_route(self.authentication, handler)
        return protected.behind(compile_route(self.authentication, protected.checked(handler)))


def build_mcp(snapshot: Snapshot, tools: Tools, policies: dict[str, Any], record: Record) -> McpRouter:
    """The router of MCP listeners. Raises ValueError when the snapshot cannot be built."""
    if not any(listener.protocol == "MCP" for listener in snapshot.listeners):
        return McpRouter()
    building = _Building(snapshot, tools, policies, record)
    building.screen()
    for spec in snapshot.mcp.servers:
        building.serve(spec)
    _connect(building.upstreams, building.router)
    building.router.upstreams = building.upstreams
    return building.router


def _credentials(spec: McpSpec, tools: Tools, authentication: list[Any]) -> "McpCredentials | None":
    """The credentials of targets and the tokens of callers, where there is anything about either."""
    plain = all(isinstance(target.auth, NoTargetAuth) for target in spec.targets)
    if plain and not any(server.oauth for server in spec.servers):
        return None
    # Imported here: without OAuth a worker does not pay for it.
    module = importlib.import_module("heddle.dataplane.mcp_credentials")
    made: McpCredentials = module.McpCredentials(spec, tools, authentication[0].check if authentication else None)
    return made


def _connect(upstreams: dict[str, Upstream], router: McpRouter) -> None:
    """Have servers hear of the changes of their targets."""

    def changed(upstream: Upstream, what: str) -> None:
        for server in router.servers.values():
            if any(other is upstream for _, other in server.targets()):
                server.changed(what)

    for upstream in upstreams.values():
        upstream.changed = changed
