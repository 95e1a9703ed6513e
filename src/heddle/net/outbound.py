"""One connection to an upstream: writes a request, reads its answer, and knows whether it can be used again.

Owns the life of a client connection. An exchange is at most one at a time; a connection whose message
boundaries are in any doubt (early answer, surplus bytes, an abandoned body) is closed, never reused.

*Source:* RFC 9112 sections 6.3, 9.3 and 9.5; RFC 9110 section 15.2.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from heddle.model.snapshot import TimeoutSpec
from heddle.net.body import Body, close_source
from heddle.net.errors import NetError, UpstreamClosed, UpstreamProtocolError, UpstreamTimeout
from heddle.net.framing import BodyFraming
from heddle.net.upstream import Inbound, OutboundRequest
from heddle.net.waiter import Waiter
from heddle.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from heddle.wire.http1 import MAX_HEAD_BYTES, UNTIL_CLOSE, ProtocolError
from heddle.wire.http1_heads import encode_request_head

if TYPE_CHECKING:
    from heddle.net.origin import Origin

_NEVER: Final = math.inf
_MAX_INTERIM_ANSWERS: Final = 8
_COPY_BYTES: Final = 32 * 1024
"""Bodies from this size on are handed over as they are; copying shorter ones is cheaper than a second write."""

_METHODS: Final = {"POST": b"POST", "GET": b"GET"}
_WITH_BODIES: Final = frozenset((b"POST", b"PUT", b"PATCH"))
"""RFC 9110 8.6: their length is said also where there is nothing."""

_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_CLOSED: Final = 3


class OutboundConnection(asyncio.Protocol):
    """The client's end of one connection."""

    __slots__ = (
        "_body", "_chunks", "_first_byte_at_s", "_framing", "_heard", "_idle_s", "_interim", "_keep_alive", "_loop",
        "_method", "_origin", "_partial", "_paused", "_promised_s", "_quiet_since_s", "_reader", "_request_bytes",
        "_state", "_total_at_s", "_transport", "_until_close", "_upload", "_waiter", "_writable", "expires_at_s",
        "used",
    )  # fmt: skip

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._reader = origin.reader
        self._state = _IDLE
        self._transport: Any = None
        self._waiter: Waiter | None = None
        self._writable: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._body: Body | None = None
        self._framing: BodyFraming | None = None
        self._chunks: ChunkedDecoder | None = None
        self._until_close = False
        self._partial: bytearray | None = None
        self._request_bytes = 0
        self._interim = 0
        self._method = ""
        self._keep_alive = True
        self._paused = False
        self._heard = False
        self._quiet_since_s = 0.0
        self._idle_s = self._first_byte_at_s = self._total_at_s = _NEVER
        self.used = False
        """It has carried an exchange before, so the server may close it at any moment."""
        self._promised_s = 0
        self.expires_at_s = _NEVER
        """Monotonic second at which it is closed when it still rests in the pool."""

    @property
    def usable(self) -> bool:
        """It can carry a request: open, idle, and not known to be closing."""
        return self._state == _IDLE and self._transport is not None and not self._transport.is_closing()

    # Exchanging.

    def begin(self, request: OutboundRequest, timeouts: TimeoutSpec, now: float, total_at_s: float) -> Waiter:
        """Send `request`; what is returned is done with the `Inbound` as soon as the answer's head is there.

        It fails with UpstreamTimeout, UpstreamClosed or UpstreamProtocolError. Raises ValueError for a request that
        cannot be written. Who no longer waits calls `give_up`.
        """
        self._state = _HEAD
        self.expires_at_s = _NEVER
        self._method = request.method
        self._interim = 0
        self._heard = False
        self._idle_s = timeouts.idle_s or _NEVER
        self._first_byte_at_s = now + (timeouts.first_byte_s or _NEVER)
        self._total_at_s = total_at_s
        waiter = self._waiter = Waiter(loop=self._loop)
        try:
            self._write(request)
        except BaseException:
            self.give_up(waiter)
            raise
        return waiter

    def give_up(self, waiter: Waiter) -> None:
        """A deadline, a refusal, a cancelled caller: the upstream is to stop working on it now."""
        if self._waiter is waiter:
            self._waiter = None
            self.abort()
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            # The answer came in the moment the caller left; the connection may carry another exchange already.
            waiter.result().close()

    def _write(self, request: OutboundRequest) -> None:
        origin = self._origin
        body = request.body
        method = _METHODS.get(request.method) or request.method.encode("ascii")
        target = origin.target_prefix + request.target if origin.target_prefix else request.target
        if isinstance(body, bytes):
            framing = origin.host_line
            if body or method in _WITH_BODIES:
                framing = b"%bcontent-length: %d\r\n" % (framing, len(body))
            head = encode_request_head(method, target, request.headers, framing, request.lines)
            self._request_bytes = len(head) + len(body)
            if len(body) < _COPY_BYTES:
                origin.outbox.send(self._transport, head + body)
            else:
                self._transport.writelines((head, body))
            return
        framing = origin.host_line + b"transfer-encoding: chunked\r\n"
        head = encode_request_head(method, target, request.headers, framing, request.lines)
        self._request_bytes = len(head)
        self._transport.write(head)
        self._upload = self._loop.create_task(self._write_pieces(body))

    async def _write_pieces(self, body: AsyncIterator[bytes]) -> None:
        """Send a streamed body. When it breaks, the request must not look complete: the connection goes."""
        try:
            await self._write_each(body)
        except Exception as error:
            self._upload = None
            self._fail(error)
        except BaseException:
            await close_source(body)
            raise
        await close_source(body)

    async def _write_each(self, body: AsyncIterator[bytes]) -> None:
        async for piece in body:
            if self._transport.is_closing():
                return
            if piece:
                self._transport.write(encode_chunk(piece))
                if self._writable is not None:
                    await self._writable
        self._transport.write(LAST_CHUNK)
        self._upload = None

    # Transport callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection (and its TLS) is up."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it whatever was not complete."""
        if self._state == _BODY and self._until_close and exc is None:
            body = self._body
            self._finish_body()
            if body is not None:
                body.deliver_later()
        state, self._state = self._state, _CLOSED
        if state in {_HEAD, _BODY}:
            self._tell(UpstreamClosed(sent=True))
        self._stop_upload()
        self._origin.pool.forget(self)

    def eof_received(self) -> bool:
        """The upstream will send no more."""
        if self._state == _HEAD and not self.received_any:
            # Nothing has left this process when all of the request is still in the write buffer.
            unsent = self._upload is None and self._transport.get_write_buffer_size() >= self._request_bytes
            self._tell(UpstreamClosed(sent=not unsent))
        elif self._state == _IDLE:
            self._origin.pool.forget_idle(self)
        return False

    @property
    def received_any(self) -> bool:
        """Some byte of the answer to the request under way has arrived."""
        return self._heard

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, if one is due."""
        state = self._state
        self._heard = True
        try:
            if state == _BODY:
                body, chunks = self._body, self._chunks
                piece = chunks.one(data) if chunks is not None else b""
                if body is not None and piece:
                    body.push(piece)
                    return
                self._read_body(data)
                if body is not None:
                    body.deliver()
            elif state == _HEAD:
                if self._partial is None:
                    self._read_head(data)
                else:
                    self._continue_head(data)
            elif state == _IDLE:
                # RFC 9112 9.2: an answer nobody asked for. Whose would the next one be?
                self.abort()
        except ProtocolError as error:
            self._fail(UpstreamProtocolError(error.detail))

    def pause_writing(self) -> None:
        """The upstream reads more slowly than we write."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It caught up."""
        waiter, self._writable = self._writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Reading the answer.

    def _continue_head(self, data: bytes) -> None:
        partial = self._partial
        assert partial is not None
        seen = len(partial)
        partial += data
        if partial.find(b"\r\n\r\n", max(0, seen - 3)) >= 0:
            self._partial = None
            self._read_head(bytes(partial))
        elif len(partial) > MAX_HEAD_BYTES:
            raise ProtocolError(502, "The head of the answer is larger than 64 KiB.")

    def _read_head(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            if not b"HTTP/".startswith(data[:5]) or len(data) > MAX_HEAD_BYTES:
                raise ProtocolError(502, "The answer is not HTTP/1, or its head is larger than 64 KiB.")
            self._partial = bytearray(data)
            return
        head = self._reader.read(data[:end], self._method)
        if head.status < 200:
            self._skip_interim(head.status)
            if end < len(data):
                self._read_head(data[end:])
            return
        self._keep_alive = head.keep_alive and head.length != UNTIL_CLOSE
        self._promised_s = head.keep_alive_s
        # Before the connection is given back: whoever takes it next brings a waiter of its own.
        waiter, self._waiter = self._waiter, None
        if len(data) - end == head.length:
            body = Body.of(data[end:])
            self._rest()
        else:
            body = self._frame(head.length, data, end)
        if waiter is not None:
            # Last: what waits for the answer runs now, and may use this very connection again.
            waiter.complete(Inbound(head.status, head.fields, body))

    def _skip_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or self._interim > _MAX_INTERIM_ANSWERS:
            raise ProtocolError(502, "The upstream sent interim answers that were not asked for.")

    def _frame(self, length: int, data: bytes, end: int) -> Body:
        size = len(data) - end
        if 0 <= length < size:
            # Bytes after the answer: it is complete, but nothing else on this connection can be believed.
            body = Body.of(data[end : end + length])
            self.abort()
            return body
        body = self._body = Body(self, self._loop)
        self._state = _BODY
        self._until_close = length == UNTIL_CLOSE
        self._framing = BodyFraming(body, length)
        self._chunks = self._framing.chunks
        if size:
            try:
                self._read_body(data[end:])
            except ProtocolError as error:
                # The head was fine: whoever reads the body learns that it is not.
                self._fail(UpstreamProtocolError(error.detail))
        return body

    def _read_body(self, data: bytes) -> None:
        framing = self._framing
        assert framing is not None
        if framing.feed(data):
            self._keep_alive = self._keep_alive and not framing.surplus
            self._finish_body()

    def _finish_body(self) -> None:
        body, self._body = self._body, None
        self._framing = self._chunks = None
        if body is not None:
            body.put_end()
        self._rest()

    def _rest(self) -> None:
        """The answer is complete: back to the pool, if the connection can be trusted with another request."""
        self._first_byte_at_s = self._total_at_s = _NEVER
        self._state = _IDLE
        self.used = True
        # RFC 9112 9.3: an answer that came before the request was all sent leaves its rest on the wire.
        if self._keep_alive and self._upload is None and self._writable is None:
            self._origin.pool.give_back(self, self._promised_s)
        else:
            self._stop_upload()
            self.abort()

    # What the body asks for.

    def pause_body(self) -> None:
        """See `body.Source`."""
        self._paused = True
        self._transport.pause_reading()

    def resume_body(self) -> None:
        """See `body.Source`."""
        self._paused = False
        self._heard = True
        if self._state != _CLOSED:
            self._transport.resume_reading()

    def want_body(self) -> None:
        """See `body.Source`; upstreams need no asking."""

    def drop_body(self, body: Body, /) -> None:
        """See `body.Source`: cancels the call upstream."""
        if body is self._body:
            self.abort()

    def end_body(self, body: Body, within_s: float, /) -> None:
        """See `body.Source`: whoever does not end in time is cut off."""
        if body is self._body:
            self._total_at_s = min(self._total_at_s, self._origin.pool.now() + within_s)

    # Ends.

    def _tell(self, error: BaseException) -> None:
        """Whoever waits for the answer learns why it will not come."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.complete_later(error=error)
        body, self._body = self._body, None
        if body is not None:
            body.fail(error)

    def _fail(self, error: BaseException) -> None:
        self._tell(error if isinstance(error, NetError) else UpstreamClosed(sent=True))
        self.abort()

    def _stop_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.cancel()

    def abort(self) -> None:
        """Close at once. It is not usable from now on; the pool forgets it when the transport is gone."""
        if self._state != _CLOSED:
            self._state = _CLOSED
            self._tell(UpstreamClosed(sent=True))
            self._stop_upload()
            if self._transport is not None:
                self._transport.abort()

    # The sweep.

    def sweep(self, now: float) -> None:
        """Enforce the deadlines of the exchange under way, or of the rest."""
        if self._state == _IDLE:
            if now >= self.expires_at_s:
                self.abort()
        elif now >= self._total_at_s:
            self._fail(UpstreamTimeout("total"))
        elif self._state == _HEAD:
            if now >= self._first_byte_at_s:
                self._fail(UpstreamTimeout("first_byte"))
        elif self._state == _BODY:
            # Silence counts only while we listen.
            if self._heard or self._paused:
                self._heard = False
                self._quiet_since_s = now
            elif now - self._quiet_since_s >= self._idle_s:
                self._fail(UpstreamTimeout("idle"))
