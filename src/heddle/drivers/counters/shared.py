"""Counters shared by the workers of one machine, in a mapped file that outlives them.

Owns the exact-limit protocol and what happens at the start of a parent and of a worker. The file is `table`'s.

*Exact:* a call adds to its own worker's word, issues a full barrier, reads the sum over all workers, and takes its
add back when the sum is over. Of all calls that were admitted, the one whose add became visible last has seen all
others in its sum, so the sum of what was admitted fits. (Check-then-add overshot in 7 of 15 runs, this in none.) Two
calls racing for the last unit may both be refused; the next one gets it.

*Crashes:* what is held and what is settled are apart. Settling stores the settled amount first and clears the hold
second, and readers read holds first and settled amounts second, so at no moment and after no kill is an amount in
neither. A worker that starts in a slot drops the holds of its predecessor there. The page cache keeps the rest;
`CounterFile.flush` is for power cuts.

*Rows change keys:* see `table`. An add to a row that was being taken is noticed by its generation, undone, and the
call begins anew.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from heddle.drivers.counters import MAX_AMOUNT, Charge, CountersFullError, Refusal, Reservation, Tally
from heddle.drivers.counters.table import (
    HEADER_BYTES,
    MAX_WORKERS,
    SLOT_MASK,
    WAYS,
    DamagedError,
    Layout,
    Table,
    allocate,
    lock_all,
    open_private,
    own_parent,
    read_layout,
)
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

DEFAULT_ENTRIES: Final = 65_536
"""Keys that can be counted at a time, over all limits; 4 to 8 MiB of file for up to four workers."""
_ATTEMPTS: Final = 8
_SETTLED_CAP: Final = 2**62


def _fits(refusal: Refusal) -> bool:
    return refusal.charge.amount <= refusal.charge.tally.limit - refusal.settled - refusal.held


class CounterFile:
    """The parent's hold on the table: it makes it, keeps others off it, and writes it to disk now and then."""

    def __init__(self, path: Path) -> None:
        self._table = Table(path)
        own_parent(self._table)

    def flush(self) -> None:
        """Write changed pages to disk (msync), for power cuts; blocks for as long as the disk takes."""
        self._table.buffer.flush()

    def close(self) -> None:
        """Flush and let go."""
        self.flush()
        self._table.close()


