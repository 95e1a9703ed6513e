"""How heads of HTTP/1.1 messages are written.

Owns the refusal of response splitting: no field leaves that would end its line. Fields that say where a message
ends are left out of what it is given; whoever sends the body vouches for those.

*Source:* RFC 9112 sections 3, 4 and 5; RFC 9110 section 5.5 (on CR, LF and NUL in values).
"""

from http import HTTPStatus

from heddle.wire.http1 import COMMON_NAMES, FRAMING_FIELDS, TOKEN, Fields

# What `net` writes itself is dropped from what it is given to write (an empty prefix).
_WRITTEN_BY_NET = FRAMING_FIELDS | {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"proxy-connection"}
_RESPONSE_PREFIXES = {name: b"" if name in _WRITTEN_BY_NET else name + b": " for name in COMMON_NAMES}
_REQUEST_PREFIXES = {**_RESPONSE_PREFIXES, b"host": b""}
_RESPONSE_PREFIXES[b"date"] = b""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %b" % (status, phrase.encode())


_STATUS_LINES = {status: _status_line(status) for status in range(100, 600)}


def encode_response_head(status: int, fields: Fields, framing: bytes) -> bytes:
    """Write an answer's head. `framing` is complete lines (`name: value` CR LF) that the caller vouches for.

    Fields that say where a message ends, and `date`, are left out: they belong to `framing`. Raises
    ValueError for a field that would end its line (response splitting) or is not a header field at all.
    """
    lines = [_STATUS_LINES[status]]
    for name, value in fields:
        prefix = _RESPONSE_PREFIXES.get(name)
        if prefix is None:
            prefix = _prefix(name, _RESPONSE_PREFIXES)
        if prefix:
            lines.append(prefix + value)
    return _join(lines, framing)


def encode_request_head(method: bytes, target: bytes, fields: Fields, framing: bytes) -> bytes:
    """Write a request's head; like `encode_response_head`. `framing` carries host, length and connection lines."""
    if b" " in target or not target:
        raise ValueError("a request target must not be empty or contain spaces")
    lines = [method + b" " + target + b" HTTP/1.1"]
    for name, value in fields:
        prefix = _REQUEST_PREFIXES.get(name)
        if prefix is None:
            prefix = _prefix(name, _REQUEST_PREFIXES)
        if prefix:
            lines.append(prefix + value)
    return _join(lines, framing)


def _join(lines: list[bytes], framing: bytes) -> bytes:
    head = b"\r\n".join(lines)
    ends = len(lines) - 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise ValueError("a header field contains a line end or NUL")
    return head + b"\r\n" + framing + b"\r\n"


def _prefix(name: bytes, known: dict[bytes, bytes]) -> bytes:
    lowered = name.lower()
    if lowered in known:
        return known[lowered]
    if not TOKEN.fullmatch(name):
        raise ValueError("the name of a header field is not a token")
    return lowered + b": "
