"""The server under the API, on a socket: bounds on heads and on patience, and how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.controlplane.api.rig import CONFIG_MAPS, Rig, running

from heddle.controlplane.api import serving
from heddle.controlplane.api.answer import Stream


class Served:
    def __init__(self, rig: Rig, server: serving.ApiServer, port: int) -> None:
        self.rig, self.server, self.port = rig, server, port

    async def say(self, *parts: bytes) -> bytes:
        """Send, and read until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with running(tmp_path) as rig:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        server = serving.ApiServer(rig.api, None, 1.0)
        await server.start(sock)
        try:
            yield Served(rig, server, port)
        finally:
            rig.api.watches.close()
            await server.stop()


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *fields, "", ""]).encode()


async def test_a_request_is_answered(served: Served):
    answer = await served.say(get("/healthz"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok")
    assert b"\r\nserver:" not in answer.lower()


async def test_a_head_that_does_not_end(served: Served):
    flood = b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 300_000
    answer = await served.say(flood[:100_000], flood[100_000:200_000], flood[200_000:])
    assert b"200 OK" not in answer


async def test_too_many_fields(served: Served):
    answer = await served.say(get("/healthz", *(f"x-{n}: y" for n in range(200))))
    assert b"200 OK" not in answer


async def test_a_head_that_is_late_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving, "HEAD_TIMEOUT_S", 0.1)
    assert await asyncio.wait_for(served.say(b"GET /healthz HTTP/1.1\r\nHost"), 3) == b""
    assert await asyncio.wait_for(served.say(b""), 3) == b""


async def test_a_second_head_may_be_late_as_long_as_the_connection_is_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serving, "HEAD_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for _ in range(2):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 3)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
    writer.write(b"GET /healthz HTT")
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()


async def test_what_is_no_http(served: Served):
    assert (await served.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")).startswith(b"HTTP/1.1 400")


async def test_a_watch_is_seen_at_once_and_ends_with_the_server(served: Served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(get(f"{CONFIG_MAPS}?watch=1"))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    assert b"transfer-encoding: chunked" in head
    await served.rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert b'"type":"ADDED"' in await asyncio.wait_for(reader.readuntil(b"\n\r\n"), 3)
    served.rig.api.watches.close()
    assert (await asyncio.wait_for(reader.read(), 3)).endswith(b"0\r\n\r\n")
    writer.close()


async def test_a_watcher_that_leaves_is_forgotten(served: Served):
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(get(f"{CONFIG_MAPS}?watch=1"))
    for wanted in (1, 0):
        for _ in range(100):
            if len(served.rig.api.watches) == wanted:
                break
            await asyncio.sleep(0.02)
        assert len(served.rig.api.watches) == wanted
        writer.close()


async def test_a_watcher_that_does_not_read_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Stream.__new__, "__defaults__", ("application/json", 0.2, ()))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", served.port))
    await loop.sock_sendall(sock, get(f"{CONFIG_MAPS}?watch=1"))
    for number in range(12):
        await served.rig.call("POST", CONFIG_MAPS, {"metadata": {"name": f"a{number}"}, "data": {"a": "x" * 900_000}})
    for _ in range(200):
        if not len(served.rig.api.watches):
            break
        await asyncio.sleep(0.02)
    assert not len(served.rig.api.watches)
    sock.close()


async def test_a_watch_says_everything_once_and_in_order(served: Served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(get(f"{CONFIG_MAPS}?watch=1"))
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    names = [f"n{number}" for number in range(100)]
    for at in range(0, 100, 10):
        made = (served.rig.call("POST", CONFIG_MAPS, {"metadata": {"name": name}}) for name in names[at : at + 10])
        await asyncio.gather(*made)
    served.rig.api.watches.close()
    body = unchunked(await asyncio.wait_for(reader.read(), 5))
    writer.close()
    events = [json.loads(line) for line in body.splitlines()]
    assert sorted(event["object"]["metadata"]["name"] for event in events) == sorted(names)
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_a_watch_by_head_has_no_body(served: Served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(get(f"{CONFIG_MAPS}?watch=1").replace(b"GET", b"HEAD", 1))
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    await served.rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    served.rig.api.watches.close()
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()


async def test_an_answer_is_one_write_whatever_was_asked_before(served: Served):
    """HEAD has no body that a head could wait for; requests may come before the answers to others."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"content-length: 2" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + get("/healthz"))
    answers = await asyncio.wait_for(reader.read(), 3)
    assert (answers.count(b"HTTP/1.1 200 OK\r\n"), answers.count(b"\r\n\r\nok")) == (3, 3)
    writer.close()


async def test_who_asks_before_sending_a_body_is_told_to_go_on(served: Served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}'
    fields = ("Expect: 100-continue", f"Content-Length: {len(body)}", "Content-Type: application/json")
    writer.write(get(CONFIG_MAPS, *fields).replace(b"GET", b"POST", 1))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.read(), 3)).startswith(b"HTTP/1.1 201")
    writer.close()


def test_a_head_waits_for_the_body_and_for_nothing_else():
    wire = Wire()
    answering = serving._Answering(wire)  # type: ignore[arg-type]
    for data in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"", b"more", b""):
        answering.write(data)
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"more"]
    ended = serving._Answering(wire)  # type: ignore[arg-type]
    ended.write(b"HTTP/1.1 200 OK\r\n\r\n")
    ended.close()
    assert (wire.written[3:], wire.is_closing()) == ([b"HTTP/1.1 200 OK\r\n\r\n"], True)


class Wire:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self._closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed


def unchunked(data: bytes) -> bytes:
    body, rest = b"", data
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert rest == b"\r\n"
            return body
        body, rest = body + rest[:length], rest[length:].removeprefix(b"\r\n")
