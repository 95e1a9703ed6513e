"""The provider's side of a translated call, for providers whose models exist only behind the responses API.

Owns the request and the whole answer. Nothing is stored (`store: false`), so reasoning is asked for sealed where the
caller thinks with it, and goes back as it came.

*Source:* OpenAI API reference, "Create a model response" and "The response object"; guides "Migrate to the responses
API", "Reasoning" (encrypted items) and "PDF files", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import (
    ChatRequest,
    Format,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import Notes, Outcome, Rule, Rules, UntranslatableError, apply
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import usage as wire_usage
from heddle.wire.llm.openai_responses.decoder import EventDecoder, WireError, failure_of, stop_of
from heddle.wire.llm.openai_responses.signatures import OWN
from heddle.wire.llm.openai_responses.tools import wrap_input

NAME = "OpenAI responses"

RULES: Rules = {
    # Not among the fields of "Create a model response":
    Rule.STOP: Outcome.REFUSED,
    Rule.CHOICES: Outcome.REFUSED,
    Rule.TOP_K: Outcome.DROPPED,
    Rule.SEED: Outcome.DROPPED,
    Rule.PRESENCE_PENALTY: Outcome.DROPPED,
    Rule.FREQUENCY_PENALTY: Outcome.DROPPED,
    Rule.LOGIT_BIAS: Outcome.REFUSED,
    Rule.PARTICIPANT: Outcome.DROPPED,
    Rule.OTHER: Outcome.DROPPED,
    # Contents are `input_text`, `input_image` and `input_file`.
    Rule.AUDIO: Outcome.REFUSED,
    Rule.VIDEO: Outcome.REFUSED,
    # As text under its name: files must be of a type the model's reader knows.
    Rule.DOCUMENT_TEXT: Outcome.EMULATED,
    # A message of the assistant is history: the model answers after it rather than going on with it.
    Rule.PREFILL: Outcome.EMULATED,
    # `function_call_output` has no mark of failure: the output begins with `Error:`.
    Rule.TOOL_ERROR: Outcome.EMULATED,
    # An id means nothing outside the account and vendor that gave it.
    Rule.FILE_ID: Outcome.REFUSED,
    # Other vendors' tools; OpenAI's own are named differently in every format.
    Rule.HOSTED_TOOLS: Outcome.REFUSED,
    # Prompts are cached without being asked; marks are for some models only, others refuse them.
    Rule.CACHE: Outcome.DROPPED,
    # By effort: up to 4,096 tokens `low`, up to 16,384 `medium`, beyond `high`.
    Rule.REASONING_BUDGET: Outcome.EMULATED,
}
"""What becomes of features that the responses API may not have."""

_TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
_EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')


class _Piece(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct, gc=False):
    type: str
    content: list[_Piece] | None = None
    summary: list[_Piece] | None = None
    encrypted_content: str | None = None
    call_id: str = ""
    name: str = ""
    arguments: str | None = None
    input: str | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    output: list[msgspec.Raw]
    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    error: WireError | None = None
    usage: wire_usage.WireUsage | None = None


class _Head(msgspec.Struct, gc=False):
    type: str


_RESPONSE = msgspec.json.Decoder(_Response)
_HEAD = msgspec.json.Decoder(_Head)
_ITEM = msgspec.json.Decoder(_Item)
_SAID = ("message", "reasoning", "function_call", "custom_tool_call")


def encode_chat(request: ChatRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`. Raises UntranslatableError, by RULES."""
    left_out = apply(request, RULES, NAME, notes)
    del left_out  # What RULES drops has no field below.
    body: dict[str, Any] = {"model": model, "input": _input(request, notes), "store": False}
    stated = {
        "stream": request.stream or None,
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "parallel_tool_calls": request.parallel_tools,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _choice(request.tool_choice),
        "text": _text(request.format),
        "reasoning": _reasoning(request.reasoning),
        "include": _include(request) or None,
        "top_logprobs": request.logprobs or None,
        "user": request.user or None,
        "metadata": msgspec.Raw(request.metadata.encode()) if request.metadata else None,
        "service_tier": _tier(request.service_tier, notes),
    }
    body |= {name: value for name, value in stated.items() if value is not None}
    return msgspec.json.encode(body)


