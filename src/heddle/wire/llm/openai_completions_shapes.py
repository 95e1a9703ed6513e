"""The parts of OpenAI's text completions that the gateway reads.

Apart from the code that reads them, as in `openai_shapes`.

*Source:* OpenAI API reference, "Create completion" and "The completion object" (legacy), as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.wire.llm.openai_shapes import StreamOptions, WireUsage


class Request(msgspec.Struct, gc=False):
    """A request for a text completion: what policies need of it."""

    model: str
    prompt: str | list[str | int | list[int]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    best_of: int | None = None
    max_tokens: int | None = None
    models: Any = None


class Choice(msgspec.Struct, gc=False):
    """One of the texts."""

    text: Any = None


class Answer(msgspec.Struct, gc=False):
    """A text completion: what is counted."""

    choices: list[Choice]
    usage: WireUsage | None = None


class Chunk(msgspec.Struct, gc=False):
    """A chunk of a streamed one."""

    choices: list[Choice] | None = None
