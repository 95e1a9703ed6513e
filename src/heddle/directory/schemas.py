"""What a change of a JSON Schema allows that it did not allow before.

Owns the comparison, keyword by keyword: whether more is accepted (`schema_widened`), less (`schema_narrowed`), or only
words differ. It compares forms, it proves nothing: where two forms cannot be compared, such as two patterns, the
new one counts as wider, since nobody can say that it is not.

*Source:* JSON Schema 2020-12, Core sections 8 and 10, Validation sections 6 and 9; draft-07 where they differ.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

Grade = Literal["schema_widened", "instructions", "added", "schema_narrowed", "wording"]
"""The worst first."""

MAX_DEPTH = 60
_UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"}
_LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"}
_LIMITS = {"pattern", "format", "multipleOf", "contentEncoding", "contentMediaType", "const", "dependentRequired"}
_BY_NAME = {"patternProperties", "$defs", "definitions", "dependentSchemas"}
_SCHEMAS = {"items", "additionalItems", "contains", "propertyNames", "unevaluatedItems", "contentSchema"}
_OPEN = {"additionalProperties", "unevaluatedProperties"}
_TEXTS = {"description", "title", "$comment", "examples", "example"}
_ALL_TYPES = frozenset(("null", "boolean", "object", "array", "number", "string", "integer"))


class Step(NamedTuple):
    """One difference."""

    grade: Grade
    path: str
    what: str
    old: Any = None
    new: Any = None


def compare_schemas(old: Any, new: Any, path: str, depth: int = 0) -> Iterator[Step]:
    """Every difference between two schemas at `path`."""
    if old == new and type(old) is type(new):
        return
    if depth > MAX_DEPTH or not isinstance(old, dict) or not isinstance(new, dict):
        yield _whole(old, new, path)
        return
    for key in sorted({*old, *new}):
        if key not in old or key not in new or not _same(old[key], new[key]):
            yield from _keyword(key, old, new, f"{path}.{key}", depth)


def _same(old: Any, new: Any) -> bool:
    """Equality in which `1` is not `true`."""
    return repr(old) == repr(new) if old == new else False


def _whole(old: Any, new: Any, path: str) -> Step:
    if new is False or (old in (True, None, {}) and isinstance(new, dict)):
        return Step("schema_narrowed", path, "allows less than before")
    return Step("schema_widened", path, "another schema stands here")


def _keyword(key: str, old: dict[str, Any], new: dict[str, Any], path: str, depth: int) -> Iterator[Step]:
    if key in _TEXTS:
        yield Step("wording", path, "other words", old.get(key), new.get(key))
    elif key == "properties":
        yield from _properties(old, new, path, depth)
    elif key in _BY_NAME:
        yield from _by_name(old.get(key, {}), new.get(key, {}), path, depth)
    elif key in _SCHEMAS or key in _OPEN:
        yield from _inner(old.get(key, True), new.get(key, True), path, depth)
    elif key in _SETS:
        yield from _SETS[key](old.get(key), new.get(key), path)
    elif key in _UPPER or key in _LOWER:
        yield _bound(old.get(key), new.get(key), path, upper=key in _UPPER)
    elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from _branches(key, old.get(key), new.get(key), path, depth)
    else:
        yield _other(key, old, new, path)


def _other(key: str, old: dict[str, Any], new: dict[str, Any], path: str) -> Step:
    if key in _LIMITS:
        return _limit(key in old, path)
    if key == "uniqueItems":
        return Step("schema_narrowed" if new.get(key) is True else "schema_widened", path, "repeated items")
    if key == "x-mcp-header" and key not in new:
        return Step("schema_narrowed", path, "is sent in no header any more")
    return Step("schema_widened", path, _UNKNOWN.get(key, "changed"), old.get(key), new.get(key))


_UNKNOWN = {
    "x-mcp-header": "the argument is copied into a header",
    "default": "another value is sent when nothing is said",
    "$ref": "refers to another schema",
    "not": "forbids something else",
}


def _properties(old: dict[str, Any], new: dict[str, Any], path: str, depth: int) -> Iterator[Step]:
    before, after = old.get("properties", {}), new.get("properties", {})
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield Step("schema_widened", path, "another schema stands here")
        return
    required = new.get("required")
    for name in sorted({*before, *after}):
        if name not in before:
            must = isinstance(required, list) and name in required
            yield Step(
                "schema_widened",
                f"{path}.{name}",
                f"a new {'required' if must else 'optional'} parameter",
                None,
                after[name],
            )
        elif name not in after:
            yield Step("schema_narrowed", f"{path}.{name}", "no longer a parameter")
        else:
            yield from compare_schemas(before[name], after[name], f"{path}.{name}", depth + 1)


def _by_name(old: Any, new: Any, path: str, depth: int) -> Iterator[Step]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield Step("schema_widened", path, "another schema stands here")
        return
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield Step("schema_widened", f"{path}.{name}", "a schema came or went", old.get(name), new.get(name))
        else:
            yield from compare_schemas(old[name], new[name], f"{path}.{name}", depth + 1)


def _inner(old: Any, new: Any, path: str, depth: int) -> Iterator[Step]:
    """A keyword whose absence is `true`: anything goes."""
    old, new = (True if side == {} else side for side in (old, new))
    if old is new or old == new:
        return
    if new is False or old is True:
        yield Step("schema_narrowed", path, "allows less than before")
    elif old is False or new is True:
        yield Step("schema_widened", path, "allows what it did not", None, new)
    else:
        yield from compare_schemas(old, new, path, depth + 1)


def _types(value: Any) -> frozenset[str]:
    names = _ALL_TYPES if value is None else frozenset(map(str, value if isinstance(value, list) else [value]))
    return names | {"integer"} if "number" in names else names


def _type(old: Any, new: Any, path: str) -> Iterator[Step]:
    before, after = _types(old), _types(new)
    if not after <= before:
        yield Step("schema_widened", path, "allows " + ", ".join(sorted(after - before)))
    else:
        yield Step("schema_narrowed", path, "allows fewer types")


def _enum(old: Any, new: Any, path: str) -> Iterator[Step]:
    if not isinstance(new, list) or (old is not None and not isinstance(old, list)):
        yield Step("schema_widened", path, "any value is allowed")
    elif old is None:
        yield Step("schema_narrowed", path, "only some values are allowed", None, new)
    else:
        known = {repr(value) for value in old}
        more = [value for value in new if repr(value) not in known]
        yield Step("schema_widened" if more else "schema_narrowed", path, "other values to choose from", old, new)


def _required(old: Any, new: Any, path: str) -> Iterator[Step]:
    before, after = ({str(name) for name in side} if isinstance(side, list) else set() for side in (old, new))
    if before - after:
        yield Step("schema_widened", path, "no longer required: " + ", ".join(sorted(before - after)))
    elif after - before:
        yield Step("schema_narrowed", path, "required now: " + ", ".join(sorted(after - before)))
    else:
        yield Step("wording", path, "another order of what is required")


_SETS: dict[str, Callable[[Any, Any, str], Iterator[Step]]] = {"type": _type, "enum": _enum, "required": _required}


def _bound(old: Any, new: Any, path: str, *, upper: bool) -> Step:
    if old is None and new is not None:
        return Step("schema_narrowed", path, "a new bound")
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (old, new))
    if numbers and (new < old) is upper and new != old:
        return Step("schema_narrowed", path, "a closer bound")
    return Step("schema_widened", path, "a bound is gone or further away")


def _limit(had: bool, path: str) -> Step:
    if had:
        return Step("schema_widened", path, "a limit is gone or another")
    return Step("schema_narrowed", path, "a new limit")


def _branches(key: str, old: Any, new: Any, path: str, depth: int) -> Iterator[Step]:
    before, after = (side if isinstance(side, list) else [] for side in (old, new))
    if len(before) == len(after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from compare_schemas(*pair, f"{path}[{place}]", depth + 1)
        if not before:
            yield Step("schema_widened", path, "changed", old, new)
        return
    more = len(after) > len(before)
    # A new branch of `allOf` is one more condition; so is the first list of alternatives where there was none.
    narrowed = more if key == "allOf" or not before else not more and bool(after)
    yield Step(
        "schema_narrowed" if narrowed else "schema_widened",
        path,
        "more branches" if more else "fewer branches",
        old,
        new,
    )
