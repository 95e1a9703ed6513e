"""Counters in the memory of one process: exact there, forgotten with it. For tests and one-off processes."""

from collections.abc import Sequence

from heddle.drivers.counters import MAX_AMOUNT, Charge, Refusal, Reservation, Tally


class _Count:
    """Both parts of one count."""

    __slots__ = ("ends_s", "held", "settled")

    def __init__(self, ends_s: int) -> None:
        self.settled = 0
        self.held = 0
        self.ends_s = ends_s


_Key = tuple[str, str, int, int, tuple[str, ...]]


class MemoryCounters:
    """A `Counters` over a dict. Windows that are past are dropped whenever the dict has doubled."""

    def __init__(self) -> None:
        self._counts: dict[_Key, _Count] = {}
        self._held: dict[int, _Count] = {}
        self._next = 0
        self._sweep_at = 1024

    async def reserve(self, charges: Sequence[Charge], now_s: float) -> Reservation | Refusal:
        """See `Counters`; never suspends, so nothing comes between the check and the add."""
        counts = [self._count(charge.tally, now_s) for charge in charges]
        room: dict[int, int] = {}
        for charge, count in zip(charges, counts, strict=True):
            left = room.get(id(count), charge.tally.limit - count.settled - count.held)
            if charge.amount > left:
                if not charge.holds or not 0 < charge.least <= left or charge.amount > charge.tally.limit:
                    return Refusal(charge, count.settled, count.held, charge.tally.ends_s)
                charge.amount = left
            room[id(count)] = left - charge.amount
        reservation = Reservation([], [], [])
        granted, places = [], []
        for charge, count in zip(charges, counts, strict=True):
            if charge.holds:
                count.held += charge.amount
                granted.append(charge.amount)
                places.append(self._remember(count))
            else:
                count.settled += charge.amount
            reservation.remaining.append(room[id(count)])
        reservation.granted, reservation.places = granted, places
        return reservation

    def try_add(self, tally: Tally, amount: int, now_s: float, holds: bool) -> int:
        """See `Counters`."""
        count = self._count(tally, now_s)
        left = tally.limit - count.settled - count.held - amount
        if left < 0:
            return -1
        if holds:
            count.held += amount
            tally.row = self._remember(count)
        else:
            count.settled += amount
        return left

    def settle_one(self, place: int, granted: int, used: int) -> None:
        """See `Counters`."""
        count = self._held.pop(place)
        count.held -= granted
        count.settled += max(0, min(used, MAX_AMOUNT))

    def settle(self, reservation: Reservation, amounts: Sequence[int]) -> None:
        """See `Counters`."""
        for place, granted, amount in zip(reservation.places, reservation.granted, amounts, strict=False):
            self.settle_one(place, granted, amount)
        reservation.granted = reservation.places = ()

    def release(self, reservation: Reservation) -> None:
        """See `Counters`."""
        self.settle(reservation, [0] * len(reservation.granted))

    def _remember(self, count: _Count) -> int:
        self._next += 1
        self._held[self._next] = count
        return self._next

    def _count(self, tally: Tally, now_s: float) -> _Count:
        tally.enter(now_s)
        key = (tally.name, tally.unit, tally.window_s, tally.starts_s, tally.values)
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= self._sweep_at:
                self._counts = {k: c for k, c in self._counts.items() if c.ends_s > now_s or c.held}
                self._sweep_at = max(1024, 2 * len(self._counts))
            count = self._counts[key] = _Count(tally.ends_s)
        return count
