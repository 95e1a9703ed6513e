"""Every object there is, in memory and in order.

Owns the sorting: a list of a resource, or of one of its namespaces, is a slice, and one change costs one search and
one move, however many objects there are. Does no I/O.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from heddle.controlplane.store.stored import Stored
from heddle.drivers.documents import Key

Place = tuple[str, str]
"""Namespace and name."""


class _Shelf:
    """Objects of one resource."""

    __slots__ = ("places", "stored")

    def __init__(self) -> None:
        self.places: list[Place] = []
        """Sorted."""
        self.stored: list[Stored] = []
        """In step with `places`."""

    def find(self, place: Place) -> tuple[int, bool]:
        """Where it is or would be, and whether it is there."""
        at = bisect_left(self.places, place)
        return at, at < len(self.places) and self.places[at] == place


class Shelves:
    """Objects by key, and by resource and namespace."""

    __slots__ = ("_by_key", "_shelves")

    def __init__(self) -> None:
        self._by_key: dict[Key, Stored] = {}
        self._shelves: dict[str, _Shelf] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._by_key.values())

    def get(self, key: Key) -> Stored | None:
        """The object, if there is one."""
        return self._by_key.get(key)

    def list(self, resource: str, namespace: str | None) -> Sequence[Stored]:
        """Objects by namespace and name; None is every namespace. A copy that later changes leave alone."""
        shelf = self._shelves.get(resource)
        if shelf is None:
            return []
        if namespace is None:
            return shelf.stored[:]
        low = bisect_left(shelf.places, (namespace, ""))
        # No namespace sorts between a name and the same name with the least of characters behind it.
        high = bisect_left(shelf.places, (namespace + "\0", ""), low)
        return shelf.stored[low:high]

    def put(self, stored: Stored) -> Stored | None:
        """Have it in place of what was there, which is returned."""
        key = stored.key
        before = self._by_key.get(key)
        self._by_key[key] = stored
        shelf = self._shelves.get(key.resource)
        if shelf is None:
            shelf = self._shelves[key.resource] = _Shelf()
        place = (key.namespace, key.name)
        at, found = shelf.find(place)
        if found:
            shelf.stored[at] = stored
        else:
            shelf.places.insert(at, place)
            shelf.stored.insert(at, stored)
        return before

    def pop(self, key: Key) -> Stored | None:
        """Have it no longer."""
        before = self._by_key.pop(key, None)
        if before is not None:
            shelf = self._shelves[key.resource]
            at, _ = shelf.find((key.namespace, key.name))
            del shelf.places[at], shelf.stored[at]
            if not shelf.places:
                # Whoever names resources at will leaves nothing behind.
                del self._shelves[key.resource]
        return before
