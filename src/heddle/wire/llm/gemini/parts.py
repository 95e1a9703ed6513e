"""The contents of a caller's Gemini request as canonical messages.

Owns the reading of parts, and the pairing of function responses with the calls they answer: by id where the caller
sends ids, otherwise by name and order, which is how Gemini itself pairs them. What only Google could read (code it
ran, tools it hosts) cannot be translated and is refused by name.

*Source:* Gemini API reference, "Content", "Part", "FunctionCall", "FunctionResponse" and "FileData", 2026-11.
"""

from collections import defaultdict, deque
from typing import Literal

import msgspec

from heddle.wire.canonical.request import Media, Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.llm.gemini import signatures
from heddle.wire.llm.gemini.fields import MAX_ITEMS, Fields

_KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_ONLY_GOOGLE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse", "audioTranscription")
_ROLES: dict[str, Role] = {"": "user", "user": "user", "function": "user", "model": "assistant"}
_FILES = ("gs://", "https://generativelanguage.googleapis.com/")
"""Addresses that only Google can read."""
_AS_TEXT = ("output", "result")
"""Keys under which the one value of a function's response stands."""


class Reader:
    """Reads the contents of one request, in order."""

    __slots__ = ("_ids", "_left", "_names", "_open", "_seen")

    def __init__(self) -> None:
        self._left = MAX_ITEMS
        self._open: dict[int, tuple[str, str]] = {}
        """(id, name) of calls without an answer so far, by their numbers."""
        self._ids: defaultdict[str, deque[int]] = defaultdict(deque)
        self._names: defaultdict[str, deque[int]] = defaultdict(deque)
        """Numbers of calls with an id or a name, in order; some may have been answered by the other."""
        self._seen = 0

    def message(self, content: Fields) -> Message:
        """One content. Raises ProtocolError."""
        role = _ROLES.get(content.text("role"))
        if role is None:
            raise content.refusal("role", "expected user or model")
        return Message(role=role, parts=tuple(self.parts(content)))

    def parts(self, content: Fields) -> list[Part]:
        """The parts of one content. Raises ProtocolError, also when all of them together are too many."""
        given = content.objects("parts")
        self._left -= len(given)
        if self._left < 0:
            raise content.refusal("parts", f"more than {MAX_ITEMS} parts cannot be translated")
        return [read for part in given for read in self.part(part)]

    def part(self, part: Fields) -> list[Part]:
        """One part; two when a text carries a signature. Raises ProtocolError."""
        for name in _ONLY_GOOGLE:
            if name in part:
                raise UntranslatableError(f"{part.path(name)}: exists only in Google's API.", param=part.path(name))
        stated = [name for name in _KINDS if name in part]
        if len(stated) > 1:
            raise part.refusal(stated[1], f"a part cannot have {stated[0]} and {stated[1]}")
        signature, redacted = signatures.unwrap(part.base64("thoughtSignature"))
        kind = stated[0] if stated else "text"
        if kind == "text":
            return _text(part, signature, redacted)
        if kind == "functionCall":
            return [self._call(part, signature)]
        if kind == "functionResponse":
            return [self._result(part)]
        return [media(part)]

    def _call(self, part: Fields, signature: str) -> ToolCall:
        call = part.object("functionCall")
        assert call is not None
        name = call.text("name")
        if not name:
            raise call.refusal("name", "expected the name of a function")
        self._seen += 1
        ident = call.text("id") or f"call_{self._seen}"
        self._open[self._seen] = (ident, name)
        self._ids[ident].append(self._seen)
        self._names[name].append(self._seen)
        call.object("args")
        return ToolCall(id=ident, name=name, arguments=call.raw("args") or "{}", signature=signature)

    def _result(self, part: Fields) -> ToolResult:
        answer = part.object("functionResponse")
        assert answer is not None
        name, ident = answer.text("name"), answer.text("id")
        call = self._answered(self._ids.get(ident) if ident else self._names.get(name))
        if call is None:
            raise part.refusal("functionResponse", "answers no function call before it that is still open")
        inner: list[Text | Media] = []
        is_error = _said(answer, inner)
        inner += [media(item) for item in answer.objects("parts")]
        return ToolResult(call_id=call[0], name=call[1], parts=tuple(inner), is_error=is_error)

    def _answered(self, numbers: deque[int] | None) -> tuple[str, str] | None:
        """The first of these calls that is still open, which it no longer is then."""
        while numbers:
            call = self._open.pop(numbers.popleft(), None)
            if call is not None:
                return call
        return None


