"""A whole answer, said again as a stream.

Owns the cutting into pieces: small ones, as a model would have said it, in the grammar of events.

*Source:* `canonical.answer`, whose grammar this follows.
"""

from collections.abc import Iterator

from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    ChoiceEnded,
    Ended,
    Event,
    Kind,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall

PIECE_CHARS = 48


def events(answer: ChatAnswer) -> Iterator[Event]:
    """The events of `answer`, `Ended` included. Its parts are those that an answer can have."""
    yield Began(id=answer.id, model=answer.model)
    for number, choice in enumerate(answer.choices):
        logprobs = choice.logprobs
        for index, part in enumerate(choice.parts):
            yield from _part(number, index, part, logprobs)
            if isinstance(part, (Text, Refusal)):
                logprobs = ""
        yield ChoiceEnded(choice=number, stop=choice.stop, stop_sequence=choice.stop_sequence)
    if answer.usage is not None:
        yield Used(usage=answer.usage)
    yield Ended()


def _part(choice: int, index: int, part: Part, logprobs: str) -> Iterator[Event]:
    if isinstance(part, ToolCall):
        yield PartBegan(choice=choice, index=index, kind="tool_call", id=part.id, name=part.name)
        yield from _pieces(choice, index, part.arguments, "")
        if part.signature:
            yield PartDelta(choice=choice, index=index, signature=part.signature)
    elif isinstance(part, Thinking):
        yield PartBegan(choice=choice, index=index, kind="thinking")
        yield from _pieces(choice, index, part.text, "")
        if part.signature or part.redacted:
            yield PartDelta(choice=choice, index=index, signature=part.signature, redacted=part.redacted)
    elif isinstance(part, (Text, Refusal)):
        kind: Kind = "text" if isinstance(part, Text) else "refusal"
        yield PartBegan(choice=choice, index=index, kind=kind)
        yield from _pieces(choice, index, part.text, logprobs)
    else:
        return
    yield PartEnded(choice=choice, index=index)


def _pieces(choice: int, index: int, text: str, logprobs: str) -> Iterator[PartDelta]:
    """The first piece has the log probabilities of all: where one token ends and the next begins is not known here."""
    for at in range(0, max(len(text), 1 if logprobs else 0), PIECE_CHARS):
        piece = text[at : at + PIECE_CHARS]
        yield PartDelta(choice=choice, index=index, text=piece, logprobs="" if at else logprobs)
