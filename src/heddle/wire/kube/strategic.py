"""Strategic merge patches: merge patches that know which lists are sets, and which are maps by a key.

Owns the directives: `$patch` (replace, delete, merge), `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`.
Which lists are merged, and by what, stands in the schema; the others are replaced.
*Source:* apimachinery pkg/util/strategicpatch; Kubernetes "Update API Objects in Place Using kubectl patch".
"""

from collections.abc import Mapping
from typing import Any

from heddle.wire.kube.status import ApiError, bad_request
from heddle.wire.kube.structure import ANY, Structure
from heddle.wire.kube.values import ABSENT, MAX_DEPTH, copied, encoded

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"


def strategic_patch(live: Mapping[str, Any], patch: Any, structure: Structure) -> dict[str, Any]:
    """`live` with a strategic merge patch. ApiError 400 for a patch that is none."""
    if type(patch) is not dict:
        raise bad_request("a strategic merge patch is an object")
    target: dict[str, Any] = copied(dict(live))
    return _merge_map(target, patch, structure, 0)


def _merge_map(target: dict[str, Any], patch: dict[str, Any], structure: Structure, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise bad_request(f"the patch is nested more than {MAX_DEPTH} levels deep")
    directive = patch.get(DIRECTIVE, "merge")
    if directive == "replace":
        replaced: dict[str, Any] = _plain(patch)
        return replaced
    if directive == "delete":
        return {}
    if directive != "merge":
        raise bad_request(f"{DIRECTIVE} is replace, delete or merge")
    _retain(target, patch)
    for name, value in patch.items():
        if name.startswith(DELETE_FROM):
            _delete_from(target, name.removeprefix(DELETE_FROM), value)
        elif not name.startswith("$"):
            _merge_field(target, name, value, (structure, depth))
    for name, order in patch.items():
        if name.startswith(ORDER):
            field = name.removeprefix(ORDER)
            _reorder(target, field, order, structure.below(field) or ANY)
    return target


def _merge_field(target: dict[str, Any], name: str, value: Any, within: tuple[Structure, int]) -> None:
    structure, depth = within
    below = structure.below(name) or ANY
    held = target.get(name)
    if value is None:
        target.pop(name, None)
    elif type(value) is dict:
        if below.patch_strategy == "replace":
            target[name] = _plain(value)
            return
        merged = _merge_map(held if type(held) is dict else {}, value, below, depth + 1)
        if value.get(DIRECTIVE) == "delete":
            target.pop(name, None)
        else:
            target[name] = merged
    elif type(value) is list:
        target[name] = _merge_list(held if type(held) is list else [], value, below, depth + 1)
    else:
        target[name] = value


def _retain(target: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = patch.get(RETAIN)
    if kept is None:
        return
    if type(kept) is not list or not all(type(name) is str for name in kept):
        raise bad_request(f"{RETAIN} is a list of fields")
    for name in target.keys() - set(kept):
        del target[name]


def _delete_from(target: dict[str, Any], name: str, gone: Any) -> None:
    held = target.get(name)
    if type(gone) is not list:
        raise bad_request(f"{DELETE_FROM}{name} is a list")
    if type(held) is list:
        dropped = {_mark(item) for item in gone}
        target[name] = [item for item in held if _mark(item) not in dropped]


def _merge_key(structure: Structure) -> str:
    if structure.merge_key:
        return structure.merge_key
    return structure.keys[0] if structure.relation == "map" and len(structure.keys) == 1 else ""


def _merges(structure: Structure) -> bool:
    if structure.patch_strategy:
        return "merge" in structure.patch_strategy.split(",")
    return structure.relation in {"set", "map"}


def _merge_list(held: list[Any], patch: list[Any], structure: Structure, depth: int) -> list[Any]:
    items = [item for item in patch if not (type(item) is dict and item.get(DIRECTIVE) == "replace")]
    key = _merge_key(structure)
    if not _merges(structure) or structure.form != "list" or len(items) < len(patch):
        return [_plain(item) for item in items]
    if not key:
        known = {_mark(item) for item in held}
        return held + [item for item in {_mark(item): item for item in patch}.values() if _mark(item) not in known]
    made = list(held)
    places: dict[bytes, list[int]] = {}
    for at, one in enumerate(made):
        if type(one) is dict and key in one:
            places.setdefault(_mark(one[key]), []).append(at)
    for item in items:
        if type(item) is not dict or item.get(key) is None:
            raise _keyless(key)
        _merge_item(made, item, places.setdefault(_mark(item[key]), []), (structure.items or ANY, depth))
    return [item for item in made if item is not ABSENT]


def _merge_item(made: list[Any], item: dict[str, Any], places: list[int], within: tuple[Structure, int]) -> None:
    """Merge an item into those with its key, which stand at `places`; both are changed."""
    structure, depth = within
    if item.get(DIRECTIVE) == "delete":
        for at in places:
            made[at] = ABSENT
        places.clear()
    elif places:
        made[places[0]] = _merge_map(made[places[0]], item, structure, depth + 1)
    else:
        places.append(len(made))
        made.append(_merge_map({}, item, structure, depth + 1))


def _reorder(target: dict[str, Any], name: str, order: Any, structure: Structure) -> None:
    """The listed items in their order; the others keep their places among them."""
    held = target.get(name)
    if type(order) is not list:
        raise bad_request(f"{ORDER}{name} is a list")
    if type(held) is not list:
        return
    key = _merge_key(structure)
    places: dict[bytes, int] = {}
    for item in order:
        mark = _identity(item, key)
        if mark is None:
            raise _keyless(key)
        places.setdefault(mark, len(places))
    listed = [item for item in held if _identity(item, key) in places]
    listed.sort(key=lambda item: places[_identity(item, key) or b""])
    target[name] = _among(held, listed, places, key)


def _among(held: list[Any], listed: list[Any], places: dict[bytes, int], key: str) -> list[Any]:
    """Items that the order does not name stand after the one that they stood after."""
    after: dict[bytes | None, list[Any]] = {}
    last: bytes | None = None
    for item in held:
        mark = _identity(item, key)
        if mark in places:
            last = mark
        else:
            after.setdefault(last, []).append(item)
    made = after.pop(None, [])
    for item in listed:
        made.append(item)
        made += after.pop(_identity(item, key), [])
    return made


def _identity(item: Any, key: str) -> bytes | None:
    if not key:
        return _mark(item)
    return _mark(item[key]) if type(item) is dict and key in item else None


def _mark(value: Any) -> bytes:
    return encoded(value)


def _keyless(key: str) -> ApiError:
    return bad_request(f"map: does not contain declared merge key: {key}")


def _plain(value: Any, depth: int = 0) -> Any:
    """What a patch gives, without its directives."""
    if depth > MAX_DEPTH:
        raise bad_request(f"the patch is nested more than {MAX_DEPTH} levels deep")
    if type(value) is dict:
        fields = {name: item for name, item in value.items() if not name.startswith("$") and item is not None}
        return {name: _plain(item, depth + 1) for name, item in fields.items()}
    if type(value) is list:
        return [_plain(item, depth + 1) for item in value]
    return value
