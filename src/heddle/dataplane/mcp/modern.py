"""The front of the stateless era: each POST is a call of its own.

Owns the checks of the envelope (fields against body, version, capabilities) and the form of answers: one JSON message
where there is nothing but a result, a stream from the first thing that is said before it. What a target of the older
era asks becomes `input_required`; the call waits, parked, for the caller's next request.
*Source:* Model Context Protocol 2026-07-28: "Streamable HTTP", "Per-request protocol fields", "Multi round-trip
requests", "Discovery".
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from heddle import __version__
from heddle.backends.mcp.contract import ANSWERED_BY, Caller, Params
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.feed import Listening
from heddle.dataplane.mcp.heads import said as said_by
from heddle.dataplane.mcp.parking import Asked, Parking, Questions
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
_WAYS = ("context", "form", "tools", "url")
"""Of sampling and elicitation, as clients declare them."""


class ModernCaller(Caller):
    """The caller of one request."""

    def __init__(self, running: Running) -> None:
        self.version = LATEST
        self.running = running
        self.questions = Questions(running)
        self.capabilities = b"{}"
        self.client_info = b""
        self.log_level = ""
        self.quiet = False
        """It wants to hear of nothing before the result."""

    def notify(self, method: str, params: Params) -> None:
        """Into the stream of this request; log messages as far as it wants them."""
        if method == "notifications/message" and not _wants(self.log_level, params):
            return
        if method.startswith("notifications/"):
            self.running.say(encode_notification(method, encode_members(params)))

    async def ask(self, method: str, params: Params) -> bytes:
        """Becomes `input_required`; the answer comes with the caller's next request."""
        if self.quiet:
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
        self._loop: asyncio.AbstractEventLoop | None = None

    async def handle(self, exchange: Exchange, message: Message, size: int) -> Reply:
        """Answer one request. CallErrors are answered by whoever calls this."""
        fronting.enter(exchange, self._server, message, LATEST, size)
        loop = self._loop = self._loop or asyncio.get_running_loop()
        running = Running(loop)
        caller = ModernCaller(running)
        try:
            self._check(exchange, message, caller)
            if message.method == "subscriptions/listen":
                return await self._listen(exchange, message, caller)
            parked = self._parking.find(message, exchange, self._server.spec.name)
        except RpcError as error:
            return fronting.failed(exchange, message.id, error, modern=True)
        if parked is None:
            if caller.quiet and self._server.quiet(caller):
                return await self._at_once(message, caller, exchange)
            caller.quiet = False
            running.start(self._answer(message, caller, exchange))
        else:
            running, caller.questions = parked.running, parked.questions
            parked.resume()
        return await self._reply(running, caller.questions, message, exchange)

    def _check(self, exchange: Exchange, message: Message, caller: ModernCaller) -> None:
        """The envelope. Raises RpcError with the first thing that is wrong."""
        envelope, given = meta.read_meta(message.params), message.value.get("_meta")
        given = given if isinstance(given, dict) else {}
        version, capabilities = given.get(meta.PROTOCOL_VERSION), given.get(meta.CLIENT_CAPABILITIES)
        if version is None or capabilities is None:
            wanted = ((meta.PROTOCOL_VERSION, version), (meta.CLIENT_CAPABILITIES, capabilities))
            missing = " and ".join(f"`{name}`" for name, value in wanted if value is None)
            raise RpcError(INVALID_PARAMS, f"`params._meta` must have {missing}.")
        said = said_by(exchange.request)
        if not isinstance(version, str) or not isinstance(capabilities, dict):
            raise RpcError(INVALID_PARAMS, "`params._meta` says its version as text, its capabilities as an object.")
        if said.version is None:
            raise RpcError(fields.HEADER_MISMATCH, "The field `MCP-Protocol-Version` is missing.")
        if said.version != version:
            raise RpcError(fields.HEADER_MISMATCH, "`MCP-Protocol-Version` is not the version of the body.")
        fields.check_fields(said, message)
        if version not in MODERN:
            raise unsupported(version)
        if message.method in _REMOVED:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        fronting.identify(caller, exchange, "caller:")
        caller.capabilities = bytes(envelope[meta.CLIENT_CAPABILITIES])
        # A server of the older era hears once, as its session begins, what the client answers.
        caller.key += _answered(capabilities)
        caller.envelope = envelope
        caller.client_info = bytes(envelope.get(meta.CLIENT_INFO, b""))
        level = given.get(meta.LOG_LEVEL)
        caller.log_level = level if isinstance(level, str) else ""
        # Progress and log messages come to those alone who ask for them.
        caller.quiet = not caller.log_level and meta.PROGRESS_TOKEN not in given

    async def _at_once(self, message: Message, caller: ModernCaller, exchange: Exchange) -> Reply:
        """Where nothing is said before the end, nobody has to wait for it beside the call."""
        try:
            result = await self._answer(message, caller, exchange)
        except Exception as error:
            return fronting.failed(exchange, message.id, error, modern=True)
        said = caller.running.take()
        if said and fronting.takes_events(exchange.request):
            # By no right, but it is there: it is passed on with the result.
            exchange.events += len(said)
            events = [*map(sse.encode, said), sse.encode(encode_result(message.id, result))]
            return Reply(200, fronting.EVENTS, b"".join(events))
        return Reply(200, fronting.JSON, encode_result(message.id, result))

    async def _answer(self, message: Message, caller: ModernCaller, exchange: Exchange) -> bytes:
        if message.method == "server/discover":
            return to_modern(message.method, await self._discover(caller))
        result = await self._server.answer(message, caller, exchange)
        result = self._parking.wrap(result, message, exchange, self._server.spec.name)
        return to_modern(message.method, result)

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


def _answered(capabilities: dict[str, Any]) -> str:
    """Which questions a client answers, as part of a key: few, whatever it declares."""
    if not capabilities:
        return ""
    found = []
    for name in sorted(ANSWERED_BY.values()):
        declared = capabilities.get(name)
        if isinstance(declared, dict):
            found += [name, *(f"{name}.{way}" for way in _WAYS if isinstance(declared.get(way), dict))]
    return f"\0{' '.join(found)}" if found else ""


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
