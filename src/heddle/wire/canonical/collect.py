"""A streamed answer, put together to a whole one.

Owns the joining of pieces. It trusts the grammar of events, which decoders keep; what a stream without its end was,
nobody is told.

*Source:* `canonical.answer`, whose grammar this reads.
"""

import msgspec

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    Event,
    Failed,
    PartBegan,
    PartDelta,
    Used,
)
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall


class _Growing:
    """A part that is being said."""

    __slots__ = ("began", "redacted", "signature", "texts")

    def __init__(self, began: PartBegan) -> None:
        self.began = began
        self.texts: list[str] = []
        self.signature = self.redacted = ""

    def whole(self) -> Part:
        text, kind = "".join(self.texts), self.began.kind
        if kind == "tool_call":
            began = self.began
            return ToolCall(id=began.id, name=began.name, arguments=text or "{}", signature=self.signature)
        if kind == "thinking":
            return Thinking(text=text, signature=self.signature, redacted=self.redacted)
        return Refusal(text=text) if kind == "refusal" else Text(text=text)


class Collector:
    """One answer; takes its events in their order."""

    __slots__ = ("_choices", "_ended", "_id", "_logprobs", "_model", "_parts", "_usage", "failed")

    def __init__(self) -> None:
        self._id = self._model = ""
        self._parts: dict[int, dict[int, _Growing]] = {}
        self._choices: dict[int, ChoiceEnded] = {}
        self._logprobs: dict[int, list[str]] = {}
        self._usage: Usage | None = None
        self._ended = False
        self.failed = False
        """The stream said that it broke."""

    def take(self, event: Event) -> None:
        """One event."""
        if isinstance(event, PartDelta):
            self._more(event)
        elif isinstance(event, PartBegan):
            self._parts.setdefault(event.choice, {})[event.index] = _Growing(event)
        elif isinstance(event, ChoiceEnded):
            self._choices[event.choice] = event
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Began):
            self._id, self._model, self._usage = event.id, event.model, event.usage or self._usage
        elif isinstance(event, Ended):
            self._ended = True
        elif isinstance(event, Failed):
            self.failed = True

    def parts(self, choice: int) -> tuple[Part, ...]:
        """What a choice has said so far."""
        growing = self._parts.get(choice, {})
        return tuple([growing[index].whole() for index in sorted(growing)])

    def answer(self) -> ChatAnswer | None:
        """The whole answer; None unless the vendor's own end of it was seen."""
        if not self._ended or self.failed:
            return None
        choices = [self._choice(number) for number in sorted(self._choices.keys() | self._parts.keys())]
        return ChatAnswer(id=self._id, model=self._model, choices=tuple(choices), usage=self._usage)

    def _choice(self, number: int) -> Choice:
        ended = self._choices.get(number)
        return Choice(
            parts=self.parts(number),
            stop=ended.stop if ended is not None else "stop",
            stop_sequence=ended.stop_sequence if ended is not None else "",
            logprobs=_joined(self._logprobs.get(number, [])),
        )

    def _more(self, event: PartDelta) -> None:
        part = self._parts[event.choice][event.index]
        if event.text:
            part.texts.append(event.text)
        part.signature = event.signature or part.signature
        part.redacted = event.redacted or part.redacted
        if event.logprobs:
            self._logprobs.setdefault(event.choice, []).append(event.logprobs)


def _joined(lists: list[str]) -> str:
    """Several JSON lists as one."""
    if not lists:
        return ""
    tokens: list[msgspec.Raw] = []
    for text in lists:
        tokens += msgspec.json.decode(text, type=list[msgspec.Raw])
    return msgspec.json.encode(tokens).decode()
