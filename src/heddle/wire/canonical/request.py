"""A chat request as all dialects can say it.

Owns the shapes. A decoder fills in what its dialect said and nothing else: None and empty mean "not stated", never a
default of some vendor. JSON that is only carried (schemas, arguments) stays text, byte for byte where it can.
No shape can point back to itself, so the garbage collector need not look at them.

*Source:* the references of OpenAI chat completions and responses, Anthropic messages, Gemini generateContent and
Bedrock Converse, 2026-11; what each calls these things stands beside the codec.
"""

from typing import Literal

import msgspec

Role = Literal["system", "developer", "user", "assistant"]
"""Who speaks. Results of tools are parts of `user` messages, as in Anthropic's and Bedrock's formats."""


class Cache(msgspec.Struct, frozen=True, gc=False):
    """A mark that everything up to and including this part should be kept in the vendor's prompt cache."""

    ttl: str = ""
    """`5m` or `1h`; empty is the vendor's default."""


class Text(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="text"):
    """Plain text. May be empty; encoders leave empty ones out where the vendor refuses them."""

    text: str
    cache: Cache | None = None


class Media(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="media"):
    """An image, document or sound. Exactly one of `data`, `url`, `file_id` and `text` is set."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    """`image/png`; empty when the caller did not say (a URL)."""
    data: str = ""
    """Base64, padded, standard alphabet."""
    url: str = ""
    """Where it can be had; never a `data:` URI, which decoders take apart."""
    file_id: str = ""
    """A file that the vendor keeps: means nothing to another one."""
    text: str = ""
    """A document that is plain text."""
    name: str = ""
    """File name or title."""
    detail: str = ""
    """OpenAI's `low`, `high`, `auto`; empty is not stated."""
    cache: Cache | None = None


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="tool_call"):
    """A call the model asked for."""

    id: str
    """Pairs it with its result. Vendors without ids get them from the decoder; unique within a conversation."""
    name: str
    arguments: str = "{}"
    """JSON text of an object; what a model wrote, so perhaps invalid."""
    signature: str = ""
    """Opaque proof that must come back with it (Gemini's `thoughtSignature`); see `Thinking.signature`."""
    cache: Cache | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="tool_result"):
    """What a tool answered."""

    call_id: str
    name: str = ""
    """The tool's name; empty when the dialect does not repeat it (`with_names` finds it by the id)."""
    parts: tuple["Text | Media", ...] = ()
    is_error: bool = False
    cache: Cache | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="thinking"):
    """What a model thought, with the proof that a vendor wants back unchanged and first in the turn."""

    text: str = ""
    signature: str = ""
    """Opaque. `<vendor>.<value>` with vendor `anthropic`, `gemini`, `bedrock` or `openai`: encoders send back only
    what is their vendor's own, without the prefix, and leave the other thinking out."""
    redacted: str = ""
    """Encrypted thinking without text, `<vendor>.<value>` likewise."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="refusal"):
    """A model's words for not answering."""

    text: str


Part = Text | Media | ToolCall | ToolResult | Thinking | Refusal


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message, in the caller's order. Neighbours may have the same role; `turns` merges them."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str = ""
    """Name of the participant, where one was given."""


class Tool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A tool the model may call."""

    name: str
    description: str = ""
    schema: str = ""
    """JSON Schema of the arguments as JSON text, verbatim; empty when none was given."""
    strict: bool | None = None
    cache: Cache | None = None


class HostedTool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A tool that a vendor runs itself (web search, code execution): exists only there."""

    type: str


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which tools the model may or must call."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""
    """Of the tool, with mode `tool`."""


class Format(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The form of the text that is wanted."""

    kind: Literal["text", "json", "schema"]
    name: str = ""
    description: str = ""
    schema: str = ""
    """JSON Schema as JSON text, with kind `schema`."""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How much the model should think."""

    enabled: bool | None = None
    """False forbids it; None leaves it to `effort` and `budget_tokens`."""
    effort: str = ""
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`; empty is not stated."""
    budget_tokens: int | None = None
    """Most tokens of thinking; -1 leaves it to the model (Gemini's dynamic, Anthropic's adaptive)."""
    show: bool | None = None
    """The caller wants to read the thinking, or a summary of it."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request for a chat completion."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    hosted_tools: tuple[HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    """False: at most one tool call in an answer."""
    max_output_tokens: int | None = None
    """For one choice."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    choices: int = 1
    format: Format | None = None
    reasoning: Reasoning | None = None
    logprobs: int | None = None
    """Alternatives wanted at each token (0: only of the chosen one); None is no log probabilities."""
    logit_bias: str = ""
    """JSON text of an object; empty is none."""
    user: str = ""
    """The caller's own name for its user."""
    metadata: str = ""
    """JSON text of an object; empty is none."""
    service_tier: str = ""
    stream: bool = False
    other: tuple[str, ...] = ()
    """Names of stated fields that have no place here, for `rules`; null-valued ones are not stated."""


def turns(messages: tuple[Message, ...]) -> list[Message]:
    """User and assistant messages with neighbours of one role merged; system and developer ones are left out."""
    merged: list[Message] = []
    # Gathered, not added up: callers choose how many neighbours there are.
    gathered: list[list[Part]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        if merged and merged[-1].role == message.role:
            gathered[-1] = gathered[-1] or list(merged[-1].parts)
            gathered[-1] += message.parts
        else:
            merged.append(message)
            gathered.append([])
    return [
        msgspec.structs.replace(message, parts=tuple(parts)) if parts else message
        for message, parts in zip(merged, gathered, strict=True)
    ]


def instructions(messages: tuple[Message, ...]) -> list[Part]:
    """All parts of system and developer messages, in order."""
    return [part for message in messages if message.role in ("system", "developer") for part in message.parts]


def with_names(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Tool results with the name of the tool whose call they answer, for vendors that pair by name."""
    names: dict[str, str] = {}
    named: list[Message] = []
    for message in messages:
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                names[part.id] = part.name
            elif isinstance(part, ToolResult) and not part.name:
                part = msgspec.structs.replace(part, name=names.get(part.call_id, ""))  # noqa: PLW2901
            parts.append(part)
        named.append(msgspec.structs.replace(message, parts=tuple(parts)))
    return tuple(named)
