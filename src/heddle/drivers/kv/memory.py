"""Values in the memory of one process: for tests, and for processes without a state directory.

Owns nothing beyond the contract of `Kv`.
"""

from collections.abc import Callable
from time import time

from heddle.drivers.kv import KEY_BYTES, SPACES, Space


class MemoryKv:
    """One space."""

    __slots__ = ("_now", "_size", "_space", "_values")

    def __init__(self, space: Space, now: Callable[[], float] = time) -> None:
        self._space = space
        self._now = now
        self._values: dict[bytes, tuple[bytes, float]] = {}
        self._size = 0

    async def get(self, key: bytes) -> bytes | None:
        """See `Kv`."""
        found = self._values.get(key)
        if found is None:
            return None
        if found[1] <= self._now():
            self.delete(key)
            return None
        return found[0]

    def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """See `Kv`."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self.delete(key)
        if len(value) > self._space.value_bytes:
            return
        self._values[key] = value, self._now() + ttl_s
        self._size += len(value)
        while self._size > self._space.bytes or len(self._values) > self._space.entries:
            self.delete(next(iter(self._values)))

    def delete(self, key: bytes) -> None:
        """See `Kv`."""
        gone = self._values.pop(key, None)
        if gone is not None:
            self._size -= len(gone[0])


class MemoryStores:
    """The spaces of one process; a `Stores`."""

    __slots__ = ("_now", "_spaces")

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now
        self._spaces: dict[str, MemoryKv] = {}

    def __call__(self, name: str) -> MemoryKv:
        """The space called `name`."""
        if name not in self._spaces:
            self._spaces[name] = MemoryKv(SPACES[name], self._now)
        return self._spaces[name]
