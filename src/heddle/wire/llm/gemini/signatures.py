"""Proofs of thinking, carried through Gemini's `thoughtSignature` and back unchanged.

Owns the two directions. A caller of this dialect gets Gemini's own signatures as they are, and those of other vendors
wrapped, as this format has one place for bytes and no place for whose they are. A vendor of this format gets only its
own; and, where the history was made elsewhere, the value that Google names for that.

*Source:* Gemini API, "Thought signatures" (FAQ: history that another model made), and Vertex AI, "Thought signatures",
2026-11; RFC 4648.
"""

import base64
import binascii

from heddle.wire.canonical.request import Thinking, ToolCall

OWN = "gemini."
FOREIGN = "skip_thought_signature_validator"
"""For a call that Gemini did not sign: models from Gemini 3 on answer 400 without any."""
_SIGNATURE = b"heddle.signature."
_REDACTED = b"heddle.redacted."
_UNCHECKED = ("gemini-1", "gemini-2")
"""Families that ask for no signature."""


def wrap(part: Thinking | ToolCall) -> str:
    """What a caller of this dialect keeps and sends back: base64, empty when there is nothing."""
    if part.signature.startswith(OWN):
        return part.signature.removeprefix(OWN)
    if part.signature:
        return base64.b64encode(_SIGNATURE + part.signature.encode()).decode()
    if isinstance(part, Thinking) and part.redacted:
        return base64.b64encode(_REDACTED + part.redacted.encode()).decode()
    return ""


def unwrap(value: str) -> tuple[str, str]:
    """Canonical (signature, redacted) of a caller's `thoughtSignature`, padded standard base64; one is empty."""
    try:
        carried = base64.b64decode(value, validate=True)
        if carried.startswith(_SIGNATURE):
            return carried.removeprefix(_SIGNATURE).decode(), ""
        if carried.startswith(_REDACTED):
            return "", carried.removeprefix(_REDACTED).decode()
    except (binascii.Error, ValueError):
        pass
    return (OWN + value, "") if value else ("", "")


def own(signature: str) -> str:
    """A canonical signature as Gemini gave it; empty when it is another vendor's."""
    return signature.removeprefix(OWN) if signature.startswith(OWN) else ""


def wants_signature(model: str) -> bool:
    """Whether a replayed function call needs one."""
    return not model.rpartition("/")[2].startswith(_UNCHECKED)
