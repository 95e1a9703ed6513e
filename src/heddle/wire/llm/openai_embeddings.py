"""OpenAI embeddings: requests in, usage out. Vectors pass through untouched, as numbers or as base64.

Owns the outline of the request: a model, and an input of one of the four documented forms.

*Source:* OpenAI API reference, "Create embeddings", as of 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import openai_usage
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_chat import (
    STREAM_TYPE,
    check_model,
    encode_error,
    encode_error_event,
    error_fields,
    rewrite_model,
)
from heddle.wire.llm.openai_stream import StreamReader

DIALECT = "openai_embeddings"
FORMATS = ("float", "base64")

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


class _Request(msgspec.Struct, gc=False):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str | None = None
    dimensions: int | None = None


class _Answer(msgspec.Struct, gc=False):
    data: msgspec.Raw
    usage: openai_usage.WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of an embeddings request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), _Request)
    check_model(request.model)
    if not request.input:
        raise ProtocolError("input: expected a non-empty string or array.", param="input")
    if request.encoding_format not in (None, *FORMATS):
        raise ProtocolError("encoding_format: expected float or base64.", param="encoding_format")
    if request.dimensions is not None and request.dimensions < 1:
        raise ProtocolError("dimensions: expected a positive integer.", param="dimensions")
    return ModelCall(
        operation="embeddings", dialect=DIALECT, model=request.model, body=body, max_output_tokens=0, choices=1
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The body with another model name; answers always carry usage, so `include_usage` changes nothing."""
    del include_usage
    return rewrite_model(body, model)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of an answer, estimated from the request's size when it does not say.

    Raises ProtocolError when `body` is not a list of embeddings.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a list of embeddings.", malformed=True) from exc
    usage = openai_usage.read(answer.usage) if answer.usage is not None else None
    return usage or Usage(input_tokens=estimate_tokens(input_bytes), estimated=True)


def open_stream(hide_usage: bool) -> StreamReader:
    """Embeddings do not stream. Raises ProtocolError."""
    del hide_usage
    raise ProtocolError("Embeddings are not streamed.")
