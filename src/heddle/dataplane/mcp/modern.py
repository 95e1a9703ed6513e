"""The front of the stateless era: each POST is a call of its own.

Owns the checks of the envelope (fields against body, version, capabilities) and the form of answers: one JSON message
where there is nothing but a result, a stream from the first thing that is said before it. What a target of the older
era asks becomes `input_required`; the call waits, parked, for the caller's next request.
*Source:* Model Context Protocol 2026-07-28: "Streamable HTTP", "Per-request protocol fields", "Multi round-trip
requests", "Discovery".
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import msgspec

from heddle import __version__
from heddle.backends.mcp.contract import Caller, Params
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.envelopes import Envelope, Envelopes
from heddle.dataplane.mcp.feed import Listening
from heddle.dataplane.mcp.heads import said as said_by
from heddle.dataplane.mcp.parking import Asked, Parked, Parking, Questions
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.server import VirtualServer
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Exchange
from heddle.wire import sse
from heddle.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Message,
    RpcError,
    encode_error,
    encode_members,
    encode_notification,
    encode_result,
)
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.results import to_modern
from heddle.wire.mcp.versions import LATEST, MODERN, VERSIONS

_encode = msgspec.json.encode
_REMOVED = frozenset(("ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"))
_SERVER_INFO = {"name": "heddle", "version": __version__}


class ModernCaller(Caller):
    """The caller of one request."""

    version = LATEST
    questions: Questions | None = None
    running: Running | None = None
    """What it says before its end, from the first that it does; at once where somebody waits beside it."""
    quiet = False
    """It wants to hear of nothing before the result."""

    def introduce(self, envelope: Envelope) -> None:
        """Be who the request says."""
        # A server of the older era hears once, as its session begins, what the client answers.
        self.key += envelope.answers
        self.capabilities, self.client_info = envelope.capabilities, envelope.client_info
        self.passing, self.log_level, self.quiet = envelope.passing, envelope.log_level, envelope.quiet

    def attend(self) -> tuple[Running, Questions]:
        """Where the call runs from now on, and what it asks."""
        running = self.running = Running()
        self.questions = Questions(running)
        return running, self.questions

    def notify(self, method: str, params: Params) -> None:
        """Into the stream of this request; log messages as far as it wants them."""
        if method == "notifications/message" and not _wants(self.log_level, params):
            return
        if method.startswith("notifications/"):
            running = self.running = self.running or Running()
            running.say(encode_notification(method, encode_members(params)))

    async def ask(self, method: str, params: Params) -> bytes:
        """Becomes `input_required`; the answer comes with the caller's next request."""
        if self.quiet or self.questions is None:
            raise RpcError(INTERNAL_ERROR, "The server asks where it was not known to; the next call can be asked.")
        return await self.questions.ask(method, params)


def _wants(level: str, params: Params) -> bool:
    """Whether a log message is severe enough for who asked for `level`."""
    if not level:
        return False
    said = bytes(params.get("level", b'""')).strip(b'"').decode("ascii", "replace")
    return said not in meta.LEVELS or level not in meta.LEVELS or meta.LEVELS.index(said) >= meta.LEVELS.index(level)


