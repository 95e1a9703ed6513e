"""Amazon's event stream: length-prefixed binary frames with typed headers and two checksums.

Owns framing. `Splitter` cuts a byte stream into whole frames without changing a byte, which is what a gateway
forwards; `decode` reads one of them, `encode` writes one. The bytes may be cut anywhere and give the same frames. What
is no event stream is refused by its first twelve bytes: the prelude has a checksum of its own, so no invented length
is ever waited for.

*Source:* AWS, "Amazon Transcribe: event stream encoding", and Smithy, "application/vnd.amazon.eventstream"
specification (message, prelude, headers 0 to 9, limits), as of 2026-11.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from heddle.wire.errors import ProtocolError

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
MAX_FRAME_BYTES = 8 * 1024 * 1024
"""Largest frame that is waited for. The format allows 24 MiB; what an answer streams is small, a picture the most."""
MAX_HEADERS_BYTES = 128 * 1024
"""The format's own bound."""

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_PRELUDE_BYTES = 12
_FRAME_BYTES = 16
"""A frame with neither headers nor payload."""
_CACHED_BYTES = 256
"""Header blocks up to this size are remembered: nearly all events of a stream have one of six."""

Value = bool | int | str | bytes | UUID
"""Of a header. Timestamps are milliseconds since 1970."""
Headers = Mapping[str, Value]


class Frame(NamedTuple):
    """One message. `headers` cannot be changed."""

    headers: Headers
    payload: bytes


class Splitter:
    """Cuts what arrives into whole frames; together they are the input. After `failure` nothing follows."""

    __slots__ = ("_max_bytes", "_wanted", "failure", "kept")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.kept = bytearray()
        """Bytes of a frame that is not whole yet."""
        self.failure: ProtocolError | None = None
        """Set by a prelude that is none, or announces more than the bound."""
        self._max_bytes = max_frame_bytes
        self._wanted = _PRELUDE_BYTES
        """Bytes that `kept` needs before there is anything to do: crumbs of a large frame are only gathered."""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by `data`. Their preludes have been checked, `decode` checks the rest. Never raises."""
        kept = self.kept
        if self.failure is not None:
            return []
        if kept:
            kept += data
            if len(kept) < self._wanted:
                return []
            data = bytes(kept)
            kept.clear()
        frames: list[bytes] = []
        start, size = 0, len(data)
        self._wanted = _PRELUDE_BYTES
        while size - start >= _PRELUDE_BYTES:
            try:
                length = _frame_length(data, start, self._max_bytes)
            except ProtocolError as exc:
                self.failure = exc
                return frames
            if size - start < length:
                self._wanted = length
                break
            frames.append(data[start : start + length])
            start += length
        kept += data[start:]
        return frames


def decode(frame: bytes) -> Frame:
    """One whole frame, as cut by Splitter. Raises ProtocolError when a checksum or a header is wrong."""
    if len(frame) < _FRAME_BYTES or _frame_length(frame, 0, 2**32) != len(frame):
        raise ProtocolError("A frame of the event stream has another length than it says.", malformed=True)
    end = len(frame) - 4
    if crc32(memoryview(frame)[:end]) != _CRC.unpack_from(frame, end)[0]:
        raise ProtocolError("A frame of the event stream has a wrong checksum.", malformed=True)
    body = _PRELUDE_BYTES + _PRELUDE.unpack_from(frame)[1]
    block = frame[_PRELUDE_BYTES:body]
    headers = _remembered(block) if len(block) <= _CACHED_BYTES else _headers(block)
    return Frame(headers, frame[body:end])


def encode(headers: Headers, payload: bytes) -> bytes:
    """A frame. Integers are written as `integer`, or `long` where they do not fit. Raises ValueError for what no
    frame can carry: a name of no or more than 255 bytes, a value of more than 32,767 bytes."""
    block = b"".join([_header(name, value) for name, value in headers.items()])
    if len(block) > MAX_HEADERS_BYTES:
        raise ValueError("the headers of a frame are too large")
    prelude = struct.pack("!II", _FRAME_BYTES + len(block) + len(payload), len(block))
    frame = b"%b%b%b%b" % (prelude, _CRC.pack(crc32(prelude)), block, payload)
    return frame + _CRC.pack(crc32(frame))


def _frame_length(data: bytes, start: int, most: int) -> int:
    """The length that the prelude at `start` announces, once it is known to be a prelude."""
    length, headers, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(data[start : start + 8]) != checksum:
        raise ProtocolError("What was sent is no event stream: a prelude has a wrong checksum.", malformed=True)
    if headers > MAX_HEADERS_BYTES or headers + _FRAME_BYTES > length:
        raise ProtocolError("A frame of the event stream has impossible lengths.", malformed=True)
    if length > most:
        raise ProtocolError(f"A frame of the event stream is larger than {most} bytes.")
    return int(length)


def _headers(block: bytes) -> Headers:
    found: dict[str, Value] = {}
    at = 0
    try:
        while at < len(block):
            size = block[at]
            name = _exactly(block, at + 1, size).decode("utf-8")
            kind = block[at + 1 + size]
            value, at = _value(block, kind, at + 2 + size)
            if not name or name in found:
                raise ProtocolError("A frame of the event stream has a header without a name or twice.", malformed=True)
            found[name] = value
    except (IndexError, UnicodeDecodeError, struct.error) as exc:
        raise ProtocolError("A frame of the event stream has a header that cannot be read.", malformed=True) from exc
    return MappingProxyType(found)


_remembered = lru_cache(maxsize=512)(_headers)

_NUMBERS = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: struct.Struct("!q")}
_NUMBERS[8] = _NUMBERS[5]


def _value(block: bytes, kind: int, at: int) -> tuple[Value, int]:
    """A header's value and where it ends. Raises IndexError beyond the block."""
    if kind in (0, 1):
        return kind == 0, at
    number = _NUMBERS.get(kind)
    if number is not None:
        return int(number.unpack_from(block, at)[0]), at + number.size
    if kind in (6, 7):
        size = int.from_bytes(_exactly(block, at, 2), "big")
        data = _exactly(block, at + 2, size)
        return (data if kind == 6 else data.decode("utf-8")), at + 2 + size
    if kind == 9:
        return UUID(bytes=_exactly(block, at, 16)), at + 16
    raise ProtocolError("A frame of the event stream has a header of an unknown type.", malformed=True)


def _exactly(block: bytes, start: int, size: int) -> bytes:
    data = block[start : start + size]
    if len(data) != size:
        raise IndexError(start)
    return data


def _header(name: str, value: Value) -> bytes:
    key = name.encode("utf-8")
    if not 1 <= len(key) <= 255:
        raise ValueError("the name of a header needs 1 to 255 bytes")
    return b"%c%b%b" % (len(key), key, _typed(value))


def _typed(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        return struct.pack("!bi", 4, value) if -(2**31) <= value < 2**31 else struct.pack("!bq", 5, value)
    if isinstance(value, UUID):
        return b"\x09" + value.bytes
    kind, data = (7, value.encode("utf-8")) if isinstance(value, str) else (6, value)
    if len(data) > 0x7FFF:
        raise ValueError("the value of a header is too large")
    return struct.pack("!bH", kind, len(data)) + data
