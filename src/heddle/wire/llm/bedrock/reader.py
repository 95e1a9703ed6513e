"""A streamed answer of ConverseStream on its way through: forwarded untouched, and understood just enough.

Owns the judgement of whether a stream is whole: `messageStart`, `messageStop` and then `metadata` were seen. Anything
else is broken and must never look finished: the frame that breaks it is held back. Reads usage on the way, and counts
the text, for streams whose usage never comes.

*Source:* Amazon Bedrock API Reference, "ConverseStreamOutput"; Smithy 2.0 "Event stream specification", `:message-type`
`event`, `exception` and `error`, as of 2026-11.
"""

import re
from typing import Any

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import Frame, Splitter, decode
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.names import RETRYABLE, STATUSES
from heddle.wire.llm.codec import estimate_tokens

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class ReportedError(ProtocolError):
    """The provider said itself that it failed; `status` is the one that a call would have had."""


class _ToolUse(msgspec.Struct, gc=False):
    input: Any = None


class _Reasoning(msgspec.Struct, gc=False):
    text: Any = None


class _Delta(msgspec.Struct, gc=False):
    text: Any = None
    toolUse: _ToolUse | None = None  # noqa: N815
    reasoningContent: _Reasoning | None = None  # noqa: N815


class _BlockDelta(msgspec.Struct, gc=False):
    delta: _Delta | None = None


class _Metadata(msgspec.Struct, gc=False):
    usage: bedrock_usage.WireUsage | None = None


_decode_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode


class StreamReader:
    """Reads the frames of one answer; see `codec.Stream` for the contract."""

    __slots__ = ("_splitter", "_started", "_stopped", "_usage", "done", "events", "failure", "text_chars")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._started = False
        self._stopped = False
        self._usage: Usage | None = None
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0
        """Characters of generated text, thinking and tool arguments seen."""

    def feed(self, data: bytes) -> bytes:
        """Whole frames that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        frames = self._splitter.feed(data)
        passed = [frame for frame in frames if self._take(frame)]
        if self._splitter.failure is not None and not self.done and self.failure is None:
            self.failure = self._splitter.failure
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def finish(self) -> None:
        """No more bytes will come. Sets `failure` when the stream was not complete."""
        if not self.done and self.failure is None:
            self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; an estimate from `input_bytes` and the text seen when there are none."""
        return self._usage or Usage(
            input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(self.text_chars), estimated=True
        )

    def _take(self, raw: bytes) -> bool:
        """Learn from one frame; whether it goes to the caller."""
        if self.done or self.failure is not None:
            return False
        try:
            frame = decode(raw)
            event = event_type(frame)
            if event != "metadata":
                self.events += 1
            self._learn(event, frame.payload)
        except ProtocolError as exc:
            self.failure = exc
        return self.failure is None

    def _learn(self, event: str, payload: bytes) -> None:
        """What one event tells; those unknown here are the caller's to judge. Raises ProtocolError."""
        if event == "contentBlockDelta":
            try:
                self._count(_decode_delta(payload).delta)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                check_object(payload)
            return
        if event == "metadata":
            self._read_metadata(payload)
        elif event == "messageStop" and not self._started:
            raise ProtocolError("The provider ended an answer that had not begun.")
        else:
            check_object(payload)
        self._started |= event == "messageStart"
        self._stopped |= event == "messageStop"
        self.done = self._stopped and event == "metadata"

    def _count(self, delta: _Delta | None) -> None:
        if delta is None:
            return
        if type(delta.text) is str:
            self.text_chars += len(delta.text)
            return
        tool, thinking = delta.toolUse, delta.reasoningContent
        said = tool.input if tool is not None else thinking.text if thinking is not None else None
        if isinstance(said, str):
            self.text_chars += len(said)

    def _read_metadata(self, payload: bytes) -> None:
        try:
            wire = _decode_metadata(payload).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            check_object(payload)
            return
        self._usage = (bedrock_usage.read(wire) if wire is not None else None) or self._usage


def event_type(frame: Frame) -> str:
    """The name of an event. Raises ReportedError for an exception, ProtocolError for what is no event."""
    kind = frame.headers.get(":message-type")
    name = frame.headers.get(":event-type")
    if kind == "event" and isinstance(name, str):
        return name
    if kind == "exception":
        raise reported(frame.headers.get(":exception-type"))
    if kind == "error":
        raise reported(frame.headers.get(":error-code"))
    raise ProtocolError("The provider sent a frame that is no event.", malformed=True)


def reported(name: object) -> ReportedError:
    """An exception in our words: its message may quote anything, but its name is safe and helps."""
    known = name if isinstance(name, str) and _WORD.fullmatch(name) else ""
    said = f" ({known})" if known else ""
    exception = known[:1].upper() + known[1:]
    detail = f"The provider reported an error during the answer{said}."
    return ReportedError(detail, status=STATUSES.get(exception, 502))


def may_retry(status: int) -> bool:
    """Whether the reference says of the exceptions with this status that the request may be sent again."""
    return any(STATUSES[name] == status for name in RETRYABLE)


def check_object(payload: bytes) -> None:
    """Raise ProtocolError unless an event says a JSON object, in whatever form."""
    try:
        if isinstance(msgspec.json.decode(payload), dict):
            return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise ProtocolError("The provider sent an event that is not JSON.", malformed=True)
