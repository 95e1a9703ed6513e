"""What does a streamed event cost, how much later does the first one come, and is each passed on when it arrives?

Two upstreams: bulk (as fast as they are read) and paced (one event per 5 ms, as a model writes). The first event's time
and the writes are read on one raw connection; CPU under wrk.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from bench.figures import Cell, Options, Result, Target
from bench.gateways import Rig, available
from bench.load import CONNECTIONS, KEY, MODEL, chat_body, measure
from bench.mock_stream import EVENTS, PACE_S

SECONDS = 5.0
FIRST_EVENTS = 100
"""Streams whose first event is timed, on one connection; LiteLLM is given as many, it takes a second."""


@dataclass(slots=True)
class Seen:
    """One stream as a caller reads it."""

    first_s: float
    """From the last byte of the call to the first byte of the first event."""
    reads: int
    """Reads that brought at least part of an event."""
    chunks: int
    """HTTP chunks that carried events."""
    events: int


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A raw connection, so that nothing stands between a read and its time."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plug:
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield plug


def watch(plug: socket.socket, model: str) -> Seen:
    """Asks for one stream and reads it to its last chunk."""
    body = chat_body(model, stream=True)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    plug.sendall(head.encode() + body)
    begun = time.perf_counter()
    data, first_s, reads = b"", 0.0, 0
    while not data.endswith(b"\r\n0\r\n\r\n"):
        piece = plug.recv(1 << 18)
        if not piece:
            raise RuntimeError("the stream broke off: " + data[-200:].decode(errors="replace"))
        data += piece
        if b"data: {" in data:
            first_s = first_s or time.perf_counter() - begun
            reads += 1
    chunks, payload = _dechunk(data.partition(b"\r\n\r\n")[2])
    return Seen(first_s, reads, chunks, payload.count(b"data: {"))


def _dechunk(data: bytes) -> tuple[int, bytes]:
    count, payload = 0, b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        count += length > 0
        payload += rest[:length]
        data = rest[length + 2 :]
    return count, payload


def first_event_s(port: int, streams: int = FIRST_EVENTS) -> float:
    """Median time to the first event, one stream after another on one connection."""
    with connected(port) as plug:
        return median(watch(plug, MODEL).first_s for _ in range(streams))


def run(options: Options) -> Result:
    """CPU per event bulk and paced, the first event's added time, and writes per arriving event."""
    seconds = options.seconds or SECONDS
    result = Result(
        f"Streams of {EVENTS} events, {CONNECTIONS} at a time",
        ["gateway", "bulk us/event", "paced us/event", "first event, added us", "writes/event paced", "errors"],
        notes=[f"Paced: one event per {PACE_S * 1e3:g} ms. CPU is the gateway's, all its processes."],
    )
    with Rig() as rig:
        rig.stream_mock()
        bodies = {model: rig.write(f"{model}.json", chat_body(model, stream=True)) for model in (MODEL, "paced")}
        running = [rig.gateway(name) for name in available([p for p in options.peers if p != "nginx"])]
        direct_s = first_event_s(rig.upstream)
        cpu: dict[str, dict[str, list[float]]] = {g.name: {MODEL: [], "paced": []} for g in running}
        errors = dict.fromkeys(cpu, 0)
        for _ in range(options.rounds):
            for gateway in running:
                for model, path in bodies.items():
                    cost = measure(gateway.process, gateway.port, seconds, path)
                    cpu[gateway.name][model].append(cost.tree_us / EVENTS)
                    errors[gateway.name] += cost.report.errors
        for gateway in running:
            bulk, paced = median(cpu[gateway.name][MODEL]), median(cpu[gateway.name]["paced"])
            with connected(gateway.port) as plug:
                seen = watch(plug, "paced")
            added_us = (first_event_s(gateway.port) - direct_s) * 1e6
            result.rows.append([gateway.name, bulk, paced, added_us, seen.reads / seen.events, errors[gateway.name]])
    _claim(result)
    return result


def _claim(result: Result) -> None:
    rows: dict[Cell, tuple[float, ...]] = {row[0]: tuple(float(cell or 0) for cell in row[1:]) for row in result.rows}
    if "heddle" not in rows:
        return
    bulk, paced, _, writes, errors = rows["heddle"]
    result.targets.append(Target("bulk CPU us per event", bulk, at_most=10))
    if "bare" in rows:
        result.targets.append(Target("paced CPU / bare forwarder's", paced / rows["bare"][1], at_most=1.5))
    # The [DONE] line comes in the last event's read or alone: two more than the events at most.
    result.targets.append(Target("writes per arriving event, least", writes, at_least=0.99))
    result.targets.append(Target("writes per arriving event, most", writes, at_most=1.03))
    result.targets.append(Target("errors", errors, at_most=0))
