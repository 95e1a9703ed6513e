"""OpenAPI version 2 as protobuf, which kubectl up to 1.26 and Argo CD ask for and do not do without.

A message is a table: the field of the JSON document, its number and how it is written. What a table does not name is an
extension (`x-...`), and goes where its message keeps those.
*Source:* google/gnostic `openapiv2/OpenAPIv2.proto`; Protocol Buffers, "Encoding".
"""

import struct
from collections.abc import Callable
from typing import Any

import msgspec

Writer = Callable[[Any], bytes]
Table = dict[str, tuple[int, "Write"]]
Write = Callable[[int, Any], bytes]


def encode_document(document: dict[str, Any]) -> bytes:
    """The protobuf form of a version 2 document."""
    return _message(_DOCUMENT, 16, document)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, value: Any) -> bytes:
    return _delimited(number, str(value).encode())


def _texts(number: int, value: Any) -> bytes:
    return b"".join(_text(number, one) for one in value)


def _whole(number: int, value: Any) -> bytes:
    """A count or a flag."""
    return _varint(number << 3) + _varint(int(value))


def _double(number: int, value: Any) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _any(value: Any) -> bytes:
    """Any value, as YAML: JSON is YAML."""
    return _text(2, msgspec.json.encode(value).decode() + "\n")


def _free(number: int, value: Any) -> bytes:
    return _delimited(number, _any(value))


def _frees(number: int, value: Any) -> bytes:
    return b"".join(_free(number, one) for one in value)


def _named(number: int, name: str, value: bytes) -> bytes:
    """An entry of a mapping."""
    return _delimited(number, _text(1, name) + _delimited(2, value))


def _message(table: Table, extensions: int, value: dict[str, Any]) -> bytes:
    """A message, its fields in the order of the document."""
    made: list[bytes] = []
    for key, one in value.items():
        if key in table:
            number, write = table[key]
            made.append(write(number, one))
        elif key.startswith("x-"):
            made.append(_named(extensions, key, _any(one)))
    return b"".join(made)


def _part(table: Table, extensions: int) -> Write:
    return lambda number, value: _delimited(number, _message(table, extensions, value))


def _mapping(number: int, value: dict[str, Any], write: Writer, field: int = 1) -> bytes:
    """A message that is a mapping: its entries are its field `field`."""
    return _delimited(number, b"".join(_named(field, name, write(one)) for name, one in value.items()))


def _schema(value: dict[str, Any]) -> bytes:
    return _message(_SCHEMA, 31, value)


def _types(number: int, value: Any) -> bytes:
    return _delimited(number, _texts(1, [value] if isinstance(value, str) else value))


def _additional(number: int, value: Any) -> bytes:
    if isinstance(value, bool):
        return _delimited(number, _whole(2, value))
    return _delimited(number, _delimited(1, _schema(value)))


_SCHEMA: Table = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _free),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _whole),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _whole),
    "maxLength": (11, _whole),
    "minLength": (12, _whole),
    "pattern": (13, _text),
    "maxItems": (14, _whole),
    "minItems": (15, _whole),
    "uniqueItems": (16, _whole),
    "maxProperties": (17, _whole),
    "minProperties": (18, _whole),
    "required": (19, _texts),
    "enum": (20, _frees),
    "additionalProperties": (21, _additional),
    "type": (22, _types),
    "items": (23, lambda number, value: _delimited(number, _delimited(1, _schema(value)))),
    "allOf": (24, lambda number, value: b"".join(_delimited(number, _schema(one)) for one in value)),
    "properties": (25, lambda number, value: _mapping(number, value, _schema)),
}
_INFO: Table = {"title": (1, _text), "version": (2, _text), "description": (3, _text)}
_BODY: Table = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _whole),
    "schema": (5, lambda number, value: _delimited(number, _schema(value))),
}
_PATH_PARAMETER: Table = {
    "required": (1, _whole),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "uniqueItems": (19, _whole),
}
_QUERY_PARAMETER: Table = {
    "required": (1, _whole),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "uniqueItems": (20, _whole),
}


def _parameter(value: dict[str, Any]) -> bytes:
    """A ParametersItem. Which message it is depends on where the parameter stands."""
    if value["in"] == "body":
        return _delimited(1, _delimited(1, _message(_BODY, 6, value)))
    in_path = value["in"] == "path"
    content = _message(_PATH_PARAMETER, 22, value) if in_path else _message(_QUERY_PARAMETER, 23, value)
    return _delimited(1, _delimited(2, _delimited(4 if in_path else 3, content)))


def _parameters(number: int, value: Any) -> bytes:
    return b"".join(_delimited(number, _parameter(one)) for one in value)


_RESPONSE: Table = {
    "description": (1, _text),
    "schema": (2, lambda number, value: _delimited(number, _delimited(1, _schema(value)))),
}


def _response(value: dict[str, Any]) -> bytes:
    return _delimited(1, _message(_RESPONSE, 5, value))


_OPERATION: Table = {
    "tags": (1, _texts),
    "summary": (2, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _texts),
    "consumes": (7, _texts),
    "parameters": (8, _parameters),
    "responses": (9, lambda number, value: _mapping(number, value, _response)),
    "schemes": (10, _texts),
}
_PATH: Table = {
    "get": (2, _part(_OPERATION, 13)),
    "put": (3, _part(_OPERATION, 13)),
    "post": (4, _part(_OPERATION, 13)),
    "delete": (5, _part(_OPERATION, 13)),
    "patch": (8, _part(_OPERATION, 13)),
    "parameters": (9, _parameters),
}
_DOCUMENT: Table = {
    "swagger": (1, _text),
    "info": (2, _part(_INFO, 7)),
    "paths": (8, lambda number, value: _mapping(number, value, lambda one: _message(_PATH, 10, one), 2)),
    "definitions": (9, lambda number, value: _mapping(number, value, _schema)),
}
