"""Gemini's embedContent: one text, one vector. At the door and on the way through.

Owns the outline of the request. The batch form has its own dialect, so that the path of a call follows from it alone.

*Source:* Gemini API reference, "models.embedContent"; Vertex AI reference, the same of publishers' models, 2026-11.
"""

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.gemini import usage as counts
from heddle.wire.llm.gemini.codec import STREAM_TYPE, rewrite
from heddle.wire.llm.gemini.embeddings import SINGLE, decode_request, open_stream, used
from heddle.wire.llm.gemini.errors import encode_error, encode_error_event, error_fields

DIALECT: str = SINGLE

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


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    embedding: msgspec.Raw
    usage_metadata: counts.WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of an answer, estimated from the request's size when it does not say.

    Raises ProtocolError when `body` is not an embedding.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not an embedding.", malformed=True) from exc
    return used(answer.usage_metadata) or Usage(input_tokens=estimate_tokens(input_bytes), estimated=True)
