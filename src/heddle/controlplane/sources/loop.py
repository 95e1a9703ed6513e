"""What keeps a source and the store alike: wait for a change, read, bring in, say how it went, try again what failed.

Owns the loop that every kind of source shares. A source that cannot be read, or a store that cannot be reached, ends
nothing: the last good state stays, and the wait before the next attempt doubles up to a limit.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from heddle.controlplane.sources.declared import Declaration
from heddle.controlplane.sources.record import Record, Seen
from heddle.controlplane.sources.sync import Sync, Writer
from heddle.model.problem import Problem
from heddle.wire.kube.status import ApiError

RETRY_S = 1.0
"""Before what failed is tried again the first time; doubles."""
MAX_RETRY_S = 60.0
RESYNC_S = 600.0
"""After which everything is applied again: somebody may have deleted a namespace."""


class Brought(NamedTuple):
    """What a source declares."""

    declared: Sequence[Declaration] = ()
    problems: Sequence[Problem] = ()
    keep: Sequence[str] = ()
    """Files that cannot be read now, and are not known from before."""
    error: str = ""
    """Why the source as a whole cannot be read; then nothing else counts."""
    why: str = ""
    """What is written down as the reason of each write."""
    commit: str = ""
    commit_time: str = ""


class Source(ABC):
    """Somewhere that resources come from."""

    def __init__(self, name: str, kind: Literal["Folder", "Git"], place: str) -> None:
        """`name` with the kind, such as `folder:conf`; `place` as it is shown."""
        self.name = name
        self.kind: Literal["Folder", "Git"] = kind
        self.place = place

    @abstractmethod
    async def changed(self) -> None:
        """Return when there may be something new."""

    @abstractmethod
    async def read(self) -> Brought:
        """What it declares now. Never raises for what is wrong with it."""

    async def close(self) -> None:
        """Let go of what it holds."""
        return


class Follower:
    """Keeps the store as one source says."""

    def __init__(
        self,
        source: Source,
        writer: Writer,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`report` is told each problem once, and each change."""
        self._source = source
        self._writer = writer
        self._report = report
        self._clock = clock
        self._sync = Sync(writer)
        self._record = Record(source.name, source.kind, source.place)
        self._told: set[str] = set()
        self._seen: Seen | None = None
        self._first = asyncio.Event()

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._source.name

    async def first(self) -> None:
        """Wait until the source was brought in once, as far as it went."""
        await self._first.wait()

    async def run(self) -> None:
        """Follow the source until cancelled."""
        wait_s = RETRY_S
        retry = False
        try:
            while True:
                changed = await self._await_change(wait_s if retry else RESYNC_S)
                if not changed and not retry:
                    self._sync.forget()
                retry = not await self.once()
                wait_s = min(wait_s * 2, MAX_RETRY_S) if retry and not changed else RETRY_S
        finally:
            await self._source.close()

    async def _await_change(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self._source.changed()
        except TimeoutError:
            return False
        return True

    async def once(self) -> bool:
        """Read and bring in; whether all went well."""
        brought = await self._source.read()
        problems = list(brought.problems)
        whole = not brought.error
        try:
            if whole:
                outcome = await self._sync.bring(brought.declared, brought.keep, brought.why)
                problems += outcome.problems
                whole = not problems
                if outcome.applied or outcome.pruned:
                    at = f" at {brought.commit[:12]}" if brought.commit else ""
                    self._report(f"{self._source.name}{at}: {outcome.applied} applied, {outcome.pruned} pruned")
            await self._tell(brought, problems)
        except (ConnectionError, TimeoutError, ApiError) as exc:
            self._say([f"{self._source.name}: the resource API cannot be written: {exc}"])
            # Nobody knows what was written: look again.
            self._sync.forget()
            return False
        self._first.set()
        return whole

    async def _tell(self, brought: Brought, problems: list[Problem]) -> None:
        """Report what is new, and write the Source object when it changed."""
        texts = [f"{self._source.name}: {brought.error}"] if brought.error else []
        self._say([*texts, *(one.line_text() for one in problems)])
        before = self._seen or Seen()
        if brought.error:
            seen = before._replace(error=brought.error)
        else:
            seen = Seen("", tuple(problems), len(brought.declared), brought.commit, brought.commit_time)
        if seen != self._seen:
            await self._writer.record(self._record.written(seen, self._clock()))
            self._seen = seen

    def _say(self, texts: list[str]) -> None:
        for text in texts:
            if text not in self._told:
                self._report(text)
        self._told = set(texts)
