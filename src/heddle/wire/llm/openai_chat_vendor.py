"""OpenAI chat as the provider's side of a translation: a `codec.Vendor` for OpenAI and servers that speak its API.

Owns how a canonical request is asked in this format, and what becomes of features it lacks. Bodies are written as
OpenAI documents them; where a compatible server wants another spelling, its provider adapts them.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11. The reason of each rule stands beside it.
"""

from operator import attrgetter
from typing import Any

import msgspec

from heddle.wire.canonical.request import (
    ChatRequest,
    Format,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from heddle.wire.canonical.rules import Notes, Outcome, Rule, Rules, UntranslatableError, apply
from heddle.wire.llm.openai_chat_deltas import open_decoder
from heddle.wire.llm.openai_chat_reader import decode_answer

__all__ = ["NAME", "RULES", "decode_answer", "encode_chat", "open_decoder"]

NAME = "OpenAI chat"

RULES: Rules = {
    # `file` takes `file_data` and `file_id`; only the Responses API has a `file_url`.
    Rule.DOCUMENT_URL: Outcome.REFUSED,
    # Not every model reads files, and every one reads text: it goes as text, under the document's name.
    Rule.DOCUMENT_TEXT: Outcome.EMULATED,
    # There is no part for it.
    Rule.VIDEO: Outcome.REFUSED,
    # An id means nothing outside the account and vendor that gave it.
    Rule.FILE_ID: Outcome.REFUSED,
    # "With o1 models and newer, developer messages replace system messages", and either is taken as the other there.
    # Compatible servers mostly know `system` alone, so it is sent.
    Rule.DEVELOPER: Outcome.EMULATED,
    # Models answer after an assistant message; they do not continue it.
    Rule.PREFILL: Outcome.EMULATED,
    # Vendors' tools have other names, inputs and results elsewhere.
    Rule.HOSTED_TOOLS: Outcome.REFUSED,
    # A `tool` message has no mark for it: the text begins with "Error: ".
    Rule.TOOL_ERROR: Outcome.EMULATED,
    # "For tool messages, only type text is supported": media follow in a user message that names the call.
    Rule.TOOL_MEDIA: Outcome.EMULATED,
    # Prompts are cached without marks.
    Rule.CACHE: Outcome.DROPPED,
    # The API keeps its models' reasoning to itself. Thinking without a vendor's proof came from a compatible server,
    # some of which (DeepSeek, Moonshot) want it back as `reasoning_content`; proofs of other vendors stay here.
    Rule.THINKING: Outcome.EMULATED,
    # "Unrecognized request argument".
    Rule.TOP_K: Outcome.DROPPED,
    # Efforts have no exact size: up to 4,096 tokens are `low`, up to 16,384 `medium`, more is `high`. A budget that
    # is left to the model is not sent.
    Rule.REASONING_BUDGET: Outcome.EMULATED,
    # `none` is sent to those who asked with it. A switch that is off is not: models that do not reason, where most
    # callers leave it off, refuse the field.
    Rule.REASONING_OFF: Outcome.EMULATED,
    # "The 'metadata' parameter is only allowed when 'store' is enabled", and nothing is stored unasked.
    Rule.METADATA: Outcome.DROPPED,
    # Tiers are bought from one vendor, and their names mean something else at another.
    Rule.SERVICE_TIER: Outcome.DROPPED,
    Rule.OTHER: Outcome.DROPPED,
}

_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_encode = msgspec.json.encode
_Object = dict[str, Any]


def encode_chat(request: ChatRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`; see `codec.Vendor`."""
    apply(request, RULES, NAME, notes)
    _note_proofs(request, notes)
    body: _Object = {"model": model, "messages": _messages(request.messages)}
    # Without tools the API refuses what is said about them ("'tool_choice' is only allowed when 'tools' are").
    if request.tools:
        body |= _tools(request)
    _bound(body, request)
    if request.format is not None:
        body["response_format"] = _format(request.format)
    effort = _effort(request.reasoning)
    if effort:
        body["reasoning_effort"] = effort
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    if request.logit_bias:
        body["logit_bias"] = _raw(request.logit_bias)
    if request.user:
        body["user"] = request.user
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return _encode(body)


def _note_proofs(request: ChatRequest, notes: Notes) -> None:
    """Thinking with a proof stays here, which is more than the rule says of thinking."""
    if "thinking" not in notes.emulated:
        return
    thoughts = [part for message in request.messages for part in message.parts if isinstance(part, Thinking)]
    if any(thought.signature or thought.redacted for thought in thoughts):
        notes.emulated.remove("thinking")
        notes.dropped.append("thinking")


def _raw(json: str) -> msgspec.Raw:
    return msgspec.Raw(json.encode())


_RARE = ("seed", "presence_penalty", "frequency_penalty")
_NONE_STATED = (None,) * len(_RARE)
_rare = attrgetter(*_RARE)


def _bound(body: _Object, request: ChatRequest) -> None:
    """Numbers and stop sequences. Optional fields are left out, never null: some servers refuse nulls."""
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    rare = _rare(request)
    if rare != _NONE_STATED:
        body |= {name: value for name, value in zip(_RARE, rare, strict=True) if value is not None}
    if request.stop:
        body["stop"] = request.stop
    if request.choices > 1:
        body["n"] = request.choices


def _tools(request: ChatRequest) -> _Object:
    fields: _Object = {"tools": [_tool(tool) for tool in request.tools]}
    choice = request.tool_choice
    if choice is not None:
        named = {"type": "function", "function": {"name": choice.name}}
        fields["tool_choice"] = named if choice.mode == "tool" else choice.mode
    if request.parallel_tools is not None:
        fields["parallel_tool_calls"] = request.parallel_tools
    return fields


def _tool(tool: Tool) -> _Object:
    function: _Object = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema:
        function["parameters"] = _raw(tool.schema)
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _format(wanted: Format) -> _Object:
    if wanted.kind != "schema":
        return {"type": "json_object" if wanted.kind == "json" else "text"}
    # A name is required here and says nothing to the model.
    schema: _Object = {"name": wanted.name or "answer", "schema": _raw(wanted.schema)}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _effort(reasoning: Reasoning | None) -> str:
    if reasoning is None:
        return ""
    if reasoning.effort:
        return reasoning.effort
    budget = reasoning.budget_tokens
    if reasoning.enabled is False or budget is None or budget <= 0:
        return ""
    return "low" if budget <= 4_096 else "medium" if budget <= 16_384 else "high"


_ROLES: dict[Role, str] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def _messages(messages: tuple[Message, ...]) -> list[_Object]:
    encoded: list[_Object] = []
    for index, message in enumerate(messages):
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is Text and not message.name:
            # The way of nearly every message; it reads the same whoever speaks.
            encoded.append({"role": _ROLES[message.role], "content": parts[0].text})
        elif message.role == "assistant":
            encoded.append(_assistant(message))
        elif message.role == "user":
            encoded += _user(message, f"messages[{index}]")
        else:
            encoded.append(_named({"role": "system", "content": _text(message.parts)}, message))
    return encoded


def _named(encoded: _Object, message: Message) -> _Object:
    if message.name:
        encoded["name"] = message.name
    return encoded


def _text(parts: tuple[Part, ...]) -> str | list[_Object]:
    """A string where it can be one, which is what every server takes."""
    texts = [part.text for part in parts if isinstance(part, Text)]
    return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts if text] or ""


def _assistant(message: Message) -> _Object:
    encoded = _named({"role": "assistant"}, message)
    text = "".join([part.text for part in message.parts if isinstance(part, Text)])
    refusal = "".join([part.text for part in message.parts if isinstance(part, Refusal)])
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    thinking = "".join([p.text for p in message.parts if isinstance(p, Thinking) and not p.signature])
    # "Required unless tool_calls or function_call is specified."
    encoded["content"] = text if text or not calls else None
    if refusal:
        encoded["refusal"] = refusal
    if thinking:
        encoded["reasoning_content"] = thinking
    if calls:
        encoded["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return encoded


def _user(message: Message, place: str) -> list[_Object]:
    """Results of tools first, as they must follow their calls, then what else the user said."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    encoded = [_result(result) for result in results]
    content: list[_Object] = []
    for result in results:
        media = [_media(part, place) for part in result.parts if isinstance(part, Media)]
        if media:
            content += [{"type": "text", "text": f"Returned by the tool call {result.call_id}:"}, *media]
    said = [part for part in message.parts if isinstance(part, Text | Media)]
    if not content and len(said) == 1 and isinstance(said[0], Text):
        return [*encoded, _named({"role": "user", "content": said[0].text}, message)]
    for part in said:
        if isinstance(part, Media):
            content.append(_media(part, place))
        elif part.text:
            content.append({"type": "text", "text": part.text})
    if content or not results:
        encoded.append(_named({"role": "user", "content": content or ""}, message))
    return encoded


def _result(result: ToolResult) -> _Object:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    content: str | list[_Object] = "".join(texts)
    if result.is_error:
        content = f"Error: {content}"
    elif len(texts) > 1:
        content = [{"type": "text", "text": text} for text in texts]
    return {"role": "tool", "tool_call_id": result.call_id, "content": content}


def _media(part: Media, place: str) -> _Object:
    if part.kind == "image":
        url: _Object = {"url": part.url or _data_uri(part, place)}
        if part.detail:
            url["detail"] = part.detail
        return {"type": "image_url", "image_url": url}
    if part.kind == "audio":
        form = _AUDIO_FORMATS.get(part.media_type)
        if form is None or not part.data:
            raise UntranslatableError(f"{place}: {NAME} takes sounds as wav or mp3 data only.", param=place)
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
    if part.text:
        return {"type": "text", "text": f"{part.name}\n\n{part.text}" if part.name else part.text}
    return {"type": "file", "file": {"filename": part.name or "document", "file_data": _data_uri(part, place)}}


def _data_uri(part: Media, place: str) -> str:
    if not part.media_type:
        raise UntranslatableError(f"{place}: {NAME} wants to know the media type of this {part.kind}.", param=place)
    return f"data:{part.media_type};base64,{part.data}"
