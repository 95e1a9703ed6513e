"""OpenAI's older text completions as the caller's side of a translation: served by any vendor of chat.

Owns what a completion means to a chat model: the prompt is one user message, the answer's text is the completion.
What chat cannot do is refused by name: tokens for a prompt, several prompts, a suffix to write toward, the prompt
echoed, the best of several, and log probabilities in the older form.

*Source:* OpenAI API reference, "Create completion" and "The completion object" (legacy), as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import Began, ChatAnswer, ChoiceEnded, Ended, Event, PartBegan, PartDelta, Stop, Used
from heddle.wire.canonical.request import ChatRequest, Message, Part, Refusal, Text
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm import openai_usage
from heddle.wire.llm.openai_chat_answer import FINISH
from heddle.wire.llm.openai_chat_request import Int64

_KNOWN = {"model", "prompt", "n", "stream", "stream_options", "best_of", "echo", "suffix", "logprobs", "max_tokens"}
_encode = msgspec.json.encode


class _Request(msgspec.Struct, gc=False):
    prompt: str | list[str | int | list[int]] | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: Int64 | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN |= {field.encode_name for field in msgspec.structs.fields(_Request)}


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:
    """The request as one of chat; see `codec.Dialect`."""
    try:
        asked, fields = _REQUEST.decode(body), _FIELDS.decode(body)
    except msgspec.ValidationError as exc:
        raise type_error(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The request body is not valid JSON.", malformed=True) from exc
    _refuse(asked)
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    return ChatRequest(
        model=call.model,
        messages=(Message(role="user", parts=(Text(text=_prompt(asked.prompt)),)),),
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=tuple([stop for stop in stops if stop]),
        seed=asked.seed,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        choices=asked.n or 1,
        logit_bias=_encode(asked.logit_bias).decode() if asked.logit_bias else "",
        user=asked.user or "",
        stream=call.stream,
        other=tuple([name for name, raw in fields.items() if name not in _KNOWN and bytes(raw) != b"null"]),
    )


def _refuse(asked: _Request) -> None:
    """Raise UntranslatableError for what no chat model can do."""
    cannot = {
        "suffix": bool(asked.suffix),
        "echo": bool(asked.echo),
        "best_of": asked.best_of is not None and asked.best_of > (asked.n or 1),
        "logprobs": asked.logprobs is not None,
        "max_tokens": asked.max_tokens == 0,
    }
    for name, stated in cannot.items():
        if stated:
            raise UntranslatableError(f"{name}: a chat model, which serves this call, cannot do it.", param=name)


def _prompt(prompt: str | list[str | int | list[int]] | None) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        (only,) = prompt
        prompt = only if isinstance(only, str) else prompt
    if not isinstance(prompt, str) or not prompt:
        expected = "a chat model, which serves this call, takes one prompt of text"
        raise UntranslatableError(f"prompt: {expected}.", param="prompt")
    return prompt


def _finish(stop: Stop) -> str:
    """This format has three reasons; a tool call is none of them, and cannot be asked for."""
    finish = FINISH[stop]
    return finish if finish in ("length", "content_filter") else "stop"


def _said(parts: tuple[Part, ...]) -> str:
    return "".join([part.text for part in parts if isinstance(part, Text | Refusal)])


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A `text_completion`; see `codec.Dialect`."""
    completion = _head(answer.id, answer.model, call, created_s)
    completion["choices"] = [
        {"text": _said(choice.parts), "index": index, "logprobs": None, "finish_reason": _finish(choice.stop)}
        for index, choice in enumerate(answer.choices)
    ]
    if answer.usage is not None:
        completion["usage"] = openai_usage.encode(answer.usage)
    return _encode(completion)


def _head(ident: str, model: str, call: ModelCall, created_s: int) -> dict[str, Any]:
    return {
        "id": ident or f"cmpl-{created_s}",
        "object": "text_completion",
        "created": created_s,
        "model": model or call.model,
    }


def open_encoder(call: ModelCall, created_s: int) -> "CompletionEncoder":
    """A writer of chunks, which have the form of whole completions; see `codec.Dialect`."""
    return CompletionEncoder(call, created_s)


class CompletionEncoder:
    """One streamed answer; see `codec.Encoder`."""

    __slots__ = ("_head", "_include_usage", "_said", "_usage")

    def __init__(self, call: ModelCall, created_s: int) -> None:
        self._head = _head("", "", call, created_s)
        self._include_usage = call.include_usage
        self._said: set[tuple[int, int]] = set()
        """Parts that are said: text and refusals. Thinking has no place in this format."""
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        """The chunks of one event."""
        if isinstance(event, PartDelta):
            if (event.choice, event.index) not in self._said or not event.text:
                return b""
            return self._chunk(event.choice, event.text, None)
        if isinstance(event, PartBegan) and event.kind in ("text", "refusal"):
            self._said.add((event.choice, event.index))
        elif isinstance(event, ChoiceEnded):
            return self._chunk(event.choice, "", _finish(event.stop))
        elif isinstance(event, Began):
            self._head["id"] = event.id or self._head["id"]
            self._head["model"] = event.model or self._head["model"]
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Ended):
            return self._usage_chunk() + b"data: [DONE]\n\n"
        return b""

    def _chunk(self, choice: int, text: str, finish: str | None) -> bytes:
        said = {"text": text, "index": choice, "logprobs": None, "finish_reason": finish}
        return self._write([said], None)

    def _usage_chunk(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b""
        return self._write([], openai_usage.encode(self._usage))

    def _write(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return b"data: " + _encode(chunk) + b"\n\n"
