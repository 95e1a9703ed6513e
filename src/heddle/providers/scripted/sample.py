"""A value for a JSON schema, made of what the prompt offers: tool arguments and structured output.

Deterministic, and bounded whatever the schema: at most MAX_NODES values, MAX_DEPTH deep, so that a schema which
refers to itself costs little. Keywords beyond the common ones are ignored; the value fits most schemas, not all.

*Source:* JSON Schema draft 2020-12, the subset that OpenAI documents for structured outputs.
"""

import re
from typing import Any

MAX_NODES = 1000
MAX_DEPTH = 8

_QUOTED = re.compile(r"[\"“]([^\"”\n]{1,100})[\"”]")
_NAMED = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w-]{1,60}")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")
_FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "weaver@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "7f3e1c52-8f0a-4b62-9d0e-1a2b3c4d5e6f",
}


class Sampler:
    """Makes values for one prompt; `root` is where `$ref` starts."""

    __slots__ = ("_left", "_number", "_root", "_word")

    def __init__(self, root: Any, prompt: str) -> None:
        self._root = root
        self._left = MAX_NODES
        said = prompt[:10_000]
        word = _QUOTED.search(said) or None
        named = _NAMED.findall(said)
        self._word = word[1] if word else named[-1] if named else ""
        number = _NUMBER.search(said)
        self._number = float(number[0]) if number else None

    def value(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """A value for `schema`; `name` is the property it is for."""
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH or not isinstance(schema, dict):
            return None
        for keyword in ("const", "default"):
            if keyword in schema:
                return schema[keyword]
        for keyword in ("enum", "examples"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                return schema[keyword][0]
        inner = self._indirect(schema)
        if inner is not None:
            return self.value(inner, name, depth + 1)
        return self._typed(schema, name, depth)

    def _indirect(self, schema: dict[str, Any]) -> Any:
        """What a schema stands for that does not say it itself."""
        ref = schema.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/"):
            found = self._root
            for part in ref[2:].split("/")[:MAX_DEPTH]:
                found = found.get(part) if isinstance(found, dict) else None
            return found
        for keyword in ("anyOf", "oneOf", "allOf"):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                return options[0]
        return None

    def _typed(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kind = _kind(schema)
        if kind == "object":
            properties = schema.get("properties")
            fields = properties if isinstance(properties, dict) else {}
            return {key: self.value(inner, key, depth + 1) for key, inner in fields.items() if self._left > 0}
        if kind == "array":
            count = min(max(_int(schema.get("minItems"), 1), 1), 3)
            return [self.value(schema.get("items"), name, depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            return self._numeric(schema, kind)
        if kind == "string":
            return self._string(schema, name)
        return True if kind == "boolean" else None

    def _numeric(self, schema: dict[str, Any], kind: str) -> int | float:
        least, most = _bound(schema.get("minimum")), _bound(schema.get("maximum"))
        value = self._number if self._number is not None else 1.0
        value = value if least is None else max(value, least)
        value = value if most is None else min(value, most)
        return round(value) if kind == "integer" else value

    def _string(self, schema: dict[str, Any], name: str) -> str:
        fixed = _FORMATS.get(str(schema.get("format")))
        if fixed is not None:
            return fixed
        text = self._word or name or "heddle"
        text = text.ljust(min(_int(schema.get("minLength"), 0), 1000), ".")
        most = _int(schema.get("maxLength"), -1)
        return text[:most] if most >= 0 else text


def _kind(schema: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((one for one in kind if one != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return kind


def _int(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _bound(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else None
