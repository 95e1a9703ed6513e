"""How far back watches can resume: by time, and by number.

Owns the decision only; reads no clock and no disk.
"""

from collections import deque

KEEP_S = 3_600.0
"""For so long a watch can resume where it was."""
KEEP_CHANGES = 100_000
"""So many changes are kept, however young they are."""


class Horizon:
    """Remembers when the sequence was at which version."""

    __slots__ = ("_keep_changes", "_keep_s", "_marks", "_passed")

    def __init__(self, keep_s: float = KEEP_S, keep_changes: int = KEEP_CHANGES) -> None:
        self._keep_s, self._keep_changes = keep_s, keep_changes
        self._marks: deque[tuple[float, int]] = deque()
        self._passed = 0

    def before(self, now_s: float, version: int) -> int:
        """Up to which version changes may go now that the sequence is at `version`; it never goes back."""
        self._marks.append((now_s, version))
        old = 0
        while self._marks[0][0] <= now_s - self._keep_s:
            old = self._marks.popleft()[1]
        self._passed = max(self._passed, old, version - self._keep_changes)
        return self._passed
