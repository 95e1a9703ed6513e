"""Gemini's countTokens: at the door, on the way through, and an estimate for vendors that do not count.

Owns the two forms of the request: contents alone, or a whole generateContent request.

*Source:* Gemini API reference, "models.countTokens"; "Understand and count tokens" for what an image costs, 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.counting import open_stream, read_count
from heddle.wire.llm.gemini.codec import STREAM_TYPE, check_contents, rename
from heddle.wire.llm.gemini.errors import encode_error, encode_error_event, error_fields
from heddle.wire.llm.gemini.fields import Fields, camel
from heddle.wire.llm.gemini.target import check_named, read_target

DIALECT = "gemini_count"
METHOD = "countTokens"
MEDIA_TOKENS = 258
"""What an image of the smallest size costs; an estimate for every file, whatever its size."""

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


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    total_tokens: int


_ANSWER = msgspec.json.Decoder(_Answer)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WHOLE = ("generateContentRequest", "generate_content_request")


def decode_request(body: bytes, target: str = "") -> ModelCall:
    """What policies need of a request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    wanted = read_target(target)
    if wanted.method != METHOD:
        raise ProtocolError(f"`{wanted.method}` is no counting of tokens.", status=404)
    parsed = parse_strict(body)
    fields = Fields(body)
    whole = fields.object(_WHOLE[0])
    if whole is not None and "contents" in fields:
        raise fields.refusal("contents", f"cannot be given with {_WHOLE[0]}")
    for asked in [fields] if whole is None else [fields, whole]:
        check_named(asked.text("model") or None, wanted, asked.path("model"))
    if whole is None:
        check_contents(parsed)
    else:
        check_contents(next(parsed[name] for name in _WHOLE if parsed.get(name) is not None), _WHOLE[0])
    return ModelCall(
        operation="count_tokens", dialect=DIALECT, model=wanted.model, body=body, max_output_tokens=0, choices=1
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The same bytes, unless the body repeats the model: then it names the new one."""
    del include_usage
    if model is None:
        return body
    renamed = rename(body, model)
    fields = _OBJECT.decode(renamed)
    inner = next((name for name in _WHOLE if name in fields), None)
    if inner is None:
        return renamed
    fields[inner] = msgspec.Raw(rename(bytes(fields[inner]), model))
    return msgspec.json.encode(fields)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Counting uses no tokens. Raises ProtocolError when `body` is no count."""
    del input_bytes
    return read_count(body, _ANSWER)


def estimate_count(body: bytes) -> bytes:
    """An answer to a request that `decode_request` has accepted, for vendors that do not count: an estimate.

    One token for four characters of text, names and schemas, and a fixed number for each file.
    """
    chars, files = _size(parse_strict(body))
    return msgspec.json.encode({"totalTokens": estimate_tokens(chars) + files * MEDIA_TOKENS})


def _size(value: Any) -> tuple[int, int]:
    """Characters and files in a JSON value. The depth is bounded: it has been parsed strictly."""
    if isinstance(value, str):
        return len(value), 0
    if isinstance(value, list):
        inside = [_size(item) for item in value]
    elif isinstance(value, dict):
        if any(camel(name) in ("inlineData", "fileData") for name in value):
            return 0, 1
        inside = [
            _size(item) for name, item in value.items() if camel(name) not in ("role", "model", "thoughtSignature")
        ]
    else:
        return 0, 0
    return sum(chars for chars, _ in inside), sum(files for _, files in inside)
