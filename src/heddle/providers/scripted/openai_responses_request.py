"""OpenAI's responses request, read as strictly as OpenAI reads it.

Owns the literal shapes of the fields and items, unknown ones refused; that calls and their outputs belong together, and
that reasoning comes back with its seal unbroken and with the item it led to. Nothing is stored here, so whatever names
stored state is not found. Tools that OpenAI runs itself are no part of the offline model.

*Source:* OpenAI API reference, "Create a model response", "Get input token counts"; guide "Reasoning models" (keeping
reasoning items in context, encrypted reasoning items); the request types of its Python SDK 3.52, 2026-11.
"""

from typing import Any, Literal

import msgspec

from heddle.providers.scripted.asked import Asked, RefusedError, Tool
from heddle.providers.scripted.openai_errors import unfit
from heddle.providers.scripted.seals import sealed_id
from heddle.providers.scripted.shape import ShapeError, Strict, convert, read

REASONING = "openai reasoning"
"""What a seal of it is made for."""
AFTER_REASONING = "r"
"""Ends the id of a call that reasoning led to: the two are accepted together only."""
ENCRYPTED = "reasoning.encrypted_content"

_Status = Literal["in_progress", "completed", "incomplete"]


class _InputText(Strict, tag="input_text"):
    text: str
    prompt_cache_breakpoint: Any = None


class _OutputText(Strict, tag="output_text"):
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class _Refusal(Strict, tag="refusal"):
    refusal: str


class _InputImage(Strict, tag="input_image"):
    detail: Literal["auto", "low", "high", "original"] | None = None
    image_url: str | None = None
    file_id: str | None = None
    prompt_cache_breakpoint: Any = None


class _InputFile(Strict, tag="input_file"):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Any = None


_Content = _InputText | _OutputText | _Refusal | _InputImage | _InputFile


class _Message(Strict):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[_Content]
    type: Literal["message"] = "message"
    id: str | None = None
    status: _Status | None = None
    phase: str | None = None


class _Call(Strict):
    arguments: str
    call_id: str
    name: str
    type: Literal["function_call"]
    id: str | None = None
    status: _Status | None = None
    namespace: str | None = None


class _Output(Strict):
    call_id: str
    output: str | list[_Content]
    type: Literal["function_call_output"]
    id: str | None = None
    status: _Status | None = None


class _Summary(Strict):
    text: str
    type: Literal["summary_text"]


class _Reasoning(Strict):
    summary: list[_Summary]
    type: Literal["reasoning"]
    id: str | None = None
    """Documented as required; what is sealed is taken without, as coding agents send it."""
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: _Status | None = None


_Item = _Message | _Call | _Output | _Reasoning
_ITEMS: dict[str, Any] = {
    "message": _Message,
    "function_call": _Call,
    "function_call_output": _Output,
    "reasoning": _Reasoning,
}


class _Tool(Strict):
    name: str
    parameters: dict[str, Any] | None
    type: Literal["function"]
    strict: bool | None = None
    description: str | None = None


class _ToolChoice(Strict):
    type: Literal["function"]
    name: str


