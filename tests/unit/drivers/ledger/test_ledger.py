"""The ledger: what was appended is there after any crash, and whatever else happened to it is found."""

import hashlib
import hmac
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heddle.drivers.ledger import Entry, LedgerError, keys, writer
from heddle.drivers.ledger.chain import Seal, line, segments
from heddle.drivers.ledger.heads import FILE, Head, Heads
from heddle.drivers.ledger.reading import Reading
from heddle.drivers.ledger.verify import verify
from heddle.drivers.ledger.writer import Ledger, Writer

KEY = Seal(b"k" * 32)


def entry(number: int) -> Entry:
    return Entry(t=1000.0 + number, tenant="dev", user="alice", model="gpt", input=number, output=2, nano_usd=7)


def write(directory: Path, count: int, *, slot: int = 0, start: int = 0, seal: Seal = KEY) -> None:
    one = Writer(directory, slot, seal)
    for number in range(count):
        one.append(entry(start + number))
    one.close()


def files(directory: Path, slot: int = 0) -> list[Path]:
    return [name.path for name in segments(directory)[slot]]


def found(directory: Path, *seals: Seal, **settings: object) -> list[str]:
    verdict = verify(directory, list(seals) or [KEY], **settings)  # type: ignore[arg-type]
    return [f"{one.place}: {one.what}" for one in verdict.findings]


