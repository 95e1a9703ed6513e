"""Which object of the directory stands for what: by what it is about, by who speaks for it, by what declared it.

Owns these indexes, kept up one object at a time, from the objects themselves: nothing of them is remembered elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from heddle.controlplane.compiling.objects import BY_KIND, mapping, text
from heddle.controlplane.directory.objects import PART, RESOURCES, SERVERS, TOOLS
from heddle.drivers.documents import Key, Write
from heddle.wire.found import key_in, part_of_key


class Store(Protocol):
    """Where the objects are."""

    def get(self, key: Key) -> Any:
        """The object, or None."""
        ...

    def list(self, resource: str, namespace: str | None = None) -> Sequence[Any]:
        """All of a kind."""
        ...

    def follow(self, resource: str, follower: Callable[[Any], None]) -> None:
        """Tell each change of a resource as it is made; None when some were passed over."""
        ...

    async def write(self, writes: Sequence[Write]) -> object:
        """All or none. Raises ConflictError, UnavailableError."""
        ...


class Placing:
    """The objects of the directory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[str, Key] = {}
        """Key of an entry -> its object."""
        self._indexed: dict[Key, tuple[str, str, Key | None]] = {}
        """Object -> key of its entry, who speaks for it, what declared it."""
        self._taken: dict[Key, str] = {}
        """Of objects that are about to be made: key of the entry."""
        self._behind: dict[str, set[str]] = {}
        self._spoken: dict[str, set[str]] = {}
        self._declared: dict[Key, set[str]] = {}

    def reload(self) -> None:
        """Read them all."""
        for index in (self._places, self._indexed, self._taken, self._behind, self._spoken, self._declared):
            index.clear()
        for resource in RESOURCES:
            for stored in self._store.list(resource):
                self._put(stored.key, stored.object)

    def follow(self, event: Any) -> str | None:
        """Take over a change; the key of the entry that it is about."""
        key: Key = event.stored.key
        former = self._indexed.get(key)
        self._drop(key)
        if event.kind == "DELETED":
            return former[0] if former is not None else None
        return self._put(key, event.stored.object)

    def entries(self) -> list[str]:
        """Keys of the entries of all objects."""
        return [entry for entry, _, _ in self._indexed.values()]

    def place(self, entry: str) -> Key | None:
        """The object of an entry."""
        return self._places.get(entry)

    def take(self, entry: str, place: Key) -> None:
        """An object is about to be made, for this entry and no other."""
        self._places[entry] = place
        self._taken[place] = entry

    def is_free(self, entry: str, place: Key) -> bool:
        """Nothing else has the name, or is about to."""
        return place not in self._indexed and self._taken.get(place, entry) == entry

    def behind(self, part: str) -> set[str]:
        """Entries of what is behind a part."""
        return set(self._behind.get(part, ()))

    def number_behind(self, part: str) -> int:
        """How many those are."""
        return len(self._behind.get(part, ()))

    def spoken_by(self, gateway: str) -> set[str]:
        """Entries that a gateway speaks for."""
        return set(self._spoken.get(gateway, ()))

    def declared_by(self, source: Key) -> set[str]:
        """Entries that an object led to."""
        return set(self._declared.get(source, ()))

    def source_of(self, value: dict[str, Any]) -> Key | None:
        """The object that led to this one."""
        source = mapping(mapping(value.get("spec")).get("source"))
        group = text(source.get("apiVersion")).rpartition("/")[0]
        resource = BY_KIND.get((group, text(source.get("kind"))))
        return Key(resource, text(source.get("namespace")), text(source.get("name"))) if resource else None

    def _put(self, key: Key, value: dict[str, Any]) -> str | None:
        meta, spec = mapping(value.get("metadata")), mapping(value.get("spec"))
        part = text(mapping(meta.get("annotations")).get(PART))
        if not part:
            return None
        said = text(spec.get("name" if key.resource == TOOLS else "model"))
        entry = part if key.resource == SERVERS else key_in(part, said)
        speaker, source = text(mapping(value.get("status")).get("source")), self.source_of(value)
        self._indexed[key] = (entry, speaker, source)
        self._taken.pop(key, None)
        self._places[entry] = key
        self._spoken.setdefault(speaker, set()).add(entry)
        if source is not None:
            self._declared.setdefault(source, set()).add(entry)
        if entry != part_of_key(entry):
            self._behind.setdefault(part, set()).add(entry)
        return entry

    def _drop(self, key: Key) -> None:
        former = self._indexed.pop(key, None)
        if former is None:
            return
        entry, speaker, source = former
        if self._places.get(entry) == key:
            del self._places[entry]
        _discard(self._spoken, speaker, entry)
        _discard(self._behind, part_of_key(entry), entry)
        if source is not None:
            _discard(self._declared, source, entry)


def _discard(index: dict[Any, set[str]], name: Any, entry: str) -> None:
    found = index.get(name)
    if found is not None:
        found.discard(entry)
        if not found:
            del index[name]
