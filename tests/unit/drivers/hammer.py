"""A worker process for test_counters_processes: `hammer.py PATH SLOT MODE ...`, answers on stdout."""

import random
import sys
import time
from collections import Counter
from pathlib import Path

from heddle.drivers.counters import Charge, Refusal, Reservation, Tally
from heddle.drivers.counters.shared import SharedCounters

NOW = 1_700_000_000.0


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("suspended")


def wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def one_limit(counters: SharedCounters, attempts: int, limit: int) -> None:
    """Ask again and again for one unit; print how many were admitted."""
    count = Tally("hot", "requests", (), limit, 3600)
    wait_for_start()
    admitted = sum(_admitted(counters, count, turn) for turn in range(attempts))
    print(admitted)


def _admitted(counters: SharedCounters, count: Tally, turn: int) -> bool:
    """One unit, by either way."""
    if turn % 2 and counters.try_add(count, 1, NOW, False) >= 0:
        return True
    return isinstance(drive(counters.reserve([Charge(count, 1)], NOW)), Reservation)


def hold_and_settle(counters: SharedCounters, attempts: int, limit: int) -> None:
    """Hold 1 to 9 and settle with less; print what was settled and the most that was ever seen in use."""
    count, settled, most = Tally("held", "tokens", (), limit, 3600), 0, 0
    wait_for_start()
    for _ in range(attempts):
        outcome = drive(counters.reserve([Charge(count, random.randint(1, 9), 1, True)], NOW))
        if isinstance(outcome, Refusal):
            most = max(most, outcome.settled)
            continue
        used = random.randint(0, outcome.granted[0])
        counters.settle(outcome, [used])
        settled += used
    print(settled, most)


def many_keys(counters: SharedCounters, attempts: int, limit: int) -> None:
    """Use far more keys than there are rows; print how often each was admitted."""
    counts = [Tally("key", "requests", (str(i),), limit, 3600) for i in range(40)]
    admitted: Counter[int] = Counter()
    wait_for_start()
    for _ in range(attempts):
        key = int(random.random() ** 2 * len(counts))
        if isinstance(drive(counters.reserve([Charge(counts[key], 1)], NOW)), Reservation):
            admitted[key] += 1
    print(" ".join(str(admitted[i]) for i in range(len(counts))))


def hold_and_hang(counters: SharedCounters, amount: int, limit: int) -> None:
    """Hold something and wait to be killed."""
    count = Tally("held", "tokens", (), limit, 3600)
    drive(counters.reserve([Charge(count, 25)], NOW))
    drive(counters.reserve([Charge(count, amount, 0, True)], NOW))
    print("ready", flush=True)
    time.sleep(600)


def main() -> None:
    path, slot, mode, amount, limit = sys.argv[1:]
    counters = SharedCounters(Path(path), int(slot))
    globals()[mode](counters, int(amount), int(limit))


main()
