"""A schema as checks: compiled once, then run over values, each saying what is wrong and where.

Owns which keywords are understood, and what is said about maps, lists and combinations, in the words of
kube-apiserver. A schema that cannot be run is refused when it is compiled.
*Source:* apiextensions.k8s.io/v1 JSONSchemaProps; OpenAPI 3.0 "Schema Object"; messages of kube-openapi, go-openapi.
"""

from collections.abc import Callable, Mapping
from typing import Any

from heddle.wire.kube.checks_scalar import (
    bound_check,
    enum_check,
    format_check,
    min_length_check,
    multiple_check,
    pattern_check,
    too_long,
    whole_in,
)
from heddle.wire.kube.formats import SchemaError
from heddle.wire.kube.report import Check, Path, Report, dotted, shown, type_of
from heddle.wire.kube.values import encoded

__all__ = ["SchemaError", "compile_check"]

MAX_DEPTH = 128
"""Levels of a schema."""


def compile_check(schema: Mapping[str, Any], depth: int = 0) -> Check | None:
    """The check of a schema; None when it allows everything. SchemaError for one that cannot be run."""
    if depth > MAX_DEPTH:
        raise SchemaError(f"the schema is nested more than {MAX_DEPTH} levels deep")
    rules: list[Check] = []
    for keyword, make in _KEYWORDS.items():
        if keyword in schema:
            made = make(schema, depth)
            if made is not None:
                rules.append(made)
    typed = _type_check(schema)
    nullable = bool(schema.get("nullable"))
    if typed is None and not rules:
        return None
    return _all_of_it(typed, tuple(rules), nullable)


def _all_of_it(typed: Callable[[Any], str] | None, rules: tuple[Check, ...], nullable: bool) -> Check:
    def check(value: Any, path: Path | None, report: Report) -> None:
        if value is None and nullable:
            return
        if typed is not None:
            expected = typed(value)
            if expected:
                _wrong_type(value, path, report, expected)
                return
        for rule in rules:
            rule(value, path, report)

    return check


def _wrong_type(value: Any, path: Path | None, report: Report, expected: str) -> None:
    found = type_of(value)
    where = dotted(path)
    message = f'Invalid value: "{found}": {where} in body must be of type {expected}: "{found}"'
    report.add("FieldValueTypeInvalid", message, path)


def _type_check(schema: Mapping[str, Any]) -> Callable[[Any], str] | None:
    """Gives the type that a value should have had, or '' when it has it."""
    if schema.get("x-kubernetes-int-or-string"):
        return lambda value: "" if type(value) in {int, str} else "integer,string"
    expected = schema.get("type", "")
    if not expected:
        return None
    if expected == "integer":
        return lambda value: "" if type(value) is int or (type(value) is float and value.is_integer()) else "integer"
    if expected == "number":
        return lambda value: "" if type(value) in {int, float} else "number"
    types: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool}
    if expected not in types:
        raise SchemaError(f"type is {expected!r}; it may be object, array, string, integer, number or boolean")
    wanted: type = types[expected]
    return lambda value: "" if type(value) is wanted else expected


# Maps and lists


def _properties(schema: Mapping[str, Any], depth: int) -> Check | None:
    compiled = {name: compile_check(one, depth + 1) for name, one in schema["properties"].items()}
    checks = {name: check for name, check in compiled.items() if check is not None}

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is dict:
            for name, item in value.items():
                if name in checks:
                    checks[name](item, (path, name), report)

    return check if checks else None


def _additional(schema: Mapping[str, Any], depth: int) -> Check | None:
    if not isinstance(schema["additionalProperties"], Mapping):
        return None
    below = compile_check(schema["additionalProperties"], depth + 1)
    if below is None:
        return None
    known = frozenset(schema.get("properties") or ())

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is dict:
            for name, item in value.items():
                if name not in known:
                    below(item, (path, name), report)

    return check


def _items(schema: Mapping[str, Any], depth: int) -> Check | None:
    if not isinstance(schema["items"], Mapping):
        raise SchemaError("items is one schema")
    below = compile_check(schema["items"], depth + 1)
    if below is None:
        return None

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is list:
            for index, item in enumerate(value):
                if report.full:
                    return
                below(item, (path, index), report)

    return check


def names_in(schema: Mapping[str, Any], keyword: str) -> tuple[str, ...]:
    """The names that a keyword lists; none where it is not there. SchemaError."""
    names = schema.get(keyword, ())
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise SchemaError(f"{keyword} is a list of names")
    return tuple(names)


