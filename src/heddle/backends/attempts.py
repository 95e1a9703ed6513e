"""One attempt at one provider: what is sent, what comes back, and why it failed if it did.

Owns the choice of what is forwarded. With the same format on both sides that is the caller's own bytes, with the
model renamed if configuration says so and, in streams, usage asked for (and hidden again when the caller did
not ask); otherwise it is a translation. Answers are bounded. An attempt that failed before anything of its answer was
seen says so in a form that tells whether another target may do better.
"""

from collections.abc import Awaitable
from typing import Final, NamedTuple

from heddle.backends import replay
from heddle.backends.kinds import fits_stream, told_type
from heddle.backends.media import MediaFetcher
from heddle.backends.relay import Relay
from heddle.backends.sending import Answer, Sender, upstream_error
from heddle.backends.translated import NOTES_FIELD, Translation, note_fields
from heddle.model.call import ModelCall, Usage
from heddle.model.provider import Failure, FailureKind
from heddle.net.decompress import decompress
from heddle.net.errors import NetError
from heddle.net.message import Headers, Reply
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import ANSWERS, CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.canonical.embeddings import EmbedAnswer, EmbedVendor
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import Codec, Stream, estimate_tokens
from heddle.wire.llm.codecs import (
    CLEANSING,
    CODECS,
    COUNTS,
    DIALECTS,
    EMBED_DIALECTS,
    EMBED_VENDORS,
    EMBEDDINGS,
    VENDORS,
)

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Largest answer that is not streamed."""
MAX_FAILURE_BYTES: Final = 64 * 1024
"""Largest error body that is read."""

_JSON: Final = (b"content-type", b"application/json")


class Beside(NamedTuple):
    """What attempts at all providers share."""

    media: MediaFetcher
    proofs: replay.Proofs


class AttemptError(Exception):
    """An attempt that failed: the reply or error its caller gets if no other is made."""

    def __init__(
        self,
        *,
        reply: Reply | None = None,
        error: CallError | None = None,
        detail: str = "",
        kind: FailureKind = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.reply = reply
        """The provider's error, for the caller; its reason is `UPSTREAM_ERROR`."""
        self.error = error
        self.detail = detail
        self.kind: FailureKind = kind
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """Status that the caller would get."""
        if self.error is not None:
            return self.error.answer.status
        return self.reply.status if self.reply is not None else 500


