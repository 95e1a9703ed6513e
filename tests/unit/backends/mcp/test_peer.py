"""Answers of tool servers as they arrive: however a stream is cut, it says the same."""

import asyncio
import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backends.mcp.faking import fake_tools

from heddle.backends.mcp.contract import Caller
from heddle.backends.mcp.peer import Manner, Peer, Place, StreamCut, events
from heddle.model.snapshot_mcp import McpTimeoutSpec
from heddle.pipeline.errors import CallError
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import Message, RpcError


class Pieces:
    """A body in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    async def __anext__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None

    def whole(self, most: int) -> bytes | None:
        return None

    async def read(self, most: int) -> bytes:
        return b"".join(self._pieces)


def inbound(pieces: list[bytes], kind: bytes = b"text/event-stream") -> Any:
    closed: list[bool] = []
    return SimpleNamespace(
        body=Pieces(pieces), headers=[(b"content-type", kind)], closed=closed, close=lambda: closed.append(True)
    )


async def heard(pieces: list[bytes]) -> list[tuple[str, bytes, bytes, float]]:
    found = []
    async for one in events(inbound(pieces)):
        message = one.message or Message()
        found.append((message.method, message.id, one.id, one.retry_s))
    return found


_messages = st.lists(
    st.sampled_from(
        [
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "ä\n"}},
            {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage"},
            {"jsonrpc": "2.0", "id": "x", "result": {}},
        ]
    ),
    max_size=4,
)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(_messages, _ENDS, st.lists(st.integers(0, 400), max_size=6))
def test_any_cut_of_a_stream_says_the_same(messages: list[Any], end: bytes, cuts: list[int]) -> None:
    stream = b": hello" + end + end + b"id: p-0" + end + b"retry: 1500" + end + b"data: " + end + end
    for number, message in enumerate(messages):
        data = json.dumps(message).encode()
        stream += b"event: message%bid: s-%d%bdata: %b%b%b" % (end, number, end, data, end, end)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[one:other] for one, other in pairwise(places)]
    whole = asyncio.run(heard([stream]))
    assert asyncio.run(heard(pieces)) == whole
    assert [one[2] for one in whole] == [b"p-0", *(b"s-%d" % number for number in range(len(messages)))]
    assert whole[0][3] == 1.5


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_garbage_is_no_message_and_no_crash(pieces: list[bytes]) -> None:
    try:
        asyncio.run(heard(pieces))
    except ProtocolError as error:
        assert error.detail  # noqa: PT017


def peer() -> Peer:
    return Peer("t", Place(None, b"/mcp"), McpTimeoutSpec(), fake_tools(), Manner())  # type: ignore[arg-type]


async def result(body: bytes, kind: bytes = b"application/json") -> bytes:
    return await peer().result(inbound([body], kind), b"1", lambda _: None, Caller())


async def test_only_the_answer_to_what_was_asked_is_the_answer() -> None:
    assert await result(b'{"jsonrpc":"2.0","id":1,"result":{"a":1.10}}') == b'{"a":1.10}'
    with pytest.raises(RpcError, match="no"):
        await result(b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}')
    for body in (b'{"jsonrpc":"2.0","id":2,"result":{}}', b'{"jsonrpc":"2.0","id":"1","result":{}}', b"", b"<html>",
                 b'{"jsonrpc":"2.0","id":1,"method":"x"}', b'{"jsonrpc":"2.0","id":1,"result":[]}'):  # fmt: skip
        with pytest.raises(CallError):
            await result(body)


async def test_a_stream_is_read_to_its_answer_and_no_further() -> None:
    said: list[str] = []
    stream = (
        b'id: 7\ndata: {"jsonrpc":"2.0","method":"a"}\n\ndata: {"jsonrpc":"2.0","id":9,"result":{}}\n\n'
        b'data: {"jsonrpc":"2.0","id":1,"result":{"x":1}}\n\ndata: not read\n\n'
    )
    one = inbound([stream])
    assert await peer().result(one, b"1", lambda message: said.append(message.method), Caller()) == b'{"x":1}'
    assert said == ["a", ""]
    assert one.closed
    with pytest.raises(StreamCut) as cut:
        await peer().result(
            inbound([b'id: 7\nretry: 20\ndata: {"jsonrpc":"2.0","method":"a"}\n\n']), b"1", lambda _: None, Caller()
        )
    assert (cut.value.last_id, cut.value.retry_s) == (b"7", 0.02)
    endless = inbound([b"retry: 99999999\nid: 1\n\n"])
    with pytest.raises(StreamCut) as cut:
        await peer().result(endless, b"1", lambda _: None, Caller())
    assert cut.value.retry_s == 60.0
