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

from heddle.drivers.counters.tally import WEEK_S, Tally, window_start

__all__ = [
    "MAX_AMOUNT",
    "WEEK_S",
    "Charge",
    "Counters",
    "CountersFullError",
    "Refusal",
    "Reservation",
    "Tally",
    "window_start",
]

MAX_AMOUNT = 2**40
"""Most that one settlement counts, so that no upstream's nonsense can overflow a 64-bit count."""


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
