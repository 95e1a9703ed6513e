"""The parent of the gateway: opens sockets, keeps workers alive, hands every one the same snapshot.

It is not on the request path. A worker that dies is replaced at once, with the snapshot the others run; a snapshot that
any worker refuses is taken back from all. Listening sockets live here, so no restart of a worker closes one.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from heddle.dataplane import control, sockets
from heddle.model.snapshot import ListenerSpec, Snapshot

_log = logging.getLogger("heddle.supervisor")

ANSWER_TIMEOUT_S = 30.0
"""How long a worker may take to build a snapshot of any size before it counts as hung."""
RESTART_DELAYS_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Back-off of a worker that keeps dying within a minute."""
_SETTLED_S = 60.0

_encode = msgspec.msgpack.Encoder().encode


class SnapshotRefusedError(Exception):
    """No worker runs the snapshot; the one before stays. The message says why, safely."""


class WorkerProcess:
    """A running worker as its parent sees it."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process, channel: control.Channel) -> None:
        self.slot = slot
        self.process = process
        self.channel = channel
        self.version = ""
        self.keyed = False
        """It knows the virtual keys; from then on it is told what changes."""
        self._turn = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """It has not ended, as far as is known."""
        return self.process.returncode is None

    async def apply(self, message: control.Apply, descriptors: tuple[int, ...]) -> control.Applied | control.Refused:
        """Hand over a snapshot and wait for the verdict. Raises ConnectionError or TimeoutError (gone, or hung)."""
        async with self._turn, asyncio.timeout(ANSWER_TIMEOUT_S):
            await self.channel.send(message, descriptors)
            verdict, _ = await self.channel.receive()
        if isinstance(verdict, control.Applied):
            self.version = verdict.version
            return verdict
        if isinstance(verdict, control.Refused):
            return verdict
        raise ConnectionError("unexpected message on a control channel")

    async def tell(self, keys: control.Keys) -> None:
        """Have it know of virtual keys; it does when this returns. Raises ConnectionError or TimeoutError."""
        async with self._turn, asyncio.timeout(ANSWER_TIMEOUT_S):
            await self.channel.send(keys)
            answer, _ = await self.channel.receive()
        if not isinstance(answer, control.KeysKnown):
            raise ConnectionError("unexpected message on a control channel")
        self.keyed = True


class Supervisor:
    """All workers of one machine."""

    def __init__(self, state_dir: Path, workers: int, served: frozenset[str], *, finds: bool = False) -> None:
        """`finds` has the first worker write down what it finds behind targets."""
        self._state_dir = state_dir
        self._finds = finds
        self._count = workers
        self._served = served
        self._workers: dict[int, WorkerProcess] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._snapshot: Snapshot | None = None
        self._applying = asyncio.Lock()
        self._watchers: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.restarts = 0
        self.lacks: dict[str, str] = {}
        """Listeners that were wanted and are not served as they should be -> why."""
        self.on_restart: Callable[[], None] = lambda: None
        self.keys: Callable[[], control.Keys] | None = None
        """All virtual keys, for workers that know none yet; None where there cannot be any."""

    @property
    def snapshot(self) -> Snapshot | None:
        """What the workers run; None before the first."""
        return self._snapshot

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers, by slot."""
        return [self._workers[slot].process.pid for slot in sorted(self._workers)]

    def ready(self) -> bool:
        """Every worker is alive and runs the current snapshot."""
        if self._snapshot is None or self._stopping:
            return False
        version = self._snapshot.version
        serving = [worker for worker in self._workers.values() if worker.alive and worker.version == version]
        return len(serving) == self._count

    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each served listener of the current snapshot really listens, by name."""
        found = {}
        for spec in self._snapshot.listeners if self._snapshot else ():
            sock = self._sockets.get(sockets.key(spec))
            if sock is not None:
                found[spec.name] = sock.getsockname()[:2]
        return found

    async def start(self) -> None:
        """Start the workers; they load while the caller reads its configuration."""
        for worker in await asyncio.gather(*(self._spawn(slot) for slot in range(self._count))):
            task = asyncio.ensure_future(self._keep_alive(worker))
            self._watchers.add(task)
            task.add_done_callback(self._watchers.discard)

    async def apply(self, snapshot: Snapshot, *, partly: bool = False) -> None:
        """Make every worker run `snapshot`. Raises SnapshotRefusedError or BindError, with the old one running on.

        With `partly`, a listener whose address cannot be had stays as it was, or is left out, and `lacks` says why:
        where many declare listeners, what one of them declares must not keep everybody's changes from being run.
        """
        async with self._applying:
            opened: dict[str, socket.socket] = {}
            lacks: dict[str, str] = {}
            try:
                for spec in self._unbound(snapshot):
                    try:
                        opened[sockets.key(spec)] = self._open(spec)
                    except sockets.BindError as exc:
                        if not partly:
                            raise
                        lacks[spec.name] = str(exc)
                snapshot = self._without(snapshot, lacks) if lacks else snapshot
                self._sockets |= opened
                if not lacks or snapshot is not self._snapshot:
                    await self._apply_everywhere(snapshot)
            except BaseException:
                for key, sock in opened.items():
                    sock.close()
                    self._sockets.pop(key, None)
                raise
            self.lacks = lacks
            self._snapshot = snapshot
            wanted = {sockets.key(spec) for spec in snapshot.listeners if spec.protocol in self._served}
            for key in [key for key in self._sockets if key not in wanted]:
                self._sockets.pop(key).close()

    def _unbound(self, snapshot: Snapshot) -> list[ListenerSpec]:
        """The listeners that a socket is to be opened for."""
        wanted = {sockets.key(spec): spec for spec in snapshot.listeners if spec.protocol in self._served}
        return [spec for key, spec in wanted.items() if key not in self._sockets]

    def _without(self, snapshot: Snapshot, lacks: Collection[str]) -> Snapshot:
        """A snapshot in which listeners that cannot be had are as they were, or are not."""
        before = {spec.name: spec for spec in self._snapshot.listeners} if self._snapshot is not None else {}
        taken = {sockets.key(spec) for spec in snapshot.listeners if spec.name not in lacks}
        listeners = []
        for spec in snapshot.listeners:
            old = before.get(spec.name)
            if spec.name not in lacks:
                listeners.append(spec)
            elif old is not None and sockets.key(old) in self._sockets.keys() - taken:
                listeners.append(old)
        made = msgspec.structs.replace(snapshot, listeners=tuple(listeners))
        return self._snapshot if self._snapshot is not None and made == self._snapshot else made

    async def change_keys(self, change: control.Keys) -> None:
        """Have every worker know a change of virtual keys: when this returns, none serves by what was before.

        A worker that cannot be told is ended. Another takes its place, which starts with all keys as they are then.
        """
        async with self._applying:
            known = [worker for worker in self._workers.values() if worker.keyed and worker.alive]
            await asyncio.gather(*(self._tell(worker, change) for worker in known))

    async def _tell(self, worker: WorkerProcess, change: control.Keys) -> None:
        try:
            await worker.tell(change)
        except (ConnectionError, TimeoutError) as exc:
            _log.error("worker %d was not told of a changed key, and is ended: %s", worker.slot, exc)
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()

    def _open(self, spec: ListenerSpec) -> socket.socket:
        try:
            return sockets.open_listener(f"listener {spec.name}", spec.address, spec.port)
        except sockets.BindError as exc:
            # New sockets are opened before old ones close, so that a refused snapshot changes nothing.
            own = [key for key in self._sockets if spec.port and key.endswith(f":{spec.port}")]
            if not own:
                raise
            hint = f"this mesh listens on {own[0]}, and moving to another address of the same port takes a restart"
            raise sockets.BindError(f"{exc}; {hint}") from exc

    async def _apply_everywhere(self, snapshot: Snapshot) -> None:
        verdicts = await asyncio.gather(*(self._hand_over(worker, snapshot) for worker in self._workers.values()))
        refusals = [verdict for verdict in verdicts if isinstance(verdict, control.Refused)]
        if any(isinstance(verdict, control.Applied) for verdict in verdicts) and not refusals:
            return
        if self._snapshot is not None:
            old = self._snapshot
            await asyncio.gather(*(self._hand_over(worker, old) for worker in self._workers.values()))
        raise SnapshotRefusedError(refusals[0].reason if refusals else "every worker died or hung while building it")

    async def _hand_over(self, worker: WorkerProcess, snapshot: Snapshot) -> control.Applied | control.Refused | None:
        served = [spec for spec in snapshot.listeners if spec.protocol in self._served]
        bound = {sockets.key(spec): self._sockets[sockets.key(spec)] for spec in served}
        message = control.Apply(_encode(snapshot), tuple(bound), self._finds and worker.slot == 0)
        try:
            if self.keys is not None and not worker.keyed:
                await worker.tell(self.keys())
            return await worker.apply(message, tuple(sock.fileno() for sock in bound.values()))
        except (ConnectionError, TimeoutError) as exc:
            _log.error(
                "worker %d did not take snapshot %s: %s", worker.slot, snapshot.version, exc or type(exc).__name__
            )
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()  # its watcher starts another, which gets the current snapshot
            return None

    async def _spawn(self, slot: int) -> WorkerProcess:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-m", "heddle.dataplane.worker", "--slot", str(slot)]
        command += ["--control", str(theirs.fileno()), "--state", str(self._state_dir)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, env=child_environment()
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = self._workers[slot] = WorkerProcess(slot, process, control.Channel(ours))
        return worker

    async def _keep_alive(self, worker: WorkerProcess) -> None:
        """Replace the worker of one slot whenever it ends, until the supervisor stops."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            born = loop.time()
            code = await worker.process.wait()
            worker.channel.close()
            if self._stopping:
                return
            deaths = deaths + 1 if loop.time() - born < _SETTLED_S else 0
            _log.warning("worker %d (pid %d) ended with %d; another starts", worker.slot, worker.process.pid, code)
            if not await self._pause(RESTART_DELAYS_S[min(max(deaths - 1, 0), len(RESTART_DELAYS_S) - 1)]):
                return
            self.restarts += 1
            self.on_restart()
            replacement = await self._respawn(worker.slot)
            if replacement is None:
                return
            worker = replacement
            await self._bring_up(worker)

    async def _bring_up(self, worker: WorkerProcess) -> None:
        """Hand a new worker the current snapshot, until it takes it or ends.

        What the others run can be refused by a newcomer: a certificate is being replaced, a file cannot be read for a
        moment. That passes, and without another attempt the slot would be empty until the configuration changes.
        """
        refusals = 0
        while worker.alive and not self._stopping:
            async with self._applying:
                snapshot = self._snapshot
                if snapshot is None or worker.version == snapshot.version:
                    return
                verdict = await self._hand_over(worker, snapshot)
            if not isinstance(verdict, control.Refused):
                return
            refusals += 1
            pause_s = RESTART_DELAYS_S[min(refusals, len(RESTART_DELAYS_S) - 1)]
            _log.error("worker %d refuses what runs, trying again in %g s: %s", worker.slot, pause_s, verdict.reason)
            await asyncio.sleep(pause_s)

    async def _respawn(self, slot: int) -> WorkerProcess | None:
        """Start another worker, trying for as long as the system has no room for one; None when stopping."""
        failures = 0
        while True:
            try:
                worker = await self._spawn(slot)
            except OSError as exc:
                # Out of processes, memory or descriptors: that passes, and a slot given up would stay empty for good.
                failures += 1
                pause_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)]
                _log.error("worker %d cannot be started, trying again in %g s: %s", slot, pause_s, exc.strerror or exc)
                if not await self._pause(pause_s):
                    return None
                continue
            if not self._stopping:
                return worker
            # `stop` looked at the slot before this one was in it; without its channel it ends by itself.
            worker.channel.close()
            return None

    async def _pause(self, pause_s: float) -> bool:
        """Wait; False when it is not worth going on, because everything is stopping."""
        await asyncio.sleep(pause_s)
        return not self._stopping

    async def stop(self, grace_s: float) -> None:
        """Let every worker finish what it is doing for at most `grace_s`, then end it."""
        self._stopping = True
        for sock in self._sockets.values():
            sock.close()
        for worker in self._workers.values():
            with contextlib.suppress(ConnectionError, OSError):
                await worker.channel.send(control.Drain(grace_s))
        await asyncio.gather(*(self._end(worker, grace_s + 2.0) for worker in self._workers.values()))

    def hurry(self) -> None:
        """While stopping: end what is still under way now."""
        for worker in self._workers.values():
            task = asyncio.ensure_future(_cut_short(worker))
            self._watchers.add(task)
            task.add_done_callback(self._watchers.discard)

    async def _end(self, worker: WorkerProcess, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await worker.process.wait()
        except TimeoutError:
            _log.warning("worker %d did not end in time; killed", worker.slot)
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()
        worker.channel.close()


async def _cut_short(worker: WorkerProcess) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        await worker.channel.send(control.Drain(0.0))


_KEPT = (
    *("PATH", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)


def child_environment() -> dict[str, str]:
    """What workers and the exporter need of the environment, and no secrets: those arrive in what they are told."""
    allowed = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kubernetes = {name: value for name, value in os.environ.items() if name.startswith("KUBERNETES_SERVICE_")}
    return allowed | kubernetes | {"PYTHONUNBUFFERED": "1"}
