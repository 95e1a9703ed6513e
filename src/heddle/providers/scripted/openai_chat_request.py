"""OpenAI's chat request, read as strictly as OpenAI reads it.

Owns the literal shapes of the fields, unknown ones refused; that every tool call is answered, and every tool message
answers one.

*Source:* OpenAI API reference, "Create chat completion"; the request types of its Python SDK 3.52, 2026-11.
"""

from typing import Any, Literal

import msgspec

from heddle.providers.scripted.asked import Asked, RefusedError, Tool
from heddle.providers.scripted.openai_errors import unfit
from heddle.providers.scripted.shape import ShapeError, Strict, read

MAX_CHOICES = 128


class _CacheMark(Strict):
    mode: str | None = None


class _Text(Strict, tag="text"):
    text: str
    prompt_cache_breakpoint: _CacheMark | None = None


class _Refusal(Strict, tag="refusal"):
    refusal: str


class _Url(Strict):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class _Image(Strict, tag="image_url"):
    image_url: _Url
    prompt_cache_breakpoint: _CacheMark | None = None


class _Sound(Strict):
    data: str
    format: Literal["wav", "mp3"]


class _Audio(Strict, tag="input_audio"):
    input_audio: _Sound
    prompt_cache_breakpoint: _CacheMark | None = None


class _FileData(Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _File(Strict, tag="file"):
    file: _FileData
    prompt_cache_breakpoint: _CacheMark | None = None


_Part = _Text | _Refusal | _Image | _Audio | _File


class _Called(Strict):
    name: str
    arguments: str


class _ToolCall(Strict):
    id: str
    function: _Called
    type: Literal["function"]


class _Message(Strict):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: dict[str, Any] | None = None
    annotations: list[Any] | None = None
    function_call: _Called | None = None


class _Function(Strict):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(Strict):
    function: _Function
    type: Literal["function"]


class _Named(Strict):
    name: str


class _ToolChoice(Strict):
    function: _Named
    type: Literal["function"] = "function"


class _JsonSchema(Strict):
    name: str
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Request(Strict):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    metadata: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    audio: Any = None
    frequency_penalty: float | None = None
    function_call: Any = None
    functions: Any = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    moderation: Any = None
    prediction: Any = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    seed: msgspec.Raw = msgspec.Raw()
    """Any number."""
    service_tier: str | None = None
    store: bool | None = None
    temperature: float | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: Any = None


_DECODER = msgspec.json.Decoder(_Request)
_encode = msgspec.json.encode


def read_request(body: bytes) -> Asked:
    """What a request asks. Raises RefusedError for what OpenAI refuses."""
    try:
        request = read(_DECODER, body)
    except ShapeError as exc:
        raise unfit(exc) from exc
    _check_calls(request.messages)
    if not 1 <= (request.n or 1) <= MAX_CHOICES:
        raise RefusedError(f"Invalid 'n': expected 1 to {MAX_CHOICES}.", "n", code="integer_out_of_range")
    texts = [_text(message.content) for message in request.messages]
    extra = (request.metadata or {}).get("heddle")
    most = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    options = request.stream_options
    asked = Asked(
        said=next((t for m, t in zip(request.messages[::-1], texts[::-1], strict=True) if m.role == "user"), ""),
        extra=extra if isinstance(extra, str) else "",
        turns=len(texts),
        texts=texts,
        media=sum(_media(message.content) for message in request.messages),
        results=_results(request.messages),
        parallel=request.parallel_tool_calls is not False,
        most=most,
        stops=[request.stop] if isinstance(request.stop, str) else request.stop or [],
        choices=request.n or 1,
        thinking=request.reasoning_effort not in (None, "none"),
        stream=bool(request.stream),
        usage_asked=options is not None and bool(options.include_usage),
    )
    _read_tools(request, asked)
    _read_format(request, asked)
    return asked


def _read_tools(request: _Request, asked: Asked) -> None:
    if request.tools is not None:
        if not request.tools:
            raise RefusedError("Invalid 'tools': empty array.", "tools", code="empty_array")
        asked.tools = [Tool(tool.function.name, tool.function.parameters) for tool in request.tools]
        asked.tool_bytes = len(_encode(request.tools))
    elif request.tool_choice is not None:
        raise RefusedError("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    choice = request.tool_choice
    if isinstance(choice, _ToolChoice):
        asked.choice, asked.chosen = "named", choice.function.name
        if all(tool.name != asked.chosen for tool in asked.tools):
            message = f"Tool choice 'function' not found in 'tools': '{asked.chosen}'."
            raise RefusedError(message, "tool_choice")
    else:
        asked.choice = choice or "auto"


def _read_format(request: _Request, asked: Asked) -> None:
    form = request.response_format
    if form is None or form.type == "text":
        return
    asked.form = "json" if form.type == "json_object" else "schema"
    if form.type == "json_schema":
        if form.json_schema is None:
            at = "response_format.json_schema"
            raise RefusedError(f"Missing required parameter: '{at}'.", at, code="missing_required_parameter")
        asked.schema = form.json_schema.schema


def _check_calls(messages: list[_Message]) -> None:
    """Every call is answered before anything else is said, and nothing is answered that was not called."""
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise RefusedError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{index}].role",
                )
            waiting.discard(message.tool_call_id)
            continue
        if waiting:
            break
        if message.content is None and message.role in ("system", "developer", "user"):
            at = f"messages.[{index}].content"
            raise RefusedError(f"Invalid value for 'content': expected a string, got null ({at}).", at)
        waiting = {call.id for call in message.tool_calls or ()}
    if waiting:
        raise RefusedError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(sorted(waiting))}",
            "messages",
        )


def _results(messages: list[_Message]) -> list[str] | None:
    results: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        results.insert(0, _text(message.content))
    return results or None


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return " ".join(part.text for part in content if isinstance(part, _Text))
    return content or ""


def _media(content: str | list[_Part] | None) -> int:
    return sum(isinstance(part, (_Image, _File)) for part in content) if isinstance(content, list) else 0
