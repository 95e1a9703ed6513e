"""Gemini's batchEmbedContents at the door and on the way through; the form that embeddings are translated to and from.

Owns the outline of the requests, of this form and of the single one. Each request of a batch repeats the model, which
must be the path's and follows it when it is renamed. Vectors pass through untouched.

*Source:* Gemini API reference, "models.batchEmbedContents", "EmbedContentRequest", 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.gemini import usage as counts
from heddle.wire.llm.gemini.codec import STREAM_TYPE, rename
from heddle.wire.llm.gemini.errors import encode_error, encode_error_event, error_fields
from heddle.wire.llm.gemini.fields import Fields, is_list
from heddle.wire.llm.gemini.reader import StreamReader
from heddle.wire.llm.gemini.target import METHODS, check_named, read_target

DIALECT = "gemini_embeddings"
SINGLE = "gemini_embed_content"
"""The dialect of embedContent: one content, one vector."""
MAX_REQUESTS = 2048
"""More than any model takes; a bound for what is read one by one."""

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
    embeddings: list[msgspec.Raw]
    usage_metadata: counts.WireUsage | None = None


_BLANKS = dict.fromkeys(map(ord, " \t\r\n"))
_ANSWER = msgspec.json.Decoder(_Answer)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def decode_request(body: bytes, target: str = "") -> ModelCall:
    """What policies need of a request, of this form or of the single one: the path says which, and so does the call's
    dialect. Raises ProtocolError, `malformed` when the body is not strict JSON."""
    wanted = read_target(target)
    dialect = METHODS[wanted.method]
    if dialect not in (DIALECT, SINGLE):
        raise ProtocolError(f"`{wanted.method}` makes no embeddings.", status=404)
    parse_strict(body)
    fields = Fields(body)
    requests = [fields] if dialect == SINGLE else fields.objects("requests")
    if not 1 <= len(requests) <= MAX_REQUESTS:
        raise ProtocolError(f"requests: expected between 1 and {MAX_REQUESTS} requests.", param="requests")
    for request in requests:
        check_named(request.text("model") or None, wanted, request.path("model"))
        content = request.object("content")
        if content is None or "parts" not in content or content.raw("parts").translate(_BLANKS) == "[]":
            raise request.refusal("content", "expected a content with parts")
    return ModelCall(
        operation="embeddings", dialect=dialect, model=wanted.model, body=body, max_output_tokens=0, choices=1
    )


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The same bytes, but with the model of each request renamed where it is named."""
    del include_usage
    if model is None:
        return body
    fields = _OBJECT.decode(body)
    given = fields["requests"]
    if not is_list(given):
        fields["requests"] = msgspec.Raw(rename(bytes(given), model))
    else:
        items = [msgspec.Raw(rename(bytes(item), model)) for item in _LIST.decode(given)]
        fields["requests"] = msgspec.Raw(msgspec.json.encode(items))
    return msgspec.json.encode(fields)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of an answer, estimated from the request's size when it does not say.

    Raises ProtocolError when `body` is not a list of embeddings.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a list of embeddings.", malformed=True) from exc
    return used(answer.usage_metadata) or Usage(input_tokens=estimate_tokens(input_bytes), estimated=True)


def used(wire: counts.WireUsage | None) -> Usage | None:
    """What embedding used, where the answer says it."""
    return counts.read(wire) if wire is not None else None


def open_stream(hide_usage: bool) -> StreamReader:
    """Embeddings do not stream. Raises ProtocolError."""
    del hide_usage
    raise ProtocolError("Embeddings are not streamed.")
