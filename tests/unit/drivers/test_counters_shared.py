"""What only the shared file can do: rows that change keys, damage, restarts."""

import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heddle.drivers.counters import Charge, CountersFullError, Refusal, Reservation, Tally, window_start
from heddle.drivers.counters.shared import SharedCounters, prepare
from heddle.drivers.counters.table import WAYS
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

NOW = 1_700_000_000.0


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("suspended")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.bin"


@pytest.fixture
def pair(path: Path) -> Iterator[tuple[SharedCounters, SharedCounters]]:
    """Two workers on a table of a single bucket."""
    file = prepare(path, 2, WAYS, NOW)
    workers = SharedCounters(path, 0), SharedCounters(path, 1)
    yield workers
    for worker in workers:
        worker.close()
    file.close()


def key(name: str, limit: int = 100, window_s: int = 3600) -> Tally:
    return Tally("limit", "requests", (name,), limit, window_s)


def use(counters: SharedCounters, tally: Tally, amount: int = 1, now_s: float = NOW) -> Reservation | Refusal:
    return drive(counters.reserve([Charge(tally, amount)], now_s))


def hold(counters: SharedCounters, tally: Tally, amount: int = 1) -> Reservation:
    outcome = drive(counters.reserve([Charge(tally, amount, 0, True)], NOW))
    assert isinstance(outcome, Reservation)
    return outcome


def state(counters: SharedCounters, tally: Tally, now_s: float = NOW) -> tuple[int, int]:
    refusal = use(
        counters, Tally(tally.name, tally.unit, tally.values, tally.limit, tally.window_s), tally.limit + 1, now_s
    )
    assert isinstance(refusal, Refusal)
    return refusal.settled, refusal.held


def test_a_newcomer_takes_the_row_of_the_least_used_and_inherits_its_share(pair) -> None:
    one, two = pair
    for index in range(WAYS):
        use(one, key(f"k{index}"), 50 + index)
    newcomer = key("new", limit=10)
    assert use(two, newcomer).remaining == [4]  # 50 of 100 were used, so 5 of 10 are, and one more
    assert two.evictions == 1
    assert [state(one, key(f"k{index}")) for index in range(1, WAYS)] == [(50 + i, 0) for i in range(1, WAYS)]


def test_evictions_are_counted_for_the_operator(path: Path) -> None:
    metrics = Metrics.in_memory()
    file = prepare(path, 1, WAYS, NOW)
    counters = SharedCounters(path, 0, metrics)
    for index in range(WAYS + 3):
        use(counters, key(f"k{index}"))
    assert metrics.counter(names.LIMIT_EVICTIONS).value == 3
    counters.close()
    file.close()


def test_windows_that_are_past_go_first_and_without_a_trace(pair) -> None:
    one, two = pair
    for index in range(WAYS - 1):
        use(one, key(f"k{index}"), 1)
    use(one, key("minute", 100, 60), 100)
    later = NOW + 60
    assert use(two, key("new"), 1, later).remaining == [99]
    assert two.evictions == 0
    assert [state(one, key(f"k{index}"), later) for index in range(WAYS - 1)] == [(1, 0)] * (WAYS - 1)


def test_two_keys_that_push_each_other_out_still_end_at_their_limit(pair) -> None:
    """The abuse: fill the table, then alternate between two identities whose counts start anew each time."""
    one, _ = pair
    for index in range(WAYS - 1):
        use(one, key(f"k{index}"), 100)
    admitted = sum(isinstance(use(one, key(("a", "b")[i % 2])), Reservation) for i in range(1_000))
    assert admitted <= 100


def test_a_flood_of_fresh_identities_does_not_push_out_a_busy_key(pair) -> None:
    one, two = pair
    use(one, key("victim"), 40)
    for index in range(500):
        use(two, key(f"flood{index}", limit=1_000_000))
    assert state(one, key("victim")) == (40, 0)


def test_a_row_with_something_held_is_never_taken(pair) -> None:
    one, two = pair
    reservations = [hold(one, key(f"k{index}")) for index in range(WAYS)]
    with pytest.raises(CountersFullError):
        use(two, key("new"))
    one.settle(reservations[3], [7])
    assert use(two, key("new"), 1).remaining == [92]
    for index in (*range(3), *range(4, WAYS)):
        assert state(one, key(f"k{index}")) == (0, 1)


def test_nothing_stays_behind_when_there_is_no_room_for_the_second_charge(pair) -> None:
    one, two = pair
    for index in range(WAYS):
        hold(one, key(f"k{index}"))
    with pytest.raises(CountersFullError):
        drive(two.reserve([Charge(key("k0"), 5), Charge(key("new"), 1)], NOW))
    assert state(one, key("k0")) == (0, 1)


