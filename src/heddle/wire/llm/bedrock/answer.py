"""A whole answer in the form of Converse.

Owns the content blocks of answers. Converse has one choice: of several, the first is written. `metrics.latencyMs` is
required by the format and not known to a codec: it is 0. Usage is required too: an answer that does not say is given
the gateway's own estimate.

*Source:* Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock", "StopReason", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import ChatAnswer, Choice
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.names import FROM_STOP, call_proof_to_caller, proof_to_caller, redacted_to_caller
from heddle.wire.llm.codec import estimate_tokens

METRICS = {"latencyMs": 0}


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A whole answer. The format has no place for a time, an id and a model."""
    del created_s
    choice = answer.choices[0] if answer.choices else Choice()
    content = [block for part in choice.parts for block in _blocks(part)]
    usage = answer.usage or estimate(call, sum(_size(part) for part in choice.parts))
    return msgspec.json.encode(
        {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": FROM_STOP[choice.stop],
            "usage": bedrock_usage.write(usage),
            "metrics": METRICS,
        }
    )


def estimate(call: ModelCall, chars: int) -> Usage:
    """What a call used by its sizes, where no vendor says."""
    return Usage(input_tokens=estimate_tokens(len(call.body)), output_tokens=estimate_tokens(chars), estimated=True)


def arguments_document(arguments: str) -> msgspec.Raw | str:
    """A call's arguments as `toolUse.input`: an object byte for byte; what is no JSON object, as a string."""
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return msgspec.Raw(arguments.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    return arguments


def _blocks(part: Part) -> list[dict[str, Any]]:
    if isinstance(part, Text | Refusal):
        return [{"text": part.text}] if part.text else []
    if isinstance(part, ToolCall):
        use = {"toolUseId": part.id, "name": part.name, "input": arguments_document(part.arguments or "{}")}
        proof = call_proof_to_caller(part.signature) if part.signature else ""
        return [{"toolUse": use}, *([{"reasoningContent": {"redactedContent": proof}}] if proof else [])]
    if isinstance(part, Thinking):
        return [{"reasoningContent": block} for block in _reasoning(part)]
    return []


def _reasoning(part: Thinking) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if part.text or part.signature:
        said = {"text": part.text}
        if part.signature:
            said["signature"] = proof_to_caller(part.signature)
        blocks.append({"reasoningText": said})
    if part.redacted:
        blocks.append({"redactedContent": redacted_to_caller(part.redacted)})
    return blocks


def _size(part: Part) -> int:
    if isinstance(part, Text | Refusal | Thinking):
        return len(part.text)
    return len(part.arguments) if isinstance(part, ToolCall) else 0
