"""Bedrock Converse at the door: requests in, answers and errors out.

Owns what of a request the gateway reads. The model and the wish to stream are in the path, so a body is forwarded as it
came, whatever the model's name becomes; only fields that policies need are checked, the rest is the provider's to
judge. Streams always end with their usage.

*Source:* Amazon Bedrock API Reference, "Converse", "ConverseStream" (request syntax, errors), as of 2026-11;
Smithy 2.0 "AWS restJson1 protocol", "Operation error serialization" (`x-amzn-errortype`).
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire import eventstream
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.names import BOUNDS, DIALECT, STREAM_TYPE, exception_in_stream, exception_of
from heddle.wire.llm.bedrock.reader import StreamReader
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_chat import check_model

__all__ = [
    "DIALECT",
    "STREAM_TYPE",
    "decode_request",
    "encode_error",
    "encode_error_event",
    "error_fields",
    "open_stream",
    "read_target",
    "read_usage",
    "rewrite",
]

MAX_TOKENS = 2**31 - 1
"""No model generates as much; larger numbers only overflow counters."""

_TARGET = re.compile(r"/model/([^/?#]+)/(converse|converse-stream)(?:\?|\Z)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PROMPT = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:prompt/")
_SPENT = frozenset(("budget_exceeded", "insufficient_quota"))


class _Message(msgspec.Struct, gc=False):
    role: str
    content: list[Any]


class _Inference(msgspec.Struct, gc=False):
    maxTokens: int | None = None  # noqa: N815


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    inferenceConfig: _Inference | None = None  # noqa: N815
    additionalModelRequestFields: Any = None  # noqa: N815


class _Answer(msgspec.Struct, gc=False):
    output: msgspec.Raw
    stopReason: str  # noqa: N815
    usage: bedrock_usage.WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_encode = msgspec.json.encode


def decode_request(body: bytes, target: str = "") -> ModelCall:
    """What policies need of a request. Raises ProtocolError, `malformed` when the body is not strict JSON."""
    model, stream = read_target(target)
    request = convert(parse_strict(body), _Request)
    if not request.messages and not _PROMPT.match(model):
        raise ProtocolError("messages: expected at least one message.", param="messages")
    return ModelCall(
        operation="chat",
        dialect=DIALECT,
        model=model,
        body=body,
        stream=stream,
        include_usage=stream,
        max_output_tokens=_output_bound(request),
    )


def read_target(target: str) -> tuple[str, bool]:
    """The model that a request target names, percent-decoded, and whether its answer is streamed.

    Raises ProtocolError when it is no operation of Converse or the name cannot be one.
    """
    found = _TARGET.match(target)
    if found is None:
        expected = "/model/{modelId}/converse or /model/{modelId}/converse-stream, with the id percent-encoded"
        raise ProtocolError(f"The path is no operation of Bedrock Converse: expected {expected}.", status=404)
    name = found[1]
    if _BAD_ESCAPE.search(name):
        raise ProtocolError("modelId: a percent sign does not begin an escape.", param="modelId")
    try:
        model = unquote_to_bytes(name).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ProtocolError("modelId: the name is not UTF-8.", param="modelId") from exc
    if model in (".", ".."):
        raise ProtocolError("modelId: expected the name of a model.", param="modelId")
    check_model(model)
    return model, found[2] == "converse-stream"


def _output_bound(request: _Request) -> int | None:
    """Tokens of the answer. A model's own name for the bound may stand beside Bedrock's: the larger one is safe."""
    config, extra = request.inferenceConfig, request.additionalModelRequestFields
    stated = config.maxTokens if config is not None else None
    if stated is not None and not 1 <= stated <= MAX_TOKENS:
        param = "inferenceConfig.maxTokens"
        raise ProtocolError(f"{param}: expected an integer from 1 to {MAX_TOKENS}.", param=param)
    named = list(extra.items()) if isinstance(extra, dict) else []
    named += [inner for _, value in named if isinstance(value, dict) for inner in value.items()]
    bounds = [stated, *[value for name, value in named if name in BOUNDS]]
    return max([bound for bound in bounds if type(bound) is int and 1 <= bound <= MAX_TOKENS], default=None)


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The body as it is: the model is in the path, and streams always tell their usage."""
    del model, include_usage
    return body


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its size when it does not say.

    Raises ProtocolError when `body` is no answer of Converse at all.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not one of Converse.", malformed=True) from exc
    reported = bedrock_usage.read(answer.usage) if answer.usage is not None else None
    if reported is not None:
        return reported
    size = len(bytes(answer.output))
    return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(size), estimated=True)


def open_stream(hide_usage: bool) -> StreamReader:
    """A reader for a streamed answer. Usage is part of what was asked for: it is never hidden."""
    del hide_usage
    return StreamReader()


def encode_error(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error body; which exception it is stands in `error_fields`."""
    del status, kind, code, param
    return _encode({"message": detail})


def error_fields(status: int, code: str) -> list[tuple[bytes, bytes]]:
    """The field by which SDKs choose the exception's class. What is spent is no throttling, which they would retry."""
    name = "ServiceQuotaExceededException" if code in _SPENT else exception_of(status)
    return [(b"x-amzn-errortype", name.encode())]


def encode_error_event(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An exception inside a stream: botocore raises it as EventStreamError."""
    headers = {
        ":exception-type": exception_in_stream(status),
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return eventstream.encode(headers, encode_error(status, kind, code, detail, param))
