"""Arguments of a tool as they are typed: `path=notes.txt`, `lines:=20`, or JSON.

Owns what a text means: what the tool's schema says of it, and without a schema the text itself. `:=` is always JSON.
"""

from typing import Any

import click

from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

MAX_BYTES = 16 * 1024 * 1024
"""Of JSON from a file or pipe: what a listener takes by default."""


def arguments_of(pairs: tuple[str, ...], schema: object) -> dict[str, Any]:
    """The arguments that `pairs` say, by the schema of the tool. Raises click.UsageError."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = properties if isinstance(properties, dict) else {}
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        as_json = name.endswith(":")
        name = name.removesuffix(":")
        if not equals or not name:
            raise click.UsageError(f"expected KEY=VALUE or KEY:=JSON, got {pair!r}")
        if name in found:
            raise click.UsageError(f"{name} is given twice")
        types = _types(known.get(name))
        found[name] = text if not as_json and (not types or "string" in types) else _json(name, text, types)
    return found


def strings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Arguments of a prompt, which are texts. Raises click.UsageError."""
    return {name: str(value) for name, value in arguments_of(pairs, None).items()}


def arguments_json(text: str) -> dict[str, Any]:
    """All arguments as one JSON object. Raises click.UsageError."""
    if len(text) > MAX_BYTES:
        raise click.UsageError(f"the arguments are larger than {MAX_BYTES} characters")
    try:
        value = parse_strict(text.encode("utf-8", "surrogateescape"))
    except ProtocolError as exc:
        raise click.UsageError(f"arguments: {exc.detail.replace('The request body', 'the text').rstrip('.')}") from exc
    if not isinstance(value, dict):
        raise click.UsageError("arguments: expected one JSON object")
    return value


def _json(name: str, text: str, types: set[str]) -> Any:
    try:
        return parse_strict(text.encode("utf-8", "surrogateescape"))
    except ProtocolError as exc:
        wanted = " or ".join(sorted(types)) or "JSON"
        raise click.UsageError(f"{name}: expected {wanted}, got {text!r}") from exc


def _types(schema: object) -> set[str]:
    """What a property may be, itself or by its alternatives; nothing where that is not said plainly."""
    if not isinstance(schema, dict):
        return set()
    alternatives = [schema]
    for member in ("anyOf", "oneOf"):
        options = schema.get(member)
        alternatives += [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []
    types: set[str] = set()
    for one in alternatives:
        said = one.get("type")
        types |= {name for name in (said if isinstance(said, list) else [said]) if isinstance(name, str)}
    return types
