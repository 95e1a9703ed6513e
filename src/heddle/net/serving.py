"""One connection of a caller: reads requests one after the other, has each answered, writes the answers in order.

Owns the life of a server connection: when bytes are a head, a body or the next request; when the socket is
read and when not; what happens when the caller stalls, half-closes or vanishes. At most one request is in
flight; what a pipelining caller sends ahead stays in one bounded backlog. It refuses nothing by itself except
through `wire.http1`, and words no refusal: `answer_error` does.

*Source:* RFC 9112 sections 2.2, 7, 9; RFC 9110 sections 10.1.1 and 15.2.
"""

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Final

from heddle.net.body import Body
from heddle.net.eager import EagerTask
from heddle.net.errors import BodyError, BodyMalformed, BodyTimeout, BodyTooLarge, PeerGone
from heddle.net.framing import BodyFraming
from heddle.net.head import RequestHeadReader
from heddle.net.message import Peer, Request
from heddle.net.peer import close_with_reset, is_reset
from heddle.net.replying import ReplyWriter
from heddle.wire.http1 import ProtocolError, RequestHead, check_partial_head

if TYPE_CHECKING:
    from heddle.net.server import HttpServer

log = logging.getLogger("heddle.net")

_AHEAD_BYTES: Final = 16 * 1024
_LINGER_BYTES: Final = 256 * 1024
_LINGER_S: Final = 0.5
_NEVER: Final = math.inf

