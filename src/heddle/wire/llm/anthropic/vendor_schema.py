"""JSON Schemas cut to what Anthropic compiles into a grammar, for structured output and strict tools.

Owns the subset. Objects must be closed, and bounds on numbers, lengths and counts are refused: they move into the
description, where the model reads them but nothing enforces them, as Anthropic's own SDKs do. A schema that fits is
sent byte for byte.

*Source:* Anthropic API reference, "Structured outputs", "JSON Schema limitations", as of 2026-11; `transform_schema` of
the `anthropic` SDK 2.12.
"""

from typing import Any

import msgspec

BOUNDS = frozenset(
    (
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "uniqueItems",
    )
)
"""Keywords that the compiler refuses."""

_OF_NAMES = ("properties", "$defs", "definitions")
_OF_LISTS = ("anyOf", "allOf")


def fit(schema: str) -> tuple[msgspec.Raw, bool]:
    """`schema` as Anthropic takes it, and whether it had to change. What is no JSON object is the vendor's to judge."""
    try:
        given = msgspec.json.decode(schema)
        fitted = _fit(given)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.Raw(schema.encode()), False
    if fitted == given:
        return msgspec.Raw(schema.encode()), False
    return msgspec.Raw(msgspec.json.encode(fitted)), True


def _fit(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    fitted: dict[str, Any] = {}
    bounds: list[str] = []
    for name, value in schema.items():
        if name in BOUNDS or (name == "minItems" and value not in (0, 1)):
            bounds.append(f"{name}: {msgspec.json.encode(value).decode()}")
        elif name in _OF_NAMES and isinstance(value, dict):
            fitted[name] = {key: _fit(inner) for key, inner in value.items()}
        elif name in _OF_LISTS and isinstance(value, list):
            fitted[name] = [_fit(inner) for inner in value]
        elif name == "oneOf" and isinstance(value, list):
            fitted["anyOf"] = [_fit(inner) for inner in value]
        else:
            fitted[name] = _fit(value) if name == "items" else value
    if schema.get("type") == "object" or "properties" in schema:
        fitted["additionalProperties"] = False
    if bounds:
        said = fitted.get("description")
        fitted["description"] = " ".join([*([said] if isinstance(said, str) else []), f"({', '.join(bounds)})"])
    return fitted
