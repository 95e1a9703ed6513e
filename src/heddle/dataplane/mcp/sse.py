"""The oldest front: HTTP+SSE of 2024-11-05, one stream per session on which everything is answered.

Owns the stream and the place that it tells callers to send messages to. That place names the session by its token, so
that a message may arrive at any worker; the one that has the stream answers it. A session ends with its stream.
*Source:* Model Context Protocol 2024-11-05, "HTTP with SSE".
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

from heddle.dataplane.admission import check_json
from heddle.dataplane.decode import read_body
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.endpoint import unreadable
from heddle.dataplane.mcp.legacy import LegacyFront
from heddle.dataplane.mcp.sessions import Carried, Changing, NoSession, Session, Sessions
from heddle.drivers.bus import Bus
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import beside
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import INTERNAL_ERROR, Message, RpcError, decode, encode_error, encode_result

_log = logging.getLogger("heddle.mcp")

VERSION = "2024-11-05"
MESSAGES = "/messages"
MAX_UNDER_WAY = 200
"""Requests of one session that are answered at once."""


class SseFront:
    """HTTP+SSE of one virtual server."""

    def __init__(self, path: str, legacy: LegacyFront, sessions: Sessions, bus: Bus, record: fronting.Record) -> None:
        """`path` is where the virtual server is."""
        self._path, self._legacy, self._sessions, self._bus = path, legacy, sessions, bus
        self._record = record
        self._talks: set[_Talk] = set()

    def hand_over(self, successor: "SseFront | None") -> None:
        """Another configuration is served from now on: sessions go on under it, or end where it has no such server."""
        while self._talks:
            talk = self._talks.pop()
            if successor is None:
                talk.end()
            else:
                talk.move(successor._legacy, successor._talks)

    async def open(self, exchange: Exchange) -> Reply:
        """A GET: the stream of a new session. Raises CallError."""
        if not fronting.takes_events(exchange.request):
            raise CallError(Reason.BAD_REQUEST, "This is a stream: send `accept: text/event-stream`.")
        exchange.operation = "mcp/stream"
        self._legacy.server.enter(exchange)
        carried = Carried(self._sessions.new_id(), VERSION, self._sessions.now_s())
        token, session = self._sessions.begin(self._legacy.server.spec.name, exchange.principal, carried)
        return Reply(200, fronting.EVENTS, self._stream(token, session, exchange))

    async def _stream(self, token: str, session: Session, exchange: Exchange) -> AsyncIterator[bytes]:
        talk = _Talk(self._legacy, session, exchange, self._record)
        talk.among = self._talks
        self._talks.add(talk)
        unsubscribe = self._bus.subscribe(_topic(session), talk.take)
        try:
            yield b"event: endpoint\ndata: %b%b?session=%b\n\n" % (
                self._path.encode(),
                MESSAGES.encode(),
                token.encode(),
            )
            async for said in talk.feed.messages():
                exchange.events += 1
                yield b"event: message\ndata: %b\n\n" % said if said else fronting.PING
        finally:
            unsubscribe()
            talk.among.discard(talk)
            talk.close()
            self._sessions.change(session, Changing(ended=True))

    async def post(self, exchange: Exchange) -> Reply:
        """A message of a session, taken to wherever its stream is. Raises CallError."""
        exchange.operation = "mcp"
        request = exchange.request
        check_json(request)
        tokens = parse_qs(request.query).get("session", [])
        if len(tokens) != 1:
            raise CallError(Reason.BAD_REQUEST, "The query must name one `session`.", param="session")
        try:
            session = await self._sessions.find(tokens[0], self._legacy.server.spec.name, exchange.principal)
        except NoSession as exc:
            raise CallError(Reason.NOT_FOUND, "There is no such session.") from exc
        max_bytes = exchange.listener.limits.max_body_bytes
        body = await read_body(request, request.body.whole(max_bytes), max_bytes)
        try:
            decode(body)
        except ProtocolError as error:
            return unreadable(exchange, error)
        self._bus.publish(_topic(session), body)
        return Reply(202, [(b"content-type", b"text/plain")], b"Accepted")


class _Talk:
    """One session, where its stream is."""

    def __init__(self, legacy: LegacyFront, session: Session, exchange: Exchange, record: fronting.Record) -> None:
        self._legacy, self._session, self._exchange = legacy, session, exchange
        self._record = record
        self._following = legacy.following(session, exchange)
        self.feed = self._following.feed
        self.feed.lasting = True
        self.among: set[_Talk] = set()
        """All sessions of the front that it belongs to now."""
        self._tasks: set[asyncio.Task[None]] = set()

    def move(self, legacy: LegacyFront, among: "set[_Talk]") -> None:
        """Go on under another configuration, with what it allows; calls under way end as they began."""
        former, self._legacy, self.among = self._following, legacy, among
        among.add(self)
        self._following = legacy.following(self._session, self._exchange)
        self._following.into(self.feed.mail)
        self._following.introduce()
        self._following.feed.lasting = True
        former.close()

    def end(self) -> None:
        """There is nothing to go on with."""
        self.feed.mail.done = True
        self.feed.mail.wake()

    def take(self, body: bytes) -> None:
        """A message arrived, at this worker or another."""
        if len(self._tasks) >= MAX_UNDER_WAY:
            self._refuse(decode(body))
            return
        task = asyncio.ensure_future(self._answer(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: bytes) -> None:
        message = decode(body)  # whoever took it has looked
        stream = self._exchange
        own = Exchange(stream.request, stream.listener, "mcp", beside(stream.trace), time.monotonic())
        own.principal, own.source_address = stream.principal, stream.source_address
        if not message.is_request:
            await self._legacy.told(own, message, self._session)
            return
        call = fronting.enter(own, self._legacy.server, message, VERSION, len(body))
        call.session = self._session.carried.id
        try:
            if message.method == "initialize":
                self._say(encode_result(message.id, await self._initialize(own, message)))
            else:
                await self._run(own, message)
        except Exception as error:
            self._say(encode_error(message.id, fronting.failure(own, error)))
        finally:
            self._record(own, 200, 0)

    async def _initialize(self, exchange: Exchange, message: Message) -> bytes:
        """This session is the one that begins; what the caller declares becomes its own."""
        session = self._session
        session.carried = self._legacy.declared(message, session.carried.id)
        self._following.introduce()
        return await self._legacy.initialize(exchange, self._legacy.caller_of(session, exchange.principal))

    def _say(self, message: bytes) -> None:
        """An answer, which must not be lost: a caller that does not read loses its stream, and knows."""
        if not self.feed.mail.say(message):
            _log.warning("a session of HTTP+SSE is ended: its caller does not read what it is answered")
            self.end()

    def _refuse(self, message: Message) -> None:
        _log.warning("a session of HTTP+SSE has too many requests under way; one is refused")
        if message.is_request:
            self._say(encode_error(message.id, RpcError(INTERNAL_ERROR, "Too many requests are under way.")))

    async def _run(self, exchange: Exchange, message: Message) -> None:
        running = self._legacy.run(exchange, message, self._session)
        try:
            while True:
                await running.news()
                for said in running.take():
                    self.feed.mail.say(said)
                if running.done:
                    break
        except asyncio.CancelledError:
            running.cancel()  # the session is over, and nobody can come back for the answer
            raise
        if running.error is not None:
            self._say(encode_error(message.id, fronting.failure(exchange, running.error)))
        else:
            self._say(encode_result(message.id, running.result))

    def close(self) -> None:
        """The stream is closed: so is the session."""
        self._following.close()
        for task in self._tasks:
            task.cancel()
        self._legacy.forget(self._session, self._exchange.principal)


def _topic(session: Session) -> str:
    return f"mcp.sse.{session.carried.id}"
