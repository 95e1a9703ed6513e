"""The exporter process: reads the spool and carries it to every configured sink.

Owns which sinks run and how they fail apart: each has its own task, cursor and back-off, so that a dead Elasticsearch
does not stop standard output. A segment is deleted when every sink of its kind has it. It is no part of a call: killed
at any moment it continues where it was, audit records included, at the cost of some lines arriving twice.

`python -m heddle.dataplane.exporter --state DIR --config FD_OR_FILE`: the configuration is an `ObservabilitySpec` in
JSON. From a file descriptor, one per line, the last one holding, and its end means that the parent has gone; from a
file, read again when it changes or on SIGHUP.
*Source:* architecture.md, "Exporters run outside the workers".
"""

import argparse
import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec

from heddle import plugins
from heddle.drivers.sinks.base import Sink, SinkTools, UnavailableError
from heddle.drivers.sinks.http import Poster
from heddle.drivers.sinks.tail import KINDS, Batch, Cursor, Spooled
from heddle.model.snapshot import ObservabilitySpec, SinkSpec, TracingSpec
from heddle.net.client import Client

POLL_S = 0.1
"""How often a sink that has everything looks for more."""
MAX_BACKOFF_S = 30.0
DRAIN_S = 5.0
"""How long an ending exporter goes on delivering what is there."""
ATTEMPTS_AT_A_FAULT = 3
"""How often a batch is tried that makes a sink raise what it must not."""

_LOCK_WAIT_S = 10.0
_decode = msgspec.json.Decoder(ObservabilitySpec).decode
_log = logging.getLogger("heddle.exporter")


class Shipper:
    """One sink, its cursor, and the task that feeds it."""

    def __init__(self, name: str, sink: Sink, kinds: tuple[str, ...], directory: Path, tools: SinkTools) -> None:
        self.name = name
        self.kinds = kinds
        self.cursor = Cursor(directory / "cursors" / f"{name}.json")
        self.delivered = 0
        self.refused = 0
        self.error = ""
        """Why the last attempt failed; empty when it succeeded."""
        self._sink = sink
        self._spooled = Spooled(directory)
        self._tools = tools
        self._faults = 0
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """Deliver until told to end, and then what is there, as long as the sink takes it."""
        failures = 0
        while True:
            try:
                pause_s = 0.0 if await self.step() else POLL_S
                failures = 0
            except (OSError, TimeoutError) as exc:
                failures += 1
                pause_s = max(getattr(exc, "retry_after_s", 0.0), _backoff_s(failures))
                self._complain(exc)
            if pause_s:
                if self._ending.is_set():
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), pause_s)

    def end(self) -> None:
        """Have `run` return when nothing more can be delivered."""
        self._ending.set()

    async def step(self) -> bool:
        """Deliver one batch; False when there is none. Raises OSError or TimeoutError when it must be tried again."""
        batch = self._spooled.next(self.cursor, self.kinds)
        if batch is None:
            return False
        accepted = await self._write(batch) if batch.lines else 0
        self.cursor.advance(batch.segment, batch.end)
        self.delivered += accepted
        self.refused += len(batch.lines) - accepted
        if self.error:
            _log.info("%s: delivering again", self.name)
            self.error = ""
        return True

    async def close(self) -> None:
        """Let go of the sink."""
        await self._sink.close()

    async def _write(self, batch: Batch) -> int:
        try:
            accepted = await self._sink.write(batch.kind, batch.lines)
        except (OSError, TimeoutError):
            raise
        except Exception as exc:
            # A defect, or a record nobody foresaw. One batch must not stop all that come after it.
            self._faults += 1
            _log.exception("%s: a batch of %s could not be encoded", self.name, batch.kind)
            if self._faults < ATTEMPTS_AT_A_FAULT:
                raise UnavailableError(type(exc).__name__) from exc
            self._tools.bury(self.name, batch.kind, batch.lines)
            accepted = 0
        self._faults = 0
        return accepted

    def _complain(self, exc: Exception) -> None:
        if not self.error:  # once per outage
            _log.warning("%s: %s; records wait in the spool", self.name, exc)
        self.error = str(exc) or type(exc).__name__


