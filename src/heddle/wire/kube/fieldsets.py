"""Sets of fields, in the form in which managedFields holds them: FieldsV1, used as it is.

A set is a mapping from a step (`f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0`) to the set below it; below the root, an
empty mapping is the field itself, and `.` beside other steps says that the field itself is in the set, too.
Owns the algebra of these sets, and reading those that clients wrote. No set is ever changed once made.
*Source:* meta/v1 FieldsV1; structured-merge-diff v6, fieldpath.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.wire.kube.values import MAX_DEPTH, encoded

Fields = dict[str, Any]
"""A set of fields."""

ITSELF = "."

_LEAF: Fields = {}
_MEMBER: Fields = {ITSELF: _LEAF}


def union(one: Fields, other: Fields) -> Fields:
    """Fields of either."""
    if one is other or not other:
        return one
    if not one:
        return other
    made = dict(one)
    for step, below in other.items():
        made[step] = joined(made[step], below) if step in made else below
    return made


def joined(one: Fields, other: Fields) -> Fields:
    """`union` of what stands below a step."""
    if one is other or (not one and not other):
        return one
    return _folded(union(one or _MEMBER, other or _MEMBER))


def difference(one: Fields, other: Fields) -> Fields:
    """Fields of the first that are not in the second."""
    if not one or not other:
        return one
    made: Fields = {}
    for step, below in one.items():
        if step not in other:
            made[step] = below
        elif step != ITSELF:
            left = difference(below or _MEMBER, other[step] or _MEMBER)
            if left:
                made[step] = _folded(left)
    return made


def intersection(one: Fields, other: Fields) -> Fields:
    """Fields of both."""
    made: Fields = {}
    for step, below in one.items():
        if step not in other:
            continue
        if step == ITSELF:
            made[step] = _LEAF
            continue
        shared = intersection(below or _MEMBER, other[step] or _MEMBER)
        if shared:
            made[step] = _folded(shared)
    return made


def holds(fields: Fields, step: str) -> bool:
    """Whether the field at a step is itself in the set."""
    below = fields.get(step)
    return below is not None and (not below or ITSELF in below)


def _folded(below: Fields) -> Fields:
    return _LEAF if len(below) == 1 and ITSELF in below else below


def paths(fields: Fields, above: str = "") -> Iterator[str]:
    """Every field as messages show it (`.spec.tools[name="x"].kind`), those of a level before those below it."""
    steps = [step for step in sorted(fields, key=_order) if step != ITSELF]
    for step in steps:
        if holds(fields, step):
            yield above + shown_step(step)
    for step in steps:
        if fields[step]:
            yield from paths(fields[step], above + shown_step(step))


def _order(step: str) -> tuple[int, str]:
    return "fkvi".find(step[:1]), step


def shown_step(step: str) -> str:
    """A step as messages show it."""
    kind, _, rest = step.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = msgspec.json.decode(rest)
        return "[" + ",".join(f"{name}={_text(value)}" for name, value in sorted(keys.items())) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"


def _text(value: Any) -> str:
    return encoded(value).decode()


def key_step(keys: dict[str, Any]) -> str:
    """The step to an item of a list map."""
    return "k:" + encoded(keys).decode()


def value_step(value: Any) -> str:
    """The step to an item of a set."""
    if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'v:"{value}"'
    return "v:" + encoded(value).decode()


def parse(written: Any, depth: int = 0) -> Fields:
    """The set that a client wrote, its steps spelt as we spell them. ValueError for what is none."""
    if type(written) is not dict:
        raise ValueError("fieldsV1 is a map of maps")
    if depth > MAX_DEPTH:
        raise ValueError(f"fieldsV1 is nested more than {MAX_DEPTH} levels deep")
    made: Fields = {}
    for step, below in written.items():
        if step == ITSELF:
            if depth:
                made[ITSELF] = _LEAF
            continue
        spelt = _spelt(step)
        parsed = _folded(parse(below, depth + 1))
        made[spelt] = joined(made[spelt], parsed) if spelt in made else parsed
    return made


def _spelt(step: str) -> str:
    kind, colon, rest = step.partition(":")
    if not colon or kind not in {"f", "k", "v", "i"}:
        raise ValueError(f"fieldsV1 has a step {step[:64]!r}; steps begin with f:, k:, v: or i:")
    if kind == "f":
        return step
    try:
        value = msgspec.json.decode(rest)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValueError(f"fieldsV1 has a step {step[:64]!r} that is not JSON after its colon") from exc
    if kind == "k":
        if type(value) is not dict or not value:
            raise ValueError(f"fieldsV1 has a step {step[:64]!r}; after k: stands an object with the keys")
        return key_step(value)
    if kind == "i" and type(value) is not int:
        raise ValueError(f"fieldsV1 has a step {step[:64]!r}; after i: stands a number")
    return value_step(value) if kind == "v" else f"i:{value}"
