"""What leaves the process of a Secret, and what comes back.

Owns which resources are sealed. The key of the object is bound into what is sealed, so that a row that was moved to
another name does not open there; the digest that history shows says nothing to whoever lacks the key.
"""

import msgspec

from heddle.controlplane.store.sealing import Seal, SealedError
from heddle.controlplane.store.stored import Event, EventKind, Stored
from heddle.drivers.documents import Change, Key, Revision, UnavailableError, Write

RESOURCES = frozenset({"secrets"})
"""Whose objects are encrypted where they are kept."""


class AtRest:
    """Turns writes into what is kept, and what is kept into objects."""

    __slots__ = ("_seal",)

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def write(self, write: Write) -> Write:
        """As it is kept. Raises ValueError for what is no object with metadata."""
        if write.body is None:
            return write
        Stored(write.key, 0, write.body)
        if write.key.resource not in RESOURCES:
            return write
        bound = _bound(write.key)
        body, digest = self._seal.seal(write.body, bound), self._seal.digest(write.body, bound)
        return msgspec.structs.replace(write, body=body, digest=digest, sealed=True)

    def stored(self, change: Change) -> Stored:
        """The object after it. Raises SealedError."""
        return Stored(change.key, change.version, self._body(change.key, change.body, change.sealed))

    def event(self, change: Change) -> Event:
        """A change of the past, which brought the body of the version before. Raises UnavailableError."""
        kind: EventKind = "DELETED" if change.deleted else "MODIFIED" if change.previous else "ADDED"
        previous = None
        try:
            if change.previous and change.before is not None:
                previous = Stored(change.key, change.previous, self._body(change.key, change.before, change.sealed))
            return Event(kind, self.stored(change), previous)
        except SealedError as exc:
            raise UnavailableError(str(exc)) from exc

    def revision(self, key: Key, revision: Revision) -> Revision:
        """As it is shown. Raises UnavailableError."""
        if revision.body is None:
            return revision
        try:
            body = self._body(key, revision.body, key.resource in RESOURCES)
        except SealedError as exc:
            raise UnavailableError(str(exc)) from exc
        return msgspec.structs.replace(revision, body=body)

    def _body(self, key: Key, body: bytes, sealed: bool) -> bytes:
        if not sealed:
            return body
        try:
            return self._seal.open(body, _bound(key))
        except SealedError as exc:
            raise SealedError(f"{key.resource} {key.namespace}/{key.name} cannot be opened: {exc}") from None


def _bound(key: Key) -> bytes:
    return msgspec.json.encode(key)
