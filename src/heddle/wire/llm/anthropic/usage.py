"""Token counts as Anthropic reports them, in whole answers and in streams.

Owns the reading and writing of `usage`. Anthropic counts cached tokens beside `input_tokens`, `Usage` inside: they are
added up here and taken apart again. In streams the counts are cumulative, so that a later one replaces an earlier one
("Streaming Messages", `message_delta`), and a count left out keeps its last value. Counts that cannot be are refused as
if absent: a provider's slip must not become a negative bill. Requests of server tools (web search) have a price of
their own and are no tokens: they are not read.

*Source:* Anthropic API reference, "Messages", `usage`; "Prompt caching", "Tracking cache performance".
"""

import msgspec

from heddle.model.call import Usage

MAX_COUNT = 2**40
"""No call uses as many tokens; larger numbers only overflow counters."""

_Count = int | float | None


class Details(msgspec.Struct, gc=False):
    """`output_tokens_details`."""

    thinking_tokens: _Count = None


class WireUsage(msgspec.Struct, gc=False):
    """The `usage` object; every count may be absent or null."""

    input_tokens: _Count = None
    output_tokens: _Count = None
    cache_creation_input_tokens: _Count = None
    cache_read_input_tokens: _Count = None
    output_tokens_details: Details | None = None


def merge(earlier: WireUsage | None, later: WireUsage) -> WireUsage:
    """`later` with the counts it leaves out taken from `earlier`."""
    if earlier is None:
        return later
    stated = {name: value for name in WireUsage.__struct_fields__ if (value := getattr(later, name)) is not None}
    return msgspec.structs.replace(earlier, **stated)


def read(wire: WireUsage, estimated: bool = False) -> Usage | None:
    """The counts, or None when they do not say how many tokens went in or are impossible."""
    fresh, made = _count(wire.input_tokens), _count(wire.output_tokens)
    written, cached = _count(wire.cache_creation_input_tokens), _count(wire.cache_read_input_tokens)
    if fresh is None or made is None or written is None or cached is None or wire.input_tokens is None:
        return None
    details = wire.output_tokens_details
    thought = _count(details.thinking_tokens) if details is not None else 0
    return Usage(
        input_tokens=fresh + written + cached,
        output_tokens=made,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=min(thought or 0, made),
        estimated=estimated,
    )


def encode(usage: Usage) -> dict[str, object]:
    """The `usage` object that says `usage`."""
    cached = min(usage.cached_input_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    wire: dict[str, object] = {
        "input_tokens": usage.input_tokens - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return wire


def _count(value: _Count) -> int | None:
    """A count; absent is 0, impossible is None."""
    if value is None:
        return 0
    # float only because some servers write 12.0; the bound also stops infinity, which has no integer.
    if not 0 <= value <= MAX_COUNT or value != int(value):
        return None
    return int(value)
