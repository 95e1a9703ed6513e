"""Approvals that end with the process: for tests, and for a gateway that is told to keep nothing.

Owns nothing of its own: the rules of the store are SQL, and a second telling of them would drift from the first.
"""

import time
from collections.abc import Callable

from heddle.drivers.approvals.sqlite import SqliteApprovals


class MemoryApprovals(SqliteApprovals):
    """The same store, without a file."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """Empty."""
        super().__init__(":memory:", now)
