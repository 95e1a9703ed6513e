"""Where the texts of OpenAI responses are.

A stream says most things twice: in deltas, and whole at the end of a part, of an item and of the response. What is
said whole is treated as the deltas were, which gives the same. Events that are made shift the numbers of those that
follow.

*Source:* OpenAI API reference, "Create a model response", "The response object" and "Streaming events", as of 2026-11.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import (
    Channel,
    Close,
    CloseAll,
    Form,
    Slot,
    SseFrames,
    Step,
    field_slots,
    objects,
    text_slots,
)

_ROLES: dict[str, Scope] = {"system": "system", "developer": "system", "assistant": "assistant"}
_FIELDS: tuple[tuple[str, Scope, Form], ...] = (
    ("arguments", "tool_arguments", "json_text"),
    ("input", "tool_arguments", "text"),
    ("code", "tool_arguments", "text"),
    ("action", "tool_arguments", "json"),
    ("queries", "tool_arguments", "json"),
)
_PIECES: dict[str, tuple[str, Scope, Form, bool]] = {
    "response.output_text": ("text", "assistant", "text", False),
    "response.refusal": ("refusal", "assistant", "text", True),
    "response.reasoning_summary_text": ("text", "assistant", "text", True),
    "response.reasoning_text": ("text", "assistant", "text", True),
    "response.function_call_arguments": ("arguments", "tool_arguments", "json_text", False),
    "response.mcp_call_arguments": ("arguments", "tool_arguments", "json_text", False),
    "response.custom_tool_call_input": ("input", "tool_arguments", "text", False),
    "response.code_interpreter_call_code": ("code", "tool_arguments", "text", False),
    "response.audio.transcript": ("transcript", "assistant", "text", False),
}
"""Name of what comes in pieces -> field that says it whole, and how it is read."""
_PLACES = ("item_id", "output_index", "content_index", "summary_index")


def request_slots(body: Any) -> Iterator[Slot]:
    """Instructions, input, and the values of a prompt's variables."""
    yield from field_slots("system", body, ("instructions",))
    prompt = body.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("variables"), dict):
        yield Slot("user", prompt, "variables", "json")
    yield from field_slots("user", body, ("input",))
    for item in objects(body.get("input")):
        yield from _item(item, False)


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each item of the output says, and the instructions it repeats."""
    yield from field_slots("system", body, ("instructions",))
    for item in objects(body.get("output")):
        yield from _item(item, True)


def _item(item: dict[str, Any], reasoning: bool) -> Iterator[Slot]:
    kind = item.get("type", "message")
    if kind == "message":
        scope = _ROLES.get(str(item.get("role")), "user")
        yield from field_slots(scope, item, ("content",))
        yield from (slot for part in objects(item.get("content")) for slot in _part(part, scope))
        return
    if kind == "reasoning":
        # Sealed reasoning comes back as it was said; only what is read by people is in these.
        for key in ("summary", "content") if reasoning else ():
            for slot in text_slots("assistant", item, key):
                yield slot._replace(aside=True)
        return
    for field, scope, form in _FIELDS:
        if item.get(field) is not None and (form == "json" or isinstance(item[field], str)):
            yield Slot(scope, item, field, form)
    yield from text_slots("tool_result", item, "output")
    for part in objects(item.get("outputs")):
        yield from field_slots("tool_result", part, ("logs",))


def _part(part: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    spoils = ((part, "logprobs"),) if part.get("logprobs") else ()
    for slot in field_slots(scope, part, ("text", "transcript")):
        yield slot._replace(spoils=spoils)
    for slot in field_slots(scope, part, ("refusal",)):
        yield slot._replace(aside=True)


class ResponseSlots:
    """The texts of one stream."""

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}
        self._made = 0
        self.moved = False

    def read(self, event: Any) -> Sequence[Step]:
        """A delta, or what an event repeats; the number of an event is moved by those that were made."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        self.moved = False
        if self._made and isinstance(event.get("sequence_number"), int):
            event["sequence_number"] += self._made
            self.moved = True
        kind = event.get("type")
        name, _, what = kind.rpartition(".") if isinstance(kind, str) else ("", "", "")
        if name in _PIECES:
            return self._piece(event, name, what)
        return self._repeated(event, str(kind))

    @staticmethod
    def _piece(event: dict[str, Any], name: str, what: str) -> Sequence[Step]:
        field, scope, form, aside = _PIECES[name]
        channel = (name, *(event.get(place) for place in _PLACES))
        spoils = ((event, "logprobs"),) if event.get("logprobs") else ()
        if what == "delta" and isinstance(event.get("delta"), str):
            return (Slot(scope, event, "delta", form, channel, False, spoils, aside),)
        if what != "done":
            return ()
        said = [Slot(scope, event, field, form, (), True, spoils, aside)] if isinstance(event.get(field), str) else []
        return [Close(channel), *said]

    @staticmethod
    def _repeated(event: dict[str, Any], kind: str) -> Sequence[Step]:
        slots: list[Slot] = []
        part, item, response = event.get("part"), event.get("item"), event.get("response")
        if isinstance(part, dict):
            slots += _part(part, "assistant")
        if isinstance(item, dict):
            slots += _item(item, True)
        if isinstance(response, dict):
            slots += answer_slots(response)
        ends = kind in ("response.completed", "response.incomplete", "response.failed")
        told: list[Step] = [CloseAll()] if ends else []
        return told + [slot._replace(repeat=True) for slot in slots]

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A delta with the number of the event read last, which moves on by one."""
        name, *places = channel
        made: dict[str, Any] = {"type": f"{name}.delta"}
        made |= {key: place for key, place in zip(_PLACES, places, strict=True) if place is not None}
        made["delta"] = text
        number = self._event.get("sequence_number")
        if isinstance(number, int):
            made["sequence_number"] = number
            self._event["sequence_number"] = number + 1
            self._made += 1
            self.moved = True
        if name == "response.output_text":
            made["logprobs"] = []
        return made


def open_slots() -> ResponseSlots:
    """The texts of a streamed answer."""
    return ResponseSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames(named=True)
