"""Counts that limits are kept by: the protocol, and the values that cross it.

A count belongs to one limit, one combination of key values and one window; since the window's start is part of
its identity nothing is ever reset, old windows are merely forgotten. What a call may use is reserved before it, all
limits or none, and settled with what it did use.

Promise of every driver: *settled + reserved never exceeds the limit through `reserve`*, whatever the number of
processes; a settlement above its reservation may (an estimate was wrong), by exactly that difference.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

WEEK_S = 7 * 86_400
_MONDAY_S = 4 * 86_400
"""1970-01-05, the first Monday of Unix time."""

MAX_AMOUNT = 2**40
"""Most that one settlement counts, so that no upstream's nonsense can overflow a 64-bit count."""


class Tally:
    """One count as the caller names it: a limit and one combination of its key values.

    Made once and passed in again and again; drivers keep on it where they found the count last, so it belongs
    to one `Counters` and to one thread.
    """

    __slots__ = ("ends_s", "generation", "limit", "name", "row", "starts_s", "unit", "values", "window_s")

    def __init__(self, name: str, unit: str, values: tuple[str, ...], limit: int, window_s: int) -> None:
        self.name = name
        self.unit = unit
        """`requests` or `tokens`; a limit that changes its unit starts a new count."""
        self.values = values
        self.limit = limit
        self.window_s = window_s
        self.starts_s = 0
        """Unix time of the window that it was last used in."""
        self.ends_s = 0
        self.row = 0
        """The driver's own, as is `generation`."""
        self.generation = -1

    def enter(self, now_s: float) -> None:
        """Move to the window that contains `now_s`."""
        self.starts_s = window_start(now_s, self.window_s)
        self.ends_s = self.starts_s + self.window_s


class Charge(msgspec.Struct, gc=False):
    """What one call would add to one count."""

    tally: Tally
    amount: int
    """At least 1. An amount above the limit is refused outright."""
    least: int = 0
    """Accept as little as this when the window has no more left; 0: the whole amount or nothing.
    Only for charges that hold; `reserve` then lowers `amount` to what was granted."""
    holds: bool = False
    """Reserved now and settled later. Otherwise settled at once."""


class Reservation(msgspec.Struct, gc=False):
    """All charges were admitted."""

    remaining: list[int]
    """What each count has left after this call, in the order of the charges."""
    granted: Sequence[int]
    """What is held, one for each charge that holds, in their order; emptied when settled or released."""
    places: Sequence[int]
    """The driver's own."""


class Refusal(msgspec.Struct, gc=False):
    """A charge did not fit and none was made."""

    charge: Charge
    settled: int
    """Used up in this window by calls that have ended."""
    held: int
    """Reserved by calls still under way."""
    resets_s: int
    """Unix time at which the window ends."""


class CountersFullError(Exception):
    """No room for another key: everything that could be dropped is held by calls under way."""


class Counters(Protocol):
    """Where limits are counted. Errors of a remote one are ConnectionError and TimeoutError."""

    async def reserve(self, charges: Sequence[Charge], now_s: float) -> Reservation | Refusal:
        """Make all charges or none; `now_s` is Unix time. Raises CountersFullError."""
        ...

    def try_add(self, tally: Tally, amount: int, now_s: float, holds: bool) -> int:
        """One charge whose whole amount fits, at once: what is left after it. -1: nothing was added, ask `reserve`.

        What is held is settled by `settle_one`, with the `tally.row` that this leaves.
        """
        ...

    def settle_one(self, place: int, granted: int, used: int) -> None:
        """Replace what `try_add` held by what was used."""
        ...

    def settle(self, reservation: Reservation, amounts: Sequence[int]) -> None:
        """Replace what is held by what was used: `amounts` parallel to `granted`. A second time does nothing."""
        ...

    def release(self, reservation: Reservation) -> None:
        """Give back what is held, unused. A second time does nothing."""
        ...


def window_start(now_s: float, window_s: int) -> int:
    """Unix time at which the fixed window containing `now_s` began.

    Windows are aligned to UTC: minutes, hours and days begin when the calendar's do. Unix time began on a
    Thursday, so windows of whole weeks are shifted to begin on Monday (ISO 8601). Other lengths are counted from
    1970-01-01, 00:00 UTC.
    """
    offset_s = _MONDAY_S if window_s % WEEK_S == 0 else 0
    now = int(now_s) - offset_s
    return now - now % window_s + offset_s
