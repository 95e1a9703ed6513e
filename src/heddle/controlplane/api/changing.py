"""Changes of objects: PUT, the patches, and server-side apply, each computed again where another writer was faster.

Owns what a change may not touch (identity, status through the main path, finalizers of what is being deleted) and when
a change is none.
*Source:* Kubernetes API conventions, "Concurrency Control and Consistency", "Spec and Status"; KEP-555.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.api import answer, bodies, builtin, checking, metadata, views, writing
from heddle.controlplane.api.core import Call, version_of
from heddle.controlplane.api.options import WriteOptions, refuse, write_options
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import ConflictError
from heddle.wire.kube import patch as patches
from heddle.wire.kube import status
from heddle.wire.kube.apply import Edit, apply, track
from heddle.wire.kube.status import ApiError, Cause, bad_request

ATTEMPTS = 12
"""How often a change is computed again before the caller is told of the conflict."""
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_decode = msgspec.json.Decoder().decode


class Change(NamedTuple):
    """What a request makes of an object."""

    new: Object
    """In the form that is kept; nobody else holds it."""
    repeated: list[str]
    refusal: Callable[[str], ApiError]
    """What strict validation raises."""
    tracked: bool = False
    """`managedFields` are done."""


Compute = Callable[[Stored], Change]


async def update(call: Call) -> answer.Answer:
    """PUT."""
    call.authorize("update")
    options = write_options(call.request, "UpdateOptions")
    await call.request.read()
    writing.refuse_generated(call)

    def replaced(_old: Stored) -> Change:
        new, repeated = writing.read_object(call)
        return Change(new, repeated, checking.undecodable(call.kind))

    made, warnings = await rewrite(call, options, replaced)
    return writing.written(call, made, 200, warnings)


async def patch(call: Call) -> answer.Answer:
    """PATCH, of any media type."""
    call.authorize("patch")
    media = bodies.media_type(call.request)
    options = write_options(call.request, "PatchOptions")
    compute = _COMPUTE.get(media)
    if media != APPLY and (compute is None or (media == STRATEGIC_PATCH and not call.kind.builtin)):
        accepted = (JSON_PATCH, MERGE_PATCH, *((STRATEGIC_PATCH,) if call.kind.builtin else ()), APPLY)
        raise status.unsupported_media(accepted)
    if media != APPLY and options.force is not None:
        message = "Forbidden: may not be specified for non-apply patch"
        raise refuse("PatchOptions", "FieldValueForbidden", message, "force")
    if media == APPLY and not options.named:
        message = "Required value: is required for apply patch"
        raise refuse("PatchOptions", "FieldValueRequired", message, "fieldManager")
    await call.request.read()
    writing.refuse_generated(call)
    if compute is None:
        return await _apply(call, options)
    body = bodies.from_json(call.request.body, "a patch")
    made, warnings = await rewrite(call, options, lambda old: _patched(call, compute, body, old))
    return writing.written(call, made, 200, warnings)


def _patched(call: Call, compute: Callable[[Call, Object, Any], Object], body: bodies.Body, old: Stored) -> Change:
    kind = call.target.kind
    made: Any = compute(call, views.to_served(call.core, kind, copied(old)), body.value)
    if not isinstance(made, dict) or not isinstance(made.get("metadata"), dict):
        raise bad_request("the patch makes something that is no object with metadata")
    for field in ("kind", "apiVersion"):
        if not isinstance(made.get(field), str):
            raise bad_request(f"the patch makes an object without {field}")
    writing.check_kind(kind, made)
    new = views.to_stored(call.core, kind, made)
    return Change(new, body.repeated, checking.unpatchable)


def copied(stored: Stored) -> Object:
    """An object that may be changed."""
    value: Object = _decode(stored.encoded)
    return value


def _merge(_call: Call, live: Object, body: Any) -> Object:
    if not isinstance(body, dict):
        raise bad_request("a merge patch must be an object; a list is a JSON patch")
    return patches.merge_patch(live, body)


def _json_patch(_call: Call, live: Object, body: Any) -> Object:
    return patches.json_patch(live, body)


def _strategic(call: Call, live: Object, body: Any) -> Object:
    if not isinstance(body, dict):
        raise bad_request("a strategic merge patch must be an object")
    return patches.strategic_patch(live, body, call.core.structure(call.target.kind))


_COMPUTE = {MERGE_PATCH: _merge, JSON_PATCH: _json_patch, STRATEGIC_PATCH: _strategic}


async def _apply(call: Call, options: WriteOptions) -> answer.Answer:
    kind = call.target.kind
    body = bodies.from_yaml(call.request.body)
    config = _applied(call, body)
    for _ in range(ATTEMPTS):
        await call.core.store.fresh()
        if call.target.subresource or call.core.store.get(call.key) is not None:
            break
        # Nothing is there: applying makes it, which needs the right to create.
        call.authorize("create")
        writing.open_namespace(call, call.target.name)
        new = _merged(call, None, config, options)
        warnings = _strict(call, options, new, body.repeated)
        try:
            made = await writing.create_object(call, new, options, tracked=True)
        except ApiError as exc:
            if exc.reason != "AlreadyExists" or options.dry_run:
                raise
            # Somebody else made it meanwhile: now it is a change.
            call.authorize("patch")
            continue
        return writing.written(call, made, 201, warnings)

    def compute(old: Stored) -> Change:
        given = version_of(config)
        if given and given != old.version:
            raise status.conflict(kind.group, kind.plural, call.target.name)
        return Change(_merged(call, copied(old), config, options), body.repeated, checking.undecodable(kind), True)

    made, warnings = await rewrite(call, options, compute)
    return writing.written(call, made, 200, warnings)


def _strict(call: Call, options: WriteOptions, new: Object, repeated: list[str]) -> list[str]:
    unknown = checking.tidy(call.core, call.kind, new)
    return checking.strictness(options.validation, unknown, repeated, checking.undecodable(call.kind))


def _applied(call: Call, body: bodies.Body) -> Object:
    """The configuration in an apply. Raises ApiError 400."""
    kind, config = call.target.kind, body.value
    if not isinstance(config, dict):
        raise bad_request("an apply must be an object")
    version, name = config.get("apiVersion", ""), config.get("kind", "")
    if version != kind.api_version or name != kind.kind:
        group, _, short = str(version).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{short}, Kind={name}")
    given = config.get("metadata")
    if isinstance(given, dict) and given.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    unknown = metadata.take(config, kind.kind, kind.version)
    if unknown:
        raise checking.undecodable(kind)(f'unknown field "{unknown[0]}"')
    meta = config["metadata"]
    if meta.setdefault("name", call.target.name) != call.target.name:
        raise writing.mismatched(call, meta["name"])
    writing.check_place(call, meta)
    return views.to_stored(call.core, kind, config)


def _merged(call: Call, live: Object | None, config: Object, options: WriteOptions) -> Object:
    now = metadata.timestamp(call.core.hooks.clock())
    edit = Edit(options.owner, "Apply", call.kind.api_version, call.target.subresource, now)
    # The configuration is read again where the live object changed meanwhile.
    fresh = _decode(answer.encode(config))
    if call.kind.resource == "secrets":
        builtin.complete(call.kind, fresh, live)
    return apply(live, fresh, edit, call.core.structure(call.kind), force=bool(options.force))


async def rewrite(call: Call, options: WriteOptions, compute: Compute) -> tuple[Stored | Object, list[str]]:
    """Change the object of the call, from the start again when it changed meanwhile. Raises ApiError."""
    kind = call.target.kind
    for _ in range(ATTEMPTS):
        await call.core.store.fresh()
        old = call.core.store.get(call.key)
        if old is None:
            raise status.not_found(kind.group, kind.plural, call.target.name)
        change = compute(old)
        warnings = _prepare(call, options, old, change)
        if _unchanged(old.object, change.new):
            return old, warnings
        try:
            return await _commit(call, options, old, change.new), warnings
        except ConflictError:
            continue
    raise status.conflict(kind.group, kind.plural, call.target.name)


def _prepare(call: Call, options: WriteOptions, old: Stored, change: Change) -> list[str]:
    """Make a computed object one that may be stored, in place."""
    kind, new = call.kind, change.new
    unknown = checking.tidy(call.core, kind, new)
    warnings = checking.strictness(options.validation, unknown, change.repeated, change.refusal)
    _check_identity(call, old, new)
    managed = new["metadata"].get("managedFields")
    if call.target.subresource == "status":
        _keep_all_but_status(new, old.object)
    elif kind.has_status:
        _take(new, old.object, "status")
    meta = new["metadata"]
    metadata.keep_server_owned(meta, old.object["metadata"])
    metadata.drop_empty(meta)
    builtin.complete(kind, new, old.object)
    _check_finalizers(call, meta, old.object["metadata"])
    checking.check(call.core, kind, new, old.object)
    builtin.check(kind, new, old.object)
    if not kind.builtin and _spec_changed(old.object, new):
        meta["generation"] = int(meta.get("generation", 0)) + 1
    if managed is not None:
        meta["managedFields"] = managed
    if not change.tracked:
        now = metadata.timestamp(call.core.hooks.clock())
        edit = Edit(options.owner, "Update", kind.api_version, call.target.subresource, now)
        meta["managedFields"] = track(old.object, new, edit, call.core.structure(kind))
    if not meta.get("managedFields"):
        meta.pop("managedFields", None)
    return warnings


def _check_identity(call: Call, old: Stored, new: Object) -> None:
    """That the change is of this object and of this version. Raises ApiError 400, 409 and 422."""
    kind, meta = call.target.kind, new["metadata"]
    if meta.setdefault("name", call.target.name) != call.target.name:
        raise writing.mismatched(call, meta["name"])
    writing.check_place(call, meta)
    given = version_of(new)
    if not given and call.request.method == "PUT" and not kind.builtin:
        cause = Cause(
            "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
        )
        raise status.invalid(kind.group, kind.plural, call.target.name, [cause])
    if given and given != old.version:
        raise status.conflict(kind.group, kind.plural, call.target.name)
    uid, wanted = old.object["metadata"]["uid"], meta.get("uid")
    if wanted and wanted != uid:
        why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
        raise status.conflict(kind.group, kind.plural, call.target.name, why)


def _keep_all_but_status(new: Object, old: Object) -> None:
    state = new.get("status")
    managed = new["metadata"].get("managedFields")
    new.clear()
    new.update(_decode(answer.encode(old)))
    new.pop("status", None)
    if state is not None:
        new["status"] = state
    if managed is not None:
        new["metadata"]["managedFields"] = managed


def _take(new: Object, old: Object, field: str) -> None:
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


def _check_finalizers(call: Call, meta: dict[str, Any], old: dict[str, Any]) -> None:
    if not old.get("deletionTimestamp"):
        return
    added = [one for one in meta.get("finalizers") or () if one not in (old.get("finalizers") or ())]
    if added:
        listed = ", ".join(f'"{one}"' for one in added)
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
            f"[]string{{{listed}}}"
        )
        kind = call.target.kind
        cause = Cause("FieldValueForbidden", message, "metadata.finalizers")
        raise status.invalid(kind.group, kind.kind, call.target.name, [cause])


_BESIDE_SPEC = ("metadata", "status", "apiVersion", "kind")


def _spec_changed(old: Object, new: Object) -> bool:
    return any(old.get(field) != new.get(field) for field in {*old, *new} if field not in _BESIDE_SPEC)


def _unchanged(old: Object, new: Object) -> bool:
    """The write would say nothing new; then it keeps its version."""
    if any(old.get(field) != new.get(field) for field in {*old, *new} if field != "metadata"):
        return False
    before, after = old["metadata"], new["metadata"]
    for field in {*before, *after} - {"resourceVersion", "managedFields"}:
        if before.get(field) != after.get(field):
            return False
    return _owners(before) == _owners(after)


def _owners(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """Who owns which fields; when they did so last says nothing by itself."""
    return [{**one, "time": None} for one in meta.get("managedFields") or ()]


def finished(new: Object) -> bool:
    """It was being deleted, and nothing holds it any more."""
    meta = new["metadata"]
    held = meta.get("finalizers") or (new["kind"] == "Namespace" and (new.get("spec") or {}).get("finalizers"))
    return bool(meta.get("deletionTimestamp")) and not held


async def _commit(call: Call, options: WriteOptions, old: Stored, new: Object) -> Stored | Object:
    writing.admit(call, old.object, new, dry_run=options.dry_run)
    if options.dry_run:
        new["metadata"]["resourceVersion"] = str(old.version)
        return new
    now_s = call.core.hooks.clock()
    if not finished(new):
        return await writing.store(call, new, old.version, options, now_s)
    version = await writing.erase(call, old, options.owner)
    new["metadata"]["resourceVersion"] = str(version)
    return new
