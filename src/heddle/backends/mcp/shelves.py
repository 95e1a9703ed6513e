"""Where a target's lists are kept, and the sign that any of them changed."""

import asyncio
from collections.abc import Awaitable, Callable

from heddle.backends.mcp.catalogue import Catalogue
from heddle.pipeline.assembly import Tools

Admit = Callable[[Catalogue], Awaitable[Catalogue]]
"""Decides what of lists may be shown."""


class Shelf:
    """The lists for one kind of caller."""

    __slots__ = (
        "catalogue", "decided", "deciding", "failures", "hangs", "old", "read", "reading", "retried", "retry_at_s",
        "until_s",
    )  # fmt: skip

    def __init__(self) -> None:
        self.read: Catalogue | None = None
        """As the target lists it."""
        self.catalogue: Catalogue | None = None
        """What of that may be shown."""
        self.deciding = self.decided = 0
        """Decisions on what may be shown that were begun, and the latest begun of those that are made."""
        self.until_s = 0.0
        self.old = True
        self.failures = 0
        self.retry_at_s = 0.0
        self.hangs = False
        """It did not answer the last time: nobody waits for it the next time."""
        self.retried = False
        """It is asked again without anybody asking for it."""
        self.reading: asyncio.Task[None] | None = None

    async def decide(self, admit: Admit, holds: Callable[[], bool]) -> bool:
        """Have it decided what may be shown of what was read; whether that is something else than before.

        It may take seconds. What was decided of lists that were read again meanwhile, was decided since by somebody who
        began later, or does not hold any more, is forgotten.
        """
        read = self.read
        if read is None:
            return False
        self.deciding += 1
        mine = self.deciding
        shown = await admit(read)
        if self.read is not read or mine < self.decided or not holds():
            return False
        self.decided = mine
        differs, self.catalogue = shown != self.catalogue, shown
        return differs


class Pulse:
    """Beats whenever what is known of any target of a worker changes: who sees it unchanged need not look at each."""

    __slots__ = ("beats",)

    def __init__(self) -> None:
        self.beats = 0

    @classmethod
    def of(cls, tools: Tools) -> "Pulse":
        """That of a worker."""
        pulse: Pulse = tools.lasting.setdefault("mcp.pulse", cls())
        return pulse
