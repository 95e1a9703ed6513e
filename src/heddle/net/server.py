"""The HTTP/1.1 server: one listening socket, its connections, their caps, deadlines and drain.

Owns accepting, so that caps count a connection before a TLS handshake is paid for, and the one sweep that
enforces every deadline of every connection. What happens on a connection is `serving`.

*Source:* RFC 9112 section 9; RFC 9110 section 6.6.1 (`date`).
"""

import asyncio
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Final

from heddle.model.snapshot import ListenerSpec
from heddle.net.errors import BodyError, PeerGone
from heddle.net.message import Reply, Request
from heddle.net.outbox import Outbox
from heddle.net.serving import ServerConnection
from heddle.net.sweep import Sweep
from heddle.net.tls import HANDSHAKE_TIMEOUT_S, SHUTDOWN_TIMEOUT_S
from heddle.wire.http1_heads import encode_response_head

Handler = Callable[[Request], Awaitable[Reply]]
AnswerError = Callable[[int, str], Reply]

log = logging.getLogger("heddle.net")

SWEEP_PERIOD_S: Final = 0.25
UNIX_PEER: Final = "unix"
"""Address of every caller on a Unix socket: such a caller has none."""

_ACCEPTS_PER_WAKE: Final = 16
_BACKLOG: Final = 4096
_ACCEPT_PAUSE_S: Final = 0.1
_EPISODE_S: Final = 60.0
"""Pauses are logged once in so long: whoever causes them must not fill the log too."""
_UNSENT_BYTES: Final = 128 * 1024


