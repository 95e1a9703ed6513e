"""The bytes of one message's body, between the connection that receives them and the one reader that wants them.

Owns the flow control of that hand-over: above HIGH_WATER_BYTES of unread bytes the connection is asked to
stop reading its socket, and asked to go on when they were taken. It refuses a second reader at the same time.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from heddle.net.errors import BodyTooLarge
from heddle.net.waiter import Waiter

HIGH_WATER_BYTES: Final = 64 * 1024

_OPEN: Final = 0
_COMPLETE: Final = 1
_FAILED: Final = 2


Sink = Callable[[bytes], "asyncio.Future[None] | None"]
"""Takes a piece; returns what to wait for before the next one, if the reader behind it is slow."""


async def close_source(pieces: object) -> None:
    """Close what pieces come from, if it is something that has to be closed."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        await aclose()


def _drop(_data: bytes) -> None:
    """A sink for what nobody reads."""


class Source(Protocol):
    """The connection a body arrives on."""

    def pause_body(self) -> None:
        """Stop reading the socket: the reader is slower than the peer."""

    def resume_body(self) -> None:
        """Read the socket again."""

    def want_body(self) -> None:
        """The reader waits for bytes; a peer that waits to be asked is asked now (`100-continue`)."""

    def drop_body(self, body: "Body", /) -> None:
        """Nobody will read the rest of `body`."""

    def end_body(self, body: "Body", within_s: float, /) -> None:
        """Nobody will read the rest of `body`, which should be little: let it arrive, for so long."""


