"""How a target is reached over HTTP, and how its answers are read: as one JSON message, or as events.

Owns the last step before the wire (fields, credentials, trace, deadlines) and the one translation of network failures
and statuses into reasons. It knows nothing of eras: targets say which fields a request has.
*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Streamable HTTP", "Sending messages to the server".
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from heddle.backends.mcp.contract import Caller
from heddle.model.principal import Principal
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp import HttpSpec, McpTimeoutSpec, OpenApiSpec, SseSpec
from heddle.net.client import Inbound, Origin, OutboundRequest
from heddle.net.errors import BodyError, ConnectFailed, NetError, UpstreamClosed, UpstreamProtocolError, UpstreamTimeout
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry.trace import inject_lines
from heddle.wire import sse
from heddle.wire.errors import ProtocolError
from heddle.wire.http1_heads import encode_request_fields
from heddle.wire.jsonrpc import Message, RpcError, decode_light

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest result of a tool."""
MAX_FAILURE_BYTES = 64 * 1024
_ACCEPT = (b"accept", b"application/json, text/event-stream")
_JSON_TYPE = (b"content-type", b"application/json")
_NONE: Headers = []

OnMessage = Callable[[Message], Awaitable[None] | None]


class SessionLost(Exception):  # noqa: N818 - it is not the caller's error
    """The server does not know the session any more."""


class StreamCut(Exception):  # noqa: N818
    """The stream ended before the answer came; `last_id` is the last event that was seen, empty when none had one."""

    def __init__(self, last_id: bytes, retry_s: float) -> None:
        super().__init__(last_id)
        self.last_id = last_id
        self.retry_s = retry_s


class Authorizing(Protocol):
    """Where the credential of a target comes from."""

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """The fields that carry it. Raises CallError when there is none."""
        ...

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """The target did not take it; True when another attempt has a better one."""
        ...


class Head(NamedTuple):
    """Fields of a request, written once for many."""

    lines: bytes = b""
    session: bool = False
    """They name a session."""


def head(fields: Headers) -> Head:
    """The fields as they are sent."""
    return Head(encode_request_fields(fields), any(name == b"mcp-session-id" for name, _ in fields))


BARE = Head()


class Place(NamedTuple):
    """Where a target is."""

    origin: Origin
    path: bytes


class Manner(NamedTuple):
    """How a server is spoken to."""

    headers: Mapping[str, str] = MappingProxyType({})
    """Fields of every request."""
    authorizing: Authorizing | None = None
    owned: bool = False
    """It is told, with each request, whose that is: only the stdio host is."""
    plain: bool = False
    """It does not speak the protocol: requests say themselves what they are and what they take."""


