"""metadata.managedFields: who owns which fields of an object, read and written.

Owns its order, its bound on owners by update, and which fields nobody owns. What clients wrote there is read strictly
and spelt as we spell it.
*Source:* meta/v1 ManagedFieldsEntry; KEP-555; apimachinery pkg/util/managedfields.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from heddle.wire.kube.fieldsets import Fields, difference, parse, union

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS = 10
"""Owners by update that are kept apart; the oldest beyond are one."""
MAX_ENTRIES = 1000
"""Entries that are read."""
ANCIENT = "ancient-changes"
MAX_MANAGER = 128
"""Characters of the name of an owner."""

NOT_OWNED: Fields = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        "f:name": {},
        "f:namespace": {},
        "f:creationTimestamp": {},
        "f:selfLink": {},
        "f:uid": {},
        "f:clusterName": {},
        "f:generation": {},
        "f:managedFields": {},
        "f:resourceVersion": {},
    },
}
"""Fields that nobody owns: those that name an object, and those that the API writes."""


class Owner(NamedTuple):
    """Who owns fields. Appliers are the same whichever version they applied."""

    manager: str
    operation: str
    api_version: str
    subresource: str


class Owned(NamedTuple):
    """What an owner owns."""

    fields: Fields
    api_version: str
    time: str | None


Owners = dict[Owner, Owned]


def owner_of(manager: str, operation: str, api_version: str, subresource: str) -> Owner:
    """The identity of an owner."""
    return Owner(manager, operation, "" if operation == APPLY else api_version, subresource)


def read(entries: Any) -> Owners:
    """The owners that managedFields names. ValueError when it is not well formed."""
    found: Owners = {}
    if type(entries) is not list or len(entries) > MAX_ENTRIES:
        raise ValueError(f"managedFields is a list of at most {MAX_ENTRIES} entries")
    for entry in entries:
        if type(entry) is not dict:
            raise ValueError("an entry of managedFields is an object")
        texts = {name: entry.get(name) or "" for name in ("manager", "operation", "apiVersion", "subresource", "time")}
        if not all(type(text) is str for text in texts.values()):
            raise ValueError("manager, operation, apiVersion, subresource and time of managedFields are texts")
        if texts["operation"] not in {APPLY, UPDATE}:
            raise ValueError(f"operation of managedFields is {APPLY} or {UPDATE}")
        if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            raise ValueError("fieldsType of managedFields is FieldsV1")
        owner = owner_of(texts["manager"], texts["operation"], texts["apiVersion"], texts["subresource"])
        fields = entry.get("fieldsV1") or {}
        found[owner] = Owned(fields, texts["apiVersion"], texts["time"] or None)
    return found


def spelt(owners: Owners) -> Owners:
    """Owners whose fields a client wrote, spelt as we spell them. ValueError."""
    return {owner: owned._replace(fields=parse(owned.fields)) for owner, owned in owners.items()}


def written(owners: Owners) -> list[dict[str, Any]]:
    """managedFields: appliers first, then by time and name."""
    made = []
    for owner, owned in sorted(owners.items(), key=_order):
        entry: dict[str, Any] = {"manager": owner.manager, "operation": owner.operation}
        entry["apiVersion"] = owned.api_version
        if owned.time is not None:
            entry["time"] = owned.time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = owned.fields
        if owner.subresource:
            entry["subresource"] = owner.subresource
        made.append(entry)
    return made


def _order(item: tuple[Owner, Owned]) -> tuple[str, ...]:
    owner, owned = item
    return owner.operation, owned.time or "", owner.manager, owned.api_version, owner.subresource


def capped(owners: Owners) -> Owners:
    """The same with the oldest updaters as one, for each version, where there are more than `MAX_UPDATERS`."""
    updaters = [item for item in owners.items() if item[0].operation == UPDATE]
    if len(updaters) <= MAX_UPDATERS:
        return owners
    made = dict(owners)
    count = len(updaters)
    firsts: dict[str, Owner] = {}
    for owner, owned in sorted(updaters, key=_order):
        if count <= MAX_UPDATERS:
            break
        first = firsts.setdefault(owned.api_version, owner)
        if first is owner:
            continue
        bucket = owner_of(ANCIENT, UPDATE, owned.api_version, "")
        older = made.pop(bucket, None) or made.pop(first)
        made.pop(owner, None)
        made[bucket] = Owned(union(owned.fields, older.fields), owned.api_version, owned.time)
        count -= 1
    return made


def without_nameless(fields: Fields) -> Fields:
    """Fields without those that nobody owns."""
    return difference(fields, NOT_OWNED)


def same_fields(one: Mapping[Owner, Owned], other: Mapping[Owner, Owned]) -> bool:
    """Whether the same owners own the same fields, whenever they came to own them."""
    if one.keys() != other.keys():
        return False
    return all(
        owned.fields == other[owner].fields and owned.api_version == other[owner].api_version
        for owner, owned in one.items()
    )
