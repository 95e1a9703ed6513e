"""How workers learn of virtual keys: all before their first snapshot, each change before it is acknowledged."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.unit.dataplane import test_supervisor as base
from tests.unit.dataplane.test_supervisor import until

from heddle.dataplane import control, supervisor
from heddle.dataplane.supervisor import Supervisor
from heddle.model.snapshot import Snapshot
from heddle.model.virtual_keys import VirtualKey
from heddle.pipeline.keyring import Keyring

ONE, TWO = VirtualKey(id="key-1", secrets=()), VirtualKey(id="key-2", secrets=())


class Process(base.Process):
    """A worker that keeps keys; a deaf one answers no change."""

    def __init__(self, fd: int) -> None:
        self.ring = Keyring()
        self.heard: list[str] = []
        self.deaf = False
        super().__init__(fd)

    async def _serve(self) -> None:
        try:
            while True:
                message, _ = await self._channel.receive()
                if isinstance(message, control.Drain):
                    break
                if isinstance(message, control.Apply):
                    version = msgspec.msgpack.decode(message.snapshot)["version"]
                    self.heard.append(version)
                    await self._channel.send(control.Applied(version))
                elif isinstance(message, control.Keys) and not self.deaf:
                    self.heard.append("whole" if message.whole else "change")
                    self.ring.change(message.changed, message.gone, whole=message.whole)
                    await self._channel.send(control.KeysKnown())
        except ConnectionError:
            pass
        self.end(0)

    @property
    def known(self) -> set[str]:
        return set(self.ring._keys)


class Machine:
    def __init__(self) -> None:
        self.started: list[Process] = []

    async def exec(self, *command: str, pass_fds: list[int], **_: object) -> Process:
        self.started.append(Process(pass_fds[0]))
        return self.started[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", made.exec)
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.0, 0.01))
    return made


async def started(tmp_path: Path, keys: dict[str, VirtualKey]) -> Supervisor:
    made = Supervisor(tmp_path, 2, frozenset({"HTTP"}))
    made.keys = lambda: control.Keys(changed=tuple(keys.values()), whole=True)
    await made.start()
    await made.apply(Snapshot(version="v1"))
    return made


async def test_all_keys_come_before_the_first_snapshot_and_only_then(tmp_path: Path, machine: Machine):
    mesh = await started(tmp_path, {"key-1": ONE})
    await mesh.apply(Snapshot(version="v2"))
    assert [worker.heard for worker in machine.started] == [["whole", "v1", "v2"]] * 2
    await mesh.stop(1.0)


async def test_a_change_is_known_to_every_worker_when_it_is_acknowledged(tmp_path: Path, machine: Machine):
    mesh = await started(tmp_path, {"key-1": ONE})
    await mesh.change_keys(control.Keys(changed=(TWO,)))
    assert [worker.known for worker in machine.started] == [{"key-1", "key-2"}] * 2
    await mesh.change_keys(control.Keys(gone=("key-1",)))
    assert [worker.known for worker in machine.started] == [{"key-2"}] * 2
    await mesh.stop(1.0)


async def test_a_replacement_starts_with_the_keys_of_its_day(tmp_path: Path, machine: Machine):
    keys = {"key-1": ONE}
    mesh = await started(tmp_path, keys)
    keys["key-2"] = TWO
    machine.started[0].kill()
    await mesh.change_keys(control.Keys(changed=(TWO,)))
    await until(lambda: len(machine.started) == 3 and mesh.ready())
    assert machine.started[1].known == machine.started[2].known == {"key-1", "key-2"}
    await mesh.stop(1.0)


async def test_a_worker_that_does_not_answer_serves_no_revoked_key(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    keys = {"key-1": ONE}
    mesh = await started(tmp_path, keys)
    monkeypatch.setattr(supervisor, "ANSWER_TIMEOUT_S", 0.05)
    deaf = machine.started[1]
    deaf.deaf = True
    keys.clear()
    await mesh.change_keys(control.Keys(gone=("key-1",)))
    assert deaf.returncode == -9, "it is ended before the revocation is acknowledged"
    await until(lambda: len(machine.started) == 3 and mesh.ready())
    assert machine.started[0].known == machine.started[2].known == set()
    await mesh.stop(1.0)
