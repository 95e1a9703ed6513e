"""Failed attempts to authenticate, by source: after a few, further tokens are not looked at for a while.

Owns the counting, bounded in memory. It does not lock anybody out who has a good credential that was seen before.
"""

from collections import OrderedDict
from collections.abc import Callable

from heddle.telemetry.repeats import source_group

ALLOWED = 10
"""Failures within the window before a source waits."""
WINDOW_S = 30.0
MAX_SOURCES = 4_096


class Failures:
    """Failures of each source within a window."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Source -> when its window began, failures in it; the oldest window first."""

    def add(self, source: str) -> None:
        """Count one."""
        source, now = source_group(source), self._now()
        began_s, count = self._counted.pop(source, (now, 0))
        if not 0 <= now - began_s < WINDOW_S:
            began_s, count = now, 0
        self._counted[source] = (began_s, count + 1)
        if len(self._counted) > MAX_SOURCES:
            self._counted.popitem(last=False)

    def wait_s(self, source: str) -> int:
        """Seconds until a token of this source is looked at again; 0 is now."""
        began_s, count = self._counted.get(source_group(source), (0.0, 0))
        left_s = began_s + WINDOW_S - self._now()
        return int(left_s) + 1 if count >= ALLOWED and 0 < left_s <= WINDOW_S else 0