class Peer:
    """One server behind a URL."""

    __slots__ = (
        *("_authorizing", "_client", "_lines", "_monotonic", "_owned", "_propagation", "_timeouts"),
        *("name", "place"),
    )

    def __init__(self, name: str, place: Place, timeouts: McpTimeoutSpec, tools: Tools, manner: "Manner") -> None:
        self.name = name
        self.place = place
        self._client = tools.client
        self._monotonic = tools.clock.monotonic
        self._authorizing = manner.authorizing
        self._owned = manner.owned
        self._propagation: tuple[str, ...] = ("w3c",)
        self._timeouts = TimeoutSpec(
            connect_s=timeouts.connect_s, first_byte_s=timeouts.call_s, idle_s=timeouts.call_s, total_s=timeouts.total_s
        )
        own = [(key.lower().encode(), value.encode()) for key, value in manner.headers.items()]
        self._lines = encode_request_fields([*(() if manner.plain else (_ACCEPT, _JSON_TYPE)), *own])

    def at(self, place: Place) -> "Peer":
        """The same server, at another place of its."""
        other = copy.copy(self)
        other.place = place
        return other

    def timeouts(self, silence_s: float = 0.0) -> TimeoutSpec:
        """The deadlines of a call; `silence_s` is its own longest silence, 0 the target's."""
        usual = self._timeouts
        if not silence_s or silence_s == usual.idle_s:
            return usual
        return TimeoutSpec(
            connect_s=usual.connect_s, first_byte_s=silence_s, idle_s=silence_s, total_s=max(usual.total_s, silence_s)
        )

    async def send(
        self, method: str, body: bytes, head: Head, caller: Caller, timeouts: TimeoutSpec | None = None
    ) -> Inbound:
        """The answer's head. Statuses other than 2xx are read and raised: RpcError, SessionLost, CallError."""
        if self._authorizing is None:
            # As `_try`, which every call would have to go through.
            sending = self._begin(method, body, head.lines, caller, timeouts or self._timeouts)
            try:
                inbound = await sending
            except NetError as error:
                raise self.failed(error, caller) from error
        else:
            inbound = await self._sent(method, body, head, caller, timeouts or self._timeouts)
        if inbound.status < 300:
            return inbound
        raise await self._refusal(inbound, head.session, caller)

    async def send_any(self, method: str, body: bytes, head: Head, caller: Caller, silence_s: float = 0.0) -> Inbound:
        """The answer's head, whatever its status. Raises CallError."""
        return await self._sent(method, body, head, caller, self.timeouts(silence_s))

    async def _sent(self, method: str, body: bytes, head: Head, caller: Caller, timeouts: TimeoutSpec) -> Inbound:
        """With a credential, and once more with a better one where the first is not taken."""
        authorizing = self._authorizing
        if authorizing is None:
            return await self._try(method, body, head.lines, caller, timeouts)
        for attempt in (1, 2):
            fields = await authorizing.headers(caller.principal, caller.token)
            lines = head.lines + encode_request_fields(fields)
            inbound = await self._try(method, body, lines, caller, timeouts)
            if attempt == 2 or inbound.status not in (401, 403) or not await self._another(inbound, caller):
                return inbound
        raise AssertionError("unreachable")  # pragma: no cover

    async def _try(self, method: str, body: bytes, lines: bytes, caller: Caller, timeouts: TimeoutSpec) -> Inbound:
        try:
            return await self._begin(method, body, lines, caller, timeouts)
        except NetError as error:
            raise self.failed(error, caller) from error

    def _begin(
        self, method: str, body: bytes, lines: bytes, caller: Caller, timeouts: TimeoutSpec
    ) -> Coroutine[Any, Any, Inbound]:
        exchange, deadline_s = caller.exchange, 0.0
        lines = self._lines + lines
        if self._owned:
            lines += b"\r\nx-heddle-owner: " + sha256(caller.key.encode()).hexdigest().encode()
        if exchange is not None:
            lines += inject_lines(exchange.trace, self._propagation, begun=True)
            exchange.upstream_s = self._monotonic()
            deadline_s = exchange.deadline_s
        request = OutboundRequest(method, self.place.path, _NONE, body, lines)
        return self._client.send(self.place.origin, request, timeouts, deadline_s)

    async def _another(self, inbound: Inbound, caller: Caller) -> bool:
        """Whether there is a better credential for a call that was refused."""
        if self._authorizing is None:
            return False
        challenge = next((value for name, value in inbound.headers if name == b"www-authenticate"), b"")
        better = await self._authorizing.refused(caller.principal, inbound.status, challenge.decode("latin-1"))
        if better:
            inbound.close()
        return better

    async def _refusal(self, inbound: Inbound, session: bool, caller: Caller) -> Exception:
        """What a status that is no success means."""
        status = inbound.status
        try:
            body = await inbound.body.read(MAX_FAILURE_BYTES)
        except NetError as error:
            inbound.close()
            body = b""
            if not isinstance(error, BodyError):
                return self.failed(error, caller)
        if status == 404 and session:
            return SessionLost(self.name)
        if body[:1] == b"{" and status not in (401, 403):
            try:
                message = decode_light(body)
            except ProtocolError:
                message = None
            if message is not None and message.error is not None:
                return message.error
        if status in (401, 403):
            return CallError(Reason.UPSTREAM_ERROR, f"The tool server `{self.name}` refused the gateway's credential.")
        if status == 429 or status >= 500:
            return CallError(Reason.UPSTREAM_ERROR, f"The tool server `{self.name}` failed with status {status}.")
        return CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` answered with status {status}.")

    def failed(self, error: NetError, caller: Caller) -> CallError:
        """What a network failure means to the caller."""
        name = self.name
        if isinstance(error, ConnectFailed) or (isinstance(error, UpstreamTimeout) and error.phase == "connect"):
            if caller.exchange is not None:
                caller.exchange.upstream_s = 0.0
            return CallError(Reason.UPSTREAM_UNREACHABLE, f"The tool server `{name}` could not be reached.")
        if isinstance(error, UpstreamTimeout):
            return CallError(Reason.UPSTREAM_TIMEOUT, f"The tool server `{name}` did not answer in time.")
        if isinstance(error, UpstreamProtocolError):
            return CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{name}` broke the rules of HTTP.")
        if isinstance(error, BodyError):
            return CallError(Reason.UPSTREAM_ERROR, f"The answer of the tool server `{name}` is too large or damaged.")
        if isinstance(error, UpstreamClosed) and not error.sent:
            return CallError(Reason.UPSTREAM_UNREACHABLE, f"The tool server `{name}` could not be reached.")
        return CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{name}` closed the connection during the call.")

    def broken(self, error: ProtocolError) -> CallError:
        """What an answer that cannot be read means."""
        detail = f"The tool server `{self.name}` sent what is no answer: {error.detail}"
        return CallError(Reason.UPSTREAM_BROKEN, detail)

    def at_once(self, inbound: Inbound, identity: bytes) -> bytes | None:
        """The result of the request `identity`, if all of the answer is there and is one message.

        None where `result` has to wait for it. Raises RpcError or CallError.
        """
        body = None if _is_stream(inbound) else inbound.body.whole(MAX_ANSWER_BYTES)
        if body is None:
            return None
        try:
            return _answered(decode_light(body), identity)
        except ProtocolError as error:
            raise self.broken(error) from error

    async def result(self, inbound: Inbound, identity: bytes, hear: OnMessage, caller: Caller) -> bytes:
        """The result of the request `identity`; whatever else arrives before it goes to `hear`.

        Raises RpcError, CallError, or StreamCut when a stream ended before.
        """
        try:
            if _is_stream(inbound):
                return await self._from_events(inbound, identity, hear)
            return _answered(decode_light(await inbound.body.read(MAX_ANSWER_BYTES)), identity)
        except ProtocolError as error:
            inbound.close()
            raise self.broken(error) from error
        except NetError as error:
            inbound.close()
            raise self.failed(error, caller) from error
        except BaseException:
            inbound.close()
            raise

    async def _from_events(self, inbound: Inbound, identity: bytes, hear: OnMessage) -> bytes:
        last_id, retry_s = b"", 1.0
        async for event in events(inbound):
            last_id = event.id or last_id
            retry_s = event.retry_s or retry_s
            if event.message is None:
                continue
            if event.message.is_answer and event.message.id == identity:
                inbound.close()
                return _answered(event.message, identity)
            wait = hear(event.message)
            if wait is not None:
                await wait
        raise StreamCut(last_id, retry_s)


class Heard(NamedTuple):
    """One event: its message, if it has one, its id, and how long to wait before coming back."""

    message: Message | None
    id: bytes
    retry_s: float


class events:  # noqa: N801 - read as a function
    """The events of an answer, as they come. Raises NetError and ProtocolError."""

    def __init__(self, inbound: Inbound) -> None:
        self._body = inbound.body
        self._splitter = sse.Splitter(MAX_ANSWER_BYTES)
        self._ready: list[bytes] = []

    def __aiter__(self) -> "events":
        return self

    async def __anext__(self) -> Heard:
        while True:
            while self._ready:
                found = _heard(self._ready.pop(0))
                if found is not None:
                    return found
            self._ready = self._splitter.feed(await self._body.__anext__())


def _heard(raw: bytes) -> Heard | None:
    event = sse.decode(raw)
    retry_s = _retry_s(raw)
    if not event.data:
        return Heard(None, event.id, retry_s) if event.id or retry_s else None
    if event.event not in (b"", b"message"):
        return None
    return Heard(decode_light(event.data), event.id, retry_s)


def _retry_s(raw: bytes) -> float:
    for line in raw.splitlines():
        if line.startswith(b"retry:"):
            value = line[6:].strip()
            return min(int(value) / 1000, 60.0) if value.isdigit() and len(value) < 9 else 0.0
    return 0.0


def _is_stream(inbound: Inbound) -> bool:
    for name, value in inbound.headers:
        if name == b"content-type":
            return value.startswith(b"text/event-stream")
    return False


def _answered(message: Message, identity: bytes) -> bytes:
    if message.error is not None:
        raise message.error
    if not message.is_answer or message.id != identity:
        raise ProtocolError("It is not the answer to what was asked.")
    return message.result


def place(spec: HttpSpec | SseSpec | OpenApiSpec, name: str, tools: Tools) -> Place:
    """Where a configured URL leads; its connections are given back when the snapshot is dropped.

    Raises ValueError for a URL or CA file that cannot be used.
    """
    base = spec.base_url if isinstance(spec, OpenApiSpec) else spec.url
    url = urlsplit(base)
    try:
        origin = tools.client.origin(
            base, ca_file=spec.ca_file, proxy=spec.proxy, max_connections=spec.max_connections, owner=f"mcp:{name}"
        )
    except OSError as exc:
        raise ValueError(f"tool server {name!r}: cannot read its CA file: {exc.strerror or exc}") from exc
    tools.closers.append(lambda: tools.client.discard(origin))
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Place(origin, path.encode())


async def pause(seconds: float) -> None:
    """Wait before coming back to a stream."""
    await asyncio.sleep(seconds)


__all__ = ["CallError", "Heard", "Peer", "Place", "RpcError", "SessionLost", "StreamCut", "events", "pause", "place"]
