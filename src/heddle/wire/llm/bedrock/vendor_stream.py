"""A streamed answer of ConverseStream as canonical events.

Owns the grammar: parts are numbered as they begin, since blocks without a word are none; a signature, which may come in
pieces, is said when its block ends, and so are arguments of a call that has none. It never raises: what breaks the
stream is `Failed`.

*Source:* Amazon Bedrock API Reference, "ConverseStreamOutput", "ContentBlockDelta", "ReasoningContentBlockDelta", as of
2026-11.
"""

import base64
import binascii
from collections.abc import Sequence

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
from heddle.wire.eventstream import Splitter, decode
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.names import BROKEN_STOPS, TO_STOP, own
from heddle.wire.llm.bedrock.reader import ReportedError, event_type, may_retry
from heddle.wire.llm.bedrock.vendor_answer import MALFORMED, Extra

_UNCARRIED = "The answer has content of a kind that cannot be carried."


class _ToolStart(msgspec.Struct, gc=False):
    toolUseId: str  # noqa: N815
    name: str
    type: str | None = None


class _Start(msgspec.Struct, gc=False):
    toolUse: _ToolStart | None = None  # noqa: N815


class _ToolDelta(msgspec.Struct, gc=False):
    input: str = ""


class _ReasoningDelta(msgspec.Struct, gc=False):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None  # noqa: N815


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    toolUse: _ToolDelta | None = None  # noqa: N815
    reasoningContent: _ReasoningDelta | None = None  # noqa: N815
    citation: dict[str, msgspec.Raw] | None = None


class _BlockStart(msgspec.Struct, gc=False):
    contentBlockIndex: int  # noqa: N815
    start: _Start


class _BlockDelta(msgspec.Struct, gc=False):
    contentBlockIndex: int  # noqa: N815
    delta: _Delta


class _BlockStop(msgspec.Struct, gc=False):
    contentBlockIndex: int  # noqa: N815


class _Stop(msgspec.Struct, gc=False):
    stopReason: str  # noqa: N815
    additionalModelResponseFields: Extra | None = None  # noqa: N815


class _Metadata(msgspec.Struct, gc=False):
    usage: bedrock_usage.WireUsage | None = None


_START = msgspec.json.Decoder(_BlockStart)
_DELTA = msgspec.json.Decoder(_BlockDelta)
_BLOCK_STOP = msgspec.json.Decoder(_BlockStop)
_STOP = msgspec.json.Decoder(_Stop)
_METADATA = msgspec.json.Decoder(_Metadata)


class _Part:
    """A block that has begun."""

    __slots__ = ("filled", "index", "kind", "redacted", "signature")

    def __init__(self, index: int, kind: Kind) -> None:
        self.index = index
        self.kind = kind
        self.filled = False
        self.signature: list[str] = []
        self.redacted: list[bytes] = []


def open_decoder() -> "Decoder":
    """A reader for a streamed answer."""
    return Decoder()


