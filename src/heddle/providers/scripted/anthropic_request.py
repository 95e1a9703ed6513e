"""Anthropic's messages request, read as strictly as Anthropic reads it.

Owns the literal shapes of the fields, unknown ones refused; the rules between messages: results stand first in the
message right after their calls, text is not empty, thinking comes back first in its turn with its seal unbroken.
Tools that Anthropic runs itself are no part of the offline model, and refused as unknown.

*Source:* Anthropic API reference, "Create a Message"; "Extended thinking" (preserving thinking blocks), "Tool use"
(troubleshooting); the request types of its Python SDK 2.12, 2026-11.
"""

from typing import Any

import msgspec

from heddle.providers.scripted import anthropic_shapes as shapes
from heddle.providers.scripted.asked import Asked, RefusedError, Tool
from heddle.providers.scripted.seals import fits, sealed_id
from heddle.providers.scripted.shape import ShapeError, read

REDACTED = "anthropic redacted thinking"
THOUGHT = "anthropic thinking"
"""What a seal of it is made for."""
MIN_BUDGET_TOKENS = 1024

_SCHEMA_UNKNOWN = ("minimum", "maximum", "minLength", "maxLength", "multipleOf")
"""Keywords that structured output refuses ("Structured outputs", JSON Schema limitations)."""


_ALLOWED: dict[str, Any] = {
    "user": (shapes.Text, shapes.Image, shapes.Document, shapes.ToolResult),
    "assistant": (shapes.Text, shapes.Thinking, shapes.Redacted, shapes.ToolUse),
}
_REQUEST = msgspec.json.Decoder(shapes.Request)
_COUNTED = msgspec.json.Decoder(shapes.Counted)
_encode = msgspec.json.encode


def read_request(body: bytes) -> Asked:
    """What a request asks. Raises RefusedError for what Anthropic refuses."""
    request = _read(_REQUEST, body)
    if request.max_tokens < 1:
        raise RefusedError("max_tokens: Input should be greater than or equal to 1")
    _check_sampling(request)
    asked = _outline(request)
    asked.most = request.max_tokens
    asked.stops = request.stop_sequences or []
    asked.stream = bool(request.stream)
    if any(not stop.strip() for stop in asked.stops):
        raise RefusedError("stop_sequences: each stop sequence must contain non-whitespace")
    return asked


def read_count(body: bytes) -> Asked:
    """What a request to count tokens asks. Raises RefusedError."""
    return _outline(_read(_COUNTED, body))


