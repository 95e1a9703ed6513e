"""Bedrock Converse as the provider's side of a translation: a `codec.Vendor`.

Owns how a canonical request is asked in this format, and what becomes of features it lacks. The model's name is in the
path and the wish to stream too, so neither is in the body.

*Source:* Amazon Bedrock API Reference, "Converse" (request syntax), and the service model of botocore 1.44, as of
2026-11. The reason of each rule stands beside it.
"""

import re
from typing import Any

import msgspec

from heddle.wire.canonical.request import (
    ChatRequest,
    Format,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    instructions,
    turns,
)
from heddle.wire.canonical.rules import Notes, Outcome, Rule, Rules, UntranslatableError, apply
from heddle.wire.llm.bedrock.blocks import Block, Blocks, add_cache_point, cache_point, carries
from heddle.wire.llm.bedrock.families import ask
from heddle.wire.llm.bedrock.vendor_answer import decode_answer
from heddle.wire.llm.bedrock.vendor_stream import open_decoder

__all__ = ["NAME", "RULES", "decode_answer", "encode_chat", "open_decoder"]

NAME = "Bedrock Converse"

RULES: Rules = {
    # `ImageSource`, `DocumentSource`: bytes, or an object in S3, which no other format can name.
    Rule.IMAGE_URL: Outcome.REFUSED,
    Rule.DOCUMENT_URL: Outcome.REFUSED,
    # There are no files that Bedrock keeps.
    Rule.FILE_ID: Outcome.REFUSED,
    # `ConversationRole` has no developer: its words are a system prompt.
    Rule.DEVELOPER: Outcome.EMULATED,
    # System prompts stand before all messages: later ones are moved there.
    Rule.LATE_INSTRUCTIONS: Outcome.EMULATED,
    # `Message` has role and content.
    Rule.PARTICIPANT: Outcome.DROPPED,
    # `SystemTool` names tools of Bedrock, under names of their own.
    Rule.HOSTED_TOOLS: Outcome.REFUSED,
    # `ToolChoice` is auto, any or tool. The tools are left out; where earlier calls are part of the conversation,
    # which needs their definitions, a system prompt forbids new ones instead.
    Rule.TOOL_CHOICE_NONE: Outcome.EMULATED,
    # `ToolConfiguration` has no member for it.
    Rule.PARALLEL_TOOLS_OFF: Outcome.DROPPED,
    # `InferenceConfiguration` has maxTokens, temperature, topP and stopSequences. Claude, Nova and Mistral take a
    # top k under `additionalModelRequestFields`; for others it is dropped.
    Rule.TOP_K: Outcome.EMULATED,
    Rule.SEED: Outcome.DROPPED,
    Rule.PRESENCE_PENALTY: Outcome.DROPPED,
    Rule.FREQUENCY_PENALTY: Outcome.DROPPED,
    # `ConverseOutput` is one message.
    Rule.CHOICES: Outcome.REFUSED,
    # `OutputFormatType` is json_schema: a system prompt asks for JSON instead.
    Rule.FORMAT_JSON: Outcome.EMULATED,
    # Each family has its own way (`families`): Claude an effort or, before 4.6, a budget, Nova 2 three efforts, gpt
    # its own. For others it is dropped.
    Rule.REASONING_EFFORT: Outcome.EMULATED,
    Rule.REASONING_BUDGET: Outcome.EMULATED,
    # Models that think only when asked to are not asked; some cannot be kept from it.
    Rule.REASONING_OFF: Outcome.EMULATED,
    # No model behind Converse tells probabilities or takes a bias.
    Rule.LOGPROBS: Outcome.REFUSED,
    Rule.LOGIT_BIAS: Outcome.REFUSED,
    # `requestMetadata` is for the caller's own pairs.
    Rule.USER: Outcome.DROPPED,
    Rule.OTHER: Outcome.DROPPED,
}

NO_TOOLS = "Answer without calling any tool."
ONLY_JSON = "Answer with a single JSON object and nothing else."

_TIERS = frozenset(("priority", "default", "flex", "reserved"))
_METADATA_KEY = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_METADATA_VALUE = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MAX_METADATA = 16

_Object = dict[str, Any]


