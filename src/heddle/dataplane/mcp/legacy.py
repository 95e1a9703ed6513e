"""The front of the older era: sessions over streamable HTTP.

Owns `initialize` and what a session's messages mean: requests are answered by one message or by a stream, answers go
to whoever asked, in whichever worker that is, and a caller that lost a stream finds what it missed.
*Source:* Model Context Protocol 2025-03-26 to 2025-11-25: "Lifecycle", "Streamable HTTP", "Resumability".
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from heddle import __version__
from heddle.backends.mcp.contract import NOTHING
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.feed import Feed
from heddle.dataplane.mcp.following import Following
from heddle.dataplane.mcp.modern import capabilities
from heddle.dataplane.mcp.replay import Replay, Stream
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.server import VirtualServer
from heddle.dataplane.mcp.sessions import Carried, Changing, NoSession, Session, Sessions
from heddle.dataplane.mcp.speaking import LegacyCaller
from heddle.model.principal import Principal
from heddle.net.message import Headers, Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Message,
    RpcError,
    encode_error,
    encode_result,
)
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.results import to_legacy
from heddle.wire.mcp.versions import LEGACY, UNSTATED, at_least, negotiated

EAGER_S = 3.0
"""How long `initialize` waits for sessions with targets to begin; one that takes longer begins on first use."""
MAX_TOKEN_KEPT = 2_048
"""Characters of sessions with targets that a token carries."""
MAX_INFO, MAX_CAPABILITIES = 1_024, 4_096
"""Bytes of what a client says of itself: a token carries that, too."""
MAX_STREAMS = 4
"""Streams of what the server says by itself that a session has open in one worker; each asks targets for theirs."""
SESSION_NOT_FOUND = -32001
_encode = msgspec.json.encode
_SPOKEN = frozenset(version.encode() for version in LEGACY)
_MODERN_ONLY = frozenset(("server/discover", "subscriptions/listen"))


class LegacyFront:
    """The front of one virtual server."""

    def __init__(self, server: VirtualServer, sessions: Sessions, asking: Asking, replay: Replay) -> None:
        self.server = server
        self._sessions = sessions
        self._asking = asking
        self._replay = replay
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: Counter[str] = Counter()

    # Sessions.

    async def session(self, exchange: Exchange) -> Session | None:
        """The session of a request; None when it names none. Raises NoSession."""
        token = exchange.request.header(fields.SESSION)
        if token is None:
            return None
        return await self._sessions.find(token.decode("latin-1"), self.server.spec.name, exchange.principal)

    def _at_hand(self, exchange: Exchange) -> Session | None:
        """The same, where nothing has to be looked up for it."""
        token = exchange.request.header(fields.SESSION)
        if token is None:
            return None
        return self._sessions.known(token.decode("latin-1"), self.server.spec.name, exchange.principal)

    async def _begin(self, exchange: Exchange, message: Message) -> Reply:
        carried = self.declared(message, self._sessions.new_id())
        caller = self.caller_of(Session(carried, self.server.spec.name, ""), exchange.principal)
        caller.beginning = {}
        result = await self.initialize(exchange, caller)
        kept, caller.beginning = caller.beginning, None
        if sum(map(len, kept.values())) <= MAX_TOKEN_KEPT:
            carried = msgspec.structs.replace(carried, kept=kept)
        token, _ = self._sessions.begin(self.server.spec.name, exchange.principal, carried)
        headers: Headers = [*fronting.JSON, (fields.SESSION, token.encode())]
        return Reply(200, headers, encode_result(message.id, result))

    def declared(self, message: Message, ident: str) -> Carried:
        """What an `initialize` says of the session that begins. Raises RpcError."""
        asked, capable = message.value.get("protocolVersion"), message.value.get("capabilities", {})
        if not isinstance(asked, str) or not isinstance(capable, dict):
            raise RpcError(INVALID_PARAMS, "`initialize` needs `protocolVersion` and `capabilities`.")
        info = bytes(message.params.get("clientInfo", b""))
        capable_of = bytes(message.params.get("capabilities", NOTHING))
        if len(info) > MAX_INFO or len(capable_of) > MAX_CAPABILITIES:
            raise RpcError(INVALID_PARAMS, "`clientInfo` or `capabilities` is larger than can be kept.")
        return Carried(ident, negotiated(asked), self._sessions.now_s(), capable_of, info)

    async def initialize(self, exchange: Exchange, caller: LegacyCaller) -> bytes:
        """Begin a caller's session with targets, too: what its `initialize` results in. Raises CallError."""
        self.server.enter(exchange)
        surface = await self.server.surface(caller)
        stateful = [part.upstream for part in surface.parts if part.upstream.target.stateful and part.upstream.eager]
        if stateful:
            begun = [asyncio.ensure_future(_quiet(upstream.target.describe(caller))) for upstream in stateful]
            self._tasks.update(begun)
            for task in begun:
                task.add_done_callback(self._tasks.discard)
            await asyncio.wait(begun, timeout=EAGER_S)
        told: dict[str, Any] = {
            "protocolVersion": caller.version,
            "capabilities": capabilities(surface.capabilities(), modern=False),
            "serverInfo": {"name": "heddle", "version": __version__},
        }
        if self.server.spec.title and at_least(caller.version, "2025-06-18"):
            told["serverInfo"]["title"] = self.server.spec.title
        if instructions := surface.instructions():
            told["instructions"] = instructions
        return _encode(told)

    # Messages.

    async def handle(self, exchange: Exchange, message: Message, size: int, *, events: bool = True) -> Reply:
        """Answer one message of a POST; without `events`, by one message whatever the caller reads.

        CallErrors are answered by whoever calls this.
        """
        stated = exchange.request.header(fields.VERSION)
        if stated is not None and stated not in _SPOKEN:
            error = RpcError(INVALID_REQUEST, "Bad Request: the protocol version is not spoken here in this way.")
            return fronting.refused(message.id, error, 400)
        try:
            session = self._at_hand(exchange) or await self.session(exchange)
        except NoSession:
            return self.lost(exchange, message.id)
        version = session.carried.version if session is not None else UNSTATED
        if not message.is_request:
            await self.told(exchange, message, session)
            return Reply(202, [])
        call = fronting.enter(exchange, self.server, message, version, size)
        call.session = session.carried.id if session is not None else ""
        if message.method == "initialize":
            try:
                return await self._begin(exchange, message)
            except (RpcError, CallError) as error:
                return fronting.failed(exchange, message.id, error, modern=False)
        events = events and fronting.takes_events(exchange.request)
        try:
            running = self.run(exchange, message, session, hears=events)
        except CallError as error:
            return fronting.failed(exchange, message.id, error, modern=False)
        return await self._reply(running, message, session, exchange, events=events)

    @staticmethod
    def lost(exchange: Exchange, identity: bytes) -> Reply:
        """The answer to a token that is of no session, or not of this caller's, or of one that is over."""
        exchange.reason = Reason.NOT_FOUND
        return fronting.refused(identity or b"null", RpcError(SESSION_NOT_FOUND, "Session not found"), 404)

    def run(self, exchange: Exchange, message: Message, session: Session | None, *, hears: bool = True) -> Running:
        """Begin a request. Raises CallError when the session has too many under way."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        running = Running(loop)
        caller = LegacyCaller(running, self._asking, session, exchange.principal)
        caller.exchange, caller.hears = exchange, hears
        if session is None:
            fronting.identify(caller, exchange, "caller:")
        else:
            self._asking.begin(session, message.id, running)
        running.start(self._answer(message, caller, exchange))
        return running

    async def _answer(self, message: Message, caller: LegacyCaller, exchange: Exchange) -> bytes:
        session, method = caller.session, message.method
        try:
            if method in _MODERN_ONLY:
                raise RpcError(METHOD_NOT_FOUND, "Method not found")
            if method == "logging/setLevel":
                return await self._set_level(message, caller)
            result = to_legacy(await self.server.answer(message, caller, exchange))
            if session is not None and method in ("resources/subscribe", "resources/unsubscribe"):
                await self._subscribe(session, str(message.value["uri"]), method == "resources/subscribe")
            return result
        finally:
            if session is not None:
                self._asking.end(session, message.id)

    async def _set_level(self, message: Message, caller: LegacyCaller) -> bytes:
        level = message.value.get("level")
        if level not in meta.LEVELS:
            raise RpcError(INVALID_PARAMS, f"`level` must be one of {', '.join(meta.LEVELS)}.")
        if "logging" not in (await self.server.surface(caller)).capabilities():
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        if caller.session is not None:
            await self._change(caller.session, log_level=str(level))
        await self.server.set_level(message.params, caller)
        return NOTHING

    async def _subscribe(self, session: Session, uri: str, on: bool) -> None:
        with contextlib.suppress(NoSession):
            changing = await self._sessions.current(session)
            uris = tuple(other for other in changing.uris if other != uri) + ((uri,) if on else ())
            await self._change(session, uris=uris[-1_000:])
            self._asking.news(session, "")
            await self._asking.settled(session)

    async def _change(self, session: Session, **changed: Any) -> None:
        """Change a session, unless it is over: what another worker ended does not begin again."""
        with contextlib.suppress(NoSession):
            self._sessions.change(session, msgspec.structs.replace(await self._sessions.current(session), **changed))

    async def told(self, exchange: Exchange, message: Message, session: Session | None) -> None:
        """An answer, or a notification."""
        exchange.operation = "mcp"
        if session is None:
            return
        if message.is_answer:
            self._asking.answered(session, message)
        elif message.method == "notifications/cancelled":
            raw = message.params.get("requestId")
            if raw is not None:
                self._asking.cancel(session, bytes(raw))
        elif message.method == "notifications/roots/list_changed":
            caller = LegacyCaller(Running(), self._asking, session, exchange.principal)
            await self.server.tell(message.method, message.params, caller)

    async def _reply(
        self, running: Running, message: Message, session: Session | None, exchange: Exchange, *, events: bool
    ) -> Reply:
        """One message if the request ends without anything else, a stream otherwise."""
        try:
            while not running.done:
                await running.news()
                if running.said and events:
                    break
                running.take()
        except asyncio.CancelledError:
            if session is None:
                running.cancel()  # with a session, only the caller's word cancels
            raise
        if running.said and events:
            stream = self._replay.stream(session)
            return Reply(200, fronting.EVENTS, self._stream(running, stream, message, exchange))
        if running.error is not None:
            return fronting.failed(exchange, message.id, running.error, modern=False)
        return Reply(200, fronting.JSON, encode_result(message.id, running.result))

    async def _stream(
        self, running: Running, stream: Stream, message: Message, exchange: Exchange
    ) -> AsyncIterator[bytes]:
        """The events of a request, its result last. A caller that goes away may come back for the rest."""
        events = [stream.prime()] if stream.primed else []
        ended = False
        try:
            while True:
                # Kept before the first is sent: whoever goes away in between comes back for all of them.
                events += [stream.event(said) for said in running.take()]
                ended = running.done
                if ended:
                    events.append(stream.event(_last(running, message, exchange), last=True))
                exchange.events += len(events)
                for event in events:
                    yield event
                if ended:
                    return
                events = [fronting.PING] if await fronting.silence(running) else []
        finally:
            if not ended:
                self._go_on(running, stream, message, exchange)

    def _go_on(self, running: Running, stream: Stream, message: Message, exchange: Exchange) -> None:
        """The caller has gone: its call goes on without it, if it may come back."""
        if not stream.kept:
            running.cancel()
            return
        task = asyncio.ensure_future(_keep(running, stream, message, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Streams of the server's own, and the end.

    async def listen(self, exchange: Exchange) -> Reply:
        """A GET: what the server says by itself, or the rest of a stream that broke. Raises CallError."""
        if not fronting.takes_events(exchange.request):
            return fronting.refused(b"null", RpcError(INVALID_REQUEST, "Not Acceptable: text/event-stream"), 406)
        try:
            session = await self.session(exchange)
        except NoSession:
            return self.lost(exchange, b"")
        if session is None:
            headers: Headers = [(b"allow", b"POST")]
            raise CallError(Reason.METHOD_NOT_ALLOWED, "A stream needs a session; send `initialize`.", headers=headers)
        exchange.operation = "mcp/stream"
        last = exchange.request.header(b"last-event-id") or b""
        if self._replay.names(last):
            return Reply(200, fronting.EVENTS, self._replay.rest(session, last))
        if self._streams[session.carried.id] >= MAX_STREAMS:
            exchange.reason = Reason.OVERLOADED
            return fronting.refused(b"null", RpcError(INVALID_REQUEST, "The session has streams enough."), 409)
        return Reply(200, fronting.EVENTS, self._own(session, exchange, last))

    async def _own(self, session: Session, exchange: Exchange, last: bytes) -> AsyncIterator[bytes]:
        """What the server says by itself; first what was said on the stream that the caller lost, if it did."""
        following = self.following(session, exchange)
        stream = self._replay.stream(session, own=True)
        self._streams[session.carried.id] += 1
        try:
            if stream.primed:
                yield stream.prime()
            else:
                yield fronting.PING
            for said in await self._replay.missed(session, last):
                yield stream.event(said)
            async for said in following.feed.messages():
                exchange.events += 1
                yield stream.event(said) if said else fronting.PING
        finally:
            self._streams[session.carried.id] -= 1
            if not self._streams[session.carried.id]:
                del self._streams[session.carried.id]
            following.close()

    def caller_of(self, session: Session, principal: Principal) -> LegacyCaller:
        """The caller that is asked by what a server says by itself."""
        return LegacyCaller(Running(), self._asking, session, principal)

    def following(self, session: Session, exchange: Exchange) -> Following:
        """Everything that targets say to a session by themselves."""
        caller = self.caller_of(session, exchange.principal)
        feed = Feed(self.server, caller, exchange)
        caller.running = feed.mail
        return Following(feed, caller, session, self._asking, self._sessions)

    async def end(self, exchange: Exchange) -> Reply:
        """A DELETE: the session is over, here and at every target."""
        exchange.operation = "mcp/end"
        try:
            session = await self.session(exchange)
        except NoSession:
            return self.lost(exchange, b"")
        if session is None:
            return fronting.refused(b"null", RpcError(INVALID_REQUEST, "There is no session to end."), 400)
        self._sessions.change(session, Changing(ended=True))
        self.forget(session, exchange.principal)
        return Reply(200, [])

    def forget(self, session: Session, principal: Principal) -> None:
        """End what a session has at targets."""
        caller = self.caller_of(session, principal)
        for _, upstream in self.server.targets():
            if upstream.target.stateful:
                task = asyncio.ensure_future(_quiet(upstream.target.end(caller)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)


def _last(running: Running, message: Message, exchange: Exchange) -> bytes:
    if running.error is not None:
        return encode_error(message.id, fronting.failure(exchange, running.error))
    return encode_result(message.id, running.result)


async def _keep(running: Running, stream: Stream, message: Message, exchange: Exchange) -> None:
    """Keep what a call says, for a caller that comes back."""
    while True:
        for said in running.take():
            stream.event(said)
        if running.done:
            break
        await running.news()
    stream.event(_last(running, message, exchange), last=True)


async def _quiet(work: Any) -> None:
    with contextlib.suppress(RpcError, CallError):
        await work
