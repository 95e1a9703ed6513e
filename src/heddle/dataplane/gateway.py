"""The request path of one worker: a door per listener, one runtime that all doors look through.

A snapshot becomes a Runtime off to the side; swapping it in is one assignment. A call keeps the runtime it began
with, so a reload changes nothing under a call's feet.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from heddle.dataplane.admission import Admission
from heddle.dataplane.answer import answer
from heddle.dataplane.recording import Recorder
from heddle.dataplane.routes import build_routes, pick
from heddle.model.snapshot import ListenerSpec, Snapshot
from heddle.net.address import client_address, networks
from heddle.net.message import Reply, Request
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.spool import Spool
from heddle.telemetry.trace import extract

_log = logging.getLogger("heddle.gateway")


class Runtime:
    """Everything built from one snapshot; never changed afterwards."""

    __slots__ = ("closers", "propagation", "recorder", "router", "sample_ratio", "snapshot")

    def __init__(self, snapshot: Snapshot, tools: Tools, spool: Spool) -> None:
        """Build routes and recorders. Raises ValueError naming the part of the snapshot that cannot be built."""
        self.snapshot = snapshot
        tools.closers = []
        self.router = build_routes(snapshot, tools)
        self.closers = tools.closers
        self.recorder = Recorder(snapshot, tools, spool)
        spec = snapshot.observability.tracing
        self.propagation = spec.propagation
        self.sample_ratio = spec.sample_ratio if spec.enabled else 0.0

    def close(self) -> None:
        """Stop what runs in the background for this snapshot, and give back its connections to providers."""
        for close in self.closers:
            close()


class Gateway:
    """The current runtime of this worker. Reading it is one attribute, replacing it one assignment."""

    __slots__ = ("_former", "clock", "runtime")

    def __init__(self, runtime: Runtime, tools: Tools) -> None:
        self.runtime = runtime
        self.clock = tools.clock.monotonic
        self._former: list[Runtime] = []

    def swap(self, runtime: Runtime) -> None:
        """Let new calls meet `runtime`; the former is closed when its last call has ended."""
        self._former.append(self.runtime)
        self.runtime = runtime

    def inflight(self) -> int:
        """Calls under way. Called now and then: closes former runtimes that have none left."""
        for former in [former for former in self._former if not former.recorder.inflight]:
            self._former.remove(former)
            former.close()
        return self.runtime.recorder.inflight + sum(former.recorder.inflight for former in self._former)


class Door:
    """One listener's way into the gateway: its checks, and the handler that `net` calls."""

    __slots__ = ("_admission", "_gateway", "_spec", "_trusted")

    def __init__(self, gateway: Gateway, spec: ListenerSpec) -> None:
        self._gateway = gateway
        self._spec = spec
        self._admission = Admission(spec)
        self._trusted = networks(spec.trusted_proxies)

    async def handle(self, request: Request) -> Reply:
        """Answer one request, whatever happens; only cancellation passes through."""
        gateway = self._gateway
        runtime = gateway.runtime
        route = runtime.router.find(request.path)
        trace = extract(request.header, runtime.propagation, runtime.sample_ratio, request.headers)
        exchange = Exchange(request, self._spec, route.operation, trace, gateway.clock())
        if self._trusted:
            exchange.source_address = client_address(request.peer.address, request.headers, self._trusted)
        recorder = runtime.recorder
        recorder.inflight += 1
        admission = self._admission
        try:
            from_page = admission.check(request)
            if from_page and request.method == "OPTIONS":
                reply = admission.preflight(request) or await pick(route, "OPTIONS")(exchange)
            else:
                reply = await (route.methods.get(request.method) or pick(route, request.method))(exchange)
            if from_page:
                reply.headers += admission.cors(request)
        except CallError as error:
            reply = _failed(exchange, error)
        except asyncio.CancelledError:
            exchange.reason = Reason.CALLER_GONE
            recorder.finish(exchange, 499, 0)
            raise
        except Exception:
            _log.exception("unexpected failure in %s", route.operation)
            reply = _failed(exchange, CallError(Reason.INTERNAL, "The gateway failed to handle this call."))
        body = reply.body
        if type(body) is bytes:
            recorder.finish(exchange, reply.status, len(body))
        elif not isinstance(body, bytes):
            reply.body = Observed(body, exchange, reply.status, recorder)
        return reply


def _failed(exchange: Exchange, error: CallError) -> Reply:
    exchange.reason = error.reason
    exchange.detail = error.detail
    return answer(error)


class Observed:
    """A streamed answer, watched to its end: the record is written when it is complete, broken or abandoned."""

    __slots__ = ("_body", "_exchange", "_recorder", "_sent", "_status")

    def __init__(self, body: AsyncIterator[bytes], exchange: Exchange, status: int, recorder: Recorder) -> None:
        self._body = body
        self._exchange = exchange
        self._status = status
        self._recorder: Recorder | None = recorder
        self._sent = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._body.__anext__()
        except StopAsyncIteration:
            self._finish(None)
            raise
        except CallError as error:
            self._exchange.detail = error.detail
            self._finish(error.reason)
            raise
        except asyncio.CancelledError:
            self._finish(Reason.CALLER_GONE)
            raise
        except Exception:
            _log.exception("unexpected failure in a stream")
            self._finish(Reason.INTERNAL)
            raise
        self._sent += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the source. A stream that had not ended was given up by its reader."""
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
        self._finish(Reason.CALLER_GONE)

    def _finish(self, reason: Reason | None) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        if reason is not None:
            self._exchange.reason = reason
        recorder.finish(self._exchange, self._status, self._sent)
