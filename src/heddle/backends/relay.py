"""A streamed answer on its way to the caller.

Owns its honest end. A stream that breaks after it began ends with an error event in the caller's dialect and an
exception, so that the connection is cut and nobody takes it for complete. However it ends, the usage is recorded
once (an estimate when the provider never said) and the upstream connection is given back or closed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from heddle.backends.sending import Answer, upstream_error
from heddle.backends.translated import TranslatedStream
from heddle.model.call import ModelCall
from heddle.net.body import Sink
from heddle.net.errors import NetError, PeerGone
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.llm.codec import Codec, Stream

_log: Final = logging.getLogger("heddle.backends")

DRAIN_S: Final = 0.25
"""How long the end of the HTTP message may come after the stream's own end, before the connection is closed."""
MAX_HELD_BYTES: Final = 1024 * 1024
"""Of a stream that says much and generates nothing: what follows is sent as it comes."""


class _OverError(Exception):
    """The stream has said its last word."""


async def _write_held(write: Sink, data: bytes) -> None:
    full = write(data) if data else None
    if full is not None:
        await full


class Relay:
    """The chunks for the caller, one per arrival from the provider. An async iterator that must be `aclose()`d."""

    __slots__ = (
        "_answer",
        "_body",
        "_call",
        "_codec",
        "_error",
        "_exchange",
        "_flowing",
        "_held",
        "_monotonic",
        "_provider",
        "_reader",
        "_settled",
    )

    def __init__(
        self,
        exchange: Exchange,
        call: ModelCall,
        codec: Codec,
        answer: Answer,
        reader: Stream,
        monotonic: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._call = call
        self._codec = codec
        self._answer = answer
        self._reader = reader
        self._monotonic = monotonic
        self._body = answer.body
        self._flowing = False
        self._held = b""
        self._error: CallError | None = None
        self._settled = False

    async def open(self) -> None:
        """Wait for the first whole event, so that a stream which fails before it is answered with a status.

        Raises CallError.
        """
        try:
            self._held = await self._advance()
        except BaseException:
            self._settle()
            raise
        if not self._held:
            self._settle()
            raise self._error or CallError(Reason.UPSTREAM_BROKEN, "The provider's stream was empty.")

    async def open_generating(self) -> None:
        """Like `open`, and wait until something was generated: until then another target may take the call.

        What was seen counts, not what the provider says it counted: some count a token before the first one is there
        (Anthropic), others none while text is flowing (Gemini).
        """
        await self.open()
        held, size = [self._held], len(self._held)
        while not self._reader.text_chars and size < MAX_HELD_BYTES:
            try:
                data = await self._advance()
            except BaseException:
                self._settle()
                raise
            if not data:
                break
            held.append(data)
            size += len(data)
        if self._error is not None:
            self._settle()
            raise self._error
        self._held = b"".join(held)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        reader = self._reader
        if self._flowing and not reader.done and reader.failure is None and not self._settled:
            # The way of nearly every event; whatever is not plain is left to the other.
            try:
                ready = reader.feed(await self._body.__anext__())
            except StopAsyncIteration:
                reader.finish()
            except NetError as exc:
                self._error = upstream_error(exc, self._call.provider, self._exchange)
            except BaseException:
                self._settle()
                raise
            else:
                if ready:
                    return ready
        return await self._other()

    async def _other(self) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            self._flowing = True
            return held
        if self._settled:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        try:
            data = await self._advance()
        except BaseException:
            self._settle()
            raise
        if data:
            return data
        self._settle()
        if self._error is None:
            raise StopAsyncIteration
        reason = self._error.answer
        event = self._codec.encode_error_event(
            reason.status, reason.kind, reason.code, self._error.detail, self._error.param
        )
        if not event:
            # Sound has no place for words: that it was cut is all there is to say.
            raise self._error
        return event

    async def pour(self, write: Sink) -> None:
        """Write every chunk as it arrives, without a task between; otherwise as the iterator. Raises CallError."""
        pour = getattr(self._body, "pour", None)
        if pour is not None and not self._settled:
            await _write_held(write, self._held)
            self._held = b""
            await self._flow(pour, write)
        async for piece in self:
            await _write_held(write, piece)

    async def _flow(self, pour: Callable[[Sink], Awaitable[None]], write: Sink) -> None:
        """Everything up to the first sign of an end, good or bad."""
        reader = self._reader

        def forward(data: bytes) -> "asyncio.Future[None] | None":
            ready = reader.feed(data)
            full = write(ready) if ready else None
            if reader.done or reader.failure is not None:
                raise _OverError
            return full

        if reader.done or reader.failure is not None:
            return
        try:
            await pour(forward)
            reader.finish()
        except _OverError:
            pass
        except NetError as exc:
            if isinstance(exc, PeerGone):
                self._settle()
                raise
            self._error = upstream_error(exc, self._call.provider, self._exchange)
        except BaseException:
            self._settle()
            raise

    async def aclose(self) -> None:
        """The caller left, or has everything."""
        self._held = b""
        self._settle()

    async def _advance(self) -> bytes:
        """What can be sent next; b"" at the end, with `_error` set when it is not a good one."""
        reader, body = self._reader, self._answer.body
        try:
            while self._error is None and not reader.done and reader.failure is None:
                try:
                    data = await body.__anext__()
                except StopAsyncIteration:
                    reader.finish()
                    break
                if not self._exchange.first_byte_s:
                    self._exchange.first_byte_s = self._monotonic()
                ready = reader.feed(data)
                if ready:
                    return ready
        except NetError as exc:
            self._error = upstream_error(exc, self._call.provider, self._exchange)
            return b""
        if self._error is not None:
            return b""
        if reader.failure is not None:
            self._error = CallError(Reason.UPSTREAM_BROKEN, reader.failure.detail)
        else:
            if isinstance(reader, TranslatedStream) and (tail := reader.tail()):
                return tail
            await self._drain()
        return b""

    async def _drain(self) -> None:
        """Let the HTTP message end, so that its connection can be used again."""
        body = self._answer.body
        if body.complete:
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in body:
                    pass
        except (NetError, TimeoutError):
            _log.debug("a provider kept its connection busy after the end of a stream")
            self._answer.close()

    def _settle(self) -> None:
        if not self._settled:
            self._settled = True
            self._exchange.usage = self._reader.usage(len(self._call.body))
            self._exchange.events = self._reader.events
            if self._reader.done and self._reader.failure is None:
                # Many SDKs leave at the last event: that is no reason to lose the connection to the provider.
                self._answer.let_end(DRAIN_S)
            else:
                self._answer.close()
