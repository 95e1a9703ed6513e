"""What OpenAI's answers say: their text, and what spans tell of them.

For the few calls that are recorded with bodies or traced; it reads what has been judged before and never fails: what
it cannot read it leaves out.
*Source:* OpenAI API reference, "The chat completion object", "The chat completion chunk object" and "The completion
object", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Heard
from heddle.wire.sse import Splitter, payload


class _Said(msgspec.Struct, gc=False):
    """A `message` or a `delta`."""

    content: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct, gc=False):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    text: Any = None
    """Of the older completions."""


class _Answer(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Heard:
    """A whole answer, or one chunk of a stream."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Heard()
    choices = answer.choices or []
    said = [choice.delta or choice.message for choice in choices]
    return Heard(
        model=answer.model or "",
        id=answer.id or "",
        finish_reasons=tuple([choice.finish_reason for choice in choices if choice.finish_reason]),
        text="".join([_text(one.content) or _text(one.refusal) for one in said if one is not None])
        + "".join([_text(choice.text) for choice in choices]),
    )


def read_events(data: bytes) -> list[Heard]:
    """Each chunk in some whole events of a stream."""
    return [read_answer(text) for event in Splitter().feed(data) if (text := payload(event)).startswith(b"{")]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join([_text(part.get("text")) for part in content if isinstance(part, dict)])
    return ""
