"""Conversations as Anthropic takes them.

Owns the rules of turns: neighbours of one role are one turn, results of tools stand first in theirs and answer exactly
the calls of the turn before, thinking stands first and goes back only to who proved it, text without a visible letter
is left out ("text content blocks must contain non-whitespace text"). Identifiers of calls that other vendors made are
spelled anew where Anthropic would refuse them.

*Source:* Anthropic API reference, "Create a message", `messages`; "Handle tool calls", "Tool result formatting";
"Extended thinking", "Preserving thinking blocks"; "Vision"; "PDF support", as of 2026-11.
"""

import base64
import binascii
import re
from collections.abc import Iterable

from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    instructions,
    turns,
)
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.llm.anthropic import signatures
from heddle.wire.llm.anthropic.answer import Block, arguments, redacted

_ODD = re.compile(r"[^a-zA-Z0-9_-]")
_IMAGES = (("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp"))
_UNPAIRED = "every tool call needs its result in the turn that follows, and every result its call."


def encode_system(request: ChatRequest) -> list[Block]:
    """All instructions as blocks of `system`, with their cache marks. Raises UntranslatableError."""
    blocks: list[Block] = []
    for part in instructions(request.messages):
        if not isinstance(part, Text):
            raise UntranslatableError("messages: instructions can only be text for Anthropic.", param="messages")
        _append_text(blocks, part)
    return blocks


def encode_messages(request: ChatRequest, notes: Notes) -> list[Block]:
    """The turns. Raises UntranslatableError when calls and results do not pair, or there is nothing to send."""
    conversation = turns(request.messages)
    _check_pairs(conversation)
    writer = _Writer(notes)
    said: list[Block] = [
        {"role": turn.role, "content": blocks} for turn in conversation if (blocks := writer.blocks(turn))
    ]
    if not said:
        raise UntranslatableError("messages: Anthropic needs a message with content.", param="messages")
    return said


def _check_pairs(conversation: list[Message]) -> None:
    """An unanswered call, or an answer to none, is an error there: said here, where the place has a name."""
    called: list[str] = []
    for turn in conversation:
        answered = [part.call_id for part in turn.parts if isinstance(part, ToolResult)]
        if sorted(answered) != sorted(called):
            raise UntranslatableError(f"messages: {_UNPAIRED}", param="messages")
        called = [part.id for part in turn.parts if isinstance(part, ToolCall)]
    if called:
        raise UntranslatableError(f"messages: {_UNPAIRED}", param="messages")


class _Writer:
    """Writes the blocks of one conversation."""

    __slots__ = ("_ids", "_notes", "_taken")

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._ids: dict[str, str] = {}
        self._taken: set[str] = set()

    def blocks(self, turn: Message) -> list[Block]:
        """The blocks of one turn, in the order that Anthropic wants."""
        blocks: list[Block] = []
        for part in _ordered(turn):
            if isinstance(part, Thinking):
                blocks += self._thinking(part)
            elif isinstance(part, ToolCall):
                block: Block = {"type": "tool_use", "id": self._id(part.id), "name": part.name}
                blocks.append({**block, "input": arguments(part.arguments), **mark(part.cache)})
            elif isinstance(part, ToolResult):
                blocks.append(self._result(part))
            else:
                _append(blocks, part)
        return blocks

    def _thinking(self, part: Thinking) -> list[Block]:
        blocks: list[Block] = []
        signature, data = signatures.for_vendor(part.signature), signatures.for_vendor(part.redacted)
        if signature:
            blocks.append({"type": "thinking", "thinking": part.text, "signature": signature})
        if data:
            blocks.append(redacted(data))
        if not blocks and "thinking" not in self._notes.dropped:
            self._notes.dropped.append("thinking")
        return blocks

    def _result(self, part: ToolResult) -> Block:
        content: list[Block] = []
        for inner in part.parts:
            _append(content, inner)
        block: Block = {"type": "tool_result", "tool_use_id": self._id(part.call_id)}
        if content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return {**block, **mark(part.cache)}

    def _id(self, given: str) -> str:
        """`given`, or what stands for it: letters, digits, `_` and `-` only, different from all others."""
        known = self._ids.get(given)
        if known is None:
            clean = known = _ODD.sub("_", given) or "call"
            count = 1
            while known in self._taken:
                count += 1
                known = f"{clean}_{count}"
            self._taken.add(known)
            self._ids[given] = known
        return known


def _ordered(turn: Message) -> Iterable[Part]:
    first = ToolResult if turn.role == "user" else Thinking
    if turn.role == "assistant" and turn.parts and isinstance(turn.parts[0], Thinking):
        # Already first; thinking between calls has its place, and blocks must come back in their order.
        return turn.parts
    return sorted(turn.parts, key=lambda part: not isinstance(part, first))


def _append(blocks: list[Block], part: Part) -> None:
    if isinstance(part, Text):
        _append_text(blocks, part)
    elif isinstance(part, Refusal):
        _append_text(blocks, Text(text=part.text))
    elif isinstance(part, Media):
        blocks.append({**_media(part), **mark(part.cache)})


def _append_text(blocks: list[Block], part: Text) -> None:
    if part.text.strip():
        blocks.append({"type": "text", "text": part.text, **mark(part.cache)})
    elif part.cache is not None and blocks and blocks[-1]["type"] not in ("thinking", "redacted_thinking"):
        # The mark says "up to here", which is now the end of the block before.
        blocks[-1].setdefault("cache_control", mark(part.cache)["cache_control"])


def mark(cache: Cache | None) -> Block:
    """`cache_control` as a field to add; none without a mark."""
    if cache is None:
        return {}
    return {"cache_control": {"type": "ephemeral", **({"ttl": cache.ttl} if cache.ttl else {})}}


def _media(part: Media) -> Block:
    if part.kind == "image":
        return {"type": "image", "source": _image_source(part)}
    block: Block = {"type": "document", "source": _document_source(part)}
    if part.name:
        block["title"] = part.name
    return block


def _image_source(part: Media) -> Block:
    if part.url:
        return {"type": "url", "url": part.url}
    sniffed = next((kind for begin, kind in _IMAGES if part.data.startswith(begin)), "")
    media_type = part.media_type or sniffed
    if not media_type:
        raise UntranslatableError("messages: an image needs its media type.", param="messages")
    return {"type": "base64", "media_type": media_type, "data": part.data}


def _document_source(part: Media) -> Block:
    """PDF as it is, plain text as text; what else there is the vendor may judge."""
    if part.url:
        return {"type": "url", "url": part.url}
    if not part.data:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    if part.media_type.startswith("text/"):
        try:
            text = base64.b64decode(part.data, validate=True).decode()
        except (binascii.Error, ValueError) as exc:
            raise UntranslatableError("messages: a text document is not base64 of UTF-8.", param="messages") from exc
        return {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "base64", "media_type": part.media_type or "application/pdf", "data": part.data}
