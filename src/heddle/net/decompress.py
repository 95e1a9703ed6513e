"""Bounded decoding of `content-encoding: gzip` and `deflate`.

Owns the two bounds that make a bomb harmless: an absolute size, and a ratio of output to input. It decodes
whole messages only; a stream that was truncated, or has bytes after its end, is refused.

*Source:* RFC 9110 section 8.4.1; RFC 1951, RFC 1952.
"""

import zlib

from heddle.net.errors import BodyMalformed, BodyTooLarge

_FREE_BYTES = 64 * 1024
_STEP_BYTES = 64 * 1024


class UnsupportedEncoding(BodyMalformed):
    """A content coding other than gzip, deflate and identity, or more than one of them."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("The only content codings understood are gzip and deflate, one at a time.")
        self.status = 415


def decompress(data: bytes, encoding: bytes, max_bytes: int, max_ratio: int = 20) -> bytes:
    """Decode `data` as `encoding` (a `content-encoding` value; empty and `identity` change nothing).

    Raises BodyTooLarge when the result would exceed `max_bytes`, or `max_ratio` times the input once it is
    larger than 64 KiB; BodyMalformed when the data is broken; UnsupportedEncoding.
    """
    coding = encoding.strip(b" \t").lower()
    if coding in {b"", b"identity"}:
        if len(data) > max_bytes:
            raise BodyTooLarge(max_bytes)
        return data
    limit = min(max_bytes, max(_FREE_BYTES, max_ratio * len(data)))
    if coding in {b"gzip", b"x-gzip"}:
        return _inflate(data, 31, limit)
    if coding == b"deflate":
        # RFC 9110 8.4.1.2: `deflate` is the zlib format, but some senders leave its wrapper out.
        return _inflate(data, 15 if _has_zlib_header(data) else -15, limit)
    raise UnsupportedEncoding


def _has_zlib_header(data: bytes) -> bool:
    return len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0


def _inflate(data: bytes, window_bits: int, limit: int) -> bytes:
    decoder = zlib.decompressobj(window_bits)
    pieces: list[bytes] = []
    size = 0
    try:
        while not decoder.eof:
            piece = decoder.decompress(data, min(_STEP_BYTES, limit - size + 1))
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(limit)
            pieces.append(piece)
            data = decoder.unconsumed_tail
            if not piece and not data:
                break
    except zlib.error as error:
        raise BodyMalformed("The compressed body is broken.") from error
    if not decoder.eof or decoder.unused_data:
        raise BodyMalformed("The compressed body is truncated, or longer than it says.")
    return b"".join(pieces)
