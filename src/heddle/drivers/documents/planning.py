"""What a group of writes becomes: who is refused, and which rows the others are.

Owns the rules that all drivers share, without any of their SQL: versions are consecutive in the order of the writes, a
batch is written whole or not at all, and one that is refused harms none beside it. Does no I/O.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from heddle.drivers.documents import Author, Change, ConflictError, Key, Revision, Write

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Four times what the resource API lets in."""
MAX_KEY_BYTES = 1024
"""Of resource, namespace and name together; an index of PostgreSQL takes 2.7 kB."""


class Body(NamedTuple):
    """Body of a version, and whether it is sealed."""

    body: bytes
    sealed: bool


class Row(NamedTuple):
    """A version as it is stored, in the order of the columns."""

    version: int
    resource: str
    namespace: str
    name: str
    previous: int
    body: bytes | None
    digest: str
    deleted: bool
    sealed: bool
    user: str
    agent: str
    verb: str
    why: str
    time_s: float


class Plan:
    """The outcome of batches, one after the other."""

    def __init__(self, version: int, versions: Mapping[Key, int], body_of: Callable[[int], Body]) -> None:
        """`version` is the last of the sequence, `versions` those of the objects there are, `body_of` reads one."""
        self.version = version
        self.heads: dict[Key, int] = {}
        """Objects that were changed; 0 are those that are no more."""
        self.rows: list[Row] = []
        self._versions, self._body_of = versions, body_of
        self._bodies: dict[int, Body] = {}

    def add(self, writes: Sequence[Write]) -> list[Change]:
        """What these become. Raises ConflictError and is as before."""
        heads: dict[Key, int] = {}
        rows: list[Row] = []
        changes: list[Change] = []
        for number, write in enumerate(writes, self.version + 1):
            key = write.key
            head = heads.get(key)
            if head is None:
                head = self.heads.get(key, self._versions.get(key, 0))
            if (write.expected is not None and write.expected != head) or (write.body is None and not head):
                raise ConflictError(key, head)
            change = self._change(number, head, write)
            self._bodies[number] = Body(change.body, change.sealed)
            changes.append(change)
            rows.append(_row(change, write))
            heads[key] = 0 if change.deleted else number
        self.version += len(rows)
        self.heads |= heads
        self.rows += rows
        return changes

    def _change(self, number: int, head: int, write: Write) -> Change:
        if write.body is not None:
            return Change(number, write.key, write.body, previous=head, sealed=write.sealed)
        was = self._bodies.get(head) or self._body_of(head)
        return Change(number, write.key, was.body, deleted=True, previous=head, sealed=was.sealed)


def _row(change: Change, write: Write) -> Row:
    deleted, author = change.deleted, write.author
    digest = "" if deleted else write.digest or hashlib.sha256(change.body).hexdigest()
    return Row(
        change.version,
        *change.key,
        change.previous,
        None if deleted else change.body,
        digest,
        deleted,
        change.sealed,
        author.user,
        author.agent,
        author.verb,
        author.why,
        write.time_s,
    )


def revisions(rows: Iterable[Sequence[Any]]) -> list[Revision]:
    """A history, the newest first: version, body, digest, deleted, sealed, the author's four, time.

    Of what was sealed, only the newest shows its body, also while watches still need the others.
    """
    made: list[Revision] = []
    for version, body, digest, deleted, sealed, user, agent, verb, why, time_s in rows:
        shown = None if sealed and made else body
        made.append(Revision(version, shown, digest, bool(deleted), Author(user, agent, verb, why), time_s))
    return made


def check(writes: Sequence[Write]) -> None:
    """Raises ValueError for what a driver cannot keep, before it can harm those it would be written with."""
    for write in writes:
        if write.body is not None and not 0 < len(write.body) <= MAX_BODY_BYTES:
            raise ValueError(f"an object has 1 to {MAX_BODY_BYTES} bytes, not {len(write.body)}")
        texts = (*write.key, write.digest, *_texts(write.author))
        # No lone surrogate either.
        if not all("\0" not in text and (text.isascii() or _encodes(text)) for text in texts):
            raise ValueError("a text has a character that cannot be stored")
        if sum(len(text.encode()) for text in write.key) > MAX_KEY_BYTES:
            raise ValueError(f"resource, namespace and name have at most {MAX_KEY_BYTES} bytes")


def _texts(author: Author) -> tuple[str, ...]:
    return author.user, author.agent, author.verb, author.why


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
