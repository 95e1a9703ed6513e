"""What has just happened, and where to read what happened before that.

Owns the recent past in memory, within bounds, so that a thousand watchers that come back at once ask nobody; who comes
back from longer ago is read the sequence from the disk, a page at a time.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice

from heddle.controlplane.store.at_rest import AtRest
from heddle.controlplane.store.stored import Event
from heddle.controlplane.store.watching import Topic
from heddle.drivers.documents import Documents, ExpiredError

MAX_EVENTS = 4_096
MAX_BYTES = 32 * 1024 * 1024
PAGE = 500
"""Changes of one read."""


class Recent:
    """The last events, each with the version after the one before."""

    __slots__ = ("_bytes", "_events", "floor")

    def __init__(self, version: int) -> None:
        self.floor = version
        """What is remembered is everything after this version."""
        self._events: deque[Event] = deque()
        self._bytes = 0

    def append(self, event: Event) -> None:
        """Remember it, and forget the oldest."""
        self._events.append(event)
        self._bytes += len(event.stored.encoded)
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            oldest = self._events.popleft().stored
            self._bytes -= len(oldest.encoded)
            self.floor = oldest.version

    def at(self, version: int) -> Event | None:
        """The change with this version, if it is remembered."""
        back = self.floor + len(self._events) + 1 - version
        return self._events[-back] if 0 < back <= len(self._events) else None

    def after(self, version: int, topic: Topic) -> list[Event]:
        """What concerns a topic, in order; `version` is not below `floor`."""
        resource, namespace = topic
        return [
            event
            for event in islice(self._events, version - self.floor, None)
            if event.stored.key.resource == resource and namespace in {None, event.stored.key.namespace}
        ]


class Remembered:
    """A `Past` that is at hand."""

    __slots__ = ("_events",)

    def __init__(self, events: list[Event]) -> None:
        self._events: list[Event] | None = events

    async def read(self) -> list[Event] | None:
        """See `Past`."""
        events, self._events = self._events, None
        return events


class Logged:
    """A `Past` that is read from the sequence: changes after a version, up to another."""

    __slots__ = ("_after", "_at_rest", "_documents", "_topic", "_until")

    def __init__(self, documents: Documents, at_rest: AtRest, topic: Topic, span: tuple[int, int]) -> None:
        self._documents, self._at_rest, self._topic = documents, at_rest, topic
        self._after, self._until = span

    async def read(self) -> list[Event] | None:
        """See `Past`."""
        if self._after >= self._until:
            return None
        resource, namespace = self._topic
        changes = await self._documents.changes(self._after, PAGE, resource)
        self._after = changes[-1].version if len(changes) == PAGE else self._until
        return [
            self._at_rest.event(change)
            for change in changes
            if change.version <= self._until and namespace in {None, change.key.namespace}
        ]


class NotYet:
    """The `Past` of who begins after a version that we have not seen: another replica has, or nobody ever will."""

    __slots__ = ("_after", "_fresh")

    def __init__(self, after: int, fresh: Callable[[], Awaitable[int]]) -> None:
        """`fresh` gives the version of all there is."""
        self._after, self._fresh = after, fresh

    async def read(self) -> list[Event] | None:
        """See `Past`. Raises ExpiredError for a version of another store, such as one that was begun anew."""
        version = await self._fresh()
        if self._after > version:
            raise ExpiredError(version)
        return None
