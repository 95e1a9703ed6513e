"""Request bodies: which of the media types offered is written, and which arguments it is made of.

Owns that choice (JSON, then forms, then text, then bytes) and the decision whether a body's properties become arguments
of their own. They do when they are all that its schema says; a body that is a choice of schemas, open to further names,
or optional while some of its properties are required stays one argument, `body`.

*Source:* OpenAPI Specification 3.0.4 sections 4.7.13 to 4.7.15, 3.1.1 sections 4.8.13 to 4.8.15 (Request Body, Media
Type, Encoding).
"""

import re
from typing import Any, NamedTuple

import msgspec

from heddle.wire.openapi.flat import Flat, flatten, shapes_of
from heddle.wire.openapi.operation import Argument, Body, BodyKind, Shape
from heddle.wire.openapi.parameters import Input, Reader
from heddle.wire.openapi.reading import field_bool, field_object, field_text, object_at, wrong

Schema = dict[str, Any]

_MEDIA_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,64}|\*)/([a-z0-9!#$&^_.+-]{1,96}|\*)(?:[ \t]*;[\x20-\x7e]{0,128})?")
_ORDER: tuple[BodyKind, ...] = ("json", "form", "multipart", "text", "binary")
_PLAIN: frozenset[Shape] = frozenset({"plain"})
_WHOLE_SHAPES: dict[BodyKind, frozenset[Shape]] = {
    "json": frozenset({"plain", "array", "object"}),
    "form": frozenset({"object"}),
    "multipart": frozenset({"object"}),
}
_INSTEAD_OF_RANGES = {"json": "application/json", "text": "text/plain", "binary": "application/octet-stream"}


class Content(NamedTuple):
    """A body and the arguments it is made of."""

    body: Body
    inputs: tuple[Input, ...]


def kind_of(media_type: str) -> BodyKind:
    """How content of a media type is written."""
    name = media_type.partition(";")[0].strip().lower()
    if name in ("*/*", "application/*") or is_json(name):
        return "json"
    if name == "application/x-www-form-urlencoded":
        return "form"
    if name == "multipart/form-data":
        return "multipart"
    return "text" if name.startswith("text/") or name.endswith(("/xml", "+xml", "/yaml", "+yaml")) else "binary"


def is_json(media_type: str) -> bool:
    """Whether a media type, in lower case and without parameters, is JSON."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def read_content(reader: Reader, item: dict[str, Any], at: str) -> Content | None:
    """The body of an operation, or None where it has none. Raises ProtocolError."""
    if item.get("requestBody") is None:
        return None
    given, at = reader.document.resolve(item["requestBody"], f"{at}.requestBody")
    required = field_bool(given, "required", at)
    media_type, value = _chosen(field_object(given, "content", at), f"{at}.content")
    place = f"{at}.content.{media_type}"
    offered = object_at(value, place)
    schema = offered.get("schema")
    translated = reader.translate(True if schema is None else schema, f"{place}.schema")
    kind = kind_of(media_type)
    stated = _INSTEAD_OF_RANGES.get(kind, media_type) if "*" in media_type else media_type
    body = Body(kind=kind, content_type=stated, required=required)
    encoding = field_object(offered, "encoding", place) if kind in ("form", "multipart") else {}
    flat = flatten(translated) if kind in ("json", "form", "multipart") else None
    listed = flat or Flat(translated.get("properties", {}), frozenset())
    parts = _parts(listed, translated, (kind, encoding, f"{place}.encoding"))
    if flat is not None and (required or not flat.required):
        return Content(msgspec.structs.replace(body, parts=tuple(part.argument for part in parts)), parts)
    description = field_text(given, "description", at)
    return _whole(body, translated, description, parts)


def _chosen(content: dict[Any, Any], at: str) -> tuple[str, Any]:
    """The media type that is easiest to write; the first of equal ones."""
    if not content:
        raise wrong(at, "at least one media type")
    for media_type in content:
        if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type.lower()):
            raise wrong(at, "media types")
    chosen = min(content, key=lambda media_type: ("*" in media_type, _ORDER.index(kind_of(media_type))))
    return chosen, content[chosen]


def _parts(flat: Flat, schema: Schema, how: tuple[BodyKind, dict[str, Any], str]) -> tuple[Input, ...]:
    defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return tuple(_part(name, {**inner, **defs}, name in flat.required, how) for name, inner in flat.properties.items())


def _part(name: str, schema: Schema, required: bool, how: tuple[BodyKind, dict[str, Any], str]) -> Input:
    kind, encoding, at = how
    at = f"{at}.{name}"
    stated = object_at(encoding.get(name, {}), at)
    styled = any(key in stated for key in ("style", "explode", "allowReserved")) and kind == "form"
    shapes = shapes_of(schema)
    binary = kind == "multipart" and _is_binary(schema)
    style = field_text(stated, "style", at, "form")
    if style not in ("form", "spaceDelimited", "pipeDelimited", "deepObject"):
        raise wrong(f"{at}.style", "form, spaceDelimited, pipeDelimited or deepObject")
    content_type = _part_type(field_text(stated, "contentType", at), schema, binary, at)
    if not content_type and not styled and "object" in shapes:
        content_type = "application/json"
    argument = Argument(
        name=name,
        wire_name=name,
        location="body",
        required=required,
        style=style,
        explode=field_bool(stated, "explode", at, default=style == "form"),
        shapes=shapes,
        content_type="" if styled else content_type,
        binary=binary,
    )
    return Input(argument, _as_base64(schema) if binary else schema)


def _part_type(stated: str, schema: Schema, binary: bool, at: str) -> str:
    """Of several that are stated, the first; a range says nothing."""
    given = stated.partition(",")[0].strip()
    if given and not _MEDIA_TYPE.fullmatch(given.lower()):
        raise wrong(f"{at}.contentType", "a media type")
    if given and "*" not in given:
        return given
    if not binary:
        return ""
    inner = schema.get("items", schema)
    named = inner.get("contentMediaType", "")
    return named if _MEDIA_TYPE.fullmatch(named.lower()) and "*" not in named else "application/octet-stream"


def _is_binary(schema: Schema) -> bool:
    """Bytes as they are: 3.0 says `format: binary`, 3.1 a media type without an encoding."""
    inner = schema.get("items", schema)
    if inner.get("type", "string") not in ("string", ["string", "null"]) or "contentEncoding" in inner:
        return False
    return inner.get("format") == "binary" or kind_of(inner.get("contentMediaType", "text/plain")) == "binary"


def _as_base64(schema: Schema) -> Schema:
    """JSON has no bytes: the argument is text that stands for them."""
    if "items" in schema:
        return {**schema, "items": _as_base64(schema["items"])}
    kept = {key: value for key, value in schema.items() if key != "format"}
    return {"type": "string", **kept, "contentEncoding": "base64"}


def _whole(body: Body, schema: Schema, description: str, parts: tuple[Input, ...]) -> Content:
    """The body as one argument."""
    binary = body.kind == "binary"
    if binary:
        schema = _as_base64({key: value for key, value in schema.items() if key in ("title", "description")})
    if description and "description" not in schema:
        schema = {**schema, "description": description}
    argument = Argument(
        name="body",
        wire_name="body",
        location="body",
        required=body.required,
        shapes=_WHOLE_SHAPES.get(body.kind, _PLAIN),
        binary=binary,
    )
    parts_of = tuple(part.argument for part in parts)
    body = msgspec.structs.replace(body, whole=argument, parts=parts_of)
    return Content(body, (Input(argument, schema),))
