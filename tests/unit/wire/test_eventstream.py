"""Frames of Amazon's event stream: both ways, against botocore's reader, and what is refused."""

import struct
from uuid import UUID
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from heddle.wire import eventstream
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import Splitter, decode, encode

HEADERS = {":event-type": "messageStart", ":content-type": "application/json", ":message-type": "event"}
ALL_TYPES = {
    "true": True,
    "false": False,
    "int": -5,
    "long": 2**40,
    "bytes": b"\x00\xff",
    "text": "ä",
    "uuid": UUID(int=7),
}
# The smallest message, as AWS's own test vectors have it.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")


def frame(block=b"", payload=b"", lengths=None):
    """A frame with right checksums around whatever is given."""
    total, headers = lengths or (16 + len(block) + len(payload), len(block))
    prelude = struct.pack("!II", total, headers)
    whole = prelude + struct.pack("!I", crc32(prelude)) + block + payload
    return whole + struct.pack("!I", crc32(whole))


def header(name, kind, value):
    return bytes([len(name)]) + name + bytes([kind]) + value


def test_the_published_empty_message():
    assert encode({}, b"") == EMPTY
    assert decode(EMPTY) == ({}, b"")


@pytest.mark.parametrize("headers", [{}, HEADERS, ALL_TYPES])
@pytest.mark.parametrize("payload", [b"", b'{"role":"assistant"}'])
def test_botocore_reads_what_is_written(headers, payload):
    buffer = EventStreamBuffer()
    buffer.add_data(encode(headers, payload))
    (message,) = list(buffer)
    theirs = {name: UUID(bytes=value) if name == "uuid" else value for name, value in message.headers.items()}
    assert (theirs, message.payload) == (headers, payload)


@pytest.mark.parametrize("headers", [{}, HEADERS, ALL_TYPES])
def test_what_is_written_is_read_again(headers):
    read = decode(encode(headers, b"payload"))
    assert (dict(read.headers), read.payload) == (headers, b"payload")


def test_types_that_are_never_written_are_read():
    block = header(b"b", 2, b"\xff") + header(b"s", 3, b"\xff\xfe") + header(b"t", 8, (1234).to_bytes(8, "big"))
    assert dict(decode(frame(block)).headers) == {"b": -1, "s": -2, "t": 1234}


def test_headers_cannot_be_changed():
    with pytest.raises(TypeError):
        decode(encode(HEADERS, b"")).headers["x"] = 1


@pytest.mark.parametrize("size", [1, 2, 11, 12, 13, 100, 10_000])
def test_frames_in_pieces(size):
    frames = [encode(HEADERS, b"x" * n) for n in (0, 1, 500)]
    data = b"".join(frames)
    splitter = Splitter()
    found = [one for at in range(0, len(data), size) for one in splitter.feed(data[at : at + size])]
    assert found == frames
    assert (splitter.kept, splitter.failure) == (b"", None)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"data: {}\n\ndata: {}",
        b"\0" * 12,
        b"\xff" * 12,
        frame(lengths=(15, 0)),
        frame(lengths=(20, 5)),
        frame(lengths=(2**32 - 1, 0)),
        frame(lengths=(2**31, 128 * 1024 + 1)),
        frame(lengths=(eventstream.MAX_FRAME_BYTES + 1, 0)),
    ],
)
def test_garbage_is_refused_by_its_first_twelve_bytes_and_what_was_before_it_is_not_lost(garbage):
    good = encode(HEADERS, b"1")
    splitter = Splitter()
    assert splitter.feed(good + garbage[:12]) == [good]
    assert splitter.failure is not None
    assert splitter.feed(good) == []


def test_a_frame_may_be_as_large_as_the_bound():
    whole = encode({}, b"x" * 84)
    assert Splitter(100).feed(whole) == [whole]
    assert Splitter(99).feed(whole) == []


def test_crumbs_of_a_large_frame_are_only_gathered():
    whole = encode({}, b"x" * 300_000)
    splitter = Splitter()
    assert not [one for at in range(len(whole) - 1) for one in splitter.feed(whole[at : at + 1])]
    assert splitter.feed(whole[-1:]) == [whole]


BAD_BLOCKS = [
    header(b"", 7, b"\0\0"),
    header(b"a", 0, b"") + header(b"a", 1, b""),
    header(b"a", 10, b""),
    header(b"a", 255, b""),
    header(b"a", 7, b"\0\x05abc"),
    header(b"a", 6, b"\0"),
    header(b"a", 7, b"\0\x01\xff"),
    header(b"\xff", 0, b""),
    header(b"a", 9, b"short"),
    header(b"a", 5, b"\0\0\0"),
    b"\x05ab",
    b"\x01a",
]


@pytest.mark.parametrize("block", BAD_BLOCKS)
def test_headers_that_cannot_be(block):
    with pytest.raises(ProtocolError):
        decode(frame(block))


@pytest.mark.parametrize("at", range(0, len(encode(HEADERS, b"{}")), 7))
def test_a_flipped_bit_is_noticed(at):
    damaged = bytearray(encode(HEADERS, b"{}"))
    damaged[at] ^= 1
    with pytest.raises(ProtocolError):
        decode(bytes(damaged))


@pytest.mark.parametrize("cut", [EMPTY[:15], EMPTY + b"x", encode(HEADERS, b"")[:-1]])
def test_only_one_whole_frame_is_decoded(cut):
    with pytest.raises(ProtocolError):
        decode(cut)


@pytest.mark.parametrize(
    "headers", [{"": True}, {"x" * 256: True}, {"x": "y" * 32_768}, {str(n): b"x" * 30_000 for n in range(5)}]
)
def test_what_no_frame_can_carry_is_not_written(headers):
    with pytest.raises(ValueError, match="header"):
        encode(headers, b"")
