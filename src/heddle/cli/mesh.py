"""`heddle up`: everything on one machine, started, watched and ended together.

The parent of all processes. It reads configuration, hands snapshots to the supervisor, serves administration, and
reloads on SIGHUP or when a file changes: a valid change is swapped in, an invalid one is reported and the old runs on.
"""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from heddle import __version__
from heddle.cli.announce import announcement
from heddle.controlplane.describe import describe
from heddle.controlplane.load import Loaded, load
from heddle.dataplane.admin import AdminServer, Sources, write_token
from heddle.dataplane.sockets import BindError
from heddle.dataplane.supervisor import SnapshotRefusedError, Supervisor
from heddle.drivers.counters.shared import CounterFile, prepare
from heddle.model.snapshot import AdminSpec, ObservabilitySpec, Snapshot
from heddle.telemetry import names
from heddle.telemetry.exposition import render
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.spool import direct_file

SERVED = frozenset({"HTTP"})
EXPORTER_GRACE_S = 8.0
"""How long the exporter may go on delivering when the mesh ends; what is left waits in the spool."""
ORPHANS_S = 10.0
"""How long a start waits for workers whose parent was killed; they give their calls five seconds."""
POLL_S = 0.5
"""How often configuration files are looked at; a change is served within about twice this."""


class StartError(Exception):
    """The mesh cannot start; the message says why and what to do."""


@dataclass
class Settings:
    """What the command line decided."""

    paths: list[Path]
    state_dir: Path
    workers: int
    grace_s: float
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    tour: bool = False
    """Print what to try next."""
    demo_key: str = ""
    """The generated key of the embedded configuration, to be shown; empty with a configuration of one's own."""
    export: bool = True
    """Ship traces and records to the configured sinks; off for a bare gateway whose exporter runs elsewhere."""


class StateLock:
    """One mesh per state directory."""

    def __init__(self, state_dir: Path) -> None:
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = (state_dir / "lock").open("a+")
        except OSError as exc:
            raise StartError(f"state directory {state_dir}: {exc.strerror}; choose another with --state") from exc
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.seek(0)
            owner = self._file.read().strip() or "another process"
            raise StartError(
                f"state directory {state_dir} is in use by {owner}; stop it or choose another with --state"
            ) from exc
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()}")
        self._file.flush()


