"""One operation of a document as a tool.

Owns the tool definition: title and description as the document has them, one input schema out of parameters and body,
an output schema where every success is the same kind of JSON object, hints that follow from the method alone.

*Source:* OpenAPI Specification 3.1.1 sections 4.8.9, 4.8.10 and 4.8.16 (Path Item, Operation, Responses); Model Context
Protocol 2025-11-25, schema `Tool` and `ToolAnnotations`; RFC 9110 sections 9.2.1 and 9.2.2.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from heddle.wire.openapi.content import Content, is_json, read_content
from heddle.wire.openapi.flat import as_object
from heddle.wire.openapi.names import argument_name
from heddle.wire.openapi.operation import Body, Operation, Scheme
from heddle.wire.openapi.parameters import LOCATIONS, MAX_ARGUMENTS, Input, Reader, is_reserved
from heddle.wire.openapi.reading import (
    CHARS_PER_NODE,
    Document,
    field_bool,
    field_list,
    field_object,
    field_text,
    text_at,
    wrong,
)
from heddle.wire.openapi.schemas import MAX_INLINE, Room, Schemas, TooLargeError
from heddle.wire.openapi.security import credential_places, read_demands
from heddle.wire.openapi.servers import Place, path_at

Schema = dict[str, Any]

_PIECES = re.compile(r"\{([^{}]*)\}")
_SUCCESS = re.compile(r"2[0-9X][0-9X]")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9!#$&^_.+*-]{1,64}/[A-Za-z0-9!#$&^_.+*-]{1,96}")
_CONTENTLESS = ("204", "205")
_BODILESS = ("GET", "HEAD")
_OUTPUT_ROOM = Room(inline=MAX_INLINE, named=MAX_INLINE)
"""An output schema helps; one that is larger than this costs its readers more than it tells them."""
MAX_ACCEPTED = 8
"""Media types that are asked for."""


class Found(NamedTuple):
    """An operation in a document that is not read yet."""

    name: str
    """Of the tool."""
    method: str
    path: str
    item: dict[str, Any]
    """The path item it is in."""
    given: dict[str, Any]
    at: str
    item_at: str


class Surroundings(NamedTuple):
    """What operations of one document share."""

    document: Document
    inputs: Schemas
    outputs: Schemas
    schemes: dict[str, Scheme]
    place: Place
    security: tuple[Any, ...]


def read_operation(found: Found, around: Surroundings) -> Operation:
    """The operation as a tool. Raises ProtocolError, which names the place."""
    given, at = found.given, found.at
    placed = (given, at) if given.get("servers") else (found.item, found.item_at)
    base = path_at(around.place, *placed)
    reader = Reader(around.document, around.inputs)
    places = credential_places(around.schemes)
    content = read_content(reader, given, at) if found.method not in _BODILESS else None
    inputs = _named([*_parameters(reader, found, places), *(content.inputs if content else ())], at)
    pieces = _pieces(found, base, inputs)
    accept, output = _answers(found, around)
    demands = read_demands(given, at, around.schemes)
    return Operation(
        tool=_tool(found, around.document, inputs, output),
        method=found.method,
        path=found.path,
        pieces=pieces,
        operation_id=field_text(given, "operationId", at),
        tags=tuple(text_at(tag, f"{at}.tags") for tag in field_list(given, "tags", at)),
        deprecated=field_bool(given, "deprecated", at),
        arguments=tuple(one.argument for one in inputs),
        body=_renamed(content, inputs),
        accept=accept,
        security=around.security if demands is None else demands,
        credential_places=places,
    )


# Input


def _parameters(reader: Reader, found: Found, places: frozenset[tuple[str, str]]) -> list[Input]:
    """What the path item says, as the operation changes it, in the order of locations."""
    stated = reader.parameters(found.item, found.item_at) | reader.parameters(found.given, found.at)
    inputs = [reader.input(*one) for key, one in stated.items() if not is_reserved(*key, places)]
    return sorted(inputs, key=lambda one: LOCATIONS.index(one.argument.location))


def _named(inputs: list[Input], at: str) -> list[Input]:
    if len(inputs) > MAX_ARGUMENTS:
        raise wrong(at, f"at most {MAX_ARGUMENTS} parameters and properties of the body")
    named: dict[str, Input] = {}
    for one in inputs:
        name = argument_name(one.argument.wire_name, one.argument.location, named)
        named[name] = Input(msgspec.structs.replace(one.argument, name=name), one.schema)
    return list(named.values())


def _renamed(content: Content | None, inputs: Sequence[Input]) -> Body | None:
    """The body, whose one argument may have got another name."""
    if content is None or content.body.whole is None:
        return content.body if content else None
    whole = next(one.argument for one in inputs if one.argument.location == "body")
    return msgspec.structs.replace(content.body, whole=whole)


def _pieces(found: Found, base: str, inputs: list[Input]) -> tuple[str, ...]:
    """The path around its parameters. Each must be described, and each that is described must be there."""
    pieces = _PIECES.split(found.path)
    literals, names = pieces[::2], pieces[1::2]
    described = {one.argument.wire_name for one in inputs if one.argument.location == "path"}
    if set(names) != described or len(names) != len(described):
        raise wrong(found.at, "each parameter of the path described, and in the path once")
    if re.search(r"[{}?#\x00-\x20\x7f\\]", "".join(literals)) or not found.path.startswith("/"):
        raise wrong(found.item_at, "a path that begins with `/`, without query and fragment")
    if any(segment in (".", "..") for segment in found.path.lower().replace("%2e", ".").split("/")):
        raise wrong(found.item_at, "a path without `.` and `..`")
    pieces[::2] = [quote(literal, safe="/%:@!$&'()*+,;=~") for literal in literals]
    pieces[0] = base + pieces[0]
    return tuple(pieces)


# The definition


def _tool(found: Found, document: Document, inputs: list[Input], output: Schema | None) -> dict[str, Any]:
    summary, description = (field_text(found.given, name, found.at) for name in ("summary", "description"))
    summary = summary or field_text(found.item, "summary", found.item_at)
    description = description or field_text(found.item, "description", found.item_at)
    document.account.spend((len(summary) + len(description)) // CHARS_PER_NODE, found.at)
    tool: dict[str, Any] = {"name": found.name}
    if summary:
        tool["title"] = summary
    parts = [summary, description] if description != summary else [summary]
    tool["description"] = "\n\n".join(part for part in parts if part) or f"{found.method} {found.path}"
    tool["inputSchema"] = _input_schema(inputs)
    if output is not None:
        tool["outputSchema"] = output
    tool["annotations"] = _annotations(found.method)
    return tool


def _input_schema(inputs: list[Input]) -> Schema:
    """Further arguments are refused: nobody described where they would go."""
    defs: Schema = {}
    properties: Schema = {}
    for one in inputs:
        defs |= one.schema.get("$defs", {})
        properties[one.argument.name] = {key: value for key, value in one.schema.items() if key != "$defs"}
    schema: Schema = {"type": "object", "properties": properties}
    required = [one.argument.name for one in inputs if one.argument.required]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    if defs:
        schema["$defs"] = {name: defs[name] for name in sorted(defs)}
    return schema


def _annotations(method: str) -> dict[str, bool]:
    """What is not said has the careful default: a tool that is not read-only may destroy."""
    hints = {"readOnlyHint": method in ("GET", "HEAD", "OPTIONS")}
    if method == "DELETE":
        hints["destructiveHint"] = True
    if method in ("PUT", "DELETE"):
        hints["idempotentHint"] = True
    return {**hints, "openWorldHint": True}


# Output


def _answers(found: Found, around: Surroundings) -> tuple[str, Schema | None]:
    """What to accept, and the schema that every success has. A tool with one must always answer with an object.

    Where JSON is offered, nothing else is accepted.
    """
    at = f"{found.at}.responses"
    accepted: dict[str, None] = {}
    schemas: list[Schema | None] = []
    for status, value in field_object(found.given, "responses", found.at).items():
        if not _SUCCESS.fullmatch(str(status)):
            continue
        given, place = around.document.resolve(value, f"{at}.{status}")
        content = field_object(given, "content", place)
        names = [text_at(name, f"{place}.content") for name in content]
        chosen = min((name for name in names if _is_json(name)), key=_wordiness, default=None)
        accepted |= dict.fromkeys(names if chosen is None else [chosen])
        if chosen is None or found.method == "HEAD" or str(status) in _CONTENTLESS:
            schemas.append(None)
        else:
            schemas.append(_output(content[chosen], f"{place}.content.{chosen}", around))
    known = [name for name in accepted if _ACCEPTABLE.fullmatch(name)]
    same = bool(schemas) and all(schema == schemas[0] for schema in schemas[1:])
    return ", ".join(known[:MAX_ACCEPTED]) or "*/*", schemas[0] if same else None


def _is_json(media_type: str) -> bool:
    return is_json(media_type.partition(";")[0].strip().lower())


def _wordiness(media_type: str) -> tuple[bool, int]:
    """`application/json` itself before types that are more special."""
    return media_type != "application/json", len(media_type)


def _output(offered: Any, at: str, around: Surroundings) -> Schema | None:
    schema = offered.get("schema") if isinstance(offered, dict) else None
    if schema is None:
        return None
    try:
        translated, _ = around.outputs.translate(schema, f"{at}.schema", _OUTPUT_ROOM)
    except TooLargeError:
        return None
    return as_object(translated)
