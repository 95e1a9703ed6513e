"""Lanes of several workers, restarts, damage, full rings and full disks."""

import errno
import hashlib
import multiprocessing
import os
import random
from pathlib import Path

import pytest

from heddle.drivers.kv import Space
from heddle.drivers.kv.shared import SharedKv

SMALL = Space(entries=64, bytes=4096, value_bytes=1024)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def key(number: object) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def opened(folder: Path, slot: int = 0, space: Space = SMALL, clock: Clock | None = None) -> SharedKv:
    return SharedKv(folder, "s", slot, space, clock or Clock())


def test_workers_see_each_others_values_at_once(tmp_path: Path):
    second, first = opened(tmp_path, 1), opened(tmp_path, 0)
    first.put(key(1), b"one", 60)
    assert second.find(key(1)) == b"one"
    second.put(key(2), b"two", 60)
    assert first.find(key(2)) == b"two"
    third = opened(tmp_path, 2)
    third.put(key(3), b"three", 60)
    assert [worker.find(key(3)) for worker in (first, second)] == [b"three"] * 2


def test_the_latest_word_holds_whoever_said_it(tmp_path: Path):
    clock = Clock()
    first, second = opened(tmp_path, 0, clock=clock), opened(tmp_path, 1, clock=clock)
    for round_ in range(4):
        clock.now += 1
        worker = (first, second)[round_ % 2]
        worker.put(key(1), b"%d" % round_, 60)
        assert first.find(key(1)) == second.find(key(1)) == b"%d" % round_
    clock.now += 1
    first.delete(key(1))
    assert second.find(key(1)) is None
    clock.now += 1
    second.put(key(1), b"again", 60)
    assert first.find(key(1)) == b"again"


def test_values_outlive_their_worker_and_the_ring_goes_on(tmp_path: Path):
    worker = opened(tmp_path)
    for number in range(3):
        worker.put(key(number), b"x" * 500, 60)
    worker.close()
    worker = opened(tmp_path)
    worker.put(key(3), b"y" * 500, 60)
    assert [worker.find(key(number)) for number in range(4)] == [b"x" * 500] * 3 + [b"y" * 500]


def test_a_full_ring_forgets_the_oldest(tmp_path: Path):
    worker = opened(tmp_path)
    for number in range(30):
        worker.put(key(number), b"%d" % number * 200, 60)
        assert worker.find(key(number)) == b"%d" % number * 200
    there = [number for number in range(30) if worker.find(key(number)) is not None]
    assert there == list(range(there[0], 30))
    assert 4 <= len(there) <= 10
    assert (tmp_path / "s-0.bin").stat().st_size <= 64 * 40 + SMALL.bytes


def test_a_full_bucket_forgets_the_oldest(tmp_path: Path):
    worker = opened(tmp_path, space=Space(entries=8, bytes=1 << 20, value_bytes=100))
    for number in range(20):
        worker.put(key(number), b"%d" % number, 60)
    assert [number for number in range(20) if worker.find(key(number))] == list(range(12, 20))


def test_what_is_over_makes_room_before_what_is_not(tmp_path: Path):
    clock = Clock()
    worker = opened(tmp_path, space=Space(entries=8, bytes=1 << 20, value_bytes=100), clock=clock)
    for number in range(8):
        worker.put(key(number), b"v", 10 if number == 5 else 60)
    clock.now += 20
    worker.put(key(8), b"v", 60)
    assert [number for number in range(9) if worker.find(key(number))] == [0, 1, 2, 3, 4, 6, 7, 8]


def test_damage_anywhere_is_a_miss_and_never_a_wrong_value(tmp_path: Path):
    rng = random.Random(7)
    path = tmp_path / "s-0.bin"
    worker = opened(tmp_path)
    for number in range(6):
        worker.put(key(number), b"%d" % number * 300, 60)
    whole = path.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 40)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(damaged[: rng.choice((len(damaged), rng.randrange(len(damaged))))]))
        for number in range(6):
            assert worker.find(key(number)) in (None, b"%d" % number * 300)
        fresh = opened(tmp_path)
        fresh.put(key("new"), b"new", 60)
        assert fresh.find(key("new")) == b"new"
        fresh.close()
        path.write_bytes(whole)


def test_files_are_ours_alone(tmp_path: Path):
    opened(tmp_path / "kv", 1).put(key(1), b"secret", 60)
    assert oct((tmp_path / "kv").stat().st_mode & 0o777) == "0o700"
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "kv").iterdir()} == {"0o600"}


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "s-0.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        opened(tmp_path)


def test_a_full_disk_is_said_once_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    worker = opened(tmp_path)
    worker.put(key(1), b"one", 60)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        worker.put(key(2), b"two", 60)
        worker.delete(key(1))
    assert worker.find(key(2)) is None
    assert worker.find(key(1)) == b"one"
    assert caplog.text.count("No space left") == 1


def test_a_clock_that_was_set_back_does_not_pin_what_was_put_before(tmp_path: Path):
    clock = Clock()
    worker = opened(tmp_path, clock=clock)
    worker.put(key(1), b"late", 60)
    worker.close()
    clock.now -= 7200
    worker = opened(tmp_path, clock=clock)
    worker.put(key(1), b"now", 60)
    assert worker.find(key(1)) == b"now"


def test_a_store_that_was_closed_has_nothing_and_touches_nothing(tmp_path: Path):
    worker = opened(tmp_path)
    worker.put(key(1), b"one", 60)
    worker.close()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    worker.put(key(2), b"two", 60)
    worker.delete(key(1))
    assert worker.find(key(2)) is None
    assert os.fstat(other).st_size == 0
    os.close(other)


def _hammer(folder: str, slot: int, rounds: int) -> None:
    worker = SharedKv(Path(folder), "s", slot, Space(64, 64_000, 4000), lambda: 1_700_000_000.0)
    rng = random.Random(slot)
    for _ in range(rounds):
        number = rng.randrange(50)
        size = rng.randrange(4000)
        worker.put(key(number), b"%03d" % number + bytes([slot]) * size, 60)
        number = rng.randrange(50)
        found = worker.find(key(number))
        if found is not None and (found[:3] != b"%03d" % number or len(set(found[3:])) > 1):
            os._exit(3)
    os._exit(0)


def test_no_reader_sees_half_of_what_another_process_writes(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hammer, args=(str(tmp_path), slot, 4000)) for slot in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
