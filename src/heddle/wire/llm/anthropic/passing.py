"""A streamed message on its way through: forwarded untouched, and understood just enough.

Owns the judgement of whether a stream is whole. It is when `message_delta` gave a stop reason and `message_stop` came;
anything else is broken and must never look finished, so `message_stop` is held back from a stream that does not deserve
it, as is an error event, which the gateway says in its own words. `ping` and events unknown here pass ("your code
should handle unknown event types gracefully"). Reads usage on the way, and counts the text, for streams that break
before their last counts.

*Source:* Anthropic API reference, "Streaming Messages", "Event types" and "Error recovery", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import errors
from heddle.wire.llm.anthropic.usage import WireUsage, merge, read
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.sse import MAX_EVENT_BYTES, Splitter, decode

_DELTA = b"event: content_block_delta\ndata: {"
_DELTA_LINE = _DELTA.find(b"\n") + 1
_DATA = b"data: "


class _Delta(msgspec.Struct, gc=False):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    usage: WireUsage | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Delta | None = None
    message: _Message | None = None
    usage: WireUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def split(event: bytes) -> tuple[bytes, bytes]:
    """Name and data of one whole event. Fast for the two lines that Anthropic sends."""
    end = event.find(b"\n")
    start = end + 1
    if (
        event.startswith(b"event: ")
        and event.startswith(_DATA, start)
        and event.find(b"\n", start) == len(event) - 2
        and b"\r" not in event
    ):
        return event[7:end], event[start + 6 : -2]
    found = decode(event)
    return found.event, found.data


class StreamReader:
    """Reads the events of one message; see `codec.Stream` for the contract."""

    __slots__ = ("_begun", "_finished", "_splitter", "_usage", "done", "events", "failure", "text_chars")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._begun = False
        self._finished = False
        self._usage: WireUsage | None = None
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0
        """Characters of generated text, thinking and tool arguments seen."""

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        splitter, size = self._splitter, len(data)
        if (
            data.startswith(_DELTA)
            and splitter.plain
            and not splitter.kept
            and data.find(b"\n", _DELTA_LINE) == size - 2 < MAX_EVENT_BYTES
            and data[-1:] == b"\n"
            and b"\r" not in data
        ):
            # One event as nearly all are.
            return data if self._judge(data[_DELTA_LINE + 6 : -2]) else b""
        try:
            events = splitter.feed(data)
        except ProtocolError as exc:
            self.failure = exc
            return b""
        take = self._take
        return b"".join([event for event in events if take(event)])

    def finish(self) -> None:
        """No more bytes will come. Sets `failure` when the stream was not complete."""
        if not self.done and self.failure is None:
            self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; an estimate from `input_bytes` and the text seen when there are none.

        A stream that broke has told its input but not its output: what was seen is estimated, and marked so.
        """
        seen = estimate_tokens(self.text_chars)
        if self._usage is not None:
            reported = read(self._usage, estimated=not self._finished)
            if reported is not None and self._finished:
                return reported
            if reported is not None:
                return msgspec.structs.replace(reported, output_tokens=max(reported.output_tokens, seen))
        return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=seen, estimated=True)

    def _take(self, event: bytes) -> bool:
        """Learn from one event; whether it goes to the caller."""
        if self.done or self.failure is not None:
            return False
        name, text = split(event)
        if name == b"error":
            return self._broken(text)
        if name == b"message_stop":
            # By name too: some readers look no further.
            return self._end()
        return self._judge(text) if text else True

    def _judge(self, text: bytes) -> bool:
        """Learn from an event's data; whether it goes to the caller."""
        try:
            event = _decode(text)
        except _DECODE_ERRORS:
            return self._odd(text)
        kind, delta = event.type, event.delta
        if kind == "content_block_delta" and delta is not None:
            self.events += 1
            piece = delta.text or delta.partial_json or delta.thinking
            if type(piece) is str:
                self.text_chars += len(piece)
            return True
        if kind == "message_stop":
            return self._end()
        if kind == "error" or event.error is not None:
            return self._broken(text)
        self._learn(event)
        return True

    def _learn(self, event: _Event) -> None:
        """The events around the text: what they say of usage and of the end."""
        if event.type == "ping":
            return
        self.events += 1
        if event.type == "message_start":
            self._begun = True
            counted = event.message.usage if event.message is not None else None
        elif event.type == "message_delta":
            self._finished |= event.delta is not None and event.delta.stop_reason is not None
            counted = event.usage
        else:
            return
        if counted is not None:
            self._usage = merge(self._usage, counted)

    def _odd(self, text: bytes) -> bool:
        """An object in a form unknown here is the caller's to judge; anything else breaks the stream."""
        try:
            if isinstance(msgspec.json.decode(text), dict):
                return True
        except _DECODE_ERRORS:
            pass
        self.failure = ProtocolError("The provider sent an event that is not JSON.", malformed=True)
        return False

    def _broken(self, text: bytes) -> bool:
        try:
            error = _decode(text).error
        except _DECODE_ERRORS:
            error = None
        self.failure = ProtocolError(errors.reported(error))
        return False

    def _end(self) -> bool:
        if not self._begun or not self._finished:
            self.failure = ProtocolError("The provider ended the stream without a stop reason.")
            return False
        self.done = True
        return True
