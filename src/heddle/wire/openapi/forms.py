"""Bodies of requests: JSON, forms of both kinds, text, bytes.

Owns how arguments become content. Bytes come as base64 and are checked; the names of parts are escaped as browsers do;
the boundary of a form follows from its content, which therefore cannot contain it by design.

*Source:* OpenAPI Specification 3.1.1 sections 4.8.14 and 4.8.15 (Media Type, Encoding); WHATWG URL section 5 and HTML,
"Multipart form data", as of 2026-11; RFC 7578 sections 4.1 to 4.5; RFC 4648 section 4.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.content import is_json
from heddle.wire.openapi.operation import Argument, Body
from heddle.wire.openapi.styles import (
    Pairs,
    as_media,
    form_encoded,
    in_query,
    json_text,
    plain,
    require_own_names,
    require_shape,
    shape_of,
)

BOUNDARY_DIGITS = 48
"""Of its digest that a form's boundary has: nobody finds content that holds its own."""

Given = list[tuple[Argument, Any]]

_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_ANY_SHAPE: Any = frozenset({"plain", "array", "object"})


def write_body(body: Body, given: Given) -> tuple[bytes, str]:
    """The content and its media type; both are empty when nothing was given and nothing is required."""
    if body.whole is not None:
        if not given:
            return b"", ""
        value = given[0][1]
        if body.kind not in ("form", "multipart"):
            return _single(body, body.whole, value), body.content_type
        require_shape(body.whole, value)
        given = _properties(body, value)
    elif not given and not body.required:
        return b"", ""
    if body.kind == "json":
        return json_text({one.wire_name: value for one, value in given}, "body").encode(), body.content_type
    if body.kind == "form":
        return _form(given, body.parts), body.content_type
    return _multipart(given)


def _single(body: Body, argument: Argument, value: Any) -> bytes:
    if body.kind == "json":
        return json_text(value, argument.name).encode()
    require_shape(argument, value)
    return _decoded(value, argument.name) if body.kind == "binary" else plain(value, argument.name).encode()


def _properties(body: Body, value: dict[str, Any]) -> Given:
    """The members of a form that is one argument, those that its schema does not list included."""
    known = {part.wire_name: part for part in body.parts}
    return [(known.get(name) or _unlisted(name, inner), inner) for name, inner in value.items()]


def _unlisted(name: str, value: Any) -> Argument:
    content_type = "application/json" if shape_of(value) == "object" else ""
    wire_name = plain(name, "body")
    return Argument(
        name="body",
        wire_name=wire_name,
        location="body",
        style="form",
        explode=True,
        shapes=_ANY_SHAPE,
        content_type=content_type,
    )


def _form(given: Given, listed: Iterable[Argument]) -> bytes:
    names = {one.wire_name.lower() for one in listed} | {one.wire_name.lower() for one, _ in given}
    pairs: Pairs = []
    for argument, value in given:
        for one in _repeated(argument, value):
            pairs += in_query(argument, one, form_encoded) if one is not None else ()
        if isinstance(value, dict):
            require_own_names(argument, value, names - {argument.wire_name.lower()})
    return "&".join([f"{name}={value}" for name, value in pairs]).encode()


def _repeated(argument: Argument, value: Any) -> Iterable[Any]:
    """Each member of an array on its own, where members have a media type."""
    return value if argument.content_type and isinstance(value, list) else (value,)


def _multipart(given: Given) -> tuple[bytes, str]:
    parts = [part for argument, value in given if value is not None for part in _parts(argument, value)]
    digest = sha256()
    for head, content in parts:
        digest.update(b"%d:%d:" % (len(head), len(content)))
        digest.update(head)
        digest.update(content)
    # "Boundary delimiters must not be longer than 70 characters": RFC 2046 section 5.1.1.
    boundary = f"heddle-{digest.hexdigest()[:BOUNDARY_DIGITS]}"
    lines = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head, content) for head, content in parts]
    return b"".join([*lines, b"--%b--\r\n" % boundary.encode()]), f"multipart/form-data; boundary={boundary}"


def _parts(argument: Argument, value: Any) -> Iterable[tuple[bytes, bytes]]:
    """Heads and contents; an array is as many parts of one name."""
    require_shape(argument, value)
    name = argument.wire_name.translate(_ESCAPES)
    for one in value if isinstance(value, list) else (value,):
        head = f'Content-Disposition: form-data; name="{name}"'
        if argument.binary:
            content = _decoded(one, argument.name)
            head += f'; filename="{name}"'
        elif argument.content_type or isinstance(one, dict):
            content = _text(argument, one).encode()
        else:
            content = plain(one, argument.name).encode()
        content_type = argument.content_type or ("application/json" if isinstance(one, dict) else "")
        if content_type:
            head += f"\r\nContent-Type: {content_type}"
        yield head.encode(), content


def _text(argument: Argument, value: Any) -> str:
    """A part in its media type; objects are JSON whatever that is, for nothing else can hold them."""
    if isinstance(value, dict) or is_json(argument.content_type.partition(";")[0].strip().lower()):
        return json_text(value, argument.name)
    return as_media(argument, value)


def _decoded(value: Any, at: str) -> bytes:
    try:
        if isinstance(value, str):
            return b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pass
    raise ProtocolError(f"{at}: expected bytes as base64.", param=at)
