"""Who is told of which changes.

Owns the delivery: every change once to each watcher of its resource and namespace, in the order of versions, and the
bound on what waits for one that is slow. A change is one object for all of them; who watches something else costs
nothing, and who waits costs nothing while nothing happens.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from heddle.controlplane.store.stored import Event

MAX_EVENTS = 1_000
MAX_BYTES = 16 * 1024 * 1024
"""What may wait for one watcher. Beyond, it is ended, and resumes where it was if it wants to."""
TURN = 250
"""Watchers that are told in one turn of the event loop; others have theirs between."""

Topic = tuple[str, str | None]
"""Resource, and namespace; None is every namespace."""


Follower = Callable[[Event | None], None]
"""Called with each change before anybody else sees it, and with None where some were passed over. It must not raise."""


Deliver = Callable[[Sequence[Event]], bool]
"""Takes all of some changes, in order, or none of them. It must not wait, raise, or end the watch."""


class Past(Protocol):
    """Changes before the first that the hub delivers, read when they are wanted."""

    async def read(self) -> list[Event] | None:
        """The next of them, which may be none yet; None after the last. Where it is cancelled, nothing is skipped."""
        ...


class Watch:
    """The changes of a resource, or of one of its namespaces, after a version: `async for event in watch`.

    Ends when it is closed, when the store stops, or when its reader was too slow, after everything that was at hand.
    Raises ExpiredError when changes from so long ago are no longer kept, UnavailableError when they cannot be read.
    For one reader at a time, which may be cancelled, by a timeout for example, and go on.
    """

    __slots__ = (
        "_after",
        "_bytes",
        "_due",
        "_hub",
        "_live",
        "_past",
        "_read",
        "_ready",
        "_topic",
        "_waiter",
        "deliver",
        "ended",
        "lagged",
    )

    def __init__(self, hub: "Hub", topic: Topic, after: int, past: Past | None) -> None:
        """Made by `Store.watch`."""
        self._hub, self._topic, self._after, self._past = hub, topic, after, past
        self._ready: deque[Event] = deque()
        """What is handed out next."""
        self._live: deque[Event] = deque()
        """What happened meanwhile."""
        self._bytes = 0
        """Of `_live`."""
        self._read = after
        self._waiter: asyncio.Future[None] | None = None
        self._due = False
        """The hub is about to tell it."""
        self.deliver: Deliver | None = None
        """Tried first while the reader waits, which is then left alone: waking a thousand costs more than telling
        them."""
        self.ended = False
        """Nothing more comes than what is at hand."""
        self.lagged = False
        """It ended because it was not read for too long."""
        hub.join(self, topic)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if not self._ready and not await self._fill():
            raise StopAsyncIteration
        event = self._ready.popleft()
        self._read = event.stored.version
        return event

    async def batch(self) -> list[Event]:
        """Everything that is at hand, in order, waiting for the first; empty when the watch has ended."""
        if not self._ready and not await self._fill():
            return []
        events = list(self._ready)
        self._ready.clear()
        self._read = events[-1].stored.version
        return events

    @property
    def position(self) -> int:
        """Every change up to this version was handed out: what a bookmark may say, and where to resume."""
        if self._ready or self._live or self._past is not None or self.ended:
            return self._read
        return max(self._read, self._hub.version)

    def close(self) -> None:
        """End it, and forget what waits. Harmless a second time."""
        self._ready.clear()
        self._live.clear()
        self._past = None
        self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push(self, event: Event) -> None:
        """Have it delivered; called by the hub, in order."""
        if event.stored.version <= self._after:
            return
        self._bytes += len(event.stored.encoded)
        if self._live and (len(self._live) >= MAX_EVENTS or self._bytes > MAX_BYTES):
            self.lagged = True
            self.end()
            return
        self._live.append(event)
        if self.deliver is None:
            self._wake()
        elif not self._due:
            self._due = True
            self._hub.have_told(self)

    def tell(self) -> None:
        """Hand out what is at hand, to `deliver` or else to the reader; called by the hub."""
        self._due = False
        if self.deliver is None or not self._live or self._waiter is None or self._waiter.done():
            self._wake()
            return
        events = list(self._live)
        if self.deliver(events):
            self._live.clear()
            self._bytes = 0
            self._read = events[-1].stored.version
        else:
            self._wake()

    def end(self) -> None:
        """Deliver what is at hand, and then no more."""
        if not self.ended:
            self.ended = True
            self._hub.leave(self, self._topic)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _fill(self) -> bool:
        """Have something ready; False when nothing more comes."""
        while not self._ready:
            if self._past is not None:
                await self._recall(self._past)
            elif self._live:
                self._ready, self._live = self._live, self._ready
                self._bytes = 0
            elif self.ended:
                return False
            else:
                await self._wait()
        return True

    async def _recall(self, past: Past) -> None:
        try:
            events = await past.read()
        except Exception:
            self.close()
            raise
        if events is None:
            self._past = None
        elif self._past is not None:
            self._ready.extend(events)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class Hub:
    """All watchers."""

    __slots__ = ("_due", "_followers", "_watches", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        """Of the last change that was delivered."""
        self._followers: dict[str, list[Follower]] = {}
        self._watches: dict[Topic, set[Watch]] = {}
        self._due: deque[Watch] = deque()

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._watches.values())

    def join(self, watch: Watch, topic: Topic) -> None:
        """Deliver to it from the next change on."""
        self._watches.setdefault(topic, set()).add(watch)

    def leave(self, watch: Watch, topic: Topic) -> None:
        """Deliver to it no longer."""
        watches = self._watches.get(topic)
        if watches is not None:
            watches.discard(watch)
            if not watches:
                del self._watches[topic]

    def follow(self, resource: str, follower: Follower) -> None:
        """Tell it of each change of a resource at once."""
        self._followers.setdefault(resource, []).append(follower)

    def reset(self) -> None:
        """Tell all followers that changes were passed over."""
        for follower in [one for several in self._followers.values() for one in several]:
            follower(None)

    def deliver(self, event: Event) -> None:
        """Tell everybody whom it concerns."""
        key = event.stored.key
        self.version = event.stored.version
        for follower in self._followers.get(key.resource, ()):
            follower(event)
        for topic in ((key.resource, None), (key.resource, key.namespace)):
            # A copy: one that is too slow leaves.
            for watch in tuple(self._watches.get(topic, ())):
                watch.push(event)

    def have_told(self, watch: Watch) -> None:
        """Tell it in a moment, with everything that it gets until then."""
        self._due.append(watch)
        if len(self._due) == 1:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        for _ in range(min(TURN, len(self._due))):
            self._due.popleft().tell()
        if self._due:
            asyncio.get_running_loop().call_soon(self._tell)

    def end(self) -> None:
        """End every watch."""
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            watch.end()
