"""The end of namespaces: what is in one goes before it does.

Owns the last step of a deleted namespace. Objects that are held by finalizers are waited for.
*Source:* Kubernetes concepts, "Namespaces"; "Finalizers".
"""

from heddle.controlplane.api import builtin, own_writes
from heddle.controlplane.api.core import NAMESPACES, Core
from heddle.controlplane.api.parts import Event, Object, Stored
from heddle.drivers.documents import Key

WHO = "namespace-controller"


class Emptier:
    """Follows namespaces that are being deleted."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._resources = sorted({kind.stored_as for kind in core.kinds if kind.namespaced and "create" in kind.verbs})
        self._ending: set[str] = set()

    async def happened(self, event: Event) -> None:
        """Do what an event asks for. Raises UnavailableError."""
        key, value = event.stored.key, event.stored.object
        if key.resource == NAMESPACES:
            if event.kind == "DELETED":
                self._ending.discard(key.name)
                # What was made while the last look was taken, by another replica.
                await self._delete_all(key.name)
            else:
                await self.look(key, value)
        elif key.namespace in self._ending and event.kind == "DELETED":
            await self._finish(key.namespace)

    async def look(self, key: Key, value: Object) -> None:
        """Empty a namespace that is being deleted."""
        if key.resource == NAMESPACES and value["metadata"].get("deletionTimestamp"):
            self._ending.add(key.name)
            await self._delete_all(key.name)
            await self._finish(key.name)

    def _inside(self, namespace: str) -> list[Stored]:
        return [one for resource in self._resources for one in self._core.store.list(resource, namespace)]

    async def _delete_all(self, namespace: str) -> None:
        for one in self._inside(namespace):
            if not one.object["metadata"].get("deletionTimestamp"):
                await own_writes.delete(self._core, one.key, "", WHO)

    async def _finish(self, namespace: str) -> None:
        if any(self._core.store.list(resource, namespace) for resource in self._resources):
            return

        def finalized(value: Object) -> Object | None:
            if not value["metadata"].get("deletionTimestamp"):
                return None
            held = (value.get("spec") or {}).get("finalizers") or []
            value["spec"] = {"finalizers": [one for one in held if one != builtin.NAMESPACE_FINALIZER]}
            return value

        await own_writes.change(self._core, Key(NAMESPACES, "", namespace), finalized, WHO)
