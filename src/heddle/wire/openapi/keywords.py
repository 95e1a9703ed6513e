"""What JSON Schema's keywords may hold, and OpenAPI's own keywords in the words of JSON Schema 2020-12.

Owns the checks of values and the translations of one schema object whose inner schemas are translated already:
`nullable`, exclusive bounds that are flags, `example`, `discriminator`. What is neither JSON Schema nor one of these
(`xml`, `externalDocs`, `x-` extensions) says nothing of values and is left out, and so are `$id` and its like, which
would change what references mean, and `x-mcp-header`, which would let a document choose header fields.

*Source:* OpenAPI Specification 3.0.4 section 4.7.24 and 3.1.1 section 4.8.24 (Schema Object), 4.8.25 (Discriminator);
JSON Schema 2020-12, core section 10 and validation sections 6 to 9.
"""

import math
from typing import Any

from heddle.wire.openapi.reading import field_object, field_text, object_at, text_at, wrong

TEXTS = frozenset({"title", "description", "format", "pattern", "contentEncoding", "contentMediaType"})
NUMBERS = frozenset({"minimum", "maximum", "multipleOf"})
BOUNDS = frozenset({"exclusiveMinimum", "exclusiveMaximum"})
COUNTS = frozenset(
    {
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minContains",
        "maxContains",
    }
)
FLAGS = frozenset({"uniqueItems", "deprecated", "readOnly", "writeOnly"})
DATA = frozenset({"default", "const"})
DATA_LISTS = frozenset({"enum", "examples"})
ONE_SCHEMA = frozenset(
    {
        "items",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "additionalProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    }
)
SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED_SCHEMAS = frozenset({"patternProperties", "dependentSchemas"})
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def scalar(key: str, value: Any, at: str) -> Any:
    """The value of a keyword that holds no schemas and no data, or None where `key` is no such keyword."""
    if key in TEXTS:
        return text_at(value, at)
    if key in NUMBERS or (key in BOUNDS and not isinstance(value, bool)):
        return _number(value, at)
    if key in COUNTS:
        return _count(value, at)
    if key in FLAGS or key in BOUNDS:
        if not isinstance(value, bool):
            raise wrong(at, "true or false")
        return value
    if key == "type":
        return _type(value, at)
    if key == "required":
        return names(value, at)
    if key == "dependentRequired":
        return {text_at(name, at): names(inner, f"{at}.{name}") for name, inner in object_at(value, at).items()}
    return None


def names(value: Any, at: str) -> list[str]:
    """An array of property names, each once."""
    if not isinstance(value, list):
        raise wrong(at, "an array of property names")
    return list(dict.fromkeys(text_at(name, f"{at}[{index}]") for index, name in enumerate(value)))


def _number(value: Any, at: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong(at, "a number")
    if at.endswith(".multipleOf") and value <= 0:
        raise wrong(at, "a number above 0")
    return value


def _count(value: Any, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or not math.isfinite(value):
        raise wrong(at, "a count")
    if value != int(value):
        raise wrong(at, "a count")
    return int(value)


def _type(value: Any, at: str) -> str | list[str]:
    given = value if isinstance(value, list) else [value]
    if not given or any(name not in _TYPES for name in given if isinstance(name, str)):
        raise wrong(at, f"one of {', '.join(_TYPES)}")
    found = list(dict.fromkeys(text_at(name, at) for name in given))
    return found if len(found) > 1 else found[0]


def finish(given: dict[str, Any], written: dict[str, Any], at: str) -> dict[str, Any]:
    """`written`, what is JSON Schema in `given`, with OpenAPI's own keywords said in its words."""
    _flags_to_bounds(written, "minimum", "exclusiveMinimum")
    _flags_to_bounds(written, "maximum", "exclusiveMaximum")
    if given.get("discriminator") is not None:
        _discriminate(given, written, at)
    return _nullable(written) if given.get("nullable") is True else written


def _flags_to_bounds(written: dict[str, Any], bound: str, exclusive: str) -> None:
    if isinstance(written.get(exclusive), bool):
        is_exclusive = written.pop(exclusive)
        if is_exclusive and bound in written:
            written[exclusive] = written.pop(bound)


def _discriminate(given: dict[str, Any], written: dict[str, Any], at: str) -> None:
    """Each alternative that `mapping` names also says which values of the property stand for it.

    A mapping that is not stated is implied by the names of schemas; documents that rely on it often mean other values,
    so nothing is demanded then.
    """
    discriminator = object_at(given["discriminator"], f"{at}.discriminator")
    name = field_text(discriminator, "propertyName", f"{at}.discriminator")
    values: dict[str, list[str]] = {}
    mapping = field_object(discriminator, "mapping", f"{at}.discriminator")
    for value, target in mapping.items():
        place = f"{at}.discriminator.mapping"
        named = text_at(target, place)
        local = named if "/" in named else f"#/components/schemas/{named}"
        values.setdefault(local, []).append(text_at(value, place))
    for key in ("oneOf", "anyOf"):
        for index, member in enumerate(given.get(key) or () if name else ()):
            reference = member.get("$ref") if isinstance(member, dict) else None
            if isinstance(reference, str) and reference in values:
                stated = {"properties": {name: {"enum": values[reference]}}, "required": [name]}
                written[key][index] = {"allOf": [written[key][index], stated]}


def _nullable(written: dict[str, Any]) -> dict[str, Any]:
    stated = written.get("type")
    if stated is None:
        # OpenAPI 3.0 gives it no meaning here; documents mean what it says.
        wraps = any(key in written for key in ("allOf", "anyOf", "oneOf"))
        return {"anyOf": [written, {"type": "null"}]} if wraps else written
    types = stated if isinstance(stated, list) else [stated]
    if "null" not in types:
        written["type"] = [*types, "null"]
    if "enum" in written and None not in written["enum"]:
        written["enum"] = [*written["enum"], None]
    return written
