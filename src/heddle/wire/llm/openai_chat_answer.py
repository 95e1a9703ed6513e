"""Answers of other vendors as OpenAI chat completions: whole, and in chunks.

Owns what of a canonical answer this format can say and where. Thinking goes out as `reasoning_content`, as compatible
servers have it; proofs that a vendor wants back go out as `reasoning_details` and `extra_content`, so that a caller
who replays messages as they came replays the proofs. A caller who asked with the older `functions` gets its first
call as `function_call`.

*Source:* OpenAI API reference, "The chat completion object" and "The chat completion chunk object", as of 2026-11;
OpenRouter, "Reasoning tokens"; Google, "OpenAI compatibility", "Thought signatures".
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    Event,
    PartBegan,
    PartDelta,
    PartEnded,
    Stop,
    Used,
)
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm import openai_usage

FINISH: dict[Stop, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}
"""`finish_reason` for each way an answer ends."""

_DONE = b"data: [DONE]\n\n"
_GEMINI = "gemini."
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A `chat.completion`; see `codec.Dialect`."""
    older = asks_with_functions(call)
    completion: dict[str, Any] = {
        "id": answer.id or f"chatcmpl-{created_s}",
        "object": "chat.completion",
        "created": created_s,
        "model": answer.model or call.model,
        "choices": [_choice(choice, index, older) for index, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        completion["usage"] = openai_usage.encode(answer.usage)
    return _encode(completion)


def asks_with_functions(call: ModelCall) -> bool:
    """Whether the request defines `functions` and no `tools`: its caller reads `function_call`."""
    if b'"functions"' not in call.body:
        return False
    fields = _KEYS.decode(call.body)
    return "functions" in fields and "tools" not in fields


def _choice(choice: Choice, index: int, older: bool) -> dict[str, Any]:
    finish = FINISH[choice.stop]
    if older and finish == "tool_calls":
        finish = "function_call"
    return {
        "index": index,
        "message": _message(choice.parts, older),
        "logprobs": _logprobs(choice.logprobs),
        "finish_reason": finish,
    }


def _logprobs(content: str) -> dict[str, Any] | None:
    return {"content": msgspec.Raw(content.encode()), "refusal": None} if content else None


def _message(parts: tuple[Part, ...], older: bool) -> dict[str, Any]:
    text = "".join([part.text for part in parts if isinstance(part, Text)])
    refusal = "".join([part.text for part in parts if isinstance(part, Refusal)])
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not (refusal or calls) else None,
        "refusal": refusal or None,
    }
    if any(thought.text for thought in thoughts):
        message["reasoning_content"] = "".join([thought.text for thought in thoughts])
    if any(thought.signature or thought.redacted for thought in thoughts):
        message["reasoning_details"] = [_detail(thought, index) for index, thought in enumerate(thoughts)]
    if older and calls:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
        calls = calls[1:]
    if calls:
        message["tool_calls"] = [_tool_call(part) for part in calls]
    return message


def _detail(thought: Thinking, index: int) -> dict[str, Any]:
    if thought.redacted:
        return {"type": "reasoning.encrypted", "data": thought.redacted, "index": index}
    return {"type": "reasoning.text", "text": thought.text, "signature": thought.signature or None, "index": index}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature.startswith(_GEMINI):
        said["extra_content"] = _signed(call.signature)
    return said


def _signed(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature.removeprefix(_GEMINI)}}


def open_encoder(call: ModelCall, created_s: int) -> "ChunkEncoder":
    """A writer of `chat.completion.chunk`s; see `codec.Dialect`."""
    return ChunkEncoder(call, created_s)


class _Part:
    """A part that has begun."""

    __slots__ = ("kind", "number", "silent", "text")

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.number = number
        """Of a tool call, among those of its choice (of thinking, likewise); -1 is the older `function_call`."""
        self.silent = True
        """No arguments have come."""
        self.text = ""
        """Of thinking, all of it so far."""


