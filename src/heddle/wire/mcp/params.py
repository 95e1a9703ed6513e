"""Arguments that are repeated as HTTP fields: which ones a tool's schema marks, and what their fields say.

Owns reading `x-mcp-header` out of a schema. Only properties that are reached by names alone count; a schema that marks
anything else marks nothing, so that a server's mistake hides no argument.
*Source:* Model Context Protocol 2026-07-28, "Custom header fields" (SEP-2243).
"""

import re
from collections.abc import Mapping
from typing import Any

from heddle.wire.mcp.fields import PARAM_PREFIX, decode_value, encode_value

MARK = "x-mcp-header"
MAX_DEPTH = 32
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_TYPES = frozenset(("string", "integer", "boolean"))

Marked = Mapping[tuple[str, ...], bytes]
"""Path of a property -> name of its field, in lower case."""


def marked(schema: Any) -> Marked:
    """The properties that a schema marks."""
    found: dict[tuple[str, ...], bytes] = {}
    _walk(schema, (), found)
    names = list(found.values())
    return found if len(names) == len(set(names)) else {}


def _walk(schema: Any, path: tuple[str, ...], found: dict[tuple[str, ...], bytes]) -> None:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) >= MAX_DEPTH:
        return
    for name, below in properties.items():
        if not isinstance(below, dict):
            continue
        token = below.get(MARK)
        if isinstance(token, str) and _TOKEN.fullmatch(token) and below.get("type") in _TYPES:
            found[*path, name] = PARAM_PREFIX + token.lower().encode()
        _walk(below, (*path, name), found)


def fields_of(marks: Marked, arguments: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The fields that repeat the arguments of a call."""
    made = []
    for path, name in marks.items():
        text = _text(_at(arguments, path))
        if text is not None:
            made.append((name, encode_value(text)))
    return made


def contradiction(marks: Marked, arguments: Mapping[str, Any], given: Mapping[bytes, bytes]) -> str:
    """Which field of a request does not say what its argument says; empty when all do."""
    for path, name in marks.items():
        said = given.get(name)
        text = _text(_at(arguments, path))
        if said is None and text is None:
            continue
        if said is None or text is None or decode_value(said) != text:
            return name.decode()
    return ""


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**300 else None
    return value if isinstance(value, str) else None
