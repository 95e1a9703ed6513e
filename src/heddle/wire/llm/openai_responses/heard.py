"""What responses say: their text, and what spans tell of them.

For the few calls that are recorded with bodies or traced; it reads what has been judged before and never fails: what
it cannot read it leaves out.

*Source:* OpenAI API reference, "The response object" and "Streaming events", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Heard
from heddle.wire.llm.openai_responses.reader import payload
from heddle.wire.sse import Splitter


class _Part(msgspec.Struct, gc=False):
    text: Any = None
    refusal: Any = None


class _Item(msgspec.Struct, gc=False):
    content: list[_Part] | None = None


class _Reason(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Reason | None = None
    output: list[_Item] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    response: _Response | None = None


_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TEXT = ("response.output_text.delta", "response.refusal.delta")
_ENDED = ("completed", "incomplete", "failed")


def read_answer(body: bytes) -> Heard:
    """A whole answer."""
    try:
        response = _RESPONSE.decode(body)
    except _BROKEN:
        return Heard()
    parts = [part for item in response.output or () for part in item.content or ()]
    said = [text for part in parts for text in (part.text, part.refusal) if isinstance(text, str)]
    return _heard(response, "".join(said))


def read_events(data: bytes) -> list[Heard]:
    """Each event in some whole events of a stream."""
    return [_event(text) for event in Splitter().feed(data) if (text := payload(event)).startswith(b"{")]


def _event(text: bytes) -> Heard:
    try:
        event = _EVENT.decode(text)
    except _BROKEN:
        return Heard()
    if event.response is not None:
        return _heard(event.response, "")
    return Heard(text=event.delta if event.type in _TEXT and isinstance(event.delta, str) else "")


def _heard(response: _Response, text: str) -> Heard:
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    ended = response.status in _ENDED
    reasons = (reason or response.status or "",) if ended else ()
    return Heard(model=response.model or "", id=response.id or "", finish_reasons=reasons, text=text)
