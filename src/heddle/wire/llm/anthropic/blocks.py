"""Content blocks of Anthropic messages, read into canonical parts.

Owns one reader per type of block. Blocks of tools that Anthropic runs (searches, code execution) mean nothing to
another vendor and their results cannot be left out without changing the conversation: they are refused, by name of
their type. What a block says beside its content (citations, image transformations) is reported as left over.

*Source:* Anthropic API reference, "Create a message", `messages.content`; "Search results", "Citations", 2026-11.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from heddle.wire.canonical.request import Cache, Media, Part, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm.anthropic import signatures


class WireCache(msgspec.Struct, gc=False):
    """`cache_control`."""

    type: str = ""
    ttl: str | None = None


class Block(msgspec.Struct, gc=False):
    """A content block of any type; what a type needs is checked by its reader."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    is_error: bool | None = None
    source: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    title: str | None = None
    context: str | None = None
    citations: Any = None
    transformations: Any = None
    cache_control: WireCache | None = None


class _Source(msgspec.Struct, gc=False):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


Content = str | list[Block]
"""A `content` or `system` as callers write it."""

_Blocks = msgspec.json.Decoder(Content)
_SOURCE = msgspec.json.Decoder(_Source)
_ABSENT = (b"", b"null")


class Leftover:
    """Names of what a request states and the canonical form has no place for, each once, in order."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Note `name`."""
        self.names[name] = None


def read_content(content: Content, at: str, left: Leftover) -> tuple[Part, ...]:
    """The parts of a `content`. Raises ProtocolError, which names the place from `at` on."""
    if isinstance(content, str):
        return (Text(text=content),)
    parts: list[Part] = []
    for index, block in enumerate(content):
        place = f"{at}[{index}]"
        proof = signatures.of_call(block.data) if block.type == "redacted_thinking" and block.data else ""
        if proof and parts and isinstance(parts[-1], ToolCall):
            parts[-1] = msgspec.structs.replace(parts[-1], signature=proof)
            continue
        parts.append(_reader(block, place)(block, place, left))
    return tuple(parts)


def read_cache(mark: WireCache | None) -> Cache | None:
    """A cache mark."""
    return Cache(ttl=mark.ttl or "") if mark is not None else None


def _reader(block: Block, at: str) -> Callable[[Block, str, Leftover], Part]:
    reader = _READERS.get(block.type)
    if reader is None:
        kind = block.type if block.type.isidentifier() and len(block.type) <= 64 else "this"
        raise UntranslatableError(f"{at}.type: blocks of type {kind} exist only with Anthropic.", param=f"{at}.type")
    return reader


def _text(block: Block, at: str, left: Leftover) -> Text:
    if block.citations:
        left.add("citations")
    return Text(text=_needed(block.text, f"{at}.text"), cache=read_cache(block.cache_control))


def _image(block: Block, at: str, left: Leftover) -> Media:
    source = _source(block, at)
    if block.transformations is not None:
        left.add("transformations")
    return _media("image", source, block, at)


def _document(block: Block, at: str, left: Leftover) -> Media:
    if block.citations:
        left.add("citations")
    if block.context:
        left.add("context")
    source = _source(block, at)
    if source.type == "text":
        data = _needed(source.data, f"{at}.source.data")
        return Media(
            kind="document",
            media_type="text/plain",
            text=data,
            name=block.title or "",
            cache=read_cache(block.cache_control),
        )
    if source.type == "content":
        return _document_of_blocks(source, block, at)
    return _media("document", source, block, at)


def _document_of_blocks(source: _Source, block: Block, at: str) -> Media:
    """A document whose text the caller has cut into chunks, for citations: the chunks become paragraphs."""
    content = source.content
    chunks = [content] if isinstance(content, str) else [_chunk(inner, at) for inner in content or ()]
    return Media(
        kind="document",
        media_type="text/plain",
        text="\n\n".join(chunks),
        name=block.title or "",
        cache=read_cache(block.cache_control),
    )


