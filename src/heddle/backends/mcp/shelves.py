"""Where a target's lists are kept, and the sign that any of them changed."""

import asyncio

from heddle.backends.mcp.catalogue import Catalogue
from heddle.pipeline.assembly import Tools


class Shelf:
    """The lists for one kind of caller."""

    __slots__ = ("catalogue", "failures", "hangs", "old", "read", "reading", "retried", "retry_at_s", "until_s")

    def __init__(self) -> None:
        self.read: Catalogue | None = None
        """As the target lists it."""
        self.catalogue: Catalogue | None = None
        """What of that may be shown."""
        self.until_s = 0.0
        self.old = True
        self.failures = 0
        self.retry_at_s = 0.0
        self.hangs = False
        """It did not answer the last time: nobody waits for it the next time."""
        self.retried = False
        """It is asked again without anybody asking for it."""
        self.reading: asyncio.Task[None] | None = None


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