def _read(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return read(decoder, body)
    except ShapeError as exc:
        raise RefusedError(_words(exc)) from exc


def _words(error: ShapeError) -> str:
    said = {
        "missing": "Field required",
        "unknown": "Extra inputs are not permitted",
        "value": "Input should be one of the documented values",
        "json": "The request body is not valid JSON",
    }
    text = said.get(error.problem) or f"Input should be a valid {error.wanted}"
    return f"{error.dotted}: {text}" if error.path else text


def _outline(request: shapes.Counted) -> Asked:
    if not request.messages:
        raise RefusedError("messages: at least one message is required")
    thinking = _thinks(request)
    thoughts = _Conversation(request.messages).check(thinking)
    texts = [_text(message.content) for message in request.messages]
    users = [text for message, text in zip(request.messages, texts, strict=True) if message.role == "user" and text]
    asked = Asked(
        said=users[-1] if users else "",
        turns=len(texts),
        texts=[*([_text(request.system)] if request.system else []), *texts],
        media=sum(_media(message.content) for message in request.messages),
        results=_results(request.messages[-1]),
        thoughts_back=thoughts,
        thinking=thinking,
    )
    _check_system(request.system)
    _read_tools(request, asked, thinking)
    if request.output_config is not None and request.output_config.format is not None:
        asked.form, asked.schema = "schema", request.output_config.format.schema
        _check_schema(asked.schema, "output_config.format.schema")
    return asked


def _thinks(request: shapes.Counted) -> bool:
    config = request.thinking
    if config is None or config.type == "disabled":
        return False
    most = request.max_tokens if isinstance(request, shapes.Request) else None
    if config.type == "enabled":
        if config.budget_tokens is None:
            raise RefusedError("thinking.enabled.budget_tokens: Field required")
        if config.budget_tokens < MIN_BUDGET_TOKENS:
            raise RefusedError("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if most is not None and most <= config.budget_tokens:
            raise RefusedError("`max_tokens` must be greater than `thinking.budget_tokens`.")
    elif config.budget_tokens is not None:
        raise RefusedError(f"thinking.{config.type}.budget_tokens: Extra inputs are not permitted")
    return True


def _check_sampling(request: shapes.Request) -> None:
    thinks = request.thinking is not None and request.thinking.type != "disabled"
    if request.temperature is not None:
        if not 0 <= request.temperature <= 1:
            raise RefusedError("temperature: range: 0..1")
        if thinks and request.temperature != 1:
            raise RefusedError("`temperature` may only be set to 1 when thinking is enabled.")
    if thinks and request.top_k is not None:
        raise RefusedError("`top_k` must be unset when thinking is enabled.")
    if thinks and request.top_p is not None and request.top_p < 0.95:
        raise RefusedError("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")


def _check_system(system: str | list[shapes.Text] | None) -> None:
    for index, block in enumerate(system if isinstance(system, list) else []):
        if not block.text:
            raise RefusedError(f"system.{index}: text content blocks must be non-empty")


def _read_tools(request: shapes.Counted, asked: Asked, thinking: bool) -> None:
    tools = request.tools or []
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise RefusedError("tools: Tool names must be unique.")
    for index, tool in enumerate(tools):
        if tool.input_schema.get("type") != "object":
            raise RefusedError(f"tools.{index}.custom.input_schema.type: Input should be 'object'")
        asked.tools.append(Tool(tool.name, tool.input_schema))
    asked.tool_bytes = len(_encode(tools)) if tools else 0
    if not tools and any(isinstance(block, (shapes.ToolUse, shapes.ToolResult)) for block in _blocks(request.messages)):
        raise RefusedError("Requests which include `tool_use` or `tool_result` blocks must define tools")
    if request.tool_choice is not None:
        _read_choice(request.tool_choice, names, asked, thinking)


def _read_choice(choice: shapes.ToolChoice, names: list[str], asked: Asked, thinking: bool) -> None:
    if not names and choice.type != "none":
        raise RefusedError("tool_choice may only be specified while providing tools")
    if thinking and choice.type in ("any", "tool"):
        raise RefusedError("Thinking may not be enabled when tool_choice forces tool use.")
    asked.parallel = not choice.disable_parallel_tool_use
    if choice.type == "tool":
        if choice.name not in names:
            raise RefusedError(f"Tool '{choice.name}' not found in provided tools")
        asked.choice, asked.chosen = "named", choice.name or ""
    elif choice.type != "auto":
        asked.choice = "required" if choice.type == "any" else "none"


def _check_schema(schema: Any, at: str, depth: int = 0) -> None:
    """Objects must be closed, and bounds are not known."""
    if not isinstance(schema, dict) or depth > 30:
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise RefusedError(f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for keyword in _SCHEMA_UNKNOWN:
        if keyword in schema:
            raise RefusedError(f"{at}: For '{schema.get('type')}' type, property '{keyword}' is not supported")
    inner: list[Any] = [schema.get("items")]
    for keyword, kind in (("properties", dict), ("$defs", dict), ("anyOf", list)):
        value = schema.get(keyword, kind())
        if not isinstance(value, kind):
            raise RefusedError(f"{at}: '{keyword}' is not valid")
        inner += value.values() if isinstance(value, dict) else value
    for value in inner:
        _check_schema(value, at, depth + 1)


def _blocks(messages: list[shapes.Message]) -> list[shapes.Block]:
    return [block for message in messages if isinstance(message.content, list) for block in message.content]


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        said = [_text_of(part) for part in content]
        return " ".join(text for text in said if text)
    return content or ""


def _text_of(part: Any) -> str:
    if isinstance(part, shapes.ToolResult):
        return _text(part.content)
    if isinstance(part, shapes.ToolUse):
        return _encode(part.input).decode()
    return part.text if isinstance(part, shapes.Text) else ""


def _media(content: str | list[Any]) -> int:
    parts = content if isinstance(content, list) else []
    return sum(isinstance(part, (shapes.Image, shapes.Document)) for part in parts)


def _results(message: shapes.Message) -> list[str] | None:
    if message.role != "user" or isinstance(message.content, str):
        return None
    return [_text(part.content) for part in message.content if isinstance(part, shapes.ToolResult)] or None


class _Conversation:
    """The rules between messages."""

    __slots__ = ("_messages",)

    def __init__(self, messages: list[shapes.Message]) -> None:
        self._messages = messages

    def check(self, thinking: bool) -> int:
        """How many sealed thoughts there are. Raises RefusedError."""
        waiting: list[str] = []
        thoughts = 0
        for index, message in enumerate(self._messages):
            blocks: list[shapes.Block] = (
                [shapes.Text(message.content)] if isinstance(message.content, str) else message.content
            )
            if not blocks and index < len(self._messages) - 1:
                raise RefusedError(
                    f"messages.{index}: all messages must have non-empty content except for the optional final "
                    "assistant message"
                )
            for at, block in enumerate(blocks):
                self._check_block(block, f"messages.{index}.content.{at}", message.role)
                thoughts += isinstance(block, (shapes.Thinking, shapes.Redacted))
            self._pair(index, blocks, waiting)
            waiting = [block.id for block in blocks if isinstance(block, shapes.ToolUse)]
        if waiting:
            self._unanswered(len(self._messages) - 1, waiting)
        if thinking:
            self._check_turn()
        return thoughts

    def _check_block(self, block: shapes.Block, at: str, role: str) -> None:
        if isinstance(block, shapes.Text) and not block.text:
            raise RefusedError(f"{at.partition('.content')[0]}: text content blocks must be non-empty")
        if not isinstance(block, _ALLOWED[role]):
            raise RefusedError(f"{at}: block is not allowed in a message of role `{role}`")
        if isinstance(block, shapes.Thinking) and not fits(block.signature, THOUGHT, block.thinking):
            raise RefusedError(f"{at}: Invalid `signature` in `thinking` block")
        if isinstance(block, shapes.Redacted) and not sealed_id(block.data, REDACTED):
            raise RefusedError(f"{at}: Invalid `data` in `redacted_thinking` block")

    def _pair(self, index: int, blocks: list[shapes.Block], waiting: list[str]) -> None:
        answered = [block.tool_use_id for block in blocks if isinstance(block, shapes.ToolResult)]
        for ident in answered:
            if ident not in waiting:
                raise RefusedError(
                    f"messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {ident}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        if len(set(answered)) < len(answered):
            raise RefusedError(f"messages.{index}: each tool_use must have a single result")
        missing = [ident for ident in waiting if ident not in answered]
        first = [isinstance(block, shapes.ToolResult) for block in blocks[: len(answered)]]
        if missing or not all(first):
            self._unanswered(index - 1, missing or waiting)

    def _unanswered(self, index: int, missing: list[str]) -> None:
        raise RefusedError(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message."
        )

    def _check_turn(self) -> None:
        """With thinking on, the turn that calls tools begins with what was thought."""
        for index in range(len(self._messages) - 1, -1, -1):
            message = self._messages[index]
            blocks = [] if isinstance(message.content, str) else message.content
            if message.role == "user":
                if not any(isinstance(block, shapes.ToolResult) for block in blocks):
                    return
            elif any(isinstance(block, shapes.ToolUse) for block in blocks) and not isinstance(
                blocks[0], (shapes.Thinking, shapes.Redacted)
            ):
                raise RefusedError(
                    f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                    f"`{_name(blocks[0])}`. When `thinking` is enabled, a final `assistant` message must start with a "
                    "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
                )


def _name(block: shapes.Block) -> str:
    return str(block.__struct_config__.tag)
