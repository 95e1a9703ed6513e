"""Shared counters under real processes: exact, and honest after kill -9."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heddle.drivers.counters import Charge, Refusal, Reservation, Tally
from heddle.drivers.counters.shared import SharedCounters, prepare

HAMMER = Path(__file__).with_name("hammer.py")
NOW = 1_700_000_000.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(slot: int, mode: str, amount: int, limit: int) -> "subprocess.Popen[str]":
        command = [sys.executable, str(HAMMER), str(tmp_path / "limits.bin"), str(slot), mode, str(amount), str(limit)]
        env = {"PYTHONPATH": ":".join(sys.path)}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def together(processes: "list[subprocess.Popen[str]]") -> list[list[int]]:
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return [[int(word) for word in answer.split()] for answer in answers]


async def used(path: Path, slot: int, count: Tally) -> tuple[int, int]:
    counters = SharedCounters(path, slot)
    refusal = await counters.reserve([Charge(count, count.limit + 1)], NOW)
    counters.close()
    assert isinstance(refusal, Refusal)
    return refusal.settled, refusal.held


def test_four_processes_admit_exactly_the_limit(tmp_path: Path, start: Start) -> None:
    file = prepare(tmp_path / "limits.bin", 4, 64, NOW)
    answers = together([start(slot, "one_limit", 5_000, 5_000) for slot in range(4)])
    assert sum(count for (count,) in answers) == 5_000
    file.close()


async def test_what_four_processes_hold_and_settle_is_neither_lost_nor_passed(tmp_path: Path, start: Start) -> None:
    file = prepare(tmp_path / "limits.bin", 4, 64, NOW)
    answers = together([start(slot, "hold_and_settle", 5_000, 30_000) for slot in range(4)])
    settled, held = await used(tmp_path / "limits.bin", 0, Tally("held", "tokens", (), 30_000, 3600))
    assert (settled, held) == (sum(answer[0] for answer in answers), 0)
    assert max(answer[1] for answer in answers) <= 30_000
    assert settled <= 30_000
    file.close()


def test_no_key_passes_its_limit_though_the_table_is_far_too_small(tmp_path: Path, start: Start) -> None:
    file = prepare(tmp_path / "limits.bin", 4, 16, NOW)
    answers = together([start(slot, "many_keys", 2_000, 20) for slot in range(4)])
    totals = [sum(answer[key] for answer in answers) for key in range(40)]
    assert max(totals) <= 20
    assert sum(totals) >= 16 * 20 - 20  # and the rows that there are, are used
    file.close()


async def test_a_killed_worker_loses_its_holds_and_keeps_what_it_settled(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "limits.bin"
    file, count = prepare(path, 2, 64, NOW), Tally("held", "tokens", (), 100, 3600)
    victim = start(1, "hold_and_hang", 70, 100)
    assert await used(path, 0, count) == (25, 70)
    with pytest.raises(OSError, match="in use by another process"):
        SharedCounters(path, 1)
    victim.send_signal(signal.SIGKILL)
    victim.wait(timeout=10)
    assert await used(path, 0, count) == (25, 70)
    assert await used(path, 1, Tally("held", "tokens", (), 100, 3600)) == (25, 0)
    file.close()


def test_a_second_parent_is_kept_out_while_a_worker_lives(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "limits.bin"
    prepare(path, 2, 64, NOW).close()
    worker = start(0, "hold_and_hang", 1, 100)
    with pytest.raises(OSError, match="in use by another process"):
        prepare(path, 2, 64, NOW)
    worker.kill()
    worker.wait(timeout=10)
    prepare(path, 2, 64, NOW).close()


async def test_counts_survive_the_death_of_everything(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "limits.bin"
    file = prepare(path, 2, 64, NOW)
    workers = [start(slot, "hold_and_hang", 10, 100) for slot in range(2)]
    for worker in workers:
        worker.kill()
        worker.wait(timeout=10)
    file.close()
    file = prepare(path, 3, 128, NOW)  # another number of workers, another size
    counters = SharedCounters(path, 2)
    outcome = await counters.reserve([Charge(Tally("held", "tokens", (), 100, 3600), 50)], NOW)
    assert isinstance(outcome, Reservation)
    assert outcome.remaining == [0]
    counters.close()
    file.close()
