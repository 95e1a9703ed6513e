"""Where the texts of Gemini's generateContent are. Both spellings of fields are read.

Parts of one kind that follow one another, in one event or in several, are one text; a part of another kind ends it.

*Source:* Gemini API reference, "Content", "Part", "GenerateContentResponse", "models.countTokens" and
"models.embedContent", as of 2026-11; protobuf's JSON mapping for the two spellings.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import Channel, CloseAll, Form, Slot, SseFrames, Step, field_slots, objects

_COPIED = ("modelVersion", "responseId")
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


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each candidate says."""
    for candidate in objects(body.get("candidates")):
        yield from _content(candidate.get("content"), "assistant")


class ContentSlots:
    """The texts of one stream."""

    moved = False

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}

    def read(self, event: Any) -> Sequence[Step]:
        """The parts of an event; a finish reason ends the texts of its candidate."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        steps: list[Step] = []
        for candidate in objects(event.get("candidates")):
            index = candidate.get("index", 0)
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in objects(parts):
                self._take(part, index, _spoils(candidate), steps)
            if candidate.get("finishReason") is not None:
                steps.append(CloseAll((index,)))
        return steps

    @staticmethod
    def _take(part: dict[str, Any], index: Any, spoils: tuple[tuple[Any, Any], ...], steps: list[Step]) -> None:
        kind, other = ("thought", "text") if part.get("thought") is True else ("text", "thought")
        if isinstance(part.get("text"), str):
            steps.append(CloseAll((index, other)))
            slot = Slot("assistant", part, "text", "text", (index, kind), spoils=spoils, aside=kind == "thought")
            steps.append(slot)
            return
        steps.append(CloseAll((index,)))
        steps += _part(part, "assistant")

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A response with one part."""
        index, kind = channel
        part: dict[str, Any] = {"text": text, "thought": True} if kind == "thought" else {"text": text}
        made = {key: self._event[key] for key in _COPIED if key in self._event}
        return {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": index}], **made}


def _spoils(candidate: dict[str, Any]) -> tuple[tuple[Any, Any], ...]:
    return ((candidate, "logprobsResult"),) if candidate.get("logprobsResult") is not None else ()


def open_slots() -> ContentSlots:
    """The texts of a streamed answer."""
    return ContentSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames()
