"""The future that an `EagerTask` waits on: what completes it also runs who waits for it.

Apart from the task because it is a subclass of a C type, which the compiler of the hot path cannot lay out (ADR 17).
"""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heddle.net.eager import EagerTask


class Waiter(asyncio.Future[Any]):
    """A future whose completion resumes an `EagerTask` at once; to any other task it is an ordinary future."""

    eager: "EagerTask | None" = None

    def complete(self, value: Any = None) -> None:
        """Set the result, unless it was cancelled, and run who waits for it."""
        if self.done():
            return
        self.set_result(value)
        eager = self.eager
        if eager is not None:
            self.eager = None
            eager.resume(None)

    def complete_later(self, value: Any = None, error: BaseException | None = None) -> None:
        """Likewise, but run who waits in the loop's next turn: for whoever is not finished with its own state."""
        if self.done():
            return
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)
        eager = self.eager
        if eager is not None:
            self.eager = None
            self.get_loop().call_soon(eager.resume, None)
