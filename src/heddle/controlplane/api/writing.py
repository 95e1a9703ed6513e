"""Creates: how a body becomes a stored object.

Owns the order in which a write is prepared, admitted, stored and answered, for creates and for changes alike.
"""

from typing import Any
from urllib.parse import unquote

from heddle.controlplane.api import answer, bodies, builtin, checking, forms, metadata, naming, views
from heddle.controlplane.api.core import Call
from heddle.controlplane.api.options import WriteOptions, write_options
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import Author, ConflictError, Write
from heddle.model.kinds import Kind
from heddle.wire.kube import status
from heddle.wire.kube.apply import Edit, track
from heddle.wire.kube.status import ApiError, Cause, bad_request

NAME_ATTEMPTS = 8
"""How many generated names may be taken already."""
CHANGE_CAUSE = "kubernetes.io/change-cause"
"""Annotation in which people write why; what it says at a write is kept with the version."""
WHY = "x-heddle-why"
"""Header, percent-encoded, in which programs say it for one write; before the annotation, which stays."""
MAX_WHY_CHARS = 1024

encode = answer.encode


async def create(call: Call) -> answer.Answer:
    """POST to a collection."""
    call.authorize("create", "")
    options = write_options(call.request, "CreateOptions")
    await call.request.read()
    refuse_generated(call)
    new, repeated = read_object(call)
    unknown = checking.tidy(call.core, call.kind, new)
    warnings = checking.strictness(options.validation, unknown, repeated, checking.undecodable(call.kind))
    name_new(call, new["metadata"])
    call.request.trail.asked = call.asked._replace(name=new["metadata"]["name"])
    await call.core.store.fresh()
    open_namespace(call, new["metadata"]["name"])
    made = await create_object(call, new, options)
    return written(call, made, 201, warnings)


def read_object(call: Call) -> tuple[Object, list[str]]:
    """The object in the body, in the form that is kept, and what it says twice. Raises ApiError 400, 415 and 422."""
    target, request = call.target, call.request
    kind = target.kind
    body = bodies.read_body(request, kind.kind, kind.builtin)
    if kind.builtin and isinstance(body.value, dict):
        body.value.setdefault("kind", kind.kind)
        body.value.setdefault("apiVersion", kind.api_version)
    new = bodies.as_object(body, request.body, kind.kind)
    check_kind(kind, new)
    return views.to_stored(call.core, target.kind, new), body.repeated


def check_kind(kind: Kind, new: Object) -> None:
    """That a body is of the kind of its path. Raises ApiError 400 and 422."""
    if new["kind"] == kind.kind and new["apiVersion"] == kind.api_version:
        return
    given = new.get("metadata")
    name = given.get("name", "") if isinstance(given, dict) else ""
    if new["apiVersion"] != kind.api_version:
        raise bad_request(
            f"the API version in the data ({new['apiVersion']}) does not match the expected API version "
            f"({kind.api_version})"
        )
    cause = Cause("FieldValueInvalid", f'Invalid value: "{new["kind"]}": must be {kind.kind}', "kind")
    raise status.invalid(kind.group, new["kind"], str(name), [cause])


def name_new(call: Call, meta: dict[str, Any]) -> None:
    """Settle the name and namespace of a new object. Raises ApiError 400 and 422."""
    kind = call.kind
    check_place(call, meta)
    if call.target.name and meta.setdefault("name", call.target.name) != call.target.name:
        raise mismatched(call, meta["name"])
    if not meta.get("name"):
        if not meta.get("generateName"):
            cause = Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            raise status.invalid(kind.group, kind.kind, "", [cause])
        meta["name"] = naming.generated(meta["generateName"])
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")


def check_place(call: Call, meta: dict[str, Any]) -> None:
    """That a body stands where its path says. Raises ApiError 400."""
    if not call.kind.namespaced:
        meta.pop("namespace", None)
        return
    namespace = call.target.namespace
    if meta.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def mismatched(call: Call, name: str) -> ApiError:
    """400 for a body with another name than the URL."""
    return bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")


def open_namespace(call: Call, name: str) -> None:
    """That the namespace takes new objects. Raises ApiError 403 and 404."""
    namespace = call.target.namespace
    if namespace is None:
        return
    found = call.core.namespace(namespace)
    if found is None:
        raise status.not_found("", "namespaces", namespace)
    if found["metadata"].get("deletionTimestamp"):
        raise builtin.terminating(namespace, call.kind, name)


