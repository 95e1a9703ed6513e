"""A streamed chat completion on its way through: forwarded untouched, and understood just enough.

Owns the judgement of whether a stream is whole. A stream is complete when every choice that began has a
`finish_reason` and `[DONE]` was seen; anything else is broken and must never look finished, so `[DONE]` is
held back from a stream that does not deserve it. Reads usage on the way, and counts the text, for streams whose
usage never comes.

*Source:* OpenAI API reference, "Streaming" and "The chat completion chunk object", as of 2026-11.
"""

import re
from typing import Any, Final

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_usage
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_shapes import Chunk, ChunkChoice, Delta
from heddle.wire.sse import MAX_EVENT_BYTES, Splitter, payload

MAX_CHOICES: Final = 128

_DONE: Final = b"[DONE]"
_WORD: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)


_decode: Final = msgspec.json.Decoder(Chunk).decode


class StreamReader:
    """Reads the events of one chat completion; see `codec.Stream` for the contract."""

    __slots__ = (
        "_finished",
        "_hide_usage",
        "_settled",
        "_splitter",
        "_usage",
        "begun",
        "done",
        "events",
        "failure",
        "text_chars",
    )

    def __init__(self, hide_usage: bool) -> None:
        self._hide_usage = hide_usage
        self._splitter = Splitter()
        self._finished = 0
        self._usage: openai_usage.WireUsage | None = None
        self._settled = False
        self.begun = 0
        """Bit per choice that has begun; `_finished` has those that have a finish reason."""
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0
        """Characters of generated text, reasoning and tool arguments seen."""

    @property
    def complete(self) -> bool:
        """Every choice has finished and the terminator was seen."""
        return self.done and self.failure is None

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        splitter, size = self._splitter, len(data)
        whole = splitter.plain and not splitter.kept and data.find(b"\n") == size - 2 < MAX_EVENT_BYTES
        if whole and data[:7] == b"data: {" and data[-1:] == b"\n" and b"\r" not in data:
            # One event as nearly all are; if it had a CR somewhere, it would be no JSON in one line.
            return data if self._judge(data[6:-2]) else b""
        try:
            events = self._splitter.feed(data)
        except ProtocolError as exc:
            self.failure = exc
            return b""
        if len(events) == 1:
            return events[0] if self._take(events[0]) else b""
        take = self._take
        return b"".join([event for event in events if take(event)])

    def finish(self) -> None:
        """No more bytes will come. Sets `failure` when the stream was not complete."""
        if not self.done and self.failure is None:
            self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; an estimate from `input_bytes` and the text seen when there are none.

        Counts that came before every choice had finished (servers that report while they generate) are marked
        estimated, as more may have been generated.
        """
        if self._usage is not None:
            reported = openai_usage.read(self._usage, estimated=not self._settled)
            if reported is not None:
                return reported
        return Usage(
            input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(self.text_chars), estimated=True
        )

    def _take(self, event: bytes) -> bool:
        """Learn from one event; whether it goes to the caller."""
        if self.done or self.failure is not None:
            return False
        text = payload(event)
        if not text:
            return True
        if text == _DONE:
            return self._end()
        return self._judge(text)

    def _judge(self, text: bytes) -> bool:
        """Learn from one chunk; whether it goes to the caller."""
        self.events += 1
        try:
            chunk = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._odd(text)
        for choice in chunk.choices or ():
            self._read(choice)
        if chunk.usage is not None or chunk.error is not None or not chunk.choices:
            return self._learn(chunk)
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

    def _read(self, choice: ChunkChoice) -> None:
        bit = 1 << choice.index if 0 <= choice.index < MAX_CHOICES else 1
        self.begun |= bit
        if choice.finish_reason is not None:
            self._finished |= bit
        delta = choice.delta
        if delta is None:
            return
        content = delta.content
        if content is not None:
            self.text_chars += len(content) if type(content) is str else text_size(content)
        if delta.tool_calls or delta.reasoning_content or delta.reasoning or delta.refusal:
            self.text_chars += _other_size(delta)

    def _learn(self, chunk: Chunk) -> bool:
        """The chunks that are not plain text: usage, errors, and those without choices."""
        if chunk.error is not None or chunk.object == "error":
            self.failure = ProtocolError(_reported(chunk.error))
            return False
        if chunk.usage is None:
            return True
        self._usage = chunk.usage
        self._settled = self.begun == self._finished
        return bool(chunk.choices) or not self._hide_usage

    def _end(self) -> bool:
        if not self.begun or self.begun != self._finished:
            self.failure = ProtocolError("The provider ended the stream without a finish reason.")
            return False
        self.done = True
        return True


def text_size(value: Any) -> int:
    """Characters of a `content`: a string, or a list of parts with a `text`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(text_size(part.get("text")) for part in value if isinstance(part, dict))
    return 0


def _other_size(delta: Delta) -> int:
    # Two names for the same text: servers send one of them, some both.
    size = text_size(delta.refusal) + (text_size(delta.reasoning_content) or text_size(delta.reasoning))
    for call in delta.tool_calls or ():
        if call.function is not None:
            size += text_size(call.function.name) + text_size(call.function.arguments)
    return size


def _reported(error: Any) -> str:
    """An error event in our words: its message may quote anything, but a plain type or code is safe and helps."""
    if isinstance(error, dict):
        words = [error[key] for key in ("type", "code") if isinstance(error.get(key), str)]
        named = [word for word in words if _WORD.fullmatch(word)]
        if named:
            return f"The provider reported an error during the answer ({', '.join(named)})."
    return "The provider reported an error during the answer."