class HttpServer:
    """Serves `handler` on one listening socket. All methods belong to the event loop's thread."""

    def __init__(
        self,
        handler: Handler,
        spec: ListenerSpec,
        *,
        answer_error: AnswerError,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        half_close: bool = True,
    ) -> None:
        """`answer_error(status, detail)` words every refusal of the protocol itself; its body must be bytes.

        A caller that sends no more but may still read gets its answer. Without `half_close` it counts as gone: for
        protocols in which closing a stream is how a caller cancels.
        """
        self.handler, self.answer_error, self.half_close = handler, answer_error, half_close
        self.limits = spec.limits
        self.outbox = Outbox()
        """What its connections write in this turn of the loop."""
        self.now = clock()
        """Monotonic seconds, as of the last sweep."""
        self.date_line = b""
        self.draining = False
        self.refused_connections = 0
        """Connections closed at accept because a cap was reached."""
        self.refused_requests = 0
        """Requests answered here because they broke the protocol."""
        self.timed_out = 0
        """Connections whose caller stalled beyond a deadline."""
        self._name = spec.name
        self._clock = clock
        self._wall_clock = wall_clock
        self._date_s = 0
        self._connections: set[ServerConnection] = set()
        self._per_address: Counter[str] = Counter()
        self._admitted = 0
        self._adopting: set[asyncio.Task[None]] = set()
        self._sweep = Sweep(self._look, SWEEP_PERIOD_S)
        self._socket: socket.socket | None = None
        self._ssl: ssl.SSLContext | None = None
        self._resume_accepting: asyncio.TimerHandle | None = None
        self._paused_s = -_EPISODE_S
        self._all_closed: asyncio.Future[None] | None = None
        self.tick()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs in."""
        return asyncio.get_running_loop()

    @property
    def connection_count(self) -> int:
        """Connections that are open, TLS handshakes under way included."""
        return self._admitted

    @property
    def inflight(self) -> int:
        """Requests being answered."""
        return sum(connection.busy for connection in self._connections)

    # Accepting.

    async def start(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on `sock` (bound; perhaps shared with other processes) and accept from now on."""
        sock.setblocking(False)
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Inherited by accepted sockets: an answer is one write and must not wait for an ACK.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Otherwise the kernel keeps megabytes for each caller that does not read.
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        sock.listen(_BACKLOG)
        self._socket = sock
        self._ssl = tls
        self.loop.add_reader(sock.fileno(), self._accept)

    def stop_accepting(self) -> None:
        """Leave the listening socket to its other owners; it is not closed."""
        if self._resume_accepting is not None:
            self._resume_accepting.cancel()
            self._resume_accepting = None
        if self._socket is not None:
            self.loop.remove_reader(self._socket.fileno())
            self._socket = None

    def _accept(self) -> None:
        listening = self._socket
        if listening is None:
            return
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors: the socket stays readable, so without a pause this would spin.
                if self._clock() - self._paused_s >= _EPISODE_S:
                    self._paused_s = self._clock()
                    log.error("accepting on %s pauses again and again: %s", self._name, error.strerror)
                self.loop.remove_reader(listening.fileno())
                self._resume_accepting = self.loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)
                return
            self._admit(sock, str(address[0]) if isinstance(address, tuple) else UNIX_PEER)

    def _accept_again(self) -> None:
        self._resume_accepting = None
        if self._socket is not None:
            self.loop.add_reader(self._socket.fileno(), self._accept)

    def _admit(self, sock: socket.socket, address: str) -> None:
        limits = self.limits
        if self._admitted >= limits.max_connections or self._per_address[address] >= limits.max_connections_per_address:
            self.refused_connections += 1
            self._turn_away(sock)
            return
        self._admitted += 1
        self._per_address[address] += 1
        task = self.loop.create_task(self._adopt(sock, address))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _turn_away(self, sock: socket.socket) -> None:
        reply = self.answer_error(503, "There are too many connections.")
        if self._ssl is None and isinstance(reply.body, bytes):
            framing = b"%bcontent-length: %d\r\nconnection: close\r\n" % (self.date_line, len(reply.body))
            head = encode_response_head(reply.status, reply.headers, framing)
            try:
                sock.setblocking(False)
                sock.send(head + reply.body)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        sock.close()

    async def _adopt(self, sock: socket.socket, address: str) -> None:
        tls = self._ssl
        connection = ServerConnection(self, address)
        try:
            sock.setblocking(False)
            await self.loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S if tls else None,
            )
        except (TimeoutError, OSError, ssl.SSLError):
            # A handshake that failed or took too long. Nothing was served, so nothing is logged.
            pass
        finally:
            if connection not in self._connections and not connection.was_open:
                sock.close()
                self._release(address)

    # Requests.

    def explain(self, error: Exception) -> Reply:
        """The answer for a handler that raised."""
        if isinstance(error, BodyError):
            return self.answer_error(error.status, error.detail)
        if isinstance(error, PeerGone):
            # Nobody reads it; the status is what the world calls a caller that left.
            return Reply(499, [])
        log.error("a handler failed", exc_info=error)
        return self.answer_error(500, "The server failed while answering this request.")

    # Connections tell of themselves.

    def opened(self, connection: ServerConnection) -> None:
        """The connection can be served."""
        if not self._connections:
            self.tick()
            self._sweep.start()
        self._connections.add(connection)

    def closed(self, connection: ServerConnection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)
        self._release(connection.peer.address)

    def _release(self, address: str) -> None:
        self._admitted -= 1
        self._per_address[address] -= 1
        if self._per_address[address] <= 0:
            del self._per_address[address]
        if self._all_closed is not None and not self._admitted and not self._all_closed.done():
            self._all_closed.set_result(None)

    # Time.

    def tick(self) -> None:
        """Read the clocks: what connections take for now, and the `date` of answers."""
        self.now = self._clock()
        second = int(self._wall_clock())
        if second != self._date_s:
            self._date_s = second
            self.date_line = b"date: %b\r\n" % formatdate(second, usegmt=True).encode()

    def sweep(self) -> None:
        """Enforce every deadline. Runs by itself four times a second while there are connections."""
        self.tick()
        now = self.now
        for connection in tuple(self._connections):
            connection.sweep(now)

    def _look(self) -> bool:
        self.sweep()
        return bool(self._connections)

    # The end.

    def wind_down(self) -> None:
        """Stop accepting; every connection closes after its next answer, or when it has idled long enough.

        Nothing is cut: an idle connection stays open, because its caller may be writing a request at this moment.
        """
        self.stop_accepting()
        self.draining = True

    async def drain(self, deadline_s: float) -> None:
        """Stop accepting, let calls in flight finish for at most `deadline_s` seconds from now, close everything."""
        self.stop_accepting()
        self.draining = True
        for connection in tuple(self._connections):
            connection.drain()
        if self._admitted:
            self._all_closed = self.loop.create_future()
            await asyncio.wait([self._all_closed], timeout=deadline_s)
        for task in tuple(self._adopting):
            task.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        if self._admitted and self._all_closed is not None and not self._all_closed.done():
            await asyncio.wait([self._all_closed], timeout=1.0)
        self._sweep.stop()
