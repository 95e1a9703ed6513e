"""OpenAI's counting of input tokens: requests in, counts out.

Owns the outline of the request, which is that of a response without a bound on output, and the estimate that stands
in where a provider cannot count. A count uses nothing, so that no budget is charged for asking.

*Source:* OpenAI API reference, "Get input token counts" (`POST /v1/responses/input_tokens`), and "Images and vision",
"Calculating costs", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.json import parse_strict
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.counting import open_stream, read_count
from heddle.wire.llm.openai_responses.codec import (
    STREAM_TYPE,
    encode_error,
    encode_error_event,
    error_fields,
    rewrite,
)
from heddle.wire.llm.openai_responses.codec import decode_request as decode_response_request

DIALECT = "openai_responses_count"
MEDIA_TOKENS = 765
"""Estimate for one image or file, whatever its size: what a square image of 1,024 pixels costs in full detail."""

_MEDIA = ("image_url", "file_data", "file_url", "file_id")

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


class _Answer(msgspec.Struct, gc=False):
    input_tokens: int


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_request(body: bytes, target: str = "") -> ModelCall:
    """What policies need of a request, whose model must be named here. Raises ProtocolError."""
    call = decode_response_request(body, target)
    return ModelCall(operation="count_tokens", dialect=DIALECT, model=call.model, body=body, max_output_tokens=0)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Nothing was used. Raises ProtocolError when `body` is not a count."""
    del input_bytes
    return read_count(body, _ANSWER)


def estimate_count(body: bytes) -> bytes:
    """An answer for a decoded request whose provider cannot count: an estimate, by the characters of what it says.

    Keys and structure stand for the markup that models see; an image or file counts as MEDIA_TOKENS.
    """
    chars, media = 0, 0
    waiting: list[Any] = [parse_strict(body)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            chars += len(value)
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            chars += sum(map(len, value))
            media += any(isinstance(value.get(name), str) for name in _MEDIA)
            waiting += [inner for name, inner in value.items() if name not in _MEDIA]
    said = {"object": "response.input_tokens", "input_tokens": estimate_tokens(chars) + media * MEDIA_TOKENS}
    return msgspec.json.encode(said)
