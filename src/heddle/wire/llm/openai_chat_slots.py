"""Where the texts of OpenAI chat completions are.

*Source:* OpenAI API reference, "Create chat completion", "The chat completion object" and "The chat completion chunk
object", as of 2026-11; `reasoning_content` and `reasoning` as DeepSeek, vLLM and OpenRouter send them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import (
    Beside,
    Channel,
    CloseAll,
    Slot,
    SseFrames,
    Step,
    field_slots,
    leaf_slots,
    objects,
    place,
    rest_slots,
    text_slots,
)

_SCOPES: dict[str, Scope] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "tool": "tool_result",
    "function": "tool_result",
}
_SAID = ("refusal", "reasoning_content", "reasoning")
_COPIED = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_DEFINED = ("tools", "functions", "response_format")
_KNOWN = frozenset(
    ("messages", "prediction", "tool_choice", "function_call", "modalities", "reasoning_effort", "service_tier",
     "verbosity", "logit_bias", "audio", "include", *_DEFINED)
)  # fmt: skip
_KNOWN_SAID = frozenset(("content", "tool_calls", "function_call", "tool_call_id", "audio", *_SAID))
_KNOWN_PART = frozenset(("text", "refusal"))
_KNOWN_CHOICE = frozenset(("message", "finish_reason", "stop_reason", "logprobs", "index"))
_KNOWN_CHUNK = frozenset(("delta", "finish_reason", "stop_reason", "logprobs", "index"))
_ARGUMENTS = (("function", "arguments", "json_text"), ("custom", "input", "text"))


def request_slots(body: Any) -> Iterator[Slot]:
    """Messages by their role, calls and definitions of tools, the predicted output, and all that is set in words."""
    for message in objects(body.get("messages")):
        scope = _SCOPES.get(str(message.get("role")), "user")
        yield from text_slots(scope, message, "content")
        yield from _refusals(message)
        yield from field_slots(scope, message, _SAID)
        yield from _calls(message)
        yield from _others(message, scope)
    prediction = body.get("prediction")
    if isinstance(prediction, dict):
        yield from text_slots("user", prediction, "content")
    for key in _DEFINED:
        if key in body:
            yield from leaf_slots("system", body, key)
    yield from rest_slots("user", body, _KNOWN)


def _others(message: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    """Fields of a message and of its parts that are not its text: names, files, what vendors add."""
    yield from rest_slots(scope, message, _KNOWN_SAID)
    for part in objects(message.get("content")):
        yield from rest_slots(scope, part, _KNOWN_PART)


def _refusals(message: dict[str, Any]) -> Iterator[Slot]:
    for part in objects(message.get("content")):
        yield from field_slots("assistant", part, ("refusal",))


def _calls(message: dict[str, Any], channel: Channel = ()) -> Iterator[Slot]:
    """Arguments of the tools a message or a delta calls."""
    for number, call in enumerate(objects(message.get("tool_calls"))):
        here = (*channel, "tool", place(call.get("index", number))) if channel else ()
        for kind, field, form in _ARGUMENTS:
            called = call.get(kind)
            if isinstance(called, dict) and isinstance(called.get(field), str):
                yield Slot("tool_arguments", called, field, form, (*here, kind) if here else ())  # type: ignore[arg-type]
    called = message.get("function_call")
    if isinstance(called, dict) and isinstance(called.get("arguments"), str):
        yield Slot("tool_arguments", called, "arguments", "json_text", (*channel, "call") if channel else ())


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each choice says."""
    for choice in objects(body.get("choices")):
        message, spoils = choice.get("message"), _spoils(choice)
        for slot in _said(message) if isinstance(message, dict) else ():
            yield slot._replace(spoils=spoils)
        yield from rest_slots("assistant", choice, _KNOWN_CHOICE)


def _said(message: dict[str, Any]) -> Iterator[Slot]:
    yield from text_slots("assistant", message, "content")
    for slot in field_slots("assistant", message, _SAID):
        yield slot._replace(aside=True)
    audio = message.get("audio")
    if isinstance(audio, dict):
        yield from field_slots("assistant", audio, ("transcript",))
    yield from _refusals(message)
    yield from _calls(message)
    yield from _others(message, "assistant")


def _spoils(choice: dict[str, Any]) -> tuple[tuple[Any, Any], ...]:
    return ((choice, "logprobs"),) if choice.get("logprobs") is not None else ()


_NO_WORDS = frozenset(("role", "content", "tool_calls", "function_call", "tool_call_id", "id"))


def _pieces(delta: dict[str, Any], key: str, index: int | str) -> Iterator[Slot]:
    """What vendors add to a delta. Reasoning in details comes in pieces; of the rest each string is a text."""
    if key != "reasoning_details":
        yield from leaf_slots("assistant", delta, key)
        return
    for number, detail in enumerate(objects(delta[key])):
        for slot in field_slots("assistant", detail, ("text", "summary")):
            channel = (index, "details", place(detail.get("index", number)), slot.key)
            yield slot._replace(channel=channel, aside=True)


class ChatSlots:
    """The texts of one stream."""

    __slots__ = ("_event",)

    moved = False
    repeats = False

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}

    def read(self, event: Any) -> Sequence[Step]:
        """The deltas of a chunk; a finish reason ends all texts of its choice."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        steps: list[Step] = []
        for choice in objects(event.get("choices")):
            index, delta = place(choice.get("index", 0)), choice.get("delta")
            if isinstance(delta, dict):
                content = delta.get("content")
                if type(content) is str:
                    steps.append(Slot("assistant", delta, "content", "text", (index, "content")))
                if content is None or len(delta) > 1 or type(content) is list:
                    steps += self._others(delta, index)
            if choice.get("logprobs") is not None:
                steps.append(Beside(choice, "logprobs", (index,)))
            if not choice.keys() <= _KNOWN_CHUNK:
                steps += rest_slots("assistant", choice, _KNOWN_CHUNK)
            if choice.get("finish_reason") is not None:
                steps.append(CloseAll((index,)))
        return steps

    @staticmethod
    def _others(delta: dict[str, Any], index: int | str) -> Iterator[Slot]:
        for key, value in delta.items():
            if type(value) is str and key not in _NO_WORDS:
                yield Slot("assistant", delta, key, "text", (index, key), aside=True)
            elif key not in _NO_WORDS and key != "audio" and key not in _KNOWN_SAID:
                yield from _pieces(delta, key, index)
        for part in objects(delta.get("content")):
            for slot in field_slots("assistant", part, ("text",)):
                yield slot._replace(channel=(index, "content"))
        audio = delta.get("audio")
        if isinstance(audio, dict):
            for slot in field_slots("assistant", audio, ("transcript",)):
                yield slot._replace(channel=(index, "audio"))
        yield from _calls(delta, (index,))

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A chunk like the one read last, with one delta."""
        index, kind = channel[:2]
        delta: dict[str, Any] = {str(kind): text}
        if kind == "tool":
            field = "arguments" if channel[3] == "function" else "input"
            delta = {"tool_calls": [{"index": channel[2], str(channel[3]): {field: text}}]}
        elif kind == "call":
            delta = {"function_call": {"arguments": text}}
        elif kind == "audio":
            delta = {"audio": {"transcript": text}}
        elif kind == "details":
            delta = {"reasoning_details": [{"type": "reasoning.text", "index": channel[2], str(channel[3]): text}]}
        made = {key: self._event[key] for key in _COPIED if key in self._event}
        return {**made, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def open_slots() -> ChatSlots:
    """The texts of a streamed answer."""
    return ChatSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames()
