"""How many watches there may be, and which there are.

Owns the caps that keep one caller from using up what all share.
"""

from collections import Counter
from typing import Protocol

from heddle.wire.kube.status import ApiError

MAX_WATCHES_PER_CALLER = 2_000
MAX_WATCHES = 10_000


class Closable(Protocol):
    """What can be ended."""

    def close(self) -> None:
        """End it."""
        ...


class Watches:
    """All watches that are open."""

    def __init__(self, per_caller: int = MAX_WATCHES_PER_CALLER, most: int = MAX_WATCHES) -> None:
        self._per_caller = per_caller
        self._most = most
        self._callers: Counter[str] = Counter()
        self._open: set[Closable] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, caller: str) -> None:
        """Make room for one more. Raises ApiError 429 and 503."""
        if self._closed:
            raise ApiError(503, "ServiceUnavailable", "the server is shutting down", {"retryAfterSeconds": 1})
        if self._callers[caller] >= self._per_caller or self._callers.total() >= self._most:
            message = "too many watches are open, please try again later"
            raise ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": 5})
        self._callers[caller] += 1

    def add(self, one: Closable) -> None:
        """Know of a watch that was made."""
        self._open.add(one)
        if self._closed:
            one.close()

    def leave(self, caller: str, one: Closable) -> None:
        """Forget it."""
        self._open.discard(one)
        self._callers[caller] -= 1
        if self._callers[caller] <= 0:
            del self._callers[caller]

    def close(self) -> None:
        """End all, and take no more; clients come back to who serves then."""
        self._closed = True
        for one in tuple(self._open):
            one.close()
