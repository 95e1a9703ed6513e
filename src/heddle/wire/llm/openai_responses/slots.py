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
    Beside,
    Channel,
    Close,
    CloseAll,
    Form,
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
_PLACES = ("item_id", "output_index", "content_index", "summary_index", "command_index")
_BYTES = ("response.audio", "response.image_generation_call")
_DEFINED = ("tools", "text")
_KNOWN = frozenset(
    ("instructions", "prompt", "input", "include", "tool_choice", "truncation", "service_tier", "reasoning",
     "previous_response_id", "conversation", *_DEFINED)
)  # fmt: skip
_KNOWN_ITEM = frozenset(
    ("call_id", "name", "status", "phase", "content", "summary", "output", "outputs", "result", "approval_request_id",
     "container_id", "background", "quality", "size", "created_by", *(field for field, _, _ in _FIELDS))
)  # fmt: skip
_KNOWN_PART = frozenset(("text", "transcript", "refusal", "logprobs", "detail"))
_KNOWN_EVENT = frozenset(("part", "item", "response", "partial_image_b64", "delta", *_PLACES))


def request_slots(body: Any) -> Iterator[Slot]:
    """Instructions, input, a prompt's variables, definitions of tools, and all that is set in words."""
    yield from field_slots("system", body, ("instructions",))
    prompt = body.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("variables"), dict):
        yield Slot("user", prompt, "variables", "json")
    yield from field_slots("user", body, ("input",))
    for item in objects(body.get("input")):
        yield from _item(item, not item.get("encrypted_content"))
    for key in _DEFINED:
        if key in body:
            yield from leaf_slots("system", body, key)
    yield from rest_slots("user", body, _KNOWN)


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
        yield from rest_slots(scope, item, _KNOWN_ITEM)
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
    for part in objects(item.get("output")):
        yield from rest_slots("tool_result", part, _KNOWN_PART)
    for part in objects(item.get("outputs")):
        yield from field_slots("tool_result", part, ("logs",))
    yield from rest_slots("tool_result", item, _KNOWN_ITEM)


def _part(part: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    spoils = ((part, "logprobs"),) if part.get("logprobs") else ()
    for slot in field_slots(scope, part, ("text", "transcript")):
        yield slot._replace(spoils=spoils)
    for slot in field_slots(scope, part, ("refusal",)):
        yield slot._replace(aside=True)
    yield from rest_slots(scope, part, _KNOWN_PART)


def _delta(event: dict[str, Any], slot: Slot) -> Sequence[Step]:
    """A piece of a text; of deltas that are no strings, each string is a text."""
    if not isinstance(event.get("delta"), str):
        return list(leaf_slots(slot.scope, event, "delta")) if "delta" in event else ()
    return (slot, Beside(event, "logprobs", slot.channel)) if event.get("logprobs") else (slot,)


class ResponseSlots:
    """The texts of one stream."""

    repeats = True

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
        if name in _PIECES or (what == "delta" and name not in _BYTES):
            return self._piece(event, name, what)
        return self._repeated(event, str(kind))

    @staticmethod
    def _piece(event: dict[str, Any], name: str, what: str) -> Sequence[Step]:
        field, scope, form, aside = _PIECES.get(name, ("", "tool_result", "text", True))
        channel = (name, *(place(event[key]) if key in event else None for key in _PLACES))
        spoils = ((event, "logprobs"),) if event.get("logprobs") else ()
        if what == "delta":
            return _delta(event, Slot(scope, event, "delta", form, channel, aside=aside))
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
        if kind.rpartition(".")[0] not in _BYTES:
            slots += rest_slots("tool_result", event, _KNOWN_EVENT)
        told: list[Step] = [CloseAll()] if ends else []
        if kind.endswith(".done"):
            told = [CloseAll((kind.removesuffix(".done"),))]
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