class Decoder:
    """Reads the frames of one answer; see `codec.Decoder` for the contract."""

    __slots__ = ("_begun", "_ended", "_events", "_failed", "_numbered", "_open", "_splitter", "_stopped")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._events: list[Event] = []
        self._open: dict[int, _Part] = {}
        """By `contentBlockIndex`."""
        self._numbered = 0
        self._begun = False
        self._stopped = False
        self._ended = False
        self._failed = False

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that `data` completes; the last may be `Failed`. Never raises."""
        events: list[Event] = []
        self._events = events
        try:
            for raw in self._splitter.feed(data) if not self._failed else ():
                if self._ended:
                    break
                frame = decode(raw)
                self._read(event_type(frame), frame.payload)
            if self._splitter.failure is not None and not self._ended and not self._failed:
                raise self._splitter.failure
        except ProtocolError as exc:
            self._fail(exc)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._fail(ProtocolError("The provider sent an event that cannot be read."))
        return events

    def finish(self) -> Sequence[Event]:
        """`Failed` unless the stream was complete."""
        events: list[Event] = []
        self._events = events
        if not self._ended and not self._failed:
            self._fail(ProtocolError("The provider ended the stream before the answer was complete."))
        return events

    def _fail(self, error: ProtocolError) -> None:
        self._failed = True
        status = error.status if isinstance(error, ReportedError) else 502
        self._events.append(Failed(detail=error.detail, status=status, retryable=may_retry(status)))

    def _read(self, event: str, payload: bytes) -> None:
        if event == "contentBlockDelta":
            delta = _DELTA.decode(payload)
            self._delta(delta.contentBlockIndex, delta.delta)
        elif event == "contentBlockStart":
            start = _START.decode(payload)
            self._start(start.contentBlockIndex, start.start)
        elif event == "contentBlockStop":
            self._end(_BLOCK_STOP.decode(payload).contentBlockIndex)
        elif event == "messageStart":
            self._begin()
        elif event == "messageStop":
            self._stop(_STOP.decode(payload))
        elif event == "metadata":
            self._metadata(_METADATA.decode(payload))

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._events.append(Began())

    def _start(self, block: int, start: _Start) -> None:
        use = start.toolUse
        if use is None or use.type is not None:
            raise ProtocolError(_UNCARRIED)
        self._part(block, "tool_call", use.toolUseId, use.name)

    def _part(self, block: int, kind: Kind, call_id: str = "", name: str = "") -> _Part:
        """The block's part, begun if it has not been."""
        part = self._open.get(block)
        if part is None:
            if self._stopped or (kind == "tool_call" and not name):
                raise ProtocolError("The provider's events are out of order.")
            self._begin()
            part = self._open[block] = _Part(self._numbered, kind)
            self._numbered += 1
            self._events.append(PartBegan(index=part.index, kind=kind, id=call_id, name=name))
        elif part.kind != kind or name:
            raise ProtocolError("The provider's events are out of order.")
        return part

    def _delta(self, block: int, delta: _Delta) -> None:
        if delta.text is not None:
            if delta.text:
                self._say(self._part(block, "text"), delta.text)
        elif delta.toolUse is not None:
            if delta.toolUse.input:
                self._say(self._part(block, "tool_call"), delta.toolUse.input)
        elif delta.reasoningContent is not None:
            self._think(self._part(block, "thinking"), delta.reasoningContent)
        elif delta.citation is None:
            raise ProtocolError(_UNCARRIED)

    def _say(self, part: _Part, text: str) -> None:
        part.filled = True
        self._events.append(PartDelta(index=part.index, text=text))

    def _think(self, part: _Part, delta: _ReasoningDelta) -> None:
        if delta.text:
            self._say(part, delta.text)
        if delta.signature:
            part.signature.append(delta.signature)
        if delta.redactedContent:
            try:
                part.redacted.append(binascii.a2b_base64(delta.redactedContent, strict_mode=True))
            except ValueError as exc:
                raise ProtocolError("The provider sent an event that cannot be read.") from exc

    def _end(self, block: int) -> None:
        part = self._open.pop(block, None)
        if part is None:
            return
        if part.signature or part.redacted:
            signature, redacted = "".join(part.signature), base64.b64encode(b"".join(part.redacted)).decode()
            self._events.append(PartDelta(index=part.index, signature=own(signature), redacted=own(redacted)))
        elif part.kind == "tool_call" and not part.filled:
            self._events.append(PartDelta(index=part.index, text="{}"))
        self._events.append(PartEnded(index=part.index))

    def _stop(self, stop: _Stop) -> None:
        if self._stopped:
            raise ProtocolError("The provider's events are out of order.")
        if stop.stopReason in BROKEN_STOPS:
            raise ProtocolError(MALFORMED)
        self._begin()
        for block in list(self._open):
            self._end(block)
        self._stopped = True
        extra = stop.additionalModelResponseFields
        sequence = extra.stop_sequence or "" if extra is not None else ""
        self._events.append(ChoiceEnded(stop=TO_STOP.get(stop.stopReason, "stop"), stop_sequence=sequence))

    def _metadata(self, metadata: _Metadata) -> None:
        usage = bedrock_usage.read(metadata.usage) if metadata.usage is not None else None
        if usage is not None:
            self._events.append(Used(usage=usage))
        if self._stopped:
            self._ended = True
            self._events.append(Ended())
