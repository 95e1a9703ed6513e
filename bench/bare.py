"""The yardstick: a throw-away forwarder on uvloop and httptools, one task per call and nothing else.

`python -m bench.bare PORT UPSTREAM`. No keys, no policies, no limits, no deadlines, no backpressure: it is what this
machine charges for HTTP in Python, and what a governed call is compared with. Not a gateway, and never to be one.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import httptools
import uvloop

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"host"})


class Upstream(asyncio.Protocol):
    """A kept connection to the upstream, with one call at a time."""

    def __init__(self, pool: "deque[Upstream]") -> None:
        self.pool = pool
        self.downstream: Downstream | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def send(self, request: bytes, downstream: "Downstream") -> "asyncio.Future[None]":
        """Sends one call; the future ends with the answer, whose parts go downstream as they come."""
        assert self.transport is not None
        self.downstream = downstream
        self.ended = asyncio.get_running_loop().create_future()
        self.parser = httptools.HttpResponseParser(self)
        self.head: list[bytes] = []
        self.body: list[bytes] = []
        self.chunked = False
        self.transport.write(request)
        return self.ended

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"transfer-encoding":
            self.chunked = True
        if lower not in HOP_BY_HOP:
            self.head.append(name + b": " + value + b"\r\n")

    def on_headers_complete(self) -> None:
        if self.chunked and self.downstream is not None:
            self.downstream.write(self._status() + b"transfer-encoding: chunked\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self.chunked and self.downstream is not None:
            self.downstream.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.body.append(data)

    def on_message_complete(self) -> None:
        if self.downstream is not None:
            body = b"".join(self.body)
            end = b"0\r\n\r\n" if self.chunked else self._status() + b"content-length: %d\r\n\r\n%b" % (len(body), body)
            self.downstream.write(end)
        self.pool.append(self)
        self.ended.set_result(None)

    def _status(self) -> bytes:
        return b"HTTP/1.1 %d OK\r\n%b" % (self.parser.get_status_code(), b"".join(self.head))

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.pool:
            self.pool.remove(self)
        elif not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("upstream closed"))


class Downstream(asyncio.Protocol):
    """A caller's connection: each complete call becomes a task."""

    def __init__(self, upstream_port: int, pool: "deque[Upstream]") -> None:
        self.upstream_port = upstream_port
        self.pool = pool
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url = b""
        self.head: list[bytes] = []
        self.body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in HOP_BY_HOP:
            self.head.append(name + b": " + value + b"\r\n")

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.forward())

    async def forward(self) -> None:
        """One call, there and back."""
        body = b"".join(self.body)
        request = b"%b %b HTTP/1.1\r\nhost: upstream\r\ncontent-length: %d\r\n%b\r\n%b" % (
            self.parser.get_method(), self.url, len(body), b"".join(self.head), body
        )  # fmt: skip
        if self.pool:
            upstream = self.pool.pop()
        else:
            loop = asyncio.get_running_loop()
            _, upstream = await loop.create_connection(lambda: Upstream(self.pool), "127.0.0.1", self.upstream_port)
        try:
            await upstream.send(request, self)
        except ConnectionError:
            self.transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()


async def serve(port: int, upstream_port: int) -> None:
    """Forwards until the process is ended."""
    pool: deque[Upstream] = deque()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Downstream(upstream_port, pool), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
