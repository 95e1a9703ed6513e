"""Answers in canonical form, whole and as the events a decoder would yield, for the tests beside."""

import json

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    Event,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.openai_responses import codec

CREATED = 1_790_000_000
USAGE = Usage(input_tokens=11, output_tokens=7, cached_input_tokens=4, cache_write_tokens=2, reasoning_tokens=3)
LOGPROBS = '[{"token":"Hi","bytes":[72,105],"logprob":-0.5,"top_logprobs":[]}]'
THOUGHT = Thinking(text="Let me see.", signature="anthropic.c2ln")
CALL = ToolCall(id="call_1", name="look", arguments='{"at": "loom"}')
OTHER_CALL = ToolCall(id="call_2", name="look", arguments='{"at": "weft"}', signature="gemini.cHJvb2Y=")


def request(**fields: object) -> bytes:
    return json.dumps({"model": "m", "input": "hi", **fields}).encode()


def call(**fields: object) -> ModelCall:
    return codec.decode_request(request(**fields))


def answer(*parts: Part, stop: str = "stop", usage: Usage | None = USAGE, logprobs: str = "") -> ChatAnswer:
    choice = Choice(parts=parts, stop=stop, logprobs=logprobs)  # type: ignore[arg-type]
    return ChatAnswer(id="msg_01AB", model="claude", choices=(choice,), usage=usage)


def events(whole: ChatAnswer, size: int = 3, parallel: bool = False) -> list[Event]:
    """`whole` in pieces of `size`; with `parallel`, its parts take turns."""
    (choice,) = whole.choices
    began, told = [], []
    logprobs = choice.logprobs
    for index, part in enumerate(choice.parts):
        began.append(_began(index, part))
        told.append([*_deltas(index, part, size), PartEnded(index=index)])
        if isinstance(part, Text) and logprobs:
            told[-1][0] = PartDelta(index=index, text=told[-1][0].text, logprobs=logprobs)
            logprobs = ""
    said: list[Event] = [Began(id=whole.id, model=whole.model)]
    if parallel:
        said += began
        while any(told):
            said += [one.pop(0) for one in told if one]
    else:
        for first, rest in zip(began, told, strict=True):
            said += [first, *rest]
    said.append(ChoiceEnded(stop=choice.stop))
    if whole.usage is not None:
        said.append(Used(usage=whole.usage))
    return [*said, Ended()]


def _began(index: int, part: Part) -> PartBegan:
    if isinstance(part, ToolCall):
        return PartBegan(index=index, kind="tool_call", id=part.id, name=part.name)
    kinds = {Text: "text", Thinking: "thinking", Refusal: "refusal"}
    return PartBegan(index=index, kind=kinds[type(part)])  # type: ignore[arg-type, index]


def _deltas(index: int, part: Part, size: int) -> list[PartDelta]:
    text = part.arguments if isinstance(part, ToolCall) else part.text  # type: ignore[union-attr]
    said = [PartDelta(index=index, text=text[i : i + size]) for i in range(0, len(text), size)]
    if getattr(part, "signature", ""):
        said.append(PartDelta(index=index, signature=part.signature))  # type: ignore[union-attr]
    if getattr(part, "redacted", ""):
        said.append(PartDelta(index=index, redacted=part.redacted))  # type: ignore[union-attr]
    return said
