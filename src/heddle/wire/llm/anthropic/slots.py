"""Where the texts of Anthropic messages are.

Signed thinking in requests is not read: it is the model's own, was guarded when it was said, and its signature holds
only for the very words. Thinking that a guard changes in an answer cannot be sent back for the same reason.

*Source:* Anthropic API reference, "Create a Message", "Streaming Messages", "Count tokens", as of 2026-11.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import (
    Channel,
    Close,
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

_KNOWN = frozenset(("system", "messages", "tools", "tool_choice", "service_tier", "container", "betas"))
_NO_KNOWN: frozenset[str] = frozenset()
_NO_WORDS = ("thinking", "redacted_thinking", "image", "container_upload")
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_DELTAS: dict[str, tuple[str, Scope]] = {
    "text_delta": ("text", "assistant"),
    "thinking_delta": ("thinking", "assistant"),
    "input_json_delta": ("partial_json", "tool_arguments"),
}
_TYPES = {field: kind for kind, (field, _) in _DELTAS.items()}


def request_slots(body: Any) -> Iterator[Slot]:
    """The instructions, the blocks of all turns, definitions of tools, and all that is set in words."""
    yield from text_slots("system", body, "system")
    for message in objects(body.get("messages")):
        scope: Scope = "assistant" if message.get("role") == "assistant" else "user"
        if isinstance(message.get("content"), str):
            yield Slot(scope, message, "content")
        for block in objects(message.get("content")):
            yield from _block(block, scope)
            if block.get("type") == "thinking" and not block.get("signature"):
                yield from field_slots("assistant", block, ("thinking",))
    if "tools" in body:
        yield from leaf_slots("system", body, "tools")
    yield from rest_slots("user", body, _KNOWN)


def answer_slots(body: Any) -> Iterator[Slot]:
    """What each block says."""
    for block in objects(body.get("content")):
        yield from _block(block, "assistant")
        if block.get("type") == "thinking":
            for slot in field_slots("assistant", block, ("thinking",)):
                yield slot._replace(aside=True)


def _block(block: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    kind = block.get("type")
    if kind == "text":
        yield from field_slots(scope, block, ("text",))
        yield from leaf_slots(scope, block, "citations") if "citations" in block else ()
    elif kind in _CALLS:
        if block.get("input") is not None:
            yield Slot("tool_arguments", block, "input", "json")
    elif isinstance(kind, str) and kind.endswith("tool_result"):
        yield from _result(block)
    elif kind in ("document", "search_result"):
        yield from _document(block, scope)
    elif kind not in _NO_WORDS:
        yield from rest_slots(scope, block, _NO_KNOWN)


def _result(block: dict[str, Any]) -> Iterator[Slot]:
    content = block.get("content")
    if isinstance(content, str):
        yield Slot("tool_result", block, "content")
    elif isinstance(content, dict):
        for slot in leaf_slots("tool_result", block, "content"):
            yield slot._replace(unshown=False)
    for part in objects(content):
        kind = part.get("type")
        if kind in ("document", "search_result") and "source" in part:
            yield from _document(part, "tool_result")
        elif kind == "text":
            yield from field_slots("tool_result", part, ("text",))
        elif kind not in _NO_WORDS:
            yield from rest_slots("tool_result", part, _NO_KNOWN)


def _document(block: dict[str, Any], scope: Scope) -> Iterator[Slot]:
    """A document whose text is in it, or what a search found."""
    if block.get("type") not in ("document", "search_result"):
        return
    yield from field_slots(scope, block, ("title", "context", "source"))
    source = block.get("source")
    if isinstance(source, dict):
        if source.get("type") == "text":
            yield from field_slots(scope, source, ("data",))
        yield from text_slots(scope, source, "content")
    yield from (slot for part in objects(block.get("content")) for slot in field_slots(scope, part, ("text",)))


class MessageSlots:
    """The texts of one stream."""

    moved = False
    repeats = False

    def read(self, event: Any) -> Sequence[Step]:
        """The delta of an event; the end of its block, or a signature, ends its text."""
        if not isinstance(event, dict):
            return ()
        kind, index = event.get("type"), place(event.get("index"))
        if kind == "content_block_delta":
            return self._delta(event.get("delta"), index)
        if kind == "content_block_stop":
            return (CloseAll((index,)),)
        if kind in ("message_delta", "message_stop"):
            return (CloseAll(),)
        block = event.get("content_block")
        if kind != "content_block_start" or not isinstance(block, dict):
            return ()
        # What a block begins with is the beginning of its text, or all there is (results of tools).
        if block.get("type") == "text":
            return [slot._replace(channel=(index, "text")) for slot in field_slots("assistant", block, ("text",))]
        return [slot for slot in _block(block, "assistant") if slot.scope != "tool_arguments" or slot.form != "json"
                or block.get("input")]  # fmt: skip

    @staticmethod
    def _delta(delta: Any, index: Any) -> Sequence[Step]:
        if not isinstance(delta, dict):
            return ()
        kind = delta.get("type")
        known = _DELTAS.get(kind) if isinstance(kind, str) else None
        if known is None:
            if kind == "signature_delta":
                return (Close((index, "thinking")),)
            return list(rest_slots("assistant", delta, _NO_KNOWN))
        field, scope = known
        if not isinstance(delta.get(field), str):
            return ()
        form = "json_text" if scope == "tool_arguments" else "text"
        aside = field == "thinking"
        return (Slot(scope, delta, field, form, (index, field), aside=aside),)  # type: ignore[arg-type]

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A delta of a block."""
        index, field = channel
        return {"type": "content_block_delta", "index": index, "delta": {"type": _TYPES[str(field)], str(field): text}}


def open_slots() -> MessageSlots:
    """The texts of a streamed answer."""
    return MessageSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames(named=True)
