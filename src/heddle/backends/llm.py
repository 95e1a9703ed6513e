"""The end of the model routes: sends a call to its provider and brings the answer back.

Owns the choice of what is forwarded. With the same dialect on both sides that is the caller's own bytes, with the
model renamed if configuration says so and, in streams, usage asked for (and hidden again when the caller did
not ask). Answers are bounded. Errors of a provider are told apart by whose fault they are. It knows no
vendor and no wire format: providers and codecs do.
"""

from collections.abc import Callable, Mapping

from heddle.backends.relay import Relay
from heddle.backends.sending import Answer, HttpSender, PlayedSender, Sender, upstream_error
from heddle.model.call import ModelCall, Usage
from heddle.model.provider import Failure, HttpProvider, Provider
from heddle.model.snapshot import ProviderSpec
from heddle.net.decompress import decompress
from heddle.net.errors import NetError
from heddle.net.message import Headers, Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import ANSWERS, CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import Codec
from heddle.wire.llm.codecs import CODECS

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest answer that is not streamed."""
MAX_FAILURE_BYTES = 64 * 1024
"""Largest error body that is read."""

_JSON = (b"content-type", b"application/json")
_STREAM: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class LlmBackend:
    """All providers of a snapshot. Raises ValueError when one of them cannot be built."""

    __slots__ = ("_monotonic", "_senders")

    def __init__(
        self,
        specs: tuple[ProviderSpec, ...],
        providers: Mapping[str, Provider],
        tools: Tools,
        propagation: tuple[str, ...] = ("w3c", "b3"),
    ) -> None:
        self._monotonic: Callable[[], float] = tools.clock.monotonic
        self._senders: dict[str, Sender] = {
            spec.name: _sender(spec, providers[spec.name], tools, propagation) for spec in specs
        }

    async def handle(self, exchange: Exchange) -> Reply:
        """Answer a decoded and resolved call. Raises CallError."""
        call = exchange.call
        if call is None:
            raise CallError(Reason.INTERNAL, "The call was not decoded.")
        sender = self._senders[call.provider]
        if sender.spec.credential_error or call.dialect not in sender.dialects:
            raise _unusable(sender, call)
        codec = CODECS[call.dialect]
        hide_usage = call.stream and not call.include_usage and sender.stream_usage
        model = call.upstream_model
        renamed = model if model and model != call.model else None
        body = call.body
        if renamed is not None or hide_usage:
            body = codec.rewrite(body, model=renamed, include_usage=hide_usage)
        try:
            answer = await sender.send(exchange, call, body)
        except NetError as exc:
            raise upstream_error(exc, call.provider, exchange) from exc
        try:
            if answer.status != 200:
                return await _failed(exchange, sender, codec, answer)
            if call.stream:
                return await self._stream(exchange, call, sender, answer, hide_usage)
            return await self._whole(exchange, call, sender, answer)
        except NetError as exc:
            answer.close()
            raise upstream_error(exc, call.provider, exchange) from exc
        except BaseException:
            answer.close()
            raise

    async def _whole(self, exchange: Exchange, call: ModelCall, sender: Sender, answer: Answer) -> Reply:
        exchange.first_byte_s = self._monotonic()
        data = answer.body.whole(MAX_ANSWER_BYTES)
        if data is None or _field(answer, b"content-encoding"):
            data = await _read(answer, data, MAX_ANSWER_BYTES)
        try:
            exchange.usage = CODECS[call.dialect].read_usage(data, len(call.body))
        except ProtocolError as exc:
            detail = f"The provider `{call.provider}` gave an answer that cannot be read."
            raise CallError(Reason.UPSTREAM_ERROR, detail) from exc
        return Reply(200, [_JSON, *sender.answer_headers(answer.headers)], data)

    async def _stream(
        self, exchange: Exchange, call: ModelCall, sender: Sender, answer: Answer, hide_usage: bool
    ) -> Reply:
        kind = _field(answer, b"content-type").lower()
        if _field(answer, b"content-encoding") not in (b"", b"identity") or not kind.startswith(b"text/event-stream"):
            raise CallError(Reason.UPSTREAM_ERROR, f"The provider `{call.provider}` did not answer with a stream.")
        codec = CODECS[call.dialect]
        relay = Relay(exchange, call, codec, answer, codec.open_stream(hide_usage), self._monotonic)
        await relay.open()
        return Reply(200, _STREAM + sender.answer_headers(answer.headers), relay)


def _sender(spec: ProviderSpec, provider: Provider, tools: Tools, propagation: tuple[str, ...]) -> Sender:
    if not isinstance(provider, HttpProvider):
        return PlayedSender(spec, provider, tools)
    try:
        return HttpSender(spec, provider, tools, propagation)
    except OSError as exc:
        raise ValueError(f"provider {spec.name!r}: cannot read its CA file: {exc.strerror or exc}") from exc


def _unusable(sender: Sender, call: ModelCall) -> CallError:
    """Why the provider of a call cannot be called, or not with this."""
    spec = sender.spec
    if spec.credential_error:
        detail = f"The provider `{spec.name}` is not usable: {spec.credential_error}"
        return CallError(Reason.PROVIDER_UNCONFIGURED, detail)
    detail = f"The provider `{spec.name}` does not serve {call.operation}."
    return CallError(Reason.BAD_REQUEST, detail, param="model")


async def _failed(exchange: Exchange, sender: Sender, codec: Codec, answer: Answer) -> Reply:
    """The reply for an answer other than 200. It costs the caller no tokens."""
    body: bytes | None
    try:
        body = await _read(answer, None, MAX_FAILURE_BYTES)
    except NetError:
        answer.close()
        body = None
    failure = sender.read_failure(answer.status, answer.headers, body)
    exchange.usage = Usage()
    exchange.reason = Reason.UPSTREAM_ERROR
    exchange.detail = failure.detail
    data = failure.body if failure.body is not None else _encode(codec, failure)
    return Reply(failure.status, [_JSON, *failure.headers], data)


def _encode(codec: Codec, failure: Failure) -> bytes:
    reason = Reason.UPSTREAM_ERROR if failure.status >= 500 else Reason.BAD_REQUEST
    if failure.status == 429:
        reason = Reason.LIMITED
    known = ANSWERS[reason]
    return codec.encode_error(failure.status, known.kind, ANSWERS[Reason.UPSTREAM_ERROR].code, failure.detail, None)


async def _read(answer: Answer, data: bytes | None, max_bytes: int) -> bytes:
    """The whole body (`data`, if it was there), decoded. Raises NetError (too large, damaged, the connection's)."""
    if data is None:
        data = await answer.body.read(max_bytes)
    encoding = _field(answer, b"content-encoding")
    return decompress(data, encoding, max_bytes) if encoding else data


def _field(answer: Answer, name: bytes) -> bytes:
    for key, value in answer.headers:
        if key == name:
            return value
    return b""