class Body:
    """One body, read by one task, as a whole (`read`) or piece by piece (`async for`)."""

    __slots__ = (
        "_error", "_held", "_loop", "_paused", "_pieces", "_sink", "_size", "_source", "_state", "_stopped", "_waiter",
    )  # fmt: skip

    def __init__(self, source: Source | None = None, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`loop` is where its reader waits; the running one if it is not said, which takes a system call to know."""
        self._source = source
        """What it arrives on."""
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0
        self._state = _OPEN
        self._paused = False
        self._sink: Sink | None = None
        self._held: asyncio.Future[None] | None = None
        self._stopped: BaseException | None = None
        self._error: BaseException | None = None
        self._waiter: Waiter | None = None

    def __repr__(self) -> str:
        return f"Body({self._size} bytes unread)"

    @classmethod
    def of(cls, data: bytes) -> "Body":
        """A body that is already complete."""
        body = cls()
        if data:
            body._pieces.append(data)
        body._size = len(data)
        body._state = _COMPLETE
        return body

    @property
    def complete(self) -> bool:
        """All bytes have arrived (perhaps not all were read)."""
        return self._state == _COMPLETE

    # What the connection calls.

    def feed(self, data: bytes) -> None:
        """Bytes arrived. After an end or a failure they are ignored."""
        self.put(data)
        if self._waiter is not None:
            self._wake()

    def finish(self) -> None:
        """The body is complete."""
        self.put_end()
        if self._waiter is not None:
            self._wake()

    def fail(self, error: BaseException) -> None:
        """The rest will never come; the reader gets what has arrived, then `error`."""
        if self._state == _OPEN:
            self._state = _FAILED
            self._error = error
            self._let_go()
            if self._waiter is not None:
                self._wake()

    def _let_go(self) -> None:
        source, self._source = self._source, None
        if self._paused and source is not None:
            self._paused = False
            source.resume_body()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.complete_later()

    def put(self, data: bytes) -> None:
        """Like `feed`, but the reader is not woken: `deliver` follows."""
        if self._state != _OPEN:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER_BYTES and not self._paused and self._source is not None:
            self._paused = True
            self._source.pause_body()

    def push(self, data: bytes) -> None:
        """`put` and `deliver` in one: straight into a sink that waits for nothing else."""
        sink = self._sink
        if sink is None or self._size or self._held or self._stopped or self._state != _OPEN:
            self.put(data)
            self.deliver()
            return
        try:
            self._held = sink(data)
        except BaseException as error:  # raised again by `pour`
            self._stopped = error
        if self._held or self._stopped:
            self.deliver()

    def put_end(self) -> None:
        """Like `finish`, but the reader is not woken: `deliver` follows."""
        if self._state == _OPEN:
            self._state = _COMPLETE
            self._let_go()

    def deliver_later(self) -> None:
        """Run the reader in the loop's next turn."""
        if self._waiter is not None:
            self._wake()

    def deliver(self) -> None:
        """Run the reader now, if it waits and there is anything for it. A connection does it last with its data."""
        waiter = self._waiter
        if self._sink is not None:
            self._flow()
            if waiter is None or not (self._stopped or self._held or (self._state != _OPEN and not self._size)):
                return
        elif waiter is None or not (self._size or self._state != _OPEN):
            return
        self._waiter = None
        waiter.complete()

    # What the reader calls.

    def whole(self, max_bytes: int) -> bytes | None:
        """What `read` would return if it does not have to wait or refuse; None when it does."""
        if self._state != _COMPLETE or self._size > max_bytes:
            return None
        pieces = self._pieces
        if len(pieces) != 1:
            return self._take()
        self._size = 0
        return pieces.pop()

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; does not suspend when it is complete. BodyTooLarge, or what `fail` was given."""
        if self._state == _COMPLETE and self._size <= max_bytes:
            return self._take()
        taken: list[bytes] = []
        size = 0
        while True:
            size += self._size
            if size > max_bytes:
                raise BodyTooLarge(max_bytes)
            if self._size:
                taken.append(self._take())
            if self._state != _OPEN:
                break
            await self._arrival()
        if self._error is not None:
            raise self._error
        return b"".join(taken)

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while not self._size:
            if self._state == _COMPLETE:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            await self._arrival()
        pieces = self._pieces
        if len(pieces) != 1 or self._paused:
            return self._take()
        self._size = 0
        return pieces.pop()

    async def pour(self, sink: Sink) -> None:
        """Give every piece to `sink` in the very moment it arrives, until the end; one call per piece and no task.

        While a future that `sink` returned is not done, it is given nothing. Raises what `sink` raises, or what
        `fail` was given after everything that had arrived.
        """
        self._sink = sink
        try:
            while True:
                self._flow()
                if self._stopped is not None:
                    raise self._stopped
                if self._held is not None:
                    await self._held
                    self._held = None
                elif self._state != _OPEN:
                    break
                else:
                    await self._arrival()
        finally:
            self._sink = self._held = self._stopped = None
        if self._error is not None:
            raise self._error

    def _flow(self) -> None:
        sink = self._sink
        if sink is None or self._stopped is not None:
            return
        try:
            while self._size and self._held is None:
                pieces = self._pieces
                if len(pieces) == 1 and not self._paused:
                    self._size = 0
                    self._held = sink(pieces.pop())
                else:
                    self._held = sink(self._take())
        except BaseException as error:  # raised again by `pour`
            self._stopped = error

    async def aclose(self) -> None:
        """Give up reading; an incomplete body's connection is told that the rest is not wanted."""
        self.abandon()

    def abandon(self) -> None:
        """`aclose` for those who cannot await."""
        source = self._source
        self._pieces.clear()
        self._size = 0
        if source is not None and self._state == _OPEN:
            source.drop_body(self)

    def let_end(self, within_s: float) -> None:
        """Give up reading, but let what is left arrive for so long, so that the connection can be used again."""
        source = self._source
        self._pieces.clear()
        self._size = 0
        if source is not None and self._state == _OPEN:
            self._sink = _drop
            if self._paused:
                self._paused = False
                source.resume_body()
            source.end_body(self, within_s)

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._paused and self._source is not None:
            self._paused = False
            self._source.resume_body()
        return data

    def _arrival(self) -> Waiter:
        """What to await until there is more."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("a body has one reader")
        if self._source is not None:
            self._source.want_body()
        waiter = self._waiter = Waiter(loop=self._loop)
        return waiter
