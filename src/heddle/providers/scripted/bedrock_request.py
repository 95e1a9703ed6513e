"""Bedrock's Converse request, read as strictly as Amazon reads it.

Owns the literal shapes of the fields, with the bounds and patterns of the service's model; the rules between messages,
which alternate; that results come right after their calls; that thinking comes back first in its turn with its seal.
Fields that the service does not know are refused, as `additionalModelRequestFields` is where they belong.

*Source:* Amazon Bedrock API Reference, "Converse", and the service model `bedrock-runtime-2023-09-30` of botocore 1.44;
Amazon Bedrock User Guide, "Extended thinking", "Tool use"; as of 2026-11.
"""

import base64
import binascii
from typing import Any

import msgspec

from heddle.providers.scripted import bedrock_shapes as shapes
from heddle.providers.scripted.asked import Asked, RefusedError, Tool
from heddle.providers.scripted.seals import fits, sealed_id
from heddle.providers.scripted.shape import ShapeError, read

REDACTED = "bedrock redacted thinking"
THOUGHT = "bedrock thinking"
"""What a seal of it is made for."""

_REQUEST = msgspec.json.Decoder(shapes.Request)
_encode = msgspec.json.encode
_MEDIA = ("image", "document", "video", "audio")


def read_request(body: bytes, stream: bool) -> Asked:
    """What a request asks. Raises RefusedError for what Amazon refuses."""
    try:
        request = read(_REQUEST, body)
    except ShapeError as exc:
        raise RefusedError(_words(exc)) from exc
    extra = request.additionalModelRequestFields or {}
    thinking = _thinks(extra, request.inferenceConfig)
    thoughts = _check(request.messages, thinking)
    texts = [_text(message) for message in request.messages]
    users = [text for message, text in zip(request.messages, texts, strict=True) if message.role == "user" and text]
    config = request.inferenceConfig or shapes.Inference()
    asked = Asked(
        said=users[-1] if users else "",
        extra=(request.requestMetadata or {}).get("heddle", ""),
        turns=len(texts),
        texts=[*[block.text for block in request.system or () if block.text], *texts],
        media=sum(any(getattr(b, kind) is not None for kind in _MEDIA) for m in request.messages for b in m.content),
        results=_results(request.messages[-1]),
        thoughts_back=thoughts,
        most=config.maxTokens,
        stops=list(config.stopSequences or ()),
        thinking=thinking,
        stream=stream,
    )
    _read_tools(request, asked, thinking)
    form = request.outputConfig.textFormat if request.outputConfig is not None else None
    if form is not None:
        asked.form, asked.schema = "schema", _schema(form.structure.jsonSchema.schema)
    return asked


def _words(error: ShapeError) -> str:
    if error.problem == "json":
        return "Unable to parse the request body."
    at = error.dotted
    said = {
        "unknown": "extraneous key is not permitted",
        "missing": "required key not found",
        "value": "failed to satisfy constraint",
    }
    text = said.get(error.problem) or f"expected type: {error.wanted}"
    return f"The model returned the following errors: Malformed input request: #/{at.replace('.', '/')}: {text}"


def _schema(text: str) -> Any:
    try:
        schema = msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise RefusedError("The JSON schema of outputConfig.textFormat is not valid JSON.") from exc
    if not isinstance(schema, dict):
        raise RefusedError("The JSON schema of outputConfig.textFormat is not an object.")
    return schema


