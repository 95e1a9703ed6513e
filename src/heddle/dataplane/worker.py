"""The process that serves: one event loop, one gateway, a server per listener.

Started by the supervisor with an inherited control socket; serves whatever snapshot arrives there on
the listening sockets that come with it. Imports only what the request path needs.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from heddle.dataplane import control, sockets
from heddle.dataplane.answer import answer_status
from heddle.dataplane.bookkeeping import close_ledger, open_ledger
from heddle.dataplane.bus import Speaking, has_to_speak
from heddle.dataplane.counting import Counting
from heddle.dataplane.descriptors import raise_limit, within
from heddle.dataplane.gateway import Door, Gateway, Runtime
from heddle.dataplane.guards import build_guards
from heddle.dataplane.keeping import Keeping
from heddle.dataplane.upkeep import Upkeep
from heddle.drivers.counters.shared import SharedCounters
from heddle.drivers.ledger.writer import Ledger
from heddle.drivers.sealing import FILE as SEAL_KEYS
from heddle.drivers.sealing import Sealing
from heddle.model.snapshot import SERVED_PROTOCOLS, ListenerSpec, Snapshot
from heddle.net.client import Client
from heddle.net.server import HttpServer
from heddle.net.tls import server_context
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry import names
from heddle.telemetry.metrics import Gauge, Metrics
from heddle.telemetry.spool import Spool

_log = logging.getLogger("heddle.worker")

FLUSH_S = 0.05
"""How long an access record may wait in memory; a killed worker loses at most this much of the access log."""
SETTLE_TURNS = 200
"""How often, 5 ms apart, is looked whether calls that were cut off are recorded; they have nothing to wait for."""

_decode_snapshot = msgspec.msgpack.Decoder(Snapshot).decode


_Prepared = tuple[HttpServer, ssl.SSLContext | None]


class _Serving:
    """A listener that is being served."""

    def __init__(self, spec: ListenerSpec, server: HttpServer, sock: socket.socket) -> None:
        self.spec = spec
        self.server = server
        self.sock = sock
        self._counted = {"capped": 0, "protocol": 0, "stalled": 0}

    def count(self, metrics: Metrics) -> None:
        """Add to the metrics what was refused since the last time."""
        server = self.server
        now = {"capped": server.refused_connections, "protocol": server.refused_requests, "stalled": server.timed_out}
        if now == self._counted:
            return
        for reason, value in now.items():
            counter = metrics.counter(names.CONNECTIONS_REFUSED, listener=self.spec.name, reason=reason)
            counter.add(value - self._counted[reason])
        self._counted = now


def _prepare(gateway: Gateway, spec: ListenerSpec) -> _Prepared:
    context = server_context(spec.tls) if spec.tls is not None else None
    return HttpServer(
        Door(gateway, spec).handle, spec, answer_error=answer_status, half_close=spec.protocol != "MCP"
    ), context


class Worker:
    """One worker process: what it runs, and the servers it runs it on."""

    def __init__(self, state_dir: Path, slot: int) -> None:
        clock = Clock(time.time, time.monotonic)
        metrics = Metrics(state_dir / f"metrics-{slot}.bin")
        self.spool = Spool(state_dir / "spool", slot)
        self._open_files = raise_limit()
        # First in the file: the parent looks for it there, with every probe.
        metrics.gauge(names.AUDIT_HELD)
        self._counters = SharedCounters(state_dir / "limits.bin", slot, metrics)
        self.tools = Tools(
            clock=clock,
            client=Client(),
            metrics=metrics,
            counters=self._counters,
            audit=self.spool.audit,
            state_dir=state_dir,
            slot=slot,
            guards=build_guards,
            ledger=Ledger(state_dir / "ledger", slot),
            sealing=Sealing(state_dir / SEAL_KEYS, now=clock.now),
        )
        self._counting = Counting(self._counters)
        self._keeping = Keeping(self.tools)
        self._speaking = Speaking(self.tools)
        self._upkeep = Upkeep(self.tools, self.spool)
        self._finding: Any = None
        self.gateway: Gateway | None = None
        self._servers: dict[str, _Serving] = {}
        self._retired: list[HttpServer] = []

    async def apply(self, snapshot: Snapshot, bound: dict[str, socket.socket]) -> None:
        """Run `snapshot`. Raises ValueError or OSError and leaves everything as it was when it cannot be built."""
        open_ledger(snapshot.ledger, self.tools)
        self._counting.follow(snapshot.state, self.tools)
        self._keeping.follow(snapshot.state)
        if has_to_speak(snapshot):
            self.tools.sealing.share(snapshot.mcp.sessions.keys)
            # Keys that cannot be had refuse the snapshot, rather than the first call that needs one.
            self.tools.sealing.prepare()
        self._speaking.follow(snapshot)
        runtime = Runtime(snapshot, self.tools, self.spool)
        fresh = self.gateway is None
        gateway = self.gateway or Gateway(runtime, self.tools)
        specs = self._affordable([spec for spec in snapshot.listeners if spec.protocol in SERVED_PROTOCOLS])
        try:
            started = {key: _prepare(gateway, spec) for key, spec in specs.items() if self._changed(key, spec)}
        except BaseException:
            runtime.close()
            raise
        self.gateway = gateway
        self.spool.configure(snapshot.observability)
        if not fresh:
            gateway.swap(runtime)
        await self._replace(specs, started, bound)

    def _affordable(self, listeners: list[ListenerSpec]) -> dict[str, ListenerSpec]:
        """The listeners by their socket, with caps that this process can keep."""
        specs = {}
        for spec in listeners:
            fitting = within(spec, len(listeners), self._open_files)
            if fitting.limits != spec.limits:
                most, files = fitting.limits.max_connections, self._open_files
                _log.warning("listener %s: at most %d connections, as %d files may be open", spec.name, most, files)
            specs[sockets.key(spec)] = fitting
        return specs

    def _changed(self, key: str, spec: ListenerSpec) -> bool:
        current = self._servers.get(key)
        return current is None or current.spec != spec or spec.tls is not None

    async def _replace(
        self, specs: dict[str, ListenerSpec], started: dict[str, _Prepared], bound: dict[str, socket.socket]
    ) -> None:
        """Start the new servers before the old ones stop, on the same sockets: no connection is refused in between."""
        for key, (server, context) in started.items():
            sock = bound.pop(key)
            old = self._servers.get(key)
            await server.start(sock, context)
            self._servers[key] = _Serving(specs[key], server, sock)
            if old is not None:
                self._retire(old)
        for key in [key for key in self._servers if key not in specs]:
            self._retire(self._servers.pop(key))
        for sock in bound.values():
            sock.close()

    def _retire(self, serving: _Serving) -> None:
        """Accept no more on it. Its connections close after their next answer, or when they have idled long enough.

        An idle connection is not closed at once: its caller may be writing the next request this very moment.
        """
        serving.server.wind_down()
        serving.sock.close()
        self._retired.append(serving.server)

    async def drain(self, grace_s: float) -> None:
        """Finish what is under way."""
        servers = [*self._retired, *(serving.server for serving in self._servers.values())]
        for server in servers:
            server.stop_accepting()
        for serving in self._servers.values():
            serving.sock.close()
        await asyncio.gather(*(server.drain(grace_s) for server in servers))
        await self._settled()
        await self._counting.close()
        await self._keeping.close()
        await self._speaking.close()

    async def _settled(self) -> None:
        """Wait until the calls that were cut off have written down that they were."""
        for _ in range(SETTLE_TURNS):
            if self.gateway is None or not self.gateway.inflight():
                return
            await asyncio.sleep(0.005)

    def close(self) -> None:
        """Write everything that was recorded, counts of repeated refusals included, and let go of all files.

        Last of all: what counts or records afterwards finds its file closed.
        """
        if self._finding is not None:
            self._finding.close()
        if self.gateway is not None:
            self.gateway.runtime.close()
        self.spool.close()
        self._upkeep.look()
        close_ledger(self.tools)
        self._counters.close()
        self.tools.metrics.close()

    def find(self) -> None:
        """Write down what is behind the targets, from now on, if there can be any."""
        if self._finding is None and self.gateway is not None and self.gateway.runtime.mcp is not None:
            from heddle.dataplane.finding import Finding  # noqa: PLC0415 - many gateways serve models alone

            self._finding = Finding(self.tools.state_dir)
            self._finding.start(self.gateway)

    async def housekeeping(self) -> None:
        """Flush records and refresh gauges, until cancelled."""
        connections = self.tools.metrics.gauge(names.CONNECTIONS)
        inflight = self.tools.metrics.gauge(names.INFLIGHT_REQUESTS)
        while True:
            await asyncio.sleep(FLUSH_S)
            self.spool.flush()
            self._upkeep.look()
            self._speaking.count()
            self._count_connections(connections)
            if self.gateway is not None:
                inflight.set(self.gateway.inflight())

    def _count_connections(self, connections: Gauge) -> None:
        total = 0
        for serving in self._servers.values():
            total += serving.server.connection_count
            serving.count(self.tools.metrics)
        self._retired = [server for server in self._retired if server.connection_count]
        connections.set(total + sum(server.connection_count for server in self._retired))


async def serve(worker: Worker, channel: control.Channel) -> None:
    """Do what the supervisor says until it says drain, or is gone."""
    housekeeping = asyncio.ensure_future(worker.housekeeping())
    grace_s = 5.0
    try:
        while True:
            message, descriptors = await channel.receive()
            if isinstance(message, control.Apply):
                await _apply(worker, channel, message, descriptors)
            elif isinstance(message, control.Keys):
                worker.tools.keyring.change(message.changed, message.gone, whole=message.whole)
                await channel.send(control.KeysKnown())
            elif isinstance(message, control.Drain):
                grace_s = message.grace_s
                break
    except ConnectionError:
        _log.warning("the supervisor is gone; finishing what is under way")
    await _drain(worker, channel, grace_s)
    housekeeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await housekeeping
    worker.close()


async def _drain(worker: Worker, channel: control.Channel, grace_s: float) -> None:
    """Finish what is under way, for `grace_s` or until the supervisor says once more to drain."""
    draining = asyncio.ensure_future(worker.drain(grace_s))
    hurrying = asyncio.ensure_future(channel.receive())
    await asyncio.wait([draining, hurrying], return_when=asyncio.FIRST_COMPLETED)
    if not draining.done() and hurrying.exception() is None:
        draining.cancel()
        await asyncio.wait([draining])
        await worker.drain(0.0)
    else:
        hurrying.cancel()
        await draining


async def _apply(worker: Worker, channel: control.Channel, message: control.Apply, descriptors: list[int]) -> None:
    bound = {key: socket.socket(fileno=fd) for key, fd in zip(message.bound, descriptors, strict=True)}
    snapshot = _decode_snapshot(message.snapshot)
    try:
        await worker.apply(snapshot, bound)
    except (ValueError, OSError) as exc:
        _log.error("snapshot %s refused: %s", snapshot.version, exc)
        await channel.send(control.Refused(snapshot.version, str(exc)))
        return
    if message.finds:
        worker.find()
    gc.collect()
    gc.freeze()
    await channel.send(control.Applied(snapshot.version))


def main() -> None:
    """`python -m heddle.dataplane.worker --slot N --control FD --state DIR`."""
    parser = argparse.ArgumentParser(prog="heddle-worker")
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format=f"%(asctime)s worker-{arguments.slot} %(levelname)s %(message)s",
    )
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the supervisor decides; a Ctrl-C reaches the whole group
    os.umask(0o077)
    gc.set_threshold(20_000, 20, 20)

    async def run() -> None:
        await serve(Worker(arguments.state, arguments.slot), control.Channel(socket.socket(fileno=arguments.control)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


if __name__ == "__main__":
    main()
