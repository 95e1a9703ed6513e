"""Token counts as the responses API reports them.

Owns reading and writing of `usage`. Cached tokens are inside `input_tokens` and reasoning tokens inside
`output_tokens`, as in `Usage`. Counts that cannot be (negative, not whole) are taken for absent.

*Source:* OpenAI API reference, "The response object", `usage`.
"""

from typing import Any

import msgspec

from heddle.model.call import Usage
from heddle.wire.llm.codec import estimate_tokens

_Count = int | float | None


class Details(msgspec.Struct, gc=False):
    """`input_tokens_details` or `output_tokens_details`."""

    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    reasoning_tokens: _Count = None


class WireUsage(msgspec.Struct, gc=False):
    """The `usage` object; every count may be absent or null."""

    input_tokens: _Count = None
    output_tokens: _Count = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


def read(wire: WireUsage | None) -> Usage | None:
    """The counts, or None when they are not there or impossible."""
    if wire is None:
        return None
    taken, made = _count(wire.input_tokens), _count(wire.output_tokens)
    if taken is None or made is None:
        return None
    into, out = wire.input_tokens_details or Details(), wire.output_tokens_details or Details()
    cached = min(_count(into.cached_tokens) or 0, taken)
    return Usage(
        input_tokens=taken,
        output_tokens=made,
        cached_input_tokens=cached,
        cache_write_tokens=min(_count(into.cache_write_tokens) or 0, taken - cached),
        reasoning_tokens=min(_count(out.reasoning_tokens) or 0, made),
    )


def write(usage: Usage | None) -> dict[str, Any] | None:
    """The `usage` of a response object; null when nobody said."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def estimate(input_bytes: int, text_chars: int) -> Usage:
    """What an answer of `text_chars` characters probably took, for answers that do not say."""
    return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=estimate_tokens(text_chars), estimated=True)


def _count(value: _Count) -> int | None:
    # float only because some servers write 12.0; NaN and Infinity are not JSON, but 1e999 is, and becomes infinite.
    if value is None or value < 0 or value == float("inf") or value != int(value):
        return None
    return int(value)
