"""Values walked along their structure: which fields they have, what differs, what two of them are together.

Owns the walks that server-side apply is made of. Where no schema says otherwise, maps are granular and lists are one
value. Values are never changed: what stays the same is shared with what was given.
*Source:* structured-merge-diff v6, typed (merge, compare, toFieldSet, remove); KEP-555.
"""

from typing import Any

from heddle.wire.kube.fieldsets import (
    ITSELF,
    Fields,
    difference,
    holds,
    intersection,
    joined,
    key_step,
    union,
    value_step,
)
from heddle.wire.kube.structure import ANY, Structure
from heddle.wire.kube.values import ABSENT, same

_LEAF: Fields = {}


class UnkeyedError(ValueError):
    """An item of a list of type set or map that cannot be told from the others; says why."""


def step_of(item: Any, structure: Structure) -> str:
    """The step from a list of type set or map to one of its items. UnkeyedError."""
    if structure.relation == "set":
        return _set_step(item)
    if item is None:
        raise UnkeyedError("associative list with keys may not have a null element")
    if type(item) is not dict:
        raise UnkeyedError("associative list with keys may not have non-map elements")
    found = {}
    for key in structure.keys:
        if key in item:
            found[key] = item[key]
        elif key in structure.key_defaults:
            found[key] = structure.key_defaults[key]
    if not found:
        keys = " ".join(f'"{key}"' for key in structure.keys)
        omits = f"omits all key fields [{keys}] (and doesn't have default values for any key fields)"
        raise UnkeyedError(f"associative list with keys has an element that {omits}")
    return key_step(found)


def _set_step(item: Any) -> str:
    if type(item) is dict:
        raise UnkeyedError("associative list without keys has an element that's a map type")
    if type(item) is list:
        raise UnkeyedError("not supported: associative list with lists as elements")
    if item is None:
        raise UnkeyedError("associative list without keys has an element that's an explicit null")
    return value_step(item)


def form_of(value: Any, structure: Structure) -> str:
    """`map`, `list` or `scalar`, from the schema or else from the value."""
    if not structure.deduced:
        return structure.form
    if type(value) is list:
        return "list"
    return "map" if type(value) is dict or value is None else "scalar"


def is_leaf(structure: Structure, form: str) -> bool:
    """Whether a value of this form is owned as one."""
    if form == "list":
        return structure.deduced or structure.items is None or structure.relation == "atomic"
    return form == "scalar" or structure.relation == "atomic"


# Which fields a value has


def fields_of(value: Any, structure: Structure) -> Fields:
    """The fields of an object: what its applier owns."""
    return _fields(value, structure) or {}


def _fields(value: Any, structure: Structure) -> Fields | None:
    """The set below a place; None when it is empty, and the empty mapping for the place itself."""
    form = form_of(value, structure)
    if is_leaf(structure, form):
        return _LEAF
    if form == "map":
        return _fields_of_map(value, structure) if type(value) is dict else None
    return _fields_of_list(value, structure) if type(value) is list else None


def _fields_of_map(value: dict[str, Any], structure: Structure) -> Fields | None:
    made: Fields = {}
    properties = structure.properties
    for name, item in value.items():
        named = properties.get(name)
        below = _fields(item, named or structure.additional or ANY)
        # A map of nothing but empty lists has no fields of its own. kube-apiserver leaves it to nobody then, and takes
        # it away at the next apply of the same; here it is owned, as an empty map is.
        if named is None or item is None or (type(item) is dict and below is None):
            below = _with_itself(below)
        if below is not None:
            made[f"f:{name}"] = below
    return made or None


def _fields_of_list(value: list[Any], structure: Structure) -> Fields | None:
    made: Fields = {}
    for item in value:
        step = step_of(item, structure)
        # An item that is there twice is owned as a whole: nothing tells its fields apart.
        below = _LEAF if step in made else _with_itself(_fields(item, structure.items or ANY))
        made[step] = below
    return made or None


def _with_itself(below: Fields | None) -> Fields:
    if not below:
        return _LEAF
    return {ITSELF: _LEAF, **below}


# What differs

Differences = tuple[Fields | None, Fields | None]
"""Fields that were added or changed, and fields that were removed."""

_NONE: Differences = (None, None)
_CHANGED: Differences = (_LEAF, None)
_REMOVED: Differences = (None, _LEAF)


