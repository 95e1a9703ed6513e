"""How values are written into paths, queries, fields and cookies.

Owns every style of OpenAPI, over plain values, arrays and objects of such. Whatever a value holds is percent-encoded
where the style does not itself put it, so that a value never becomes two, or another parameter. Where the
specification leaves a case open, this is what is done: null is a value that is not given; arrays inside of `deepObject`
are written with indices; `allowReserved` keeps what a query can hold and no parser takes for a delimiter.

*Source:* OpenAPI Specification 3.1.1 section 4.8.12.2 to 4.8.12.6 and appendices C and D; RFC 6570 sections 2.3 and
3.2; RFC 3986 sections 2.2, 2.3 and 3.4.
"""

import json
import math
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote, quote_plus

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.content import is_json
from heddle.wire.openapi.operation import Argument, Shape

Pairs = list[tuple[str, str]]
"""Encoded names and values."""
Encode = Callable[[str], str]

MAX_DEEP = 8
"""Objects inside of objects, in `deepObject`."""
MAX_INTEGER_BITS = 4_096

_DELIMITERS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_ENCODED_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}
_WANTED: dict[Shape, str] = {"plain": "a plain value", "array": "an array", "object": "an object"}


def encoded(text: str) -> str:
    """Everything but unreserved characters percent-encoded."""
    return quote(text, safe="")


def form_encoded(text: str) -> str:
    """As in the bodies of forms: a space is a plus sign."""
    return quote_plus(text, safe="")


def with_reserved(text: str) -> str:
    """`allowReserved`: without `&`, `+`, `#`, `;` and brackets, which parsers of queries give a meaning."""
    return quote(text, safe=":/?@!$'()*,=")


def json_text(value: Any, at: str) -> str:
    """A value as JSON. Raises ProtocolError for numbers and text that JSON, or UTF-8, cannot hold."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (ValueError, RecursionError):
        raise ProtocolError(f"{at}: expected a value that JSON can hold.", param=at) from None
    return text


def shape_of(value: Any) -> Shape:
    """Which of the three shapes a value has."""
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "plain"


def require_shape(argument: Argument, value: Any) -> None:
    """Raises ProtocolError when a value has a shape that its schema does not allow."""
    if shape_of(value) not in argument.shapes:
        expected = " or ".join(words for shape, words in _WANTED.items() if shape in argument.shapes)
        raise ProtocolError(f"{argument.name}: expected {expected}.", param=argument.name)


def require_own_names(argument: Argument, value: Any, taken: Collection[str]) -> None:
    """Raises ProtocolError when an exploded object, which chooses names of its own, chooses one of `taken`.

    Policies judge arguments by name: a second value under a judged one's name would pass unseen.
    """
    if not isinstance(value, dict) or not argument.explode or argument.content_type or argument.style == "deepObject":
        return
    for name in value:
        lower = name.lower()
        if lower in taken or lower.partition("[")[0] in taken:
            raise ProtocolError(f"{argument.name}: a name inside belongs to another parameter.", param=argument.name)


def plain(value: Any, at: str) -> str:
    """A plain value as text. Raises ProtocolError for anything else."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ProtocolError(f"{at}: expected text of characters.", param=at)
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= MAX_INTEGER_BITS:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        # 1.0 and 1 are the same number of JSON; services that want an integer accept only one of them.
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    raise ProtocolError(f"{at}: expected plain values inside.", param=at)


def items(value: list[Any], at: str) -> list[str]:
    """The members of an array as text, without nulls."""
    return [plain(inner, at) for inner in value if inner is not None]


def members(value: dict[str, Any], at: str) -> Pairs:
    """The members of an object as text, without nulls."""
    return [(plain(name, at), plain(inner, at)) for name, inner in value.items() if inner is not None]


def as_media(argument: Argument, value: Any) -> str:
    """A value in the media type that the argument is written as."""
    if is_json(argument.content_type.partition(";")[0].strip().lower()):
        return json_text(value, argument.name)
    return plain(value, argument.name)