_HEAD: Final = 0
_BODY: Final = 1
_BUSY: Final = 2
_LINGER: Final = 3
_CLOSED: Final = 4

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection(asyncio.Protocol):
    """The server's end of one connection."""

    __slots__ = (
        "_ahead", "_ahead_at", "_body", "_eof", "_expects_continue", "_framing", "_head", "_lingered",
        "_loop", "_partial", "_probed", "_reader", "_server", "_state", "_task", "_time_left_s",
        "_transport", "_writer", "deadline", "peer",
    )  # fmt: skip

    def __init__(self, server: "HttpServer", address: str) -> None:
        self._server = server
        self.peer = Peer(address, 0, False)
        self.deadline = _NEVER
        """Monotonic second at which waiting for the caller (head, body, next request, linger) ends."""
        self._state = _HEAD
        self._reader = RequestHeadReader()
        self._partial: bytearray | None = None
        # What a pipelining caller sent ahead, and how much of it was already used.
        self._ahead = b""
        self._ahead_at = 0
        self._head: RequestHead | None = None
        self._body: Body | None = None
        self._framing: BodyFraming | None = None
        self._task: EagerTask | None = None
        self._writer = ReplyWriter(server, None)
        self._eof = False
        self._probed = False
        self._expects_continue = False
        self._lingered = 0
        self._time_left_s = 0.0
        self._transport: Any = None
        self._loop = server.loop

    @property
    def busy(self) -> bool:
        """A request is being read or answered."""
        return self._task is not None

    @property
    def was_open(self) -> bool:
        """The connection came to life: it will tell the server itself when it is gone."""
        return self._transport is not None

    @property
    def _unused(self) -> bool:
        return not self._partial or self._partial == b"\r\n"

    # Transport callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open (and its TLS handshake done)."""
        self._transport = transport
        self._writer = ReplyWriter(self._server, transport)
        peername = transport.get_extra_info("peername")
        port = peername[1] if isinstance(peername, tuple) else 0
        self.peer = Peer(self.peer.address, port, transport.get_extra_info("ssl_object") is not None)
        self.deadline = self._server.now + self._server.limits.head_timeout_s
        self._server.opened(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The caller is gone: whatever is being done for it stops now."""
        self._state = _CLOSED
        self.deadline = _NEVER
        self._ahead = b""
        self._partial = None
        if self._body is not None:
            self._body.fail(PeerGone())
        if self._task is not None:
            self._task.cancel()
        self._writer.resume()
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived; what they are depends on the state alone."""
        state = self._state
        if state == _HEAD:
            if self._partial is not None:
                self._read_request(data, 0)
                return
            try:
                self._read_head(data, 0)
            except ProtocolError as error:
                self._refuse(error.status, error.detail)
        elif state == _BODY:
            self._read_body(data)
        elif state == _BUSY:
            self._hold_back(data)
        elif state == _LINGER:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self.abort()

    def eof_received(self) -> bool:
        """The caller will send no more: an answer under way is still written (half-close), unless that means gone."""
        # One that was made in this very turn is not in the transport yet, which closes if we say so below.
        self._server.outbox.flush()
        if self._task is not None and not self._server.half_close:
            # Not in order: that would first write what the caller, who is gone, has not read.
            self.abort()
            return False
        if self._task is not None and self._state != _BODY and not self.peer.tls:
            # What was sent ahead of the end is answered, too; the last of it closes.
            self._eof = True
            return True
        if self._body is not None and self._state == _BODY:
            self._body.fail(PeerGone())
        return False

    def pause_writing(self) -> None:
        """The caller reads more slowly than we write."""
        self._writer.pause()

    def resume_writing(self) -> None:
        """The caller caught up."""
        self._writer.resume()
        if self._state == _BUSY and self._task is None:
            self._next()

    # Reading heads.

    def _read_request(self, data: bytes, at: int) -> None:
        partial = self._partial
        try:
            if partial is None:
                self._read_head(data, at)
                return
            seen = len(partial)
            partial += data
            if partial.find(b"\r\n\r\n", max(0, seen - 3)) < 0:
                check_partial_head(partial, seen)
            else:
                self._partial = None
                self._read_head(bytes(partial), 0)
        except ProtocolError as error:
            self._refuse(error.status, error.detail)

    def _read_head(self, data: bytes, at: int) -> None:
        """Read the head that starts at `at`. What follows the request is put aside, not copied and not looked at."""
        if data.startswith(b"\r\n", at) and not data.startswith(b"\r\n\r\n", at):
            # RFC 9112 2.2: a server should ignore an empty line before the request line. One is enough.
            at += 2
        end = data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            self.deadline = self._server.now + self._server.limits.head_timeout_s
            self._partial = bytearray(data[at:] or data[at - 2 :])
            check_partial_head(self._partial, 0)
            return
        size, reader = len(data), self._reader
        head = self._head = reader.read(data[at:end] if at or end != size else data)
        if size - end == head.length <= self._server.limits.max_body_bytes:
            self._state = _BUSY
            self.deadline = _NEVER
            payload = data[end:]
            if not reader.fresh:
                reader.skip(payload)
            body = Body.of(payload)
        else:
            body = self._frame(head, data, end, size)
        self._body = body
        request = Request(head.method, head.path, head.query, head.fields, body, self.peer, head.by_name, head.memory)
        task = self._task = EagerTask(self._answer(request, head), self._loop)
        task.resume(None)

    def _frame(self, head: RequestHead, data: bytes, end: int, size: int) -> Body:
        """The body that `head` announces, where not just all of it came along; what follows it goes to the backlog."""
        self.deadline = _NEVER
        length = head.length
        if length == 0:
            self._state = _BUSY
            self._put_aside(data, end)
            return Body.of(b"")
        limits = self._server.limits
        if length > limits.max_body_bytes:
            raise ProtocolError(413, f"The body is larger than {limits.max_body_bytes} bytes.")
        self._state = _BODY
        self._expects_continue = head.expects_continue and size == end
        self.deadline = self._server.now + limits.body_timeout_s
        body = self._body = Body(self, self._loop)
        self._framing = BodyFraming(body, length, limits.max_body_bytes)
        if size > end:
            self._read_body(data[end:])
        return body

    # Reading bodies.

    def _read_body(self, data: bytes) -> None:
        body, framing = self._body, self._framing
        assert body is not None
        assert framing is not None
        self._expects_continue = False
        try:
            complete = framing.feed(data)
        except BodyTooLarge as error:
            self._spoil_body(error)
            return
        except ProtocolError as error:
            self._spoil_body(BodyMalformed(error.detail))
            return
        if complete:
            self._state = _BUSY
            self.deadline = _NEVER
            self._framing = None
            body.put_end()
            if framing.surplus:
                self._put_aside(framing.surplus, 0)
        body.deliver()

    def _spoil_body(self, error: BodyError) -> None:
        """The rest of this connection cannot be understood, or is not wanted: answer, then close."""
        self._writer.closing = True
        self._state = _LINGER
        self.deadline = _NEVER
        self._framing = None
        self._transport.pause_reading()
        if self._body is not None:
            self._body.fail(error)

    def _hold_back(self, data: bytes) -> None:
        """Bytes of a later request arrived."""
        self._put_aside(self._ahead[self._ahead_at :] + data, 0)

    def _put_aside(self, data: bytes, at: int) -> None:
        self._ahead, self._ahead_at = data, at
        # Reading stops until the answer is written: there is never more than this and one read of the socket.
        if len(data) - at > _AHEAD_BYTES:
            self._transport.pause_reading()

    # What the body asks for.

    def pause_body(self) -> None:
        """See `body.Source`. While we do not read, the caller's time does not run."""
        self._time_left_s = self.deadline - self._server.now
        self.deadline = _NEVER
        self._transport.pause_reading()

    def resume_body(self) -> None:
        """See `body.Source`."""
        if self._state == _BODY:
            # What was left, not all of it again: a caller must not gain time by being slowed down.
            self.deadline = self._server.now + self._time_left_s
        if self._state in {_BODY, _BUSY} and not self._ahead:
            self._transport.resume_reading()

    def want_body(self) -> None:
        """See `body.Source`. RFC 9110 10.1.1: 100 (Continue) once the body is really wanted."""
        if self._expects_continue and not self._transport.is_closing():
            self._expects_continue = False
            self._server.outbox.flush()
            self._transport.write(_CONTINUE)

    def drop_body(self, _body: Body) -> None:
        """See `body.Source`. The rest is left unread; the connection closes after the answer."""
        self._writer.closing = True

    def end_body(self, body: Body, within_s: float, /) -> None:
        """See `body.Source`. A caller is not waited for."""
        del within_s
        self.drop_body(body)

    # Answering.

    async def _answer(self, request: Request, head: RequestHead) -> None:
        server, writer = self._server, self._writer
        try:
            reply = await server.handler(request)
        except Exception as error:
            reply = server.explain(error)
        if self._state == _BODY or server.draining or not head.keep_alive or (self._eof and not self._ahead):
            writer.closing = True
        try:
            whole = writer.write_whole(reply, head) or await writer.write(reply, head)
        except Exception:
            log.exception("an answer could not be written")
            whole = False
        self._task = None
        if whole:
            self._next()
        else:
            self.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be a request, and close."""
        self._server.refused_requests += 1
        self._partial = None
        self._writer.refuse(self._server.answer_error(status, detail))
        self._linger()

    # Between requests, and the end.

    def _next(self) -> None:
        """The answer is written: close, or go on with the next request."""
        writer = self._writer
        if self._state == _CLOSED or self._transport.is_closing():
            return
        if writer.closing:
            if self._state == _BUSY and not self._ahead:
                self._close()
            else:
                self._linger()
            return
        if writer.waiter is not None:
            # A caller that sends but does not read gets no further answer until it has.
            return
        writer.begun = False
        self._body = self._head = None
        if self._ahead:
            # Not from here: answers that need no waiting would nest as deeply as the caller pipelines.
            self._loop.call_soon(self._read_ahead)
            return
        self._state = _HEAD
        self.deadline = self._server.now + self._server.limits.idle_timeout_s

    def _read_ahead(self) -> None:
        """Read the next of the requests that were sent ahead."""
        if self._state != _BUSY or self._task is not None or not self._ahead or self._transport.is_closing():
            return
        self._state = _HEAD
        self.deadline = self._server.now + self._server.limits.idle_timeout_s
        data, self._ahead = self._ahead, b""
        if not self._eof:
            self._transport.resume_reading()
        self._read_request(data, self._ahead_at)
        if self._eof and self._state == _HEAD and self._task is None:
            self._close()  # half a head, and no more to come
        elif self._eof and self._state == _BODY and self._body is not None:
            self._body.fail(PeerGone())

    def _linger(self) -> None:
        """Close, but read on for a moment: data that meets a closed socket would erase our answer (RFC 9112 9.6)."""
        self._state = _LINGER
        self.deadline = self._server.now + _LINGER_S
        self._ahead = b""
        if self.peer.tls or self._eof:
            self._close()
            return
        self._transport.resume_reading()
        self._server.outbox.flush()
        self._transport.write_eof()

    def _close(self) -> None:
        """Orderly close; the sweep ends it when the caller does not read what is left."""
        if self._state != _CLOSED:
            self._state = _LINGER
            self.deadline = self._server.now + self._server.limits.write_timeout_s
            self._server.outbox.flush()
            self._transport.close()

    def abort(self) -> None:
        """Close at once, dropping what is not written yet."""
        if self._transport is not None and self._state != _CLOSED:
            self._transport.abort()

    def drain(self) -> None:
        """Close now when idle; otherwise after the answer under way."""
        if self._state == _HEAD and self._unused:
            self._close()

    # The sweep.

    def sweep(self, now: float) -> None:
        """Enforce the deadlines. Called once per period."""
        if now - self._writer.stalled_since_s >= self._server.limits.write_timeout_s:
            self._server.timed_out += 1
            close_with_reset(self._transport)
            self.abort()
        elif now >= self.deadline:
            self._expire()
        elif self._eof and self._task is not None and not self._transport.is_closing():
            self._probe()

    def _expire(self) -> None:
        self.deadline = _NEVER
        if self._state == _LINGER or self._transport.get_write_buffer_size():
            # Nobody has read what was written; closing in order would wait for that.
            self.abort()
            return
        if self._transport.is_closing():
            return
        self._server.timed_out += 1
        if self._state == _BODY:
            self._spoil_body(BodyTimeout())
            # Nothing is on its way that could erase the answer: no need to linger.
            self._state = _BUSY
        else:
            if not self._unused:
                self._refuse(408, "The request head did not arrive in time.")
            self._close()

    def _probe(self) -> None:
        """Tell a caller that half-closed from one that is gone: the latter's host resets what it is sent.

        RFC 9110 15.2: a client must be able to parse 1xx answers it did not ask for; 100 is the one all know.
        """
        if is_reset(self._transport):
            self.abort()
        elif not self._probed and not self._writer.begun and self._head is not None and self._head.minor == 1:
            self._probed = True
            self._server.outbox.flush()
            self._transport.write(_CONTINUE)
