"""The provider's side of a translated call, when it speaks Anthropic messages.

Owns the rules of what Anthropic cannot do, and the body of a request. How turns, thinking and schemas are written
stands in `vendor_turns`, `vendor_models`, `vendor_thinking` and `vendor_schema`; `vendor_answer` and `vendor_stream`
read answers.

*Source:* Anthropic API reference, "Create a message" and "Structured outputs"; "OpenAI SDK compatibility", which says
what becomes of OpenAI's fields there, as of 2026-11.
"""

import msgspec

from heddle.wire.canonical.request import ChatRequest, Tool
from heddle.wire.canonical.rules import Notes, Outcome, Rule, Rules, apply
from heddle.wire.llm.anthropic.answer import Block
from heddle.wire.llm.anthropic.vendor_answer import decode_answer
from heddle.wire.llm.anthropic.vendor_models import sampling
from heddle.wire.llm.anthropic.vendor_schema import fit
from heddle.wire.llm.anthropic.vendor_stream import open_decoder
from heddle.wire.llm.anthropic.vendor_thinking import bounds
from heddle.wire.llm.anthropic.vendor_turns import encode_messages, encode_system, mark

NAME = "Anthropic"

__all__ = ["NAME", "RULES", "decode_answer", "encode_chat", "open_decoder"]

RULES: Rules = {
    # "OpenAI SDK compatibility": system and developer messages are hoisted to the beginning of the conversation.
    Rule.DEVELOPER: Outcome.EMULATED,
    Rule.LATE_INSTRUCTIONS: Outcome.EMULATED,
    # "OpenAI SDK compatibility", "Simple fields": these are ignored.
    Rule.PARTICIPANT: Outcome.DROPPED,
    Rule.SEED: Outcome.DROPPED,
    Rule.PRESENCE_PENALTY: Outcome.DROPPED,
    Rule.FREQUENCY_PENALTY: Outcome.DROPPED,
    Rule.LOGIT_BIAS: Outcome.DROPPED,
    Rule.METADATA: Outcome.DROPPED,
    # "Service tiers": the values are `auto` and `standard_only`, those of others mean other contracts.
    Rule.SERVICE_TIER: Outcome.DROPPED,
    # "n: must be exactly 1"; log probabilities are ignored there, and an answer without them is not what was asked.
    Rule.CHOICES: Outcome.REFUSED,
    Rule.LOGPROBS: Outcome.REFUSED,
    # "Create a message", content blocks: text, images and documents are all there is.
    Rule.AUDIO: Outcome.REFUSED,
    Rule.VIDEO: Outcome.REFUSED,
    # A file's name means something only to the vendor that keeps it; tools that a vendor runs exist only there.
    Rule.FILE_ID: Outcome.REFUSED,
    Rule.HOSTED_TOOLS: Outcome.REFUSED,
    # "Structured outputs" wants a schema; without one the model is told, and nothing enforces it.
    Rule.FORMAT_JSON: Outcome.EMULATED,
    Rule.OTHER: Outcome.DROPPED,
    # Samplers and thinking depend on the model: `vendor_models` and `vendor_thinking` note what becomes of them.
}

JSON_ONLY = "Answer with one JSON object and nothing else: no prose around it and no code fence."

_CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}


def encode_chat(request: ChatRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`. Raises UntranslatableError, by RULES or when calls and results do not pair."""
    apply(request, RULES, NAME, notes)
    limits = bounds(request, model, notes)
    body: dict[str, object] = {"model": model, "max_tokens": limits.max_tokens}
    system = encode_system(request)
    if request.format is not None and request.format.kind == "json":
        system.append({"type": "text", "text": JSON_ONLY})
    if system:
        body["system"] = system
    body["messages"] = encode_messages(request, notes)
    if request.tools:
        body["tools"] = [_tool(tool, notes) for tool in request.tools]
        choice = _tool_choice(request)
        if choice is not None:
            body["tool_choice"] = choice
    if limits.thinking is not None:
        body["thinking"] = limits.thinking
    output = _output_config(request, limits.effort, notes)
    if output:
        body["output_config"] = output
    thinks = limits.thinking is not None and limits.thinking["type"] != "disabled"
    body.update(sampling(request, model, thinks, notes))
    body.update(_simple(request, notes))
    return msgspec.json.encode(body)


def _tool(tool: Tool, notes: Notes) -> Block:
    schema: object = msgspec.Raw(tool.schema.encode()) if tool.schema else {"type": "object", "properties": {}}
    if tool.schema.replace(" ", "") == "{}":
        schema = {"type": "object"}
    wire: Block = {"name": tool.name}
    if tool.description:
        wire["description"] = tool.description
    if tool.strict:
        wire["strict"] = True
        if tool.schema:
            schema, changed = fit(tool.schema)
            if changed and "tool_strict" not in notes.emulated:
                notes.emulated.append("tool_strict")
    wire["input_schema"] = schema
    return {**wire, **mark(tool.cache)}


def _tool_choice(request: ChatRequest) -> Block | None:
    """With tools only: a choice among none is an error."""
    choice = request.tool_choice
    wire: Block = {"type": _CHOICES[choice.mode] if choice is not None else "auto"}
    if choice is not None and choice.mode == "tool":
        wire["name"] = choice.name
    if request.parallel_tools is not None and wire["type"] != "none":
        wire["disable_parallel_tool_use"] = not request.parallel_tools
    elif choice is None:
        return None
    return wire


def _output_config(request: ChatRequest, effort: str, notes: Notes) -> Block:
    config: Block = {"effort": effort} if effort else {}
    wanted = request.format
    if wanted is not None and wanted.kind == "schema":
        schema, changed = fit(wanted.schema)
        config["format"] = {"type": "json_schema", "schema": schema}
        if changed:
            notes.emulated.append("format_schema")
    return config


def _simple(request: ChatRequest, notes: Notes) -> Block:
    """The fields that are one value. Absent ones are left out, never null."""
    fields: Block = {}
    # "Each stop sequence must contain non-whitespace."
    stops = [stop for stop in request.stop if stop.strip()]
    if len(stops) < len(request.stop):
        notes.dropped.append("stop")
    if stops:
        fields["stop_sequences"] = stops
    if request.user:
        fields["metadata"] = {"user_id": request.user}
    if request.stream:
        fields["stream"] = True
    return fields
