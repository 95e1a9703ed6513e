"""A task that runs at once: it starts when it is made, and goes on in the very moment what it waits for is there.

asyncio's own task takes a turn of the loop to start and another one each time a future is done, each with a system
call; a forwarded call pays that three times, a streamed event once. Here the coroutine runs inside the callback that
brought the bytes. Everything else is as with a task: it can be cancelled, `asyncio.timeout` works in it, it may await
anything.

What that asks of others: whoever completes a `Waiter` must have finished with its own state first, because other code
runs before `complete` returns.
*Source:* asyncio's documentation, "Extending": third-party tasks use `_enter_task` and `_leave_task`; PEP 492.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from heddle.net.waiter import Waiter

_log: Final = logging.getLogger("heddle.net")

_enter: Callable[[asyncio.AbstractEventLoop, Any], None] = asyncio.tasks._enter_task
_leave: Callable[[asyncio.AbstractEventLoop, Any], None] = asyncio.tasks._leave_task


class EagerTask:
    """Runs one coroutine to its end. The coroutine must deal with its own exceptions; what escapes is logged."""

    __slots__ = ("__weakref__", "_cancel_requests", "_coroutine", "_ended", "_loop", "_must_cancel", "_waits_for")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[], None] | None = None,
    ) -> None:
        """Nothing runs before the first `resume(None)`, so that its owner can keep it first.

        `ended` is called when the coroutine has ended, outside of it: who waits for that may go on at once.
        """
        self._coroutine: Coroutine[Any, Any, None] | None = coroutine
        self._loop = loop
        self._ended = ended
        self._waits_for: asyncio.Future[Any] | None = None
        self._cancel_requests = 0
        self._must_cancel = False

    def done(self) -> bool:
        """The coroutine has ended."""
        return self._coroutine is None

    def begin(self) -> None:
        """The first `resume(None)`, from inside of another task."""
        loop = self._loop
        outer = asyncio.current_task(loop)
        if outer is None:
            self.resume(None)
            return
        # `resume` would find out by an error, which is dear.
        _leave(loop, outer)
        try:
            self.resume(None)
        finally:
            _enter(loop, outer)

    def resume(self, error: BaseException | None) -> None:
        """Go on until the next wait, raising `error` inside if given. Must not be called while it runs."""
        coroutine, loop = self._coroutine, self._loop
        if coroutine is None:
            return
        self._waits_for = None
        if self._must_cancel:
            self._must_cancel = False
            error = asyncio.CancelledError()
        outer = awaited = None
        try:
            _enter(loop, self)
        except RuntimeError:
            # Inside another task, which waits while we run.
            outer = asyncio.current_task(loop)
            _leave(loop, outer)
            _enter(loop, self)
        try:
            awaited = coroutine.send(None) if error is None else coroutine.throw(error)
        except (StopIteration, asyncio.CancelledError):
            self._coroutine = None
        except Exception:
            self._coroutine = None
            _log.exception("an eager task failed")
        finally:
            _leave(loop, self)
            if outer is not None:
                _enter(loop, outer)
        if self._coroutine is None:
            if self._ended is not None:
                self._ended()
        elif type(awaited) is Waiter and not self._must_cancel:
            # It cannot be done: awaiting a future that is done does not yield it.
            awaited._asyncio_future_blocking = False
            awaited.eager = self
            self._waits_for = awaited
        else:
            self._wait(awaited)

    def _wait(self, awaited: Any) -> None:
        if type(awaited) is Waiter:
            awaited._asyncio_future_blocking = False
            awaited.eager = self
        elif awaited is None:
            # A bare yield, as in asyncio.sleep(0): let others run first.
            self._loop.call_soon(self.resume, None)
            return
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._wake)
        self._waits_for = awaited
        if self._must_cancel:
            self._must_cancel = False
            self._cancel_wait(awaited)

    def _wake(self, _future: "asyncio.Future[Any]") -> None:
        self.resume(None)

    def _cancel_wait(self, awaited: "asyncio.Future[Any]") -> None:
        if isinstance(awaited, Waiter) and awaited.eager is self:
            awaited.eager = None
            # Not at once: whoever cancels may be in the middle of something.
            self._loop.call_soon(self.resume, None)
        awaited.cancel()

    # What asyncio.timeout and those who hold the task ask of it.

    def cancel(self, msg: object = None) -> bool:
        """Raise CancelledError inside, soon. False when the coroutine has ended."""
        del msg
        if self._coroutine is None:
            return False
        self._cancel_requests += 1
        awaited = self._waits_for
        if awaited is None or awaited.done():
            self._must_cancel = True
        else:
            self._cancel_wait(awaited)
        return True

    def cancelling(self) -> int:
        """Cancellations asked for and not taken back."""
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take one back; how many are left."""
        if self._cancel_requests:
            self._cancel_requests -= 1
        return self._cancel_requests

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs in."""
        return self._loop

    def get_name(self) -> str:
        """For messages."""
        return "eager"
