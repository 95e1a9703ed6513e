"""Earlier versions of an object: who made them, when and why, and the way back to one.

Owns the two subresources of our own. `GET .../history` is allowed to whoever may get the object, `POST .../rollback` to
whoever may update it (create it, when it was deleted); a rollback is a new write like any other, by the verb
`rollback`. Replaced versions of Secrets are known by their digest alone.
"""

from typing import Any

import msgspec

from heddle.controlplane.api import answer, checking, metadata, views, writing
from heddle.controlplane.api.changing import Change, rewrite
from heddle.controlplane.api.core import Call
from heddle.controlplane.api.options import WriteOptions, write_options
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import Revision
from heddle.wire.kube.status import ApiError, bad_request, not_found

HISTORY, ROLLBACK = "history", "rollback"
METHODS = {HISTORY: ("GET", "HEAD"), ROLLBACK: ("POST",)}
"""Subresource -> methods it has."""
MAX_VERSIONS = 1_000
_decode = msgspec.json.Decoder().decode


class _Wanted(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The body of a rollback."""

    to_version: int = 0
    """0 is the last one that said something else."""
    kind: str = ""
    api_version: str = ""


async def history(call: Call) -> answer.Answer:
    """The versions of an object, the newest first, of one that was deleted too."""
    _whole(call)
    call.authorize("get")
    kind = call.target.kind
    found = await _revisions(call)
    items: list[dict[str, Any]] = []
    for index, one in enumerate(found[:MAX_VERSIONS]):
        before = found[index + 1] if index + 1 < len(found) else None
        items.append(_shown(call, one) | {"statusOnly": before is not None and _alike(one, before)})
    made = {"kind": "ObjectHistory", "apiVersion": "heddle.dev/v1alpha1", "metadata": {"name": call.target.name}}
    return answer.of({**made, "of": {"kind": kind.kind, "apiVersion": kind.api_version}, "items": items})


async def rollback(call: Call) -> answer.Answer:
    """Write an earlier version again."""
    _whole(call)
    call.authorize("update")
    options = write_options(call.request, "UpdateOptions")
    await call.request.read()
    wanted = _wanted(call.request.body)
    found = await _revisions(call)
    if call.kind.resource in call.core.hooks.rollbacks:
        return await _by_maker(call, found, wanted, dry_run=options.dry_run)
    writing.refuse_generated(call)
    chosen = _chosen(call, found, wanted.to_version)
    if found[0].deleted:
        call.authorize("create")
        writing.open_namespace(call, call.target.name)
    call.request.trail.asked = call.asked._replace(verb=ROLLBACK)
    call.request.headers.setdefault(writing.WHY, f"rollback to version {chosen.version}")
    if found[0].deleted:
        return await _again(call, chosen, options)
    made, warnings = await rewrite(call, options, lambda old: _change(call, chosen, old))
    return writing.written(call, made, 200, warnings)


async def _by_maker(call: Call, found: list[Revision], wanted: _Wanted, *, dry_run: bool) -> answer.Answer:
    """Have whoever makes the object go back."""
    if dry_run:
        raise bad_request("what this would change is known only once it has been done; leave the dry run out")
    earlier = _value(_chosen(call, found, wanted.to_version)) if wanted.to_version else None
    return answer.of(await call.core.hooks.rollbacks[call.kind.resource](call.target.name, earlier))


async def _again(call: Call, chosen: Revision, options: WriteOptions) -> answer.Answer:
    """Make an object that was deleted again."""
    new = _value(chosen)
    meta = new["metadata"]
    for field in ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"):
        meta.pop(field, None)
    checking.tidy(call.core, call.kind, new)
    return writing.written(call, await writing.create_object(call, new, options), 201, [])


def _whole(call: Call) -> None:
    """These are about the object itself: so are the rights they need."""
    call.target = call.target._replace(subresource="")


async def _revisions(call: Call) -> list[Revision]:
    kind = call.target.kind
    await call.core.store.fresh()
    found = list(await call.core.store.revisions(call.key))
    if not found:
        raise not_found(kind.group, kind.plural, call.target.name)
    return found


def _wanted(body: bytes) -> _Wanted:
    try:
        return msgspec.json.decode(body or b"{}", type=_Wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise bad_request('the body of a rollback is {"toVersion": NUMBER}, or empty for the version before') from exc


def _chosen(call: Call, found: list[Revision], version: int) -> Revision:
    """The version to go back to. Raises ApiError 404 and 409."""
    name, newest = call.target.name, found[0]
    if version:
        chosen = next((one for one in found if one.version == version and not one.deleted), None)
        if chosen is None:
            kept = ", ".join(str(one.version) for one in found[:20] if not one.deleted)
            raise ApiError(404, "NotFound", f'"{name}" has no version {version}; there are {kept}')
    else:
        earlier = [one for one in found[1:] if not one.deleted]
        chosen = next((one for one in earlier if newest.deleted or not _alike(one, newest)), None)
        if chosen is None:
            raise ApiError(409, "Conflict", f'"{name}" has no earlier version to go back to')
    if chosen.body is None:
        why = "only the digest of a Secret's earlier versions is kept; apply the values that it shall have"
        raise ApiError(409, "Conflict", f'"{name}" cannot go back to version {chosen.version}: {why}')
    return chosen


def _change(call: Call, chosen: Revision, old: Stored) -> Change:
    """The earlier version as a change of the present one: what a server writes stays as it is."""
    new = _value(chosen)
    for field in (*metadata.SERVER_OWNED, "deletionTimestamp", "managedFields", "resourceVersion"):
        new["metadata"].pop(field, None)
    if old.object["metadata"].get("deletionTimestamp"):
        raise ApiError(409, "Conflict", f'"{call.target.name}" is being deleted; wait until it is gone')
    return Change(new, [], checking.undecodable(call.kind))


def _value(revision: Revision) -> Object:
    assert revision.body is not None
    value: Object = _decode(revision.body)
    return value


def _alike(one: Revision, other: Revision) -> bool:
    """Whether both say the same, but for what the server and status say."""
    if one.deleted or other.deleted:
        return False
    if one.body is None or other.body is None:
        return one.sha256 == other.sha256
    return _said(_value(one)) == _said(_value(other))


def _said(value: Object) -> Object:
    said = ("name", "labels", "annotations", "finalizers", "ownerReferences")
    meta = {field: part for field, part in value["metadata"].items() if field in said}
    return {**{field: part for field, part in value.items() if field != "status"}, "metadata": meta}


def _shown(call: Call, one: Revision) -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": one.version,
        "time": metadata.timestamp(one.time_s),
        "user": one.author.user,
        "agent": one.author.agent,
        "verb": one.author.verb,
        "why": one.author.why,
        "deleted": one.deleted,
        "sha256": one.sha256,
    }
    if one.body is not None:
        made["object"] = views.to_served(call.core, call.target.kind, _value(one))
    return made
