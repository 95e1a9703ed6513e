"""What the resource API is joined to: a store, access control, and the hooks of every write.

Owns these contracts only. A test gives fakes of them; the process gives the real ones.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from heddle.controlplane.access.audit import Occasion
from heddle.controlplane.access.caller import Attributes, Caller, Decision
from heddle.drivers.documents import Key, Revision, Write

Object = dict[str, Any]
"""An object as plain JSON. One that is stored is never changed."""


class Stored(Protocol):
    """A version of an object, as it is kept."""

    @property
    def key(self) -> Key:
        """Which object."""
        ...

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        ...

    @property
    def object(self) -> Object:
        """With `metadata.resourceVersion`."""
        ...

    @property
    def encoded(self) -> bytes:
        """Its JSON, made once."""
        ...


class Event(Protocol):
    """A change as a watch tells it."""

    @property
    def kind(self) -> str:
        """`ADDED`, `MODIFIED` or `DELETED`."""
        ...

    @property
    def stored(self) -> Any:
        """After it; of a deleted one as it was last, with the version of the deletion."""
        ...

    @property
    def previous(self) -> Any:
        """Before it, or None."""
        ...

    @property
    def line(self) -> bytes:
        """A line of a watch that tells it as it is kept."""
        ...


class Watch(Protocol):
    """Events in the order of their versions."""

    @property
    def position(self) -> int:
        """Everything up to this version was handed out."""
        ...

    async def batch(self) -> Sequence[Any]:
        """The next events; empty at the end. May be cancelled. Raises ExpiredError and UnavailableError."""
        ...

    def close(self) -> None:
        """No more events are wanted."""
        ...


class Store(Protocol):
    """Where objects are."""

    @property
    def version(self) -> int:
        """Of the last change that reads see."""
        ...

    def get(self, key: Key) -> Any:
        """The object, or None."""
        ...

    def list(self, resource: str, namespace: str | None) -> Sequence[Any]:
        """All of a kind, or of a namespace, by namespace and name."""
        ...

    async def fresh(self) -> object:
        """See every write that was acknowledged anywhere. Raises UnavailableError."""
        ...

    async def write(self, writes: Sequence[Write]) -> Sequence[Any]:
        """All or none, on disk when this returns. Raises ConflictError, UnavailableError."""
        ...

    async def revisions(self, key: Key) -> Sequence[Revision]:
        """Every version that is kept, the newest first. Raises UnavailableError."""
        ...

    def watch(self, resource: str, namespace: str | None, after: int) -> Any:
        """Events after a version. Raises ExpiredError."""
        ...


class Access(Protocol):
    """Who calls, and what they may."""

    async def authenticate(
        self, headers: Mapping[str, str], certificate: bytes | None, *, source: str = "", path: str = ""
    ) -> Caller:
        """The caller. `certificate` is the verified client certificate, DER. Raises ApiError 401."""
        ...

    def authorize(self, caller: Caller, asked: Attributes) -> Decision:
        """Whether they may."""
        ...

    def admit(self, caller: Caller, asked: Attributes, old: Object | None, new: Object | None) -> None:
        """Last word on a write, such as no escalation by RBAC. Raises ApiError 403."""
        ...


Rollback = Callable[[str, Object | None], Awaitable[Object]]
"""(name, earlier object or None for the one before) -> the object as it will be. Raises ApiError."""
Virtual = Callable[[Caller, Object, str], Awaitable[Object]]
"""(caller, body, namespace) -> answer of a POST to a kind that is not stored, such as a review."""


Page = Callable[[Caller, Mapping[str, Sequence[str]]], Object]
"""(caller, every value of every field of the query) -> answer of a GET. Raises ApiError."""


class OpenApi(Protocol):
    """Descriptions of the kinds, as bytes that do not change while the process runs."""

    def v2(self) -> bytes:
        """`/openapi/v2` as JSON."""
        ...

    def v2_protobuf(self) -> bytes:
        """The same in the encoding of gnostic."""
        ...

    def v3_index(self) -> bytes:
        """`/openapi/v3`."""
        ...

    def v3(self, path: str) -> bytes | None:
        """`/openapi/v3/{path}`; None where there is none."""
        ...


class Hooks(NamedTuple):
    """What is asked at every write, and what other parts add."""

    check_owner: Callable[[Caller, Object | None, Object | None], None]
    """(caller, old, new); raises ApiError 409."""
    rights_needed: Callable[[Object | None, Object | None], Sequence[tuple[str, str, str]]]
    """(new, old) -> [(resource of heddle.dev that `use` is needed on, why, path)]."""
    check_rules: Callable[[Object, Object | None, dict[str, Any]], list[Any]]
    """(object, old, schema) -> causes, by the CEL rules of the schema."""
    virtual: Mapping[str, Virtual]
    """By resource."""
    audit: Callable[[Caller | None, Attributes, int, int, Occasion], None]
    """(caller, what was asked, code, version that was made or 0, what else is known)."""
    openapi: OpenApi | None
    clock: Callable[[], float]
    """Unix time."""
    ready: Callable[[], dict[str, bool]]
    """Named checks of `/readyz`."""
    pages: Mapping[str, Page] = {}
    """By path without its first slash: what else is read below `/apis`, by everybody who may read the path."""
    rollbacks: Mapping[str, "Rollback"] = {}
    """Resource of a generated kind -> how it goes back: whoever made its objects knows."""
