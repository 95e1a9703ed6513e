"""A responses request in canonical form.

Owns what each field means elsewhere. State on the vendor's side (earlier responses, conversations, stored prompts,
background runs) cannot be carried and is refused by its name; answers are never stored, so `store: true` is among
the fields without a counterpart, as are all that are unknown here.

*Source:* OpenAI API reference, "Create a model response", as of 2026-11.
"""

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.request import ChatRequest, Format, Message, Reasoning, Text
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.llm.openai_responses.items import additional_tools, read_items
from heddle.wire.llm.openai_responses.reading import bad, decode
from heddle.wire.llm.openai_responses.tools import read_choice, read_tools

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_STATE = ("previous_response_id", "conversation", "prompt")
_LOGPROBS = "message.output_text.logprobs"
_HONOURED = (_LOGPROBS, "reasoning.encrypted_content")
"""`include`s that answers follow; the second always."""
_CARRIED = frozenset(
    (
        *("background", "include", "input", "instructions", "max_output_tokens", "metadata", "model"),
        *("parallel_tool_calls", "reasoning", "safety_identifier", "service_tier", "store", "stream"),
        *("stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation"),
        "user",
    )
)


class _Format(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class _TextConfig(msgspec.Struct, gc=False):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    context: str | None = None


class _StreamOptions(msgspec.Struct, gc=False):
    include_obfuscation: bool | None = None


class _Request(msgspec.Struct, gc=False):
    model: str
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = msgspec.Raw()
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: _TextConfig | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    metadata: msgspec.Raw = msgspec.Raw()
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    truncation: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:
    """The whole of a request that `decode_request` has accepted.

    Raises ProtocolError, which names the place; UntranslatableError for what only the vendor has.
    """
    stated = [name for name, value in decode(_FIELDS, body, "").items() if bytes(value) != b"null"]
    request = decode(_REQUEST, body, "")
    _check_state(request, stated)
    messages = _messages(request)
    added = additional_tools(request.input) if isinstance(request.input, list) else []
    box = read_tools([("tools", request.tools or []), *added])
    choice, tools = read_choice(request.tool_choice, box.tools)
    lost = _lost(request, stated) + list(box.other)
    return ChatRequest(
        model=call.model,
        messages=tuple([message for message in messages if message.parts]),
        tools=tools,
        hosted_tools=box.hosted,
        tool_choice=choice,
        parallel_tools=request.parallel_tool_calls,
        max_output_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        format=_format(request.text),
        reasoning=_reasoning(request.reasoning),
        logprobs=_logprobs(request),
        user=request.safety_identifier or request.user or "",
        metadata=_metadata(request.metadata),
        service_tier=request.service_tier or "",
        stream=bool(request.stream),
        other=tuple(lost + ["reasoning"] * (not all(message.parts for message in messages))),
    )


def _check_state(request: _Request, stated: list[str]) -> None:
    held = [name for name in _STATE if name in stated] + ["background"] * bool(request.background)
    if held:
        detail = f"{held[0]}: what the vendor keeps cannot be carried to another one."
        raise UntranslatableError(detail, param=held[0])


def _messages(request: _Request) -> list[Message]:
    first = [Message(role="system", parts=(Text(text=request.instructions),))] if request.instructions else []
    if isinstance(request.input, str):
        return [*first, Message(role="user", parts=(Text(text=request.input),))]
    return first + read_items(request.input or [])


def _lost(request: _Request, stated: list[str]) -> list[str]:
    """Names of what is asked for and has no counterpart. A value that asks for what happens anyway is none."""
    lost = [name for name in stated if name not in _CARRIED]
    text, reasoning, options = request.text, request.reasoning, request.stream_options
    asked = {
        "store": request.store,
        "truncation": request.truncation not in (None, "disabled"),
        "text.verbosity": text is not None and text.verbosity,
        "reasoning.mode": reasoning is not None and reasoning.mode not in (None, "standard"),
        "reasoning.context": reasoning is not None and reasoning.context not in (None, "auto"),
        "stream_options": options is not None and options.include_obfuscation,
        "include": any(name not in _HONOURED for name in request.include or ()),
    }
    return lost + [name for name, wanted in asked.items() if wanted]


def _format(config: _TextConfig | None) -> Format | None:
    if config is None or config.format is None:
        return None
    wanted = config.format
    if wanted.type == "text":
        return Format(kind="text")
    if wanted.type == "json_object":
        return Format(kind="json")
    if wanted.type != "json_schema":
        raise bad("text.format.type", "`text`, `json_object` or `json_schema`")
    schema = bytes(wanted.schema).decode()
    if not schema.startswith("{"):
        raise bad("text.format.schema", "an object")
    return Format(
        kind="schema",
        name=wanted.name or "",
        description=wanted.description or "",
        schema=schema,
        strict=wanted.strict,
    )


def _reasoning(given: _Reasoning | None) -> Reasoning | None:
    if given is None:
        return None
    effort = given.effort or ""
    if effort and effort not in EFFORTS:
        raise bad("reasoning.effort", ", ".join(f"`{name}`" for name in EFFORTS))
    show = bool(given.summary or given.generate_summary) or None
    return Reasoning(effort=effort, show=show) if effort or show else None


def _logprobs(request: _Request) -> int | None:
    if request.top_logprobs is not None and not 0 <= request.top_logprobs <= 20:
        raise bad("top_logprobs", "an integer from 0 to 20")
    return request.top_logprobs or 0 if _LOGPROBS in (request.include or ()) else request.top_logprobs or None


def _metadata(given: msgspec.Raw) -> str:
    text = bytes(given).decode()
    if text in ("", "null", "{}"):
        return ""
    if not text.startswith("{"):
        raise bad("metadata", "an object")
    return text
