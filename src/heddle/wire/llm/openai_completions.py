"""OpenAI's older text completions: requests in, answers and errors out, at the door and on the way through.

Owns the outline of the request: a model, a prompt in one of four forms, and the numbers that bound the output. All
else passes through as the same bytes and is the provider's to judge.

*Source:* OpenAI API reference, "Create completion" and "The completion object" (legacy), as of 2026-11.
"""

from typing import Final

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import openai_usage
from heddle.wire.llm.codec import estimate_tokens
from heddle.wire.llm.openai_chat import (
    MAX_CHOICES,
    MAX_TOKENS,
    ONE_MODEL,
    STREAM_TYPE,
    check_model,
    encode_error,
    encode_error_event,
    error_fields,
    rewrite,
)
from heddle.wire.llm.openai_completions_shapes import Answer, Choice, Chunk, Request
from heddle.wire.llm.openai_stream import StreamReader
from heddle.wire.sse import Splitter, payload

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

DIALECT: Final = "openai_completions"


_ANSWER: Final = msgspec.json.Decoder(Answer)
_CHUNK: Final = msgspec.json.Decoder(Chunk)


def decode_request(body: bytes, target: str = "") -> ModelCall:  # noqa: ARG001
    """What policies need of a completions request. Raises ProtocolError, `malformed` when it is not strict JSON."""
    request = convert(parse_strict(body), Request)
    check_model(request.model)
    if request.models is not None:
        raise ProtocolError(ONE_MODEL, param="models")
    prompts = count_prompts(request.prompt)
    choices = (_within("n", request.n, MAX_CHOICES) or 1) * prompts
    # "Generates best_of completions server-side": all of them are billed.
    made = max(_within("best_of", request.best_of, MAX_CHOICES) or 0, request.n or 1) * prompts
    bound = _within("max_tokens", request.max_tokens, MAX_TOKENS, least=0)
    options = request.stream_options
    return ModelCall(
        operation="completions",
        dialect=DIALECT,
        model=request.model,
        body=body,
        stream=bool(request.stream),
        include_usage=options is not None and bool(options.include_usage),
        max_output_tokens=None if bound is None else bound * made,
        choices=choices,
    )


def count_prompts(prompt: str | list[str | int | list[int]] | None) -> int:
    """How many prompts there are: strings and lists of tokens. Raises ProtocolError for none, or a mixture."""
    if not isinstance(prompt, list):
        return 1
    kinds = {type(part) for part in prompt}
    if len(kinds) != 1 or [] in prompt:
        raise ProtocolError("prompt: expected strings, tokens or lists of tokens, at least one.", param="prompt")
    prompts = 1 if kinds == {int} else len(prompt)
    if prompts > MAX_CHOICES:
        raise ProtocolError(f"prompt: expected at most {MAX_CHOICES} prompts.", param="prompt")
    return prompts


def _within(param: str, value: int | None, most: int, least: int = 1) -> int | None:
    if value is not None and not least <= value <= most:
        raise ProtocolError(f"{param}: expected an integer from {least} to {most}.", param=param)
    return value


def read_usage(body: bytes, input_bytes: int) -> Usage:
    """Tokens of a whole answer, estimated from its text when it does not say.

    Raises ProtocolError when `body` is no completion.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a completion.", malformed=True) from exc
    usage = openai_usage.read(answer.usage) if answer.usage is not None else None
    if usage is not None:
        return usage
    return Usage(
        input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(_chars(answer.choices)), estimated=True
    )


def _chars(choices: list[Choice]) -> int:
    return sum(len(choice.text) for choice in choices if isinstance(choice.text, str))


def open_stream(hide_usage: bool) -> "CompletionReader":
    """A reader for a streamed answer."""
    return CompletionReader(hide_usage)


class CompletionReader(StreamReader):
    """The stream is framed, ended and accounted as a chat's; only its text stands elsewhere."""

    __slots__ = ("_texts",)

    def __init__(self, hide_usage: bool) -> None:
        super().__init__(hide_usage)
        self._texts = Splitter()

    def feed(self, data: bytes) -> bytes:
        """Whole events that may go to the caller now; see `codec.Stream`."""
        ready = super().feed(data)
        for event in self._texts.feed(ready) if ready else ():
            try:
                self.text_chars += _chars(_CHUNK.decode(payload(event)).choices or [])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        return ready
