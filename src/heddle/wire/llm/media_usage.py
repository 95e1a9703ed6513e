"""What calls about sound, pictures, moderation and ranking used, as their answers and streams say it.

Owns the reading of their `usage`, in the forms that vendors have for it, and of the events that carry it. Counts that
cannot be are taken as absent. Sound is counted in tokens or in seconds; what nobody says is estimated and marked so.

*Source:* OpenAI API reference, "Create transcription", "Create image", "Create speech", "Image stream events" and
"Transcript text done"; Mistral API reference, "Audio transcription" (`prompt_audio_seconds`); Cohere API reference,
"Rerank" (`meta`); Jina and vLLM for `usage.total_tokens` of rankings; 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Units, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.sse import Splitter, payload

MAX_EVENT_BYTES = 48 * 1024 * 1024
"""A finished picture is one event."""
MAX_SECONDS = 7 * 86_400.0

_ENDS = (".done", ".completed")


class _Details(msgspec.Struct, gc=False):
    audio_tokens: Any = None
    image_tokens: Any = None


class _Usage(msgspec.Struct, gc=False):
    """`usage` in all of its forms; `Any`, because a count that is none must not hide the others."""

    input_tokens: Any = None
    prompt_tokens: Any = None
    output_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    seconds: Any = None
    prompt_audio_seconds: Any = None
    input_token_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Meta(msgspec.Struct, gc=False):
    tokens: _Usage | None = None


class _Delta(msgspec.Struct, gc=False):
    content: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None


class _Said(msgspec.Struct, gc=False):
    """An answer or an event."""

    type: Any = None
    usage: _Usage | None = None
    meta: _Meta | None = None
    duration: Any = None
    text: Any = None
    delta: Any = None
    error: Any = None
    choices: list[_Choice] | None = None
    """Of vLLM's streams."""


_decode = msgspec.json.Decoder(_Said).decode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Of a whole answer. `input_bytes`: of text that went in, for an estimate. Raises ProtocolError for no object."""
    try:
        said = _decode(body)
    except _BROKEN as exc:
        raise ProtocolError("The answer is not one of this kind.", malformed=True) from exc
    return _usage(said) or Usage(
        input_tokens=estimate_tokens(input_bytes), output_tokens=_size(said.text), estimated=True
    )


def read_text(body: bytes) -> Usage:
    """Of an answer that is plain text, as subtitles are: only its length is known."""
    return Usage(output_tokens=estimate_tokens(len(body)), estimated=True)


class EventReader:
    """Reads events of pictures, sound or transcripts on their way; see `codec.Stream` for the contract."""

    __slots__ = ("_ended", "_splitter", "_usage", "done", "events", "failure", "text_chars")

    def __init__(self) -> None:
        self._splitter = Splitter(MAX_EVENT_BYTES)
        self._usage: Usage | None = None
        self._ended = False
        self.text_chars = 0
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now. Stops at the first that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        try:
            events = self._splitter.feed(data)
        except ProtocolError as exc:
            self.failure = exc
            return b""
        return b"".join([event for event in events if self._take(event)])

    def finish(self) -> None:
        """The bytes have ended; there may be several pictures, so that the last event is known only now."""
        if self.failure is None and not self.done:
            self.done = self._ended
            if not self._ended:
                self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; an estimate when there are none."""
        if self._usage is not None:
            return self._usage
        made = max(estimate_tokens(self.text_chars), min(self.events, 1))
        return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=made, estimated=True)

    def _take(self, event: bytes) -> bool:
        if self.done or self.failure is not None:
            return False
        text = payload(event)
        if not text:
            return True
        if text == b"[DONE]":
            self.done = True
            return True
        self.events += 1
        try:
            said = _decode(text)
        except _BROKEN:
            self.failure = ProtocolError("The provider sent an event that is not JSON.", malformed=True)
            return False
        if said.error is not None or said.type == "error":
            self.failure = ProtocolError("The provider reported an error inside the stream.")
            return False
        self._learn(said)
        return True

    def _learn(self, said: _Said) -> None:
        self._ended = self._ended or (isinstance(said.type, str) and said.type.endswith(_ENDS))
        said_here = _usage(said)
        if said_here is not None:
            self._usage = said_here if self._usage is None else _sum(self._usage, said_here)
        for piece in (said.delta, *[one.delta.content for one in said.choices or () if one.delta is not None]):
            if isinstance(piece, str):
                self.text_chars += len(piece)


def _usage(said: _Said) -> Usage | None:
    wire = said.usage or (said.meta.tokens if said.meta is not None else None) or _Usage()
    seconds = _seconds(wire.seconds) or _seconds(wire.prompt_audio_seconds) or _seconds(said.duration)
    taken, made = _count(wire.input_tokens, wire.prompt_tokens), _count(wire.output_tokens, wire.completion_tokens)
    if taken is None and made is None:
        taken = _count(wire.total_tokens)
    if taken is None and made is None:
        return Usage(units=Units(audio_s=seconds), output_tokens=_size(said.text)) if seconds else None
    taken, made = taken or 0, made or 0
    inside = wire.input_tokens_details or wire.input_token_details or _Details()
    outside = wire.output_tokens_details
    units = Units(
        audio_s=seconds,
        input_image_tokens=min(taken, _count(inside.image_tokens) or 0),
        input_audio_tokens=min(taken, _count(inside.audio_tokens) or 0),
        output_image_tokens=_pictures(made, outside, said),
        output_audio_tokens=made if said.type == "speech.audio.done" else 0,
    )
    return Usage(input_tokens=taken, output_tokens=made, units=units if units != Units() else None)


def _pictures(made: int, outside: _Details | None, said: _Said) -> int:
    """Tokens of pictures among those that were made; a finished one is nothing else."""
    if outside is not None:
        return min(made, _count(outside.image_tokens) or 0)
    return made if isinstance(said.type, str) and said.type.startswith("image_") else 0


def _sum(one: Usage, other: Usage) -> Usage:
    """Of two pictures in one stream."""
    first, second = one.units or Units(), other.units or Units()
    units = Units(**{name: getattr(first, name) + getattr(second, name) for name in Units.__struct_fields__})
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        units=units if units != Units() else None,
    )


def _count(*values: Any) -> int | None:
    """The first that is a count."""
    for value in values:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value == int(value) < 2**53:
            return int(value)
    return None


def _seconds(value: Any) -> float:
    """Seconds as a number, or in a string as Whisper's verbose form has them; 0 for anything else."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 < seconds <= MAX_SECONDS else 0.0


def _size(text: Any) -> int:
    return estimate_tokens(len(text)) if isinstance(text, str) else 0
