"""Anthropic messages at the door: requests in, answers and errors out.

Owns what of a request the gateway reads and what it may change. Only fields that policies need are checked (model,
streaming, the bound on output, the outline of messages); everything else passes through as the same bytes and is the
provider's to judge. Streams always carry usage: nothing is asked for and nothing hidden.

*Source:* Anthropic API reference, "Create a message" and "Errors", as of 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm.anthropic.errors import encode_error, encode_error_event, error_fields
from heddle.wire.llm.anthropic.passing import StreamReader
from heddle.wire.llm.anthropic.usage import WireUsage, read
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_chat import check_model, rewrite_model

DIALECT = "anthropic_messages"
STREAM_TYPE = b"text/event-stream; charset=utf-8"
MAX_TOKENS = 2**31 - 1
"""No model generates as much; larger numbers only overflow counters."""

__all__ = [
    "DIALECT",
    "STREAM_TYPE",
    "decode_request",
    "encode_error",
    "encode_error_event",
    "error_fields",
    "open_stream",
    "read_usage",
    "rewrite",
]


class Message(msgspec.Struct, gc=False):
    """The outline of one message."""

    role: str


class _Request(msgspec.Struct, gc=False):
    model: str
    messages: list[Message]
    max_tokens: int
    stream: bool | None = None


class _Block(msgspec.Struct, gc=False):
    text: str = ""
    thinking: str = ""
    input: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct, gc=False):
    content: msgspec.Raw
    usage: WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_CONTENT = msgspec.json.Decoder(list[_Block])
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), _Request)
    check_model(request.model)
    if not request.messages:
        raise ProtocolError("messages: expected at least one message.", param="messages")
    # 0 is meant: it fills the prompt cache and generates nothing.
    if not 0 <= request.max_tokens <= MAX_TOKENS:
        raise ProtocolError(f"max_tokens: expected an integer from 0 to {MAX_TOKENS}.", param="max_tokens")
    return ModelCall(
        operation="chat",
        dialect=DIALECT,
        model=request.model,
        body=body,
        stream=bool(request.stream),
        include_usage=bool(request.stream),
        max_output_tokens=request.max_tokens,
        choices=1,
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """`body` with another model name; answers always carry usage, so `include_usage` changes nothing."""
    del include_usage
    return rewrite_model(body, model)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its text when it does not say.

    Raises ProtocolError when `body` is not a message at all.
    """
    try:
        answer = _ANSWER.decode(body)
    except _DECODE_ERRORS as exc:
        raise ProtocolError("The answer is not a message.", malformed=True) from exc
    usage = read(answer.usage) if answer.usage is not None else None
    if usage is not None:
        return usage
    made = estimate_tokens(_size(answer))
    return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=made, estimated=True)


def _size(answer: _Answer) -> int:
    try:
        blocks = _CONTENT.decode(answer.content)
    except _DECODE_ERRORS:
        return len(bytes(answer.content))
    return sum(len(block.text) + len(block.thinking) + len(bytes(block.input)) for block in blocks)


def open_stream(hide_usage: bool) -> StreamReader:  # noqa: ARG001
    """A reader for a streamed answer. Usage is part of the format's own events and cannot be hidden."""
    return StreamReader()
