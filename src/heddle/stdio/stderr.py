"""What a tool server writes to standard error, or wrongly to standard output: into the log, tamed.

Owns that one server cannot flood the log, break out of its line, drive a terminal, or print the secrets it was given.
The last lines are kept: they are what an error about a server that does not start has to say.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

MAX_LINE_CHARS = 1_000
"""Longer lines are clipped in the log."""
LAST_LINES, LAST_LINE_CHARS = 6, 300
BURST, LINES_PER_S = 100.0, 20.0
"""How many lines one server may log at once, and how many per second for long."""
REDACTED = "***"
_MIN_SECRET_CHARS = 6
"""Shorter values would blacken ordinary words."""


def tamed(data: bytes, secrets: Iterable[str] = ()) -> str:
    """One line as text that is safe to show: clipped, without secrets, everything unprintable escaped."""
    clipped = data[: 4 * MAX_LINE_CHARS]
    text = clipped.decode("utf-8", "backslashreplace")
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text.rstrip())
    if len(shown) > MAX_LINE_CHARS or len(data) > len(clipped):
        return f"{shown[:MAX_LINE_CHARS]} [clipped]"
    return shown


class Allowance:
    """How many lines may be logged; all children of a target share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room, self._filled_s = BURST, clock()
        self._dropped = 0

    def take(self) -> int:
        """How many lines were dropped before this one may be logged; -1 drops this one too."""
        now = self._clock()
        self._room = min(BURST, self._room + (now - self._filled_s) * LINES_PER_S)
        self._filled_s = now
        if self._room < 1:
            self._dropped += 1
            return -1
        self._room -= 1
        dropped, self._dropped = self._dropped, 0
        return dropped


class Complaints:
    """The log of one child."""

    def __init__(self, target: str, env: dict[str, str], allowance: Allowance) -> None:
        """`env` is what it was given explicitly: its values are secrets."""
        self._log = logging.getLogger(f"heddle.stdio.{target}")
        # The longest first: one value may be a part of another.
        self._secrets = sorted((one for one in env.values() if len(one) >= _MIN_SECRET_CHARS), key=len, reverse=True)
        self._allowance = allowance
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def line(self, data: bytes, *, level: int = logging.INFO, said: str = "") -> None:
        """Log one line; `said` is what is wrong with it, when it is not of standard error."""
        text = tamed(data, self._secrets)
        if not text:
            return
        if not said:
            self._last.append(text if len(text) <= LAST_LINE_CHARS else f"{text[:LAST_LINE_CHARS]} [clipped]")
        dropped = self._allowance.take()
        if dropped > 0:
            self._log.warning("%d lines were dropped: it writes more than %g per second", dropped, LINES_PER_S)
        if dropped >= 0:
            self._log.log(level, "%s%s", said, text)

    @property
    def last(self) -> str:
        """The last lines of standard error, as the end of a sentence; empty when there are none.

        They go to whoever the child works for, so they are one child's, never another's.
        """
        return f" Its last lines: {' | '.join(self._last)}" if self._last else ""