class ModernFront:
    """The front of one virtual server."""

    def __init__(self, server: VirtualServer, parking: Parking) -> None:
        self._server = server
        self._parking = parking
        self._envelopes = Envelopes()

    async def handle(self, exchange: Exchange, message: Message, size: int) -> Reply:
        """Answer one request."""
        fronting.enter(exchange, self._server, message, LATEST, size)
        caller = ModernCaller()
        try:
            self._check(exchange, message, caller)
            if message.method == "subscriptions/listen":
                return await self._listen(exchange, message, caller)
            parked = self._parking.find(message, exchange, self._server.spec.name)
        except (RpcError, CallError) as error:
            return fronting.failed(exchange, message.id, error, modern=True)
        if parked is not None or not (caller.quiet and self._server.quiet(caller)):
            try:
                return await self._apart(parked, message, caller, exchange)
            except CallError as error:
                return fronting.failed(exchange, message.id, error, modern=True)
        # Where nothing is said before the end, nobody has to wait for it beside the call.
        try:
            result = self._answered(await self._asked(message, caller, exchange), message, exchange)
        except Exception as error:
            return fronting.failed(exchange, message.id, error, modern=True)
        if caller.running is not None and fronting.takes_events(exchange.request):
            # By no right, but it is there: it is passed on with the result.
            said = caller.running.take()
            exchange.events += len(said)
            events = [*map(sse.encode, said), sse.encode(encode_result(message.id, result))]
            return Reply(200, fronting.EVENTS, b"".join(events))
        return Reply(200, fronting.JSON, encode_result(message.id, result))

    def _check(self, exchange: Exchange, message: Message, caller: ModernCaller) -> None:
        """The envelope. Raises RpcError with the first thing that is wrong."""
        envelope, said = self._envelopes.of(message), said_by(exchange.request)
        if said.version is None:
            raise RpcError(fields.HEADER_MISMATCH, "The field `MCP-Protocol-Version` is missing.")
        if said.version != envelope.version:
            raise RpcError(fields.HEADER_MISMATCH, "`MCP-Protocol-Version` is not the version of the body.")
        fields.check_fields(said, message)
        if envelope.version not in MODERN:
            raise unsupported(envelope.version)
        if message.method in _REMOVED:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        fronting.identify(caller, exchange, "caller:")
        caller.introduce(envelope)

    async def _apart(self, parked: Parked | None, message: Message, caller: ModernCaller, exchange: Exchange) -> Reply:
        """The answer to a call that may say something before its end, or ask: it runs beside whoever waits for it."""
        if parked is not None:
            parked.resume()
            return await self._reply(parked.running, parked.questions, message, exchange)
        caller.quiet = False
        running, questions = caller.attend()
        running.start(self._answer(message, caller, exchange))
        return await self._reply(running, questions, message, exchange)

    def _asked(self, message: Message, caller: ModernCaller, exchange: Exchange) -> Awaitable[bytes]:
        """The result as a target, or the server itself, gives it. Raises RpcError or CallError."""
        if message.method == "server/discover":
            return self._discover(caller)
        return self._server.answer(message, caller, exchange)

    def _answered(self, result: bytes, message: Message, exchange: Exchange) -> bytes:
        """The same as this caller may have it."""
        return to_modern(message.method, self._parking.wrap(result, message, exchange, self._server.spec.name))

    async def _answer(self, message: Message, caller: ModernCaller, exchange: Exchange) -> bytes:
        return self._answered(await self._asked(message, caller, exchange), message, exchange)

    async def _discover(self, caller: Caller) -> bytes:
        surface = await self._server.surface(caller)
        told: dict[str, Any] = {
            "supportedVersions": list(VERSIONS[::-1]),
            "capabilities": capabilities(surface.capabilities(), modern=True),
            "_meta": {meta.SERVER_INFO: server_info(self._server.spec.title)},
        }
        if instructions := surface.instructions():
            told["instructions"] = instructions
        return _encode(told)

    async def _reply(self, running: Running, questions: Questions, message: Message, exchange: Exchange) -> Reply:
        """One message if the request ends without anything else, a stream otherwise."""
        events = fronting.takes_events(exchange.request)
        try:
            while not (running.done or questions.open):
                await running.news()
                if running.said and events:
                    break
                running.take()
        except asyncio.CancelledError:
            running.cancel()
            raise
        if running.said and events:
            return Reply(200, fronting.EVENTS, self._stream(running, questions, message, exchange))
        if not running.done:
            return Reply(
                200, fronting.JSON, encode_result(message.id, self._parked(running, questions, message, exchange))
            )
        if running.error is not None:
            return fronting.failed(exchange, message.id, running.error, modern=True)
        return Reply(200, fronting.JSON, encode_result(message.id, running.result))

    def _parked(self, running: Running, questions: Questions, message: Message, exchange: Exchange) -> bytes:
        return self._parking.park(running, questions, Asked(message, exchange, self._server.spec.name))

    async def _stream(
        self, running: Running, questions: Questions, message: Message, exchange: Exchange
    ) -> AsyncIterator[bytes]:
        finished = False
        try:
            while True:
                for said in running.take():
                    exchange.events += 1
                    yield sse.encode(said)
                if running.done or questions.open:
                    break
                if await fronting.silence(running):
                    yield fronting.PING
            finished = True
            yield sse.encode(self._last(running, questions, message, exchange))
        finally:
            if not finished:
                running.cancel()  # closing the stream is how this era cancels

    def _last(self, running: Running, questions: Questions, message: Message, exchange: Exchange) -> bytes:
        if not running.done:
            try:
                return encode_result(message.id, self._parked(running, questions, message, exchange))
            except CallError as error:
                return encode_error(message.id, fronting.failure(exchange, error))
        if running.error is not None:
            return encode_error(message.id, fronting.failure(exchange, running.error))
        return encode_result(message.id, running.result)

    async def _listen(self, exchange: Exchange, message: Message, caller: ModernCaller) -> Reply:
        wanted = message.value.get("notifications")
        if not isinstance(wanted, dict):
            raise RpcError(INVALID_PARAMS, "`notifications` must be an object.")
        self._server.enter(exchange)
        listening = Listening(self._server, caller, exchange, message.id)
        await listening.begin(wanted)
        return Reply(200, fronting.EVENTS, listening.stream())


def server_info(title: str) -> dict[str, str]:
    """Who the server says it is."""
    return {**_SERVER_INFO, "title": title} if title else _SERVER_INFO


def unsupported(version: str) -> RpcError:
    """The refusal of a version that is not spoken here."""
    data = _encode({"supported": list(VERSIONS[::-1]), "requested": version[:64]})
    return RpcError(fields.UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def capabilities(union: dict[str, Any], *, modern: bool) -> dict[str, Any]:
    """What callers of an era are told that they can do: what the gateway itself adds and cannot carry included."""
    told = {name: dict(said) for name, said in union.items()}
    for name in ("tools", "prompts", "resources"):
        if name in told:
            told[name]["listChanged"] = True
    if modern:
        told.pop("tasks", None)
    else:
        told.pop("extensions", None)
    return told
