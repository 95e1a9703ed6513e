"""Documents: where resources are kept, with every version they had, and in which order they changed.

Owns the contract. One global sequence numbers all changes in the order of their commits; what was acknowledged is on
disk. Implementations: SQLite, PostgreSQL; the contract suite is `tests/contract/documents`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Key(NamedTuple):
    """Which object."""

    resource: str
    """`plural.group`, such as `agents.kagent.dev`; of the core group `secrets`."""
    namespace: str
    """Empty for what stands in none."""
    name: str


class Author(msgspec.Struct, frozen=True):
    """Who wrote a version, with what, and why."""

    user: str
    """Name of the authenticated caller."""
    agent: str = ""
    """Field manager or program."""
    verb: str = ""
    """`create`, `update`, `patch`, `apply`, `delete`, `rollback`."""
    why: str = ""
    """What the writer said about it, such as a Git commit; may be empty."""


class Write(msgspec.Struct, frozen=True):
    """One change that is asked for."""

    key: Key
    body: bytes | None
    """JSON of the object without `metadata.resourceVersion`; None deletes it."""
    expected: int | None
    """Version that it must have now: 0 is none, it must not exist; None is any."""
    author: Author
    time_s: float
    """Unix time."""
    sealed: bool = False
    """The body is encrypted; once it is replaced, and watches need it no longer, only its digest is kept."""
    digest: str = ""
    """What the history shows in place of a body, hex; empty is SHA-256 of the body."""


class Change(msgspec.Struct, frozen=True):
    """One change that was made."""

    version: int
    """Its number in the global sequence: the object's `resourceVersion`."""
    key: Key
    body: bytes
    """JSON of the object after it; of a deleted one, as it was last."""
    deleted: bool = False
    previous: int = 0
    """Version of the object before; 0 when it did not exist."""
    sealed: bool = False
    """As it was written."""
    before: bytes | None = None
    """Body of the version before. Only `changes` tells, who was there already has it."""


class Revision(msgspec.Struct, frozen=True):
    """A version that an object had."""

    version: int
    body: bytes | None
    """None where only the digest is kept (Secrets that were replaced), and where it was deleted."""
    sha256: str
    """Of the body, hex; of a sealed one, the digest it was written with."""
    deleted: bool
    author: Author
    time_s: float


class Retention(msgspec.Struct, frozen=True):
    """How much of the past is kept. Both are applied when the sequence is compacted, so more is there for a while."""

    revisions: int = 100
    """Versions of each object, the newest first."""
    deletions: int = 10_000
    """Deletions, the newest first: what was deleted longer ago has no history."""


class ConflictError(Exception):
    """A `Write.expected` did not hold, or there was nothing to delete; nothing of the batch was written."""

    def __init__(self, key: Key, current: int) -> None:
        super().__init__(f"{key.resource} {key.namespace}/{key.name} is at version {current}")
        self.key = key
        self.current = current
        """Version it has; 0 is none."""


class ExpiredError(Exception):
    """Changes from so long ago are no longer kept. `oldest` is the first version after which they are."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"changes before {oldest} are no longer kept")
        self.oldest = oldest


class UnavailableError(Exception):
    """The store cannot be reached or written now. The text is for an operator."""

    def __init__(self, why: str, *, unknown: bool = False) -> None:
        super().__init__(f"{why}; whether it was written is not known" if unknown else why)
        self.unknown = unknown
        """The write may have happened, or may not. Otherwise it has not."""


class Documents(Protocol):
    """A store of documents."""

    async def open(self) -> None:
        """Connect, and migrate.

        Raises UnavailableError; ValueError for a store that is damaged, of a newer program, or no store of ours.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[Change]:
        """Make all changes or none, on disk when this returns; each has the number after the one before.

        To delete what does not exist is a conflict. Raises ConflictError, UnavailableError; ValueError for what no
        store could keep.
        """
        ...

    async def snapshot(self) -> tuple[int, list[Change]]:
        """Every object there is, and the version of the sequence they are at."""
        ...

    async def changes(self, after: int, limit: int, resource: str = "") -> list[Change]:
        """Changes with a greater version, in order, without a gap; of one resource where it is named.

        Raises ExpiredError, UnavailableError.
        """
        ...

    async def latest(self) -> int:
        """The version of the last commit, also of other replicas."""
        ...

    def on_change(self, told: Callable[[Sequence[Change]], None]) -> None:
        """Call `told`, in the event loop, with changes in the order of their commits, before `write` returns them.

        Without any: there may be some that are not at hand, such as another replica's.
        """
        ...

    async def revisions(self, key: Key) -> list[Revision]:
        """Every version of an object that is kept, the newest first. Raises UnavailableError."""
        ...

    async def compact(self, before: int) -> None:
        """Forget the order of changes up to this version; the history of objects stays, as far as it is kept.

        Raises UnavailableError.
        """
        ...
