"""A streamed Gemini answer on its way through: forwarded untouched, and understood just enough.

Owns the judgement of whether a stream is whole. The format has no terminator: a stream is complete when the message
that carried it ended properly and every candidate that began had a `finishReason`, or the prompt was blocked. Usage
is in every chunk and the last one holds; before every candidate has finished it is only what was known so far.

*Source:* Gemini API reference, "models.streamGenerateContent" and "GenerateContentResponse", 2026-11.
"""

import re
from typing import Any

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.gemini import usage as counts
from heddle.wire.sse import MAX_EVENT_BYTES, Splitter, payload

MAX_CANDIDATES = 128

_STATUS = re.compile(r"[A-Z_]{1,40}")
_UNFINISHED = "FINISH_REASON_UNSPECIFIED"


class _Part(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    function_call: msgspec.Raw = msgspec.Raw()


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    """One candidate, as far as it is read on its way through."""

    content: _Content | None = None
    finish_reason: str | None = None
    index: int = 0


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class Chunk(msgspec.Struct, gc=False, rename="camel"):
    """An answer, or one piece of it: both have the same form."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: counts.WireUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


class StreamReader:
    """Reads the events of one answer; see `codec.Stream` for the contract."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_finished",
        "_settled",
        "_splitter",
        "_usage",
        "done",
        "events",
        "failure",
        "text_chars",
    )

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._begun = 0
        """Bit per candidate that has begun; `_finished` has those that have a finish reason."""
        self._finished = 0
        self._blocked = False
        self._usage: counts.WireUsage | None = None
        self._settled = False
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0
        """Characters of generated text and arguments seen."""

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        end = 0 if self._splitter.kept else single(data)
        if end:
            return data if self._judge(data[6:end]) else b""
        try:
            events = self._splitter.feed(data)
        except ProtocolError as exc:
            self.failure = exc
            return b""
        return b"".join([event for event in events if self._take(event)])

    def finish(self) -> None:
        """No more bytes will come. Sets `failure` when the stream was not complete."""
        if self.failure is None and not self.done:
            if self._complete() and not self._splitter.rest.strip():
                self.done = True
            else:
                self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's last counts; an estimate from `input_bytes` and the text seen when there are none."""
        if self._usage is not None:
            reported = counts.read(self._usage, estimated=not self._settled)
            if reported is not None and reported.estimated:
                # Counts of what is not over: early chunks tell the prompt's only.
                seen = max(reported.output_tokens, estimate_tokens(self.text_chars))
                return msgspec.structs.replace(reported, output_tokens=seen)
            if reported is not None:
                return reported
        return Usage(
            input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(self.text_chars), estimated=True
        )

    def _complete(self) -> bool:
        return self._blocked or (self._begun != 0 and self._begun == self._finished)

    def _take(self, event: bytes) -> bool:
        """Learn from one event; whether it goes to the caller."""
        if self.failure is not None:
            return False
        text = payload(event)
        return self._judge(text) if text else True

    def _judge(self, text: bytes) -> bool:
        self.events += 1
        try:
            chunk = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._odd(text)
        if chunk.error is not None:
            self.failure = ProtocolError(reported(chunk.error))
            return False
        for candidate in chunk.candidates or ():
            self._read(candidate)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._blocked = True
        if chunk.usage_metadata is not None:
            self._usage = chunk.usage_metadata
            self._settled = self._complete()
        return True

    def _odd(self, text: bytes) -> bool:
        """An object in a form unknown here is the caller's to judge; anything else breaks the stream."""
        try:
            if isinstance(msgspec.json.decode(text), dict):
                return True
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        self.failure = ProtocolError("The provider sent an event that is not JSON.", malformed=True)
        return False

    def _read(self, candidate: Candidate) -> None:
        bit = 1 << candidate.index if 0 <= candidate.index < MAX_CANDIDATES else 1
        self._begun |= bit
        if candidate.finish_reason and candidate.finish_reason != _UNFINISHED:
            self._finished |= bit
        self.text_chars += text_chars(candidate)


def single(data: bytes) -> int:
    """Where the payload ends of bytes that are one whole event in one line, as nearly all are; 0 for any others."""
    if data[:7] != b"data: {" or len(data) > MAX_EVENT_BYTES:
        return 0
    # Google ends lines with CR LF, what imitates it with LF.
    end = len(data) - (4 if data[-4:] == b"\r\n\r\n" else 2)
    if data[-2:] not in (b"\n\n", b"\r\n") or data[end - 1 : end] != b"}":
        return 0
    return 0 if data.find(b"\n", 0, end) >= 0 or data.find(b"\r", 0, end) >= 0 else end


def text_chars(candidate: Candidate) -> int:
    """Characters of text, thoughts and arguments."""
    if candidate.content is None:
        return 0
    return sum(
        len(part.text) if part.text is not None else memoryview(part.function_call).nbytes
        for part in candidate.content.parts or ()
    )


def reported(error: Any) -> str:
    """An error event in our words: its message may quote anything, but a canonical code is safe and helps."""
    status = error.get("status") if isinstance(error, dict) else None
    if isinstance(status, str) and _STATUS.fullmatch(status):
        return f"The provider reported an error during the answer ({status})."
    return "The provider reported an error during the answer."
