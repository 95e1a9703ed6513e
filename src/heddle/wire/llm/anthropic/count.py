"""Anthropic's counting of tokens: requests in, counts out.

Owns the outline of the request, which is that of a message without a bound on output, and the estimate that stands in
where a provider cannot count. Counting costs nothing ("Token counting is free to use"): its usage is empty, so that no
budget is charged for asking.

*Source:* Anthropic API reference, "Count tokens in a Message"; "Token counting", "Pricing and rate limits"; "Vision",
"Calculate image costs", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm.anthropic.codec import STREAM_TYPE, Message, rewrite
from heddle.wire.llm.anthropic.errors import encode_error, encode_error_event, error_fields
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.counting import open_stream, read_count
from heddle.wire.llm.openai_chat import check_model

DIALECT = "anthropic_count"
MEDIA_TOKENS = 1_600
"""Estimate for one image or document, whatever its size: an image that is not scaled down costs about as much, and the
pages of a document cannot be counted without reading it."""

_SAID = ("text", "content")
"""Sources whose contents are in the request as text."""

__all__ = [
    "DIALECT",
    "STREAM_TYPE",
    "decode_request",
    "encode_error",
    "encode_error_event",
    "error_fields",
    "estimate_count",
    "open_stream",
    "read_usage",
    "rewrite",
]


class _Request(msgspec.Struct, gc=False):
    model: str
    messages: list[Message]


class _Answer(msgspec.Struct, gc=False):
    input_tokens: int


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), _Request)
    check_model(request.model)
    if not request.messages:
        raise ProtocolError("messages: expected at least one message.", param="messages")
    return ModelCall(
        operation="count_tokens", dialect=DIALECT, model=request.model, body=body, max_output_tokens=0, choices=1
    )


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Nothing was used. Raises ProtocolError when `body` is not a count."""
    del input_bytes
    return read_count(body, _ANSWER)


def estimate_count(body: bytes) -> bytes:
    """An answer for a decoded request whose provider cannot count: an estimate, by the characters of what it says.

    Keys and structure stand for the markup that models see; base64 data counts as MEDIA_TOKENS instead of its length.
    """
    chars, media, waiting = 0, 0, [parse_strict(body)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            chars += len(value)
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            chars += sum(map(len, value))
            media += _is_media(value)
            waiting += [inner for inner in value.values() if not (_is_base64(value) and inner is value.get("data"))]
    return msgspec.json.encode({"input_tokens": estimate_tokens(chars) + media * MEDIA_TOKENS})


def _is_base64(value: dict[str, Any]) -> bool:
    return value.get("type") == "base64"


def _is_media(value: dict[str, Any]) -> bool:
    source = value.get("source")
    return value.get("type") in ("image", "document") and isinstance(source, dict) and source.get("type") not in _SAID
