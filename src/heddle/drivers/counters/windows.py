"""Counts over other windows than fixed ones aligned to UTC: those of a calendar, and sliding ones.

Owns when such a window begins and ends; how it is counted stays the driver's, for which these are tallies as any
other.

*A calendar's* window begins at midnight of its zone, so a day can have 23 or 25 hours.

*A sliding window* of length W is counted in 13 tallies over fixed windows of W + W/12, which begin W/12 after each
other; a charge is made to all of them or none. Any span of length W lies inside one of these windows, so in no such
span more is used than the limit; and what was used is forgotten at most W/12 late. One count that is shifted along
would have to be changed by all workers at the same moment; these are never changed at all.
*Source:* IANA time zones through `zoneinfo`; ISO 8601 for weeks that begin on Monday.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from heddle.drivers.counters import Tally
from heddle.model.snapshot_budgets import WindowSpec

SPANS: Final = 12
"""Parts of a sliding window; one more tally than this counts it."""
_NOMINAL_S: Final = {"day": 86_400, "week": 604_800, "month": 2_629_746, "year": 31_556_952}
"""Lengths by which periods are told apart; a month here is a twelfth of a mean Gregorian year."""


class CalendarTally(Tally):
    """A count over a day, week, month or year of some zone."""

    __slots__ = ("_period", "_zone")

    def __init__(self, name: str, unit: str, values: tuple[str, ...], limit: int, window: WindowSpec) -> None:
        """KeyError or ValueError for a zone that this machine does not know."""
        super().__init__(name, unit, values, limit, _NOMINAL_S[window.period])
        self._period: str = window.period
        self._zone = ZoneInfo(window.zone)

    def enter(self, now_s: float) -> None:
        """Move to the period that contains `now_s`."""
        # Asked by every tally of a budget, mostly within one period.
        self.starts_s, self.ends_s = _period(self._period, self._zone, int(now_s) // 60)


class PhasedTally(Tally):
    """One of the windows that a sliding one is made of."""

    __slots__ = ("_phase_s",)

    def __init__(self, name: str, unit: str, values: tuple[str, ...], limit: int, length_s: int, phase: int) -> None:
        super().__init__(name, unit, values, limit, length_s + length_s // SPANS)
        self._phase_s = phase * (length_s // SPANS)

    def enter(self, now_s: float) -> None:
        """Move to the window that contains `now_s`."""
        begun = int(now_s) - self._phase_s
        self.starts_s = begun - begun % self.window_s + self._phase_s
        self.ends_s = self.starts_s + self.window_s


def tallies(name: str, unit: str, values: tuple[str, ...], limit: int, window: WindowSpec) -> tuple[Tally, ...]:
    """What counts a window: all of them are to be charged together."""
    if window.kind == "calendar":
        return (CalendarTally(name, unit, values, limit, window),)
    if window.kind == "sliding":
        return tuple(PhasedTally(name, unit, values, limit, window.length_s, phase) for phase in range(SPANS + 1))
    return (Tally(name, unit, values, limit, window.length_s),)


@lru_cache(maxsize=256)
def _period(period: str, zone: ZoneInfo, minute: int) -> tuple[int, int]:
    """Unix times at which the period around a minute begins and ends. Zones change their offset on whole minutes."""
    now = datetime.fromtimestamp(minute * 60, zone)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "day":
        first, last = day, day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    elif period == "month":
        first = day.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    else:
        first = day.replace(month=1, day=1)
        last = first.replace(year=first.year + 1)
    return _unix(first, zone), _unix(last, zone)


def _unix(moment: datetime, zone: ZoneInfo) -> int:
    # Adding days keeps the wall clock; the offset is looked up anew for the day that came out.
    return int(moment.replace(tzinfo=zone, fold=0).timestamp())