def _required(schema: Mapping[str, Any], _: int) -> Check | None:
    names = names_in(schema, "required")

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is dict:
            for name in names:
                if name not in value:
                    report.add("FieldValueRequired", "Required value", (path, name))

    return check if names else None


def _list_type(schema: Mapping[str, Any], _: int) -> Check | None:
    kind = schema["x-kubernetes-list-type"]
    if kind == "atomic":
        return None
    keys = names_in(schema, "x-kubernetes-list-map-keys")

    def identity(item: Any) -> Any:
        if kind == "set":
            return item
        return {key: item[key] for key in keys if key in item} if type(item) is dict else None

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is not list:
            return
        seen: set[bytes] = set()
        for index, item in enumerate(value):
            mark = identity(item)
            if mark is None:
                continue
            spelt = encoded(mark)
            if spelt in seen:
                report.add("FieldValueDuplicate", f"Duplicate value: {shown(mark)}", (path, index))
            seen.add(spelt)

    return check


def _size(keyword: str, below: bool, kind: type[Any], tell: Callable[[int, int], tuple[str, str]]) -> Any:
    def make(schema: Mapping[str, Any], _: int) -> Check:
        bound = whole_in(schema, keyword)

        def check(value: Any, path: Path | None, report: Report) -> None:
            if type(value) is kind and (len(value) < bound if below else len(value) > bound):
                reason, message = tell(len(value), bound)
                report.add(reason, message.replace("@", dotted(path)), path)

        return check

    return make


def _few(what: str) -> Callable[[int, int], tuple[str, str]]:
    return lambda found, bound: (
        "FieldValueInvalid",
        f"Invalid value: {found}: @ in body should have at least {bound} {what}",
    )


def _many(found: int, bound: int) -> tuple[str, str]:
    noun = "item" if bound == 1 else "items"
    return "FieldValueTooMany", f"Too many: {found}: must have at most {bound} {noun}"


def _unique(schema: Mapping[str, Any], _: int) -> Check | None:
    if schema["uniqueItems"] is not True:
        return None

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is list and len({encoded(one) for one in value}) < len(value):
            report.invalid(None, path, "shouldn't contain duplicates")

    return check


# Combinations


def _passes(check: Check | None, value: Any, path: Path | None) -> bool:
    if check is None:
        return True
    report = Report(1)
    check(value, path, report)
    return not report.causes


def _combined(keyword: str) -> Any:
    def make(schema: Mapping[str, Any], depth: int) -> Check | None:
        listed = schema[keyword]
        alternatives = [compile_check(one, depth + 1) for one in ([listed] if keyword == "not" else listed)]
        if keyword == "anyOf" and schema.get("x-kubernetes-int-or-string"):
            return None
        judge = _JUDGES[keyword]

        def check(value: Any, path: Path | None, report: Report) -> None:
            passing = sum(_passes(one, value, path) for one in alternatives)
            said = judge(passing, len(alternatives))
            if said:
                where = dotted(path)
                report.add("FieldValueInvalid", f'Invalid value: "": "{where}" must {said}', path)

        return check

    return make


def _one_of(passing: int, _: int) -> str:
    if passing == 1:
        return ""
    found = f"Found {passing} valid alternatives" if passing else "Found none valid"
    return f"validate one and only one schema (oneOf). {found}"


_JUDGES: dict[str, Callable[[int, int], str]] = {
    "allOf": lambda passing, of: "" if passing == of else "validate all the schemas (allOf)",
    "anyOf": lambda passing, _: "" if passing else "validate at least one schema (anyOf)",
    "oneOf": _one_of,
    "not": lambda passing, _: "not validate the schema (not)" if passing else "",
}

_KEYWORDS: dict[str, Callable[[Mapping[str, Any], int], Check | None]] = {
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "minProperties": _size("minProperties", True, dict, _few("properties")),
    "maxProperties": _size("maxProperties", False, dict, _many),
    "items": _items,
    "minItems": _size("minItems", True, list, _few("items")),
    "maxItems": _size("maxItems", False, list, _many),
    "uniqueItems": _unique,
    "x-kubernetes-list-type": _list_type,
    "enum": enum_check,
    "minimum": bound_check("minimum", "exclusiveMinimum", False),
    "maximum": bound_check("maximum", "exclusiveMaximum", True),
    "multipleOf": multiple_check,
    "minLength": min_length_check,
    "maxLength": _size("maxLength", False, str, too_long),
    "pattern": pattern_check,
    "format": format_check,
    "allOf": _combined("allOf"),
    "anyOf": _combined("anyOf"),
    "oneOf": _combined("oneOf"),
    "not": _combined("not"),
}
"""Keyword -> what makes its check. Any other is a note, or is handled elsewhere."""
