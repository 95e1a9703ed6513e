"""OpenAI responses at the door: requests in, answers and errors out.

Owns what of a request the gateway reads and what it may change: the model, streaming, the bound on output and the
outline of the input. Everything else passes as the same bytes and is the provider's to judge, its state included.

*Source:* OpenAI API reference, "Create a model response", "Streaming events" (`error`) and "Error codes", 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import openai_chat
from heddle.wire.llm.openai_chat import MAX_TOKENS, ONE_MODEL, check_model, rewrite_model
from heddle.wire.llm.openai_responses import usage as wire_usage
from heddle.wire.llm.openai_responses.reader import StreamReader

DIALECT = "openai_responses"
STREAM_TYPE = b"text/event-stream; charset=utf-8"

encode_error = openai_chat.encode_error
"""Error bodies are those of chat."""


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: str
    input: str | list[_Item] | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    models: Any = None


class _Content(msgspec.Struct, gc=False):
    text: Any = None
    refusal: Any = None


class _Output(msgspec.Struct, gc=False):
    content: list[_Content] | None = None
    summary: list[_Content] | None = None
    arguments: Any = None
    input: Any = None


class _Answer(msgspec.Struct, gc=False):
    output: msgspec.Raw
    usage: wire_usage.WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_OUTPUT = msgspec.json.Decoder(list[_Output])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode = msgspec.json.encode


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), _Request)
    check_model(request.model)
    if request.models is not None:
        raise ProtocolError(ONE_MODEL, param="models")
    if not request.input and not (request.previous_response_id or request.conversation or request.prompt):
        raise ProtocolError("input: expected a text or at least one item.", param="input")
    bound = request.max_output_tokens
    if bound is not None and not 1 <= bound <= MAX_TOKENS:
        detail = f"max_output_tokens: expected an integer from 1 to {MAX_TOKENS}."
        raise ProtocolError(detail, param="max_output_tokens")
    return ModelCall(
        operation="chat",
        dialect=DIALECT,
        model=request.model,
        body=body,
        stream=bool(request.stream),
        # The terminal event always has it: there is nothing to ask for, and nothing to hide.
        include_usage=True,
        max_output_tokens=bound,
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:  # noqa: ARG001
    """`body` with another model name. Usage comes unasked, and Azure refuses to be asked for it."""
    return rewrite_model(body, model)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its text when it does not say.

    Raises ProtocolError when `body` is not a response at all.
    """
    try:
        answer = _ANSWER.decode(body)
    except _BROKEN as exc:
        raise ProtocolError("The answer is not a response object.", malformed=True) from exc
    return wire_usage.read(answer.usage) or wire_usage.estimate(input_bytes, _text_chars(answer.output))


def _text_chars(output: msgspec.Raw) -> int:
    try:
        items = _OUTPUT.decode(output)
    except _BROKEN:
        return len(bytes(output))
    said = [(part.text, part.refusal) for item in items for part in (*(item.content or ()), *(item.summary or ()))]
    said += [(item.arguments, item.input) for item in items]
    return sum(len(text) for pair in said for text in pair if isinstance(text, str))


def open_stream(hide_usage: bool) -> StreamReader:  # noqa: ARG001
    """A reader for a streamed answer. Usage is part of the terminal event and is never hidden."""
    return StreamReader()


def error_fields(status: int, code: str) -> list[tuple[bytes, bytes]]:  # noqa: ARG001
    """None: the body says it all."""
    return []


def encode_error_event(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error inside a stream. The fields stand flat, as the reference has them, and in `error`, as the API sends
    them and as OpenAI's SDKs need them to raise APIError. Its place in the sequence is not known here."""
    del status
    said = {"type": kind, "code": code, "message": detail, "param": param}
    event = {"type": "error", "sequence_number": 0, "code": code, "message": detail, "param": param, "error": said}
    return b"event: error\ndata: %b\n\n" % _encode(event)
