"""The connections to one upstream, and who gets which.

Owns the decision which connection carries a request: the one that rested least (so that surplus ones grow old
and expire), a new one while there is room, or the next to be given back, in the order of asking.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from heddle.net.outbound import OutboundConnection

REUSE_WITHIN_S: Final = 55.0
"""Longest rest of a pooled connection: a little less than the 60 s after which most servers close theirs."""


class Pool:
    """At most `max_connections` connections; idle ones last in, first out."""

    __slots__ = ("_clock", "_idle", "_open", "_opening", "_started", "_waiters", "max_connections")

    def __init__(self, max_connections: int, clock: Callable[[], float], started: Callable[[], None]) -> None:
        """`started` is called when a connection was opened: there is something to sweep."""
        self.max_connections = max_connections
        self._clock = clock
        self._started = started
        self._idle: list[OutboundConnection] = []
        self._open: set[OutboundConnection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[OutboundConnection | None]] = deque()

    @property
    def connection_count(self) -> int:
        """Connections that are open or being opened."""
        return len(self._open) + self._opening

    @property
    def idle_count(self) -> int:
        """Connections at rest."""
        return len(self._idle)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock()

    def take(self) -> OutboundConnection | None:
        """The most recently used idle connection, or None. Never suspends."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    def reserve(self) -> bool:
        """Claim room for a new connection; False when the pool is at its maximum."""
        if len(self._open) + self._opening >= self.max_connections:
            return False
        self._opening += 1
        return True

    async def wait(self) -> OutboundConnection | None:
        """Wait, first come first served, for a connection, or for room to open one (None, already claimed)."""
        waiter: asyncio.Future[OutboundConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _pass_on(self, connection: OutboundConnection | None) -> None:
        if connection is None:
            self.give_up_reservation()
        else:
            self.give_back(connection, 0.0)

    def give_up_reservation(self) -> None:
        """The claimed connection did not come about."""
        self._opening -= 1
        self._wake_for_room()

    def opened(self, connection: OutboundConnection) -> None:
        """The claimed connection is up."""
        self._opening -= 1
        self._open.add(connection)
        self._started()

    def give_back(self, connection: OutboundConnection, promised_s: float) -> None:
        """An exchange is over; `promised_s` is how long the server said it keeps the connection (0: unsaid)."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.expires_at_s = self._clock() + (_reuse_within(promised_s) if promised_s else REUSE_WITHIN_S)
        self._idle.append(connection)

    def forget_idle(self, connection: OutboundConnection) -> None:
        """The server closed an idle connection."""
        if connection in self._idle:
            self._idle.remove(connection)

    def forget(self, connection: OutboundConnection) -> None:
        """The connection is closed."""
        self.forget_idle(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._wake_for_room()

    def _wake_for_room(self) -> None:
        while self._waiters and self.reserve():
            waiter = self._waiters.popleft()
            if waiter.done():
                self._opening -= 1
            else:
                waiter.set_result(None)

    # The sweep, and the end.

    def sweep(self, now: float) -> bool:
        """Enforce deadlines; returns whether any connection is left."""
        for connection in tuple(self._open):
            connection.sweep(now)
        return bool(self._open)

    def close(self) -> None:
        """Close every connection; answers under way fail."""
        for connection in tuple(self._open):
            connection.abort()


def _reuse_within(promised_s: float) -> float:
    # A second of margin: the server's clock started when it wrote, ours when we read.
    return min(REUSE_WITHIN_S, max(0.0, promised_s - 1.0))
