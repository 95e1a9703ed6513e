"""Canonical parts as content blocks for Bedrock.

Owns the form of each block and the format's own demands: no blank texts, results of tools first in their message,
neutral and unique names of documents, ids of calls from a small alphabet.

*Source:* Amazon Bedrock API Reference, "Message" (restrictions), "ContentBlock", "DocumentBlock" (characters of
`name`), "ToolUseBlock" (pattern of `toolUseId`), "ToolResultBlock", as of 2026-11.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from heddle.wire.canonical.request import Cache, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.llm.bedrock.answer import arguments_document
from heddle.wire.llm.bedrock.names import FORMATS, MEDIA_TYPES, own_proof

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_MAX_NAME_CHARS = 180

Block = dict[str, Any]


class Blocks:
    """Writes the blocks of one request; documents of a request need names of their own."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: set[str] = set()

    def message(self, parts: Iterable[Part], role: str) -> list[Block]:
        """The blocks of one message; may be none. Raises UntranslatableError for a format that Bedrock has not."""
        results: list[Block] = []
        others: list[Block] = []
        for part in parts:
            into = results if isinstance(part, ToolResult) else others
            block = self._block(part)
            if block is not None:
                into.append(block)
            add_cache_point(into, part)
        return results + others if role == "user" else others + results

    def _block(self, part: Part) -> Block | None:
        if isinstance(part, Text | Refusal):
            return {"text": part.text} if carries(part) else None
        if isinstance(part, Media):
            return self._media(part)
        if isinstance(part, ToolCall):
            document = arguments_document(part.arguments or "{}")
            return {"toolUse": {"toolUseId": call_id(part.id), "name": part.name, "input": document}}
        if isinstance(part, ToolResult):
            return self._result(part)
        return _thinking(part)

    def _result(self, part: ToolResult) -> Block:
        content = [block for inner in part.parts if (block := self._block(inner)) is not None]
        if any("audio" in block for block in content):
            raise UntranslatableError("messages: audio in tool results cannot be carried to Bedrock.", param="messages")
        result: Block = {"toolUseId": call_id(part.call_id), "content": content}
        if part.is_error:
            result["status"] = "error"
        return {"toolResult": result}

    def _media(self, part: Media) -> Block:
        if not part.data and not part.text:
            raise UntranslatableError(f"messages: {part.kind} by URL cannot be carried to Bedrock.", param="messages")
        form = file_format(part)
        source = {"bytes": part.data} if part.data else {"text": part.text}
        block: Block = {"format": form, "source": source}
        if part.kind == "document":
            block["name"] = self._name(part.name, form)
        return {part.kind: block}

    def _name(self, given: str, form: str) -> str:
        """A name with the characters that are allowed, and not given before."""
        stem = given.rpartition("/")[2].removesuffix(f".{form}")
        base = _NOT_IN_NAMES.sub(" ", stem).strip()[:_MAX_NAME_CHARS].strip() or "document"
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base} {number}"
        self._names.add(name)
        return name


def carries(part: Part) -> bool:
    """Whether a part becomes a block: blank text does not, nor thinking without a proof of Bedrock's own."""
    if isinstance(part, Text | Refusal):
        return bool(part.text.strip())
    return not isinstance(part, Thinking) or bool(own_proof(part.signature) or own_proof(part.redacted))


def add_cache_point(blocks: list[Block], part: Part) -> None:
    """The mark of a part, after what it marks; one that would follow nothing marks nothing."""
    inner = part.parts if isinstance(part, ToolResult) else ()
    marks = [getattr(one, "cache", None) for one in (part, *inner)]
    cache = next((mark for mark in marks if mark is not None), None)
    if cache is not None and blocks and "cachePoint" not in blocks[-1]:
        blocks.append(cache_point(cache))


def _thinking(part: Thinking) -> Block | None:
    signature, redacted = own_proof(part.signature), own_proof(part.redacted)
    if signature:
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": signature}}}
    return {"reasoningContent": {"redactedContent": redacted}} if redacted else None


def cache_point(cache: Cache) -> Block:
    """`CachePointBlock`."""
    point = {"type": "default"}
    if cache.ttl:
        point["ttl"] = cache.ttl
    return {"cachePoint": point}


def call_id(given: str) -> str:
    """An id that Bedrock takes: the given one if it does, otherwise one made of it, the same for call and result."""
    return given if _ID.fullmatch(given) else f"call_{sha256(given.encode()).hexdigest()[:40]}"


def file_format(part: Media) -> str:
    """Bedrock's `format` by media type, otherwise by the end of the name. Raises UntranslatableError."""
    media_type = part.media_type.partition(";")[0].strip().lower()
    if part.text and not media_type:
        return "txt"
    known = FORMATS[part.kind].get(media_type)
    ending = part.name.rpartition(".")[2].lower()
    if known is None and ending in MEDIA_TYPES[part.kind]:
        known = ending
    if known is None and part.text:
        known = "txt"
    if known is None:
        takes = ", ".join(MEDIA_TYPES[part.kind])
        raise UntranslatableError(f"messages: Bedrock takes {part.kind}s only as {takes}.", param="messages")
    return known
