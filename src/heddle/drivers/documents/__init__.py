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


class Revision(msgspec.Struct, frozen=True):
    """A version that an object had."""

    version: int
    body: bytes | None
    """None where only the digest is kept (Secrets that were replaced), and where it was deleted."""
    sha256: str
    """Of the body, hex."""
    deleted: bool
    author: Author
    time_s: float


class ConflictError(Exception):
    """A `Write.expected` did not hold; nothing of the batch was written."""

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
    """The store cannot be reached or written now; whether the write happened is not known unless it says so."""


class Documents(Protocol):
    """A store of documents."""

    async def open(self) -> None:
        """Connect, and migrate. Raises UnavailableError, or ValueError for a store of a newer program."""
        ...

    async def close(self) -> None:
        """Finish what is under way."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[Change]:
        """Make all changes or none, on disk when this returns. Raises ConflictError, UnavailableError."""
        ...

    async def snapshot(self) -> tuple[int, list[Change]]:
        """Every object there is, and the version of the sequence they are at."""
        ...

    async def changes(self, after: int, limit: int) -> list[Change]:
        """Changes with a greater version, in order. Raises ExpiredError."""
        ...

    async def latest(self) -> int:
        """The version of the last commit, also of other replicas."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Call `told` when there may be new changes, also of other replicas."""
        ...

    async def revisions(self, key: Key) -> list[Revision]:
        """Every version of an object that is kept, the newest first."""
        ...

    async def compact(self, before: int) -> None:
        """Forget the order of changes up to this version; the history of objects stays."""
        ...
