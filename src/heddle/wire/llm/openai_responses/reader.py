"""A streamed response on its way through: forwarded untouched, and understood just enough.

Owns the judgement of whether a stream is whole: it is when `response.completed` or `response.incomplete` was seen.
`response.failed`, an `error` event and a stream that just ends are failures, and nothing of them goes on.

*Source:* OpenAI API reference, "Streaming events" of responses, as of 2026-11.
"""

import re
from typing import Any

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import usage as wire_usage
from heddle.wire.sse import Splitter
from heddle.wire.sse import payload as any_payload

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The first two events repeat the request's instructions and tools, the last one all that was said and, in base64,
drawn."""

ENDS = ("response.completed", "response.incomplete")
"""Types of the event that a whole stream ends with."""

_WORD = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Response(msgspec.Struct, gc=False):
    usage: wire_usage.WireUsage | None = None
    error: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    response: _Response | None = None
    error: Any = None
    code: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class StreamReader:
    """Reads the events of one response; see `codec.Stream` for the contract."""

    __slots__ = ("_splitter", "_usage", "done", "events", "failure", "text_chars")

    def __init__(self) -> None:
        self._splitter = Splitter(MAX_EVENT_BYTES)
        self._usage: Usage | None = None
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0
        """Characters of text, reasoning and tool arguments seen."""

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        try:
            events = self._splitter.feed(data)
        except ProtocolError as exc:
            self.failure = exc
            return b""
        take = self._take
        if len(events) == 1:
            return events[0] if take(events[0]) else b""
        return b"".join([event for event in events if take(event)])

    def finish(self) -> None:
        """No more bytes will come. Sets `failure` when the stream was not complete."""
        if not self.done and self.failure is None:
            self.failure = ProtocolError("The provider ended the stream before the response was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; an estimate from `input_bytes` and the text seen when there are none."""
        return self._usage or wire_usage.estimate(input_bytes, self.text_chars)

    def _take(self, event: bytes) -> bool:
        """Learn from one event; whether it goes to the caller."""
        if self.done or self.failure is not None:
            return False
        text = payload(event)
        if not text:
            return True
        try:
            said = _decode(text)
        except _BROKEN:
            return self._odd(text)
        delta = said.delta
        if type(delta) is str:
            self.events += 1
            # Sound is base64: its size says nothing of tokens.
            if not said.type.startswith("response.audio."):
                self.text_chars += len(delta)
            return True
        return self._learn(said)

    def _learn(self, said: _Event) -> bool:
        """The events that are no deltas."""
        if said.response is not None and said.response.usage is not None:
            self._usage = wire_usage.read(said.response.usage)
        if said.type == "response.failed":
            self.failure = ProtocolError(reported(said.response.error if said.response is not None else None))
            return False
        if said.type == "error" or said.error is not None:
            self.failure = ProtocolError(reported(said.error if said.error is not None else {"code": said.code}))
            return False
        if said.type in ENDS:
            self.done = True
        else:
            self.events += 1
        return True

    def _odd(self, text: bytes) -> bool:
        """An object in a form unknown here is the caller's to judge, but for its type; anything else breaks it."""
        try:
            said = msgspec.json.decode(text)
        except _BROKEN:
            said = None
        if not isinstance(said, dict):
            self.failure = ProtocolError("The provider sent an event that is not JSON.", malformed=True)
            return False
        kind = said.get("type")
        return self._learn(_Event(type=kind if isinstance(kind, str) else "", error=said.get("error")))


def payload(event: bytes) -> bytes:
    """The data of one whole event. Fast for one `event:` and one `data:` line, as nearly all are here."""
    if event[:7] == b"event: ":
        end = event.find(b"\n")
        if event[end : end + 7] == b"\ndata: " and event.find(b"\n", end + 7) == len(event) - 2 and b"\r" not in event:
            return event[end + 7 : -2]
    return any_payload(event)


def reported(error: Any) -> str:
    """An error in our words: its message may quote anything, but a plain type or code is safe and helps."""
    words = [error.get(key) for key in ("type", "code")] if isinstance(error, dict) else []
    named = [word for word in words if isinstance(word, str) and _WORD.fullmatch(word)]
    said = f" ({', '.join(named)})" if named else ""
    return f"The provider reported an error during the answer{said}."
