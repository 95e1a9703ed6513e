"""Deletes: of one object and of a selection, with preconditions, finalizers and what becomes of dependents.

Owns when an object goes at once and when it only begins to go. Dependents are collected by `collecting`.
*Source:* Kubernetes concepts, "Finalizers", "Garbage Collection"; meta/v1 DeleteOptions.
"""

from typing import Any, NamedTuple

from heddle.controlplane.api import answer, bodies, builtin, changing, forms, metadata, paging, selecting, writing
from heddle.controlplane.api.core import NAMESPACES, Call
from heddle.controlplane.api.options import BACKGROUND, FOREGROUND, ORPHAN, DeleteOptions, WriteOptions, delete_options
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import ConflictError
from heddle.wire.kube import status
from heddle.wire.kube.status import ApiError

FOREGROUND_FINALIZER, ORPHAN_FINALIZER = "foregroundDeletion", "orphan"
_ADDED = {FOREGROUND: FOREGROUND_FINALIZER, ORPHAN: ORPHAN_FINALIZER}
KEPT_NAMESPACES = frozenset({"default", "kube-system"})
"""Every client expects them."""


class Deleted(NamedTuple):
    """How far a delete came."""

    value: Object
    """As it is, or as it was last."""
    gone: bool
    version: int = 0


async def delete(call: Call) -> answer.Answer:
    """DELETE of one object."""
    call.authorize("delete")
    options = await _options(call)
    writing.refuse_generated(call)
    kind, name = call.target.kind, call.target.name
    made = await delete_object(call, name, options)
    if made is None:
        raise status.not_found(kind.group, kind.plural, name)
    if not made.gone:
        return answer.Answer(200, forms.one(call, forms.of_request(call.request), made.value), version=made.version)
    details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": made.value["metadata"].get("uid", "")}
    value = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    said = value | {"details": {field: text for field, text in details.items() if text}}
    return answer.Answer(200, answer.encode(said), version=made.version)


async def delete_collection(call: Call) -> answer.Answer:
    """DELETE of all that a selection means; answers what was there."""
    call.authorize("deletecollection")
    if call.kind.resource == NAMESPACES:
        # As in Kubernetes: everything of everybody in one request is nothing that anybody means.
        raise ApiError(405, "MethodNotAllowed", "namespaces are deleted one by one", {"kind": NAMESPACES})
    chosen = selecting.selector(call)
    options = await _options(call)
    writing.refuse_generated(call)
    await call.core.store.fresh()
    found = [one for one in paging.scan(call, chosen) if chosen.matches(one.object)]
    for one in found:
        await delete_object(call, one.key.name, options, one)
    meta = {"continue": "", "resourceVersion": str(call.core.store.version)}
    return answer.Answer(200, forms.many(call, forms.of_request(call.request), found, meta))


async def _options(call: Call) -> DeleteOptions:
    raw = await call.request.read()
    body: Any = None
    if raw.strip():
        body = bodies.read_body(call.request, "DeleteOptions", builtin=True).value
    return delete_options(call.request, body)


async def delete_object(call: Call, name: str, options: DeleteOptions, one: Stored | None = None) -> Deleted | None:
    """Delete an object, or begin to; None when there is none. Raises ApiError."""
    key = one.key if one is not None else call.key_of(name)
    for _ in range(changing.ATTEMPTS):
        await call.core.store.fresh()
        old = call.core.store.get(key)
        if old is None:
            return None
        check_preconditions(call, old, options)
        try:
            return await _delete_version(call, old, options)
        except ConflictError:
            continue
    raise status.conflict(call.kind.group, call.kind.plural, name)


def check_preconditions(call: Call, old: Stored, options: DeleteOptions) -> None:
    """Raise ApiError 409 where the object is not the one that was meant."""
    kind = call.target.kind
    uid = old.object["metadata"].get("uid", "")
    if options.uid and options.uid != uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        raise status.conflict(kind.group, kind.kind, old.key.name, why)
    if options.version and options.version != str(old.version):
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record "
            f"({old.version}). The object might have been modified"
        )
        raise status.conflict(kind.group, kind.kind, old.key.name, why)


async def _delete_version(call: Call, old: Stored, options: DeleteOptions) -> Deleted:
    if call.kind.resource == "namespaces" and old.key.name in KEPT_NAMESPACES:
        raise status.forbidden("", "namespaces", old.key.name, "this namespace may not be deleted")
    new = going(call, old, options)
    if changing.finished(new):
        writing.admit(call, old.object, None, dry_run=options.dry_run)
        version = 0 if options.dry_run else await writing.erase(call, old, "")
        return Deleted(old.object, True, version)
    if new["metadata"] == old.object["metadata"]:
        return Deleted(old.object, False)
    writing.admit(call, old.object, None, dry_run=options.dry_run)
    if options.dry_run:
        return Deleted(new, False)
    new["metadata"].pop("resourceVersion", None)
    made = await writing.store(call, new, old.version, WriteOptions(), call.core.hooks.clock())
    return Deleted(made.object, False, made.version)


def going(call: Call, old: Stored, options: DeleteOptions) -> Object:
    """The object once it is being deleted."""
    new = changing.copied(old)
    meta: dict[str, Any] = new["metadata"]
    if options.policy:
        kept = [one for one in meta.get("finalizers") or () if one not in {FOREGROUND_FINALIZER, ORPHAN_FINALIZER}]
        if options.policy != BACKGROUND:
            kept.append(_ADDED[options.policy])
        meta["finalizers"] = kept
        metadata.drop_empty(meta)
    if "deletionTimestamp" not in meta:
        meta["deletionTimestamp"] = metadata.timestamp(call.core.hooks.clock())
        meta["deletionGracePeriodSeconds"] = 0
        if not call.kind.builtin:
            meta["generation"] = int(meta.get("generation", 0)) + 1
    builtin.complete(call.kind, new, old.object)
    return new
