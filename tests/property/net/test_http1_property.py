"""Any split of the bytes gives the same events; garbage is refused, never a crash."""

import asyncio
import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenario.net.rig import Rig

from heddle.net.head import RequestHeadReader, ResponseHeadReader
from heddle.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from heddle.wire.http1 import ProtocolError

STREAM = (
    b"POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
    b"GET /two HTTP/1.1\r\nHost: h\r\n\r\n"
    b"POST /three HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"
    b"PUT /four HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok"
    b"\r\nGET /five HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
)


async def answers(pieces):
    rig = Rig()
    transport = rig.connect()
    for piece in pieces:
        await rig.say(transport, piece)
    await rig.pass_time(1.0)
    result = transport.written, [(r.method, r.path, r.headers) for r in rig.seen], transport.closed
    transport.abort()
    return result


WHOLE = asyncio.run(answers([STREAM]))


def cut(data, places):
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


def test_the_stream_is_understood():
    assert [path for _, path, _ in WHOLE[1]] == ["/one", "/two", "/three", "/four", "/five"]
    assert WHOLE[2]


@settings(deadline=None, max_examples=150)
@given(st.sets(st.integers(1, len(STREAM) - 1), max_size=40))
def test_any_split_gives_the_same_answers(places):
    assert asyncio.run(answers(cut(STREAM, places))) == WHOLE


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_mutated_requests_never_crash_and_always_end(data):
    mutant = bytearray(STREAM)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutant) - 1))
        mutant[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    step = data.draw(st.sampled_from([1, 7, 10_000]))
    pieces = [bytes(mutant[i : i + step]) for i in range(0, len(mutant), step)]

    async def run():
        rig = Rig()
        transport = rig.connect()
        for piece in pieces:
            await rig.say(transport, piece)
        for _ in range(8):
            await rig.pass_time(61.0)
        return transport

    transport = asyncio.run(run())
    assert transport.closed
    assert b" 500 " not in transport.written


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_garbage_heads_are_refused_or_read(data, framed):
    head = b"POST /x HTTP/1.1\r\nHost: h\r\n" + data + b"\r\n\r\n" if framed else data
    for read in (RequestHeadReader().read, lambda head: ResponseHeadReader().read(head, "GET")):
        with contextlib.suppress(ProtocolError):
            assert read(head).length >= -2


@settings(max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.sets(st.integers(1, 400)), st.binary(max_size=9))
def test_chunked_round_trip_under_any_split(chunks, places, surplus):
    encoded = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK
    decoder = ChunkedDecoder()
    decoded = []
    for piece in cut(encoded, {p for p in places if p < len(encoded)}):
        assert not decoder.done
        decoded += decoder.feed(piece)
    assert decoder.done
    assert b"".join(decoded) == b"".join(chunks)
    whole = ChunkedDecoder()
    assert whole.feed(encoded + surplus) == chunks
    assert whole.surplus == surplus


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_chunked_garbage_is_refused_or_incomplete(data):
    decoder = ChunkedDecoder()
    with contextlib.suppress(ProtocolError):
        assert all(decoder.feed(data))
