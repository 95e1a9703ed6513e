"""The garbage collector: what belongs to nobody any more goes, by owner references.

Owns the index of dependents by the uid of their owners, fed by the store's watch: a change costs what hangs on the
object, however many objects there are. An owner in another namespace is none, and an owner of a kind that is not served
cannot be looked for: both are left alone, since to delete by mistake is the one thing that cannot be undone.
*Source:* Kubernetes concepts, "Garbage Collection", "Owners and Dependents".
"""

from collections.abc import Iterator
from typing import Any

from heddle.controlplane.api import own_writes
from heddle.controlplane.api.core import Core
from heddle.controlplane.api.deleting import FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from heddle.controlplane.api.parts import Event, Object
from heddle.drivers.documents import Key

WHO = "garbage-collector"


class Collector:
    """Follows every object, and collects."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._dependents: dict[str, set[Key]] = {}
        """Uid of an owner -> what names it as one."""
        self._uids: dict[str, Key] = {}
        """Every object that is there."""
        self._owners: dict[Key, tuple[str, ...]] = {}
        """What names owners -> their uids."""

    def learn(self, key: Key, value: Object | None) -> None:
        """Know an object as it is; None is gone, of which `forget` tells the uid."""
        for uid in self._owners.pop(key, ()):
            known = self._dependents.get(uid)
            if known is not None:
                known.discard(key)
                if not known:
                    del self._dependents[uid]
        if value is None:
            return
        self._uids[value["metadata"].get("uid", "")] = key
        owners = tuple(one.get("uid", "") for one in value["metadata"].get("ownerReferences") or ())
        if owners:
            self._owners[key] = owners
            for uid in owners:
                self._dependents.setdefault(uid, set()).add(key)

    def forget(self, uid: str) -> None:
        """An object is gone."""
        self._uids.pop(uid, None)

    async def happened(self, event: Event) -> None:
        """Do what an event asks for. Raises UnavailableError."""
        stored = event.stored
        meta = stored.object["metadata"]
        if event.kind == "DELETED":
            self.learn(stored.key, None)
            self.forget(meta.get("uid", ""))
            await self._lost(meta)
            return
        self.learn(stored.key, stored.object)
        await self.look(stored.key, stored.object)

    async def look(self, key: Key, value: Object) -> None:
        """Collect one object if nobody owns it, and go on with it if it is being deleted."""
        meta = value["metadata"]
        finalizers = meta.get("finalizers") or ()
        if meta.get("deletionTimestamp"):
            if ORPHAN_FINALIZER in finalizers:
                await self._orphan(key, meta.get("uid", ""))
            elif FOREGROUND_FINALIZER in finalizers:
                await self._foreground(key, meta.get("uid", ""))
        elif meta.get("ownerReferences"):
            await self._judge(key, value)

    async def _lost(self, meta: dict[str, Any]) -> None:
        """An object is gone: look at what it owned, and at owners that waited for it."""
        for key, value in self._present(self._dependents.get(meta.get("uid", ""), ())):
            await self._judge(key, value)
        waiting = [self._uids[one["uid"]] for one in meta.get("ownerReferences") or () if one.get("uid") in self._uids]
        for key, value in self._present(waiting):
            await self.look(key, value)

    def _present(self, keys: Any) -> Iterator[tuple[Key, Object]]:
        for key in tuple(keys):
            found = self._core.store.get(key)
            if found is not None:
                yield key, found.object

    async def _judge(self, key: Key, value: Object) -> None:
        meta = value["metadata"]
        if meta.get("deletionTimestamp"):
            return
        owners = meta.get("ownerReferences") or []
        if not owners or any(self._alive(key, one) for one in owners):
            return
        await own_writes.delete(self._core, key, meta.get("uid", ""), WHO)

    def _alive(self, key: Key, owner: dict[str, Any]) -> bool:
        """Whether a dependent may stay because of an owner."""
        kind = self._core.kinds.of(owner.get("apiVersion", ""), owner.get("kind", ""))
        if kind is None or (kind.namespaced and not key.namespace):
            return True
        uid = owner.get("uid", "")
        at = self._uids.get(uid)
        if at is not None:
            # The owner of another namespace is no owner, and no reason to delete either.
            return True
        place = key.namespace if kind.namespaced else ""
        found = self._core.store.get(Key(kind.stored_as, place, owner.get("name", "")))
        return found is not None and found.object["metadata"].get("uid") == uid

    async def _foreground(self, key: Key, uid: str) -> None:
        """Delete dependents first; the owner goes when those that block it are gone."""
        blocked = False
        for below, value in self._own(key, uid):
            references = value["metadata"].get("ownerReferences") or ()
            others = [one for one in references if one.get("uid") != uid and self._alive(below, one)]
            if others:
                continue
            finalizer = FOREGROUND_FINALIZER if self._dependents.get(value["metadata"].get("uid", "")) else ""
            gone = await own_writes.delete(self._core, below, value["metadata"].get("uid", ""), WHO, finalizer)
            blocks = any(one.get("uid") == uid and one.get("blockOwnerDeletion") for one in references)
            blocked = blocked or (blocks and not gone)
        if not blocked:
            await self._release(key, FOREGROUND_FINALIZER)

    async def _orphan(self, key: Key, uid: str) -> None:
        """Dependents stay, and name this owner no longer."""

        def freed(value: Object) -> Object | None:
            owners = value["metadata"].get("ownerReferences") or []
            value["metadata"]["ownerReferences"] = [one for one in owners if one.get("uid") != uid]
            return value

        for below, _ in self._own(key, uid):
            await own_writes.change(self._core, below, freed, WHO)
        await self._release(key, ORPHAN_FINALIZER)

    def _own(self, owner: Key, uid: str) -> list[tuple[Key, Object]]:
        """Dependents in the owner's reach: its namespace, or everywhere when it stands in none."""
        keys = [key for key in self._dependents.get(uid, ()) if not owner.namespace or key.namespace == owner.namespace]
        return list(self._present(keys))

    async def _release(self, key: Key, finalizer: str) -> None:
        def released(value: Object) -> Object | None:
            held = value["metadata"].get("finalizers") or []
            if finalizer not in held:
                return None
            value["metadata"]["finalizers"] = [one for one in held if one != finalizer]
            return value

        await own_writes.change(self._core, key, released, WHO)
