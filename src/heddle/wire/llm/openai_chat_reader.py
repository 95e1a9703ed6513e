"""What OpenAI chat servers answer, in the canonical form: shapes that answers and chunks share, and whole answers.

Owns the servers' dialects within the dialect: thinking as `reasoning_content` or `reasoning`, content as a string or
in parts, `stop` said of an answer that calls tools, names of finish reasons that OpenAI does not have. What cannot be
an answer is refused; no finish reason is made up.

*Source:* OpenAI API reference, "The chat completion object", as of 2026-11; DeepSeek, Mistral, OpenRouter, Together
and vLLM for what they add, named where it is read.
"""

from typing import Any

import msgspec

from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_usage

STOPS: dict[str, Stop] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "eos": "stop",  # Together
    "model_length": "length",  # Mistral
}
BROKEN = frozenset(("error", "insufficient_system_resource"))
"""Finish reasons (OpenRouter and Mistral, DeepSeek) of answers that were given up."""


class Function(msgspec.Struct, gc=False):
    """A call, or a piece of one."""

    name: str | None = None
    arguments: Any = None


class Call(msgspec.Struct, gc=False):
    """One of `tool_calls`."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct, gc=False):
    """A `message`, or a `delta`."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None


class WireChoice(msgspec.Struct, gc=False):
    """One of `choices`, whole or in a chunk."""

    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """vLLM: the stop sequence, or the id of the token."""
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, gc=False):
    choices: list[WireChoice]
    id: str | None = None
    model: str | None = None
    usage: openai_usage.WireUsage | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[msgspec.Raw] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_LOGPROBS = msgspec.json.Decoder(_Logprobs)


def decode_answer(body: bytes) -> ChatAnswer:
    """A whole `chat.completion`; see `codec.Vendor`."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The provider's answer is not a chat completion.", malformed=True) from exc
    if not answer.choices:
        raise ProtocolError("The provider's answer has no choices.")
    ident = answer.id or ""
    choices = answer.choices
    if len(choices) > 1:
        choices = sorted(choices, key=lambda choice: choice.index)
    return ChatAnswer(
        id=ident,
        model=answer.model or "",
        choices=tuple([_choice(choice, ident) for choice in choices]),
        usage=openai_usage.read(answer.usage) if answer.usage is not None else None,
    )


def _choice(choice: WireChoice, ident: str) -> Choice:
    said = choice.message
    if said is None:
        raise ProtocolError("The provider's answer has a choice without a message.")
    parts: list[Part] = []
    thinking, text = read_content(said)
    if thinking:
        parts.append(Thinking(text=thinking))
    if text:
        parts.append(Text(text=text))
    if said.refusal:
        parts.append(Refusal(text=said.refusal))
    calls = said.tool_calls or said.function_call is not None
    if calls:
        parts += _calls(said, made_id(ident, choice.index))
    stop, sequence = read_stop(choice, calls=bool(calls), refused=bool(said.refusal))
    return Choice(parts=tuple(parts), stop=stop, stop_sequence=sequence, logprobs=read_logprobs(choice.logprobs))


def made_id(ident: str, choice: int) -> str:
    """Begin of the ids of calls that have none, from the answer's: results must find theirs in later turns too."""
    return f"call_{ident}_{choice}" if choice else f"call_{ident}"


def _calls(said: Said, made: str) -> list[ToolCall]:
    calls = list(said.tool_calls or ())
    if said.function_call is not None:
        calls.append(Call(function=said.function_call))
    read = []
    for index, call in enumerate(calls):
        function = call.function
        if function is None or not function.name:
            raise ProtocolError("The provider's answer has a tool call without a name.")
        arguments = read_arguments(function.arguments) or "{}"
        read.append(ToolCall(id=call.id or f"{made}_{index}", name=function.name, arguments=arguments))
    return read


def read_arguments(value: Any) -> str:
    """Arguments as JSON text. Some servers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def read_content(said: Said) -> tuple[str, str]:
    """Thinking and text. Of the two names of thinking, servers send one, or the same text under both."""
    content = said.content
    if said.reasoning_content is None and said.reasoning is None and isinstance(content, str):
        return "", content
    thinking = _text(said.reasoning_content) or _text(said.reasoning)
    if content is None or isinstance(content, str):
        return thinking, content or ""
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            # Mistral: {"type": "thinking", "thinking": [{"type": "text", ...}]} among the parts.
            thinking += _text(part.get("thinking"))
            texts.append(_text(part.get("text")))
    return thinking, "".join(texts)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join([_text(part.get("text")) for part in value if isinstance(part, dict)])
    return ""


def read_stop(choice: WireChoice, *, calls: bool, refused: bool) -> tuple[Stop, str]:
    """Why a choice ended, and by which stop sequence. Raises ProtocolError when it did not end well."""
    finish = choice.finish_reason
    if not finish or finish in BROKEN:
        raise ProtocolError("The provider gave up its answer." if finish else "The answer has no finish reason.")
    stop = STOPS.get(finish, "stop")
    if stop != "stop":
        return stop, ""
    # "stop" is also what OpenAI says of a call that was asked for by name, and others of any.
    if calls or refused:
        return ("tool_use" if calls else "refusal"), ""
    if isinstance(choice.stop_reason, str) and choice.stop_reason:
        return "stop_sequence", choice.stop_reason
    return stop, ""


def read_logprobs(raw: msgspec.Raw) -> str:
    """The JSON text of `content`; empty when there is none, or in a form of a server's own."""
    text = bytes(raw)
    if text == b"null":
        return ""
    try:
        content = _LOGPROBS.decode(text).content
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return msgspec.json.encode(content).decode() if content else ""
