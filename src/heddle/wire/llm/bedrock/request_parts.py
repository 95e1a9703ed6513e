"""Content blocks of a Converse request as canonical parts.

Owns the reading of each kind of block. A block is one member of a union; one that is none of them, or is known here
and cannot leave Bedrock, is refused with its place.

*Source:* Amazon Bedrock API Reference, "ContentBlock", "ToolResultContentBlock", "CachePointBlock",
"ReasoningContentBlock", and the service model of botocore 1.44, as of 2026-11.
"""

import binascii
from collections.abc import Sequence
from typing import Literal

import msgspec

from heddle.wire.canonical.request import Cache, Media, Part, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.bedrock.names import (
    MEDIA_TYPES,
    call_proof_from_caller,
    proof_from_caller,
    redacted_from_caller,
)


class CachePoint(msgspec.Struct, gc=False):
    """`CachePointBlock`."""

    type: str = "default"
    ttl: str | None = None


class WireGuard(msgspec.Struct, gc=False):
    """`GuardrailConverseContentBlock`: that it is there is all that matters."""


class _Words(msgspec.Struct, gc=False):
    text: str


class _Source(msgspec.Struct, gc=False):
    bytes: str | None = None
    text: str | None = None
    content: list[_Words] | None = None
    s3Location: dict[str, msgspec.Raw] | None = None  # noqa: N815


class _File(msgspec.Struct, gc=False):
    source: _Source
    format: str | None = None
    name: str | None = None
    context: str | None = None
    citations: dict[str, msgspec.Raw] | None = None


class _ToolUse(msgspec.Struct, gc=False):
    toolUseId: str  # noqa: N815
    name: str
    input: msgspec.Raw
    type: str | None = None


class _Search(msgspec.Struct, gc=False):
    source: str
    title: str
    content: list[_Words]


class _ResultBlock(msgspec.Struct, gc=False):
    json: msgspec.Raw = msgspec.Raw()
    text: str | None = None
    image: _File | None = None
    document: _File | None = None
    video: _File | None = None
    searchResult: _Search | None = None  # noqa: N815


class _ToolResult(msgspec.Struct, gc=False):
    toolUseId: str  # noqa: N815
    content: list[_ResultBlock]
    status: str | None = None
    type: str | None = None


class _ReasoningText(msgspec.Struct, gc=False):
    text: str
    signature: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    reasoningText: _ReasoningText | None = None  # noqa: N815
    redactedContent: str | None = None  # noqa: N815


class _Cited(msgspec.Struct, gc=False):
    content: list[_Words] | None = None


class WireBlock(msgspec.Struct, gc=False):
    """`ContentBlock`; members that are not read here are `UNCARRIED`."""

    text: str | None = None
    image: _File | None = None
    document: _File | None = None
    video: _File | None = None
    audio: _File | None = None
    toolUse: _ToolUse | None = None  # noqa: N815
    toolResult: _ToolResult | None = None  # noqa: N815
    cachePoint: CachePoint | None = None  # noqa: N815
    reasoningContent: _Reasoning | None = None  # noqa: N815
    citationsContent: _Cited | None = None  # noqa: N815
    searchResult: _Search | None = None  # noqa: N815
    guardContent: WireGuard | None = None  # noqa: N815
    toolAddition: WireGuard | None = None  # noqa: N815
    toolRemoval: WireGuard | None = None  # noqa: N815


_UNCARRIED = ("guardContent", "toolAddition", "toolRemoval")
_Kind = Literal["image", "document", "video", "audio"]
_KINDS: tuple[_Kind, ...] = ("image", "document", "video", "audio")


class Collected:
    """Parts as they are read, and `other` for the names of what has no place among them."""

    __slots__ = ("other", "parts")

    def __init__(self, other: list[str]) -> None:
        self.parts: list[Part] = []
        self.other = other

    def mark(self, point: CachePoint) -> None:
        """Put a cache point on what stands before it; one that follows nothing is named in `other`."""
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Text | Media | ToolCall | ToolResult):
            self.parts[-1] = msgspec.structs.replace(last, cache=Cache(ttl=point.ttl or ""))
        else:
            self.other.append("cachePoint")

    def reason(self, block: _Reasoning, at: str) -> None:
        """Add thinking, or to the call before it the proof that `answer` wrote behind it."""
        last = self.parts[-1] if self.parts else None
        proof = _call_proof(block) if isinstance(last, ToolCall) else ""
        if isinstance(last, ToolCall) and proof:
            self.parts[-1] = msgspec.structs.replace(last, signature=proof)
        else:
            self.parts.append(_thinking(block, at))


def read(blocks: Sequence[WireBlock], at: str, other: list[str]) -> tuple[Part, ...]:
    """The parts of one message. Raises ProtocolError with the place, UntranslatableError for what only Bedrock has."""
    found = Collected(other)
    for index, block in enumerate(blocks):
        _read_block(found, block, f"{at}[{index}]")
    return tuple(found.parts)


