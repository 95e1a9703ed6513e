"""Where the texts of OpenAI chat completions are.

*Source:* OpenAI API reference, "Create chat completion", "The chat completion object" and "The chat completion chunk
object", as of 2026-11; `reasoning_content` and `reasoning` as DeepSeek, vLLM and OpenRouter send them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import (
    Channel,
    CloseAll,
    Slot,
    SseFrames,
    Step,
    field_slots,
    objects,
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
_ARGUMENTS = (("function", "arguments", "json_text"), ("custom", "input", "text"))


def request_slots(body: Any) -> Iterator[Slot]:
    """Messages by their role, calls of tools, and the predicted output."""
    for message in objects(body.get("messages")):
        scope = _SCOPES.get(str(message.get("role")), "user")
        yield from text_slots(scope, message, "content")
        yield from _refusals(message)
        yield from field_slots(scope, message, _SAID)
        yield from _calls(message)
    prediction = body.get("prediction")
    if isinstance(prediction, dict):
        yield from text_slots("user", prediction, "content")


def _refusals(message: dict[str, Any]) -> Iterator[Slot]:
    for part in objects(message.get("content")):
        yield from field_slots("assistant", part, ("refusal",))


def _calls(message: dict[str, Any], channel: Channel = ()) -> Iterator[Slot]:
    """Arguments of the tools a message or a delta calls."""
    for number, call in enumerate(objects(message.get("tool_calls"))):
        here = (*channel, "tool", call.get("index", number)) if channel else ()
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
        message = choice.get("message")
        if not isinstance(message, dict):
            continue
        spoils = _spoils(choice)
        for slot in text_slots("assistant", message, "content"):
            yield slot._replace(spoils=spoils)
        for slot in field_slots("assistant", message, _SAID):
            yield slot._replace(spoils=spoils, aside=True)
        audio = message.get("audio")
        if isinstance(audio, dict):
            yield from field_slots("assistant", audio, ("transcript",))
        yield from _calls(message)


def _spoils(choice: dict[str, Any]) -> tuple[tuple[Any, Any], ...]:
    return ((choice, "logprobs"),) if choice.get("logprobs") is not None else ()


class ChatSlots:
    """The texts of one stream."""

    __slots__ = ("_event",)

    moved = False

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}

    def read(self, event: Any) -> Sequence[Step]:
        """The deltas of a chunk; a finish reason ends all texts of its choice."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        steps: list[Step] = []
        for choice in objects(event.get("choices")):
            index, delta = choice.get("index", 0), choice.get("delta")
            if isinstance(delta, dict):
                content = delta.get("content")
                if type(content) is str:
                    said = Slot("assistant", delta, "content", "text", (index, "content"))
                    steps.append(said if choice.get("logprobs") is None else said._replace(spoils=_spoils(choice)))
                if content is None or len(delta) > 1 or type(content) is list:
                    steps += self._others(choice, delta, index)
            if choice.get("finish_reason") is not None:
                steps.append(CloseAll((index,)))
        return steps

    @staticmethod
    def _others(choice: dict[str, Any], delta: dict[str, Any], index: Any) -> Iterator[Slot]:
        for slot in field_slots("assistant", delta, _SAID):
            yield slot._replace(channel=(index, slot.key), spoils=_spoils(choice), aside=True)
        for part in objects(delta.get("content")):
            for slot in field_slots("assistant", part, ("text",)):
                yield slot._replace(channel=(index, "content"), spoils=_spoils(choice))
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
        made = {key: self._event[key] for key in _COPIED if key in self._event}
        return {**made, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def open_slots() -> ChatSlots:
    """The texts of a streamed answer."""
    return ChatSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames()
