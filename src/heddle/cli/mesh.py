"""`heddle up`: everything on one machine, started, watched and ended together.

The parent of all processes. It reads configuration, hands snapshots to the supervisor, serves administration, and
reloads on SIGHUP or when a file changes: a valid change is swapped in, an invalid one is reported and the old runs on.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from heddle import __version__, plugins
from heddle.cli.announce import announcement
from heddle.cli.books import Books
from heddle.cli.exporting import Export, ExporterFile, ExporterProcess
from heddle.cli.keyring import open_keys
from heddle.cli.plane import Beside, Elsewhere, Plane
from heddle.cli.state import StartError, StateLock, refusal
from heddle.cli.stdio import StdioHost
from heddle.cli.toolservers import target_states
from heddle.cli.watch import Watch
from heddle.controlplane.describe import describe
from heddle.controlplane.keys import Keys
from heddle.controlplane.load import Loaded, load
from heddle.dataplane.admin import AdminServer, Sources, write_token
from heddle.dataplane.admin_tools import ToolDecisions
from heddle.dataplane.sockets import BindError
from heddle.dataplane.subscription.client import RejectedError
from heddle.dataplane.supervisor import SnapshotRefusedError, Supervisor
from heddle.drivers.approvals import FILE as APPROVALS
from heddle.drivers.counters.shared import CounterFile, prepare
from heddle.model.snapshot import SERVED_PROTOCOLS, AdminSpec, Snapshot
from heddle.telemetry import names
from heddle.telemetry.exposition import render, total
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.spool import Spool

PARENT_SLOT = 1_000
"""Under which the parent writes its own audit records: no worker has it."""
ORPHANS_S = 10.0
"""How long a start waits for workers whose parent was killed; they give their calls five seconds."""
POLL_S = 0.5
"""How often configuration files are looked at; a change is served within about twice this."""


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
    mcp_json: Path | None = None
    """Tool servers as editors keep them, beside the configuration."""
    plane: Elsewhere | Beside | None = None
    """The control plane that says what runs; None is that the files do."""
    export: bool = True
    """Ship traces and records to the configured sinks; off for a bare gateway whose exporter runs elsewhere."""


class Mesh:
    """A running mesh."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        finds = settings.plane is not None
        self._supervisor = Supervisor(settings.state_dir, settings.workers, SERVED_PROTOCOLS, finds=finds)
        self._loaded: Loaded | None = None
        self._rejected: str = ""
        self._started_s = time.time()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._admin: AdminServer | None = None
        self._exporter: Export | None = None
        self._books: Books | None = None
        self._stdio = StdioHost(settings.state_dir, settings.environ)
        self._keys: Keys
        """Set once the state directory is ours."""
        approvals = settings.state_dir / APPROVALS
        self._decisions = ToolDecisions(lambda: plugins.load("approvals", "sqlite")(approvals), self._targets)
        self._watch = Watch(settings.paths)
        where = settings.plane
        self._plane = Plane(where, settings.state_dir, self._take, report) if where is not None else None
        self._changing = asyncio.Lock()
        """Files and the control plane may have news at the same time."""
        self._spool = Spool(settings.state_dir / "spool", PARENT_SLOT)

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the process's exit status. Raises StartError."""
        settings = self._settings
        lock = StateLock(settings.state_dir)
        store, self._keys = open_keys(settings.state_dir, self._supervisor)
        counters = await self._counters()
        try:
            metrics = self._fresh_metrics()
            self._books = Books(settings.state_dir, settings.workers, self._spool.audit)
            self._books.keys = self._keys.budgets
            exporter = self._exporter = (ExporterProcess if settings.export else ExporterFile)(settings.state_dir)
        except OSError as exc:
            raise refusal(settings.state_dir, exc) from exc
        self._supervisor.on_restart = lambda: metrics.counter(names.WORKER_RESTARTS).add()
        self._install_signals()
        await self._supervisor.start()
        try:
            await self._first()
            await self._serve(exporter, counters, metrics)
        finally:
            if self._plane is not None:
                await self._plane.stop()
            if self._admin is not None:
                await self._admin.stop()
            await self._supervisor.stop(settings.grace_s)
            await self._stdio.stop()
            if self._books is not None:
                self._books.close()
            self._spool.close()
            self._decisions.close()
            await exporter.stop()
            counters.close()
            store.close()
            lock.release()
        return 0

    async def _counters(self) -> CounterFile:
        """The table of limits, once nobody else writes to it. Raises StartError.

        The workers of a parent that was killed finish their calls first: whoever starts in its place waits for them.
        """
        path, until_s, told = self._settings.state_dir / "limits.bin", time.monotonic() + ORPHANS_S, False
        while True:
            try:
                return prepare(path, self._settings.workers + 1)  # one for the parent itself
            except BlockingIOError as exc:
                if time.monotonic() > until_s:
                    raise StartError(f"{path} is in use by workers of an earlier run; end them, and try again") from exc
            except OSError as exc:
                raise refusal(self._settings.state_dir, exc) from exc
            if not told:
                told = True
                self._report("waiting for the workers of an earlier run to finish their calls")
            await asyncio.sleep(0.1)

    def _fresh_metrics(self) -> Metrics:
        """The parent's own counters. Those of an earlier run go: a restart resets counters, as Prometheus expects."""
        for stale in self._settings.state_dir.glob("metrics-*.bin"):
            stale.unlink()
        metrics = Metrics(self._settings.state_dir / "metrics-parent.bin")
        metrics.gauge(names.BUILD_INFO, version=__version__).set(1)
        return metrics

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _told_to_stop(self) -> None:
        """Stop; told again, do not wait for anything."""
        if self._stop.is_set():
            self._report("stopping now")
            self._supervisor.hurry()
            self._stdio.hurry()
            if self._plane is not None:
                self._plane.hurry()
            if self._exporter is not None:
                self._exporter.hurry()
        self._stop.set()

    def _load(self) -> Loaded:
        settings = self._settings
        loaded = load(settings.paths, environ=settings.environ, mcp_json=settings.mcp_json)
        self._watch.follow(loaded.files)
        self._show(loaded)
        return loaded

    async def _first(self) -> None:
        """Run and announce the first configuration. Raises StartError."""
        plane = self._plane
        if plane is not None and plane.is_elsewhere:
            await plane.begin(self._stop)
            return
        self._loaded = loaded = self._load()
        snapshot = loaded.snapshot
        if snapshot is None:
            raise StartError("the configuration has errors; nothing was started")
        if plane is not None:
            plane.declare(snapshot)
        if plane is None or not await plane.resume():
            why = await self._run(snapshot)
            if why:
                raise StartError(why)
            self._audit("applied", snapshot)
            self._announce(snapshot)
        if plane is not None:
            plane.start()

    async def _take(self, snapshot: Snapshot) -> Mapping[str, str]:
        """Run what the control plane says; listeners that cannot be had, and why. Raises RejectedError."""
        supervisor, current = self._supervisor, self._supervisor.snapshot
        if current is not None and msgspec.structs.replace(snapshot, version=current.version) == current:
            return {}
        self._rejected = why = await self._run(snapshot, partly=True)
        if why or supervisor.snapshot is not current:
            self._audit("rejected" if why else "applied", snapshot, why)
        if why:
            raise RejectedError(why)
        if current is None:
            self._announce(snapshot)
        elif supervisor.snapshot is not current:
            self._report(f"reloaded: version {snapshot.version}")
        return supervisor.lacks

    async def _run(self, snapshot: Snapshot, *, partly: bool = False) -> str:
        """Have everything run a snapshot; the reason why not, empty when it does."""
        async with self._changing:
            try:
                await self._apply(snapshot, partly=partly)
            except (BindError, SnapshotRefusedError) as exc:
                return str(exc)
            self._spool.configure(snapshot.observability)
            try:
                if self._admin is None:
                    self._admin = await self._serve_admin(snapshot.admin)
            except BindError as exc:
                return str(exc)
            except OSError as exc:
                return str(refusal(self._settings.state_dir, exc))
            try:
                await self._export(snapshot)
            except OSError as exc:
                self._report(f"the exporter was not told of the new configuration: {exc.strerror}")
        return ""

    async def _apply(self, snapshot: Snapshot, *, partly: bool) -> None:
        """Have every worker run it, its balances being what the ledger knows. Raises what the supervisor raises."""
        assert self._books is not None
        clash = self._keys.clash(snapshot)
        if clash:
            raise SnapshotRefusedError(clash)
        if told := await self._books.prepare(snapshot):
            self._report(told)
        await self._run_tools(snapshot)
        try:
            await self._supervisor.apply(snapshot, partly=partly)
        except (BindError, SnapshotRefusedError):
            await self._run_tools(self._supervisor.snapshot)
            raise
        self._books.follow(snapshot)
        self._keys.follow(snapshot)

    async def _run_tools(self, snapshot: Snapshot | None) -> None:
        """Have the stdio host run what a snapshot declares, before workers send calls there.

        When it cannot, it is tried again; until then calls to those tools fail, and no others.
        """
        if snapshot is None:
            return
        try:
            await self._stdio.apply(snapshot)
        except OSError as exc:
            self._report(f"tool servers that speak over stdio do not run: {exc}")

    async def _serve_admin(self, spec: AdminSpec) -> AdminServer:
        assert self._books is not None
        sources = Sources(self._ready, lambda: render(self._settings.state_dir), self._config, self._spool.audit)
        sources.usage, sources.budgets = self._books.usage, self._books.spent
        sources.keys = self._keys
        sources.tools = self._decisions
        server = AdminServer(spec, write_token(self._settings.state_dir), sources)
        await server.start()
        return server

    async def _export(self, snapshot: Snapshot) -> None:
        if self._exporter is not None:
            await self._exporter.apply(snapshot.observability)

    async def _serve(self, exporter: Export, counters: CounterFile, metrics: Metrics) -> None:
        """Watch until told to stop."""
        stop = asyncio.ensure_future(self._stop.wait())
        while not stop.done():
            await asyncio.wait([stop], timeout=POLL_S)
            counters.flush()
            if self._books is not None:
                self._books.tick()
            self._spool.flush()
            await exporter.revive()
            self._stdio.revive()
            if self._plane is not None:
                self._plane.revive()
            asked, changed = self._reload.is_set(), self._watch.changed()
            if asked or changed:
                self._reload.clear()
                await self._reconfigure(metrics, asked)
        self._report(f"stopping: calls under way have {self._settings.grace_s:g} s; a second signal ends them at once")

    async def _reconfigure(self, metrics: Metrics, asked: bool) -> None:
        if self._plane is not None and self._plane.decides:
            await self._again(self._plane, asked)
            return
        before = self._supervisor.snapshot
        loaded = self._load()
        self._rejected = await self._try(loaded, asked)
        metrics.counter(names.CONFIG_RELOADS, result="rejected" if self._rejected else "applied").add(1)
        self._audit("rejected" if self._rejected else "applied", loaded.snapshot, self._rejected)
        if self._rejected:
            self._report(f"reload rejected, the old configuration runs on: {self._rejected}")
        elif loaded.snapshot is not None:
            unchanged = before is not None and before.version == loaded.snapshot.version
            self._report(f"{'unchanged' if unchanged else 'reloaded'}: version {loaded.snapshot.version}")

    async def _again(self, plane: Plane, asked: bool) -> None:
        """Files changed, or SIGHUP came, while the control plane says what runs: it reads the files itself."""
        if not plane.is_elsewhere:
            loaded = await asyncio.to_thread(load, self._settings.paths, environ=self._settings.environ)
            self._watch.follow(loaded.files)
            if loaded.snapshot is not None:
                plane.declare(loaded.snapshot)
        snapshot = self._supervisor.snapshot
        if asked and snapshot is not None:
            why = await self._run(snapshot)
            self._report(f"not applied again: {why}" if why else f"applied again: version {snapshot.version}")

    def _audit(self, outcome: str, snapshot: Snapshot | None, why: str = "") -> None:
        """Write down what every worker runs from now on, or what none will and why."""
        files = ", ".join(str(path) for path in self._settings.paths) or "control plane"
        resource = f"config:{snapshot.version}" if snapshot is not None else "config"
        self._spool.audit(AuditRecord(kind="config", outcome=outcome, source=files, resource=resource, detail=why))

    async def _try(self, loaded: Loaded, asked: bool) -> str:
        """Apply; the reason why not, empty when it runs. What runs already is applied again only when `asked`."""
        snapshot = loaded.snapshot
        if snapshot is None:
            return "; ".join(problem.line_text() for problem in loaded.problems if problem.severity == "error")
        current = self._supervisor.snapshot
        if current is not None and current.version == snapshot.version and not asked:
            return ""
        if current is not None and current.admin != snapshot.admin:
            self._report("admin: a changed address is used from the next start")
        why = await self._run(snapshot)
        if why:
            return why
        self._loaded = loaded
        if self._plane is not None:
            self._plane.declare(snapshot)
        return ""

    def _show(self, loaded: Loaded) -> None:
        for problem in loaded.problems:
            self._report(problem.line_text())

    def _announce(self, snapshot: Snapshot) -> None:
        for text in announcement(self._settings, snapshot, self._supervisor.addresses(), self._admin_address()):
            self._report(text)

    def _targets(self) -> list[str]:
        snapshot = self._supervisor.snapshot
        return [target.name for target in snapshot.mcp.targets] if snapshot is not None else []

    def _admin_address(self) -> tuple[str, int]:
        assert self._admin is not None
        return self._admin.address

    def _ready(self) -> tuple[bool, str]:
        if self._stop.is_set():
            return False, "stopping"
        if not self._supervisor.ready():
            return False, "workers are starting"
        if self._spool.degraded or total(self._settings.state_dir, names.AUDIT_HELD):
            return False, "audit records cannot be written to the state directory"
        return True, "ready"

    def _config(self) -> dict[str, object]:
        snapshot = self._supervisor.snapshot
        return {
            "heddle": __version__,
            "version": snapshot.version if snapshot else "",
            "rejected": self._rejected,
            "workers": self._supervisor.pids,
            "restarts": self._supervisor.restarts,
            "virtual_keys": len(self._keys),
            "stdio_host": self._stdio.pid,
            "control_plane": self._plane.status() if self._plane is not None else None,
            "mcp_targets": target_states(self._settings.state_dir, snapshot) if snapshot else {},
            "uptime_s": round(time.time() - self._started_s, 1),
            "problems": [problem.line_text() for problem in self._loaded.problems] if self._loaded else [],
            "snapshot": describe(snapshot) if snapshot else None,
        }
