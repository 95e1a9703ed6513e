"""Chunked bodies."""

import pytest

from heddle.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from heddle.wire.http1 import ProtocolError


def test_encode():
    assert encode_chunk(b"x" * 26) + LAST_CHUNK == b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"


def test_decode_gives_pieces_as_they_came_and_keeps_the_surplus():
    decoder = ChunkedDecoder()
    assert decoder.feed(b"5\r\nhello\r\n6;ext=1\r\n wor") == [b"hello", b" wor"]
    assert not decoder.done
    assert decoder.feed(b"ld\r\n0\r\nX: y\r\n\r\nGET /") == [b"ld"]
    assert decoder.done
    assert decoder.surplus == b"GET /"


def test_a_chunk_that_is_too_long_is_noticed_at_its_first_byte():
    decoder = ChunkedDecoder()
    decoder.feed(b"1\r\nx")
    with pytest.raises(ProtocolError):
        decoder.feed(b"y")


def test_overhead_is_bounded_in_total():
    decoder = ChunkedDecoder()
    chunks = (b"1;" + b"e" * 100 + b"\r\nx\r\n") * 2000
    assert decoder.feed(chunks[:10_000])
    with pytest.raises(ProtocolError, match="framing"):
        decoder.feed(chunks[10_000:])


def test_one_byte_chunks_are_within_the_bound():
    decoder = ChunkedDecoder()
    for _ in range(20_000):
        assert decoder.feed(b"1\r\nx\r\n") == [b"x"]


def test_a_size_line_that_never_ends_is_refused_early():
    decoder = ChunkedDecoder()
    for _ in range(4095):
        assert decoder.feed(b"1") == []
    with pytest.raises(ProtocolError, match="too long"):
        decoder.feed(b"1")


@pytest.mark.parametrize(
    "data",
    [
        b"4\r\nhell",
        b"5\r\nhello\r\n5\r\n",
        b"5;e=1\r\nhello\r\n",
        b"0\r\n\r\n",
        b"5\r\nhello\n\n",
        b"x\r\nhello\r\n",
        b"1\r\nx\r\n",
        b"",
    ],
)
def test_what_is_not_exactly_one_plain_chunk_is_left_to_the_decoder(data: bytes):
    decoder = ChunkedDecoder()
    assert decoder.one(data) == b""
    assert decoder.one(b"5\r\nhello\r\n") == b"hello", "nothing was done with it"


def test_one_chunk_is_none_in_the_middle_of_another():
    decoder = ChunkedDecoder()
    assert decoder.feed(b"5\r\nhel") == [b"hel"]
    assert decoder.one(b"5\r\nhello\r\n") == b""
    held = ChunkedDecoder()
    assert held.feed(b"5") == []
    assert held.one(b"5\r\nhello\r\n") == b""
