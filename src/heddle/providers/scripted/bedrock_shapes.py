"""The literal shapes of Bedrock's Converse request, with the bounds and patterns of the service's model.

Unions are one member of many: which, is checked where they are read.

*Source:* Amazon Bedrock API Reference, "Converse"; the service model `bedrock-runtime-2023-09-30` of botocore 1.44, as
of 2026-11.
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.providers.scripted.shape import Strict

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.:-]+$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class S3(Strict):
    """S3, as the reference has it."""

    uri: Annotated[str, msgspec.Meta(pattern=r"^s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?$")]
    bucketOwner: str | None = None  # noqa: N815


class Source(Strict):
    """A union: one of them."""

    bytes: NotEmpty | None = None
    s3Location: S3 | None = None  # noqa: N815
    text: str | None = None
    content: list[dict[str, str]] | None = None


class Image(Strict):
    """Image, as the reference has it."""

    format: Literal["png", "jpeg", "gif", "webp"]
    source: Source


class Document(Strict):
    """Document, as the reference has it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9\-\(\)\[\] ]+$")]
    source: Source
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] | None = None
    context: str | None = None
    citations: Any = None


class Media(Strict):
    """Video or audio."""

    format: str
    source: Source


class ToolUse(Strict):
    """Tool use, as the reference has it."""

    toolUseId: Id  # noqa: N815
    name: Name
    input: dict[str, Any]
    type: Literal["server_tool_use"] | None = None


class ResultContent(Strict):
    """A union."""

    json: Any = msgspec.UNSET
    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Media | None = None
    searchResult: Any = None  # noqa: N815


class ToolResult(Strict):
    """Tool result, as the reference has it."""

    toolUseId: Id  # noqa: N815
    content: list[ResultContent]
    status: Literal["success", "error"] | None = None
    type: str | None = None


class CachePoint(Strict):
    """Cache point, as the reference has it."""

    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class ReasoningText(Strict):
    """Reasoning text, as the reference has it."""

    text: str
    signature: str | None = None


class Reasoning(Strict):
    """A union."""

    reasoningText: ReasoningText | None = None  # noqa: N815
    redactedContent: str | None = None  # noqa: N815


class Block(Strict):
    """A union: one member is set."""

    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Media | None = None
    audio: Media | None = None
    toolUse: ToolUse | None = None  # noqa: N815
    toolResult: ToolResult | None = None  # noqa: N815
    guardContent: Any = None  # noqa: N815
    cachePoint: CachePoint | None = None  # noqa: N815
    reasoningContent: Reasoning | None = None  # noqa: N815
    citationsContent: Any = None  # noqa: N815
    searchResult: Any = None  # noqa: N815


class Message(Strict):
    """Message, as the reference has it."""

    role: Literal["user", "assistant"]
    content: list[Block]


class System(Strict):
    """A union."""

    text: NotEmpty | None = None
    guardContent: Any = None  # noqa: N815
    cachePoint: CachePoint | None = None  # noqa: N815


class Schema(Strict):
    """Schema, as the reference has it."""

    json: dict[str, Any]


class Spec(Strict):
    """Spec, as the reference has it."""

    name: Name
    inputSchema: Schema  # noqa: N815
    description: NotEmpty | None = None
    strict: bool | None = None


class Tool(Strict):
    """A union."""

    toolSpec: Spec | None = None  # noqa: N815
    cachePoint: CachePoint | None = None  # noqa: N815


class Empty(Strict):
    """Empty, as the reference has it."""


class Specific(Strict):
    """Specific, as the reference has it."""

    name: Name


class Choice(Strict):
    """A union."""

    auto: Empty | None = None
    any: Empty | None = None
    tool: Specific | None = None


class ToolConfig(Strict):
    """Tool config, as the reference has it."""

    tools: Annotated[list[Tool], msgspec.Meta(min_length=1)]
    toolChoice: Choice | None = None  # noqa: N815


class Inference(Strict):
    """Inference, as the reference has it."""

    maxTokens: Annotated[int, msgspec.Meta(ge=1)] | None = None  # noqa: N815
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    topP: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # noqa: N815
    stopSequences: Annotated[list[NotEmpty], msgspec.Meta(max_length=2500)] | None = None  # noqa: N815


class JsonSchema(Strict):
    """Json schema, as the reference has it."""

    schema: str
    name: str | None = None
    description: str | None = None


class Structure(Strict):
    """Structure, as the reference has it."""

    jsonSchema: JsonSchema  # noqa: N815


class TextFormat(Strict):
    """Text format, as the reference has it."""

    type: Literal["json_schema"]
    structure: Structure


class OutputConfig(Strict):
    """Output config, as the reference has it."""

    textFormat: TextFormat | None = None  # noqa: N815
    effort: str | None = None


class Request(Strict):
    """Request, as the reference has it."""

    messages: list[Message]
    system: list[System] | None = None
    inferenceConfig: Inference | None = None  # noqa: N815
    toolConfig: ToolConfig | None = None  # noqa: N815
    guardrailConfig: Any = None  # noqa: N815
    additionalModelRequestFields: dict[str, Any] | None = None  # noqa: N815
    promptVariables: Any = None  # noqa: N815
    additionalModelResponseFieldPaths: list[str] | None = None  # noqa: N815
    requestMetadata: dict[str, str] | None = None  # noqa: N815
    performanceConfig: Any = None  # noqa: N815
    serviceTier: Any = None  # noqa: N815
    outputConfig: OutputConfig | None = None  # noqa: N815
