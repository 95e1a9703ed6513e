"""The store: every object in memory, every write on the disk before it is seen, every change told.

Owns the order of things. What is read is the state after some version, and never an older one than before; what a
write returned is what the next read sees; a watch gets each change once, wherever it begins. Knows nothing of kinds,
rights or schemas.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from heddle.controlplane.store.at_rest import AtRest
from heddle.controlplane.store.horizon import Horizon
from heddle.controlplane.store.recent import PAGE, Logged, NotYet, Recent, Remembered
from heddle.controlplane.store.sealing import Seal
from heddle.controlplane.store.shelves import Shelves
from heddle.controlplane.store.stored import Event, EventKind, Stored
from heddle.controlplane.store.watching import Follower, Hub, Past, Watch
from heddle.drivers.documents import Change, Documents, ExpiredError, Key, Revision, UnavailableError, Write

_log = logging.getLogger("heddle.store")

COMPACT_S = 60.0
"""How often the past is looked through."""
RETRY_S = 0.5
"""How soon a database that could not be read is asked again for what others wrote."""


class Store:
    """Objects by key. Everything is for one event loop; whatever is handed out must not be changed."""

    def __init__(
        self, documents: Documents, seal: Seal, clock: Callable[[], float], horizon: Horizon | None = None
    ) -> None:
        """`clock` gives seconds that only grow, such as `time.monotonic`. Touches nothing before `start`."""
        self._documents, self._clock = documents, clock
        self._at_rest = AtRest(seal)
        self._horizon = horizon or Horizon()
        self._shelves = Shelves()
        self._hub = Hub(0)
        self._recent = Recent(0)
        self._behind = asyncio.Event()
        """Somebody else may have written."""
        self._reading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        documents.on_change(self._told)

    async def start(self) -> None:
        """Open the documents and read them. Raises UnavailableError, and ValueError where they cannot be used."""
        await self._documents.open()
        try:
            self._load(*await self._documents.snapshot())
        except BaseException:
            await self._documents.close()
            raise
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._compact())]
        self._behind.set()

    async def stop(self) -> None:
        """End every watch, finish the writes under way, close the documents."""
        self._hub.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._documents.close()

    # Reading

    @property
    def version(self) -> int:
        """The version of the state that reads see."""
        return self._hub.version

    def __len__(self) -> int:
        return len(self._shelves)

    def get(self, key: Key) -> Stored | None:
        """The object, if there is one."""
        return self._shelves.get(key)

    def list(self, resource: str, namespace: str | None = None) -> Sequence[Stored]:
        """Objects of a resource by namespace and name, all of one version; None is every namespace."""
        return self._shelves.list(resource, namespace)

    async def fresh(self) -> int:
        """Have reads from here on see every write that was acknowledged before, also by another replica.

        Returns the version. Raises UnavailableError.
        """
        latest = await self._documents.latest()
        if latest > self.version:
            await self._reach(latest)
        return self.version

    async def revisions(self, key: Key) -> Sequence[Revision]:
        """Every version of an object that is kept, the newest first, also of one that was deleted.

        Of Secrets only the present one has its body. Raises UnavailableError.
        """
        return [self._at_rest.revision(key, one) for one in await self._documents.revisions(key)]

    # Writing

    async def write(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Make all changes or none; what they made, on the disk, and what reads see from here on.

        Of what was deleted it is the object as it was last, with the version of its deletion. Raises ConflictError,
        UnavailableError; ValueError for what is no object.
        """
        if not writes:
            return []
        changes = await self._documents.write([self._at_rest.write(write) for write in writes])
        if self.version < changes[-1].version:
            # Another replica's, committed before ours. They cannot be had just now? Ours has happened all the same.
            with contextlib.suppress(UnavailableError):
                await self._reach(changes[-1].version)
        return [self._made(change) for change in changes]

    def _made(self, change: Change) -> Stored:
        event = self._recent.at(change.version)
        return event.stored if event is not None else self._at_rest.stored(change)

    # Watching

    def watch(self, resource: str, namespace: str | None, after: int) -> Watch:
        """Changes after a version, then those to come; None is every namespace. Close it.

        Whether the version is too old shows when it is read: see `Watch`.
        """
        topic = (resource, namespace)
        past: Past | None = None
        if after > self.version:
            past = NotYet(after, self.fresh)
        elif after >= self._recent.floor:
            past = Remembered(self._recent.after(after, topic))
        else:
            past = Logged(self._documents, self._at_rest, topic, (after, self.version))
        return Watch(self._hub, topic, after, past)

    def follow(self, resource: str, follower: Follower) -> None:
        """Have every change of a resource told as it is made, before the write that made it returns: for what must
        never decide on an older state than is read here, such as rights. Told None, list again."""
        self._hub.follow(resource, follower)

    @property
    def watches(self) -> int:
        """How many there are."""
        return len(self._hub)

    # Following the documents

    def _load(self, version: int, changes: Sequence[Change]) -> None:
        shelves = Shelves()
        for change in changes:
            known = self._shelves.get(change.key)
            current = known if known is not None and known.version == change.version else self._at_rest.stored(change)
            shelves.put(current)
        self._shelves, self._recent, self._hub.version = shelves, Recent(version), version
        self._hub.reset()

    def _told(self, changes: Sequence[Change]) -> None:
        """New changes; where some before them are missing, all are read."""
        if not self._tasks:
            return
        if changes and changes[0].version <= self.version + 1:
            try:
                self._apply(changes)
            except ValueError as exc:
                _log.error("a change cannot be followed: %s", exc)
        else:
            self._behind.set()

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.version <= self.version:
                continue
            stored = self._at_rest.stored(change)
            previous = self._shelves.pop(change.key) if change.deleted else self._shelves.put(stored)
            kind: EventKind = "DELETED" if change.deleted else "ADDED" if previous is None else "MODIFIED"
            event = Event(kind, stored, previous)
            self._recent.append(event)
            self._hub.deliver(event)

    async def _reach(self, version: int) -> None:
        """See every change up to this one. Raises UnavailableError."""
        async with self._reading:
            while (before := self.version) < version:
                await self._read_on()
                if self.version == before:
                    raise UnavailableError(f"the sequence ends at {before}, before {version}")

    async def _read_on(self) -> None:
        """Apply a page of what others wrote."""
        try:
            self._apply(await self._documents.changes(self.version, PAGE))
        except ExpiredError:
            # We were away for longer than anything is kept: whoever watches must list again, as we do.
            self._hub.end()
            self._load(*await self._documents.snapshot())
        except ValueError as exc:
            raise UnavailableError(str(exc)) from exc

    async def _follow(self) -> None:
        """See what others write, soon after they are said to have."""
        complained = False
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._reach(await self._documents.latest())
                complained = False
            except UnavailableError as exc:
                if not complained:
                    _log.warning("changes of other replicas cannot be read: %s", exc)
                complained = True
                await asyncio.sleep(RETRY_S)
                self._behind.set()

    async def _compact(self) -> None:
        """Forget the past beyond what is kept."""
        compacted = 0
        while True:
            await asyncio.sleep(COMPACT_S)
            before = self._horizon.before(self._clock(), self.version)
            if before > compacted:
                try:
                    await self._documents.compact(before)
                    compacted = before
                except UnavailableError as exc:
                    _log.warning("the past cannot be compacted: %s", exc)
