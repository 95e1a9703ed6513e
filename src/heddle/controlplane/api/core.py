"""What every verb works with: the parts the API is joined to, and one call of a caller.

Owns authorization of a call and what is derived once for each kind. Decides nothing about objects.
"""

from typing import Any

from heddle.controlplane.access.caller import Attributes, Caller, what_is_refused
from heddle.controlplane.api.parts import Access, Hooks, Object, Store
from heddle.controlplane.api.paths import Target
from heddle.controlplane.api.request import Request
from heddle.drivers.documents import Key
from heddle.model.kinds import Kind, Kinds
from heddle.wire.kube.schema import Structure
from heddle.wire.kube.status import ApiError, forbidden

NAMESPACES = "namespaces"


class Core:
    """The parts, and what is derived from kinds."""

    def __init__(self, store: Store, kinds: Kinds, access: Access, hooks: Hooks) -> None:
        self.store = store
        self.kinds = kinds
        self.access = access
        self.hooks = hooks
        self._structures: dict[str, Structure] = {}

    def structure(self, kind: Kind) -> Structure:
        """The compiled schema of a kind."""
        found = self._structures.get(kind.resource)
        if found is None:
            found = self._structures[kind.resource] = Structure(kind.schema, has_status=kind.has_status)
        return found

    def stored_kind(self, kind: Kind) -> Kind:
        """The kind whose form is kept, where several share their objects."""
        return self.kinds.resource(kind.stored_as) or kind

    def namespace(self, name: str) -> Object | None:
        """The namespace as it is."""
        found = self.store.get(Key(NAMESPACES, "", name))
        return None if found is None else found.object


class Call:
    """One authenticated request for a resource."""

    __slots__ = ("caller", "core", "kind", "request", "target")

    def __init__(self, core: Core, request: Request, caller: Caller, target: Target) -> None:
        self.core = core
        self.request = request
        self.caller = caller
        self.target = target
        self.kind = core.stored_kind(target.kind)
        """Whose objects are kept."""

    @property
    def asked(self) -> Attributes:
        """What was authorized last."""
        return self.request.trail.asked

    @property
    def key(self) -> Key:
        """Of the named object."""
        return self.key_of(self.target.name)

    def key_of(self, name: str) -> Key:
        """Of an object in the call's namespace."""
        return Key(self.kind.stored_as, self.target.namespace or "", name)

    def authorize(self, verb: str, name: str | None = None) -> None:
        """Let the call pass for a verb. Raises ApiError 403."""
        target = self.target
        kind = target.kind
        asked = self.request.trail.asked = Attributes(
            verb,
            kind.group,
            kind.plural,
            target.subresource,
            target.namespace or "",
            target.name if name is None else name,
        )
        if not self.core.access.authorize(self.caller, asked).allowed:
            raise self.refused()

    def refused(self) -> ApiError:
        """403 for what was asked last."""
        asked = self.asked
        return forbidden(asked.group, asked.resource, asked.name, what_is_refused(self.caller, asked))

    def need(self, resource: str, why: str) -> None:
        """Require the verb `use` on a resource of `heddle.dev`. Raises ApiError 403."""
        namespace = self.target.namespace or ""
        asked = Attributes("use", "heddle.dev", resource, "", namespace)
        if not self.core.access.authorize(self.caller, asked).allowed:
            kind = self.target.kind
            raise forbidden(kind.group, kind.plural, self.target.name, f"{why}; {what_is_refused(self.caller, asked)}")


def version_of(value: Any) -> int:
    """`metadata.resourceVersion` of an object as a number; 0 where none is given, -1 for what is no number."""
    given = (value.get("metadata") or {}).get("resourceVersion")
    if not given:
        return 0
    return int(given) if isinstance(given, str) and given.isdecimal() and len(given) < 19 else -1