class _Thought:
    """The words of a thought without a proof so far, the last of some parts; put together once, when it ends."""

    __slots__ = ("_parts", "_words")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._words: list[str] = []

    def go_on(self, parts: list[Part], before: Thinking, more: Thinking) -> None:
        """`before`, the last of `parts`, continues with `more`, whose proof ends it."""
        if not self._words:
            self._parts, self._words = parts, [before.text]
        self._words.append(more.text)
        if _proven(more):
            self.end(more)

    def end(self, proof: Thinking) -> None:
        """Nothing more belongs to it."""
        if self._words:
            text = "".join(self._words)
            self._parts[-1] = Thinking(text=text, signature=proof.signature, redacted=proof.redacted)
            self._words = []


_UNPROVEN = Thinking()


def whole_thoughts(messages: list[Message]) -> list[Message]:
    """Thoughts that came in pieces, put together: what a stream sent is replayed part by part, perhaps in as many
    contents. A proof ends a thought, and is of all of it."""
    made: list[tuple[Message, list[Part]]] = []
    thought = _Thought()
    for message in messages:
        kept: list[Part] = []
        for part in message.parts:
            place = made[-1][1] if not kept and made and made[-1][0].role == message.role else kept
            before = place[-1] if place else None
            if isinstance(part, Thinking) and isinstance(before, Thinking) and not _proven(before):
                thought.go_on(place, before, part)
            else:
                thought.end(_UNPROVEN)
                kept.append(part)
        if kept or not message.parts:
            made.append((message, kept))
    thought.end(_UNPROVEN)
    return [msgspec.structs.replace(message, parts=tuple(parts)) for message, parts in made]


def _proven(thought: Thinking) -> bool:
    return bool(thought.signature or thought.redacted)


def _said(answer: Fields, into: list[Text | Media]) -> bool:
    """Append what a function said; whether it is an error."""
    response = answer.object("response")
    if response is None:
        return False
    keys = list(response)
    if keys == ["error"]:
        into.append(Text(text=_plain(response.raw("error"))))
        return True
    one = len(keys) == 1 and keys[0] in _AS_TEXT
    into.append(Text(text=_plain(response.raw(keys[0])) if one else answer.raw("response")))
    return False


def _plain(text: str) -> str:
    """A JSON string's contents; other JSON as it is written."""
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text


def _text(part: Fields, signature: str, redacted: str) -> list[Part]:
    text = part.text("text")
    if part.flag("thought"):
        return [Thinking(text=text, signature=signature, redacted=redacted)]
    said: list[Part] = [Text(text=text)] if text or not (signature or redacted) else []
    if signature or redacted:
        # The signature of plain text has no place of its own: it travels as thinking without words, behind it.
        said.append(Thinking(signature=signature, redacted=redacted))
    return said


def media(part: Fields) -> Media:
    """A part with data, inline or by address. Raises ProtocolError."""
    inline = part.object("inlineData")
    if inline is not None:
        media_type, data = inline.text("mimeType"), inline.base64("data")
        if not media_type or not data:
            raise part.refusal("inlineData", "expected mimeType and data")
        return Media(kind=kind_of(media_type), media_type=media_type, data=data, name=inline.text("displayName"))
    file = part.object("fileData")
    if file is None or not file.text("fileUri"):
        raise part.refusal("fileData", "expected inlineData, or fileData with a fileUri")
    address, media_type = file.text("fileUri"), file.text("mimeType")
    own = address.startswith(_FILES)
    return Media(
        kind=kind_of(media_type),
        media_type=media_type,
        url="" if own else address,
        file_id=address if own else "",
        name=file.text("displayName"),
    )


def kind_of(media_type: str) -> Literal["image", "document", "audio", "video"]:
    """What a media type is, as the other formats tell them apart; without one it is a document."""
    kind = media_type.partition("/")[0].lower()
    if kind == "image":
        return "image"
    if kind == "audio":
        return "audio"
    return "video" if kind == "video" else "document"
