"""Messages that wait, and what is given up because too many do."""

import logging
import time
from collections import deque
from typing import Generic, TypeVar

from heddle.drivers.bus import MAX_PAYLOAD_BYTES

_log = logging.getLogger("heddle.bus")

MAX_MESSAGES = 10_000
MAX_BYTES = 2 * MAX_PAYLOAD_BYTES
"""Of one queue. Processes that do not keep up share what waits for them: a message is in memory once."""
QUIET_S = 60.0
"""After a line in the log, how long further losses are only counted."""

Item = TypeVar("Item")


class Losses:
    """What one process has given up."""

    __slots__ = ("_told_s", "count")

    def __init__(self) -> None:
        self.count = 0
        self._told_s: float | None = None

    def add(self, why: str, count: int = 1) -> None:
        """Count, and say so now and then."""
        self.count += count
        now_s = time.monotonic()
        if self._told_s is None or now_s - self._told_s >= QUIET_S:
            self._told_s = now_s
            _log.warning("messages between workers are given up (%d so far): %s", self.count, why)


class Backlog(Generic[Item]):
    """A queue that takes no more than fits."""

    __slots__ = ("_bytes", "_items", "_losses", "_whose")

    def __init__(self, losses: Losses, whose: str) -> None:
        """`whose` it is, for the log."""
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._losses, self._whose = losses, whose

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, size: int) -> bool:
        """Take it; False when it was given up."""
        if len(self._items) >= MAX_MESSAGES or self._bytes + size > MAX_BYTES:
            self._losses.add(f"{self._whose} does not keep up")
            return False
        self._items.append((item, size))
        self._bytes += size
        return True

    @property
    def first(self) -> Item:
        """The oldest one, which goes on waiting."""
        return self._items[0][0]

    def take(self) -> Item:
        """The oldest one."""
        item, size = self._items.popleft()
        self._bytes -= size
        return item

    def clear(self) -> int:
        """Forget all of them; how many there were."""
        count = len(self._items)
        self._items.clear()
        self._bytes = 0
        return count
