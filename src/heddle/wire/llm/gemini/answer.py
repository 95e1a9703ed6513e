"""Another vendor's answer, whole, for a caller who speaks Gemini.

Owns the words for why an answer ended, and the parts. Arguments that are no JSON object have no form here: Gemini's own
word for that is MALFORMED_FUNCTION_CALL, and so it is answered.

*Source:* Gemini API reference, "GenerateContentResponse", "Candidate", "FinishReason", 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.gemini import logprobs, signatures, usage

MALFORMED = "MALFORMED_FUNCTION_CALL"

FINISH: dict[Stop, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_use": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    # The vendor wants to be asked to go on; no word here says so, and the answer is not whole.
    "pause": "OTHER",
}

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A whole answer. The format says no time of creation that a caller would need."""
    del created_s
    body: dict[str, Any] = {"candidates": [_candidate(choice, index) for index, choice in enumerate(answer.choices)]}
    if answer.usage is not None:
        body["usageMetadata"] = usage.write(answer.usage)
    body["modelVersion"] = answer.model or call.model
    body["responseId"] = answer.id
    return msgspec.json.encode(body)


def _candidate(choice: Choice, index: int) -> dict[str, Any]:
    parts = [encode_part(part) for part in choice.parts]
    whole = [part for part in parts if part is not None]
    finish = FINISH[choice.stop] if len(whole) == len(parts) else MALFORMED
    candidate = {"content": {"parts": whole, "role": "model"}, "finishReason": finish, "index": index}
    said = logprobs.write([choice.logprobs])
    return candidate if said is None else {**candidate, "logprobsResult": said}


def encode_part(part: Part) -> dict[str, Any] | None:
    """One part; None for a call whose arguments are no object."""
    if isinstance(part, (Text, Refusal)):
        return {"text": part.text}
    if isinstance(part, Thinking):
        return signed({"text": part.text, "thought": True}, signatures.wrap(part))
    assert isinstance(part, ToolCall), "answers have no other parts"
    arguments = part.arguments.strip() or "{}"
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    call = {"id": part.id, "name": part.name, "args": msgspec.Raw(arguments.encode())}
    return signed({"functionCall": call}, signatures.wrap(part))


def signed(part: dict[str, Any], signature: str) -> dict[str, Any]:
    """A part with its signature, where it has one."""
    return {**part, "thoughtSignature": signature} if signature else part