def encode_chat(request: ChatRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`; see `codec.Vendor`."""
    apply(request, RULES, NAME, notes)
    asked = ask(request, model, notes)
    told: list[str] = []
    body: _Object = {
        "messages": _messages(request.messages, notes),
        "inferenceConfig": _inference(request),
        "toolConfig": _tool_config(request, told, notes),
        "outputConfig": _output(request.format, asked.effort, told),
        "requestMetadata": _metadata(request.metadata, notes),
        "serviceTier": _tier(request.service_tier, notes),
        "additionalModelRequestFields": asked.fields,
        # Which one it was is told only on demand; models that do not know are not asked again.
        "additionalModelResponseFieldPaths": ["/stop_sequence"] if request.stop else None,
    }
    body["system"] = _system(request.messages, told)
    return msgspec.json.encode({name: value for name, value in body.items() if value})


def _messages(messages: tuple[Message, ...], notes: Notes) -> list[_Object]:
    """Turns of user and assistant, which must alternate: what has nothing to say is left out before they merge."""
    said: list[Message] = []
    for message in messages:
        parts = tuple(part for part in message.parts if carries(part))
        if any(isinstance(part, Thinking) and not carries(part) for part in message.parts):
            _drop(notes, Rule.THINKING)
        if parts:
            said.append(msgspec.structs.replace(message, parts=parts))
    blocks = Blocks()
    return [{"role": turn.role, "content": blocks.message(turn.parts, turn.role)} for turn in turns(tuple(said))]


def _system(messages: tuple[Message, ...], told: list[str]) -> list[Block]:
    blocks: list[Block] = []
    for part in instructions(messages):
        if not isinstance(part, Text):
            raise UntranslatableError("system: only text can be a system prompt at Bedrock.", param="system")
        if part.text.strip():
            blocks.append({"text": part.text})
        add_cache_point(blocks, part)
    return blocks + [{"text": text} for text in told]


def _inference(request: ChatRequest) -> _Object:
    stated = {
        "maxTokens": request.max_output_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": [text for text in request.stop if text] or None,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _tool_config(request: ChatRequest, told: list[str], notes: Notes) -> _Object | None:
    """The tools, or those that earlier calls name: a conversation with calls needs definitions."""
    choice = request.tool_choice
    forbidden = choice is not None and choice.mode == "none"
    called = _called(request.messages)
    if not request.tools or forbidden:
        if not called:
            return None
        told.append(NO_TOOLS)
        if not request.tools:
            notes.emulated.append(Rule.TOOLS.name.lower())
    tools: list[Block] = []
    for tool in request.tools or [Tool(name=name) for name in called]:
        tools.append(_tool(tool))
        if tool.cache is not None:
            tools.append(cache_point(tool.cache))
    config: _Object = {"tools": tools}
    if choice is not None and choice.mode == "required":
        config["toolChoice"] = {"any": {}}
    elif choice is not None and choice.mode == "tool":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    return config


def _called(messages: tuple[Message, ...]) -> list[str]:
    """Names of the tools that the conversation has calls or results of."""
    parts = [part for message in messages for part in message.parts]
    names = [part.name for part in parts if isinstance(part, ToolCall | ToolResult) and part.name]
    return list(dict.fromkeys(names))


def _tool(tool: Tool) -> Block:
    schema: object = msgspec.Raw(tool.schema.encode()) if tool.schema else {"type": "object", "properties": {}}
    spec: _Object = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description.strip():
        spec["description"] = tool.description
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _output(wanted: Format | None, effort: str, told: list[str]) -> _Object:
    output: _Object = {"effort": effort} if effort else {}
    if wanted is None or wanted.kind == "text":
        return output
    if wanted.kind == "json":
        told.append(ONLY_JSON)
        return output
    schema = {"schema": wanted.schema, "name": wanted.name, "description": wanted.description}
    definition = {name: value for name, value in schema.items() if value}
    return output | {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}


def _metadata(metadata: str, notes: Notes) -> dict[str, str] | None:
    """The caller's pairs, if Bedrock takes them as they are."""
    if not metadata:
        return None
    try:
        pairs = msgspec.json.decode(metadata, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError):
        pairs = {}
    fit = all(_METADATA_KEY.fullmatch(key) and _METADATA_VALUE.fullmatch(value) for key, value in pairs.items())
    if pairs and len(pairs) <= _MAX_METADATA and fit:
        return pairs
    _drop(notes, Rule.METADATA)
    return None


def _tier(tier: str, notes: Notes) -> dict[str, str] | None:
    """Tiers that Bedrock has by the same name; `auto` leaves it to the account, which saying nothing does too."""
    if tier in _TIERS:
        return {"type": tier}
    if tier and tier != "auto":
        _drop(notes, Rule.SERVICE_TIER)
    return None


def _drop(notes: Notes, rule: Rule) -> None:
    """Note what the rules keep, and this request has in a form that Bedrock does not take."""
    if rule.name.lower() not in notes.dropped:
        notes.dropped.append(rule.name.lower())
