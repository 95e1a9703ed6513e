"""What cannot be, and why: cells that a vendor's document rules out, and counts that a dialect has no place for.

A cell listed here is checked to be refused with an error that names what cannot be carried: nothing is silently
different.
"""

from typing import Any, NamedTuple


class Reason(NamedTuple):
    """Why a cell cannot be."""

    document: str
    """What the vendor's document says."""
    asked: dict[str, Any]
    """What is asked then; see `asking.Ask`."""
    words: str
    """Of the error that the caller gets."""


_ONE_ANSWER = {
    "openai_responses": 'OpenAI, "Create a model response": there is no `n`.',
    "anthropic_messages": 'Anthropic, "OpenAI SDK compatibility": n must be exactly 1.',
    "bedrock_converse": 'Amazon, "ConverseOutput": the output is one message.',
}
CHOICES = ("openai_chat", "gemini")
"""Dialects whose callers can ask for more than one completion."""

IMPOSSIBLE: dict[tuple[str, str, str], Reason] = {
    (dialect, vendor, "two choices"): Reason(document, {"choices": 2}, "more than one choice cannot be carried")
    for dialect in CHOICES
    for vendor, document in _ONE_ANSWER.items()
}
"""(dialect, vendor, feature) -> why."""

NOTHING_TO_REPLAY = {
    "openai_chat": 'OpenAI, guide "Reasoning models": reasoning tokens are not visible via chat completions.',
}
"""Vendors whose answers have no proof of thinking: two turns with tools are all there is to check."""

COUNTS = {
    "openai_chat": {"taken", "made", "cached", "written", "reasoning"},
    "openai_responses": {"taken", "made", "cached", "written", "reasoning"},
    "anthropic_messages": {"taken", "made", "cached", "written", "reasoning"},
    # "UsageMetadata": caches are resources of their own, what is written to them is no part of a call.
    "gemini": {"taken", "made", "cached", "reasoning"},
    # "TokenUsage": output tokens are one number.
    "bedrock_converse": {"taken", "made", "cached", "written"},
}
"""Dialect -> the counts that its answers can say; the access record has them all."""

THOUGHTS = {"openai_responses", "anthropic_messages", "gemini", "bedrock_converse"}
"""Dialects that can show thinking."""
