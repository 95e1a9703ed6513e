"""The parts of OpenAI's chat completions and their usage that the gateway reads.

Apart from the code that reads them: what is compiled (ADR 17) keeps no annotations, and msgspec reads these.

*Source:* OpenAI API reference, "Create chat completion" and "The chat completion object", as of 2026-11.
"""

from typing import Any

import msgspec

Count = int | float | None


class Details(msgspec.Struct, gc=False):
    """`prompt_tokens_details` or `completion_tokens_details`."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None
    reasoning_tokens: Count = None


class WireUsage(msgspec.Struct, gc=False):
    """The `usage` object; every count may be absent or null."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_cache_hit_tokens: Count = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class Message(msgspec.Struct, gc=False):
    """A message of a chat, as far as the gateway reads it."""

    role: str


class StreamOptions(msgspec.Struct, gc=False):
    """`stream_options`."""

    include_usage: bool | None = None


class Request(msgspec.Struct, gc=False):
    """A chat request: what policies need of it."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    models: Any = None


class Completion(msgspec.Struct, gc=False):
    """A message that was generated."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None


class Answer(msgspec.Struct, gc=False):
    """A chat completion: what is counted."""

    choices: msgspec.Raw
    usage: WireUsage | None = None


class Choice(msgspec.Struct, gc=False):
    """One of its choices."""

    message: Completion | None = None


class PieceOfFunction(msgspec.Struct, gc=False):
    """The function of a piece of a tool call."""

    name: Any = None
    arguments: Any = None


class PieceOfToolCall(msgspec.Struct, gc=False):
    """A piece of a call of a tool."""

    function: PieceOfFunction | None = None


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds to a choice."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[PieceOfToolCall] | None = None


class ChunkChoice(msgspec.Struct, gc=False):
    """A choice of a chunk."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """A chunk of a streamed chat completion."""

    choices: list[ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    object: str | None = None
