"""Token counts as OpenAI reports them, in whole answers and in streams.

Owns the reading of `usage`. OpenAI counts cached tokens inside `prompt_tokens` and reasoning tokens inside
`completion_tokens`, as `Usage` does, so nothing is added up. Counts that cannot be (negative, not whole) are
refused as if absent: a provider's slip must not become a negative bill.

*Source:* OpenAI API reference, "The chat completion object", `usage`.
"""

import msgspec

from heddle.model.call import Usage

_Count = int | float | None


class Details(msgspec.Struct, gc=False):
    """`prompt_tokens_details` or `completion_tokens_details`."""

    cached_tokens: _Count = None
    reasoning_tokens: _Count = None


class WireUsage(msgspec.Struct, gc=False):
    """The `usage` object; every count may be absent or null."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


def read(wire: WireUsage, estimated: bool = False) -> Usage | None:
    """The counts, or None when they do not say how many tokens went in or are impossible."""
    taken, made = _count(wire.prompt_tokens), _count(wire.completion_tokens)
    if taken is None or made is None or wire.prompt_tokens is None:
        return None
    cached = reasoning = 0
    if wire.prompt_tokens_details is not None:
        cached = _count(wire.prompt_tokens_details.cached_tokens) or 0
    if wire.completion_tokens_details is not None:
        reasoning = _count(wire.completion_tokens_details.reasoning_tokens) or 0
    return Usage(
        input_tokens=taken,
        output_tokens=made,
        cached_input_tokens=min(cached, taken),
        reasoning_tokens=min(reasoning, made),
        estimated=estimated,
    )


def _count(value: _Count) -> int | None:
    """A count; absent is 0, impossible is None."""
    if value is None:
        return 0
    # float only because some servers write 12.0; NaN and Infinity are not JSON.
    if value < 0 or value != int(value):
        return None
    return int(value)
