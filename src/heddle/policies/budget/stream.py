"""A streamed answer under a budget that does not know how long it will be.

Owns when more is reserved, and the honest end of a stream whose budget is spent: an error event in the caller's
dialect, then an exception, so that the connection is cut and nobody takes the answer for complete. The upstream
connection is closed with it, which ends the generation; the usage is then an estimate, and marked so.

What was generated is measured by the bytes that pass, in any dialect: at least one token for each event, and one for
each three bytes beyond the envelope that all events share. The settlement uses the provider's numbers, not these.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from heddle.net.body import Sink
from heddle.pipeline.errors import CallError

BYTES_PER_TOKEN = 3
"""Fewer than tokens of English have, so that the count runs ahead of the generation rather than behind it."""

MIN_STEP = 256
"""Tokens asked for at a time, at least: each asking is a task."""

Extend = Callable[[int], Awaitable[int]]
"""Reserves room for so many further tokens of output, and tells for how many there was. Raises CallError when nobody
can tell."""


class Measure:
    """Tokens in a stream of events, from its bytes."""

    __slots__ = ("_bytes", "_envelope", "_events")

    def __init__(self) -> None:
        self._bytes = self._events = 0
        self._envelope = 1 << 30

    def add(self, data: bytes) -> int:
        """The tokens so far, with these bytes."""
        events = data.count(b"\n\n") or 1
        self._bytes += len(data)
        self._events += events
        self._envelope = min(self._envelope, len(data) // events)
        return max(self._events, (self._bytes - self._events * self._envelope) // BYTES_PER_TOKEN)


class Metered:
    """The chunks of a stream, as long as there is budget. An async iterator that must be `aclose()`d."""

    __slots__ = ("_body", "_error", "_extend", "_grant", "_last_words", "_measure", "_over", "_step", "_task")

    def __init__(self, body: AsyncIterator[bytes], grant: int, extend: Extend, spent: tuple[CallError, bytes]) -> None:
        """`grant` tokens of output are reserved; `spent` is what ends the stream, and how it reads in the dialect."""
        self._body = body
        self._grant, self._step = grant, max(grant, MIN_STEP)
        self._extend = extend
        self._error, self._last_words = spent
        self._measure = Measure()
        self._over = False
        """The budget has no more; what is reserved may still be used."""
        self._task: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._last_words == b"":
            raise self._error
        data = await self._body.__anext__()
        if self._spent(data):
            await self.aclose()
            words, self._last_words = self._last_words, b""
            return words
        if self._task is not None:
            await self._task
        return data

    async def pour(self, write: Sink) -> None:
        """Write every chunk as it arrives. Raises the error that ends a spent stream, after its last words."""

        def forward(data: bytes) -> "asyncio.Future[None] | None":
            if self._spent(data):
                raise self._error
            full, task = write(data), self._task
            if task is None or task.done():
                return full
            return task if full is None else _both(full, task)

        pour = getattr(self._body, "pour", None)
        if pour is None:
            async for piece in self:
                full = write(piece)
                if full is not None:
                    await full
            return
        try:
            await pour(forward)
        except CallError as error:
            if error is self._error:
                await self.aclose()
                full = write(self._last_words)
                if full is not None:
                    await full
            raise

    async def aclose(self) -> None:
        """The caller left, or has everything, or may have no more."""
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    def _spent(self, data: bytes) -> bool:
        """Count a chunk; whether it is beyond what could be had. Asks for more when half of the last grant is used."""
        used = self._measure.add(data)
        if used <= self._grant - self._step // 2:
            return False
        if not self._over and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._more())
        return self._over and used > self._grant

    async def _more(self) -> None:
        try:
            more = await self._extend(self._step)
        except CallError:
            return  # the counters are out of reach: the call was admitted, and asks again with the next chunk
        self._grant += more
        self._over = not more


def _both(full: "asyncio.Future[None]", task: "asyncio.Task[None]") -> "asyncio.Future[None]":
    async def wait() -> None:
        await full
        await task

    return asyncio.ensure_future(wait())