class Interrupted:
    """A charge during whose add, after the row was looked up, something else happens."""

    def __init__(self, tally: Tally, holds: bool, interrupt: Callable[[], None]) -> None:
        self.tally, self.holds, self.least = tally, holds, 0
        self._interrupt: Callable[[], None] | None = interrupt

    @property
    def amount(self) -> int:
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            interrupt()
        return 7


@pytest.mark.parametrize("holds", [False, True])
def test_an_add_to_a_row_that_is_taken_meanwhile_is_noticed_and_moved(pair, holds: bool) -> None:
    one, two = pair
    mine, thief = key("mine"), key("thief")
    for index in range(WAYS - 1):
        use(two, key(f"k{index}"), 90)
    use(one, mine, 3)

    def steal() -> None:
        use(two, thief, 20)

    outcome = drive(one.reserve([Interrupted(mine, holds, steal)], NOW))
    assert isinstance(outcome, Reservation)
    # The thief inherited 3 and added 20; `mine` came back, pushed it out again, inherited its 23 and added 7.
    assert outcome.remaining == [70]
    one.release(outcome)
    assert state(one, mine) == ((23, 0) if holds else (30, 0))
    assert all(state(two, key(f"k{index}")) == (90, 0) for index in range(WAYS - 1))


@pytest.mark.parametrize("holds", [False, True])
def test_an_add_between_two_thefts_leaves_nothing_with_the_third_key(pair, holds: bool) -> None:
    one, two = pair
    mine = key("mine")
    for index in range(WAYS - 2):
        use(two, key(f"k{index}"), 90)
    use(one, mine, 3)

    def steal() -> None:
        use(two, key("thief"), 20)  # into the free row
        use(two, key("spare"), 60)  # into the row of `mine`, inheriting its 3

    drive(one.reserve([Interrupted(mine, holds, steal)], NOW))
    assert state(two, key("spare")) == (63, 0)


class Stealing(int):
    """An amount which, when it is compared with the limit, after the row was looked at, lets something happen."""

    interrupt: Callable[[], None]

    def __gt__(self, other: int) -> bool:
        self.interrupt()
        return int(self) > other


@pytest.mark.parametrize("holds", [False, True])
def test_the_short_way_undoes_its_add_to_a_row_that_was_taken_meanwhile(pair, holds: bool) -> None:
    one, two = pair
    mine = key("mine")
    for index in range(WAYS - 1):
        use(two, key(f"k{index}"), 90)
    use(one, mine, 3)
    amount = Stealing(7)
    amount.interrupt = lambda: use(two, key("thief"), 20)
    assert one.try_add(mine, amount, NOW, holds) == -1
    assert state(two, key("thief")) == (23, 0)


def test_a_call_whose_own_charges_fight_for_one_row_ends(pair) -> None:
    one, two = pair
    for index in range(WAYS - 1):
        hold(two, key(f"k{index}"))
    with pytest.raises(CountersFullError):
        drive(one.reserve([Charge(key("a"), 1), Charge(key("b"), 1)], NOW))
    settled, held = state(one, key("c"))
    assert held == 0
    assert 1 <= settled <= 16  # what the attempts counted is inherited, never lost


def test_a_row_whose_taker_died_half_way_is_free(pair) -> None:
    one, two = pair
    tally = key("a")
    use(one, tally, 5)
    one._words[tally.row] = 0
    assert use(two, key("a"), 1).remaining == [99]
    assert use(one, tally, 1).remaining == [98]


def at_barrier(counters: SharedCounters, then: Callable[[], None]) -> None:
    """Run `then` once, when `counters` issues its next barrier outside an attempt: in taking a row, or in undoing."""
    acquire = counters._table.acquire

    def barrier() -> bool:
        counters._table.acquire = acquire
        then()
        return acquire()

    counters._table.acquire = barrier


def test_a_hold_that_appears_while_its_row_is_taken_keeps_the_row(pair) -> None:
    one, two = pair
    for index in range(WAYS - 1):
        use(two, key(f"k{index}"), 90)
    mine = key("mine")
    use(one, mine, 3)

    def hold_meanwhile() -> None:
        one._words[mine.row + one._held] += 5

    at_barrier(two, hold_meanwhile)
    use(two, key("thief"))
    assert state(one, mine) == (3, 5)
    assert two.evictions == 1  # of another key


def test_a_refusal_caused_by_one_that_is_refused_itself_is_tried_again(pair) -> None:
    one, two = pair
    theirs = key("shared")
    use(two, theirs, 99)
    two._words[theirs.row + two._settled] += 5  # an add of 5 that the other worker is about to take back

    def take_back() -> None:
        two._words[theirs.row + two._settled] -= 5

    at_barrier(one, take_back)
    assert use(one, key("shared")).remaining == [0]
    assert isinstance(use(one, key("shared")), Refusal)


