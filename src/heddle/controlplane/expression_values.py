"""Objects as CEL rules see them: fields by names that CEL can write, numbers of the type that the schema says.

Owns the escaping of names. Dates and durations stay texts, to be read with `timestamp()` and `duration()`; lists of
type set and map are compared in their order, which Kubernetes leaves out of account there.
*Source:* Kubernetes "Validation rules", escaping of property names and the table of types.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Convert = Callable[[Any], Any]

_RESERVED = {
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
}
_RESERVED |= {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
_SIGNS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escaped(name: str) -> str:
    """A property name as expressions write it: `__namespace__`, `a__dash__b`."""
    if name in _RESERVED:
        return f"__{name}__"
    for sign, spelt in _SIGNS.items():
        name = name.replace(sign, spelt)
    return name


def conversion(schema: Mapping[str, Any]) -> Convert | None:
    """What makes a value of a schema one that expressions see; None where it is the value itself."""
    kind = schema.get("type")
    if kind == "number":
        return lambda value: float(value) if type(value) is int else value
    if kind == "integer":
        return lambda value: int(value) if type(value) is float and value.is_integer() else value
    if kind == "array":
        items = schema.get("items")
        return _of_items(conversion(items)) if isinstance(items, Mapping) else None
    if isinstance(schema.get("additionalProperties"), Mapping):
        return _of_entries(conversion(schema["additionalProperties"]))
    return _of_properties(schema.get("properties") or {})


def _of_items(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda value: [convert(item) for item in value] if type(value) is list else value


def _of_entries(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda value: {name: convert(item) for name, item in value.items()} if type(value) is dict else value


def _of_properties(properties: Mapping[str, Any]) -> Convert | None:
    names = {name: escaped(name) for name in properties}
    below = {name: conversion(one) for name, one in properties.items()}
    if all(name == spelt for name, spelt in names.items()) and not any(below.values()):
        return None

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            return value
        made = {}
        for name, item in value.items():
            of_it = below.get(name)
            made[names.get(name, name)] = item if of_it is None else of_it(item)
        return made

    return convert


def has_nul(value: Any) -> bool:
    """Whether a text or a key anywhere in a value holds a NUL, at which the evaluator would cut it off."""
    if b"\\u0000" not in msgspec.json.encode(value):
        return False
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            if "\0" in one:
                return True
        elif isinstance(one, dict):
            pending += [*one, *one.values()]
        elif isinstance(one, list):
            pending += one
    return False
