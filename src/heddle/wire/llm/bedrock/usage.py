"""Token counts as Bedrock reports them, in whole answers and in the `metadata` of streams, and written the same way.

Owns the sums. `inputTokens` counts only what was neither read from nor written to the prompt cache, so the three
together are our input; `outputTokens` includes thinking, which is not counted apart. Counts that cannot be (negative,
not whole, absurd) are refused as if absent: a provider's slip must not become a negative bill.

*Source:* Amazon Bedrock API Reference, "TokenUsage"; Amazon Bedrock User Guide, "Prompt caching for faster model
inference" (`total input tokens = inputTokens + cacheReadInputTokens + cacheWriteInputTokens`), as of 2026-11.
"""

import msgspec

from heddle.model.call import Usage

MAX_TOKENS = 2**53
"""Beyond this no count is one."""

_Count = int | float | None


class WireUsage(msgspec.Struct, gc=False):
    """`TokenUsage`; every count may be absent or null. `totalTokens` is not read: it is the sum of the others."""

    inputTokens: _Count = None  # noqa: N815
    outputTokens: _Count = None  # noqa: N815
    cacheReadInputTokens: _Count = None  # noqa: N815
    cacheWriteInputTokens: _Count = None  # noqa: N815


def read(wire: WireUsage) -> Usage | None:
    """The counts, or None when they do not say how many tokens went in and out, or are impossible."""
    if wire.inputTokens is None or wire.outputTokens is None:
        return None
    fresh, made = _count(wire.inputTokens), _count(wire.outputTokens)
    cached, written = _count(wire.cacheReadInputTokens or 0), _count(wire.cacheWriteInputTokens or 0)
    if fresh is None or made is None or cached is None or written is None:
        return None
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=made,
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )


def write(usage: Usage) -> dict[str, int]:
    """`TokenUsage` for a caller."""
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    return {
        "inputTokens": max(usage.input_tokens - cached - written, 0),
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": written,
    }


def _count(value: int | float) -> int | None:
    # NaN and Infinity are no JSON, and a number of hundreds of digits must not be multiplied by a price.
    if not 0 <= value <= MAX_TOKENS or value != int(value):
        return None
    return int(value)