def in_path(argument: Argument, value: Any) -> str:
    """What stands in the path. Raises ProtocolError."""
    at = argument.name
    if argument.content_type:
        return encoded(as_media(argument, value))
    require_shape(argument, value)
    if isinstance(value, dict):
        pairs = [(encoded(name), encoded(inner)) for name, inner in members(value, at)]
        listed = [f"{name}={inner}" if argument.explode else f"{name},{inner}" for name, inner in pairs]
        named = False
    else:
        listed = [encoded(text) for text in (items(value, at) if isinstance(value, list) else [plain(value, at)])]
        named = True
    if argument.style == "simple":
        return ",".join(listed)
    if argument.style == "label":
        return "." + (("." if argument.explode else ",").join(listed))
    name = encoded(argument.wire_name)
    if not argument.explode:
        return f";{name}={','.join(listed)}"
    return "".join([f";{name}={inner}" if named else f";{inner}" for inner in listed])


def in_query(argument: Argument, value: Any, encode: Encode = encoded) -> Pairs:
    """Names and values of a query, a form or a cookie. Raises ProtocolError."""
    at, name = argument.name, encode(argument.wire_name)
    inner = with_reserved if argument.allow_reserved else encode
    if argument.content_type:
        return [(name, inner(as_media(argument, value)))]
    require_shape(argument, value)
    if argument.style == "deepObject" and isinstance(value, dict | list):
        return [(encode(key), inner(text)) for key, text in _deep(argument.wire_name, value, at, 0)]
    if isinstance(value, dict):
        pairs = [(encode(key), inner(text)) for key, text in members(value, at)]
        if argument.explode:
            return pairs
        listed = [text for pair in pairs for text in pair]
        _require_no_delimiter(argument, [text for pair in members(value, at) for text in pair])
    elif isinstance(value, list):
        # The delimiter is the style's: it is encoded wherever a member has it.
        listed = [(inner if argument.explode else encode)(text) for text in items(value, at)]
        if argument.explode or not listed:
            return [(name, text) for text in listed]
        _require_no_delimiter(argument, items(value, at))
    else:
        listed = [inner(plain(value, at))]
    return [(name, _DELIMITERS.get(argument.style, ",").join(listed))]


def _require_no_delimiter(argument: Argument, texts: list[str]) -> None:
    """These two delimiters are themselves percent-encoded, so that nothing tells them from a member's own."""
    delimiter = _ENCODED_DELIMITERS.get(argument.style)
    if delimiter is not None and any(delimiter in text for text in texts):
        detail = f"{argument.name}: there is no way to write a value that holds the delimiter ({delimiter!r})."
        raise ProtocolError(detail, param=argument.name)


def _deep(name: str, value: Any, at: str, depth: int) -> Pairs:
    if depth > MAX_DEEP:
        raise ProtocolError(f"{at}: objects are nested more than {MAX_DEEP} deep.", param=at)
    if isinstance(value, dict):
        inside = [(f"{name}[{plain(key, at)}]", inner) for key, inner in value.items()]
    elif isinstance(value, list):
        inside = [(f"{name}[{index}]", inner) for index, inner in enumerate(value)]
    else:
        return [(name, plain(value, at))]
    return [pair for key, inner in inside if inner is not None for pair in _deep(key, inner, at, depth + 1)]


def in_header(argument: Argument, value: Any) -> str:
    """The value of a field. Raises ProtocolError for what would end it, or split it."""
    at = argument.name
    if argument.content_type:
        return _field_value(as_media(argument, value), at)
    require_shape(argument, value)
    if isinstance(value, list):
        listed = items(value, at)
    elif isinstance(value, dict):
        equals = "=" if argument.explode else ","
        pairs = members(value, at)
        if any("," in text for pair in pairs for text in pair):
            raise ProtocolError(f"{at}: a header field has no way to write a comma inside of a value.", param=at)
        return _field_value(",".join([f"{name}{equals}{inner}" for name, inner in pairs]), at)
    else:
        return _field_value(plain(value, at), at)
    if any("," in text for text in listed):
        raise ProtocolError(f"{at}: a header field has no way to write a comma inside of a value.", param=at)
    return _field_value(",".join(listed), at)


def _field_value(text: str, at: str) -> str:
    if any(char < " " or char == "\x7f" for char in text):
        raise ProtocolError(f"{at}: a header field cannot hold control characters.", param=at)
    return text.strip()
