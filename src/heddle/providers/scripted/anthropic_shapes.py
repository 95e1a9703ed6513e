"""The literal shapes of Anthropic's messages request; what is not in them is refused.

*Source:* Anthropic API reference, "Create a Message", "Count tokens in a Message"; the request types of its Python SDK
2.12, 2026-11.
"""

from typing import Any, Literal

from heddle.providers.scripted.shape import Strict


class Cache(Strict):
    """Cache, as the reference has it."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Citations(Strict):
    """Citations, as the reference has it."""

    enabled: bool | None = None


class Text(Strict, tag="text"):
    """A block or source of type `text`."""

    text: str
    cache_control: Cache | None = None
    citations: Any = None


class Base64(Strict, tag="base64"):
    """A block or source of type `base64`."""

    data: str
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf"]


class Url(Strict, tag="url"):
    """A block or source of type `url`."""

    url: str


class File(Strict, tag="file"):
    """A block or source of type `file`."""

    file_id: str


class PlainText(Strict, tag="text"):
    """A block or source of type `text`."""

    data: str
    media_type: Literal["text/plain"]


class Content(Strict, tag="content"):
    """A block or source of type `content`."""

    content: Any


class Image(Strict, tag="image"):
    """A block or source of type `image`."""

    source: Base64 | Url | File
    cache_control: Cache | None = None
    transformations: Any = None


class Document(Strict, tag="document"):
    """A block or source of type `document`."""

    source: Base64 | Url | File | PlainText | Content
    cache_control: Cache | None = None
    citations: Citations | None = None
    context: str | None = None
    title: str | None = None


class ToolUse(Strict, tag="tool_use"):
    """A block or source of type `tool_use`."""

    id: str
    input: dict[str, Any]
    name: str
    cache_control: Cache | None = None
    caller: Any = None
    toolset_name: str | None = None


class ToolResult(Strict, tag="tool_result"):
    """A block or source of type `tool_result`."""

    tool_use_id: str
    content: str | list[Text | Image | Document] | None = None
    is_error: bool | None = None
    cache_control: Cache | None = None
    toolset_name: str | None = None


class Thinking(Strict, tag="thinking"):
    """A block or source of type `thinking`."""

    thinking: str
    signature: str


class Redacted(Strict, tag="redacted_thinking"):
    """A block or source of type `redacted_thinking`."""

    data: str


Block = Text | Image | Document | ToolUse | ToolResult | Thinking | Redacted


class Message(Strict):
    """Message, as the reference has it."""

    role: Literal["user", "assistant"]
    content: str | list[Block]


class Tool(Strict):
    """Tool, as the reference has it."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    cache_control: Cache | None = None
    strict: bool | None = None
    type: Literal["custom"] | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class ToolChoice(Strict):
    """Tool choice, as the reference has it."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Strict):
    """Thinking config, as the reference has it."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class Format(Strict):
    """Format, as the reference has it."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Strict):
    """Output config, as the reference has it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Format | None = None


class Metadata(Strict):
    """Metadata, as the reference has it."""

    user_id: str | None = None


class Counted(Strict, kw_only=True):
    """What is asked when tokens are counted."""

    model: str
    messages: list[Message]
    system: str | list[Text] | None = None
    thinking: ThinkingConfig | None = None
    tool_choice: ToolChoice | None = None
    tools: list[Tool] | None = None
    output_config: OutputConfig | None = None
    cache_control: Cache | None = None
    speed: str | None = None


class Request(Counted, kw_only=True):
    """Request, as the reference has it."""

    max_tokens: int
    container: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
