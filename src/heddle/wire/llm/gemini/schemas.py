"""Gemini's `Schema` (a subset of OpenAPI's) as the JSON Schema that the other formats take.

Owns the translation of words: type names in capitals, `nullable`, counts as strings, either spelling of the keys.
Keys that JSON Schema does not know and that constrain nothing (`propertyOrdering`, `example`) are left out.

*Source:* Gemini API reference, "Schema"; JSON Schema 2020-12, validation.
"""

from typing import Any

import msgspec

from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini.fields import camel, value_of

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_CARRIED = ("title", "description", "format", "enum", "required", "pattern", "minimum", "maximum", "default", *_COUNTS)
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def to_json_schema(text: str, at: str) -> str:
    """The JSON text of a `Schema` as JSON text of a JSON Schema. Raises ProtocolError, which names the place."""
    return msgspec.json.encode(_schema(value_of(text.encode(), at), at)).decode()


def _schema(given: Any, at: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ProtocolError(f"{at}: expected an object.", param=at)
    stated = {camel(name): value for name, value in given.items() if value is not None}
    schema: dict[str, Any] = {}
    if "type" in stated:
        schema["type"] = _type(stated["type"], f"{at}.type")
    schema |= {name: stated[name] for name in _CARRIED if name in stated}
    schema |= {name: int(value) for name, value in schema.items() if name in _COUNTS and _is_count(value)}
    if "items" in stated:
        schema["items"] = _schema(stated["items"], f"{at}.items")
    if isinstance(stated.get("properties"), dict):
        inside = stated["properties"].items()
        schema["properties"] = {name: _schema(value, f"{at}.properties") for name, value in inside}
    if isinstance(stated.get("anyOf"), list):
        schema["anyOf"] = [_schema(value, f"{at}.anyOf[{index}]") for index, value in enumerate(stated["anyOf"])]
    return _nullable(schema) if stated.get("nullable") is True else schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "type" not in schema or schema["type"] == "null":
        return schema
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema and None not in schema["enum"]:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def _type(given: Any, at: str) -> str:
    name = given.lower() if isinstance(given, str) else ""
    if name not in _TYPES:
        raise ProtocolError(f"{at}: expected one of {', '.join(_TYPES)} in capitals.", param=at)
    return name


def _is_count(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
