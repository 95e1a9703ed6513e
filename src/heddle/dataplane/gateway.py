"""The request path of one worker: a door per listener, one runtime that all doors look through.

A snapshot becomes a Runtime off to the side; swapping it in is one assignment. A call keeps the runtime it began
with, so a reload changes nothing under a call's feet.
"""

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

from heddle.dataplane.admission import Admission
from heddle.dataplane.answer import answer
from heddle.dataplane.listening import Listening
from heddle.dataplane.recording import Recorder
from heddle.dataplane.routes import build_policies, build_routes, error_dialect, pick
from heddle.model.snapshot import ListenerSpec, Snapshot
from heddle.net.address import client_address, networks
from heddle.net.errors import PeerGone
from heddle.net.message import Reply, Request
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.spool import Spool
from heddle.telemetry.trace import FIELDS, distrust, extract, fresh

if TYPE_CHECKING:
    from heddle.dataplane.mcp.routes import McpRouter

_log: Final = logging.getLogger("heddle.gateway")

_UNEXPECTED: Final = "The gateway failed to handle this call."


class Runtime:
    """Everything built from one snapshot; never changed afterwards."""

    __slots__ = ("closers", "mcp", "propagation", "recorder", "router", "sample_ratio", "snapshot", "traced")

    def __init__(self, snapshot: Snapshot, tools: Tools, spool: Spool) -> None:
        """Build routes and recorders. Raises ValueError naming the part of the snapshot that cannot be built."""
        self.snapshot = snapshot
        self.closers = tools.closers = []
        try:
            policies = build_policies(snapshot, tools)
            self.router = build_routes(snapshot, tools, policies)
            self.recorder = Recorder(snapshot, tools, spool)
            self.mcp = _mcp(snapshot, tools, policies, self.recorder)
        except BaseException:
            self.close()
            raise
        spec = snapshot.observability.tracing
        self.propagation = spec.propagation
        self.sample_ratio = spec.sample_ratio if spec.enabled else 0.0
        self.traced = spec.enabled and bool(spec.endpoint)

    def close(self) -> None:
        """Stop what runs in the background for this snapshot, and give back its connections to providers."""
        while self.closers:
            self.closers.pop()()


def _mcp(snapshot: Snapshot, tools: Tools, policies: dict[str, Any], recorder: Recorder) -> "McpRouter | None":
    """What MCP listeners serve; None without any. Imported here: many gateways serve models alone."""
    if not any(listener.protocol == "MCP" for listener in snapshot.listeners):
        return None
    module = importlib.import_module("heddle.dataplane.mcp.routes")
    router: McpRouter = module.build_mcp(snapshot, tools, policies, recorder.record)
    return router


class Gateway:
    """The current runtime of this worker. Reading it is one attribute, replacing it one assignment."""

    __slots__ = ("_former", "clock", "runtime")

    def __init__(self, runtime: Runtime, tools: Tools) -> None:
        self.runtime = runtime
        self.clock = tools.clock.monotonic
        self._former: list[Runtime] = []

    def swap(self, runtime: Runtime) -> None:
        """Let new calls meet `runtime`; the former is closed when its last call has ended."""
        former, self.runtime = self.runtime, runtime
        self._former.append(former)
        if former.mcp is not None:
            former.mcp.replaced(runtime.mcp)

    def inflight(self) -> int:
        """Calls under way. Called now and then: closes former runtimes that have none left."""
        for former in [former for former in self._former if not former.recorder.inflight]:
            self._former.remove(former)
            former.close()
        return self.runtime.recorder.inflight + sum(former.recorder.inflight for former in self._former)


