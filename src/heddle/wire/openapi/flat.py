"""What a translated schema says of the shape of values, and whether it is a plain list of properties.

Owns three questions that are asked of schemas after translation: can it be an object, an array, a plain value; are its
properties all that it says, so that they can be arguments of their own; is it an object for certain.

*Source:* JSON Schema 2020-12, core sections 10.2 and 10.3, validation section 6.1.1.
"""

from typing import Any, NamedTuple

from heddle.wire.openapi.operation import Shape

Schema = dict[str, Any]

MAX_STEPS = 64
"""Alternatives that are looked at; what lies beyond is taken to be a plain value."""

_SHAPES: dict[str, Shape] = {"object": "object", "array": "array"}
_IMPLIED: tuple[tuple[str, Shape], ...] = (
    ("properties", "object"),
    ("additionalProperties", "object"),
    ("items", "array"),
    ("prefixItems", "array"),
)
_SPOKEN = frozenset({"type", "properties", "required", "allOf", "additionalProperties"})
_SILENT = frozenset({"title", "description", "examples", "deprecated", "default", "$defs", "readOnly", "writeOnly"})


class Flat(NamedTuple):
    """An object of which the properties are all there is to say."""

    properties: dict[str, Schema]
    required: frozenset[str]


def shapes_of(schema: Schema) -> frozenset[Shape]:
    """What values of the schema may be. One that says nothing allows no object: its names would be the caller's."""
    found: set[Shape] = set()
    waiting = [schema]
    for _ in range(MAX_STEPS):
        if not waiting:
            break
        one = waiting.pop()
        found |= _own_shapes(one)
        for key in ("anyOf", "oneOf", "allOf"):
            waiting += one.get(key, ())
        if "$ref" in one:
            waiting.append(schema.get("$defs", {}).get(one["$ref"].removeprefix("#/$defs/"), {}))
    return frozenset(found) or frozenset({"plain", "array"})


def _own_shapes(schema: Schema) -> set[Shape]:
    stated = schema.get("type")
    if stated is not None:
        types = stated if isinstance(stated, list) else [stated]
        return {_SHAPES.get(name, "plain") for name in types if name != "null"}
    implied = {shape for key, shape in _IMPLIED if key in schema}
    if not implied and ("enum" in schema or "const" in schema):
        return {"plain"}
    return implied


def flatten(schema: Schema, depth: int = 0) -> Flat | None:
    """The properties of an object that is only that, `allOf` of such included; None for all others.

    What is required and described nowhere is left out: there would be no argument to give it with.
    """
    if depth > 8 or not schema.keys() <= _SPOKEN | _SILENT or schema.get("additionalProperties", False) is not False:
        return None
    if schema.get("type", "object") != "object":
        return None
    properties = dict(schema.get("properties", {}))
    required = set(schema.get("required", ()))
    for member in schema.get("allOf", ()):
        inner = flatten(member, depth + 1)
        if inner is None or any(properties.get(name, value) != value for name, value in inner.properties.items()):
            return None
        properties |= inner.properties
        required |= inner.required
    if not properties and depth == 0:
        return None
    if depth > 0:
        return Flat(properties, frozenset(required))
    return Flat(properties, frozenset(required & properties.keys()))


def as_object(schema: Schema) -> Schema | None:
    """The schema with `type: object` said at its root, or None where values may be something else."""
    if schema.get("type") == "object":
        return schema
    if "type" in schema:
        return None
    members = schema.get("allOf", ())
    if "properties" in schema or any(_is_object(member, schema.get("$defs", {})) for member in members):
        return {"type": "object", **schema}
    return None


def _is_object(schema: Schema, defs: dict[str, Schema]) -> bool:
    if "$ref" in schema:
        schema = defs.get(schema["$ref"].removeprefix("#/$defs/"), {})
    return schema.get("type") == "object"
