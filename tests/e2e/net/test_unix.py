"""Server and client over a Unix socket, and callers that close their half of a connection."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.e2e.net.rig import eventually, on_uvloop
from tests.scenario.net.rig import answer_error, echo

from heddle.model.snapshot import ListenerLimits, ListenerSpec, TimeoutSpec
from heddle.net.client import Client, OutboundRequest
from heddle.net.errors import ConnectFailed
from heddle.net.message import Reply
from heddle.net.server import UNIX_PEER, HttpServer
from heddle.net.unixsocket import bind_private

TIMES = TimeoutSpec()
GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(folder: Path, handler=echo, *, half_close=True, **limits):
    spec = ListenerSpec(name="unix", address="", port=0, protocol="HTTP", limits=ListenerLimits(**limits))
    server = HttpServer(handler, spec, answer_error=answer_error, half_close=half_close)
    path = folder / "own" / "s"
    with bind_private(path) as sock:
        await server.start(sock)
        try:
            yield server, str(path)
        finally:
            await server.drain(0.0)
    assert server.connection_count == 0


@on_uvloop
async def test_calls_over_a_unix_socket(tmp_path: Path):
    peers = []

    async def handler(request):
        peers.append((request.peer.address, request.peer.port, request.peer.tls, request.header(b"host")))
        return await echo(request)

    async with serving(tmp_path, handler) as (server, path):
        client = Client()
        origin = client.origin("http://localhost", address=path)
        for _ in range(2):
            inbound = await client.send(origin, OutboundRequest("POST", b"/p", [], b"hello"), TIMES)
            assert (inbound.status, await inbound.body.read(100)) == (200, b"/p hello")
        assert peers == [(UNIX_PEER, 0, False, b"localhost")] * 2
        assert server.connection_count == 1
        await client.close()


@on_uvloop
async def test_a_missing_socket_is_named(tmp_path: Path):
    client = Client()
    origin = client.origin("http://localhost", address=f"{tmp_path}/none")
    with pytest.raises(ConnectFailed, match=f"{tmp_path}/none: No such file"):
        await client.send(origin, OutboundRequest("GET", b"/", []), TIMES)
    assert origin.connection_count == 0
    await client.close()


@on_uvloop
async def test_callers_without_an_address_share_one_cap(tmp_path: Path):
    async with serving(tmp_path, max_connections_per_address=1) as (server, path):
        _, first = await asyncio.open_unix_connection(path)
        await eventually(lambda: server.connection_count == 1)
        reader, second = await asyncio.open_unix_connection(path)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 503")
        for writer in (first, second):
            writer.close()


@pytest.mark.parametrize("half_close", [True, False])
@on_uvloop
async def test_what_half_closing_means(tmp_path: Path, half_close: bool):
    ended = []

    async def slow(request):
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("answered")
        return Reply(200, [], b"late")

    async with serving(tmp_path, slow, half_close=half_close) as (_, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        await asyncio.sleep(0.05)
        writer.write_eof()
        assert (await reader.read(-1)).endswith(b"late") is half_close
        await eventually(lambda: ended)
        assert ended == ["answered" if half_close else "cancelled"]
        writer.close()


@on_uvloop
async def test_a_stream_ends_with_the_callers_half(tmp_path: Path):
    """At once, also while more is buffered than the caller reads: an orderly close would wait for that."""
    closed = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    async def stream(request):
        return Reply(200, [], pieces())

    async with serving(tmp_path, stream, half_close=False) as (server, path):
        _, writer = await asyncio.open_unix_connection(path, limit=1024)
        writer.write(GET)
        await asyncio.sleep(0.1)
        writer.write_eof()
        async with asyncio.timeout(2):
            await closed.wait()
        await eventually(lambda: server.connection_count == 0)
        writer.close()


@on_uvloop
async def test_an_answer_made_in_the_same_turn_still_arrives(tmp_path: Path):
    async def quick(request):
        return Reply(200, [], b"at once")

    async with serving(tmp_path, quick, half_close=False) as (_, path):
        for _ in range(50):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(GET)
            writer.write_eof()
            assert (await reader.read(-1)).endswith(b"at once")
            writer.close()
