"""OpenAI chat completions: requests in, answers and errors out.

Owns what of a request the gateway reads and what it may change. Only fields that policies need are checked
(model, streaming, the bounds on output, the outline of messages); everything else passes through as the same
bytes and is the provider's to judge. A request that could be read in two ways is refused.

*Source:* OpenAI API reference, "Create chat completion" and "Error codes", as of 2026-11.
"""

from typing import Final

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire import sse
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import openai_usage
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_shapes import Answer, Choice, Request
from heddle.wire.llm.openai_stream import StreamReader, text_size

DIALECT: Final = "openai_chat"
STREAM_TYPE: Final = b"text/event-stream; charset=utf-8"
MAX_MODEL_CHARS: Final = 256
MAX_CHOICES: Final = 128
ONE_MODEL: Final = "models: name one `model`; where a call goes when that fails is the gateway's to decide."
"""Some providers take further models here, which no policy would have judged."""
MAX_TOKENS: Final = 2**31 - 1
"""No model generates as much; larger numbers only overflow counters."""


_ANSWER: Final = msgspec.json.Decoder(Answer)
_CHOICES: Final = msgspec.json.Decoder(list[Choice])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TRUE: Final = msgspec.Raw(b"true")
_encode: Final = msgspec.json.encode


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a chat request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), Request)
    check_model(request.model)
    if request.models is not None:
        raise ProtocolError(ONE_MODEL, param="models")
    if not request.messages:
        raise ProtocolError("messages: expected at least one message.", param="messages")
    choices = _within("n", request.n, MAX_CHOICES) or 1
    options = request.stream_options
    return ModelCall(
        operation="chat",
        dialect=DIALECT,
        model=request.model,
        body=body,
        stream=bool(request.stream),
        include_usage=options is not None and bool(options.include_usage),
        max_output_tokens=_output_bound(request, choices),
        choices=choices,
    )


def check_model(model: str) -> None:
    """Raise ProtocolError unless `model` can be a name: 1 to 256 printable characters without `*`.

    `*` belongs to the patterns of configuration; a provider that reads it its own way must not get it from a caller.
    Where names stand in paths, `.` and `..` would be steps to another one (RFC 3986 section 5.2.4), quoted or not.
    """
    if not model or len(model) > MAX_MODEL_CHARS or not model.isprintable() or "*" in model or model in (".", ".."):
        expected = f"expected a name of 1 to {MAX_MODEL_CHARS} printable characters without `*`."
        raise ProtocolError(f"model: {expected}", param="model")


def _output_bound(request: Request, choices: int) -> int | None:
    """Tokens over all choices. Providers differ in which of two stated bounds they obey: the larger one is safe."""
    older = _within("max_tokens", request.max_tokens, MAX_TOKENS)
    newer = _within("max_completion_tokens", request.max_completion_tokens, MAX_TOKENS)
    if older is None and newer is None:
        return None
    return max(older or 0, newer or 0) * choices


def _within(param: str, value: int | None, most: int) -> int | None:
    if value is not None and not 1 <= value <= most:
        raise ProtocolError(f"{param}: expected an integer from 1 to {most}.", param=param)
    return value


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """`body`, which has been decoded before, with another model name and `stream_options.include_usage` set.

    Only the top level is written anew; values that do not change keep their bytes. With `model` None and
    `include_usage` False it is returned as it is.
    """
    if not include_usage:
        return rewrite_model(body, model)
    fields = _OBJECT.decode(body)
    if model is not None:
        fields["model"] = msgspec.Raw(_encode(model))
    given = fields.get("stream_options")
    options = _OBJECT.decode(given) if given is not None and bytes(given) != b"null" else {}
    options["include_usage"] = _TRUE
    fields["stream_options"] = msgspec.Raw(_encode(options))
    return _encode(fields)


def rewrite_model(body: bytes, model: str | None) -> bytes:
    """`body` with another top-level `model`; None returns it as it is."""
    if model is None:
        return body
    fields = _OBJECT.decode(body)
    fields["model"] = msgspec.Raw(_encode(model))
    return _encode(fields)


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its text when it does not say.

    Raises ProtocolError when `body` is not a chat completion at all.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a chat completion.", malformed=True) from exc
    usage = openai_usage.read(answer.usage) if answer.usage is not None else None
    if usage is not None:
        return usage
    return Usage(
        input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(_text_chars(answer)), estimated=True
    )


def _text_chars(answer: Answer) -> int:
    try:
        choices = _CHOICES.decode(answer.choices)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(bytes(answer.choices))
    messages = [choice.message for choice in choices if choice.message is not None]
    return sum(text_size(m.content) + text_size(m.refusal) + text_size(m.reasoning_content) for m in messages)


def open_stream(hide_usage: bool) -> StreamReader:
    """A reader for a streamed answer."""
    return StreamReader(hide_usage)


def encode_error(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error body. The dialect carries no status in it; others derive their error type from it."""
    del status
    return _encode({"error": {"message": detail, "type": kind, "param": param, "code": code}})


def error_fields(status: int, code: str) -> list[tuple[bytes, bytes]]:  # noqa: ARG001
    """None: the body says it all."""
    return []


def encode_error_event(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error inside a stream: OpenAI's SDKs raise it as APIError."""
    return sse.encode(encode_error(status, kind, code, detail, param))
