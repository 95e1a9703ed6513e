"""A streamed OpenAI chat completion, chunk by chunk into canonical events.

Owns the bracketing that the format lacks: a part begins with its first piece and ends when another kind of text or the
choice's end comes; tool calls stay open until then, as their pieces may interleave. Servers that number their calls
badly or not at all are understood by ids and names. A stream is complete when every choice that began has a
finish reason and `[DONE]` was seen; everything else ends in `Failed`.

*Source:* OpenAI API reference, "The chat completion chunk object" and "Streaming", as of 2026-11.
"""

from typing import Any, Literal

import msgspec

from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Event,
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_usage
from heddle.wire.llm.openai_chat_reader import (
    Call,
    Said,
    WireChoice,
    made_id,
    read_arguments,
    read_content,
    read_logprobs,
    read_stop,
)
from heddle.wire.sse import Splitter, payload

MAX_CHOICES = 128
MAX_PARTS = 1_024
"""Of one choice: no answer has as many, and each is remembered."""

_DONE = b"[DONE]"
_CUT_OFF = "The provider ended the stream before the answer was complete."
_RETRYABLE = (429, 500, 502, 503, 529)
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "server_error": 500,
    "overloaded_error": 503,
    "server_overloaded": 503,
}


class _Chunk(msgspec.Struct, gc=False):
    choices: list[WireChoice] | None = None
    id: str | None = None
    model: str | None = None
    usage: openai_usage.WireUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class _Tool:
    """A tool call that has begun."""

    __slots__ = ("held", "id", "index", "key", "name")

    def __init__(self, key: int | None) -> None:
        self.key = key
        self.id = ""
        self.name = ""
        self.index = -1
        """Of its part; -1 until its name is known."""
        self.held = ""
        """Arguments that came before the name."""


class _Choice:
    """One choice of the stream: which parts are open."""

    __slots__ = ("ended", "made", "next", "number", "open", "open_kind", "refused", "tools")

    def __init__(self, number: int, ident: str) -> None:
        self.number = number
        self.made = made_id(ident, number)
        self.next = 0
        self.open = -1
        """Part of text, thinking or refusal that is open; -1 is none."""
        self.open_kind = ""
        self.tools: list[_Tool] = []
        self.refused = False
        self.ended = False

    def read(self, wire: WireChoice, events: list[Event]) -> None:
        """Append the events of one chunk. Raises ProtocolError; what was appended before it holds."""
        if wire.delta is not None:
            self._read_said(wire.delta, wire.logprobs, events)
        if wire.finish_reason and not self.ended:
            self._end(wire, events)

    def _read_said(self, said: Said, logprobs: msgspec.Raw, events: list[Event]) -> None:
        thinking, text = read_content(said)
        if self.ended and (thinking or text or said.refusal or said.tool_calls):
            raise ProtocolError("The provider went on with an answer that it had ended.")
        if thinking:
            self._piece("thinking", thinking, events)
        if text:
            self._piece("text", text, events, read_logprobs(logprobs))
        if said.refusal:
            self.refused = True
            self._piece("refusal", said.refusal, events)
        for call in said.tool_calls or ():
            self._call(call, events)
        if said.function_call is not None:
            self._call(Call(function=said.function_call), events)

    def _piece(
        self, kind: Literal["text", "thinking", "refusal"], text: str, events: list[Event], logprobs: str = ""
    ) -> None:
        if self.open_kind != kind:
            self._close(events)
            self.open, self.open_kind = self._take(), kind
            events.append(PartBegan(choice=self.number, index=self.open, kind=kind))
        events.append(PartDelta(choice=self.number, index=self.open, text=text, logprobs=logprobs))

    def _take(self) -> int:
        index = self.next
        if index >= MAX_PARTS:
            raise ProtocolError("The provider's answer has too many parts.")
        self.next += 1
        return index

    def _close(self, events: list[Event]) -> None:
        if self.open_kind:
            events.append(PartEnded(choice=self.number, index=self.open))
            self.open, self.open_kind = -1, ""

    def _call(self, call: Call, events: list[Event]) -> None:
        name = (call.function.name if call.function is not None else None) or ""
        tool = self._find(call, name)
        tool.held += read_arguments(call.function.arguments) if call.function is not None else ""
        if tool.index < 0:
            tool.id = tool.id or call.id or ""
            if not name:
                return
            self._close(events)
            tool.name, tool.index = name, self._take()
            tool.id = tool.id or f"{self.made}_{tool.index}"
            events.append(PartBegan(choice=self.number, index=tool.index, kind="tool_call", id=tool.id, name=name))
        if tool.held:
            held, tool.held = tool.held, ""
            events.append(PartDelta(choice=self.number, index=tool.index, text=held))

    def _find(self, call: Call, name: str) -> _Tool:
        """The call that a piece belongs to, which may be a new one.

        Without an index, a piece that names a function or has another id begins a call. So it does with an index
        that was used before, if it has both another id and a name: some servers number every call 0.
        """
        known = [tool for tool in self.tools if call.index is None or tool.key == call.index]
        if call.id:
            for tool in known:
                if tool.id == call.id:
                    return tool
        last = known[-1] if known else None
        if last is not None:
            another = bool(call.id and last.id)
            begins = another and bool(name) if call.index is not None else another or bool(name and last.name)
            if not begins:
                return last
        if len(self.tools) >= MAX_PARTS:
            raise ProtocolError("The provider's answer has too many parts.")
        self.tools.append(_Tool(call.index))
        return self.tools[-1]

    def _end(self, wire: WireChoice, events: list[Event]) -> None:
        stop, sequence = read_stop(wire, calls=bool(self.tools), refused=self.refused)
        if any(tool.index < 0 for tool in self.tools):
            raise ProtocolError("The provider sent a tool call without a name.")
        self.ended = True
        self._close(events)
        events += [PartEnded(choice=self.number, index=tool.index) for tool in self.tools]
        events.append(ChoiceEnded(choice=self.number, stop=stop, stop_sequence=sequence))


