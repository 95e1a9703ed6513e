"""What only processes of one machine must do: find each other, survive each other, let nobody else in."""

import asyncio
import base64
import gc
import logging
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.bus.meeting import Ear, eventually, met, quiet, unix

from heddle.drivers.bus import backlog
from heddle.drivers.bus import unix as driver
from heddle.drivers.bus.folder import Folder
from heddle.drivers.bus.unix import UnixBus

ROOT = Path(__file__).parents[3]
PROCESS = "1-0123456789ab"


class Talker:
    """Another process on the bus; see `talking`."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.contract.bus.talking", str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = ""
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def reads(self) -> list[bytes]:
        return self._lines.get(timeout=30).split()

    def began(self) -> "Talker":
        self.address = self.reads()[1].decode()
        return self

    def hears(self) -> bytes:
        kind, *payload = self.reads()
        assert kind == b"heard"
        return base64.b64decode(payload[0]) if payload else b""

    def others(self) -> set[str]:
        self.say(b"others")
        return {name.decode() for name in self.reads()[1:]}

    def end(self) -> None:
        self.process.kill()
        self._reader.join()
        self.process.communicate()


@pytest.fixture
def talkers() -> Iterator[list[Talker]]:
    started: list[Talker] = []
    yield started
    for talker in started:
        talker.end()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[UnixBus]:
    async with unix(tmp_path, 1) as (made,):
        yield made


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def process_of(address: str) -> str:
    return address.partition(".")[2]


async def test_real_processes_hear_each_other(bus: UnixBus, tmp_path: Path, talkers: list[Talker]):
    ear = Ear(bus, "t")
    talkers += [Talker(tmp_path / "bus") for _ in range(2)]
    one, other = [talker.began() for talker in talkers]
    everybody = {process_of(who.address) for who in (bus, one, other)}
    await eventually(lambda: {*bus.others, process_of(bus.address)} == everybody)
    await eventually(lambda: all({*who.others(), process_of(who.address)} == everybody for who in (one, other)))
    one.say(b"from one")
    await eventually(lambda: ear.heard == [b"from one"])
    assert one.hears() == other.hears() == b"from one"
    bus.publish("t", b"to all")
    assert one.hears() == other.hears() == b"to all"
    assert bus.send(other.address, "t", b"to other")
    assert other.hears() == b"to other"
    assert len({talker.address.partition(".")[0] for talker in talkers} | {bus.address.partition(".")[0]}) == 1


async def test_processes_that_start_at_once_all_find_each_other(tmp_path: Path, talkers: list[Talker]):
    talkers += [Talker(tmp_path / "bus") for _ in range(6)]
    everybody = {process_of(talker.began().address) for talker in talkers}
    for _ in range(100):
        if all(talker.others() == everybody - {process_of(talker.address)} for talker in talkers):
            return
        await asyncio.sleep(0.02)
    pytest.fail("some do not know each other")


async def test_a_killed_process_is_known_to_be_gone_and_leaves_nothing(
    bus: UnixBus, tmp_path: Path, talkers: list[Talker]
):
    talkers.append(Talker(tmp_path / "bus"))
    killed = talkers[0].began()
    await eventually(lambda: bus.send(killed.address, "t", b""))
    killed.process.kill()
    killed.process.wait()
    await eventually(lambda: not bus.send(killed.address, "t", b""))
    assert names(tmp_path / "bus") == {"machine", f"{process_of(bus.address)}.sock"}
    assert bus.dropped == 0, "nobody misses it"
    talkers.append(Talker(tmp_path / "bus"))
    successor = talkers[1].began()
    await eventually(lambda: bus.send(successor.address, "t", b"welcome"))
    assert successor.hears() == b"welcome"


async def test_what_dead_processes_left_is_removed_by_who_comes(tmp_path: Path, bus: UnixBus):
    folder = tmp_path / "bus"
    for name in (f"{PROCESS}.sock", "2-0123456789ab.sock", "4194305-0123456789ab.new"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(folder / name))
    (folder / "something else.sock").write_text("")
    async with unix(tmp_path, 1) as (newcomer,):
        own = {f"{process_of(one.address)}.sock" for one in (bus, newcomer)}
        assert names(folder) == {"machine", "something else.sock", *own}
        await met([bus, newcomer])


async def test_a_process_that_hangs_costs_bounded_memory_and_nobodys_time(
    bus: UnixBus, tmp_path: Path, talkers: list[Talker], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    monkeypatch.setattr(backlog, "MAX_MESSAGES", 50)
    talkers.append(Talker(tmp_path / "bus"))
    hangs, ear = talkers[0].began(), Ear(bus, "t")
    await eventually(lambda: bus.others)
    hangs.process.send_signal(signal.SIGSTOP)
    said = [b"%d-" % number + b"x" * 20_000 for number in range(400)]
    with caplog.at_level(logging.WARNING):
        for message in said:
            bus.publish("t", message)
            await asyncio.sleep(0)
    assert ear.heard == said, "others hear all of it"
    assert 200 < bus.dropped < 350
    (line,) = caplog.records
    assert line.getMessage().endswith(f"process {process_of(hangs.address)} does not keep up")
    hangs.process.send_signal(signal.SIGCONT)
    heard = [await asyncio.to_thread(hangs.hears) for _ in range(len(said) - bus.dropped)]
    assert heard == said[: len(heard)], "what was kept arrives, in its order"
    bus.publish("t", b"after")
    assert await asyncio.to_thread(hangs.hears) == b"after"


async def test_who_is_hung_up_on_speaks_again(tmp_path: Path):
    async with unix(tmp_path, 2) as (one, other):
        await met([one, other])
        ear = Ear(other, "t")
        for speaker in tuple(other._speakers.values()):
            other._end(speaker)
        await eventually(lambda: not one._links[process_of(other.address)]._sock)
        one.publish("t", b"said meanwhile")
        one.publish("t", b"and this")
        await eventually(lambda: ear.heard == [b"said meanwhile", b"and this"])


async def test_half_a_message_is_never_said_again(tmp_path: Path):
    async with unix(tmp_path, 2) as (one, other):
        await met([one, other])
        ear = Ear(other, "t")
        one.publish("t", bytes(8 * 1024 * 1024))
        one.publish("t", b"whole")
        for speaker in tuple(other._speakers.values()):
            other._end(speaker)
        await eventually(lambda: b"whole" in ear.heard)
        await quiet()
        assert ear.heard == [b"whole"]
        assert one.dropped == 1


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0\0\0\5\1tabc"])
async def test_a_stranger_in_the_folder_is_hung_up_on(bus: UnixBus, tmp_path: Path, said: bytes):
    ear = Ear(bus, "t")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(tmp_path / "bus" / f"{process_of(bus.address)}.sock"))
        stranger.sendall(said)
        stranger.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(stranger, 1), 5)
    assert ear.heard == []
    async with unix(tmp_path, 1) as (other,):
        await met([bus, other])


async def test_a_greeting_leads_to_no_file_outside(bus: UnixBus, tmp_path: Path):
    from heddle.drivers.bus.frames import greeting  # noqa: PLC0415

    with socket.socket(socket.AF_UNIX) as outside, socket.socket(socket.AF_UNIX) as stranger:
        outside.bind(str(tmp_path / "outside.sock"))
        outside.listen()
        outside.setblocking(False)
        stranger.connect(str(tmp_path / "bus" / f"{process_of(bus.address)}.sock"))
        stranger.sendall(greeting("0123456789ab.../outside"))
        await quiet()
        with pytest.raises(BlockingIOError):
            outside.accept()
    assert bus.others == []


_OTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(10)
    sock.connect(sys.argv[1])
    try:
        sock.sendall(bytes.fromhex(sys.argv[2]))
        print(len(sock.recv(1)))
    except ConnectionError:
        print(0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_is_turned_away_even_where_files_let_him_in(caplog: pytest.LogCaptureFixture):
    from heddle.drivers.bus.frames import encode, greeting  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp())
    bus = UnixBus(folder / "bus")
    try:
        path = folder / "bus" / f"{process_of(bus.address)}.sock"
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        for opened in (folder, path.parent, path):
            opened.chmod(0o777)
        ear = Ear(bus, "t")
        said = greeting(bus.address) + encode("t", b"forged")
        command = [sys.executable, "-c", _OTHER_USER, str(path), said.hex()]
        answer = await asyncio.to_thread(subprocess.check_output, command, cwd="/", timeout=20)
        assert answer == b"0\n"
        assert ear.heard == []
        assert [record.getMessage() for record in caplog.records] == ["a process of another user was turned away"]
    finally:
        bus.close()
        shutil.rmtree(folder)


def test_a_folder_that_is_not_ours_alone_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    Folder(open_to_all).close()
    assert open_to_all.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(open_to_all)
    with pytest.raises(OSError):
        Folder(tmp_path / "link")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        Folder(open_to_all)


def test_a_machine_is_a_state_directory_and_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def machine(folder: Path) -> str:
        opened = Folder(folder)
        opened.close()
        return opened.machine

    first = machine(tmp_path / "a")
    assert machine(tmp_path / "a") == first
    assert machine(tmp_path / "b") != first
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert machine(tmp_path / "copy") != first


async def test_a_deep_state_directory_is_no_obstacle(tmp_path: Path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    async with unix(deep, 2) as buses:
        await met(list(buses))


async def test_who_leaves_lets_go_of_everything(tmp_path: Path):
    before = open_files()
    async with unix(tmp_path, 3) as buses:
        await met(list(buses))
        buses[0].publish("t", bytes(1024 * 1024))
    for bus in buses:
        bus.close()
        bus.publish("t", b"")
        assert not bus.send(buses[0].address, "t", b"") or bus is buses[0]
    await quiet()
    assert open_files() == before
    assert names(tmp_path / "bus") == {"machine"}


async def test_what_was_said_before_leaving_arrives(tmp_path: Path, bus: UnixBus):
    ear = Ear(bus, "t")
    async with unix(tmp_path, 1) as (leaves,):
        for number in range(20):
            leaves.publish("t", b"%d" % number)
    await eventually(lambda: len(ear.heard) == 20)


async def test_out_of_descriptors_is_a_pause_and_no_end(
    bus: UnixBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Full:
        def __init__(self, sock: socket.socket) -> None:
            self.fileno, self.close = sock.fileno, sock.close
            self.tries = 0

        def accept(self) -> None:
            self.tries += 1
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(driver, "REST_S", 1.0)
    listener, full = bus._listener, Full(bus._listener)
    bus._listener = full  # type: ignore[assignment]
    async with unix(tmp_path, 1) as (other,):
        await eventually(lambda: full.tries)
        await quiet()
        assert full.tries == 1
        bus._listener = listener
        await met([bus, other])
    assert "Too many open files" in caplog.text
