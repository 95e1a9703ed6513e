"""What messages say: their text, and what spans tell of them.

For the few calls that are recorded with bodies or traced; it reads what has been judged before and never fails: what
it cannot read it leaves out.

*Source:* Anthropic API reference, "Messages" and "Streaming Messages", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Heard
from heddle.wire.llm.anthropic.passing import split
from heddle.wire.sse import Splitter


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: Any = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None


class _Delta(msgspec.Struct, gc=False):
    text: Any = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    message: _Message | None = None
    delta: _Delta | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_answer(body: bytes) -> Heard:
    """A whole answer."""
    try:
        return _heard(_MESSAGE.decode(body))
    except _BROKEN:
        return Heard()


def read_events(data: bytes) -> list[Heard]:
    """Each event in some whole events of a stream."""
    return [_event(text) for event in Splitter().feed(data) if (text := split(event)[1]).startswith(b"{")]


def _event(text: bytes) -> Heard:
    try:
        event = _EVENT.decode(text)
    except _BROKEN:
        return Heard()
    if event.message is not None:
        return _heard(event.message)
    if event.delta is None:
        return Heard()
    reason, said = event.delta.stop_reason, event.delta.text
    return Heard(finish_reasons=(reason,) if reason else (), text=said if isinstance(said, str) else "")


def _heard(message: _Message) -> Heard:
    said = [block.text for block in message.content or () if block.type == "text" and isinstance(block.text, str)]
    return Heard(
        model=message.model or "",
        id=message.id or "",
        finish_reasons=(message.stop_reason,) if message.stop_reason else (),
        text="".join(said),
    )
