"""A chat answer as all dialects can say it: whole, or as events.

Owns the grammar of events, which decoders keep and encoders rely on:

    Began (PartBegan PartDelta* PartEnded | ...)* ChoiceEnded+ Used? Ended

Parts of one choice have indexes 0, 1, 2 ... in the order they began and may overlap (parallel tool calls in pieces);
each part that began ends before its choice does. `Used` may come more than once: the last one holds. `Failed` may
come anywhere and nothing follows it. A stream without `Ended` is broken, whatever else it said.

*Source:* the streaming references of the formats under `wire.llm`, of which this is the common grammar.
"""

from typing import Literal

import msgspec

from heddle.model.call import Usage
from heddle.wire.canonical.request import Part

Stop = Literal["stop", "stop_sequence", "length", "tool_use", "content_filter", "refusal", "pause"]
"""Why an answer ended. `pause`: the vendor wants to be asked to go on (Anthropic's `pause_turn`)."""

Kind = Literal["text", "thinking", "tool_call", "refusal"]


class Choice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One completion."""

    parts: tuple[Part, ...] = ()
    """Text, Thinking, ToolCall and Refusal, in the model's order."""
    stop: Stop = "stop"
    stop_sequence: str = ""
    logprobs: str = ""
    """JSON text in the form of OpenAI chat's `logprobs.content` (a list); empty is none."""


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole answer."""

    id: str
    model: str
    """As the vendor named it; empty when it did not."""
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    """None when the vendor did not say."""


class Began(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer begins."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    """What is known of the input at this point (Anthropic says it here)."""


class PartBegan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part begins."""

    choice: int = 0
    index: int
    kind: Kind
    id: str = ""
    """Of a tool call."""
    name: str = ""
    """Of the tool."""


class PartDelta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """More of a part."""

    choice: int = 0
    index: int
    text: str = ""
    """Text, thinking, a refusal's words, or a piece of a call's arguments as JSON text."""
    signature: str = ""
    """As `Thinking.signature` and `ToolCall.signature`; whole, never in pieces."""
    redacted: str = ""
    """As `Thinking.redacted`."""
    logprobs: str = ""
    """As `Choice.logprobs`, for these tokens."""


class PartEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part is whole."""

    choice: int = 0
    index: int


class ChoiceEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A choice is whole."""

    choice: int = 0
    stop: Stop
    stop_sequence: str = ""


class Used(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was used, as the vendor says."""

    usage: Usage


class Ended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The vendor's own end of the stream was seen: the answer is complete."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The vendor reported an error inside the stream, or what it sent cannot be."""

    detail: str
    """A sentence that is safe for the caller."""
    status: int = 502
    """HTTP status it would have had before the stream began."""
    retryable: bool = False


Event = Began | PartBegan | PartDelta | PartEnded | ChoiceEnded | Used | Ended | Failed