class ChunkEncoder:
    """One streamed answer; see `codec.Encoder`."""

    __slots__ = ("_call", "_counts", "_created_s", "_head", "_include_usage", "_older", "_parts", "_tail", "_usage")

    def __init__(self, call: ModelCall, created_s: int) -> None:
        self._call = call
        self._created_s = created_s
        self._include_usage = call.include_usage
        self._older = asks_with_functions(call)
        self._head = b""
        # "This chunk's usage field is null, except for the last": for callers who asked for it.
        self._tail = b',"usage":null}\n\n' if call.include_usage else b"}\n\n"
        self._parts: dict[tuple[int, int], _Part] = {}
        self._counts: dict[tuple[int, str], int] = {}
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        """The chunks of one event."""
        if isinstance(event, PartDelta):
            return self._delta(event)
        if isinstance(event, PartBegan):
            return self._begin(event)
        if isinstance(event, ChoiceEnded):
            return self._end_choice(event)
        if isinstance(event, PartEnded):
            return self._end_part(event)
        if isinstance(event, Began):
            self._open(event.id, event.model)
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Ended):
            return self._usage_chunk() + _DONE
        return b""

    def _open(self, ident: str, model: str) -> None:
        begin = {
            "id": ident or f"chatcmpl-{self._created_s}",
            "object": "chat.completion.chunk",
            "created": self._created_s,
            "model": model or self._call.model,
        }
        self._head = b"data: " + _encode(begin)[:-1] + b',"choices":['

    def _chunk(self, choice: int, delta: bytes, finish: bytes = b"null", logprobs: bytes = b"null") -> bytes:
        if not self._head:
            self._open("", "")
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]%b' % (
            self._head,
            choice,
            delta,
            logprobs,
            finish,
            self._tail,
        )

    def _role(self, choice: int, content: bytes) -> bytes:
        """The first chunk of a choice; nothing later."""
        if (choice, "") in self._counts:
            return b""
        self._counts[choice, ""] = 1
        return self._chunk(choice, b'{"role":"assistant","content":%b,"refusal":null}' % content)

    def _begin(self, event: PartBegan) -> bytes:
        counted = (event.choice, event.kind)
        number = self._counts.get(counted, 0)
        self._counts[counted] = number + 1
        if self._older and event.kind == "tool_call":
            number -= 1
        self._parts[event.choice, event.index] = _Part(event.kind, number)
        role = self._role(event.choice, b'""' if event.kind == "text" else b"null")
        if event.kind != "tool_call":
            return role
        function = {"name": event.name, "arguments": ""}
        if number < 0:
            return role + self._chunk(event.choice, _encode({"function_call": function}))
        begun = {"index": number, "id": event.id, "type": "function", "function": function}
        return role + self._chunk(event.choice, _encode({"tool_calls": [begun]}))

    def _delta(self, event: PartDelta) -> bytes:
        part = self._parts[event.choice, event.index]
        if part.kind == "text":
            return self._chunk(
                event.choice, b'{"content":%b}' % _encode(event.text), logprobs=_delta_logprobs(event.logprobs)
            )
        if part.kind == "refusal":
            return self._chunk(event.choice, b'{"refusal":%b}' % _encode(event.text))
        if part.kind == "thinking":
            return self._thinking(event, part)
        return self._arguments(event, part)

    def _thinking(self, event: PartDelta, part: _Part) -> bytes:
        """Pieces of text as they come; with a proof, one detail that says the whole of it, as it is to be replayed."""
        delta: dict[str, Any] = {}
        if event.text:
            part.text += event.text
            delta["reasoning_content"] = event.text
        if event.redacted:
            delta["reasoning_details"] = [_detail(Thinking(redacted=event.redacted), part.number)]
        elif event.signature:
            delta["reasoning_details"] = [_detail(Thinking(text=part.text, signature=event.signature), part.number)]
        return self._chunk(event.choice, _encode(delta)) if delta else b""

    def _arguments(self, event: PartDelta, part: _Part) -> bytes:
        if part.number < 0:
            part.silent = part.silent and not event.text
            delta: dict[str, Any] = {"function_call": {"arguments": event.text}}
            return self._chunk(event.choice, _encode(delta)) if event.text else b""
        signed = event.signature.startswith(_GEMINI)
        if not event.text and not signed:
            return b""
        part.silent = part.silent and not event.text
        # OpenAI's SDK insists on a function in every piece.
        piece: dict[str, Any] = {"index": part.number, "function": {"arguments": event.text}}
        if signed:
            piece["extra_content"] = _signed(event.signature)
        return self._chunk(event.choice, _encode({"tool_calls": [piece]}))

    def _end_part(self, event: PartEnded) -> bytes:
        part = self._parts.pop((event.choice, event.index))
        if part.kind == "tool_call" and part.silent:
            # A call without arguments is a call with none, not with text that is no JSON.
            return self._arguments(PartDelta(choice=event.choice, index=event.index, text="{}"), part)
        return b""

    def _end_choice(self, event: ChoiceEnded) -> bytes:
        finish = FINISH[event.stop]
        if self._older and finish == "tool_calls":
            finish = "function_call"
        return self._role(event.choice, b'""') + self._chunk(event.choice, b"{}", _encode(finish))

    def _usage_chunk(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b""
        if not self._head:
            self._open("", "")
        return b'%b],"usage":%b}\n\n' % (self._head, _encode(openai_usage.encode(self._usage)))


def _delta_logprobs(content: str) -> bytes:
    if not content:
        return b"null"
    text = content.encode()
    if b"\n" in text or b"\r" in text:
        # A vendor may write JSON over several lines; inside an event they would end it.
        text = msgspec.json.format(text, indent=-1)
    return b'{"content":%b,"refusal":null}' % text
