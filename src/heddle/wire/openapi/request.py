"""The arguments of a call as an HTTP request.

Owns what an argument can reach: its own segment of the path, its own parameter, its own field. Arguments that no
schema names are refused, so are paths that a reader could take for another operation's, and names inside of exploded
objects that belong to other parameters or to credentials.

*Source:* OpenAPI Specification 3.1.1 sections 4.8.8 and 4.8.12; RFC 3986 sections 3.3, 5.2.4 and 6.2.2; RFC 9110
sections 5.5 and 7.1.
"""

import re
from typing import Any
from urllib.parse import unquote

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.forms import write_body
from heddle.wire.openapi.operation import Argument, Fields, HttpCall, Operation
from heddle.wire.openapi.styles import Pairs, in_header, in_path, in_query, require_own_names

MAX_TARGET_BYTES = 32_768
MAX_FIELD_BYTES = 8_192
MAX_DECODINGS = 3
"""Times that a proxy and the servers behind it may decode a path, one after the other."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SEPARATORS = re.compile(r"[/\\]")

Given = list[tuple[Argument, Any]]


def build_request(operation: Operation, arguments: dict[str, Any]) -> HttpCall:
    """The request that calls an operation, without host and credentials.

    Every argument must be one of the tool's. Raises ProtocolError with the argument's name as `param`.
    """
    given = _given(operation, arguments)
    path = _path(operation, {one.wire_name: value for one, value in given if one.location == "path"})
    query = _pairs(operation, [entry for entry in given if entry[0].location == "query"])
    target = path + ("?" + "&".join([f"{name}={value}" for name, value in query]) if query else "")
    if len(target) > MAX_TARGET_BYTES:
        raise ProtocolError(f"arguments: the address would be longer than {MAX_TARGET_BYTES} bytes.", param="arguments")
    body, content_type = b"", ""
    if operation.body is not None:
        body, content_type = write_body(operation.body, [entry for entry in given if entry[0].location == "body"])
    return HttpCall(
        method=operation.method,
        target=target.encode("ascii"),
        headers=_headers(operation, given),
        body=body,
        content_type=content_type,
    )


def _given(operation: Operation, arguments: dict[str, Any]) -> Given:
    """The arguments of the call, in the order of the tool's. What is null is not given, except to bodies."""
    given: Given = []
    for argument in operation.arguments:
        value = arguments.get(argument.name)
        if value is not None or (argument.location == "body" and argument.name in arguments):
            given.append((argument, value))
        elif argument.required:
            raise ProtocolError(f"{argument.name}: this argument is required.", param=argument.name)
    known = {argument.name for argument in operation.arguments}
    for name in arguments:
        if name not in known:
            param = name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "arguments"
            raise ProtocolError(f"{param}: the tool has no such argument.", param=param)
    return given


# Path


def _path(operation: Operation, values: dict[str, Any]) -> str:
    by_name = {one.wire_name: one for one in operation.arguments if one.location == "path"}
    pieces = list(operation.pieces)
    for index in range(1, len(pieces), 2):
        argument = by_name[pieces[index]]
        pieces[index] = _in_segment(argument, values[argument.wire_name])
    return "".join(pieces)


def _in_segment(argument: Argument, value: Any) -> str:
    """One argument, written. It may hold slashes, which are encoded, but no steps that a decoder would walk."""
    text = in_path(argument, value)
    if _is_empty(value):
        raise ProtocolError(f"{argument.name}: expected a value that a path can hold.", param=argument.name)
    decoded = text
    for _ in range(MAX_DECODINGS):
        decoded = unquote(decoded)
        steps = (step.partition(";")[0].strip() for step in _SEPARATORS.split(decoded))
        if any(step in (".", "..") for step in steps) or any(char < " " or char == "\x7f" for char in decoded):
            raise ProtocolError(f"{argument.name}: expected a value that a path can hold.", param=argument.name)
    return text


def _is_empty(value: Any) -> bool:
    """Nothing, or something of which a part would be nothing: two slashes, or two commas, mean other things."""
    if not isinstance(value, list | dict):
        return bool(value == "")
    kept = [inner for inner in (value.values() if isinstance(value, dict) else value) if inner is not None]
    return not kept or "" in kept


# Query, cookies, fields


def _pairs(operation: Operation, given: Given) -> Pairs:
    pairs: Pairs = []
    for argument, value in given:
        pairs += in_query(argument, value)
        if isinstance(value, dict):
            require_own_names(argument, value, _taken(operation, argument))
    return pairs


def _taken(operation: Operation, argument: Argument) -> set[str]:
    """Names in the argument's location that are not its to choose."""
    location = argument.location
    taken = {one.wire_name.lower() for one in operation.arguments if one.location == location and one is not argument}
    return taken | {name for place, name in operation.credential_places if place == location}


def _headers(operation: Operation, given: Given) -> Fields:
    fields: Fields = [(b"accept", operation.accept.encode("ascii"))]
    for argument, value in given:
        if argument.location == "header":
            fields.append((argument.wire_name.lower().encode("ascii"), _bounded(argument, in_header(argument, value))))
    cookies = _pairs(operation, [entry for entry in given if entry[0].location == "cookie"])
    if cookies:
        text = "; ".join([f"{name}={value}" for name, value in cookies])
        if len(text) > MAX_FIELD_BYTES:
            raise ProtocolError(f"arguments: cookies of more than {MAX_FIELD_BYTES} bytes.", param="arguments")
        fields.append((b"cookie", text.encode("ascii")))
    return fields


def _bounded(argument: Argument, text: str) -> bytes:
    value = text.encode()
    if len(value) > MAX_FIELD_BYTES:
        detail = f"{argument.name}: a header field of more than {MAX_FIELD_BYTES} bytes."
        raise ProtocolError(detail, param=argument.name)
    return value
