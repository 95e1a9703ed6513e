"""A request under way, apart from whoever waits for it.

What it says before its end (progress, messages, questions) is gathered here, so that its front may answer with one
message when there is nothing but a result, and with a stream from the moment there is more. It begins at once, and
costs no turn of the loop.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from heddle.net.eager import EagerTask
from heddle.net.waiter import Waiter

MAX_SAID_BYTES = 16 * 1024 * 1024
"""Of what was said and not yet taken; a reader that is slower loses what is said next."""


class Running:
    """One request. `done` is set at its end, together with `result` or `error`."""

    __slots__ = ("__weakref__", "_loop", "_size", "_task", "_waiter", "done", "error", "result", "said")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`loop` is the running one, where it is known: to ask for it takes a system call."""
        self._loop = loop or asyncio.get_running_loop()
        self._task: EagerTask | None = None
        self._waiter: Waiter | None = None
        self._size = 0
        self.said: list[bytes] = []
        """Messages, encoded, in their order."""
        self.done = False
        self.result = b""
        self.error: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, bytes]) -> None:
        """Run `work` until its first wait."""
        self._task = EagerTask(self._run(work), self._loop, self._ended)
        self._task.begin()

    async def _run(self, work: Coroutine[Any, Any, bytes]) -> None:
        try:
            self.result = await work
        except BaseException as error:  # told to whoever waits
            self.error = error
        self.done = True

    def _ended(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.complete()

    def say(self, message: bytes) -> bool:
        """Gather a message for the caller; False when too much waits for it already. One message always fits."""
        if self.said and self._size + len(message) > MAX_SAID_BYTES:
            return False
        self._size += len(message)
        self.said.append(message)
        self.wake()
        return True

    def take(self) -> list[bytes]:
        """What was said since the last time."""
        said, self.said, self._size = self.said, [], 0
        return said

    def wake(self) -> None:
        """Have whoever waits look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.complete_later()

    def news(self) -> Waiter:
        """To wait for until there is something to take, or it is done. One may wait at a time."""
        waiter = Waiter(loop=self._loop)
        if self.done or self.said:
            waiter.set_result(None)
        else:
            self._waiter = waiter
        return waiter

    def cancel(self) -> None:
        """Give it up."""
        if self._task is not None and not self.done:
            self._task.cancel()
