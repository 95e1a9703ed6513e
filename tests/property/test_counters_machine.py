"""Any order of reservations, settlements, releases, deaths and restarts gives what simple arithmetic gives."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from heddle.drivers.counters import Charge, Refusal, Reservation, Tally
from heddle.drivers.counters.shared import SharedCounters, prepare

WORKERS = 3
LIMITS = (50, 20, 7)
SLOTS = st.integers(0, WORKERS - 1)
AMOUNTS = st.integers(1, 30)


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("suspended")


class Sharing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "limits.bin"
        self.now = 1_700_000_000.0
        self.settled = dict.fromkeys(range(len(LIMITS)), 0)
        self.file = None
        self.workers: list[SharedCounters] = []
        self.start()

    def start(self) -> None:
        self.file = prepare(self.path, WORKERS, 32, self.now)
        self.workers = [SharedCounters(self.path, slot) for slot in range(WORKERS)]
        self.tallies = [
            [Tally(f"t{i}", "tokens", (), limit, 60) for i, limit in enumerate(LIMITS)] for _ in range(WORKERS)
        ]
        self.open: list[tuple[int, list[int], list[int], Reservation]] = []

    def stop(self) -> None:
        for worker in self.workers:
            worker.close()
        self.file.close()

    def teardown(self) -> None:
        self.stop()
        self.directory.cleanup()

    def held(self, index: int) -> int:
        return sum(
            amount
            for _, limits, amounts, _ in self.open
            for i, amount in zip(limits, amounts, strict=True)
            if i == index
        )

    def used(self, index: int) -> int:
        return self.settled[index] + self.held(index)

    @rule(slot=SLOTS, index=st.integers(0, 2), amount=AMOUNTS)
    def charge(self, slot: int, index: int, amount: int) -> None:
        outcome = drive(self.workers[slot].reserve([Charge(self.tallies[slot][index], amount)], self.now))
        fits = self.used(index) + amount <= LIMITS[index]
        assert isinstance(outcome, Reservation) == fits
        if fits:
            self.settled[index] += amount
            assert outcome.remaining == [LIMITS[index] - self.used(index)]

    @rule(slot=SLOTS, one=AMOUNTS, two=AMOUNTS, least=st.integers(0, 5))
    def hold_two(self, slot: int, one: int, two: int, least: int) -> None:
        first, second = self.tallies[slot][:2]
        charges = [Charge(first, one, 0, True), Charge(second, two, least, True)]
        left = [LIMITS[i] - self.used(i) for i in (0, 1)]
        outcome = drive(self.workers[slot].reserve(charges, self.now))
        granted = two if two <= left[1] else left[1] if two <= LIMITS[1] and 0 < least <= left[1] else 0
        if one <= left[0] and granted:
            assert list(outcome.granted) == [one, granted]
            self.open.append((slot, [0, 1], [one, granted], outcome))
        else:
            assert isinstance(outcome, Refusal)
            assert outcome.settled + outcome.held == self.used(0 if outcome.charge is charges[0] else 1)

    @rule(slot=SLOTS, index=st.integers(0, 2), amount=AMOUNTS, used=st.integers(0, 40))
    def add_and_settle(self, slot: int, index: int, amount: int, used: int) -> None:
        """The short way admits only what fits, and need not admit all of that."""
        tally = self.tallies[slot][index]
        left = self.workers[slot].try_add(tally, amount, self.now, True)
        assert left in {-1, LIMITS[index] - self.used(index) - amount}
        if left >= 0:
            self.workers[slot].settle_one(tally.row, amount, used)
            self.settled[index] += used

    @precondition(lambda self: self.open)
    @rule(data=st.data(), amounts=st.tuples(st.integers(0, 40), st.integers(0, 40)))
    def settle(self, data: st.DataObject, amounts: tuple[int, int]) -> None:
        slot, limits, _, reservation = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.workers[slot].settle(reservation, amounts)
        for index, amount in zip(limits, amounts, strict=True):
            self.settled[index] += amount

    @precondition(lambda self: self.open)
    @rule()
    def release(self) -> None:
        slot, _, _, reservation = self.open.pop()
        self.workers[slot].release(reservation)

    @rule(slot=SLOTS)
    def replace_worker(self, slot: int) -> None:
        """The worker dies without a word; its successor drops what it held."""
        self.workers[slot].close()
        self.workers[slot] = SharedCounters(self.path, slot)
        self.tallies[slot] = [Tally(f"t{i}", "tokens", (), limit, 60) for i, limit in enumerate(LIMITS)]
        self.open = [held for held in self.open if held[0] != slot]

    @rule()
    def restart_everything(self) -> None:
        self.stop()
        self.start()

    @rule()
    def next_window(self) -> None:
        self.now += 60
        self.settled = dict.fromkeys(range(len(LIMITS)), 0)
        for slot, _, _, reservation in self.open:
            self.workers[slot].settle(reservation, (3, 3))
        self.open = []

    @invariant()
    def nothing_is_negative_or_forgotten(self) -> None:
        for index, limit in enumerate(LIMITS):
            probe = Tally(f"t{index}", "tokens", (), limit, 60)
            refusal = drive(self.workers[0].reserve([Charge(probe, limit + 1)], self.now))
            assert (refusal.settled, refusal.held) == (self.settled[index], self.held(index))


Sharing.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSharing = Sharing.TestCase
