"""Plays a script as if it came over a network: same deadlines, same failures, no socket.

Owns the waiting that providers must not do. A pause longer than the deadline for it becomes the timeout it would
be, a cut becomes a closed connection; so every failure of the real path can be rehearsed offline.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Literal

from heddle.model.provider import STALL, Fields, Script, Step
from heddle.model.snapshot import TimeoutSpec
from heddle.net.errors import BodyTooLarge, UpstreamClosed, UpstreamTimeout


class PlayedBody:
    """The body of a script, step by step; each waits its pause. Read by one task."""

    __slots__ = ("_idle_s", "_next", "_steps", "complete")

    def __init__(self, first: bytes, steps: Iterator[Step], idle_s: float) -> None:
        self._next = first
        self._steps = steps
        self._idle_s = idle_s
        self.complete = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._next = self._next, b""
        while not data:
            step = None if self.complete else next(self._steps, None)
            if step is None:
                self.complete = True
                raise StopAsyncIteration
            data = await _move(step, self._idle_s, "idle")
        return data

    def whole(self, max_bytes: int) -> bytes | None:
        """Nothing is there before it was played."""
        del max_bytes
        return None

    async def read(self, max_bytes: int) -> bytes:
        """All of it. Raises BodyTooLarge, or what a step raises."""
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > max_bytes:
                raise BodyTooLarge(max_bytes)
            pieces.append(piece)
        return b"".join(pieces)


class PlayedAnswer:
    """A script whose first step has been played."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Fields, body: PlayedBody) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def close(self) -> None:
        """Play no more."""
        self.body.complete = True

    def let_end(self, within_s: float) -> None:
        """Play no more: there is no connection to keep."""
        del within_s
        self.close()


async def play(script: Script, timeouts: TimeoutSpec) -> PlayedAnswer:
    """Begin a script: waits the first pause. Raises UpstreamTimeout or UpstreamClosed as a client would."""
    first = next(script.steps, Step(0.0, b""))
    data = await _move(first, timeouts.first_byte_s, "first_byte")
    return PlayedAnswer(script.status, script.headers, PlayedBody(data, script.steps, timeouts.idle_s))


async def _move(step: Step, limit_s: float, phase: Literal["first_byte", "idle"]) -> bytes:
    if limit_s and step.delay_s > limit_s:
        await asyncio.sleep(limit_s)
        raise UpstreamTimeout(phase)
    if step.delay_s == STALL:
        await asyncio.Event().wait()
    # Also without a pause, so that a long answer shares the loop.
    await asyncio.sleep(step.delay_s)
    if step.data is None:
        raise UpstreamClosed(sent=True)
    return step.data
