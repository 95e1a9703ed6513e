"""How heads of HTTP/1.1 messages are written.

Owns the refusal of response splitting: no field leaves that would end its line. Fields that say where a message
ends are left out of what it is given; whoever sends the body vouches for those.

*Source:* RFC 9112 sections 3, 4 and 5; RFC 9110 section 5.5 (on CR, LF and NUL in values).
"""

import re
from http import HTTPStatus
from typing import Final

from heddle.wire.http1 import COMMON_NAMES, FRAMING_FIELDS, TOKEN, Fields

# What `net` writes itself, and drops from what it is given to write.
_WRITTEN_BY_NET: Final = FRAMING_FIELDS | {
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"upgrade",
    b"proxy-connection",
}
_NOT_IN_RESPONSES: Final = _WRITTEN_BY_NET | {b"date"}
_NOT_IN_REQUESTS: Final = _WRITTEN_BY_NET | {b"host"}
_LIMITS: Final = [
    f"x-ratelimit-{part}-{unit}" for part in ("limit", "remaining", "reset") for unit in ("requests", "tokens")
]
_PREFIXES: Final = {name: b"\r\n" + name + b": " for name in (*COMMON_NAMES, *(name.encode() for name in _LIMITS))}
_RESPONSE_PREFIXES: Final = {name: prefix for name, prefix in _PREFIXES.items() if name not in _NOT_IN_RESPONSES}
_REQUEST_PREFIXES: Final = {name: prefix for name, prefix in _PREFIXES.items() if name not in _NOT_IN_REQUESTS}
# One look for all of them.
_UNFIT: Final = re.compile(rb"[ \r\n\0]").search


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %b" % (status, phrase.encode())


_STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


def encode_response_head(status: int, fields: Fields, framing: bytes) -> bytes:
    """Write an answer's head. `framing` is complete lines (`name: value` CR LF) that the caller vouches for.

    Otherwise as `encode_response_start`.
    """
    return encode_response_start(status, fields) + framing + b"\r\n"


def encode_response_start(status: int, fields: Fields) -> bytes:
    """The status line and `fields`; what is left of the head are complete lines and an empty one.

    Fields that say where a message ends, and `date`, are left out: they belong to those lines. Raises
    ValueError for a field that would end its line (response splitting) or is not a header field at all.
    """
    known = _RESPONSE_PREFIXES
    try:
        lines = [known[name] + value for name, value in fields]
    except KeyError:
        lines = _lines(fields, _NOT_IN_RESPONSES)
    return _STATUS_LINES[status] + _checked(lines) + b"\r\n"


def encode_request_fields(fields: Fields) -> bytes:
    """Fields of a request, checked and written once for many heads: the `lines` of `encode_request_head`."""
    return _checked(_lines(fields, _NOT_IN_REQUESTS))


def encode_request_head(method: bytes, target: bytes, fields: Fields, framing: bytes, lines: bytes = b"") -> bytes:
    """Write a request's head; like `encode_response_head`. `framing` carries host, length and connection lines."""
    if not target or _UNFIT(target) is not None:
        raise ValueError("a request target must not be empty or contain spaces, line ends or NUL")
    if not fields:
        return b"%b %b HTTP/1.1%b\r\n%b\r\n" % (method, target, lines, framing)
    known = _REQUEST_PREFIXES
    try:
        own = [known[name] + value for name, value in fields]
    except KeyError:
        own = _lines(fields, _NOT_IN_REQUESTS)
    return b"%b %b HTTP/1.1%b%b\r\n%b\r\n" % (method, target, lines, _checked(own), framing)


def _checked(lines: list[bytes]) -> bytes:
    """The lines in one, each with the line end before it; any other line end or NUL in them is refused."""
    text = b"".join(lines)
    ends = len(lines)
    if text.count(b"\n") != ends or text.count(b"\r") != ends or b"\0" in text:
        raise ValueError("a header field contains a line end or NUL")
    return text


def _lines(fields: Fields, left_out: frozenset[bytes]) -> list[bytes]:
    """Like the comprehensions above, for names in any spelling."""
    lines = []
    for name, value in fields:
        lowered = name.lower()
        if lowered in left_out:
            continue
        if lowered not in _PREFIXES and not TOKEN.fullmatch(name):
            raise ValueError("the name of a header field is not a token")
        lines.append(b"\r\n" + lowered + b": " + value)
    return lines