def head(directory: Path, slot: int = 0) -> Head:
    heads = Heads(directory)
    try:
        one = heads.read(slot)
        assert one is not None
        return one
    finally:
        heads.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few entries."""
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 900)


def test_what_was_written_is_read_back_and_proven(tmp_path: Path):
    write(tmp_path, 5)
    write(tmp_path, 3, slot=1)
    assert [(one.n, one.input) for one in Reading(tmp_path)] == [(n + 1, n) for n in range(5)] + [
        (n + 1, n) for n in range(3)
    ]
    assert verify(tmp_path, [KEY]).sound
    assert [(one.slot, one.entries, one.head) for one in verify(tmp_path, [KEY]).chains] == [(0, 5, 5), (1, 3, 3)]


def test_a_seal_is_hmac_sha256():
    for size in (16, 32, 64, 65, 200):
        key = bytes(range(size))
        assert Seal(key)(b"text") == hmac.digest(key, b"text", hashlib.sha256)
    with pytest.raises(ValueError):
        Seal(b"short")


def test_a_chain_goes_on_over_restarts_and_segments(tmp_path: Path, small: None):
    for turn in range(4):
        write(tmp_path, 7, start=7 * turn)
    assert len(files(tmp_path)) > 4
    assert [one.input for one in Reading(tmp_path)] == list(range(28))
    assert found(tmp_path) == []


def test_since_and_until(tmp_path: Path):
    write(tmp_path, 10)
    assert [one.input for one in Reading(tmp_path, since_s=1003.0, until_s=1006.0)] == [3, 4, 5]


@pytest.mark.parametrize("at", [0, 5, 40, 60])
def test_a_flipped_byte_anywhere_is_found_with_its_place(tmp_path: Path, at: int):
    write(tmp_path, 9)
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[:4]))
    data = bytearray(path.read_bytes())
    data[offset + at] ^= 1
    path.write_bytes(data)
    (one,) = found(tmp_path)
    assert one.startswith(f"{path.name}:5 (byte {offset}): ")
    assert verify(tmp_path, [KEY]).chains[0].entries == 3


def test_a_flipped_byte_in_the_opening_is_found(tmp_path: Path):
    write(tmp_path, 2)
    path = files(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'"slot":0', b'"slot":1', 1))
    assert found(tmp_path)[0] == f"{path.name}:1: the beginning of the segment was changed, or made without the key"


@pytest.mark.parametrize("left", [0, 1, 3, 8])
def test_a_truncation_is_found(tmp_path: Path, left: int):
    write(tmp_path, 9)
    path = files(tmp_path)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + left]))
    (one,) = found(tmp_path)
    assert one == f"{path.name}: entries {left + 1} to 9 are gone: the head tells of 9"


def test_a_truncation_with_a_head_made_to_fit_is_found(tmp_path: Path):
    write(tmp_path, 9)
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:6]))
    seal = bytes.fromhex(lines[5][:32].decode())
    heads = Heads(tmp_path)
    for number in (4, 5):  # both copies, with all that can be read from the lines
        heads.write(0, Head(number, 1, seal, head(tmp_path).proof))
    heads.close()
    assert found(tmp_path) == [f"{FILE}: the head of chain 0 does not fit entry 5: it was put there"]
    # Nor does the next writer make it right.
    write(tmp_path, 1)
    assert any("damaged when the writer began" in one for one in found(tmp_path))
    write(tmp_path, 1)
    assert any("damaged when the writer began" in one for one in found(tmp_path))


def test_a_reordering_is_found(tmp_path: Path):
    write(tmp_path, 9)
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    path.write_bytes(b"".join(lines))
    (one,) = found(tmp_path)
    assert "entry 5 stands where entry 4 belongs" in one


@pytest.mark.parametrize("gone", [0, 1, -1])
def test_a_removed_segment_is_found(tmp_path: Path, small: None, gone: int):
    write(tmp_path, 20)
    files(tmp_path)[gone].unlink()
    assert found(tmp_path)


def test_two_segments_that_changed_places_are_found(tmp_path: Path, small: None):
    write(tmp_path, 20)
    first, second, *_ = files(tmp_path)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert any("under another's name" in text for text in found(tmp_path))


def test_old_segments_may_be_archived(tmp_path: Path, small: None):
    write(tmp_path, 20)
    files(tmp_path)[0].unlink()
    assert found(tmp_path) != []
    assert found(tmp_path, archived=True) == []


def test_a_chain_computed_anew_without_the_key_is_found(tmp_path: Path):
    write(tmp_path, 9)
    path = files(tmp_path)[0]
    forged = Seal(b"guessed" * 5)
    _, *lines = path.read_bytes().splitlines()
    opening = path.read_bytes().splitlines()[0].partition(b" ")[2]
    state = forged.open_segment(opening)
    made = [line(state, opening)]
    for one in lines:
        payload = one.partition(b" ")[2].replace(b'"nano_usd":7', b'"nano_usd":1')
        state = forged(state + payload)
        made.append(line(state, payload))
    path.write_bytes(b"".join(made))
    heads = Heads(tmp_path)
    heads.write(0, Head(9, 1, state[:16], state[16:]))
    heads.close()
    assert found(tmp_path)[0].endswith("the beginning of the segment was changed, or made without the key")


@pytest.mark.parametrize("what", ["heads", "one head", "page"])
def test_damaged_heads_are_found_and_stay_found(tmp_path: Path, what: str):
    write(tmp_path, 3)
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    if what == "heads":
        path.unlink()
    elif what == "page":
        data[16] ^= 3
        path.write_bytes(data)
    else:
        data[4096:4224] = bytes(128)
        path.write_bytes(data)
    assert found(tmp_path)
    write(tmp_path, 3)
    write(tmp_path, 3)
    assert any("damaged when the writer began" in one for one in found(tmp_path))
    assert verify(tmp_path, [KEY]).chains[0].entries >= 6


def test_a_removed_chain_is_found(tmp_path: Path):
    write(tmp_path, 3)
    write(tmp_path, 3, slot=1)
    files(tmp_path, 1)[0].unlink()
    assert found(tmp_path) == [f"{FILE}: entries 1 to 3 are gone: the head tells of 3"]


def test_an_earlier_copy_put_back_is_found_by_an_anchor_only(tmp_path: Path):
    write(tmp_path, 5)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    write(tmp_path, 5)
    anchor = head(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    for path, data in kept.items():
        path.write_bytes(data)
    assert found(tmp_path) == []
    assert found(tmp_path, anchors={0: anchor}) == [
        f"{FILE}: entry 10 is not the one that was anchored: an earlier copy was put back"
    ]
    write(tmp_path, 5, start=50)
    assert found(tmp_path) == []
    assert found(tmp_path, anchors={0: anchor}) != [], "other entries under the same numbers are not the same ledger"


def test_an_anchor_that_holds(tmp_path: Path):
    write(tmp_path, 5)
    anchor = head(tmp_path)
    write(tmp_path, 5)
    assert found(tmp_path, anchors={0: anchor}) == []


def test_an_entry_ahead_of_the_head_is_kept(tmp_path: Path):
    """Killed between the write and the head."""
    write(tmp_path, 5)
    before = (tmp_path / FILE).read_bytes()
    write(tmp_path, 1, start=5)
    (tmp_path / FILE).write_bytes(before)
    assert found(tmp_path) == []
    write(tmp_path, 1, start=6)
    assert [one.input for one in Reading(tmp_path)] == list(range(7))
    assert found(tmp_path) == []


def test_half_a_line_at_the_end_is_nobodys(tmp_path: Path):
    write(tmp_path, 5)
    with files(tmp_path)[-1].open("ab") as file:
        file.write(b"0123456789abcdef")
    assert found(tmp_path) == []
    write(tmp_path, 2, start=5)
    assert [one.input for one in Reading(tmp_path)] == list(range(7))


def test_another_key_goes_on_in_a_segment_of_its_own(tmp_path: Path):
    other = Seal(b"n" * 32)
    write(tmp_path, 3)
    write(tmp_path, 3, start=3, seal=other)
    assert found(tmp_path, KEY, other) == []
    assert any("sealed with another key" in one for one in found(tmp_path, other))


def test_a_full_disk_costs_nothing_until_memory_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = Writer(tmp_path, 0, KEY)
    one.append(entry(0))
    real, full = os.write, True

    def refusing(fd: int, data: bytes) -> int:
        if full and data[:1].isalnum() and b'"n":' in data:
            return real(fd, data[:10])
        return real(fd, data)

    monkeypatch.setattr(os, "write", refusing)
    for number in range(1, 4):
        one.append(entry(number))
    assert (one.held, one.count) == (3, 1)
    assert found(tmp_path) == []
    full = False
    one.flush()
    one.append(entry(4))
    assert (one.held, one.lost) == (0, 0)
    one.close()
    assert [read.input for read in Reading(tmp_path)] == list(range(5))
    assert found(tmp_path) == []


def test_beyond_memory_the_oldest_are_lost_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "MAX_HELD", 2)
    one = Writer(tmp_path, 0, KEY)
    one._held = [entry(0)]
    for number in range(1, 5):
        one.append(entry(number))
    assert (one.held, one.lost) == (2, 3)
    one.close()


def test_a_ledger_that_is_off_writes_nothing(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger", 0)
    ledger.append(entry(0))
    ledger.flush()
    ledger.close()
    assert list(tmp_path.iterdir()) == []
    assert (ledger.held, ledger.lost) == (0, 0)


def test_a_slot_has_one_writer(tmp_path: Path):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys,time,pathlib;from heddle.drivers.ledger.writer import Writer;"
            "from heddle.drivers.ledger.chain import Seal;"
            "one=Writer(pathlib.Path(sys.argv[1]),0,Seal(b'k'*32));print('up',flush=True);time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        with pytest.raises(LedgerError, match="slot 0 cannot be taken"):
            Writer(tmp_path, 0, KEY)
        other.kill()
    Writer(tmp_path, 0, KEY).close()


def _append_for_ever(directory: Path, told: "multiprocessing.connection.Connection") -> None:
    one = Writer(directory, 0, KEY)
    number = one.count
    while True:
        one.append(entry(number))
        number += 1
        told.send_bytes(number.to_bytes(8, "little"))


def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path, small: None):
    context = multiprocessing.get_context("fork")
    acknowledged = 0
    for _ in range(10):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_append_for_ever, args=(tmp_path, theirs))
        child.start()
        theirs.close()
        time.sleep(0.03)
        while acknowledged % 5 != 4 and ours.poll(1):
            acknowledged = int.from_bytes(ours.recv_bytes(), "little")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        while ours.poll():
            try:
                acknowledged = int.from_bytes(ours.recv_bytes(), "little")
            except EOFError:
                break
        ours.close()
        inputs = [one.input for one in Reading(tmp_path)]
        assert inputs == list(range(len(inputs)))
        assert acknowledged <= len(inputs) <= acknowledged + 1
        acknowledged = len(inputs)
        assert found(tmp_path) == []


def test_verify_while_it_is_written(tmp_path: Path, small: None):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_append_for_ever, args=(tmp_path, theirs))
    child.start()
    try:
        assert ours.poll(5)
        for _ in range(15):
            assert found(tmp_path) == []
            while ours.poll():
                ours.recv_bytes()
    finally:
        child.kill()
        child.join()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path):
    first = keys.prepare(tmp_path / "ledger")
    assert keys.prepare(tmp_path / "ledger").key_id == first.key_id
    assert (tmp_path / "ledger" / "key").stat().st_mode & 0o777 == 0o600
    assert keys.prepare(tmp_path / "ledger", "x" * 40).key_id != first.key_id
    (tmp_path / "ledger" / "key").chmod(0o644)
    with pytest.raises(LedgerError, match="only its owner"):
        keys.prepare(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="at least 16 bytes"):
        keys.prepare(tmp_path / "ledger", "short")


def test_the_key_is_not_shown(tmp_path: Path):
    assert "kkkk" not in repr(KEY)
