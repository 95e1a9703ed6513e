"""Writes that the control plane makes of its own accord: collecting, emptying, forgetting.

Owns how such a write is computed again when somebody else was faster, and in whose name it is made.
"""

from collections.abc import Callable

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.api import changing, metadata
from heddle.controlplane.api.answer import encode
from heddle.controlplane.api.core import Core
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import Author, ConflictError, Key, Write
from heddle.model.kinds import Kind

ATTEMPTS = 12


def kind_at(core: Core, resource: str) -> Kind | None:
    """The kind whose objects are stored under a name."""
    return core.kinds.resource(resource)


async def change(core: Core, key: Key, compute: Callable[[Object], Object | None], who: str) -> bool:
    """Change an object, or delete it once nothing holds it; `compute` gets its own copy and may return None for no
    change. Returns whether it is gone. Raises UnavailableError."""
    for _ in range(ATTEMPTS):
        old = core.store.get(key)
        if old is None:
            return True
        new = compute(changing.copied(old))
        if new is None:
            return False
        try:
            return await _write(core, old, new, who)
        except ConflictError:
            await core.store.fresh()
    return False


async def _write(core: Core, old: Stored, new: Object, who: str) -> bool:
    gone = changing.finished(new)
    new["metadata"].pop("resourceVersion", None)
    metadata.drop_empty(new["metadata"])
    author = Author(CONTROL_PLANE.name, who, "delete" if gone else "update")
    body = None if gone else encode(new)
    await core.store.write([Write(old.key, body, old.version, author, core.hooks.clock())])
    return gone


async def delete(core: Core, key: Key, uid: str, who: str, finalizer: str = "") -> bool:
    """Delete an object that still has this uid, with a finalizer added or none. Returns whether it is gone."""

    def going(value: Object) -> Object | None:
        meta = value["metadata"]
        if uid and meta.get("uid") != uid:
            return None
        if "deletionTimestamp" in meta and not changing.finished(value):
            return None
        kind = kind_at(core, key.resource)
        meta.setdefault("deletionTimestamp", metadata.timestamp(core.hooks.clock()))
        meta.setdefault("deletionGracePeriodSeconds", 0)
        if finalizer:
            meta["finalizers"] = [*(meta.get("finalizers") or []), finalizer]
        if kind is not None and not kind.builtin:
            meta["generation"] = int(meta.get("generation", 0)) + 1
        return value

    return await change(core, key, going, who)
