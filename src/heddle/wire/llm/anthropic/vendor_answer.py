"""Whole answers of Anthropic, read into the canonical form.

Owns the meaning of blocks and stop reasons. Blocks of tools that Anthropic runs are left out: a translated request
cannot ask for them. A refusal's explanation becomes the words of a refusal.

*Source:* Anthropic API reference, "Create a message", response; "Handling stop reasons", as of 2026-11.
"""

from collections.abc import Callable

import msgspec

from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import signatures
from heddle.wire.llm.anthropic.usage import WireUsage, read

STOPS: dict[str, Stop] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "refusal": "refusal",
}
"""`stop_reason` -> canonical stop; one that is not known yet is an ordinary end."""


class Block(msgspec.Struct, gc=False):
    """A content block of any type, whole or as it starts in a stream."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class StopDetails(msgspec.Struct, gc=False):
    """`stop_details` of a refusal."""

    explanation: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: list[Block]
    stop_reason: str
    id: str = ""
    model: str = ""
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: WireUsage | None = None


_MESSAGE = msgspec.json.Decoder(_Message)


def decode_answer(body: bytes) -> ChatAnswer:
    """A whole answer. Raises ProtocolError when `body` is none."""
    try:
        message = _MESSAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a message.", malformed=True) from exc
    parts = [part for block in message.content if (part := _part(block)) is not None]
    explanation = explained(message.stop_details)
    if explanation:
        parts.append(Refusal(text=explanation))
    choice = Choice(
        parts=tuple(parts),
        stop=STOPS.get(message.stop_reason, "stop"),
        stop_sequence=message.stop_sequence or "",
    )
    usage = read(message.usage) if message.usage is not None else None
    return ChatAnswer(id=message.id, model=message.model, choices=(choice,), usage=usage)


def explained(details: StopDetails | None) -> str:
    """Why the model refused, in its vendor's words; empty when it does not say."""
    return (details.explanation or "") if details is not None else ""


def initial_input(raw: msgspec.Raw) -> str:
    """Arguments that a block has from the start, as JSON text; empty for none."""
    text = bytes(raw).decode()
    return "" if text in ("", "null") or text.replace(" ", "") == "{}" else text


def _part(block: Block) -> Part | None:
    reader = _READERS.get(block.type)
    return reader(block) if reader is not None else None


def _text(block: Block) -> Text:
    return Text(text=block.text or "")


def _thinking(block: Block) -> Thinking:
    return Thinking(text=block.thinking or "", signature=signatures.decode(block.signature or ""))


def _redacted(block: Block) -> Thinking:
    return Thinking(redacted=signatures.decode(block.data or ""))


def _tool_use(block: Block) -> ToolCall:
    return ToolCall(id=block.id or "", name=block.name or "", arguments=initial_input(block.input) or "{}")


_READERS: dict[str, Callable[[Block], Part]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
}
