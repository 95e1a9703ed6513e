"""One count as a limit names it, and the windows that counts are kept in."""

from typing import Final

WEEK_S: Final = 7 * 86_400
_MONDAY_S: Final = 4 * 86_400
"""1970-01-05, the first Monday of Unix time."""


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


def window_start(now_s: float, window_s: int) -> int:
    """Unix time at which the fixed window containing `now_s` began.

    Windows are aligned to UTC: minutes, hours and days begin when the calendar's do. Unix time began on a
    Thursday, so windows of whole weeks are shifted to begin on Monday (ISO 8601). Other lengths are counted from
    1970-01-01, 00:00 UTC.
    """
    offset_s = _MONDAY_S if window_s % WEEK_S == 0 else 0
    now = int(now_s) - offset_s
    return now - now % window_s + offset_s
