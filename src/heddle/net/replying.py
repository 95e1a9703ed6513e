"""Writes the answers of one connection: whole ones in one write, streams one write per piece.

Owns framing and backpressure on the way out. While the transport's buffer is full nothing is pulled from the
iterator that makes an answer; however an answer ends, its iterator is closed.

*Source:* RFC 9110 sections 8.6, 9.3.2, 15.3.5 and 15.4.5; RFC 9112 sections 6.1, 7.1 and 9.6.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from heddle.net.body import close_source
from heddle.net.errors import PeerGone
from heddle.net.message import Headers, Reply
from heddle.wire.chunked import LAST_CHUNK
from heddle.wire.http1 import RequestHead
from heddle.wire.http1_heads import encode_response_head, encode_response_start

if TYPE_CHECKING:
    from heddle.net.server import HttpServer

_SLICE_BYTES: Final = 64 * 1024
"""Whole bodies from this size on are written in slices of it: a transport copies what the socket does not take."""

log = logging.getLogger("heddle.net")


class ReplyWriter:
    """The writing half of a server connection."""

    __slots__ = (
        "_fields", "_server", "_start", "_status", "_transport", "begun", "closing", "sent", "stalled_since_s",
        "waiter",
    )  # fmt: skip

    def __init__(self, server: "HttpServer", transport: Any) -> None:
        self._server = server
        self._transport = transport
        self.sent = 0
        """Bytes of the streamed body under way."""
        # The last start of a head that was written; equal fields cannot be written differently.
        self._status = 0
        self._fields: Headers = []
        self._start = b""
        self.waiter: asyncio.Future[None] | None = None
        """Set while the transport's buffer is full: the caller reads more slowly than we write."""
        self.closing = False
        """The answer being written is the connection's last, and says so."""
        self.begun = False
        """Some of the answer to the current request is written."""
        self.stalled_since_s = math.inf
        """Monotonic second since which the transport's buffer is full."""

    # Backpressure.

    def pause(self) -> None:
        """The transport's buffer is full."""
        if self.waiter is None:
            self.stalled_since_s = self._server.now
            self.waiter = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """The buffer is low again, or the connection gone."""
        self.stalled_since_s = math.inf
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Answers.

    def write_whole(self, reply: Reply, head: RequestHead) -> bool:
        """Write `reply` in this turn of the loop, if it is whole and not large; False when it takes `write`."""
        body = reply.body
        if not isinstance(body, bytes) or len(body) >= _SLICE_BYTES or self._transport.is_closing():
            return False
        self.begun = True
        start, body = self._whole(reply, body, head)
        self._server.outbox.send(self._transport, start + body)
        return True

    async def write(self, reply: Reply, head: RequestHead) -> bool:
        """Write `reply` to the request with `head`; False when it had to be cut and cannot be told from whole."""
        body = reply.body
        if self._transport.is_closing():
            await close_source(body)
            if reply.ended is not None:
                reply.ended(PeerGone(), 0)
            return True
        self.begun = True
        self._server.outbox.flush()
        if not isinstance(body, bytes):
            return await self._write_stream(reply, body, head)
        start, body = self._whole(reply, body, head)
        if len(body) < _SLICE_BYTES:
            self._transport.write(start + body)
        else:
            self._transport.write(start)
            await self._write_slices(memoryview(body))
        return True

    def refuse(self, reply: Reply) -> None:
        """Write the answer to what was no request."""
        assert isinstance(reply.body, bytes)
        self._server.outbox.flush()
        self.closing = True
        start, body = self._whole(reply, reply.body, None)
        self._transport.write(start + body)

    async def _write_slices(self, body: memoryview) -> None:
        for at in range(0, len(body), _SLICE_BYTES):
            if self._transport.is_closing():
                return
            self._transport.write(body[at : at + _SLICE_BYTES])
            if self.waiter is not None:
                await self.waiter

    def _whole(self, reply: Reply, body: bytes, head: RequestHead | None) -> tuple[bytes, bytes]:
        """The head of an answer that is whole, and what is sent of its body; `head` is None for a refusal."""
        framing = reply.lines + self._server.date_line
        if head is None or self.closing or head.minor == 0:
            framing += self._connection_line()
        # RFC 9110 8.6: no Content-Length in a 204; 15.4.5: no content in a 304.
        if reply.status in {204, 304}:
            body = b""
        else:
            framing = b"%bcontent-length: %d\r\n" % (framing, len(body))
        if reply.headers != self._fields or reply.status != self._status:
            try:
                self._start = encode_response_start(reply.status, reply.headers)
            except ValueError:
                log.exception("an answer was replaced")
                self.closing = True
                return encode_response_head(500, [], b"content-length: 0\r\nconnection: close\r\n"), b""
            self._status, self._fields = reply.status, reply.headers.copy()
        start = b"%b%b\r\n" % (self._start, framing)
        return start, b"" if head is not None and head.method == "HEAD" else body

    def _connection_line(self) -> bytes:
        return b"connection: close\r\n" if self.closing else b"connection: keep-alive\r\n"

    async def _write_stream(self, reply: Reply, body: AsyncIterator[bytes], head: RequestHead) -> bool:
        # RFC 9112 6.1: no Transfer-Encoding to an HTTP/1.0 client; the end of the connection ends the body.
        chunked = head.minor == 1
        self.closing = self.closing or not chunked
        framing = reply.lines + self._server.date_line
        bodiless = reply.status in {204, 304}
        if chunked and not bodiless:
            framing += b"transfer-encoding: chunked\r\n"
        if self.closing:
            framing += self._connection_line()
        self.sent = 0
        over = _Over(self, reply, body)
        async with over:
            try:
                self._transport.write(encode_response_head(reply.status, reply.headers, framing))
                if head.method != "HEAD" and not bodiless:
                    await self._write_pieces(body, chunked)
            except Exception as error:
                over.cut = error
                if reply.ended is None and not isinstance(error, PeerGone):
                    log.exception("an answer was cut")
                self.closing = True
                # An orderly close tells a missing last chunk, and lets what was written arrive. Without chunks
                # it would look like the end.
                self._transport.close()
                return chunked
        # Last of all: what a caller knows to be complete is settled, and entered in the ledger, whoever is killed now.
        if chunked and head.method != "HEAD" and not bodiless and not self._transport.is_closing():
            self._transport.write(LAST_CHUNK)
        return True

    async def _write_pieces(self, body: AsyncIterator[bytes], chunked: bool) -> None:
        push = self._push_chunk if chunked else self._push
        pour = getattr(body, "pour", None)
        if pour is not None:
            await pour(push)
        else:
            async for piece in body:
                full = push(piece)
                if full is not None:
                    await full
        if self._transport.is_closing():
            raise PeerGone

    def _push_chunk(self, piece: bytes) -> "asyncio.Future[None] | None":
        """Write one chunk; what to wait for when the caller reads more slowly. A `body.Sink`."""
        transport = self._transport
        if transport.is_closing():
            raise PeerGone
        size = len(piece)
        if size:
            self.sent += size
            transport.write(b"%x\r\n%b\r\n" % (size, piece))
        return self.waiter

    def _push(self, piece: bytes) -> "asyncio.Future[None] | None":
        """The same without chunks."""
        if self._transport.is_closing():
            raise PeerGone
        self.sent += len(piece)
        self._transport.write(piece)
        return self.waiter


class _Over:
    """The end of a streamed answer, however it comes: its iterator is closed, and who waits for the end is told."""

    __slots__ = ("_body", "_reply", "_writer", "cut")

    def __init__(self, writer: ReplyWriter, reply: Reply, body: AsyncIterator[bytes]) -> None:
        self._writer = writer
        self._reply = reply
        self._body = body
        self.cut: BaseException | None = None
        """Why it was cut, where that is not what leaves the block."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        await close_source(self._body)
        if self._reply.ended is not None:
            self._reply.ended(self.cut if error is None else error, self._writer.sent)
