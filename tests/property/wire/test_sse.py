"""Any split of the bytes gives the same events, whatever the ends of line; garbage is never a crash."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heddle.wire import sse
from heddle.wire.errors import ProtocolError

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"data: ", b"data:", b"event: x", b"id: 1", b": hi", b"a", b"{}", b"\xef\xbb\xbf", b""]
    )
)


def feed_all(chunks):
    splitter = sse.Splitter()
    raw = [event for chunk in chunks for event in splitter.feed(chunk)]
    return raw, splitter.rest


def said(raw):
    return [event for event in map(sse.decode, raw) if event != sse.Event(b"")]


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def reference(data):
    """Section 9.2.6 read line by line, over the whole input at once."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.split(b"\n")[:-1]
    events, fields, name, ident = [], [], b"", b""
    for line in lines:
        if not line:
            if fields or name or ident:
                events.append(sse.Event(b"\n".join(fields), name, ident))
            fields, name, ident = [], b"", b""
            continue
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            fields.append(value)
        elif key == b"event":
            name = value
        elif key == b"id":
            ident = value
    return [event for event in events if event != sse.Event(b"")]


@calm
@given(PIECES, st.lists(st.integers(0, 200), max_size=6))
def test_any_split_gives_the_same_events_and_loses_no_byte(pieces, places):
    data = b"".join(pieces)
    raw, rest = feed_all(cut(data, places))
    assert b"".join(raw) + rest == data.removeprefix(b"\xef\xbb\xbf") or data in b"\xef\xbb\xbf"
    assert said(raw) == reference(data)


@calm
@given(PIECES)
def test_byte_by_byte_is_the_same_as_at_once(pieces):
    data = b"".join(pieces)
    assert said(feed_all([data[i : i + 1] for i in range(len(data))])[0]) == said(feed_all([data])[0])


@calm
@given(st.lists(st.binary(max_size=50)))
def test_garbage_never_crashes(chunks):
    for event in feed_all(chunks)[0]:
        sse.payload(event)


@calm
@given(PIECES)
def test_payload_agrees_with_decode(pieces):
    for event in feed_all([b"".join(pieces) + b"\n\n"])[0]:
        assert sse.payload(event) == sse.decode(event).data


@pytest.mark.parametrize("size", [1, 1000, 5000])
def test_an_endless_event_is_refused_whatever_its_pieces(size):
    splitter = sse.Splitter(max_event_bytes=5000)
    for _ in range(5000 // size):
        splitter.feed(b"x" * size)
    with pytest.raises(ProtocolError):
        splitter.feed(b"x")


def test_a_whole_event_beyond_the_bound_is_refused_on_the_fast_path_too():
    splitter = sse.Splitter(max_event_bytes=100)
    assert splitter.feed(b"data: 1\n\n") == [b"data: 1\n\n"]
    with pytest.raises(ProtocolError):
        splitter.feed(b"data: %b\n\n" % (b"x" * 100))


def test_many_small_events_beyond_the_bound_together_are_fine():
    splitter = sse.Splitter(max_event_bytes=100)
    splitter.feed(b"data: 1\n\n")
    assert len(splitter.feed(b"data: 1\n\n" * 50)) == 50


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", sse.Event(b"YHOO\n+2\n10")),
        (b": test stream\n\n", sse.Event(b"")),
        (b"data: first event\nid: 1\n\n", sse.Event(b"first event", b"", b"1")),
        (b"data\ndata\n\n", sse.Event(b"\n")),
        (b"data:test\n\n", sse.Event(b"test")),
        (b"data:  third event\n\n", sse.Event(b" third event")),
        (b"event: error\r\ndata: x\r\n\r\n", sse.Event(b"x", b"error")),
        (b"id: a\0b\ndata: x\n\n", sse.Event(b"x")),
        (b"retry: 10\nunknown: 1\ndata: x\n\n", sse.Event(b"x")),
    ],
)
def test_the_examples_of_the_specification(event, expected):
    assert sse.decode(event) == expected