class SharedCounters:
    """A `Counters` for one worker: one process, one thread, one slot."""

    def __init__(self, path: Path, slot: int, metrics: Metrics | None = None) -> None:
        """Take `slot` of the table that the parent prepared, and drop the holds of whoever had it before.

        Raises OSError when another living process has the slot or there is no table, ValueError when the table has no
        such slot.
        """
        try:
            table = Table(path)
        except DamagedError as exc:
            raise OSError(f"{path}: {exc}") from exc
        if not 0 <= slot < table.layout.workers:
            table.close()
            raise ValueError(f"slot {slot} of {table.layout.workers}")
        try:
            table.own(1 + slot)
        except OSError:
            table.close()
            raise
        table.drop_held(slot)
        self._table = table
        self._slot = slot
        self._words = table.words
        self._buffer = table.buffer
        self._row = table.read_row
        self._held = 1 + slot
        self._settled = 1 + table.layout.workers + slot
        self._acquire, self._release = table.acquire, table.release
        self._evicted = metrics.counter(names.LIMIT_EVICTIONS) if metrics else None

    def close(self) -> None:
        """Let go of the slot; what is held stays held until the slot is taken again."""
        self._table.close()

    @property
    def evictions(self) -> int:
        """How often a key in use lost its row to another one, in this worker."""
        return self._table.evictions

    async def reserve(self, charges: Sequence[Charge], now_s: float) -> Reservation | Refusal:
        """See `Counters`; never suspends."""
        outcome = self._attempt(charges, now_s)
        if type(outcome) is not Reservation:
            outcome = self._again(outcome, charges, now_s)
        return outcome

    def _again(
        self, outcome: Reservation | Refusal | None, charges: Sequence[Charge], now_s: float
    ) -> Reservation | Refusal:
        """Try some more times, where the reason may have gone."""
        for _ in range(_ATTEMPTS):
            # What made the sum too high may have been taken back: another call, refused at the same moment.
            if isinstance(outcome, Refusal) and not _fits(outcome):
                return outcome
            outcome = self._attempt(charges, now_s)
            if isinstance(outcome, Reservation):
                return outcome
        if outcome is None:
            raise CountersFullError
        return outcome

    def try_add(self, tally: Tally, amount: int, now_s: float, holds: bool) -> int:
        """See `Counters`: the protocol of `_attempt` and `_check`, for the one charge that fits."""
        words, row, generation = self._words, tally.row, tally.generation
        if now_s >= tally.ends_s or now_s < tally.starts_s or words[row] != generation or amount > tally.limit:
            return -1
        words[row + (self._held if holds else self._settled)] += amount
        self._acquire()  # the barrier, see `table`
        self._release()
        seen = self._row(self._buffer, row << 3)
        left: int = tally.limit + generation - sum(seen)
        if left < 0 or seen[0] != generation:
            self._undo([Charge(tally, amount, 0, holds)], 1)
            return -1
        return left

    def settle_one(self, place: int, granted: int, used: int) -> None:
        """See `Counters`. The row cannot have been taken: something is held in it."""
        words = self._words
        if used > 0:
            total = words[place + self._settled] + used
            if used > MAX_AMOUNT or total > _SETTLED_CAP:
                total = min(total - used + MAX_AMOUNT, _SETTLED_CAP)
            words[place + self._settled] = total
        words[place + self._held] -= granted

    def settle(self, reservation: Reservation, amounts: Sequence[int]) -> None:
        """See `Counters`."""
        for place, granted, amount in zip(reservation.places, reservation.granted, amounts, strict=False):
            self.settle_one(place, granted, amount)
        reservation.granted = reservation.places = ()

    def release(self, reservation: Reservation) -> None:
        """See `Counters`."""
        self.settle(reservation, [0] * len(reservation.granted))

    def _attempt(self, charges: Sequence[Charge], now_s: float) -> Reservation | Refusal | None:
        """Add, then check; None when a row was being taken from under an add. What is not admitted has been undone."""
        words, added = self._words, 0
        try:
            for charge in charges:
                tally = charge.tally
                row = tally.row
                if now_s >= tally.ends_s or words[row] != tally.generation or now_s < tally.starts_s:
                    self._locate(tally, now_s)
                    row = tally.row
                if charge.amount > tally.limit:
                    return self._refuse(charges, added, charge)
                words[row + (self._held if charge.holds else self._settled)] += charge.amount
                added += 1
        except BaseException:
            self._undo(charges, added)
            raise
        self._acquire()  # the barrier, see `table`
        self._release()
        return self._check(charges)

    def _check(self, charges: Sequence[Charge]) -> Reservation | Refusal | None:
        read_row, buffer = self._row, self._buffer
        remaining, granted, places = [], [], []
        for charge in charges:
            tally = charge.tally
            generation, row = tally.generation, tally.row
            words = read_row(buffer, row << 3)
            if words[0] != generation:
                self._undo(charges, len(charges))
                return None
            left = tally.limit + generation - sum(words)
            if left < 0:
                if not self._trim(charge, left):
                    return self._refuse(charges, len(charges), charge)
                left = 0
            remaining.append(left)
            if charge.holds:
                granted.append(charge.amount)
                places.append(row)
        return Reservation(remaining, granted, places)

    def _trim(self, charge: Charge, left: int) -> bool:
        """Lower a charge to what the window still has, if it may be; of two at the same moment, both too far."""
        if not 0 < charge.least <= charge.amount + left:
            return False
        charge.amount += left
        self._words[charge.tally.row + self._held] += left
        return True

    def _refuse(self, charges: Sequence[Charge], added: int, charge: Charge) -> Refusal:
        self._undo(charges, added)
        tally, workers = charge.tally, self._table.layout.workers
        words = self._row(self._buffer, tally.row << 3)
        return Refusal(charge, sum(words[1 + workers :]), sum(words[1 : 1 + workers]), tally.ends_s)

    def _undo(self, charges: Sequence[Charge], added: int) -> None:
        if added:
            self._table.barrier()
        for charge in charges[:added]:
            self._take_back(charge)

    def _take_back(self, charge: Charge) -> None:
        """Undo one add, whether or not its row has been taken since."""
        words, tally = self._words, charge.tally
        row, index, undone = tally.row, tally.row + (self._held if charge.holds else self._settled), False
        if words[row] == tally.generation:
            value = words[index]
            # Less than our add is in it: cleared by a taker. Going below zero would let others through.
            if value >= charge.amount:
                words[index] = value - charge.amount
                undone = True
            self._table.barrier()
            if words[row] == tally.generation:
                return
        with self._table.locked():
            generation = words[row]
            if generation == tally.generation:  # the taker found holds and gave the row back
                words[index] -= 0 if undone else charge.amount
            elif generation & SLOT_MASK != self._slot + 1:
                # Taken by another worker. This one has added nothing for the new key, since it has only just noticed.
                # Had it taken the row itself, it would have cleared it after the add.
                words[row + self._held] = words[row + self._settled] = 0

    def _locate(self, tally: Tally, now_s: float) -> None:
        before = self._table.evictions
        self._table.locate(tally, self._slot, now_s)
        if self._evicted is not None and self._table.evictions != before:
            self._evicted.add()


