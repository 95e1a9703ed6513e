"""How a backend reaches a provider: over HTTP, or by playing a script. Both look the same to what reads the answer.

Owns the last step before the wire: trace fields, the credential's absence, the clock readings around it; and the
one translation of network failures into reasons. It refuses to send when a configured credential is missing.
"""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from heddle.backends.credentials import Credentials
from heddle.backends.played import play
from heddle.model.call import ModelCall
from heddle.model.provider import Adapting, Failure, Fields, HttpProvider, PlayedProvider, Signing, Tokened
from heddle.model.snapshot import ProviderSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import (
    BodyError,
    ConnectFailed,
    NetError,
    UpstreamClosed,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import inject_lines
from heddle.wire.http1_heads import encode_request_fields

_NONE: Fields = []


class AnswerBody(Protocol):
    """The bytes of an answer as they arrive; `net.body.Body` is one."""

    @property
    def complete(self) -> bool:
        """All bytes have arrived."""
        ...

    def whole(self, max_bytes: int) -> bytes | None:
        """The whole of it if that has arrived and is not larger; None when `read` must be asked."""
        ...

    async def read(self, max_bytes: int) -> bytes:
        """The whole of it."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...


class Answer(Protocol):
    """A provider's answer, its head complete; `net.client.Inbound` is one."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Fields:
        """Header fields without those of the framing."""
        ...

    @property
    def body(self) -> AnswerBody:
        """What follows."""
        ...

    def close(self) -> None:
        """Give up what has not arrived: the upstream connection is closed. Nothing happens after the end."""
        ...

    def let_end(self, within_s: float) -> None:
        """Read no more of an answer that has said its last word: its end may still come, for so long."""
        ...


class Sender(Protocol):
    """One configured provider, ready to be called."""

    spec: ProviderSpec
    dialects: frozenset[str]
    speaks: str
    stream_usage: bool
    adapting: Adapting | None
    """The provider, if its server wants bodies of its format a little different."""

    def send(self, exchange: Exchange, call: ModelCall, body: bytes) -> Awaitable[Answer]:
        """Send `body`; done when the answer's head is there. Raises what `net.client` raises."""
        ...

    def answer_headers(self, headers: Fields) -> Fields:
        """What of a good answer's fields the caller may see."""
        ...

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What an error answer means."""
        ...


class HttpSender:
    """A provider behind a URL."""

    __slots__ = (
        "_client",
        "_credentials",
        "_from_caller",
        "_lines",
        "_monotonic",
        "_now",
        "_origin",
        "_propagation",
        "_provider",
        "_seen",
        "_shown",
        "_signing",
        "adapting",
        "dialects",
        "speaks",
        "spec",
        "stream_usage",
    )

    def __init__(self, spec: ProviderSpec, provider: HttpProvider, tools: Tools, propagation: tuple[str, ...]) -> None:
        self.spec = spec
        self.dialects = provider.dialects
        self.speaks = provider.speaks
        self.stream_usage = provider.stream_usage
        self.adapting: Adapting | None = provider if isinstance(provider, Adapting) else None
        self._signing = provider if isinstance(provider, Signing) else None
        self._credentials = Credentials(spec, provider, tools) if isinstance(provider, Tokened) else None
        self._now = tools.clock.now
        self._provider = provider
        self._from_caller = tuple(provider.from_caller)
        self._seen: Fields = _NONE
        """The fields of the last answer, which those with the same head share, and what of them is shown."""
        self._shown: Fields = _NONE
        self._lines: dict[bool, bytes] = {}
        """The provider's own fields, written once: for plain calls and for streams."""
        self._client = tools.client
        self._monotonic = tools.clock.monotonic
        self._propagation = propagation
        self._origin = tools.client.origin(
            provider.base_url,
            ca_file=spec.ca_file,
            proxy=spec.proxy,
            max_connections=spec.max_connections,
            owner=spec.name,
        )
        tools.closers.append(self._give_back)

    def _give_back(self) -> None:
        """The snapshot is gone and its calls have ended; a later one with this provider goes on with the origin."""
        self._client.discard(self._origin)

    def send(self, exchange: Exchange, call: ModelCall, body: bytes) -> Awaitable[Answer]:
        """One request to the provider's URL."""
        provider, caller = self._provider, exchange.request
        if self._signing is not None or self._credentials is not None:
            return self._send_authorized(exchange, call, body)
        by_name = caller.fields()
        for name in self._from_caller:
            # What a caller says in its own format's fields means nothing in another one.
            if name in by_name and not _translated(exchange, call):
                lines = encode_request_fields(provider.headers(call, caller.headers))
                break
        else:
            lines = self._lines.get(call.stream) or self._write_lines(call)
            if call.content_type or call.accepts:
                lines = encode_request_fields(provider.headers(call, []))
        lines += inject_lines(exchange.trace, self._propagation)
        request = OutboundRequest("POST", provider.target(call), _NONE, body, lines)
        exchange.upstream_s = self._monotonic()
        return self._client.send(self._origin, request, self.spec.timeouts, exchange.deadline_s)

    async def _send_authorized(self, exchange: Exchange, call: ModelCall, body: bytes) -> Answer:
        """Send with a credential that is made for this request, or fetched and renewed."""
        target = self._provider.target(call)
        fields = self._provider.headers(call, [] if _translated(exchange, call) else exchange.request.headers)
        if self._credentials is not None:
            fields = fields + (self._credentials.ready() or await self._credentials.fields())
        if self._signing is not None:
            fields = self._signing.sign(target, fields, body, self._now())
        lines = encode_request_fields(fields) + inject_lines(exchange.trace, self._propagation)
        request = OutboundRequest("POST", target, _NONE, body, lines)
        exchange.upstream_s = self._monotonic()
        return await self._client.send(self._origin, request, self.spec.timeouts, exchange.deadline_s)

    def _write_lines(self, call: ModelCall) -> bytes:
        lines = self._lines[call.stream] = encode_request_fields(self._provider.headers(call, []))
        return lines

    def answer_headers(self, headers: Fields) -> Fields:
        """The provider's allow-list."""
        if headers is not self._seen:
            self._seen, self._shown = headers, self._provider.answer_headers(headers)
        return self._shown

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """The provider's reading of it."""
        return self._provider.read_failure(status, headers, body)


class PlayedSender:
    """A provider without a network. Its answers are the gateway's own and need no filter."""

    __slots__ = ("_clock", "_provider", "adapting", "dialects", "speaks", "spec", "stream_usage")

    def __init__(self, spec: ProviderSpec, provider: PlayedProvider, tools: Tools) -> None:
        self.spec = spec
        self.dialects = provider.dialects
        self.speaks = provider.speaks
        self.stream_usage = True
        self.adapting: Adapting | None = None
        self._provider = provider
        self._clock = tools.clock

    def send(self, exchange: Exchange, call: ModelCall, body: bytes) -> Awaitable[Answer]:
        """Start the script."""
        exchange.upstream_s = self._clock.monotonic()
        return play(self._provider.play(call, body, int(self._clock.now())), self.spec.timeouts)

    def answer_headers(self, headers: Fields) -> Fields:
        """All but the content type, which the backend writes."""
        return [field for field in headers if field[0] != b"content-type"]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """The error as it was scripted."""
        return Failure(status, self.answer_headers(headers), body, f"The offline model answered with status {status}.")


def _translated(exchange: Exchange, call: ModelCall) -> bool:
    return exchange.call is not None and exchange.call.dialect != call.dialect


def upstream_error(error: NetError, provider: str, exchange: Exchange) -> CallError:
    """What a network failure means to the caller. When nothing was sent, `exchange.upstream_s` is taken back."""
    if _unsent(error):
        exchange.upstream_s = 0.0
        return CallError(Reason.UPSTREAM_UNREACHABLE, f"The provider `{provider}` could not be reached.")
    if isinstance(error, UpstreamTimeout):
        said = {"first_byte": "did not begin to answer", "idle": "fell silent during its answer"}
        what = said.get(error.phase, "did not finish its answer")
        return CallError(Reason.UPSTREAM_TIMEOUT, f"The provider `{provider}` {what} in time.")
    if isinstance(error, UpstreamProtocolError):
        return CallError(Reason.UPSTREAM_BROKEN, f"The provider `{provider}` broke the rules of HTTP in its answer.")
    if isinstance(error, BodyError):
        return CallError(Reason.UPSTREAM_ERROR, f"The answer of the provider `{provider}` is too large or damaged.")
    return CallError(Reason.UPSTREAM_BROKEN, f"The provider `{provider}` closed the connection during the call.")


def _unsent(error: NetError) -> bool:
    if isinstance(error, UpstreamClosed):
        return not error.sent
    return isinstance(error, ConnectFailed) or (isinstance(error, UpstreamTimeout) and error.phase == "connect")
