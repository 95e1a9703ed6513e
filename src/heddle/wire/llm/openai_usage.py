"""Token counts as OpenAI reports them, in whole answers and in streams.

Owns the reading of `usage`. OpenAI counts cached tokens inside `prompt_tokens` and reasoning tokens inside
`completion_tokens`, as `Usage` does, so nothing is added up. Counts that cannot be (negative, not whole) are
refused as if absent: a provider's slip must not become a negative bill.

Two servers' habits are known. Where the stated total is input, output and reasoning together, reasoning was counted
apart (xAI) and is added to the output. DeepSeek names its cached tokens beside the details.

*Source:* OpenAI API reference, "The chat completion object", `usage`; xAI API reference, "Chat completions", `usage`;
DeepSeek API docs, "Context caching"; all as of 2026-11.
"""

from typing import Any

from heddle.model.call import Usage
from heddle.wire.llm.openai_shapes import Count, WireUsage

__all__ = ["WireUsage", "encode", "read"]


def read(wire: WireUsage, estimated: bool = False) -> Usage | None:
    """The counts, or None when they do not say how many tokens went in or are impossible."""
    taken, made = _count(wire.prompt_tokens), _count(wire.completion_tokens)
    if taken is None or made is None or wire.prompt_tokens is None:
        return None
    cached = _count(wire.prompt_cache_hit_tokens) or 0
    written = reasoning = 0
    if wire.prompt_tokens_details is not None:
        cached = _count(wire.prompt_tokens_details.cached_tokens) or cached
        written = _count(wire.prompt_tokens_details.cache_write_tokens) or 0
    if wire.completion_tokens_details is not None:
        reasoning = _count(wire.completion_tokens_details.reasoning_tokens) or 0
        if reasoning and wire.total_tokens == taken + made + reasoning:
            made += reasoning
    cached = min(cached, taken)
    return Usage(
        input_tokens=taken,
        output_tokens=made,
        cached_input_tokens=cached,
        cache_write_tokens=min(written, taken - cached),
        reasoning_tokens=min(reasoning, made),
        estimated=estimated,
    )


def encode(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _count(value: Count) -> int | None:
    """A count; absent is 0, impossible is None."""
    if value is None:
        return 0
    if type(value) is int and value >= 0:
        return value
    # float only because some servers write 12.0; NaN and Infinity are not JSON.
    if value < 0 or value != int(value):
        return None
    return int(value)
