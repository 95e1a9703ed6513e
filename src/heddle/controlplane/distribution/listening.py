"""The socket that gateways connect to, and the loop that has states compiled and published.

Owns TLS (1.3 only, certificates of the local authority; without one a process may ask for one, and nothing else), the
bounds of a connection, and the pace of compiling: at once, then ten times a second at most. What was sent waits in one
place per gateway, by reference, and goes out as the peer reads: a thousand gateways that are sent the same megabytes
share them.

Refuses: peers that say what they must not, that take long to say who they are, and more strangers than a few at once.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec

from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.distribution.conversation import Conversation
from heddle.controlplane.distribution.hub import INTERVAL_S, Hub
from heddle.controlplane.distribution.joining import Joining
from heddle.controlplane.distribution.roll import Roll
from heddle.controlplane.distribution.states import Source, States
from heddle.wire.delta import DeltaError, Refused, encode, frames_from_gateway

_log = logging.getLogger("heddle.distribution")

PORT = 9444
GREETING_S = 10.0
"""From the connection to a greeting that is accepted, the handshake included."""
MAX_STRANGERS = 2_000
"""Connections that have not said who they are yet; a thousand gateways may come back in the same second."""
SWEEP_S = 5.0
RENEW_LOOK_S = 3_600.0
SLICE_BYTES = 16 * 1024
"""Written at a time: TLS keeps a buffer of the largest that ever was, for each connection."""
NOTHING_S = 0.005
"""Between two looks at what turned out to be no change."""
BACKLOG = 4_096
RETRY_S = 1.0
"""After a failure to compile."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where gateways are served."""

    address: str = "127.0.0.1"
    port: int = PORT
    """0 takes any that is free."""
    hosts: tuple[str, ...] = ()
    """Further names and addresses that the server's certificate is for."""