class Exporter:
    """All sinks of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / "spool"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tools = SinkTools(Poster(Client()), self.directory)
        self._spooled = Spooled(self.directory)
        self._shippers: dict[str, Shipper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._specs: dict[str, SinkSpec | TracingSpec] = {}

    async def apply(self, observability: ObservabilitySpec) -> None:
        """Run exactly the sinks of this configuration. One that cannot be built is logged, and the others run."""
        wanted = _wanted(observability)
        for name in [name for name, spec in self._specs.items() if wanted.get(name) != spec]:
            await self._stop(name)
        for name, spec in wanted.items():
            if name not in self._specs:
                self._start(name, spec)

    def tidy(self) -> None:
        """Delete what every sink has, forget cursors of sinks and segments that are gone, and report."""
        for kind in KINDS:
            cursors = [shipper.cursor for shipper in self._shippers.values() if kind in shipper.kinds]
            for path in self._spooled.segments(kind):
                # Audit records wait for a sink as long as there is none; nobody will want the others.
                if cursors or kind != "audit":
                    self._spooled.remove(path, cursors)
        existing = {path.name for kind in KINDS for path in self._spooled.segments(kind)}
        for shipper in self._shippers.values():
            shipper.cursor.forget(existing)
        report = {name: _report(shipper) for name, shipper in self._shippers.items()}
        fresh = self.directory / "exporter.new"
        fresh.write_bytes(msgspec.json.encode({"time_s": time.time(), "sinks": report}))
        fresh.replace(self.directory / "exporter.json")

    async def drain(self) -> None:
        """Deliver what is there, for at most DRAIN_S, and stop all sinks."""
        await asyncio.gather(*(self._end(name) for name in self._specs))
        self.tidy()
        for name in list(self._specs):
            await self._stop(name)

    def _start(self, name: str, spec: SinkSpec | TracingSpec) -> None:
        kind = f"otlp_{spec.protocol}" if isinstance(spec, TracingSpec) else spec.type
        try:
            sink = plugins.load("sinks", kind)(spec, self._tools)
        except Exception:
            _log.exception("sink %s cannot be built", name)
            return
        kinds = ("spans",) if isinstance(spec, TracingSpec) else ("audit", "access")
        shipper = Shipper(name, sink, kinds, self.directory, self._tools)
        self._specs[name] = spec
        self._shippers[name] = shipper
        self._tasks[name] = asyncio.create_task(shipper.run(), name=name)

    async def _end(self, name: str) -> None:
        """Let a sink finish between two batches, so that nothing that was delivered is delivered again."""
        task = self._tasks[name]
        self._shippers[name].end()
        await asyncio.wait([task], timeout=DRAIN_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _stop(self, name: str) -> None:
        await self._end(name)
        del self._tasks[name], self._specs[name]
        await self._shippers.pop(name).close()


def _wanted(observability: ObservabilitySpec) -> dict[str, SinkSpec | TracingSpec]:
    """Sinks by a name that stays the same for the same destination, whatever its credentials."""
    wanted: dict[str, SinkSpec | TracingSpec] = {}
    if observability.logging.enabled:
        for sink in observability.logging.sinks:
            where = f"{sink.path}\n{sink.endpoint}\n{sink.index}"
            wanted[_name(sink.type, where)] = sink
    tracing = observability.tracing
    if tracing.enabled and tracing.endpoint:
        wanted[_name(f"otlp_{tracing.protocol}", tracing.endpoint)] = tracing
    return wanted


def _name(kind: str, where: str) -> str:
    return f"{kind}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"


def _report(shipper: Shipper) -> dict[str, Any]:
    return {"delivered": shipper.delivered, "refused": shipper.refused, "error": shipper.error}


def _backoff_s(failures: int) -> float:
    """Exponential, with jitter over the upper half, so that many gateways do not return to a collector at once."""
    return min(MAX_BACKOFF_S, POLL_S * 2.0 ** min(failures, 12)) * random.uniform(0.5, 1.0)  # noqa: S311


class Feed(Protocol):
    """Where configurations come from."""

    reread: asyncio.Event
    """Set by SIGHUP: give the current configuration again."""

    async def next(self) -> ObservabilitySpec | None:
        """The next configuration; None when there will be no more, which ends the exporter."""
        ...


class SpecFeed:
    """An `ObservabilitySpec` in JSON from an inherited descriptor, or from a file that is looked at."""

    def __init__(self, source: str) -> None:
        self._fd = int(source) if source.isdigit() else -1
        self._path = Path(source)
        self._stamp: tuple[int, int] | None = None
        self._buffer = b""
        self.reread = asyncio.Event()

    async def next(self) -> ObservabilitySpec | None:
        """The next configuration; None when the other end of the descriptor has gone. A file may come later."""
        return await (self._from_descriptor() if self._fd >= 0 else self._from_file())

    async def _from_descriptor(self) -> ObservabilitySpec | None:
        os.set_blocking(self._fd, False)
        while b"\n" not in self._buffer:
            try:
                data = os.read(self._fd, 65_536)
            except BlockingIOError:
                await _readable(self._fd)
                continue
            if not data:
                return None
            self._buffer += data
        complete, _, self._buffer = self._buffer.rpartition(b"\n")
        return _decode(complete.rpartition(b"\n")[2])

    async def _from_file(self) -> ObservabilitySpec:
        while True:
            with contextlib.suppress(FileNotFoundError):
                status = self._path.stat()
                stamp = (status.st_mtime_ns, status.st_ino)
                if stamp != self._stamp or self.reread.is_set():
                    self._stamp = stamp
                    self.reread.clear()
                    return _decode(self._path.read_bytes())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.reread.wait(), 1.0)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


async def run(state_dir: Path, feed: Feed) -> None:
    """Export until SIGTERM, SIGINT, or the end of the feed; then drain."""
    exporter = Exporter(state_dir)
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, feed.reread.set)
    tasks = [asyncio.create_task(_follow(feed, exporter, ending)), asyncio.create_task(_tidy(exporter))]
    await ending.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await exporter.drain()


async def _follow(feed: Feed, exporter: Exporter, ending: asyncio.Event) -> None:
    while True:
        try:
            observability = await feed.next()
        except msgspec.DecodeError as exc:  # names fields, never values
            _log.error("the configuration is not an ObservabilitySpec, the one before stays: %s", exc)
            continue
        if observability is None:
            ending.set()
            return
        await exporter.apply(observability)


async def _tidy(exporter: Exporter) -> None:
    while True:
        await asyncio.sleep(1.0)
        try:
            exporter.tidy()
        except OSError as exc:
            _log.warning("the spool cannot be tidied: %s", exc.strerror)


def _lock(directory: Path) -> int:
    """Be the only exporter of this directory; one that is just ending is waited for. Raises SystemExit."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory / "exporter.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise SystemExit(f"another exporter serves {directory}") from None
            time.sleep(0.1)


class _JsonLines(logging.Formatter):
    """This process's own messages, in the same form as the records it carries."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object per line."""
        line = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the process."""
    parser = argparse.ArgumentParser(
        prog="heddle-exporter", description="Ship traces and records of a state directory."
    )
    parser.add_argument("--state", type=Path, required=True, help="state directory of the gateway")
    parser.add_argument("--config", required=True, help="descriptor or file with an ObservabilitySpec in JSON")
    options = parser.parse_args(arguments)
    serve(options.state, SpecFeed(options.config))


def serve(state_dir: Path, feed: Feed) -> None:
    """Be the exporter of a state directory until told to end. Raises SystemExit when there is another."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    lock = _lock(state_dir / "spool")
    try:
        asyncio.run(run(state_dir, feed))
    finally:
        os.close(lock)


if __name__ == "__main__":
    main()