class Attempt:
    """A call on its way to one sender."""

    __slots__ = ("_alone", "_call", "_clock", "_codec", "_exchange", "_media", "_proofs", "_sender")

    def __init__(
        self,
        exchange: Exchange,
        call: ModelCall,
        sender: Sender,
        clock: Clock,
        beside: Beside,
        alone: bool = False,
    ) -> None:
        """`alone`: no other attempt follows, so a failure is the caller's answer."""
        self._alone = alone
        self._exchange = exchange
        self._call = call
        """Its provider and upstream model are this attempt's."""
        self._sender = sender
        self._clock = clock
        self._media, self._proofs = beside
        self._codec: Codec = CODECS[call.dialect]

    def run(self, generating: bool = False) -> Awaitable[Reply]:
        """The good answer. With `generating`, a stream counts as good only once something was generated.
        Raises AttemptError."""
        sender, call = self._sender, self._call
        if sender.spec.credential_error:
            detail = f"The provider `{sender.spec.name}` is not usable: {sender.spec.credential_error}"
            return self._nowhere(CallError(Reason.PROVIDER_UNCONFIGURED, detail), "credential")
        if call.dialect in sender.dialects and (
            call.dialect in CLEANSING or not (call.targets and replay.carries_proofs(call))
        ):
            return self._same(generating)
        if call.dialect in DIALECTS and sender.speaks in VENDORS:
            return self._answered(self._translated(generating))
        embeds = EMBEDDINGS.get(sender.speaks, "")
        if call.dialect in EMBED_DIALECTS and embeds in EMBED_VENDORS:
            return self._answered(self._embedded(embeds))
        if call.dialect in COUNTS:
            return self._estimated()
        detail = f"The provider `{sender.spec.name}` does not serve {call.operation} calls in this form."
        return self._nowhere(CallError(Reason.BAD_REQUEST, detail, param="model"), "bad_request")

    async def _nowhere(self, error: CallError, kind: FailureKind) -> Reply:
        return self._given_up(AttemptError(error=error, kind=kind))

    async def _answered(self, attempt: Awaitable[Reply]) -> Reply:
        try:
            return await attempt
        except AttemptError as failed:
            return self._given_up(failed)

    def _given_up(self, failed: AttemptError) -> Reply:
        """The caller's answer if no other attempt follows. Raises `failed` otherwise, or its CallError."""
        if not self._alone:
            raise failed
        return final(self._exchange, failed)

    async def _same(self, generating: bool) -> Reply:
        call, sender, codec = self._call, self._sender, self._codec
        hide_usage = call.stream and not call.include_usage and sender.stream_usage
        model = call.upstream_model
        renamed = model if model and model != call.model else None
        cleanse = CLEANSING.get(call.dialect)
        body = call.body if cleanse is None else cleanse(call.body)
        if renamed is not None or hide_usage:
            body = codec.rewrite(body, model=renamed, include_usage=hide_usage)
        if sender.adapting is not None and (sender.adapting.adapts_own or call.altered):
            body = sender.adapting.adapt(body, call, False).body
        try:
            answer = await sender.send(self._exchange, call, body)
        except NetError as exc:
            return self._given_up(self._broken(exc))
        try:
            if answer.status != 200:
                return self._given_up(await self._failed(answer, same=True))
            if call.stream:
                self._check_stream(answer, codec)
                return await self._stream(answer, codec.open_stream(hide_usage), generating)
            self._exchange.first_byte_s = self._clock.monotonic()
            # As `_read_whole`, without another coroutine: the way of nearly every answer.
            data = answer.body.whole(MAX_ANSWER_BYTES)
            if data is None or field(answer, b"content-encoding"):
                data = await _read(answer, data, MAX_ANSWER_BYTES)
            return self._whole(answer, data)
        except NetError as exc:
            answer.close()
            return self._given_up(self._broken(exc))
        except AttemptError as failed:
            answer.close()
            return self._given_up(failed)
        except BaseException:
            answer.close()
            raise

    async def _translated(self, generating: bool) -> Reply:
        call, sender = self._call, self._sender
        unproven = call.dialect in replay.DIALECTS
        keeper = self._proofs.keeper(self._exchange.principal) if unproven else None
        translation = Translation(DIALECTS[call.dialect], VENDORS[sender.speaks], keeper)
        body = await self._rewritten(translation, unproven)
        sent = call.copy(dialect=sender.speaks, operation="chat")
        if sender.adapting is not None:
            body, dropped = sender.adapting.adapt(body, sent, True)
            translation.note(dropped)
        try:
            answer = await sender.send(self._exchange, sent, body)
        except NetError as exc:
            raise self._broken(exc) from exc
        now_s = int(self._clock.now())
        try:
            if answer.status != 200:
                raise await self._failed(answer, same=False)
            if call.stream:
                self._check_stream(answer, CODECS[sender.speaks])
                reply = await self._stream(answer, translation.stream(call, now_s), generating)
            else:
                reply = await self._whole_translated(answer, translation, now_s)
        except NetError as exc:
            answer.close()
            raise self._broken(exc) from exc
        except BaseException:
            answer.close()
            raise
        reply.headers += translation.fields()
        return reply

    async def _rewritten(self, translation: Translation, unproven: bool) -> bytes:
        """The provider's body; with `unproven`, completed by proofs that the caller could not send."""
        call, rules = self._call, VENDORS[self._sender.speaks].RULES
        try:
            request = DIALECTS[call.dialect].decode_chat(call.body, call)
            if unproven:
                request = await self._proofs.restored(request, self._exchange.principal)
            request = await self._media.inline(request, rules)
            return translation.request(request, call.upstream_model or call.model)
        except ProtocolError as exc:
            kind: FailureKind = "content" if isinstance(exc, UntranslatableError) else "bad_request"
            error = CallError(Reason.BAD_REQUEST, exc.detail, param=exc.param)
            raise AttemptError(error=error, kind=kind) from exc
        except CallError as exc:
            raise AttemptError(error=exc, kind="content") from exc

    async def _embedded(self, vendor_name: str) -> Reply:
        """Embeddings of a provider that speaks another form of them."""
        call, sender = self._call, self._sender
        dialect, vendor, notes = EMBED_DIALECTS[call.dialect], EMBED_VENDORS[vendor_name], Notes()
        try:
            request = dialect.decode_embed(call.body, call)
            body = vendor.encode_embed(request, call.upstream_model or call.model, notes)
        except ProtocolError as exc:
            error = CallError(Reason.BAD_REQUEST, exc.detail, param=exc.param)
            raise AttemptError(error=error, kind="content") from exc
        sent = call.copy(dialect=vendor_name)
        if sender.adapting is not None:
            body, dropped = sender.adapting.adapt(body, sent, True)
            notes.dropped += dropped
        try:
            answer = await sender.send(self._exchange, sent, body)
        except NetError as exc:
            raise self._broken(exc) from exc
        try:
            if answer.status != 200:
                raise await self._failed(answer, same=False)
            found = await self._whole_embedded(answer, vendor, len(request.inputs))
        except NetError as exc:
            answer.close()
            raise self._broken(exc) from exc
        except BaseException:
            answer.close()
            raise
        self._exchange.usage = found.usage or Usage(input_tokens=estimate_tokens(len(call.body)), estimated=True)
        fields = [_JSON, *sender.answer_headers(answer.headers), *note_fields(notes)]
        return Reply(200, fields, dialect.encode_embeddings(found, request, call))

    async def _whole_embedded(self, answer: Answer, vendor: EmbedVendor, count: int) -> EmbedAnswer:
        data = await self._read_whole(answer)
        try:
            return vendor.decode_embeddings(data, count)
        except ProtocolError as exc:
            raise self._unreadable() from exc

    async def _estimated(self) -> Reply:
        """A count of tokens for a provider that does not count: an estimate, which is said."""
        self._exchange.usage = Usage()
        fields = [_JSON, (NOTES_FIELD, b"emulated=count_tokens")]
        return Reply(200, fields, COUNTS[self._call.dialect](self._call.body))

    def _broken(self, error: NetError) -> AttemptError:
        return AttemptError(error=upstream_error(error, self._call.provider, self._exchange))

    def _whole(self, answer: Answer, data: bytes) -> Reply:
        call = self._call
        try:
            kind = told_type(field(answer, b"content-type")) if call.accepts else b"application/json"
            self._exchange.usage = self._codec.read_usage(data, len(call.body))
        except ProtocolError as exc:
            raise self._unreadable() from exc
        return Reply(200, [(b"content-type", kind), *self._sender.answer_headers(answer.headers)], data)

    async def _whole_translated(self, answer: Answer, translation: Translation, now_s: int) -> Reply:
        data = await self._read_whole(answer)
        try:
            body, self._exchange.usage = translation.answer(data, self._call, now_s)
        except ProtocolError as exc:
            raise self._unreadable() from exc
        return Reply(200, [_JSON, *self._sender.answer_headers(answer.headers)], body)

    async def _read_whole(self, answer: Answer) -> bytes:
        self._exchange.first_byte_s = self._clock.monotonic()
        data = answer.body.whole(MAX_ANSWER_BYTES)
        if data is None or field(answer, b"content-encoding"):
            data = await _read(answer, data, MAX_ANSWER_BYTES)
        return data

    def _unreadable(self) -> AttemptError:
        detail = f"The provider `{self._call.provider}` gave an answer that cannot be read."
        return AttemptError(error=CallError(Reason.UPSTREAM_ERROR, detail))

    def _check_stream(self, answer: Answer, codec: Codec) -> None:
        """Raise AttemptError unless the answer is a stream of the format's kind."""
        encoding = field(answer, b"content-encoding")
        fits = fits_stream(field(answer, b"content-type"), codec.STREAM_TYPE)
        if encoding not in (b"", b"identity") or not fits:
            detail = f"The provider `{self._call.provider}` did not answer with a stream."
            raise AttemptError(error=CallError(Reason.UPSTREAM_ERROR, detail))

    async def _stream(self, answer: Answer, reader: Stream, generating: bool) -> Reply:
        relay = Relay(self._exchange, self._call, self._codec, answer, reader, self._clock.monotonic)
        try:
            await (relay.open_generating() if generating else relay.open())
        except CallError as exc:
            raise AttemptError(error=exc) from exc
        kind = told_type(field(answer, b"content-type")) if self._call.accepts else self._codec.STREAM_TYPE
        headers: Headers = [(b"content-type", kind), (b"cache-control", b"no-cache")]
        return Reply(200, headers + self._sender.answer_headers(answer.headers), relay)

    async def _failed(self, answer: Answer, same: bool) -> AttemptError:
        """What an answer other than 200 means. It costs the caller no tokens."""
        body: bytes | None
        try:
            body = await _read(answer, None, MAX_FAILURE_BYTES)
        except NetError:
            answer.close()
            body = None
        failure = self._sender.read_failure(answer.status, answer.headers, body)
        data = failure.body if same and failure.body is not None else None
        fields = failure.headers
        if data is None:
            data = _encode(self._codec, failure)
            fields = fields + self._codec.error_fields(failure.status, _code(failure))
        return AttemptError(
            reply=Reply(failure.status, [_JSON, *fields], data),
            detail=failure.detail,
            kind=failure.kind,
            retry_after_s=failure.retry_after_s,
        )


