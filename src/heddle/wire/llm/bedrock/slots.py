"""Where the texts of Bedrock Converse are. Of signed reasoning in requests nothing is read, as its words are proven.

*Source:* Amazon Bedrock API Reference, "Converse", "ContentBlock", "ConverseStreamOutput", as of 2026-11.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from heddle.model.snapshot_guards import Scope
from heddle.wire import eventstream
from heddle.wire.llm.slots import (
    Channel,
    Close,
    CloseAll,
    Slot,
    Step,
    decode,
    encode,
    field_slots,
    leaf_slots,
    objects,
    place,
    rest_slots,
    unreadable,
)

_KNOWN = frozenset(
    ("system", "messages", "promptVariables", "toolConfig", "guardrailConfig", "performanceConfig", "serviceTier",
     "additionalModelResponseFieldPaths")
)  # fmt: skip
_KNOWN_BLOCK = frozenset(
    ("text", "toolUse", "toolResult", "document", "guardContent", "reasoningContent", "image", "video", "audio",
     "cachePoint")
)  # fmt: skip
_KNOWN_RESULT = frozenset(("text", "json", "document", "image", "video"))
_EVENT = "contentBlockDelta"
_FIELDS = {"text": "text", "reasoning": "text", "tool": "input"}


def request_slots(body: Any) -> Iterator[Slot]:
    """Instructions, turns, and the variables of a managed prompt."""
    for block in objects(body.get("system")):
        yield from field_slots("system", block, ("text",))
    for message in objects(body.get("messages")):
        scope: Scope = "assistant" if message.get("role") == "assistant" else "user"
        yield from _blocks(message.get("content"), scope)
        for block in objects(message.get("content")):
            told = _reasoning(block)
            if told is not None and not told.get("signature"):
                yield from field_slots("assistant", told, ("text",))
    if isinstance(body.get("promptVariables"), dict):
        yield Slot("user", body, "promptVariables", "json")
    if "toolConfig" in body:
        yield from leaf_slots("system", body, "toolConfig")
    yield from rest_slots("user", body, _KNOWN)


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each block says."""
    output = body.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    yield from _blocks(content, "assistant")
    for block in objects(content):
        told = _reasoning(block)
        if told is not None:
            for slot in field_slots("assistant", told, ("text",)):
                yield slot._replace(aside=True)


def _reasoning(block: dict[str, Any]) -> dict[str, Any] | None:
    held = block.get("reasoningContent")
    told = held.get("reasoningText") if isinstance(held, dict) else None
    return told if isinstance(told, dict) else None


def _blocks(content: Any, scope: Scope) -> Iterator[Slot]:
    for block in objects(content):
        yield from field_slots(scope, block, ("text",))
        called, result, document = block.get("toolUse"), block.get("toolResult"), block.get("document")
        if isinstance(called, dict) and called.get("input") is not None:
            yield Slot("tool_arguments", called, "input", "json")
        if isinstance(result, dict):
            yield from _result(result)
        if isinstance(document, dict):
            yield from _document(document, scope)
        guarded = block.get("guardContent")
        if isinstance(guarded, dict) and isinstance(guarded.get("text"), dict):
            yield from field_slots(scope, guarded["text"], ("text",))
        for slot in rest_slots(scope, block, _KNOWN_BLOCK):
            yield slot._replace(unshown=False)


def _result(result: dict[str, Any]) -> Iterator[Slot]:
    for part in objects(result.get("content")):
        yield from field_slots("tool_result", part, ("text",))
        if part.get("json") is not None:
            yield Slot("tool_result", part, "json", "json")
        if isinstance(part.get("document"), dict):
            yield from _document(part["document"], "tool_result")
        yield from rest_slots("tool_result", part, _KNOWN_RESULT)


def _document(document: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    """A document whose text is in it; one that is given as bytes is not read."""
    yield from field_slots(scope, document, ("name", "context"))
    source = document.get("source")
    if isinstance(source, dict):
        yield from field_slots(scope, source, ("text",))
        for part in objects(source.get("content")):
            yield from field_slots(scope, part, ("text",))


class ConverseSlots:
    """The texts of one stream. An event is its value under its own name."""

    moved = False
    repeats = False

    def read(self, event: Any) -> Sequence[Step]:
        """The delta of an event; the end of its block, or a signature, ends its text."""
        told = event.get(_EVENT)
        if isinstance(told, dict):
            delta = told.get("delta")
            return self._delta(delta, place(told.get("contentBlockIndex", 0))) if isinstance(delta, dict) else ()
        ended = event.get("contentBlockStop")
        if isinstance(ended, dict):
            return (CloseAll((place(ended.get("contentBlockIndex", 0)),)),)
        return (CloseAll(),) if "messageStop" in event else ()

    @staticmethod
    def _delta(delta: dict[str, Any], index: Any) -> Sequence[Step]:
        if isinstance(delta.get("text"), str):
            return (Slot("assistant", delta, "text", "text", (index, "text")),)
        called, thought = delta.get("toolUse"), delta.get("reasoningContent")
        if isinstance(called, dict) and isinstance(called.get("input"), str):
            return (Slot("tool_arguments", called, "input", "json_text", (index, "tool")),)
        if isinstance(thought, dict) and isinstance(thought.get("text"), str):
            return (Slot("assistant", thought, "text", "text", (index, "reasoning"), aside=True),)
        if isinstance(thought, dict):
            return (Close((index, "reasoning")),)
        return list(rest_slots("assistant", delta, _KNOWN_BLOCK))

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A delta of a block."""
        index, kind = channel
        delta: dict[str, Any] = {_FIELDS[str(kind)]: text}
        if kind != "text":
            delta = {"toolUse" if kind == "tool" else "reasoningContent": delta}
        return {_EVENT: {"contentBlockIndex": index, "delta": delta}}


class ConverseFrames:
    """Frames of Amazon's event stream, each a JSON value under the name of its event."""

    def __init__(self) -> None:
        self._splitter = eventstream.Splitter()

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Whole frames. Raises ProtocolError."""
        frames = self._splitter.feed(data)
        if self._splitter.failure is not None:
            raise self._splitter.failure
        return frames

    def read(self, frame: bytes) -> Any:
        """The value of an event; None for exceptions. Raises ProtocolError for one that cannot be read."""
        told = eventstream.decode(frame)
        name = told.headers.get(":event-type")
        if not isinstance(name, str):
            return None
        try:
            return {name: decode(told.payload)}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise unreadable() from exc

    def write(self, event: Any, frame: bytes) -> bytes:
        """A frame with this value; one that was made has the headers of its kind."""
        ((name, value),) = event.items()
        headers = eventstream.decode(frame).headers if frame else {
            ":event-type": name, ":content-type": "application/json", ":message-type": "event",
        }  # fmt: skip
        return eventstream.encode(headers, encode(value))

    def ends(self, frame: bytes) -> bool:
        """None does: answers end with an event."""
        del frame
        return False


def open_slots() -> ConverseSlots:
    """The texts of a streamed answer."""
    return ConverseSlots()


def open_frames() -> ConverseFrames:
    """The frames of a streamed answer."""
    return ConverseFrames()
