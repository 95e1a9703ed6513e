"""The parent's view of its workers: when it may say ready, and that no slot is ever given up."""

import asyncio
import errno
import os
import socket
from pathlib import Path

import msgspec
import pytest

from heddle.dataplane import control, supervisor
from heddle.dataplane.sockets import BindError
from heddle.dataplane.supervisor import Supervisor
from heddle.model.snapshot import ListenerSpec, Snapshot


class Process:
    """A worker that takes every snapshot; it ends when the test says so, or when its channel closes."""

    def __init__(self, fd: int) -> None:
        self.pid = 4_000_000 + fd
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._channel = control.Channel(socket.socket(fileno=os.dup(fd)))
        self._task = asyncio.ensure_future(self._serve())

    async def _serve(self) -> None:
        try:
            while True:
                message, listening = await self._channel.receive()
                for one in listening:
                    os.close(one)
                if isinstance(message, control.Drain):
                    break
                assert isinstance(message, control.Apply)
                version = msgspec.msgpack.decode(message.snapshot)["version"]
                await self._channel.send(control.Applied(version))
        except ConnectionError:
            pass
        self.end(0)

    def end(self, code: int) -> None:
        self.returncode = code
        self._channel.close()
        self._ended.set()

    def kill(self) -> None:
        self._task.cancel()
        self.end(-9)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class Machine:
    """Starts processes, or fails to as often as it is told."""

    def __init__(self) -> None:
        self.started: list[Process] = []
        self.failures: list[OSError] = []

    async def exec(self, *command: str, pass_fds: list[int], **_: object) -> Process:
        if self.failures:
            raise self.failures.pop()
        self.started.append(Process(pass_fds[0]))
        return self.started[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", made.exec)
    return made


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def started(tmp_path: Path, workers: int = 1) -> Supervisor:
    made = Supervisor(tmp_path, workers, frozenset({"HTTP"}))
    await made.start()
    await made.apply(Snapshot(version="v1"))
    return made


async def test_a_dead_worker_is_not_a_ready_one(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.2,))
    mesh = await started(tmp_path, workers=2)
    assert mesh.ready()
    machine.started[0].kill()
    assert not mesh.ready(), "its version is still the current one, but nobody serves it"
    await until(mesh.ready)
    assert len(machine.started) == 3
    await mesh.stop(1.0)


async def test_a_slot_is_filled_again_however_often_starting_fails(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.0, 0.01))
    mesh = await started(tmp_path)
    open_files = len(os.listdir("/proc/self/fd"))
    machine.failures = [OSError(errno.EAGAIN, "Resource temporarily unavailable") for _ in range(3)]
    machine.started[0].kill()
    await until(lambda: len(machine.started) == 2)
    await until(mesh.ready)
    assert caplog.text.count("cannot be started") == 3
    assert len(os.listdir("/proc/self/fd")) == open_files, "a failed start leaves no socket behind"
    await mesh.stop(1.0)


async def test_stopping_ends_the_attempts(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.0, 0.01))
    mesh = await started(tmp_path)
    machine.failures = [OSError(errno.EMFILE, "Too many open files") for _ in range(100_000)]
    machine.started[0].kill()
    await until(lambda: len(machine.failures) < 100_000)
    await mesh.stop(1.0)
    await until(lambda: not mesh._watchers)
    assert len(machine.started) == 1


def snapshot(version: str, **ports: int) -> Snapshot:
    listeners = [ListenerSpec(name=one, address="127.0.0.1", port=port, protocol="HTTP") for one, port in ports.items()]
    return Snapshot(version=version, listeners=tuple(listeners))


async def test_a_listener_that_cannot_be_had_keeps_nothing_else_from_running(tmp_path: Path, machine: Machine):
    mesh = await started(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, other = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        wanted = snapshot("v2", good=other, bad=port)
        with pytest.raises(BindError):
            await mesh.apply(wanted)
        assert mesh.addresses() == {}
        await mesh.apply(wanted, partly=True)
        assert (list(mesh.addresses()), list(mesh.lacks), mesh.ready()) == (["good"], ["bad"], True)
        assert f"cannot listen on 127.0.0.1:{port}" in mesh.lacks["bad"]
        runs = mesh.snapshot
        await mesh.apply(wanted, partly=True)
        assert mesh.snapshot is runs, "a further attempt that changes nothing disturbs nobody"
        await mesh.apply(snapshot("v3", good=port), partly=True)
        assert mesh.addresses() == {"good": ("127.0.0.1", other)}, "it moves only where it can"
        assert list(mesh.lacks) == ["good"]
    await mesh.apply(wanted, partly=True)
    assert (sorted(mesh.addresses()), mesh.lacks) == (["bad", "good"], {})
    await mesh.stop(1.0)
