"""Rankings of documents by a question, in the form that Cohere, Jina, vLLM and others share: pass through untouched.

Owns the outline of the request: a model, a question and documents.

*Source:* Cohere API reference, "Rerank" (v1 and v2); Jina API, "Reranker"; vLLM, "Re-rank API"; 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import media_usage
from heddle.wire.llm.codec import Stream
from heddle.wire.llm.openai_chat import (
    STREAM_TYPE,
    check_model,
    encode_error,
    encode_error_event,
    error_fields,
    rewrite_model,
)

DIALECT = "rerank"
MAX_DOCUMENTS = 10_000

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
    query: str | dict[str, object]
    """Text, or with some models of Jina a picture."""
    documents: list[str | dict[str, object]]
    top_n: int | None = None


class _Answer(msgspec.Struct, gc=False):
    results: msgspec.Raw


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a request for a ranking. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), _Request)
    check_model(request.model)
    if not request.query:
        raise ProtocolError("query: expected a question.", param="query")
    if not 1 <= len(request.documents) <= MAX_DOCUMENTS:
        raise ProtocolError(f"documents: expected 1 to {MAX_DOCUMENTS} documents.", param="documents")
    if request.top_n is not None and request.top_n < 1:
        raise ProtocolError("top_n: expected a positive integer.", param="top_n")
    return ModelCall(
        operation="rerank",
        dialect=DIALECT,
        model=request.model,
        body=body,
        max_output_tokens=0,
        # The question is read with every document.
        input_bound=len(body) + (len(request.documents) - 1) * _size(request.query),
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The body with another model name."""
    del include_usage
    return rewrite_model(body, model)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a ranking, estimated from the request's size when it does not say. Raises ProtocolError for none."""
    try:
        _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a ranking.", malformed=True) from exc
    return media_usage.read_usage(body, input_bytes)


def open_stream(hide_usage: bool) -> Stream:
    """Rankings do not stream. Raises ProtocolError."""
    del hide_usage
    raise ProtocolError("Rankings are not streamed.")


def _size(query: str | dict[str, object]) -> int:
    """Bytes, which no question's tokens exceed; a picture's are bounded as those of others."""
    return len(query.encode()) if isinstance(query, str) else 8_192
