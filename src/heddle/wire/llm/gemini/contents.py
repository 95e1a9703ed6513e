"""Canonical messages as Gemini's contents.

Owns the order that Gemini checks: results of functions come in a content of their own right after the calls, and carry
the function's name. Thinking goes back only with Gemini's own signature. Arguments must be a JSON object here.

*Source:* Gemini API, "Function calling", "Thought signatures", "File input methods" (public and signed HTTPS
addresses, `gs://` and the Files API as `fileUri`); reference, "Part", "FunctionResponse", 2026-11.
"""

import base64
from typing import Any
from urllib.parse import urlsplit

import msgspec

from heddle.wire.canonical.request import (
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
    with_names,
)
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import signatures

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FETCHED = ("https://", "gs://")
_BY_ENDING = {
    "gif": "image/gif", "heic": "image/heic", "heif": "image/heif", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "m4a": "audio/mp4", "mov": "video/mov", "mp3": "audio/mp3", "mp4": "video/mp4", "pdf": "application/pdf",
    "png": "image/png", "txt": "text/plain", "wav": "audio/wav", "webm": "video/webm", "webp": "image/webp",
}  # fmt: skip
"""Media types of addresses whose caller did not say one."""


class Writer:
    """Writes the contents of one request."""

    __slots__ = ("_notes", "_signs")

    def __init__(self, model: str, notes: Notes) -> None:
        self._notes = notes
        self._signs = signatures.wants_signature(model)

    def contents(self, request: ChatRequest) -> list[dict[str, Any]]:
        """All turns. Raises ProtocolError when there are none."""
        written: list[dict[str, Any]] = []
        for turn in turns(with_names(request.messages)):
            written += self._model(turn) if turn.role == "assistant" else self._user(turn)
        if not written:
            raise ProtocolError("messages: expected at least one of the user with contents.", param="messages")
        return written

    def system(self, request: ChatRequest) -> dict[str, Any] | None:
        """`systemInstruction`: every system and developer message, in order."""
        parts = [self._said(part) for part in instructions(request.messages) if not _is_empty(part)]
        return {"parts": parts} if parts else None

    def _user(self, turn: Message) -> list[dict[str, Any]]:
        answers = [self._result(part) for part in turn.parts if isinstance(part, ToolResult)]
        rest = [self._said(part) for part in turn.parts if not isinstance(part, ToolResult) and not _is_empty(part)]
        return [{"role": "user", "parts": parts} for parts in (answers, rest) if parts]

    def _model(self, turn: Message) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        # "Only the first functionCall part" of a step is signed: the others of one turn were called in parallel.
        signed = any(isinstance(part, ToolCall) and signatures.own(part.signature) for part in turn.parts)
        for part in turn.parts:
            if isinstance(part, Thinking):
                parts += self._thought(part)
            elif isinstance(part, ToolCall):
                signature = signatures.own(part.signature)
                if not signature and not signed and self._signs:
                    signature = signatures.FOREIGN
                    _note(self._notes.emulated, "thinking")
                signed = True
                parts.append(_call(part, signature))
            elif not _is_empty(part):
                parts.append(self._said(part))
        return [{"role": "model", "parts": parts}] if parts else []

    def _thought(self, part: Thinking) -> list[dict[str, Any]]:
        signature = signatures.own(part.signature)
        if not signature:
            _note(self._notes.dropped, "thinking")
            return []
        if not part.text:
            return [{"text": "", "thoughtSignature": signature}]
        return [{"text": part.text, "thought": True, "thoughtSignature": signature}]

    def _said(self, part: Part) -> dict[str, Any]:
        if isinstance(part, (Text, Refusal)):
            return {"text": part.text}
        if isinstance(part, Media):
            return _media(part)
        raise ProtocolError("messages: a tool's call or result stands in a message of another role.", param="messages")

    def _result(self, part: ToolResult) -> dict[str, Any]:
        if not part.name:
            raise ProtocolError("messages: a tool's result answers no call in the conversation.", param="messages")
        text = "".join(inner.text for inner in part.parts if isinstance(inner, Text))
        answer: dict[str, Any] = {"id": part.call_id} if part.call_id else {}
        answer |= {"name": part.name, "response": {"error" if part.is_error else "output": text}}
        seen = [_media(inner) for inner in part.parts if isinstance(inner, Media)]
        if seen:
            answer["parts"] = seen
        return {"functionResponse": answer}


def _call(part: ToolCall, signature: str) -> dict[str, Any]:
    arguments = part.arguments.strip() or "{}"
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        detail = "messages: the arguments of a tool call are not a JSON object, which Gemini takes alone."
        raise ProtocolError(detail, param="messages") from exc
    call: dict[str, Any] = {"id": part.id} if part.id else {}
    call |= {"name": part.name, "args": msgspec.Raw(arguments.encode())}
    return {"functionCall": call, "thoughtSignature": signature} if signature else {"functionCall": call}


def _media(part: Media) -> dict[str, Any]:
    if part.text:
        encoded = base64.b64encode(part.text.encode()).decode()
        return {"inlineData": {"mimeType": part.media_type or "text/plain", "data": encoded}}
    if part.data:
        if not part.media_type:
            raise ProtocolError("messages: a file needs its media type.", param="messages")
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    if not part.url.startswith(_FETCHED):
        raise UntranslatableError(
            "messages: Gemini takes files by https:// and gs:// addresses only.", param="messages"
        )
    media_type = part.media_type or _by_ending(part.url)
    return {"fileData": {"mimeType": media_type, "fileUri": part.url} if media_type else {"fileUri": part.url}}


def _by_ending(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError as exc:
        raise ProtocolError("messages: a file's address is no URL.", param="messages") from exc
    return _BY_ENDING.get(path.rpartition(".")[2].lower(), "")


def _is_empty(part: Part) -> bool:
    """Text without a word, which Gemini refuses."""
    return isinstance(part, (Text, Refusal)) and not part.text


def _note(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
