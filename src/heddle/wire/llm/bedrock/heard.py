"""What answers of Converse say: their text, and what spans tell of them. They name neither a model nor an id.

For the few calls that are recorded with bodies or traced; it reads what has been judged before and never fails: what
it cannot read it leaves out.

*Source:* Amazon Bedrock API Reference, "Converse" and "ConverseStreamOutput", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import Heard
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import Splitter, decode


class _Block(msgspec.Struct, gc=False):
    text: Any = None


class _Message(msgspec.Struct, gc=False):
    content: list[_Block] | None = None


class _Output(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Answer(msgspec.Struct, gc=False):
    """A whole answer, or an event: `delta` and `stopReason` are of two of them."""

    output: _Output | None = None
    delta: _Block | None = None
    stopReason: str | None = None  # noqa: N815


_decode = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Heard:
    """A whole answer, or the payload of one event."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Heard()
    message = answer.output.message if answer.output is not None else None
    blocks = list((message.content if message is not None else None) or ())
    if answer.delta is not None:
        blocks.append(answer.delta)
    return Heard(
        finish_reasons=(answer.stopReason,) if answer.stopReason else (),
        text="".join([block.text for block in blocks if isinstance(block.text, str)]),
    )


def read_events(data: bytes) -> list[Heard]:
    """Each frame of some whole frames of a stream. Raises ProtocolError for what is none."""
    splitter = Splitter()
    heard = [read_answer(decode(frame).payload) for frame in splitter.feed(data)]
    if splitter.failure is not None:
        raise ProtocolError(splitter.failure.detail)
    return heard