class _Format(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(Strict):
    format: _Format | None = None
    verbosity: str | None = None


class _Effort(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    generate_summary: str | None = None


class _StreamOptions(Strict):
    include_obfuscation: bool | None = None


class _Counted(Strict, kw_only=True):
    """What is asked when tokens are counted."""

    model: str
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    conversation: Any = None
    previous_response_id: str | None = None
    parallel_tool_calls: bool | None = None
    reasoning: _Effort | None = None
    text: _Text | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolChoice | None = None
    truncation: Literal["auto", "disabled"] | None = None


class _Request(_Counted, kw_only=True):
    background: bool | None = None
    context_management: Any = None
    include: list[str] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, Any] | None = None
    prompt: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: float | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None


class Echo(msgspec.Struct, kw_only=True):
    """What of a request its answer repeats, and what decides its form."""

    fields: dict[str, Any]
    encrypted: bool
    """Reasoning is to come with its sealed content."""
    summary: bool
    """And with a summary that can be read."""


_REQUEST = msgspec.json.Decoder(_Request)
_COUNTED = msgspec.json.Decoder(_Counted)
_encode = msgspec.json.encode


def read_request(body: bytes) -> Asked:
    """What a request asks. Raises RefusedError for what OpenAI refuses."""
    request = _read(_REQUEST, body)
    asked = _outline(request)
    asked.stream = bool(request.stream)
    asked.most = request.max_output_tokens
    if asked.most is not None and asked.most < 16:
        message = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
        raise RefusedError(message, "max_output_tokens", code="integer_below_min_value")
    extra = (request.metadata or {}).get("heddle")
    asked.extra = extra if isinstance(extra, str) else ""
    effort = request.reasoning
    asked.thinking = effort is not None and effort.effort not in (None, "none")
    asked.own = Echo(
        fields=_echoed(request),
        encrypted=ENCRYPTED in (request.include or ()),
        summary=effort is not None and effort.summary is not None,
    )
    return asked


def read_count(body: bytes) -> Asked:
    """What a request to count tokens asks. Raises RefusedError."""
    return _outline(_read(_COUNTED, body))


def _read(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return read(decoder, body)
    except ShapeError as exc:
        raise unfit(exc) from exc


def _outline(request: _Counted) -> Asked:
    if request.previous_response_id is not None:
        message = f"Previous response with id '{request.previous_response_id}' not found."
        raise RefusedError(message, "previous_response_id", code="previous_response_not_found")
    if request.conversation is not None:
        raise RefusedError("Conversation not found.", "conversation", 404)
    items = _items(request.input)
    texts = [_said(item) for item in items]
    users = [t for item, t in zip(items, texts, strict=True) if isinstance(item, _Message) and item.role == "user"]
    asked = Asked(
        said=users[-1] if users else "",
        turns=sum(isinstance(item, _Message) for item in items),
        texts=[*([request.instructions] if request.instructions else []), *texts],
        media=sum(_media(item) for item in items),
        results=_results(items),
        thoughts_back=_check(items),
        parallel=request.parallel_tool_calls is not False,
    )
    _read_tools(request, asked)
    form = request.text.format if request.text is not None else None
    if form is not None and form.type != "text":
        asked.form, asked.schema = ("json" if form.type == "json_object" else "schema"), form.schema
        if form.type == "json_schema" and (form.name is None or form.schema is None):
            at = f"text.format.{'name' if form.name is None else 'schema'}"
            raise RefusedError(f"Missing required parameter: '{at}'.", at, code="missing_required_parameter")
    return asked


def _items(given: str | list[dict[str, Any]] | None) -> list[_Item]:
    if given is None:
        raise RefusedError("Missing required parameter: 'input'.", "input", code="missing_required_parameter")
    if isinstance(given, str):
        return [_Message("user", given)]
    items: list[_Item] = []
    for index, item in enumerate(given):
        kind = item.get("type", "message")
        shape = _ITEMS.get(kind) if isinstance(kind, str) else None
        if shape is None:
            at = f"input[{index}]"
            raise RefusedError(f"Invalid value: '{kind}' ({at}.type).", at, code="invalid_value")
        try:
            items.append(convert(item, shape, f"input[{index}]"))
        except ShapeError as exc:
            raise unfit(exc) from exc
    return items


def _check(items: list[_Item]) -> int:
    """How many sealed thoughts there are. Raises RefusedError where items do not belong together."""
    calls = {item.call_id for item in items if isinstance(item, _Call)}
    answered = {item.call_id for item in items if isinstance(item, _Output)}
    for call_id in sorted(answered - calls):
        raise RefusedError(f"No tool call found for function call output with call_id {call_id}.", "input")
    for call_id in sorted(calls - answered):
        raise RefusedError(f"No tool output found for function call {call_id}.", "input")
    thoughts, reasoned = 0, False
    for index, item in enumerate(items):
        if isinstance(item, _Message):
            _check_content(item, index)
        if isinstance(item, _Reasoning):
            _check_reasoning(item, items[index + 1 :])
            thoughts += 1
            reasoned = True
        elif isinstance(item, _Call):
            if (item.id or "").endswith(AFTER_REASONING) and not reasoned:
                raise RefusedError(
                    f"Item '{item.id}' of type 'function_call' was provided without its required 'reasoning' item.",
                    "input",
                )
        else:
            reasoned = False
    return thoughts


def _check_content(item: _Message, index: int) -> None:
    """The model's words are output, everybody else's input."""
    for at, part in enumerate(item.content if isinstance(item.content, list) else ()):
        own = isinstance(part, (_OutputText, _Refusal))
        if own != (item.role == "assistant"):
            place = f"input[{index}].content[{at}]"
            raise RefusedError(f"Invalid value: '{part.__struct_config__.tag}'.", place, code="invalid_value")


def _check_reasoning(item: _Reasoning, following: list[_Item]) -> None:
    if not item.encrypted_content:
        message = (
            f"Item with id '{item.id}' not found. Items are not persisted when `store` is set to false. Try again with "
            "`store` set to true, or remove this item from your input."
        )
        raise RefusedError(message, "input", 404)
    ident = sealed_id(item.encrypted_content, REASONING)
    if not ident or item.id not in (None, ident):
        reason = "item_id did not match the target item id" if ident else "could not be decrypted or parsed"
        message = f"The encrypted content for item {item.id} could not be verified. Reason: Encrypted content {reason}."
        raise RefusedError(message, code="invalid_encrypted_content")
    led_to = following[0] if following else None
    if not (isinstance(led_to, _Call) or (isinstance(led_to, _Message) and led_to.role == "assistant")):
        message = f"Item '{item.id}' of type 'reasoning' was provided without its required following item."
        raise RefusedError(message, "input")


def _read_tools(request: _Counted, asked: Asked) -> None:
    tools, choice = request.tools or [], request.tool_choice
    asked.tools = [Tool(tool.name, tool.parameters) for tool in tools]
    asked.tool_bytes = len(_encode(tools)) if tools else 0
    if isinstance(choice, _ToolChoice):
        asked.choice, asked.chosen = "named", choice.name
        if all(tool.name != choice.name for tool in tools):
            raise RefusedError(f"Tool choice 'function' not found in 'tools': '{choice.name}'.", "tool_choice")
    else:
        asked.choice = choice or "auto"
        if choice == "required" and not tools:
            raise RefusedError("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")


def _echoed(request: _Request) -> dict[str, Any]:
    effort, text = request.reasoning, request.text
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "reasoning": {
            "effort": effort.effort if effort is not None else None,
            "summary": effort.summary if effort is not None else None,
        },
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": text.format if text is not None and text.format is not None else {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_p": 1.0 if request.top_p is None else request.top_p,
    }


def _said(item: _Item) -> str:
    if isinstance(item, _Reasoning):
        return " ".join(part.text for part in item.summary)
    if isinstance(item, _Call):
        return item.arguments
    content = item.output if isinstance(item, _Output) else item.content
    if isinstance(content, str):
        return content
    return " ".join(text for part in content if (text := getattr(part, "text", "")))


def _media(item: _Item) -> int:
    content = item.output if isinstance(item, _Output) else item.content if isinstance(item, _Message) else ""
    return sum(isinstance(part, (_InputImage, _InputFile)) for part in content) if isinstance(content, list) else 0


def _results(items: list[_Item]) -> list[str] | None:
    results: list[str] = []
    for item in reversed(items):
        if not isinstance(item, _Output):
            break
        results.insert(0, _said(item))
    return results or None