class Door:
    """One listener's way into the gateway: its checks, and the handler that `net` calls."""

    __slots__ = ("_admission", "_gateway", "_mcp", "_spec", "_trusted")

    def __init__(self, gateway: Gateway, spec: ListenerSpec) -> None:
        self._gateway = gateway
        self._spec = spec
        self._mcp = spec.protocol == "MCP"
        self._admission = Admission(spec)
        self._trusted = networks(spec.trusted_proxies)

    async def handle(self, request: Request) -> Reply:
        """Answer one request, whatever happens; only cancellation passes through."""
        runtime = self._gateway.runtime
        if self._mcp and runtime.mcp is not None:
            route = runtime.mcp.find(request.path, self._spec.name)
        else:
            route = runtime.router.find(request.path)
        exchange = self._open(request, runtime, route.operation)
        recorder = runtime.recorder
        recorder.inflight += 1
        from_page = False
        try:
            if "admitted" not in request.memory:
                from_page = self._admit(request)
            reply = self._admission.preflight(request) if from_page else None
            if reply is None:
                reply = await (route.methods.get(request.method) or pick(route, request.method))(exchange)
            if exchange.limits_left:
                _tell_limits(reply, exchange.limits_left)
        except CallError as error:
            reply = _failed(exchange, error, error_dialect(route, request))
        except asyncio.CancelledError:
            exchange.reason = Reason.CALLER_GONE
            recorder.finish(exchange, 499, 0)
            raise
        except Exception:
            _log.exception("unexpected failure in %s", route.operation)
            reply = _failed(exchange, CallError(Reason.INTERNAL, _UNEXPECTED), error_dialect(route, request))
        if from_page:
            reply.headers = [*reply.headers, *self._admission.cors(request)]
        body = reply.body
        if isinstance(body, bytes):
            recorder.finish(exchange, reply.status, len(body), body)
        else:
            listening = recorder.listen(exchange, body)
            reply.body = listening or body
            reply.ended = _Ending(exchange, reply.status, recorder, listening)
        return reply

    def _open(self, request: Request, runtime: Runtime, operation: str) -> Exchange:
        """The exchange of a request: where it came from, and which trace it belongs to."""
        if "untraced" in request.memory:
            trace = fresh(runtime.sample_ratio)
        else:
            trace = extract(request.header, runtime.propagation, runtime.sample_ratio, request.headers)
            if trace.wanted is not None and runtime.traced:
                distrust(trace, runtime.sample_ratio)
            elif FIELDS.isdisjoint(request.fields()):
                request.memory["untraced"] = True
        exchange = Exchange(request, self._spec, operation, trace, self._gateway.clock())
        if self._trusted:
            exchange.source_address = client_address(request.peer.address, request.headers, self._trusted)
        return exchange

    def _admit(self, request: Request) -> bool:
        """Check a head that was not seen before on its connection; True when an allowed page sent it."""
        from_page = self._admission.check(request)
        if not from_page:
            request.memory["admitted"] = True
        return from_page


def _tell_limits(reply: Reply, lines: bytes) -> None:
    """Add what is left of our limits; not beside those of a provider that failed: one name, one number."""
    reply.lines = lines
    if reply.status != 200:
        reply.headers = [field for field in reply.headers if not field[0].startswith(b"x-ratelimit-")]


def _failed(exchange: Exchange, error: CallError, dialect: str) -> Reply:
    exchange.reason = error.reason
    exchange.detail = error.detail
    return answer(error, dialect)


class _Ending:
    """What happens when a streamed answer is over: complete, broken or abandoned, its record is written."""

    __slots__ = ("_exchange", "_listening", "_recorder", "_status")

    def __init__(self, exchange: Exchange, status: int, recorder: Recorder, listening: Listening | None) -> None:
        self._exchange = exchange
        self._status = status
        self._recorder = recorder
        self._listening = listening

    def __call__(self, cut: BaseException | None, sent: int) -> None:
        exchange = self._exchange
        if isinstance(cut, CallError):
            exchange.reason, exchange.detail = cut.reason, cut.detail
        elif isinstance(cut, (PeerGone, asyncio.CancelledError)):
            exchange.reason = Reason.CALLER_GONE
        elif cut is not None:
            exchange.reason = Reason.INTERNAL
            _log.error("unexpected failure in a stream", exc_info=cut)
        self._recorder.finish(exchange, self._status, sent, self._listening or b"")
