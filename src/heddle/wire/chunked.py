"""Chunked transfer coding, both ways.

Owns the decoder of chunked bodies and its bounds. Extensions are skipped and trailers dropped: nobody
behind the gateway is to see a field that was not in the head when the call was authorised. Refuses what
lenient readers repair: white space around sizes, bare line ends, oversized sizes.

*Source:* RFC 9112 section 7.1; CVE-2023-39326 for the bound on overhead.
"""

import re
from functools import lru_cache
from typing import Final

from heddle.wire.http1 import ProtocolError

LAST_CHUNK: Final = b"0\r\n\r\n"

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_MAX_LINE_BYTES: Final = 4096
_FREE_OVERHEAD: Final = 16 * 1024
_OVERHEAD_PER_BYTE: Final = 16

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


def encode_chunk(data: bytes) -> bytes:
    """One chunk with its framing; `data` must not be empty, for an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=1024)
def _size(digits: bytes) -> int:
    """A chunk size without extension; 0 when it is none, or one that `feed` must look at."""
    return int(digits, 16) if _SIZE_LINE.fullmatch(digits) and digits.isalnum() else 0


class ChunkedDecoder:
    """Decodes one body. Feed it bytes until `done`; what followed the body is then in `surplus`."""

    __slots__ = ("_body_bytes", "_held", "_left", "_overhead", "_state", "done", "surplus")

    def __init__(self) -> None:
        self.done = False
        self.surplus = b""
        """Bytes after the end of the body: the next message."""
        self._state = _SIZE
        self._held = b""
        self._left = 0
        self._overhead = 0
        self._body_bytes = 0

    def one(self, data: bytes) -> bytes:
        """The body in `data` if that is exactly one chunk, as it mostly is in streams; b"": nothing done, `feed` it."""
        if self._held or self._state != _SIZE:
            return b""
        start = data.find(b"\r\n", 0, 14) + 2
        size = _size(data[: start - 2]) if start > 2 else 0
        # Not one that is mostly framing: those are for `_count` to judge.
        if size < start or len(data) != start + size + 2 or data[-2:] != b"\r\n":
            return b""
        self._body_bytes += size
        self._overhead += start + 2
        return data[start:-2]

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of body that `data` brought, in order, none empty. Raises ProtocolError (400)."""
        whole = self.one(data)
        if whole:
            return [whole]
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if self._state == _DATA:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                self._body_bytes += len(piece)
                pieces.append(piece)
                if self._left == 0:
                    self._state = _DATA_END
            elif self._state == _DONE:
                self.surplus = data[position:]
                break
            else:
                line_end = self._line_end(data, position)
                if line_end < 0:
                    break
                self._line(data[position:line_end])
                position = line_end + 2
        return pieces

    def _line_end(self, data: bytes, position: int) -> int:
        """Where the line that starts at `position` ends; -1 when it is not there yet and was put aside."""
        line_end = data.find(b"\n", position, position + _MAX_LINE_BYTES)
        if line_end > position and data[line_end - 1] == 13:
            self._count(line_end + 1 - position)
            return line_end - 1
        if line_end >= 0 or len(data) - position >= _MAX_LINE_BYTES:
            raise ProtocolError(400, "The chunked body has a line that is too long or does not end in CR LF.")
        if self._state == _DATA_END and data[position : position + 1] != b"\r":
            raise ProtocolError(400, "The chunked body has a chunk that is longer than it says.")
        self._held = data[position:]
        return -1

    def _line(self, line: bytes) -> None:
        state = self._state
        if state == _SIZE:
            size = _SIZE_LINE.fullmatch(line)
            if size is None:
                raise ProtocolError(400, "The chunked body has an invalid chunk size.")
            self._left = int(size[1], 16)
            self._state = _DATA if self._left else _TRAILERS
        elif state == _DATA_END:
            if line:
                raise ProtocolError(400, "The chunked body has a chunk that is longer than it says.")
            self._state = _SIZE
        elif not line:
            self._state = _DONE
            self.done = True
        elif not _TRAILER_LINE.fullmatch(line):
            raise ProtocolError(400, "The chunked body has an invalid trailer.")

    def _count(self, overhead: int) -> None:
        self._overhead += overhead
        if self._overhead > _FREE_OVERHEAD + _OVERHEAD_PER_BYTE * self._body_bytes:
            raise ProtocolError(400, "The chunked body carries more framing than content.")
