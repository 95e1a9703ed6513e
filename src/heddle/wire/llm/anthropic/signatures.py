"""Proofs of thinking, between Anthropic's plain values and the canonical `<vendor>.<value>`.

Owns that mapping. A caller of this dialect gets a foreign vendor's proof whole, prefix included, in the field where
Anthropic's own would be, and sends it back there: no store is needed. Anthropic's values are base64 and have no dot, so
that the two cannot be taken for each other. The proof of a tool call, for which the format has no field, follows its
call as a `redacted_thinking` block that only this gateway can read.

*Source:* Anthropic API reference, "Extended thinking", "Preserving thinking blocks" and "Thinking redaction".
"""

OWN = "anthropic."
FOREIGN = ("gemini.", "bedrock.", "openai.")
OF_CALL = "call."
"""Before a foreign proof in `redacted_thinking.data`: it belongs to the tool call before it."""


def decode(value: str) -> str:
    """A value from the wire in canonical form; empty stays empty."""
    return value if not value or value.startswith((OWN, *FOREIGN)) else OWN + value


def for_caller(value: str) -> str:
    """A canonical value as a caller of this dialect sees it."""
    return value.removeprefix(OWN)


def for_vendor(value: str) -> str:
    """A canonical value as Anthropic wants it back; empty when it is not Anthropic's."""
    return value.removeprefix(OWN) if value.startswith(OWN) else ""


def of_call(data: str) -> str:
    """The proof of a tool call in `redacted_thinking.data`; empty when it is ordinary redacted thinking."""
    value = data.removeprefix(OF_CALL)
    return value if value != data and value.startswith(FOREIGN) else ""