class Exporter:
    """The process that ships records; started with the first configuration that gives it something to do."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._process: asyncio.subprocess.Process | None = None
        self._sent: ObservabilitySpec | None = None

    async def apply(self, observability: ObservabilitySpec) -> None:
        """Make it follow a configuration."""
        alive = self._process is not None and self._process.returncode is None
        if alive and observability == self._sent:
            return
        if not alive:
            if not needs_exporter(observability):
                return
            self._process = await self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(observability) + b"\n")
        self._sent = observability

    async def revive(self) -> None:
        """Start it again if it died: it continues where it was."""
        if self._process is not None and self._process.returncode is not None and self._sent is not None:
            await self.apply(self._sent)

    async def _start(self) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "heddle.dataplane.exporter", "--state", str(self._state_dir), "--config", "0"]
        return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)

    async def stop(self) -> None:
        """Let it deliver what is there, then end it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(EXPORTER_GRACE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Mesh:
    """A running mesh."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._supervisor = Supervisor(settings.state_dir, settings.workers, SERVED)
        self._loaded: Loaded | None = None
        self._rejected: str = ""
        self._started_s = time.time()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._admin: AdminServer | None = None
        self._exporter = Exporter(settings.state_dir)

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the process's exit status. Raises StartError."""
        settings = self._settings
        lock = StateLock(settings.state_dir)
        counters = await self._counters()
        metrics = self._fresh_metrics()
        self._supervisor.on_restart = lambda: metrics.counter(names.WORKER_RESTARTS).add()
        self._install_signals()
        await self._supervisor.start()
        try:
            await self._first()
            await self._serve(counters, metrics)
        finally:
            if self._admin is not None:
                await self._admin.stop()
            await self._supervisor.stop(settings.grace_s)
            await self._exporter.stop()
            counters.close()
            del lock
        return 0

    async def _counters(self) -> CounterFile:
        """The table of limits, once nobody else writes to it. Raises StartError.

        The workers of a parent that was killed finish their calls first: whoever starts in its place waits for them.
        """
        path, until_s, told = self._settings.state_dir / "limits.bin", time.monotonic() + ORPHANS_S, False
        while True:
            try:
                return prepare(path, self._settings.workers)
            except BlockingIOError as exc:
                if time.monotonic() > until_s:
                    raise StartError(f"{path} is in use by workers of an earlier run; end them, and try again") from exc
            except OSError as exc:
                raise StartError(f"{path}: {exc.strerror or exc}") from exc
            if not told:
                told = True
                self._report("waiting for the workers of an earlier run to finish their calls")
            await asyncio.sleep(0.1)

    def _fresh_metrics(self) -> Metrics:
        """The parent's own counters. Those of an earlier run go: a restart resets counters, as Prometheus expects."""
        for stale in self._settings.state_dir.glob("metrics-*.bin"):
            stale.unlink()
        return Metrics(self._settings.state_dir / "metrics-parent.bin")

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    async def _first(self) -> None:
        """Load, apply and announce the first configuration. Raises StartError."""
        loaded = load(self._settings.paths, environ=self._settings.environ)
        self._show(loaded)
        snapshot = loaded.snapshot
        if snapshot is None:
            raise StartError("the configuration has errors; nothing was started")
        try:
            await self._supervisor.apply(snapshot)
            self._admin = await self._serve_admin(snapshot.admin)
        except (BindError, SnapshotRefusedError) as exc:
            raise StartError(str(exc)) from exc
        self._loaded = loaded
        if self._settings.export:
            await self._exporter.apply(snapshot.observability)
        self._announce(snapshot)

    async def _serve_admin(self, spec: AdminSpec) -> AdminServer:
        sources = Sources(self._ready, lambda: render(self._settings.state_dir), self._config)
        server = AdminServer(spec, write_token(self._settings.state_dir), sources)
        await server.start()
        return server

    async def _serve(self, counters: CounterFile, metrics: Metrics) -> None:
        """Watch until told to stop."""
        seen = self._fingerprint()
        stop = asyncio.ensure_future(self._stop.wait())
        while not stop.done():
            await asyncio.wait([stop], timeout=POLL_S)
            counters.flush()
            await self._exporter.revive()
            current = self._fingerprint()
            if self._reload.is_set() or current != seen:
                self._reload.clear()
                seen = current
                await self._reconfigure(metrics)
        self._report("stopping: finishing what is under way")

    async def _reconfigure(self, metrics: Metrics) -> None:
        loaded = load(self._settings.paths, environ=self._settings.environ)
        self._show(loaded)
        self._rejected = await self._try(loaded)
        metrics.counter(names.CONFIG_RELOADS, result="rejected" if self._rejected else "applied").add(1)
        if self._rejected:
            self._report(f"reload rejected, the old configuration runs on: {self._rejected}")
        elif loaded.snapshot is not None:
            self._report(f"reloaded: version {loaded.snapshot.version}")

    async def _try(self, loaded: Loaded) -> str:
        """Apply; the reason why not, empty when it runs."""
        snapshot = loaded.snapshot
        if snapshot is None:
            return "; ".join(problem.line_text() for problem in loaded.problems if problem.severity == "error")
        current = self._supervisor.snapshot
        if current is not None and current.version == snapshot.version:
            return ""
        if current is not None and current.admin != snapshot.admin:
            self._report("admin: a changed address is used from the next start")
        try:
            await self._supervisor.apply(snapshot)
        except (BindError, SnapshotRefusedError) as exc:
            return str(exc)
        self._loaded = loaded
        if self._settings.export:
            await self._exporter.apply(snapshot.observability)
        return ""

    def _fingerprint(self) -> tuple[object, ...]:
        """What changes when any file that configuration was read from changes."""
        watched = self._loaded.files if self._loaded is not None else ()
        return tuple(_stamp(path) for path in (*self._settings.paths, *watched))

    def _show(self, loaded: Loaded) -> None:
        for problem in loaded.problems:
            self._report(problem.line_text())

    def _announce(self, snapshot: Snapshot) -> None:
        for text in announcement(self._settings, snapshot, self._supervisor.addresses(), self._admin_address()):
            self._report(text)

    def _admin_address(self) -> tuple[str, int]:
        assert self._admin is not None
        return self._admin.address

    def _ready(self) -> tuple[bool, str]:
        if self._stop.is_set():
            return False, "stopping"
        if not self._supervisor.ready():
            return False, "workers are starting"
        return True, "ready"

    def _config(self) -> dict[str, object]:
        snapshot = self._supervisor.snapshot
        return {
            "heddle": __version__,
            "version": snapshot.version if snapshot else "",
            "rejected": self._rejected,
            "workers": self._supervisor.pids,
            "restarts": self._supervisor.restarts,
            "uptime_s": round(time.time() - self._started_s, 1),
            "problems": [problem.line_text() for problem in self._loaded.problems] if self._loaded else [],
            "snapshot": describe(snapshot) if snapshot else None,
        }


def needs_exporter(observability: ObservabilitySpec) -> bool:
    """Whether anything must be carried out of the state directory. A single log file is written by the workers."""
    logging, tracing = observability.logging, observability.tracing
    shipped = logging.enabled and bool(logging.sinks) and not direct_file(logging)
    return shipped or (tracing.enabled and bool(tracing.endpoint))


def _stamp(path: Path) -> tuple[object, ...]:
    """What changes when a file, or a folder's list of files, changes."""
    try:
        status = path.stat()
        inside = sorted(path.glob("*.y*ml")) if path.is_dir() else ()
    except OSError:
        return (path, None)
    return (path, status.st_mtime_ns, status.st_size, status.st_ino, *(_stamp(file) for file in inside))
