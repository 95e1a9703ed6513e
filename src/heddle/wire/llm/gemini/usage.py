"""Token counts as Gemini reports them (`usageMetadata`), both ways.

Owns the sums. `promptTokenCount` includes what came from a cache; tokens that a hosted tool's results put into the
prompt are counted apart and belong to the input; thoughts are counted beside the candidates and belong to the output.
Counts that cannot be (negative, not whole) are refused as if absent: a provider's slip must not become a negative bill.

*Source:* Gemini API reference, "UsageMetadata", 2026-11.
"""

import msgspec

from heddle.model.call import Usage

_Count = int | float | None


class WireUsage(msgspec.Struct, gc=False, rename="camel"):
    """The `usageMetadata` object; every count may be absent or null."""

    prompt_token_count: _Count = None
    candidates_token_count: _Count = None
    thoughts_token_count: _Count = None
    cached_content_token_count: _Count = None
    tool_use_prompt_token_count: _Count = None


def read(wire: WireUsage, estimated: bool = False) -> Usage | None:
    """The counts, or None when they do not say how many tokens went in or are impossible."""
    prompt, tool_use = _count(wire.prompt_token_count), _count(wire.tool_use_prompt_token_count)
    made, thoughts = _count(wire.candidates_token_count), _count(wire.thoughts_token_count)
    if wire.prompt_token_count is None or prompt is None or tool_use is None or made is None or thoughts is None:
        return None
    return Usage(
        input_tokens=prompt + tool_use,
        output_tokens=made + thoughts,
        cached_input_tokens=min(_count(wire.cached_content_token_count) or 0, prompt),
        reasoning_tokens=thoughts,
        estimated=estimated,
    )


def write(usage: Usage) -> dict[str, int]:
    """`usageMetadata` of an answer that another vendor gave."""
    said = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        said["thoughtsTokenCount"] = min(usage.reasoning_tokens, usage.output_tokens)
    if usage.cached_input_tokens:
        said["cachedContentTokenCount"] = usage.cached_input_tokens
    return said


def _count(value: _Count) -> int | None:
    """A count; absent is 0, impossible is None."""
    if value is None:
        return 0
    if type(value) is int and value >= 0:
        return value
    if value < 0 or value != int(value):
        return None
    return int(value)