class Watched:
    """Words that something happens to when one of them is read for the n-th time; no store may be negative."""

    def __init__(self, words: "memoryview[int]", index: int, reads: int, then: Callable[[], None]) -> None:
        self.words, self.index, self.reads, self.then = words, index, reads, then

    def __getitem__(self, index: int) -> int:
        value = self.words[index]
        if index == self.index:
            self.reads -= 1
            if self.reads == 0:
                self.then()
        return value

    def __setitem__(self, index: int, value: int) -> None:
        assert value >= 0
        self.words[index] = value


def test_taking_back_from_a_row_that_is_taken_at_that_moment_never_goes_below_zero(pair) -> None:
    one, two = pair
    for index in range(WAYS - 1):
        use(two, key(f"k{index}"), 90)
    mine, words = key("mine"), one._words
    use(one, mine, 3)
    one._words = Watched(words, mine.row, 1, lambda: use(two, key("thief"), 20))
    one._take_back(Charge(mine, 3))
    one._words = words
    assert state(two, key("thief")) == (23, 0)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\0" * 9000, b"heddleLC" + b"\xff" * 9000])
def test_a_damaged_file_is_set_aside_and_reported(path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        file = prepare(path, 1, WAYS, NOW)
    counters = SharedCounters(path, 0)
    assert use(counters, key("a")).remaining == [99]
    assert (path.parent / f"limits.bin.corrupt-{int(NOW)}").read_bytes() == damage
    assert "counted from zero" in caplog.text
    counters.close()
    file.close()


def test_a_file_cut_short_is_set_aside(path: Path) -> None:
    prepare(path, 1, WAYS, NOW).close()
    os.truncate(path, 5000)
    prepare(path, 1, WAYS, NOW).close()
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


def test_rows_with_impossible_counts_are_dropped(path: Path) -> None:
    file = prepare(path, 1, WAYS, NOW)
    counters, tally, good = SharedCounters(path, 0), key("a"), key("b")
    use(counters, tally)
    use(counters, good, 4)
    counters._words[tally.row + counters._settled] = -(2**60)
    counters.close()
    file.close()
    file = prepare(path, 1, WAYS, NOW)
    counters = SharedCounters(path, 0)
    assert (state(counters, tally), state(counters, good)) == ((0, 0), (4, 0))
    counters.close()
    file.close()


def test_a_restart_forgets_past_windows(path: Path) -> None:
    file = prepare(path, 1, WAYS, NOW)
    counters = SharedCounters(path, 0)
    for index in range(10):
        use(counters, key(f"k{index}", 100, 60), 5)
    counters.close()
    file.close()
    file = prepare(path, 1, WAYS, NOW + 60)
    counters = SharedCounters(path, 0)
    assert sum(counters._words[row] != 0 for row in range(512, len(counters._words), 8)) == 0
    counters.close()
    file.close()


def test_a_smaller_table_keeps_what_it_has_room_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = prepare(path, 1, 8 * WAYS, NOW)
    counters = SharedCounters(path, 0)
    for index in range(2 * WAYS):
        use(counters, key(f"k{index}"))
    counters.close()
    file.close()
    with caplog.at_level(logging.WARNING):
        prepare(path, 1, WAYS, NOW).close()
    assert "16 keys" in caplog.text


def test_the_file_is_private_and_never_a_link(path: Path, tmp_path: Path) -> None:
    prepare(path, 1, WAYS, NOW).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        prepare(path, 1, WAYS, NOW)


def test_slots_and_workers_are_checked(path: Path) -> None:
    with pytest.raises(ValueError, match="workers"):
        prepare(path, 0)
    with pytest.raises(FileNotFoundError):
        SharedCounters(path, 0)
    prepare(path, 2, WAYS, NOW).close()
    for slot in (-1, 2):
        with pytest.raises(ValueError, match="slot"):
            SharedCounters(path, slot)


@pytest.mark.parametrize(
    ("now_s", "window_s", "start"),
    [
        (1_700_000_000, 60, 1_699_999_980),
        (1_700_000_000.9, 86_400, 1_699_920_000),  # midnight
        (1_700_000_000, 604_800, 1_699_833_600),  # Monday 2023-11-13
        (1_699_833_599, 604_800, 1_699_228_800),  # the Monday before
        (1_699_833_600, 1_209_600, 1_699_833_600),
        (1_700_000_000, 7, 1_700_000_000 - 1_700_000_000 % 7),
    ],
)
def test_windows_are_aligned_to_utc(now_s: float, window_s: int, start: int) -> None:
    assert window_start(now_s, window_s) == start
