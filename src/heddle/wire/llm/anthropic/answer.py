"""Whole answers in Anthropic's dialect.

Owns the shape of a message and of its blocks. The format has one answer: of several choices the first is told. A tool
call whose arguments are no JSON object cannot be written as one; Anthropic's own way to say so is taken.

*Source:* Anthropic API reference, "Create a message", response; "Stop reasons"; "Fine-grained tool streaming",
"Handling invalid JSON in tool responses", as of 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.anthropic import signatures
from heddle.wire.llm.anthropic.usage import encode
from heddle.wire.llm.codec import estimate_tokens

STOPS: dict[Stop, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}
"""Canonical stop -> `stop_reason`."""

INVALID = "INVALID_JSON"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])

Block = dict[str, object]


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A whole answer. The format has no time of creation."""
    del created_s
    choice = answer.choices[0] if answer.choices else Choice()
    blocks = [block for part in choice.parts for block in encode_part(part)]
    message = start(answer.id, answer.model or call.model, answer.usage or _estimate(blocks, call))
    message["content"] = blocks
    message["stop_reason"] = STOPS[choice.stop]
    message["stop_sequence"] = choice.stop_sequence or None
    return msgspec.json.encode(message)


def start(ident: str, model: str, usage: Usage) -> Block:
    """A message without content, as `message_start` has it."""
    return {
        "id": ident or "msg_unnamed",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": encode(usage),
    }


def encode_part(part: Part) -> list[Block]:
    """The blocks of one part; none for empty text."""
    if isinstance(part, (Text, Refusal)):
        return [{"type": "text", "text": part.text}] if part.text else []
    if isinstance(part, Thinking):
        return _thinking(part)
    if isinstance(part, ToolCall):
        block: Block = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments(part.arguments)}
        return [block, redacted(signatures.OF_CALL + part.signature)] if part.signature else [block]
    return []


def arguments(text: str) -> object:
    """Arguments of a call as an object, byte for byte; what is no object is kept as a string in one."""
    if not text.strip():
        return {}
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {INVALID: text}
    return msgspec.Raw(text.encode())


def redacted(data: str) -> Block:
    """Thinking that cannot be read."""
    return {"type": "redacted_thinking", "data": data}


def _thinking(part: Thinking) -> list[Block]:
    blocks: list[Block] = []
    if part.text or part.signature:
        signature = signatures.for_caller(part.signature)
        blocks.append({"type": "thinking", "thinking": part.text, "signature": signature})
    if part.redacted:
        blocks.append(redacted(signatures.for_caller(part.redacted)))
    return blocks


def _estimate(blocks: list[Block], call: ModelCall) -> Usage:
    """The format knows no answer without counts."""
    made = estimate_tokens(len(msgspec.json.encode(blocks))) if blocks else 0
    return Usage(input_tokens=estimate_tokens(len(call.body)), output_tokens=made, estimated=True)