def refuse_generated(call: Call) -> None:
    """Kinds that the control plane makes are nobody else's to write. Raises ApiError 405."""
    if call.target.kind.generated:
        what = call.target.kind.resource
        why = f"{what} are made by the control plane and can only be read"
        raise ApiError(405, "MethodNotAllowed", why, {"kind": call.target.kind.plural})


async def create_object(call: Call, new: Object, options: WriteOptions, *, tracked: bool = False) -> Stored | Object:
    """Store a new, tidy object; with a dry run, the object that would have been. Raises ApiError.

    `tracked` says that `managedFields` are there already.
    """
    kind, now_s = call.kind, call.core.hooks.clock()
    finish_new(call, new, now_s)
    checking.check(call.core, kind, new, None)
    builtin.check(kind, new, None)
    meta = new["metadata"]
    if not tracked:
        edit = Edit(options.owner, "Update", kind.api_version, call.target.subresource, metadata.timestamp(now_s))
        meta["managedFields"] = track(None, new, edit, call.core.structure(kind))
    admit(call, None, new, dry_run=options.dry_run)
    if options.dry_run:
        if call.core.store.get(call.key_of(meta["name"])) is not None:
            raise taken(call, meta["name"])
        return new
    for attempt in range(NAME_ATTEMPTS):
        try:
            return await store(call, new, 0, options, now_s)
        except ConflictError as exc:
            if "generateName" not in meta or attempt == NAME_ATTEMPTS - 1:
                raise taken(call, meta["name"]) from exc
            meta["name"] = naming.generated(meta["generateName"])
    raise AssertionError


def finish_new(call: Call, new: Object, now_s: float) -> None:
    """Write in what only the server knows, in place."""
    kind, meta = call.kind, new["metadata"]
    metadata.drop_empty(meta)
    for field in (*metadata.SERVER_OWNED, "resourceVersion", "selfLink"):
        meta.pop(field, None)
    meta["uid"] = metadata.new_uid()
    meta["creationTimestamp"] = metadata.timestamp(now_s)
    if not kind.builtin:
        meta["generation"] = 1
    if kind.has_status and not kind.builtin:
        new.pop("status", None)
    builtin.complete(kind, new, None)


def taken(call: Call, name: str) -> ApiError:
    """409 for a name that is in use."""
    kind = call.target.kind
    error = status.already_exists(kind.group, kind.plural, name)
    found = call.core.store.get(call.key_of(name))
    if found is not None and found.object["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error


def admit(call: Call, old: Object | None, new: Object | None, *, dry_run: bool) -> None:
    """All that may still refuse a write: its owner, rights that it needs, escalation. Raises ApiError 403 and 409."""
    hooks, trail = call.core.hooks, call.request.trail
    trail.old, trail.new, trail.dry_run = old, new, dry_run
    if call.target.subresource != "status":
        hooks.check_owner(call.caller, old, new)
        if new is not None:
            for resource, why, path in hooks.rights_needed(new, old):
                call.need(resource, f"{path}: {why}")
    call.core.access.admit(call.caller, call.asked, old, new)


async def store(call: Call, new: Object, expected: int, options: WriteOptions, now_s: float) -> Stored:
    """Write a version. Raises ConflictError, UnavailableError."""
    meta = new["metadata"]
    author = Author(call.caller.name, options.owner, call.asked.verb, why(call, meta))
    key = call.key_of(meta["name"])
    made = await call.core.store.write([Write(key, encode(new), expected, author, now_s)])
    stored: Stored = made[0]
    return stored


def why(call: Call, meta: dict[str, Any] | None = None) -> str:
    """What the writer says about the version."""
    said = unquote(call.request.headers.get(WHY, "")) or (((meta or {}).get("annotations")) or {}).get(CHANGE_CAUSE, "")
    return "".join(char for char in str(said) if char.isprintable())[:MAX_WHY_CHARS]


def written(call: Call, made: Stored | Object, code: int, warnings: list[str]) -> answer.Answer:
    """The answer to a write, in the form that was asked for."""
    form = forms.of_request(call.request)
    if isinstance(made, dict):
        return answer.Answer(code, forms.one(call, form, made), warnings=warnings)
    body = made.encoded if forms.as_kept(call, form) else forms.one(call, form, made.object)
    return answer.Answer(code, body, warnings=warnings, version=made.version)


async def erase(call: Call, old: Stored, owner: str) -> int:
    """Delete a version for good; the version of the deletion. Raises ConflictError, UnavailableError."""
    author = Author(call.caller.name, owner, call.asked.verb, why(call))
    change = Write(old.key, None, old.version, author, call.core.hooks.clock())
    made = await call.core.store.write([change])
    return int(made[0].version)
