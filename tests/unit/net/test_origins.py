"""Origins outlive the snapshots that use them, and no longer."""

import asyncio
from pathlib import Path

import pytest
from tests.e2e.net.rig import make_certificates

from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Client, OutboundRequest


async def test_the_same_upstream_is_one_origin_until_its_last_user_leaves():
    client = Client()
    first = client.origin("https://up.test/v1", owner="up")
    assert client.origin("https://up.test/v1", owner="up") is first
    client.discard(first)
    assert client.origin("https://up.test/v1", owner="up") is first, "one user is left"
    client.discard(first)
    client.discard(first)
    assert client._origins == []
    assert client._made == {}
    assert client.origin("https://up.test/v1", owner="up") is not first
    await client.close()


@pytest.mark.parametrize(
    "other",
    [
        {"base_url": "https://other.test/v1"},
        {"owner": "another"},
        {"proxy": "http://proxy.test:3128"},
        {"max_connections": 7},
    ],
)
async def test_whatever_differs_makes_another(other: dict[str, object]):
    client = Client()
    asked = {"base_url": "https://up.test/v1", "owner": "up", "proxy": "", "max_connections": 5}
    assert client.origin(**asked) is not client.origin(**{**asked, **other})
    await client.close()


async def test_a_renewed_ca_file_makes_another(tmp_path: Path):
    ca = str(make_certificates(tmp_path)[0])
    client = Client()
    before = client.origin("https://up.test", ca_file=ca)
    assert client.origin("https://up.test", ca_file=ca) is before
    make_certificates(tmp_path)
    assert client.origin("https://up.test", ca_file=ca) is not before
    await client.close()


async def test_connections_are_counted_by_owner_and_closed_with_the_last_user():
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client()
    origin = client.origin(f"http://127.0.0.1:{port}", owner="up")
    client.origin(f"http://127.0.0.1:{port}", owner="up")
    idle = client.origin(f"http://127.0.0.1:{port}", owner="idle")
    answer = await client.send(origin, OutboundRequest("GET", b"/", []), TimeoutSpec())
    assert await answer.body.read(10) == b"ok"
    assert client.connection_counts() == {"up": 1, "idle": 0}
    client.discard(origin)
    assert client.connection_counts() == {"up": 1, "idle": 0}, "the other user goes on with it"
    client.discard(origin)
    client.discard(idle)
    async with asyncio.timeout(5):
        await ended.wait()
    assert client.connection_counts() == {}
    server.close()
    await server.wait_closed()
    await client.close()


async def test_a_unix_socket_is_an_address(tmp_path: Path):
    client = Client()
    origin = client.origin("http://localhost", address=f"{tmp_path}/s")
    assert origin.unix_path == f"{tmp_path}/s"
    assert origin.host_line == b"host: localhost\r\n"
    assert client.origin("http://localhost") is not origin
    await client.close()


@pytest.mark.parametrize(
    "asked", [{"base_url": "https://localhost"}, {"base_url": "http://localhost", "proxy": "http://p.test"}]
)
async def test_a_unix_socket_is_reached_without_tls_and_proxy(asked: dict[str, str]):
    client = Client()
    with pytest.raises(ValueError, match="without TLS and without a proxy"):
        client.origin(**asked, address="/run/s")
    await client.close()
