"""Server-side apply, and who owns which fields after any other write.

Owns the rules: an applier owns what it applies; to change what somebody else owns is a conflict unless it is forced;
what an applier no longer applies goes when nobody else owns it; any other writer owns what it changed. Objects that are
given are never changed; what comes back shares nothing with them but is `live` itself where nothing changes.
*Source:* KEP-555; structured-merge-diff v6, merge; apimachinery pkg/util/managedfields; recorded answers of
kube-apiserver 1.36 (`tests/golden/kubernetes-api`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from heddle.wire.kube.defaults import default, drop_empty_metadata
from heddle.wire.kube.fieldsets import Fields, difference, intersection, paths, union
from heddle.wire.kube.last_applied import KUBECTL, keep_applied, kept_as_applied
from heddle.wire.kube.owners import (
    APPLY,
    MAX_MANAGER,
    UPDATE,
    Owned,
    Owner,
    Owners,
    capped,
    owner_of,
    read,
    same_fields,
    spelt,
    without_nameless,
    written,
)
from heddle.wire.kube.status import ApiError, Cause, apply_conflict, bad_request
from heddle.wire.kube.structure import Structure
from heddle.wire.kube.typed import compare, fields_of, merge, pruned
from heddle.wire.kube.typing_errors import check_typed
from heddle.wire.kube.values import copied, refuse_deep, same

BEFORE = "before-first-apply"
"""Owner of all fields of an object that had no owners when it was first applied to."""
MAX_CONFLICTS = 256
"""Fields in conflict that are told one by one."""


class Edit(NamedTuple):
    """Who writes, and how."""

    manager: str
    """Field manager."""
    operation: str
    """`Apply` or `Update`."""
    api_version: str
    """Of the endpoint that is written to."""
    subresource: str
    """Empty for the object itself."""
    time: str
    """RFC 3339, UTC, whole seconds."""


def apply(
    live: dict[str, Any] | None, config: dict[str, Any], edit: Edit, structure: Structure, *, force: bool
) -> dict[str, Any]:
    """The object after `config` is applied to it, with defaults and managedFields; `live` itself when nothing changes.

    ApiError 400 for a configuration that is not one, 409 for a conflict.
    """
    config = _configuration(config, edit, structure)
    owners, base = _before(live, config, edit, structure)
    known = dict(owners)
    key = owner_of(edit.manager[:MAX_MANAGER], APPLY, edit.api_version, edit.subresource)
    last = owners.get(key)
    mine = fields_of(config, structure)
    owners[key] = Owned(without_nameless(mine), edit.api_version, edit.time)
    merged = merge(base, config, structure)
    if last is not None and last.fields:
        managed = mine
        for owned in owners.values():
            managed = union(managed, owned.fields)
        merged = pruned(merged, last.fields, managed, structure)
    changed, removed = compare(base, merged, structure)
    excused = kept_as_applied(base, structure) if edit.manager == KUBECTL and live is not None and not force else {}
    _settle(owners, key, (changed, removed), excused, force=force)
    result: dict[str, Any] = copied(merged)
    default(result, structure)
    drop_empty_metadata(result)
    if edit.manager == KUBECTL:
        keep_applied(result, config)
    if live is not None and same_fields(owners, known) and same(result, base):
        return live
    _set_owners(result, owners)
    return result


def track(
    old: Mapping[str, Any] | None, new: Mapping[str, Any], edit: Edit, structure: Structure
) -> list[dict[str, Any]]:
    """managedFields after a write that is no apply: who writes owns what it changed. `new` is as it will be stored.

    An empty list is no managedFields. A `new` whose managedFields are `[]` or `[{}]` forgets all owners.
    """
    refuse_deep(new)
    owners = _given(old, new, edit)
    if not owners and old is not None:
        return []
    before = _bare(old) if old is not None else {}
    key = owner_of(edit.manager[:MAX_MANAGER], UPDATE, edit.api_version, edit.subresource)
    return written(_updated(owners, before, _bare(new), Owned({}, edit.api_version, edit.time), key, structure))


def _updated(
    owners: Owners, old: dict[str, Any], new: dict[str, Any], mine: Owned, key: Owner, structure: Structure
) -> Owners:
    changed, removed = compare(old, new, structure)
    changed, removed = _within(changed, key.subresource, structure), _within(removed, key.subresource, structure)
    if not changed and not removed:
        return owners
    made = dict(owners)
    _settle(made, None, (changed, removed), {}, force=True)
    taken = without_nameless(changed)
    if taken:
        left = made[key].fields if key in made else {}
        made[key] = mine._replace(fields=union(taken, left))
    return capped(made)


def _within(fields: Fields, subresource: str, structure: Structure) -> Fields:
    """What an endpoint writes of these: its own part of the object."""
    if subresource == "status":
        return {"f:status": fields["f:status"]} if "f:status" in fields else {}
    if structure.has_status and "f:status" in fields:
        return {step: below for step, below in fields.items() if step != "f:status"}
    return fields


def _configuration(config: dict[str, Any], edit: Edit, structure: Structure) -> dict[str, Any]:
    """The part of what was sent that this endpoint applies."""
    if type(config) is not dict:
        raise bad_request("a configuration that is applied is an object")
    metadata, version = config.get("metadata"), config.get("apiVersion")
    if not config.get("kind"):
        group, _, plain = str(version or "").rpartition("/")
        raise bad_request(f"invalid object type: {group}/{plain}, Kind=")
    if type(metadata) is dict and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if version != edit.api_version:
        specified = f"Specified patch version: {version}, expected: {edit.api_version}"
        raise bad_request(f"Incorrect version specified in apply patch. {specified}")
    config = copied(config)
    if edit.subresource == "status":
        config = {name: config[name] for name in ("apiVersion", "kind", "metadata", "status") if name in config}
        if type(metadata) is dict:
            config["metadata"] = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    elif structure.has_status:
        config.pop("status", None)
    check_typed(config, structure)
    return config


def _before(
    live: dict[str, Any] | None, config: dict[str, Any], edit: Edit, structure: Structure
) -> tuple[Owners, dict[str, Any]]:
    """The owners an object has before it is applied to, and the object without them."""
    if live is None:
        return {}, {name: config[name] for name in ("apiVersion", "kind") if name in config}
    base = _bare(live)
    try:
        owners = read(live["metadata"].get("managedFields") or [])
    except ValueError:
        owners = {}
    if not owners:
        key = owner_of(BEFORE, UPDATE, edit.api_version, "")
        mine = Owned({}, edit.api_version, edit.time)
        owners = _everything(base, mine, key, structure)
    return owners, base


def _everything(base: dict[str, Any], mine: Owned, key: Owner, structure: Structure) -> Owners:
    changed, _ = compare({}, base, structure)
    fields = without_nameless(changed)
    return {key: mine._replace(fields=fields)} if fields else {}


def _bare(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object without managedFields."""
    metadata = value.get("metadata")
    if type(metadata) is not dict or "managedFields" not in metadata:
        return dict(value)
    return {**value, "metadata": {name: item for name, item in metadata.items() if name != "managedFields"}}


