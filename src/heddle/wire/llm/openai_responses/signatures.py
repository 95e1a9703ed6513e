"""Proofs of thinking, carried in `encrypted_content` and back unchanged.

Owns that mapping. A caller of this dialect gets every vendor's proof as `<vendor>.<value>`, which only a gateway like
this one can read, so that no store is needed; a value without a prefix is OpenAI's own. The proof of a tool call, for
which the format has no field, follows its call in a reasoning item of its own.

*Source:* OpenAI API reference, "Reasoning" (`encrypted_content`) and "Create a model response"; see `Thinking`.
"""

from heddle.wire.canonical.request import Thinking

OWN = "openai."
_VENDORS = (OWN, "anthropic.", "gemini.", "bedrock.")
_REDACTED = "redacted."
_OF_CALL = "call."


def sealed(signature: str, redacted: str = "") -> str:
    """The `encrypted_content` of thinking; empty when there is nothing to prove."""
    return _REDACTED + redacted if redacted else signature


def sealed_call(call_id: str, signature: str) -> str:
    """The `encrypted_content` that proves a tool call."""
    return f"{_OF_CALL}{call_id}|{signature}"


def unsealed(text: str, content: str) -> Thinking:
    """The thinking of a reasoning item."""
    if content.startswith(_REDACTED):
        return Thinking(text=text, redacted=content.removeprefix(_REDACTED))
    if content and not content.startswith(_VENDORS):
        content = OWN + content
    return Thinking(text=text, signature=content)


def unsealed_call(content: str) -> tuple[str, str] | None:
    """Id and signature of the tool call that a reasoning item proves; None when it is thinking."""
    if not content.startswith(_OF_CALL):
        return None
    call_id, _, signature = content.removeprefix(_OF_CALL).rpartition("|")
    return (call_id, signature) if call_id and signature.startswith(_VENDORS) else None
