"""Where the texts of Gemini's generateContent are. Both spellings of fields are read.

Parts of one kind that follow one another, in one event or in several, are one text; a part of another kind ends it.

*Source:* Gemini API reference, "Content", "Part", "GenerateContentResponse", "models.countTokens" and
"models.embedContent", as of 2026-11; protobuf's JSON mapping for the two spellings.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import (
    Beside,
    Channel,
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
)

_COPIED = ("modelVersion", "responseId")
_DEFINED = ("tools", "generationConfig", "generation_config")
_KNOWN = frozenset(
    ("systemInstruction", "system_instruction", "contents", "content", "generateContentRequest", "requests",
     "generate_content_request", "instances", "safetySettings", "safety_settings", "toolConfig", "tool_config",
     "cachedContent", "cached_content", "taskType", "task_type", "embedContentConfig", *_DEFINED)
)  # fmt: skip
_KNOWN_CANDIDATE = frozenset(("content", "index", "finishReason", "logprobsResult", "safetyRatings"))
_NESTED: tuple[tuple[str, tuple[str, ...], Scope, Form], ...] = (
    ("functionCall", ("args",), "tool_arguments", "json"),
    ("function_call", ("args",), "tool_arguments", "json"),
    ("functionResponse", ("response",), "tool_result", "json"),
    ("function_response", ("response",), "tool_result", "json"),
    ("executableCode", ("code",), "tool_arguments", "text"),
    ("executable_code", ("code",), "tool_arguments", "text"),
    ("codeExecutionResult", ("output",), "tool_result", "text"),
    ("code_execution_result", ("output",), "tool_result", "text"),
)

_KNOWN_PART = frozenset(
    ("text", "inlineData", "inline_data", "videoMetadata", "video_metadata", *(name for name, *_ in _NESTED))
)


def request_slots(body: Any) -> Iterator[Slot]:
    """Instructions and contents; also those of a request inside of one that counts, and of embeddings."""
    for key in ("systemInstruction", "system_instruction"):
        yield from _content(body.get(key), "system")
    for content in _contents(body):
        yield from _content(content, "assistant" if content.get("role") == "model" else "user")
    for key in ("generateContentRequest", "generate_content_request"):
        if isinstance(body.get(key), dict):
            yield from request_slots(body[key])
    for request in objects(body.get("requests")):
        yield from request_slots(request)
    for instance in objects(body.get("instances")):
        yield from field_slots("user", instance, ("content", "title"))
    for key in _DEFINED:
        if key in body:
            yield from leaf_slots("system", body, key)
    yield from rest_slots("user", body, _KNOWN)


def _contents(body: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield from objects(body.get("contents"))
    for key in ("contents", "content"):
        if isinstance(body.get(key), dict):
            yield body[key]


def _content(content: Any, scope: Scope) -> Iterator[Slot]:
    if isinstance(content, dict):
        parts = content.get("parts")
        for part in [parts] if isinstance(parts, dict) else objects(parts):
            yield from _part(part, scope)


def _part(part: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    for slot in field_slots(scope, part, ("text",)):
        yield slot._replace(aside=part.get("thought") is True)
    for name, fields, within, form in _NESTED:
        held = part.get(name)
        if isinstance(held, dict):
            yield from (Slot(within, held, field, form) for field in fields if held.get(field) is not None)
    yield from rest_slots(scope, part, _KNOWN_PART)


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each candidate says, and what is said about it (grounding, citations)."""
    for number, candidate in enumerate(objects(body.get("candidates"))):
        spoils = ((candidate, "logprobsResult"),) if candidate.get("logprobsResult") is not None else ()
        for slot in _joined(candidate.get("content"), number):
            yield slot._replace(spoils=spoils)
        yield from rest_slots("assistant", candidate, _KNOWN_CANDIDATE)


def _joined(content: Any, number: int) -> Iterator[Slot]:
    """The parts of an answer, of which texts of one kind that follow one another are one: callers join them."""
    run, last = 0, None
    for slot in _content(content, "assistant"):
        kind = slot.aside if slot.scope == "assistant" and not slot.unshown else None
        run += kind is None or kind is not last
        last = kind
        yield slot if kind is None else slot._replace(channel=(number, run))


class ContentSlots:
    """The texts of one stream."""

    moved = False
    repeats = False

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}

    def read(self, event: Any) -> Sequence[Step]:
        """The parts of an event; a finish reason ends the texts of its candidate."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        steps: list[Step] = []
        for candidate in objects(event.get("candidates")):
            index = place(candidate.get("index", 0))
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in objects(parts):
                self._take(part, index, steps)
            if candidate.get("logprobsResult") is not None:
                steps.append(Beside(candidate, "logprobsResult", (index,)))
            if not candidate.keys() <= _KNOWN_CANDIDATE:
                steps += rest_slots("assistant", candidate, _KNOWN_CANDIDATE)
            if candidate.get("finishReason") is not None:
                steps.append(CloseAll((index,)))
        return steps

    @staticmethod
    def _take(part: dict[str, Any], index: int | str, steps: list[Step]) -> None:
        kind, other = ("thought", "text") if part.get("thought") is True else ("text", "thought")
        if isinstance(part.get("text"), str):
            steps.append(CloseAll((index, other)))
            steps.append(Slot("assistant", part, "text", "text", (index, kind), aside=kind == "thought"))
            return
        steps.append(CloseAll((index,)))
        steps += _part(part, "assistant")

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A response with one part."""
        index, kind = channel
        part: dict[str, Any] = {"text": text, "thought": True} if kind == "thought" else {"text": text}
        made = {key: self._event[key] for key in _COPIED if key in self._event}
        return {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": index}], **made}


def open_slots() -> ContentSlots:
    """The texts of a streamed answer."""
    return ContentSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames()
