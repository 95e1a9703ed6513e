"""Gemini's generateContent and streamGenerateContent at the door: requests in, answers and errors out.

Owns what of a request the gateway reads and what it may change. The model stands in the path, so a rewrite keeps the
body; only a body that repeats the model has to follow it. Everything the policies do not need passes through as the
same bytes and is the provider's to judge.

*Source:* Gemini API reference, "models.generateContent", "models.streamGenerateContent", "GenerationConfig", 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.gemini import usage as counts
from heddle.wire.llm.gemini.errors import encode_error, encode_error_event, error_fields
from heddle.wire.llm.gemini.fields import Fields
from heddle.wire.llm.gemini.reader import Chunk, StreamReader, text_chars
from heddle.wire.llm.gemini.target import check_named, read_target

DIALECT = "gemini"
STREAM_TYPE = b"text/event-stream"
MAX_CHOICES = 128
MAX_TOKENS = 2**31 - 1

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

_ROLES = (None, "", "user", "model", "function")
_ANSWER = msgspec.json.Decoder(Chunk)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def decode_request(body: bytes, target: str = "") -> ModelCall:
    """What policies need of a request; the model and whether it streams are in `target`. Raises ProtocolError."""
    wanted = read_target(target)
    if wanted.method not in ("generateContent", "streamGenerateContent"):
        raise ProtocolError(f"`{wanted.method}` is no generation of content.", status=404)
    check_contents(parse_strict(body))
    fields = Fields(body)
    check_named(fields.text("model") or None, wanted, "model")
    settings = fields.object("generationConfig")
    choices, most = 1, None
    if settings is not None:
        choices = settings.whole("candidateCount", 1, MAX_CHOICES) or 1
        most = settings.whole("maxOutputTokens", 1, MAX_TOKENS)
    stream = wanted.method == "streamGenerateContent"
    return ModelCall(
        operation="chat",
        dialect=DIALECT,
        model=wanted.model,
        body=body,
        stream=stream,
        # Usage is in every chunk of this format: there is nothing to ask for and nothing to hide.
        include_usage=stream,
        max_output_tokens=None if most is None else most * choices,
        choices=choices,
    )


def check_contents(request: Any, at: str = "") -> None:
    """Raise ProtocolError unless a parsed request has a content, and each has an acceptable role and parts."""
    if not isinstance(request, dict):
        raise ProtocolError(f"{at or 'The request body'}: expected an object.", param=at or None)
    at = f"{at}.contents" if at else "contents"
    contents = request.get("contents")
    if not contents:
        raise ProtocolError(f"{at}: expected at least one content.", param=at)
    listed = isinstance(contents, list)
    for index, content in enumerate(contents if listed else [contents]):
        where = f"{at}[{index}]" if listed else at
        if not isinstance(content, dict):
            raise ProtocolError(f"{where}: expected an object.", param=where)
        if content.get("role") not in _ROLES:
            raise ProtocolError(f"{where}.role: expected user or model.", param=f"{where}.role")
        check_parts(content.get("parts"), f"{where}.parts")


def check_parts(parts: Any, at: str) -> None:
    """Raise ProtocolError unless `parts` is a list of objects, or one that stands for a list of one; or absent."""
    if parts is None or isinstance(parts, dict):
        return
    wrong = (
        next((i for i, part in enumerate(parts) if not isinstance(part, dict)), None) if isinstance(parts, list) else -1
    )
    if wrong is not None:
        at = at if wrong < 0 else f"{at}[{wrong}]"
        raise ProtocolError(f"{at}: expected {'a list' if wrong < 0 else 'an object'}.", param=at)


def rewrite(body: bytes, *, model: str | None, include_usage: bool) -> bytes:
    """The same bytes, unless the body repeats the model: then it names the new one."""
    del include_usage
    return body if model is None else rename(body, model)


def rename(body: bytes, model: str) -> bytes:
    """`body` with its top-level `model`, if it has one, naming another."""
    fields = _OBJECT.decode(body)
    if "model" not in fields:
        return body
    fields["model"] = msgspec.Raw(_encode(resource(model)))
    return _encode(fields)


def resource(model: str) -> str:
    """A model's name as bodies of this format have it."""
    return model if model.startswith(("tunedModels/", "models/")) else f"models/{model}"


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its text when it does not say.

    Raises ProtocolError when `body` is not a generateContent answer at all.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not one of generateContent.", malformed=True) from exc
    if answer.candidates is None and answer.prompt_feedback is None and answer.usage_metadata is None:
        raise ProtocolError("The answer is not one of generateContent.", malformed=True)
    said: Any = counts.read(answer.usage_metadata) if answer.usage_metadata is not None else None
    if isinstance(said, Usage):
        return said
    made = sum(text_chars(candidate) for candidate in answer.candidates or ())
    return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(made), estimated=True)


def open_stream(hide_usage: bool) -> StreamReader:
    """A reader for a streamed answer. Usage is never hidden: every chunk of this format has it."""
    del hide_usage
    return StreamReader()