def _read_block(found: Collected, block: WireBlock, at: str) -> None:
    if block.text is not None:
        found.parts.append(Text(text=block.text))
    elif block.cachePoint is not None:
        found.mark(block.cachePoint)
    elif block.toolUse is not None:
        found.parts.append(_tool_call(block.toolUse, at))
    elif block.toolResult is not None:
        found.parts.append(_tool_result(block.toolResult, at, found.other))
    elif block.reasoningContent is not None:
        found.reason(block.reasoningContent, f"{at}.reasoningContent")
    else:
        _read_rarer(found, block, at)


def _read_rarer(found: Collected, block: WireBlock, at: str) -> None:
    for kind in _KINDS:
        file = getattr(block, kind)
        if file is not None:
            found.parts.append(_media(kind, file, f"{at}.{kind}", found.other))
            return
    if block.searchResult is not None:
        found.parts.append(_search(block.searchResult, found.other))
        return
    if block.citationsContent is not None:
        found.other.append("citationsContent.citations")
        found.parts += [Text(text=words.text) for words in block.citationsContent.content or ()]
        return
    for name in _UNCARRIED:
        if getattr(block, name) is not None:
            raise UntranslatableError(f"{at}.{name}: this exists only at Amazon Bedrock.", param=f"{at}.{name}")
    raise ProtocolError(f"{at}: not a kind of content that is known.", param=at)


def _tool_call(use: _ToolUse, at: str) -> ToolCall:
    if use.type is not None:
        raise UntranslatableError(f"{at}.toolUse: a call of a tool that Bedrock runs exists only there.", param=at)
    arguments = bytes(use.input).decode()
    if arguments.startswith('"'):
        # As `answer` writes a model's arguments that are no JSON.
        arguments = msgspec.json.decode(use.input, type=str)
    elif not arguments.startswith("{"):
        raise ProtocolError(f"{at}.toolUse.input: expected an object.", param=f"{at}.toolUse.input")
    return ToolCall(id=use.toolUseId, name=use.name, arguments=arguments)


def _tool_result(result: _ToolResult, at: str, other: list[str]) -> ToolResult:
    if result.type is not None:
        raise UntranslatableError(f"{at}.toolResult: a result of a tool that Bedrock runs exists only there.", param=at)
    if result.status not in (None, "success", "error"):
        raise ProtocolError(f"{at}.toolResult.status: expected success or error.", param=f"{at}.toolResult.status")
    parts = [
        _result_part(block, f"{at}.toolResult.content[{index}]", other) for index, block in enumerate(result.content)
    ]
    return ToolResult(call_id=result.toolUseId, parts=tuple(parts), is_error=result.status == "error")


def _result_part(block: _ResultBlock, at: str, other: list[str]) -> Text | Media:
    if block.text is not None:
        return Text(text=block.text)
    raw = bytes(block.json)
    if raw:
        return Text(text=raw.decode())
    for kind in _KINDS[:3]:
        file = getattr(block, kind)
        if file is not None:
            return _media(kind, file, f"{at}.{kind}", other)
    if block.searchResult is not None:
        return _search(block.searchResult, other)
    raise ProtocolError(f"{at}: not a kind of content that is known.", param=at)


def _call_proof(block: _Reasoning) -> str:
    try:
        return call_proof_from_caller(block.redactedContent or "")
    except ValueError:
        return ""


def _thinking(block: _Reasoning, at: str) -> Thinking:
    if block.reasoningText is not None:
        said = block.reasoningText
        return Thinking(text=said.text, signature=proof_from_caller(said.signature or ""))
    if block.redactedContent is None:
        raise ProtocolError(f"{at}: expected reasoningText or redactedContent.", param=at)
    try:
        return Thinking(redacted=redacted_from_caller(block.redactedContent))
    except ValueError as exc:
        raise ProtocolError(f"{at}.redactedContent: expected base64.", param=f"{at}.redactedContent") from exc


def _media(kind: _Kind, file: _File, at: str, other: list[str]) -> Media:
    source = file.source
    if source.s3Location is not None:
        raise UntranslatableError(f"{at}.source.s3Location: only Amazon Bedrock can read it.", param=at)
    other += [f"{kind}.{name}" for name in ("context", "citations") if getattr(file, name) is not None]
    text = source.text if source.content is None else "\n\n".join([words.text for words in source.content])
    if text is not None and kind == "document":
        return Media(kind=kind, media_type="text/plain", text=text, name=file.name or "")
    media_type = MEDIA_TYPES[kind].get(file.format or "")
    if media_type is None:
        expected = ", ".join(MEDIA_TYPES[kind])
        raise ProtocolError(f"{at}.format: expected one of {expected}.", param=f"{at}.format")
    if not source.bytes or not _is_base64(source.bytes):
        raise ProtocolError(f"{at}.source.bytes: expected base64.", param=f"{at}.source.bytes")
    return Media(kind=kind, media_type=media_type, data=source.bytes, name=file.name or "")


def _search(result: _Search, other: list[str]) -> Media:
    """A search result is a document by another name; only the vendor's citations of it are lost."""
    other.append("searchResult.source")
    text = "\n\n".join([words.text for words in result.content])
    return Media(kind="document", media_type="text/plain", text=text, name=result.title)


def _is_base64(text: str) -> bool:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return False
    return True