def _chunk(block: Block, at: str) -> str:
    if block.type != "text" or block.text is None:
        raise UntranslatableError(f"{at}.source.content: only text can be carried.", param=f"{at}.source.content")
    return block.text


def _search_result(block: Block, at: str, left: Leftover) -> Media:
    """A result that the caller found: a document, titled as it is; where it was found has no place."""
    left.add("search_result.source")
    if block.citations:
        left.add("citations")
    content = _decoded(_Blocks.decode, block.content, f"{at}.content")
    blocks = content if isinstance(content, list) else [Block(type="text", text=content)]
    return Media(
        kind="document",
        media_type="text/plain",
        text="\n\n".join([_chunk(inner, at) for inner in blocks]),
        name=block.title or "",
        cache=read_cache(block.cache_control),
    )


def _media(kind: Any, source: _Source, block: Block, at: str) -> Media:
    cache, name = read_cache(block.cache_control), block.title or ""
    if source.type == "base64":
        data = _needed(source.data, f"{at}.source.data")
        return Media(kind=kind, media_type=source.media_type or "", data=data, name=name, cache=cache)
    if source.type == "url":
        return Media(kind=kind, url=_needed(source.url, f"{at}.source.url"), name=name, cache=cache)
    if source.type == "file":
        return Media(kind=kind, file_id=_needed(source.file_id, f"{at}.source.file_id"), name=name, cache=cache)
    place = f"{at}.source.type"
    raise ProtocolError(f"{place}: expected base64, url or file.", param=place)


def _source(block: Block, at: str) -> _Source:
    source: _Source = _decoded(_SOURCE.decode, block.source, f"{at}.source")
    return source


def _tool_use(block: Block, at: str, left: Leftover) -> ToolCall:  # noqa: ARG001
    arguments = bytes(block.input)
    if arguments[:1] != b"{":
        raise ProtocolError(f"{at}.input: expected an object.", param=f"{at}.input")
    return ToolCall(
        id=_needed(block.id, f"{at}.id"),
        name=_needed(block.name, f"{at}.name"),
        arguments=arguments.decode(),
        cache=read_cache(block.cache_control),
    )


def _tool_result(block: Block, at: str, left: Leftover) -> ToolResult:
    parts: Sequence[Part] = ()
    if bytes(block.content) not in _ABSENT:
        content = _decoded(_Blocks.decode, block.content, f"{at}.content")
        parts = read_content(content, f"{at}.content", left)
    inner = [part for part in parts if isinstance(part, (Text, Media))]
    if len(inner) != len(parts):
        raise ProtocolError(f"{at}.content: expected text, images and documents.", param=f"{at}.content")
    return ToolResult(
        call_id=_needed(block.tool_use_id, f"{at}.tool_use_id"),
        parts=tuple(inner),
        is_error=bool(block.is_error),
        cache=read_cache(block.cache_control),
    )


def _thinking(block: Block, at: str, left: Leftover) -> Thinking:  # noqa: ARG001
    text = _needed(block.thinking, f"{at}.thinking")
    return Thinking(text=text, signature=signatures.decode(block.signature or ""))


def _redacted(block: Block, at: str, left: Leftover) -> Thinking:  # noqa: ARG001
    return Thinking(redacted=signatures.decode(_needed(block.data, f"{at}.data")))


_READERS: dict[str, Callable[[Block, str, Leftover], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}


def _needed(value: str | None, at: str) -> str:
    if value is None:
        raise ProtocolError(f"{at}: this field is required.", param=at)
    return value


def _decoded(decode: Callable[[msgspec.Raw], Any], raw: msgspec.Raw, at: str) -> Any:
    if bytes(raw) in _ABSENT:
        raise ProtocolError(f"{at}: this field is required.", param=at)
    try:
        return decode(raw)
    except msgspec.ValidationError as exc:
        found = type_error(str(exc))
        param = f"{at}.{found.param}" if found.param else at
        raise ProtocolError(f"{param}: not an acceptable value.", param=param) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"{at}: not valid JSON.", param=at, malformed=True) from exc
