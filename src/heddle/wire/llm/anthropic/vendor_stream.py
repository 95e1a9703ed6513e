"""Streamed answers of Anthropic, read into canonical events.

Owns the pairing of block indexes with parts, and what may be wrong with a stream: an error event, a block that ends
without having begun, an end without a stop reason. Events and blocks unknown here are passed over, as Anthropic asks of
readers. Nothing here raises.

*Source:* Anthropic API reference, "Streaming Messages", "Event types", "Content block delta types"; "Fine-grained tool
streaming"; "Errors", as of 2026-11.
"""

import msgspec

from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Event,
    Failed,
    Kind,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import errors, signatures
from heddle.wire.llm.anthropic.passing import split
from heddle.wire.llm.anthropic.usage import WireUsage, merge, read
from heddle.wire.llm.anthropic.vendor_answer import STOPS, Block, StopDetails, explained, initial_input
from heddle.wire.sse import Splitter

RETRYABLE = frozenset((429, 500, 504, 529))
_KINDS: dict[str, Kind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "tool_call",
}
_LOST = "The provider sent events of its stream out of order."


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    usage: WireUsage | None = None


class _Error(msgspec.Struct, gc=False):
    type: str = ""


class _Named(msgspec.Struct, gc=False):
    type: str


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: WireUsage | None = None
    error: _Error | None = None


class _Open:
    """A block that has begun; `index` is None for one that is passed over."""

    __slots__ = ("arguments", "index", "kind")

    def __init__(self, index: int | None, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.arguments = ""
        """What a tool call has from the start, until pieces come."""


_decode = msgspec.json.Decoder(_Event).decode
_decode_name = msgspec.json.Decoder(_Named).decode
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class StreamDecoder:
    """Reads one message; see `codec.Decoder` for the contract."""

    __slots__ = ("_began", "_ended", "_open", "_over", "_parts", "_splitter", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._open: dict[int, _Open] = {}
        self._parts = 0
        self._began = False
        self._ended = False
        """The choice has ended."""
        self._over = False
        """Nothing follows."""
        self._usage: WireUsage | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; the last may be `Failed`."""
        if self._over:
            return []
        try:
            pieces = self._splitter.feed(data)
        except ProtocolError as exc:
            return [self._fail(exc.detail)]
        said: list[Event] = []
        for piece in pieces:
            self._take(piece, said)
            if said and isinstance(said[-1], (Failed, Ended)):
                break
        return said

    def finish(self) -> list[Event]:
        """The bytes have ended."""
        return [] if self._over else [self._fail("The provider ended the stream before the answer was complete.")]

    def _take(self, piece: bytes, said: list[Event]) -> None:
        name, text = split(piece)
        if not text:
            return
        try:
            event = _decode(text)
        except _DECODE_ERRORS:
            if name == b"error":
                said.append(self._fail(errors.reported(None)))
            elif not _is_new(text):
                said.append(self._fail("The provider sent an event that cannot be read."))
            return
        kind = "error" if name == b"error" or event.error is not None else event.type
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, event, said)

    def _start(self, event: _Event, said: list[Event]) -> None:
        message = event.message or _Message()
        if self._began:
            said.append(self._fail(_LOST))
            return
        self._began = True
        self._usage = message.usage
        known = read(message.usage) if message.usage is not None else None
        said.append(Began(id=message.id, model=message.model, usage=known))

    def _block(self, event: _Event, said: list[Event]) -> None:
        block = event.content_block or Block()
        if not self._began or self._ended or event.index in self._open:
            said.append(self._fail(_LOST))
            return
        kind = _KINDS.get(block.type)
        if kind is None:
            self._open[event.index] = _Open(None, block.type)
            return
        index = self._parts
        self._parts += 1
        self._open[event.index] = opened = _Open(index, block.type)
        said.append(PartBegan(index=index, kind=kind, id=block.id or "", name=block.name or ""))
        if block.type == "tool_use":
            opened.arguments = initial_input(block.input) or "{}"
        elif block.text or block.thinking:
            said.append(PartDelta(index=index, text=block.text or block.thinking or ""))
        if block.type == "redacted_thinking":
            said.append(PartDelta(index=index, redacted=signatures.decode(block.data or "")))

    def _delta(self, event: _Event, said: list[Event]) -> None:
        opened, delta = self._open.get(event.index), event.delta
        if opened is None:
            said.append(self._fail(_LOST))
            return
        if opened.index is None or delta is None:
            return
        text = delta.text or delta.partial_json or delta.thinking or ""
        signature = signatures.decode(delta.signature or "")
        if text or signature:
            opened.arguments = ""
            said.append(PartDelta(index=opened.index, text=text, signature=signature))

    def _stop(self, event: _Event, said: list[Event]) -> None:
        opened = self._open.pop(event.index, None)
        if opened is None:
            said.append(self._fail(_LOST))
            return
        self._close(opened, said)

    def _close(self, opened: _Open, said: list[Event]) -> None:
        if opened.index is None:
            return
        if opened.arguments:
            said.append(PartDelta(index=opened.index, text=opened.arguments))
        said.append(PartEnded(index=opened.index))

    def _learn(self, event: _Event, said: list[Event]) -> None:
        if not self._began:
            said.append(self._fail(_LOST))
            return
        if event.usage is not None:
            self._usage = merge(self._usage, event.usage)
        delta = event.delta
        if delta is not None and delta.stop_reason is not None and not self._ended:
            self._end_choice(delta, delta.stop_reason, said)
        counted = read(self._usage) if event.usage is not None and self._usage is not None else None
        if counted is not None:
            said.append(Used(usage=counted))

    def _end_choice(self, delta: _Delta, reason: str, said: list[Event]) -> None:
        self._ended = True
        for opened in self._open.values():
            self._close(opened, said)
        self._open.clear()
        explanation = explained(delta.stop_details)
        if explanation:
            said.append(PartBegan(index=self._parts, kind="refusal"))
            said.append(PartDelta(index=self._parts, text=explanation))
            said.append(PartEnded(index=self._parts))
            self._parts += 1
        said.append(ChoiceEnded(stop=STOPS.get(reason, "stop"), stop_sequence=delta.stop_sequence or ""))

    def _end(self, event: _Event, said: list[Event]) -> None:  # noqa: ARG002
        if not self._ended:
            said.append(self._fail("The provider ended the stream without a stop reason."))
            return
        self._over = True
        said.append(Ended())

    def _report(self, event: _Event, said: list[Event]) -> None:
        kind = event.error.type if event.error is not None else ""
        status = errors.STATUSES.get(kind, 502)
        # Trouble with the gateway's own account is not the caller's.
        shown = 502 if status in (401, 402, 403) else status
        said.append(self._fail(errors.reported({"type": kind}), shown, status in RETRYABLE))

    def _fail(self, detail: str, status: int = 502, retryable: bool = False) -> Failed:
        self._over = True
        return Failed(detail=detail, status=status, retryable=retryable)


_READERS = {
    "message_start": StreamDecoder._start,
    "content_block_start": StreamDecoder._block,
    "content_block_delta": StreamDecoder._delta,
    "content_block_stop": StreamDecoder._stop,
    "message_delta": StreamDecoder._learn,
    "message_stop": StreamDecoder._end,
    "error": StreamDecoder._report,
}


def _is_new(text: bytes) -> bool:
    """Whether an event that cannot be read is of a type unknown here, with fields of its own."""
    try:
        return _decode_name(text).type not in _READERS
    except _DECODE_ERRORS:
        return False


def open_decoder() -> StreamDecoder:
    """A reader for one streamed answer."""
    return StreamDecoder()