_CODES: dict[FailureKind, str] = {
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "context_length": "context_length_exceeded",
    "content": "content_filter",
}
"""Kind -> `code` in OpenAI's terms; other dialects derive theirs from the status."""


def final(exchange: Exchange, failed: AttemptError) -> Reply:
    """The provider's own error as a reply. Raises CallError when there was none."""
    if failed.reply is None:
        raise failed.error or CallError(Reason.INTERNAL, "The call failed for an unknown reason.")
    exchange.usage = Usage()
    exchange.reason = Reason.UPSTREAM_ERROR
    exchange.detail = failed.detail
    return failed.reply


def _code(failure: Failure) -> str:
    return _CODES.get(failure.kind, ANSWERS[Reason.UPSTREAM_ERROR].code)


def _encode(codec: Codec, failure: Failure) -> bytes:
    reason = Reason.UPSTREAM_ERROR if failure.status >= 500 else Reason.BAD_REQUEST
    if failure.status == 429:
        reason = Reason.LIMITED
    detail = failure.message or failure.detail
    return codec.encode_error(failure.status, ANSWERS[reason].kind, _code(failure), detail, None)


async def _read(answer: Answer, data: bytes | None, max_bytes: int) -> bytes:
    """The whole body (`data`, if it was there), decoded. Raises NetError (too large, damaged, the connection's)."""
    if data is None:
        data = await answer.body.read(max_bytes)
    encoding = field(answer, b"content-encoding")
    return decompress(data, encoding, max_bytes) if encoding else data


def field(answer: Answer, name: bytes) -> bytes:
    """A field of an answer's head; empty when it is not there."""
    for key, value in answer.headers:
        if key == name:
            return value
    return b""