class Distribution:
    """What serves gateways, while it runs."""

    def __init__(self, source: Source, authority: Authority, joining: Joining, listening: Listening) -> None:
        self.listening = listening
        self.roll = Roll(time.time)
        self.joining = joining
        self.strangers = 0
        self._source = source
        self._authority = authority
        loop = asyncio.get_running_loop()
        self.hub = Hub(States(source.lineage), self.roll, loop.time, loop.call_later)
        self._changed = asyncio.Event()
        self._context: ssl.SSLContext | None = None
        self._renew_s = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Listen, and compile for the first time. Raises OSError, AuthorityError."""
        self._context = self._tls()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            partial(_Connection, self),
            self.listening.address,
            self.listening.port,
            ssl=self._context,
            backlog=BACKLOG,
            ssl_handshake_timeout=GREETING_S,
        )
        self._changed.set()
        self._tasks = [asyncio.ensure_future(self._publish()), asyncio.ensure_future(self._sweep())]

    def changed(self) -> None:
        """Something may have changed that gateways run. Call it as often as you like."""
        self._changed.set()

    async def close(self) -> None:
        """End every connection; gateways run on with what they have, and come back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for follower in self.hub.followers():
            self.hub.gone(follower)
            follower.wire.close()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # A resumed session would outlive the revocation of its certificate.
        context.num_tickets = 0
        context.load_verify_locations(cadata=self._authority.ca_pem.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
        self._certify(context)
        return context

    def _certify(self, context: ssl.SSLContext) -> None:
        path, self._renew_s = self._authority.server_certificate(self.listening.hosts)
        context.load_cert_chain(path)

    async def _publish(self) -> None:
        """Compile and publish whenever something changed, and never end over a failure."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                settled = await self._source.settle()
            except Exception:
                _log.exception("compiling failed; gateways run on with what they have")
                self._changed.set()
                await asyncio.sleep(RETRY_S)
                continue
            if settled is None:
                # A status was written, say. What is a change must not wait for what is none.
                await asyncio.sleep(NOTHING_S)
                continue
            self.hub.publish(settled)
            await asyncio.sleep(INTERVAL_S)

    async def _sweep(self) -> None:
        """Look after connections and certificates, now and then."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.hub.sweep()
            for follower in self.hub.followers():
                with contextlib.suppress(AuthorityError):
                    if self._authority.is_denied(follower.certificate):
                        _log.warning(
                            "the certificate of gateway %s was revoked; it is sent nothing more", follower.name
                        )
                        self.hub.end(follower.name)
            if self._context is not None and time.time() >= self._renew_s:
                self._renew(self._context)

    def _renew(self, context: ssl.SSLContext) -> None:
        try:
            self._certify(context)
        except (AuthorityError, OSError) as exc:
            self._renew_s = time.time() + RENEW_LOOK_S
            _log.error("the certificate of the control plane was not renewed: %s", exc)


class _Connection(asyncio.Protocol):
    """One connection: bytes in, messages to the conversation; frames out, as fast as the peer reads."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self._frames = frames_from_gateway()
        self._transport: asyncio.Transport | None = None
        self._outgoing: deque[memoryview] = deque()
        self._paused = False
        self._closing = False
        self._stranger = False
        self._deadline: asyncio.TimerHandle | None = None
        self._talk: Conversation | None = None

    @property
    def address(self) -> str:
        """Of the peer."""
        peer: Any = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"{peer[0]}:{peer[1]}" if peer else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: the peer has a certificate of the authority, or none."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=2 * SLICE_BYTES)
        distribution = self._distribution
        if distribution.strangers >= MAX_STRANGERS:
            transport.abort()
            return
        distribution.strangers += 1
        self._stranger = True
        self._deadline = asyncio.get_running_loop().call_later(GREETING_S, self._too_late)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._talk = Conversation(distribution.hub, distribution.joining, self, certificate, self._known)

    def data_received(self, data: bytes) -> None:
        """Hand every message on; whatever is wrong with one ends the connection with a word about it."""
        try:
            for message in self._frames.feed(data):
                if self._talk is None or self._closing:
                    return
                self._talk.received(message)
        except DeltaError as exc:
            self.send(encode(Refused(str(exc))))
            self.close()

    def send(self, frame: bytes) -> None:
        """Have it written when there is room for it."""
        if not self._closing:
            self._outgoing.append(memoryview(frame))
            self._write()

    def close(self) -> None:
        """End it once everything is written; a peer that does not read has no longer than to greet."""
        if self._closing:
            return
        self._closing = True
        self._watch()
        self._write()

    def pause_writing(self) -> None:
        """The peer reads slower than is written."""
        self._paused = True

    def resume_writing(self) -> None:
        """There is room."""
        self._paused = False
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over, for whatever reason."""
        del exc
        self._closing = True
        self._outgoing.clear()
        self._known()
        if self._talk is not None:
            self._talk.ended()
            self._talk = None

    def _write(self) -> None:
        transport, outgoing = self._transport, self._outgoing
        if transport is None:
            return
        while outgoing and not self._paused:
            frame = outgoing.popleft()
            if len(frame) > SLICE_BYTES:
                outgoing.appendleft(frame[SLICE_BYTES:])
                frame = frame[:SLICE_BYTES]
            transport.write(frame)
        if self._closing and not outgoing:
            transport.close()

    def _watch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(GREETING_S, self._too_late)

    def _known(self) -> None:
        """It is no stranger any more."""
        if self._stranger:
            self._stranger = False
            self._distribution.strangers -= 1
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def serve(
    source: Source,
    authority: Authority,
    joining: Joining,
    listening: Listening,
    ready: Callable[[], None] | None = None,
) -> Distribution:
    """Serve gateways with what `source` compiles, until `close`. Raises OSError, AuthorityError.

    Call it once the first state can be compiled: what the first `settle` gives is what gateways are sent.
    """
    distribution = Distribution(source, authority, joining, listening)
    await distribution.start()
    if ready is not None:
        ready()
    return distribution