def _thinks(extra: dict[str, Any], config: shapes.Inference | None) -> bool:
    thinking = extra.get("thinking", extra.get("reasoning_config"))
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return False
    budget = thinking.get("budget_tokens")
    if thinking["type"] == "enabled":
        if not isinstance(budget, int) or budget < 1024:
            raise RefusedError("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if config is not None and config.maxTokens is not None and config.maxTokens <= budget:
            raise RefusedError("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if config is not None and config.temperature not in (None, 1):
        raise RefusedError("`temperature` may only be set to 1 when thinking is enabled.")
    return True


def _check(messages: list[shapes.Message], thinking: bool) -> int:
    """How many sealed thoughts there are. Raises RefusedError where messages do not belong together."""
    if not messages or messages[0].role != "user":
        raise RefusedError("A conversation must start with a user message. Try again with a conversation that starts "
                           "with a user message.")  # fmt: skip
    thoughts, waiting = 0, set[str]()
    for index, message in enumerate(messages):
        if index and messages[index - 1].role == message.role:
            raise RefusedError("A conversation must alternate between user and assistant roles. Make sure the "
                               "conversation alternates between user and assistant roles and try again.")  # fmt: skip
        if not message.content:
            raise RefusedError(f"The content field in the Message object at messages.{index} is empty. Add a "
                               "ContentBlock object to the content field and try again.")  # fmt: skip
        for at, block in enumerate(message.content):
            _check_block(block, message.role, f"messages.{index}.content.{at}")
            thoughts += block.reasoningContent is not None
        _pair(index, message, waiting)
        waiting = {block.toolUse.toolUseId for block in message.content if block.toolUse is not None}
        if thinking and waiting and _is_last_turn(messages, index) and message.content[0].reasoningContent is None:
            raise RefusedError(
                f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
            )
    if waiting:
        _unanswered(len(messages), sorted(waiting))
    return thoughts


def _is_last_turn(messages: list[shapes.Message], index: int) -> bool:
    later = [message for message in messages[index + 1 :] if message.role == "user"]
    return all(any(block.toolResult is not None for block in message.content) for message in later)


def _pair(index: int, message: shapes.Message, waiting: set[str]) -> None:
    answered = [block.toolResult.toolUseId for block in message.content if block.toolResult is not None]
    if not waiting.issuperset(answered) or len(set(answered)) < len(answered):
        raise RefusedError(
            f"The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of "
            "previous turn."
        )
    if waiting.difference(answered):
        _unanswered(index, sorted(waiting.difference(answered)))


def _unanswered(index: int, missing: list[str]) -> None:
    raise RefusedError(
        f"Expected toolResult blocks at messages.{index}.content for the following Ids: {', '.join(missing)}"
    )


def _check_block(block: shapes.Block, role: str, at: str) -> None:
    stated = [name for name in block.__struct_fields__ if getattr(block, name) is not None]
    if len(stated) != 1:
        raise RefusedError(f"#/{at.replace('.', '/')}: exactly one member of the union must be set")
    if block.text is not None and not block.text.strip():
        raise RefusedError(f"The text field in the ContentBlock object at {at} is blank. Add text to the text field, "
                           "and try again.")  # fmt: skip
    if stated[0] in (("image", "document", "video", "audio", "toolResult") if role == "assistant" else
                     ("toolUse", "reasoningContent")):  # fmt: skip
        raise RefusedError(f"The {stated[0]} field is not allowed in a message of role {role} ({at}).")
    for kind in _MEDIA:
        media = getattr(block, kind)
        if media is not None:
            _check_bytes(media.source, at)
    if block.reasoningContent is not None:
        _check_reasoning(block.reasoningContent, at)


def _check_reasoning(block: shapes.Reasoning, at: str) -> None:
    said = block.reasoningText
    if said is not None:
        if not fits(said.signature or "", THOUGHT, said.text):
            raise RefusedError(f"{at}: Invalid `signature` in `thinking` block")
        return
    try:
        value = base64.b64decode(block.redactedContent or "", validate=True).decode()
    except ValueError:
        value = ""
    if not sealed_id(value, REDACTED):
        raise RefusedError(f"{at}: Invalid `data` in `redacted_thinking` block")


def _check_bytes(source: shapes.Source, at: str) -> None:
    if source.bytes is None:
        return
    try:
        base64.b64decode(source.bytes, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RefusedError(f"The bytes at {at} are not base64.") from exc


def _read_tools(request: shapes.Request, asked: Asked, thinking: bool) -> None:
    config = request.toolConfig
    if config is None:
        used = [block for message in request.messages for block in message.content]
        if any(block.toolUse is not None or block.toolResult is not None for block in used):
            raise RefusedError("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return
    specs = [tool.toolSpec for tool in config.tools if tool.toolSpec is not None]
    asked.tools = [Tool(spec.name, spec.inputSchema.json) for spec in specs]
    asked.tool_bytes = len(_encode(config.tools))
    for index, spec in enumerate(specs):
        if spec.inputSchema.json.get("type") != "object":
            raise RefusedError(
                f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: "
                "object."
            )
    choice = config.toolChoice
    if choice is None or choice.auto is not None:
        return
    if thinking:
        raise RefusedError("Thinking may not be enabled when tool_choice forces tool use.")
    if choice.tool is not None:
        if all(tool.name != choice.tool.name for tool in asked.tools):
            raise RefusedError(f"The tool {choice.tool.name} of toolConfig.toolChoice is not defined.")
        asked.choice, asked.chosen = "named", choice.tool.name
    else:
        asked.choice = "required"


def _text(message: shapes.Message) -> str:
    said = []
    for block in message.content:
        if block.text is not None:
            said.append(block.text)
        elif block.toolResult is not None:
            said += _told(block.toolResult)
        elif block.toolUse is not None:
            said.append(_encode(block.toolUse.input).decode())
    return " ".join(said)


def _told(result: shapes.ToolResult) -> list[str]:
    return [
        part.text if part.text is not None else _encode(part.json).decode()
        for part in result.content
        if part.text is not None or part.json is not msgspec.UNSET
    ]


def _results(message: shapes.Message) -> list[str] | None:
    if message.role != "user":
        return None
    return [" ".join(_told(b.toolResult)) for b in message.content if b.toolResult is not None] or None
