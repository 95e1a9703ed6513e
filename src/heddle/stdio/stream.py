"""What one open HTTP answer is told, between the child that says it and the caller that reads it.

Owns the bounds of that queue. A caller that does not read holds up the child it alone uses, for a while; then its
stream is cut, so that nobody holds up a child that others use too.
"""

import asyncio
from collections import deque
from typing import NamedTuple

MAX_MESSAGES, MAX_BYTES = 256, 4 * 1024 * 1024
"""What may wait in one stream before the child is held up. One message is taken whatever its size."""
STALL_S = 10.0
"""How long a full stream may hold up the child."""
BACKLOG = 64
"""Messages kept for a session that has no stream open; the oldest go first."""


class Told(NamedTuple):
    """One message. `last` is the response, after which nothing follows."""

    data: bytes
    last: bool = False


class Stream:
    """A bounded queue with one reader. Without a reader (`attached` False) it keeps the latest few."""

    def __init__(self, *, attached: bool = True, waiting: "deque[Told] | None" = None) -> None:
        self.attached = attached
        self.closed = False
        """Nobody reads it any more, or it was cut: what is put is dropped."""
        self._waiting: deque[Told] = waiting if waiting is not None else deque()
        self._size = sum(len(told.data) for told in self._waiting)
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    async def put(self, told: Told) -> None:
        """Hand over one message; waits while there is no room, unless it is the last."""
        if not self.attached:
            while len(self._waiting) >= BACKLOG or (self._waiting and self._size + len(told.data) > MAX_BYTES):
                self._size -= len(self._waiting.popleft().data)
        elif not told.last and self._full() and not await self._await_room():
            self.close()
        if self.closed:
            return
        self._waiting.append(told)
        self._size += len(told.data)
        _resolve(self._arrival)

    def _full(self) -> bool:
        return not self.closed and (len(self._waiting) >= MAX_MESSAGES or self._size >= MAX_BYTES)

    async def _await_room(self) -> bool:
        try:
            async with asyncio.timeout(STALL_S):
                while self._full():
                    if self._room is None or self._room.done():
                        self._room = asyncio.get_running_loop().create_future()
                    await asyncio.shield(self._room)
        except TimeoutError:
            return False
        return True

    async def get(self, within_s: float | None = None) -> Told | None:
        """The next message; None when the stream was closed. Raises TimeoutError after `within_s`."""
        async with asyncio.timeout(within_s):
            while not self._waiting:
                if self.closed:
                    return None
                self._arrival = asyncio.get_running_loop().create_future()
                await self._arrival
        told = self._waiting.popleft()
        self._size -= len(told.data)
        if not self._full():
            _resolve(self._room)
        return told

    def close(self) -> None:
        """No more: whoever reads gets what waits, then the end; whoever puts is let go."""
        self.closed = True
        _resolve(self._arrival)
        _resolve(self._room)

    def handed_on(self, *, attached: bool) -> "Stream":
        """Another stream with what waits here; this one is closed and empty."""
        waiting, self._waiting = self._waiting, deque()
        self._size = 0
        self.close()
        return Stream(attached=attached, waiting=waiting)


def _resolve(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
