"""The HTTP server under the API: uvicorn, with what it leaves open closed.

Owns the client certificate on its way into the request, limits on heads and on how slowly they may arrive, and the end
of connections that do not read.
*Source:* RFC 9112 section 2.2 (limits on the start line and fields); ASGI 3.0.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100
HEAD_TIMEOUT_S = 15.0
"""How long the head of a request, and a handshake, may take."""
KEEP_ALIVE_S = 90
"""How long an idle connection stays; clients of Kubernetes keep theirs for as long."""
MAX_CONNECTIONS = 20_000


class Connection:
    """What a request knows of its connection."""

    __slots__ = ("_flow", "_transport", "certificate", "source")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        tls = transport.get_extra_info("ssl_object")
        self.certificate: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
        """Client certificate that the handshake verified, DER."""
        peer = transport.get_extra_info("peername")
        self.source: str = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        """Address of the peer."""

    @property
    def ready(self) -> bool:
        """What is written is on its way at once."""
        return not self._flow.write_paused and not self._transport.is_closing()

    def write_chunk(self, data: bytes) -> None:
        """Write a chunk of the body of an answer that has begun, is chunked, and is not being written otherwise."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    @property
    def stalled(self) -> bool:
        """Its buffer is full: a write would wait for the reader."""
        return self._flow.write_paused

    def abort(self) -> None:
        """End it at once, without what waits to be written."""
        self._transport.abort()


class _Answering:
    """The transport as one answer sees it: the head waits for the first of the body, so that they are one record of TLS
    and one write to the socket."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        """What waits; nothing once it was written."""

    def write(self, data: bytes) -> None:
        if self._head is None and not data.startswith(_CONTINUE):
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._transport.close()


_CONTINUE = b"HTTP/1.1 100 "


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounds."""

    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the peer."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": Connection(transport, self.flow)}
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the head before it is parsed: the parser has no bounds."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._expect_head()
            # A body may come with its head; what counts is a head that does not end.
            if self._head_bytes > MAX_HEAD_BYTES + len(data) and b"\r\n\r\n" not in data:
                self._refuse("Request header fields are too large.")
                return
        super().data_received(data)
        if self.headers is not None and self._in_head and len(self.headers) > MAX_FIELDS:
            self._refuse("Request header fields are too large.")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()
        # To HEAD there is no body to wait for.
        if self.cycle is not None and self.scope["method"] != "HEAD":
            self.cycle.transport = _Answering(self.transport)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """The next head begins with the next byte."""
        self._in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, why: str) -> None:
        self._stop_timer()
        self.send_400_response(why)


class ApiServer:
    """A server of an ASGI application on a socket that listens."""

    def __init__(self, application: Any, context: ssl.SSLContext | None, grace_s: float) -> None:
        """`context` None is plain HTTP, for tests."""
        config = uvicorn.Config(
            application,
            http=Protocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(int(grace_s), 1),
        )
        config.load()
        config.ssl = context
        self._server = _Server(config)
        self._running: asyncio.Task[None] | None = None

    async def start(self, sock: socket.socket) -> None:
        """Take connections."""
        self._running = asyncio.ensure_future(self._server.serve([sock]))
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Take no more connections, and wait for what is under way until the grace is over."""
        self._server.should_exit = True
        if self._running is not None:
            await self._running


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to the process that it is part of, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        try:
            await super().startup(sockets)
        finally:
            self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None."""
        yield