def compare(old: Any, new: Any, structure: Structure) -> tuple[Fields, Fields]:
    """The fields that were added or changed from one object to another, and those that were removed."""
    changed, removed = _compare(old, new, structure)
    return changed or {}, removed or {}


def _compare(old: Any, new: Any, structure: Structure) -> Differences:
    if old is new:
        return _NONE
    if not structure.deduced:
        return _compare_as(structure.form, old, new, structure)
    before, after = form_of(old, structure), form_of(new, structure)
    if new is ABSENT:
        return _compare_as(before, old, new, structure)
    if old is ABSENT or before == after:
        return _compare_as(after, old, new, structure)
    one, other = _compare_as(before, old, new, structure), _compare_as(after, old, new, structure)
    return _either(one[0], other[0]), _either(one[1], other[1])


def _either(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return other if one is None else one
    return joined(one, other)


def _compare_as(form: str, old: Any, new: Any, structure: Structure) -> Differences:
    kind = dict if form == "map" else list
    before: Any = old if type(old) is kind else None
    after: Any = new if type(new) is kind else None
    if (not before and not after) or is_leaf(structure, form):
        return _compare_leaf(old, new)
    if form == "map":
        changed, removed = _compare_maps(before or {}, after or {}, structure)
    else:
        changed, removed = _compare_lists(before or [], after or [], structure)
    if old is ABSENT:
        return _with_itself(changed), None
    if new is ABSENT:
        return None, _with_itself(removed)
    return changed or None, removed or None


def _compare_leaf(old: Any, new: Any) -> Differences:
    if old is ABSENT:
        return _CHANGED
    if new is ABSENT:
        return _REMOVED
    return _NONE if same(old, new) else _CHANGED


def _compare_maps(old: dict[str, Any], new: dict[str, Any], structure: Structure) -> tuple[Fields, Fields]:
    changed: Fields = {}
    removed: Fields = {}
    for name, item in new.items():
        before = old.get(name, ABSENT)
        if before is not item:
            _note(f"f:{name}", _compare(before, item, structure.below(name) or ANY), changed, removed)
    for name, item in old.items():
        if name not in new:
            _note(f"f:{name}", _compare(item, ABSENT, structure.below(name) or ANY), changed, removed)
    return changed, removed


def _note(step: str, found: Differences, changed: Fields, removed: Fields) -> None:
    if found[0] is not None:
        changed[step] = found[0]
    if found[1] is not None:
        removed[step] = found[1]


def _compare_lists(old: list[Any], new: list[Any], structure: Structure) -> tuple[Fields, Fields]:
    changed: Fields = {}
    removed: Fields = {}
    before, after = _by_step(old, structure), _by_step(new, structure)
    items = structure.items or ANY
    for step in {**before, **after}:
        olds, news = before.get(step, []), after.get(step, [])
        if len(olds) <= 1 and len(news) <= 1:
            found = _compare(olds[0] if olds else ABSENT, news[0] if news else ABSENT, items)
        else:
            found = _compare_repeated(olds, news)
        _note(step, found, changed, removed)
    return changed, removed


def _compare_repeated(old: list[Any], new: list[Any]) -> Differences:
    if not new:
        return _REMOVED
    return _NONE if same(old, new) else _CHANGED


def _by_step(items: list[Any], structure: Structure) -> dict[str, list[Any]]:
    """Items by their step. Items without one do not count: only objects that no schema has judged have such."""
    found: dict[str, list[Any]] = {}
    for item in items:
        try:
            found.setdefault(step_of(item, structure), []).append(item)
        except UnkeyedError:
            continue
    return found


# Two values together


def merge(old: Any, config: Any, structure: Structure) -> Any:
    """`old` with everything that `config` says; what nothing changes is shared with `old`."""
    if config is ABSENT or old is config:
        return old
    if old is ABSENT:
        return config
    form = form_of(config, structure)
    kind = dict if form == "map" else list
    before: Any = old if type(old) is kind else None
    after: Any = config if type(config) is kind else None
    if (not before and not after) or is_leaf(structure, form):
        return old if same(old, config) else config
    if form == "map":
        return _merge_maps(before or {}, after or {}, structure)
    return _merge_lists(before or [], after or [], structure)


def _merge_maps(old: dict[str, Any], config: dict[str, Any], structure: Structure) -> dict[str, Any]:
    made = None
    for name, item in config.items():
        before = old.get(name, ABSENT)
        together = merge(before, item, structure.below(name) or ANY)
        if together is not before:
            made = dict(old) if made is None else made
            made[name] = together
    return old if made is None else made


def _merge_lists(old: list[Any], config: list[Any], structure: Structure) -> list[Any]:
    """Items of the configuration in its order, the others where they stood between them."""
    befores = [step_of(item, structure) for item in old]
    afters = [step_of(item, structure) for item in config]
    ours = dict(zip(afters, config, strict=True))
    theirs: dict[str, Any] = {}
    for step, item in zip(befores, old, strict=True):
        # Of an item that is there twice nothing can be kept.
        theirs[step] = None if step in theirs else item
    if befores == afters and len(theirs) == len(befores):
        made = [merge(one, other, structure.items or ANY) for one, other in zip(old, config, strict=True)]
    else:
        made = _interleaved(old, befores, afters, lambda step: _together(theirs, ours, step, structure))
    unchanged = len(made) == len(old) and all(one is other for one, other in zip(made, old, strict=True))
    return old if unchanged else made


def _together(theirs: dict[str, Any], ours: dict[str, Any], step: str, structure: Structure) -> Any:
    before = theirs.get(step, ABSENT)
    return merge(ABSENT if before is None else before, ours[step], structure.items or ANY)


def _interleaved(old: list[Any], befores: list[str], afters: list[str], together: Any) -> list[Any]:
    known, placed, made = set(afters), set[str](), []
    held = set(befores)
    shared = [step for step in afters if step in held]
    at = left = right = 0
    while left < len(befores) or right < len(afters):
        awaited = shared[at] if at < len(shared) else None
        step = befores[left] if left < len(befores) else None
        if step is not None and right < len(afters):
            if step == afters[right]:
                made.append(together(step))
                placed.add(step)
                left, right, at = left + 1, right + 1, at + 1
                continue
            if step in known and awaited is not None and awaited != step:
                left += 1
                continue
        if step is not None:
            if step not in known:
                made.append(old[left])
                left += 1
                continue
            if step in placed:
                left += 1
        if right < len(afters):
            made.append(together(afters[right]))
            placed.add(afters[right])
            at += awaited == afters[right]
            right += 1
    return made


# What is left without some fields


def without(value: Any, fields: Fields, structure: Structure) -> Any:
    """A value without these fields: a map that is emptied stays, a list that is emptied is ABSENT."""
    form = form_of(value, structure)
    if form == "scalar":
        return value
    if not value or is_leaf(structure, form):
        return ABSENT
    if form == "map":
        return _map_without(value, fields, structure)
    return _list_without(value, fields, structure) or ABSENT


def _map_without(value: Any, fields: Fields, structure: Structure) -> dict[str, Any]:
    made = {}
    for name, item in value.items():
        step = f"f:{name}"
        if not holds(fields, step):
            below = fields.get(step)
            left = without(item, below, structure.below(name) or ANY) if below else item
            if left is not ABSENT:
                made[name] = left
    return made


def _list_without(value: Any, fields: Fields, structure: Structure) -> list[Any]:
    made = []
    for item in value:
        step = step_of(item, structure)
        if not holds(fields, step):
            below = fields.get(step)
            made.append(without(item, below, structure.items or ANY) if below else item)
    return made


def with_named(fields: Fields, structure: Structure) -> Fields:
    """A set with every field in it that the schema names and below which the set has fields."""
    made: Fields = {}
    for step, below in fields.items():
        kind, _, rest = step.partition(":")
        inner = ANY
        named = False
        if kind == "f":
            named = rest in structure.properties
            inner = structure.below(rest) or ANY
        elif kind == "k":
            inner = structure.items or ANY
        deeper = with_named(below, inner) if below else below
        made[step] = {ITSELF: _LEAF, **deeper} if named and deeper else deeper
    return made


def pruned(merged: Any, last: Fields, managed: Fields, structure: Structure) -> Any:
    """A merged object without what its applier owned last time and nobody owns now."""
    if not difference(last, managed):
        return merged
    whole = with_named(fields_of(merged, structure), structure)
    mine, anybodys = with_named(last, structure), with_named(managed, structure)
    cut = without(merged, mine, structure)
    kept = with_named(fields_of(cut, structure), structure)
    cut = without(merged, difference(whole, union(kept, anybodys)), structure)
    left = with_named(fields_of(cut, structure), structure)
    # A field that holds nothing but empty lists has no fields of its own: it is still not to go while it is owned.
    gone = difference(intersection(difference(whole, left), mine), anybodys)
    return without(merged, gone, structure)
