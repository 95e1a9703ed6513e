"""`heddle up`: everything on one machine, started, watched and ended together.

The parent of all processes. It reads configuration, hands snapshots to the supervisor, serves administration, and
reloads on SIGHUP or when a file changes: a valid change is swapped in, an invalid one is reported and the old one runs on.
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

from heddle import __version__
from heddle.controlplane.describe import describe
from heddle.controlplane.load import Loaded, Problem, load
from heddle.dataplane.admin import AdminServer, Sources, write_token
from heddle.dataplane.sockets import BindError
from heddle.dataplane.supervisor import SnapshotRefused, Supervisor
from heddle.drivers.counters.shared import SharedCounters
from heddle.model.snapshot import AdminSpec, Snapshot
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics, render

SERVED = frozenset({"HTTP"})
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
            raise StartError(f"state directory {state_dir} is in use by {owner}; stop it or choose another with --state") from exc
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()}")
        self._file.flush()


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

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the process's exit status. Raises StartError."""
        settings = self._settings
        lock = StateLock(settings.state_dir)
        counters = SharedCounters.prepare(settings.state_dir / "limits.bin")
        metrics = self._fresh_metrics()
        self._supervisor.on_restart = lambda slot: metrics.counter(names.WORKER_RESTARTS).add(1)
        self._install_signals()
        await self._supervisor.start()
        try:
            await self._first(metrics)
            await self._serve(counters, metrics)
        finally:
            if self._admin is not None:
                await self._admin.stop()
            await self._supervisor.stop(settings.grace_s)
            counters.flush()
            del lock
        return 0

    def _fresh_metrics(self) -> Metrics:
        """The parent's own counters, and an end to those of an earlier run: a restart resets counters, as Prometheus expects."""
        for stale in self._settings.state_dir.glob("metrics-*.bin"):
            stale.unlink()
        return Metrics(self._settings.state_dir / "metrics-parent.bin")

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    async def _first(self, metrics: Metrics) -> None:
        """Load, apply and announce the first configuration. Raises StartError."""
        loaded = load(self._settings.paths, environ=self._settings.environ)
        self._print(loaded.problems)
        snapshot = loaded.snapshot
        if snapshot is None:
            raise StartError("the configuration has errors; nothing was started")
        try:
            await self._supervisor.apply(snapshot)
            self._admin = await self._serve_admin(snapshot.admin, metrics)
        except (BindError, SnapshotRefused) as exc:
            raise StartError(str(exc)) from exc
        self._loaded = loaded
        await self._export(snapshot)
        self._announce(snapshot)

    async def _serve_admin(self, spec: AdminSpec, metrics: Metrics) -> AdminServer:
        del metrics
        sources = Sources(self._ready, lambda: render(self._settings.state_dir), self._config)
        server = AdminServer(spec, write_token(self._settings.state_dir), sources)
        await server.start()
        return server

    async def _serve(self, counters: SharedCounters, metrics: Metrics) -> None:
        """Watch until told to stop."""
        seen = self._fingerprint()
        stop = asyncio.ensure_future(self._stop.wait())
        while not stop.done():
            await asyncio.wait([stop], timeout=POLL_S)
            counters.flush()
            current = self._fingerprint()
            if self._reload.is_set() or current != seen:
                self._reload.clear()
                seen = current
                await self._reconfigure(metrics)
        self._report("stopping: finishing what is under way")

    async def _reconfigure(self, metrics: Metrics) -> None:
        loaded = load(self._settings.paths, environ=self._settings.environ)
        self._print(loaded.problems)
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
        except (BindError, SnapshotRefused) as exc:
            return str(exc)
        self._loaded = loaded
        await self._export(snapshot)
        return ""

    def _fingerprint(self) -> tuple[object, ...]:
        """What changes when any file that configuration was read from changes."""
        watched = self._loaded.files if self._loaded is not None else ()
        return tuple(_stamp(path) for path in (*self._settings.paths, *watched))

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
