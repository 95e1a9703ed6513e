"""Any split of the bytes gives the same frames; garbage is never a crash."""

from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import Splitter, decode, encode

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: len(name.encode()) <= 255)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=20),
    st.uuids(),
)
FRAMES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=3), st.binary(max_size=40)), max_size=4)


def feed_all(chunks):
    splitter = Splitter()
    return [frame for chunk in chunks for frame in splitter.feed(chunk)], splitter


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(frames=FRAMES, places=st.lists(st.integers(0, 500), max_size=8), tail=st.binary(max_size=40))
def test_any_split_gives_the_same_frames(frames, places, tail):
    data = b"".join(encode(*frame) for frame in frames) + tail
    whole, one = feed_all([data])
    parts, other = feed_all(cut(data, places))
    assert parts == whole
    assert (one.failure is None) == (other.failure is None)
    assert [(dict(headers), payload) for headers, payload in map(decode, whole)][: len(frames)] == frames


@given(data=st.binary(max_size=80), at=st.integers(0, 200), bit=st.integers(0, 7))
def test_garbage_never_crashes(data, at, bit):
    frame = bytearray(encode({":event-type": "x", "n": 5}, data))
    frame[at % len(frame)] ^= 1 << bit
    for given_bytes in (data, bytes(frame)):
        splitter = Splitter()
        assert splitter.feed(given_bytes) == [] or splitter.failure is None
        try:
            decode(given_bytes)
        except ProtocolError:
            continue
        raise AssertionError("a damaged frame was read")