def prepare(path: Path, workers: int, entries: int = DEFAULT_ENTRIES, now_s: float | None = None) -> CounterFile:
    """Make the table ready for `workers` slots, before any worker starts; keep the result open for the parent's life.

    Counts of windows that are not over are carried over, those of all former workers in one column; holds are dropped.
    What cannot be read is set aside and reported. `entries` is rounded up to whole buckets. Raises OSError when
    a parent or a worker that still lives uses the table, or the disk is full.
    """
    if not 0 < workers <= MAX_WORKERS:
        raise ValueError(f"between 1 and {MAX_WORKERS} workers, not {workers}")
    now = time.time() if now_s is None else now_s
    with _former(path, now) as former:
        salt = former.layout.salt if former else os.urandom(16)
        layout = Layout(workers, max(1, -(-entries // WAYS)) * WAYS, salt)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        _write_new(fresh, layout, former.kept if former else [])
        # Owned before it has its name, so that there is no moment at which another parent could take it.
        held = CounterFile(fresh)
        fresh.rename(path)
    return held


class _Kept(NamedTuple):
    """A count that goes on."""

    digest: bytes
    ends_s: int
    limit: int
    settled: int


class _Former(NamedTuple):
    """What the last run left."""

    layout: Layout
    kept: list[_Kept]


@contextmanager
def _former(path: Path, now_s: float) -> Iterator[_Former | None]:
    """The last run's counts, the file locked meanwhile; None when there is none that can be read."""
    try:
        fd = open_private(path, 0)
    except FileNotFoundError:
        yield None
        return
    try:
        lock_all(fd)
        yield _read_kept(fd, path, now_s)
    finally:
        os.close(fd)


def _read_kept(fd: int, path: Path, now_s: float) -> _Former | None:
    try:
        layout = read_layout(fd)
    except DamagedError as exc:
        aside = path.with_name(f"{path.name}.corrupt-{int(now_s)}")
        path.rename(aside)
        log.warning("limits are counted from zero: %s is %s; kept as %s", path, exc, aside.name)
        return None
    step, kept = layout.row_words * 8, []
    span = step * 4096
    for begin in range(HEADER_BYTES, layout.size, span):
        words = memoryview(os.pread(fd, min(span, layout.size - begin), begin)).cast("q")
        for index, generation in enumerate(words[:: layout.row_words]):
            if generation:
                at = index * layout.row_words
                count = _decode_row(words[at : at + layout.row_words], layout.workers)
                if count.ends_s > now_s and 0 <= count.settled < _SETTLED_CAP:
                    kept.append(count)
    return _Former(layout, kept)


def _decode_row(words: "memoryview[int]", workers: int) -> _Kept:
    at = 1 + 2 * workers
    return _Kept(words[at : at + 2].tobytes(), words[at + 2], words[at + 3], sum(words[1 + workers : at]))


def _write_new(path: Path, layout: Layout, kept: list[_Kept]) -> None:
    path.unlink(missing_ok=True)
    fd = open_private(path, os.O_CREAT | os.O_EXCL)
    try:
        allocate(fd, layout.size)
        os.pwrite(fd, layout.pack(), 0)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(fd)
    table = Table(path)
    lost = sum(not table.put(count.digest, count.ends_s, count.limit, count.settled) for count in kept)
    table.close()
    if lost:
        log.warning("limits of %d keys are counted from zero: the table has no more room for them", lost)
