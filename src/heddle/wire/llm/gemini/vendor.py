"""Gemini as the provider's side of a translated call.

Owns the rules of what Gemini may not have, the outline of its request, and the reading of a whole answer. Which model
it is stands in the path, so the body names none.

*Source:* Gemini API reference, "models.generateContent"; the documents named beside each rule, 2026-11.
"""

from typing import Any

import msgspec

from heddle.wire.canonical.answer import ChatAnswer, Choice
from heddle.wire.canonical.request import ChatRequest, Media, Message, Part, Text, Thinking, Tool, ToolCall, ToolChoice
from heddle.wire.canonical.rules import Notes, Outcome, Rule, Rules, apply
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import logprobs, usage
from heddle.wire.llm.gemini.contents import Writer
from heddle.wire.llm.gemini.decoder import Decoder
from heddle.wire.llm.gemini.response import UNFINISHED, Candidate, Piece, Response, call_id, decode, pieces, stop_of
from heddle.wire.llm.gemini.settings import generation_config

NAME = "Gemini"

RULES: Rules = {
    # "Content", role: "Must be either 'user' or 'model'"; instructions stand in `systemInstruction`, all together.
    Rule.LATE_INSTRUCTIONS: Outcome.EMULATED,
    # "Content" has no name of a participant.
    Rule.PARTICIPANT: Outcome.DROPPED,
    # A file id belongs to its vendor. Addresses at Google are no ids here: they are carried as addresses.
    Rule.FILE_ID: Outcome.REFUSED,
    # "Tool": hosted tools are configured in Google's own words, and their results are parts nobody else has.
    Rule.HOSTED_TOOLS: Outcome.REFUSED,
    # "FunctionDeclaration" has no `strict`; schemas are followed, but not promised to be.
    Rule.TOOL_STRICT: Outcome.DROPPED,
    # "FunctionCallingConfig" has no switch for parallel calls.
    Rule.PARALLEL_TOOLS_OFF: Outcome.DROPPED,
    # "Context caching": implicit, or by a resource that was made before; no marks in contents.
    Rule.CACHE: Outcome.DROPPED,
    # "GenerationConfig" has none; the ids of tokens are those of another vocabulary anyway.
    Rule.LOGIT_BIAS: Outcome.REFUSED,
    # "GenerateContentRequest" has no name of the user.
    Rule.USER: Outcome.DROPPED,
    # "labels" exist at Vertex AI only, with other bounds.
    Rule.METADATA: Outcome.DROPPED,
    Rule.OTHER: Outcome.DROPPED,
}
"""What is not here is kept."""

_TIERS = {"auto": "", "default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_AT_GOOGLE = ("gs://", "https://generativelanguage.googleapis.com/")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}


def encode_chat(request: ChatRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`. Raises UntranslatableError by RULES, ProtocolError for what cannot be said."""
    request = _own_files(request)
    apply(request, RULES, NAME, notes)
    writer = Writer(model, notes)
    body: dict[str, Any] = {"contents": writer.contents(request)}
    system = writer.system(request)
    if system is not None:
        body["systemInstruction"] = system
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
    if request.tool_choice is not None and request.tools:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice)}
    config = generation_config(request, model, notes)
    if config:
        body["generationConfig"] = config
    _put_tier(request, body, notes)
    return msgspec.json.encode(body)


def _own_files(request: ChatRequest) -> ChatRequest:
    """Files at Google as addresses again: a caller of this dialect named them, and here they mean something."""
    messages = tuple(
        Message(role=message.role, parts=tuple(map(_address, message.parts)), name=message.name)
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=messages)


def _address(part: Part) -> Part:
    if isinstance(part, Media) and part.file_id.startswith(_AT_GOOGLE):
        return msgspec.structs.replace(part, url=part.file_id, file_id="")
    return part


def _tool(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.schema:
        declared["parametersJsonSchema"] = msgspec.Raw(tool.schema.encode())
    return declared


def _choice(choice: ToolChoice) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": _MODES[choice.mode]}
    if choice.mode == "tool":
        config["allowedFunctionNames"] = [choice.name]
    return config


def _put_tier(request: ChatRequest, body: dict[str, Any], notes: Notes) -> None:
    tier = _TIERS.get(request.service_tier)
    if tier:
        body["serviceTier"] = tier
    elif request.service_tier and tier is None:
        notes.dropped.append("service_tier")


def decode_answer(body: bytes) -> ChatAnswer:
    """A whole answer. Raises ProtocolError when it is none, and when the model failed to write one."""
    try:
        response = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not one of generateContent.", malformed=True) from exc
    ident = response.response_id or ""
    if response.candidates:
        choices = tuple(_choice_of(candidate, number, ident) for number, candidate in enumerate(response.candidates))
    elif response.blocked:
        choices = (Choice(stop="content_filter"),)
    else:
        raise ProtocolError("The answer has neither candidates nor a reason why the prompt was blocked.")
    return ChatAnswer(id=ident, model=response.model_version or "", choices=choices, usage=_used(response))


def _used(response: Response) -> Any:
    return usage.read(response.usage_metadata) if response.usage_metadata is not None else None


def _choice_of(candidate: Candidate, number: int, ident: str) -> Choice:
    parts: list[Part] = []
    called = False
    for piece in pieces(candidate):
        if piece.kind == "tool_call":
            called = True
            made = call_id(ident, (number, len(parts)), piece)
            parts.append(ToolCall(id=made, name=piece.name, arguments=piece.text, signature=piece.signature))
        else:
            _append(parts, piece)
    reason = candidate.finish_reason or ""
    if reason in UNFINISHED:
        raise ProtocolError("The answer does not say why it ended.")
    return Choice(parts=tuple(parts), stop=stop_of(reason, called), logprobs=logprobs.read(candidate.logprobs_result))


def _append(parts: list[Part], piece: Piece) -> None:
    """Add text or thinking, to the last part where it goes on with it: a signature ends a part."""
    last = parts[-1] if parts else None
    if piece.kind == "text":
        said = last.text if isinstance(last, Text) else ""
        parts[len(parts) - isinstance(last, Text) :] = [Text(text=said + piece.text)]
    else:
        more = isinstance(last, Thinking) and not last.signature
        said = last.text if isinstance(last, Thinking) and more else ""
        parts[len(parts) - more :] = [Thinking(text=said + piece.text, signature=piece.signature)]


def open_decoder() -> Decoder:
    """A reader for a streamed answer."""
    return Decoder()