class DeltaDecoder:
    """One streamed answer; see `codec.Decoder`."""

    __slots__ = ("_choices", "_over", "_splitter", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._choices: dict[int, _Choice] = {}
        self._usage: openai_usage.WireUsage | None = None
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        events: list[Event] = []
        if self._over:
            return events
        try:
            # One after the other: what came whole before the bytes that break the stream is said.
            for event in self._splitter.feed(data):
                if not self._take(payload(event), events):
                    break
        except ProtocolError as exc:
            self._fail(events, Failed(detail=exc.detail))
        return events

    def finish(self) -> list[Event]:
        """`Failed` unless the stream was complete."""
        events: list[Event] = []
        if not self._over:
            self._fail(events, Failed(detail=_CUT_OFF, retryable=True))
        return events

    def _take(self, text: bytes, events: list[Event]) -> bool:
        """Append the events of one chunk; whether more may follow."""
        if not text:
            return True
        if text == _DONE:
            self._end(events)
            return False
        try:
            chunk = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ProtocolError("The provider sent an event that is no chunk of a chat completion.") from exc
        if chunk.error is not None:
            self._fail(events, _reported(chunk.error))
            return False
        if chunk.usage is not None:
            # Some servers send it with every chunk: the last one holds.
            self._usage = chunk.usage
        for wire in chunk.choices or ():
            choice = self._choices.get(wire.index) or self._begin(wire.index, chunk, events)
            choice.read(wire, events)
        return True

    def _begin(self, number: int, chunk: _Chunk, events: list[Event]) -> _Choice:
        if not 0 <= number < MAX_CHOICES:
            raise ProtocolError("The provider sent a choice with an impossible index.")
        ident = chunk.id or ""
        if not self._choices:
            events.append(Began(id=ident, model=chunk.model or ""))
        choice = self._choices[number] = _Choice(number, ident)
        return choice

    def _end(self, events: list[Event]) -> None:
        if not self._choices or not all(choice.ended for choice in self._choices.values()):
            raise ProtocolError("The provider ended the stream without a finish reason.")
        self._say_usage(events, estimated=False)
        self._over = True
        events.append(Ended())

    def _fail(self, events: list[Event], failed: Failed) -> None:
        self._say_usage(events, estimated=True)
        self._over = True
        events.append(failed)

    def _say_usage(self, events: list[Event], estimated: bool) -> None:
        usage = openai_usage.read(self._usage, estimated=estimated) if self._usage is not None else None
        if usage is not None:
            events.append(Used(usage=usage))


def open_decoder() -> DeltaDecoder:
    """A reader for a streamed answer; see `codec.Vendor`."""
    return DeltaDecoder()


def _reported(error: Any) -> Failed:
    """An error event in our words. Its message may quote anything; a known code is safe and says what to do."""
    words: list[Any] = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    # OpenRouter puts the status into `code`.
    statuses = [word for word in words if isinstance(word, int) and 400 <= word <= 599]
    statuses += [_STATUSES[word] for word in words if isinstance(word, str) and word in _STATUSES]
    named = [word for word in words if isinstance(word, str) and word in _STATUSES]
    detail = "The provider reported an error during the answer"
    status = statuses[0] if statuses else 502
    return Failed(
        detail=f"{detail} ({', '.join(named)})." if named else f"{detail}.",
        status=502 if status in (401, 402, 403) else status,
        retryable=status in _RETRYABLE and "insufficient_quota" not in words,
    )
