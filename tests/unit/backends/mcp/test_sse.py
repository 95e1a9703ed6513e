"""Streams with servers of the oldest transport: opened once, given back however they end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.backends.mcp.faking import fake_tools

from heddle.backends.mcp.contract import Caller, TargetRequest
from heddle.backends.mcp.peer import Manner, Peer, Place
from heddle.backends.mcp.sse import SseTarget
from heddle.model.snapshot_mcp import McpTimeoutSpec
from heddle.pipeline.errors import CallError
from heddle.wire.jsonrpc import RpcError, decode

PING = TargetRequest(method="ping", params={})


class Server:
    """HTTP+SSE on loopback, whose first event and answers a test decides."""

    def __init__(self) -> None:
        self.first = b"event: endpoint\ndata: /messages\n\n"
        self.streams: list[asyncio.StreamWriter] = []
        self.gone = 0
        self.answer: Any = lambda message: (
            b'{"jsonrpc":"2.0","id":%b,"result":%b}'
            % (
                message.id,
                b'{"protocolVersion":"2024-11-05","capabilities":{}}' if message.method == "initialize" else b"{}",
            )
        )
        self.posted: list[str] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(
                        b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + self.first
                    )
                    self.streams.append(writer)
                    await reader.read()
                    self.gone += 1
                    return
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                message = decode(await reader.readexactly(length))
                self.posted.append(message.method)
                writer.write(b"HTTP/1.1 202 X\r\ncontent-length: 0\r\n\r\n")
                if message.is_request and (said := self.answer(message)):
                    self.streams[-1].write(b"event: message\ndata: %b\n\n" % said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def rig() -> AsyncIterator[tuple[Server, SseTarget]]:
    """A server, and a target that speaks with it."""
    server, tools = Server(), fake_tools()
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{server.port}/sse"
    peer = Peer("t", Place(tools.client.origin(url), b"/sse"), McpTimeoutSpec(call_s=1.0), tools, Manner())
    target = SseTarget(peer, url, 1.0)
    yield server, target
    target.close()
    for stream in server.streams:
        stream.close()
    await tools.client.close()
    listening.close()
    await listening.wait_closed()


async def settled(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - many things are waited for
            await asyncio.sleep(0.01)


async def test_calls_that_come_at_once_share_one_stream(rig: tuple[Server, SseTarget]) -> None:
    server, target = rig
    found = await asyncio.gather(*(target.call(PING, Caller()) for _ in range(5)))
    assert found == [b"{}"] * 5
    assert len(server.streams) == 1
    assert server.posted.count("initialize") == 1
    await target.end(Caller())
    await settled(lambda: server.gone == 1)


@pytest.mark.parametrize(
    "first",
    [
        b"event: endpoint\ndata: http://127.0.0.1:1/steal\n\n",
        b"event: endpoint\ndata: //other.example/steal\n\n",
        b"event: endpoint\ndata: https://127.0.0.1/messages\n\n",
        b"event: endpoint\ndata: http://user@127.0.0.1:1/x\n\n",
        b"event: endpoint\ndata: /a\\u0000 b c\n\n".replace(b"\\u0000", b"\x7f"),
        b"event: endpoint\ndata: \xff\xfe\n\n",
        b"event: message\ndata: {}\n\n",
        b"event: endpoint\ndata: file:///etc/passwd\n\n",
    ],
)
async def test_a_stream_that_does_not_begin_as_it_should_is_closed(rig: tuple[Server, SseTarget], first: bytes) -> None:
    server, target = rig
    server.first = first
    with pytest.raises(CallError):
        await target.call(PING, Caller())
    await settled(lambda: server.gone == 1)
    assert server.posted == []


@pytest.mark.parametrize(
    "result", [b"5", b"[]", b'{"capabilities":5}', b'{"capabilities":{},"x":"\\ud800"}', b'{"x":' + b"[" * 5_000]
)
async def test_one_whose_handshake_fails_is_given_back(rig: tuple[Server, SseTarget], result: bytes) -> None:
    server, target = rig
    server.answer = lambda message: b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (message.id, result)
    with pytest.raises((CallError, RpcError)):
        await target.call(PING, Caller())
    await settled(lambda: server.gone == len(server.streams) == 1)
    assert target._streams == {}


async def test_a_call_that_was_waited_for_no_more_leaves_nothing(rig: tuple[Server, SseTarget]) -> None:
    server, target = rig
    server.answer = lambda _: b""
    waiting = asyncio.ensure_future(target.call(PING, Caller()))
    await settled(lambda: server.posted)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    target.close()
    await settled(lambda: server.gone == 1)


async def test_a_server_that_went_away_is_met_again_by_the_next_call(rig: tuple[Server, SseTarget]) -> None:
    server, target = rig
    await target.call(PING, Caller())
    server.answer = lambda _: b""
    waiting = asyncio.ensure_future(target.call(PING, Caller()))
    await settled(lambda: len(server.posted) >= 4)
    server.streams[0].close()
    with pytest.raises(CallError, match="closed its stream"):
        await waiting
    server.answer = Server().answer
    assert await target.call(PING, Caller()) == b"{}"
    assert len(server.streams) == 2


async def test_more_questions_than_anybody_answers_end_the_stream(rig: tuple[Server, SseTarget]) -> None:
    server, target = rig
    await target.call(PING, Caller())
    for number in range(200):
        server.streams[0].write(b'data: {"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage"}\n\n' % number)
    await settled(lambda: server.gone == 1)