def _given(old: Mapping[str, Any] | None, new: Mapping[str, Any], edit: Edit) -> Owners:
    """The owners before a write: those that it states itself, or else those of the object."""
    entries = _entries(new)
    if not edit.subresource and entries is not None and entries != _entries(old):
        if not entries or entries == [{}]:
            return {}
        try:
            stated = spelt(read(entries))
        except ValueError:
            stated = {}
        if stated:
            return stated
    try:
        return read(_entries(old) or [])
    except ValueError:
        return {}


def _entries(value: Mapping[str, Any] | None) -> Any:
    metadata = None if value is None else value.get("metadata")
    return metadata.get("managedFields") if type(metadata) is dict else None


def _settle(
    owners: Owners, writer: Owner | None, differences: tuple[Fields, Fields], excused: Fields, *, force: bool
) -> None:
    """Take from all others, in place, what the writer changed or removed. ApiError 409 where nothing excuses it."""
    changed, removed = differences
    conflicts: dict[Owner, Fields] = {}
    for owner, owned in owners.items():
        if owner != writer and changed:
            contested = intersection(owned.fields, changed)
            if contested:
                conflicts[owner] = contested
    if not force:
        refused = {owner: difference(contested, excused) for owner, contested in conflicts.items()}
        refused = {owner: contested for owner, contested in refused.items() if contested}
        if refused:
            raise _conflict(refused)
    for owner, owned in list(owners.items()):
        left = owned.fields
        if owner != writer:
            left = difference(difference(left, conflicts.get(owner, {})), removed)
            owners[owner] = owned._replace(fields=left)
        if not left:
            del owners[owner]


def _conflict(conflicts: dict[Owner, Fields]) -> ApiError:
    causes: list[Cause] = []
    told: list[str] = []
    count = 0
    for owner, fields in sorted(conflicts.items()):
        whom = f"conflict with {_shown(owner)}"
        places = list(paths(fields))
        shown = places[: max(0, MAX_CONFLICTS - count)]
        count += len(places)
        causes += [Cause("FieldManagerConflict", whom, place) for place in shown]
        more = [f"- and {len(places) - len(shown)} more"] if len(shown) < len(places) else []
        told.append("\n".join([f"conflicts with {_shown(owner)}:", *(f"- {place}" for place in shown), *more]))
    if count == 1:
        return apply_conflict(causes, f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}")
    return apply_conflict(causes, f"Apply failed with {count} conflicts: " + "\n".join(told))


def _shown(owner: Owner) -> str:
    subresource = f' with subresource "{owner.subresource}"' if owner.subresource else ""
    version = f" using {owner.api_version}" if owner.operation == UPDATE else ""
    return f'"{owner.manager}"{subresource}{version}'


def _set_owners(result: dict[str, Any], owners: Owners) -> None:
    entries = written(owners)
    metadata = result.setdefault("metadata", {})
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)