def _input(request: ChatRequest, notes: Notes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for message in request.messages:
        said: list[Part] = []
        for part in message.parts:
            if isinstance(part, (Text, Media, Refusal)):
                said.append(part)
                continue
            items += _message(message, said)
            said = []
            items += _item(part, notes)
        items += _message(message, said)
    return items


def _message(message: Message, parts: list[Part]) -> list[dict[str, Any]]:
    assistant = message.role == "assistant"
    content = [_said(part) if assistant else _content(part) for part in parts if part != Text(text="")]
    return [{"type": "message", "role": message.role, "content": content}] if content else []


def _said(part: Part) -> dict[str, Any]:
    """A part of an assistant's message."""
    if isinstance(part, Text):
        return {"type": "output_text", "text": part.text, "annotations": []}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    detail = f"messages: images and files that the assistant made cannot be carried to {NAME}."
    raise UntranslatableError(detail, param="messages")


def _content(part: Part) -> dict[str, Any]:
    """A part of what is put in."""
    if isinstance(part, Media):
        return _media(part)
    # A refusal put in by another speaker is only words.
    return {"type": "input_text", "text": part.text if isinstance(part, (Text, Refusal)) else ""}


def _media(part: Media) -> dict[str, Any]:
    if part.text:
        return {"type": "input_text", "text": f"{part.name}:\n{part.text}" if part.name else part.text}
    uri = f"data:{part.media_type or _default_type(part)};base64,{part.data}" if part.data else ""
    if part.kind == "image":
        image: dict[str, Any] = {"type": "input_image", "detail": part.detail or "auto"}
        return image | {"image_url": uri or part.url}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": uri}


def _default_type(part: Media) -> str:
    """A `data:` URI needs one; what the bytes are is seen from their beginning."""
    return "image/png" if part.kind == "image" else "application/pdf"


def _item(part: Part, notes: Notes) -> list[dict[str, Any]]:
    if isinstance(part, ToolCall):
        call = {"call_id": part.id, "name": part.name, "arguments": part.arguments or "{}"}
        return [{"type": "function_call"} | call]
    if isinstance(part, ToolResult):
        return [{"type": "function_call_output", "call_id": part.call_id, "output": _output(part)}]
    assert isinstance(part, Thinking)
    if not part.signature.startswith(OWN):
        if "thinking" not in notes.dropped:
            notes.dropped.append("thinking")
        return []
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return [{"type": "reasoning", "summary": summary, "encrypted_content": part.signature.removeprefix(OWN)}]


def _output(result: ToolResult) -> Any:
    parts = (Text(text="Error:"), *result.parts) if result.is_error else result.parts
    if all(isinstance(part, Text) for part in parts):
        return "\n".join([part.text for part in parts if isinstance(part, Text)])
    return [_content(part) for part in parts if part != Text(text="")]


def _tool(tool: Tool) -> dict[str, Any]:
    schema = msgspec.Raw(tool.schema.encode()) if tool.schema else _EMPTY_SCHEMA
    # Unstated, the API would make the schema strict where it can, which no other format does.
    function = {"type": "function", "name": tool.name, "parameters": schema, "strict": bool(tool.strict)}
    return function | ({"description": tool.description} if tool.description else {})


def _choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return None
    return {"type": "function", "name": choice.name} if choice.mode == "tool" else choice.mode


def _text(wanted: Format | None) -> dict[str, Any] | None:
    if wanted is None or wanted.kind == "text":
        return None
    if wanted.kind == "json":
        return {"format": {"type": "json_object"}}
    schema: dict[str, Any] = {
        "type": "json_schema",
        "name": wanted.name or "answer",
        "schema": msgspec.Raw((wanted.schema or "{}").encode()),
    }
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"format": schema}


def _reasoning(wanted: Reasoning | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    effort, budget = wanted.effort, wanted.budget_tokens
    if wanted.enabled is False:
        effort = "none"
    elif not effort and budget is not None and budget >= 0:
        effort = "low" if budget <= 4096 else "medium" if budget <= 16_384 else "high"
    said = {"effort": effort} if effort else {}
    return (said | ({"summary": "auto"} if wanted.show else {})) or None


def _include(request: ChatRequest) -> list[str]:
    """Models that do not reason refuse to be asked for it, so it takes a sign that this one does."""
    wanted = request.reasoning
    thinks = wanted is not None and wanted.enabled is not False and wanted.effort != "none"
    replayed = any(
        isinstance(part, Thinking) and part.signature.startswith(OWN)
        for message in request.messages
        for part in message.parts
    )
    include = ["reasoning.encrypted_content"] if thinks or replayed else []
    return [*include, "message.output_text.logprobs"] if request.logprobs is not None else include


def _tier(tier: str, notes: Notes) -> str | None:
    if tier and tier not in _TIERS:
        notes.dropped.append("service_tier")
        return None
    return tier or None


def decode_answer(body: bytes) -> ChatAnswer:
    """A whole answer. Raises ProtocolError when it is none, has failed or is not finished."""
    try:
        response = _RESPONSE.decode(body)
        items = [_ITEM.decode(raw) for raw in response.output if _HEAD.decode(raw).type in _SAID]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a response object.", malformed=True) from exc
    if response.status == "failed":
        raise ProtocolError(failure_of(response.error).detail)
    if response.status not in ("completed", "incomplete", None):
        raise ProtocolError("The provider answered before the response was complete.")
    parts = tuple([part for item in items for part in _parts(item)])
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    stop: Stop = stop_of(
        response.status == "incomplete",
        reason,
        called=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
    )
    return ChatAnswer(
        id=response.id or "",
        model=response.model or "",
        choices=(Choice(parts=parts, stop=stop, logprobs=_logprobs(items)),),
        usage=wire_usage.read(response.usage),
    )


def _parts(item: _Item) -> list[Part]:
    if item.type == "reasoning":
        text = "\n\n".join([piece.text or "" for piece in item.summary or item.content or ()])
        sealed = OWN + item.encrypted_content if item.encrypted_content else ""
        return [Thinking(text=text, signature=sealed)] if text or sealed else []
    if item.type == "function_call":
        return [ToolCall(id=item.call_id, name=item.name, arguments=item.arguments or "{}")]
    if item.type == "custom_tool_call":
        return [ToolCall(id=item.call_id, name=item.name, arguments=wrap_input(item.input or ""))]
    return [
        Refusal(text=piece.refusal) if piece.refusal is not None else Text(text=piece.text or "")
        for piece in item.content or ()
    ]


def _logprobs(items: list[_Item]) -> str:
    """Those of all texts, one after the other."""
    found: list[msgspec.Raw] = []
    for piece in [piece for item in items for piece in item.content or ()]:
        if bytes(piece.logprobs)[:1] == b"[":
            found += msgspec.json.decode(piece.logprobs, type=list[msgspec.Raw])
    return msgspec.json.encode(found).decode() if found else ""


def open_decoder() -> EventDecoder:
    """A reader for a streamed answer."""
    return EventDecoder()
