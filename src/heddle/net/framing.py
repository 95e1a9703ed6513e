"""Cuts the body of one message out of the bytes of its connection, by length, by chunks, or until the end.

*Source:* RFC 9112 section 6.3.
"""

import math

from heddle.net.body import Body
from heddle.net.errors import BodyTooLarge
from heddle.wire.chunked import ChunkedDecoder
from heddle.wire.http1 import CHUNKED


class BodyFraming:
    """Feeds one `Body` whose `length` is a number of bytes, CHUNKED or UNTIL_CLOSE; at most `max_bytes` of it."""

    __slots__ = ("_body", "_left", "_max_bytes", "chunks", "surplus")

    def __init__(self, body: Body, length: int, max_bytes: float = math.inf) -> None:
        self.surplus = b""
        """What followed the body, once it is complete."""
        self._body = body
        self.chunks = ChunkedDecoder() if length == CHUNKED else None
        """Who may be asked for the one chunk in some bytes instead of `feed`, where there is no `max_bytes`."""
        self._max_bytes = max_bytes
        self._left: float = length if length >= 0 else max_bytes

    def feed(self, data: bytes) -> bool:
        """Bytes arrived; returns whether the body is complete. It is left to the caller to end and `deliver` it.

        Raises ProtocolError for broken chunks, BodyTooLarge for more than `max_bytes`.
        """
        decoder = self.chunks
        if decoder is not None:
            put = self._body.put
            for piece in decoder.feed(data):
                self._left -= len(piece)
                if self._left < 0:
                    raise BodyTooLarge(int(self._max_bytes))
                put(piece)
            if decoder.done:
                self.surplus = decoder.surplus
            return decoder.done
        left = self._left - len(data)
        self._left = left
        if left >= 0:
            self._body.put(data)
            return left == 0
        self._body.put(data[: int(left)])
        self.surplus = data[int(left) :]
        return True
