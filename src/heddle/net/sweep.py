"""One timer that looks at many deadlines, instead of one timer per request.

A connection keeps its deadline as a number; the sweep compares numbers. A deadline is therefore noticed up
to one period late, never early.
"""

import asyncio
from collections.abc import Callable


class Sweep:
    """Calls `look` every `period_s` seconds while it is started; restarting is harmless."""

    __slots__ = ("_look", "_period_s", "_timer")

    def __init__(self, look: Callable[[], bool], period_s: float) -> None:
        """`look` returns whether there is anything left to watch; the timer rests when there is not."""
        self._look = look
        self._period_s = period_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, unless it is running."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._tick)

    def stop(self) -> None:
        """No further call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        # Started again first: a look that fails must not be the last.
        self.start()
        if not self._look():
            self.stop()
