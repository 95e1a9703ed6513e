"""What Gemini's answers say: their text, and what spans tell of them.

For the few calls that are recorded with bodies or traced; it reads what has been judged before and never fails: what
it cannot read it leaves out.

*Source:* Gemini API reference, "GenerateContentResponse", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Heard
from heddle.wire.sse import Splitter, payload


class _Part(msgspec.Struct, gc=False):
    text: Any = None
    thought: Any = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    response_id: str | None = None
    model_version: str | None = None
    candidates: list[_Candidate] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Heard:
    """A whole answer, or one chunk of a stream."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Heard()
    candidates = answer.candidates or []
    parts = [part for one in candidates if one.content is not None for part in one.content.parts or ()]
    return Heard(
        model=answer.model_version or "",
        id=answer.response_id or "",
        finish_reasons=tuple([one.finish_reason for one in candidates if one.finish_reason]),
        text="".join([part.text for part in parts if isinstance(part.text, str) and not part.thought]),
    )


def read_events(data: bytes) -> list[Heard]:
    """Each chunk in some whole events of a stream."""
    return [read_answer(text) for event in Splitter().feed(data) if (text := payload(event)).startswith(b"{")]
