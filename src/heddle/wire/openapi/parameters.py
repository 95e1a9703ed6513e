"""Parameter objects: where each argument goes and how it is written.

Owns which parameters a tool may offer. Not those that carry credentials (they are the gateway's to give), nor header
fields that frame the message, route it, or say who the caller is: a document cannot put them into a model's hands. As
the specification demands, header parameters called `Accept`, `Content-Type` and `Authorization` are ignored.

*Source:* OpenAPI Specification 3.1.1 section 4.8.12 (Parameter Object); RFC 9110 sections 5.1, 5.6.2 and 7.6.1.
"""

import re
from typing import Any, NamedTuple

from heddle.wire.openapi.flat import shapes_of
from heddle.wire.openapi.operation import Argument, Location
from heddle.wire.openapi.reading import (
    Document,
    field_bool,
    field_list,
    field_object,
    field_text,
    wrong,
)
from heddle.wire.openapi.schemas import Room, Schemas

MAX_ARGUMENTS = 256
"""Of one tool."""

LOCATIONS: tuple[Location, ...] = ("path", "query", "header", "cookie", "body")
"""In this order they get the names they want."""

_STYLES: dict[str, tuple[str, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_RESERVED = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-real-ip",
    }
)
_RESERVED_PREFIXES = ("x-forwarded-", "x-original-", "x-rewrite-", "x-envoy-", "x-http-method", "x-method-override")


class Input(NamedTuple):
    """An argument with what its tool says of it."""

    argument: Argument
    schema: dict[str, Any]


class Reader:
    """Reads the parameters of one tool, within one room for all their schemas."""

    __slots__ = ("document", "left", "schemas")

    def __init__(self, document: Document, schemas: Schemas) -> None:
        self.document = document
        self.schemas = schemas
        self.left = Room()

    def translate(self, value: Any, at: str) -> dict[str, Any]:
        """A schema that takes of this tool's room. Raises ProtocolError."""
        schema, size = self.schemas.translate(value, at, self.left)
        named = self.left.named - size
        self.left = Room(min(self.left.inline, named), named)
        return schema

    def parameters(self, item: dict[str, Any], at: str) -> dict[tuple[str, str], tuple[dict[str, Any], str]]:
        """The parameter objects of a path or an operation, by location and name, each with its place."""
        found: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        for index, value in enumerate(field_list(item, "parameters", at)):
            given, place = self.document.resolve(value, f"{at}.parameters[{index}]")
            location, name = field_text(given, "in", place), field_text(given, "name", place)
            if location not in _STYLES:
                raise wrong(f"{place}.in", "path, query, header or cookie")
            if not name or len(name) > 256:
                raise wrong(f"{place}.name", "a name of at most 256 characters")
            key = location, name.lower() if location == "header" else name
            if key in found:
                raise wrong(place, "each parameter once")
            found[key] = given, place
            if len(found) > MAX_ARGUMENTS:
                raise wrong(f"{at}.parameters", f"at most {MAX_ARGUMENTS} parameters")
        return found

    def input(self, given: dict[str, Any], at: str) -> Input:
        """One parameter, under the name that it has on the wire."""
        location: Any = given["in"]
        name = str(given["name"])
        if location in ("header", "cookie") and not _TOKEN.fullmatch(name):
            raise wrong(f"{at}.name", "a name that HTTP allows there")
        style = field_text(given, "style", at, _STYLES[location][0])
        if style not in _STYLES[location]:
            raise wrong(f"{at}.style", f"one of {', '.join(_STYLES[location])}, in {location}")
        schema, content_type = self._described(given, at)
        argument = Argument(
            name=name,
            wire_name=name,
            location=location,
            required=field_bool(given, "required", at) or location == "path",
            style=style,
            explode=field_bool(given, "explode", at, default=style == "form"),
            allow_reserved=field_bool(given, "allowReserved", at) and location == "query",
            shapes=shapes_of(schema),
            content_type=content_type,
        )
        description = field_text(given, "description", at)
        if description:
            schema = {**schema, "description": description}
        if given.get("deprecated") is True:
            schema = {**schema, "deprecated": True}
        return Input(argument, schema)

    def _described(self, given: dict[str, Any], at: str) -> tuple[dict[str, Any], str]:
        """The schema of a parameter, and its media type where it is written as one."""
        content = field_object(given, "content", at)
        if len(content) > 1 or (given.get("schema") is None) == (not content):
            raise wrong(at, "either a schema or one media type in `content`")
        if not content:
            return self.translate(given["schema"], f"{at}.schema"), ""
        [(media_type, value)] = content.items()
        if not isinstance(media_type, str):
            raise wrong(f"{at}.content", "a media type")
        place = f"{at}.content.{media_type}"
        described, place = self.document.resolve(value, place)
        schema = described.get("schema")
        return self.translate(True if schema is None else schema, f"{place}.schema"), media_type


def is_reserved(location: str, name: str, credential_places: frozenset[tuple[str, str]]) -> bool:
    """Whether a parameter is not the caller's to give."""
    lower = name.lower()
    if (location, lower) in credential_places:
        return True
    if location == "header":
        return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)
    return location == "cookie" and ("header", "cookie") in credential_places
