"""How the lines of records are put together, call by call: the time, and an access record's own facts before what
calls of its kind share.

Apart from the structs that are written, because this is compiled (ADR 17).
*Source:* RFC 3339 section 5.6 (time).
"""

import time
from typing import Final

import msgspec

from heddle.telemetry.records import AccessFacts

_MILLIS: Final = tuple(f".{milli:03d}Z" for milli in range(1000))
_encode: Final = msgspec.json.Encoder().encode


class _Second:
    """The second that was formatted last: calls come thousands to the second."""

    __slots__ = ("text", "unix")

    def __init__(self) -> None:
        self.unix = -1
        self.text = ""


_second: Final = _Second()


def timestamp(unix_s: float) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T08:00:00.125Z`."""
    whole = int(unix_s)
    if whole != _second.unix:
        _second.text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _second.unix = whole
    return _second.text + _MILLIS[int((unix_s - whole) * 1000)]


def access_line(facts: AccessFacts, tail: bytes) -> bytes:
    """An access record as one JSON line with its newline, from its facts and the `access_tail` of its kind."""
    return _encode(facts)[:-1] + tail
