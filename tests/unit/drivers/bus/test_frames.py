"""Messages as bytes: whatever way they are cut, and whatever else comes."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.drivers.bus import MAX_PAYLOAD_BYTES
from heddle.drivers.bus.frames import Frames, encode, greeting

HELLO = greeting("machine.process")
MESSAGES = st.lists(st.tuples(st.text(min_size=1, max_size=60), st.binary(max_size=300)), max_size=8)


@settings(deadline=None)
@given(MESSAGES, st.lists(st.integers(0, 4000), max_size=12))
def test_any_cut_of_a_stream_gives_the_same_messages(messages: list[tuple[str, bytes]], cuts: list[int]):
    stream = HELLO + b"".join(encode(*message) for message in messages)
    frames, found = Frames(), []
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(places):
        found += frames.feed(stream[start:end])
    assert found == messages
    assert frames.address == "machine.process"


@settings(deadline=None)
@given(st.binary(min_size=6, max_size=200))
def test_garbage_is_no_greeting(data: bytes):
    frames = Frames()
    with contextlib.suppress(ValueError):
        assert frames.feed(data) == []
    assert frames.address == ""
    assert len(frames._buffer) < 100, "and it is not kept"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_after_a_greeting_is_refused_or_waited_for(data: bytes):
    frames = Frames()
    frames.feed(HELLO)
    try:
        messages = frames.feed(data)
    except ValueError:
        return
    assert sum(len(encode(*message)) for message in messages) + len(frames._buffer) == len(data)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        encode("t", b"before the greeting"),
        HELLO + HELLO,
        b"\0\0\0\0\0",
        HELLO + b"\0\0\0\1\1",
        HELLO + b"\0\0\0\3\1\xff!",
        HELLO + b"\xff\xff\xff\xff\1",
        HELLO + (MAX_PAYLOAD_BYTES + 257).to_bytes(4, "big") + b"\1",
        encode("", b"heddle bus 2 machine.process"),
        encode("", b"heddle bus 1 "),
        encode("", b"heddle bus 1 \xff"),
        encode("", b"heddle bus 1 " + b"x" * 65),
        b"\0\1\0\0\0",
    ],
)
def test_what_is_no_stream_of_ours_is_refused(stream: bytes):
    with pytest.raises(ValueError):
        Frames().feed(stream)
