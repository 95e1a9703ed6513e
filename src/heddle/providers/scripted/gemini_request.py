"""Gemini's generateContent request, read as strictly as Google reads it.

Owns the literal shapes of the fields, unknown ones refused, in either spelling of names as Protocol Buffers' JSON has
it; that a turn of calls is followed by as many results, and that calls come back with their seals. Tools that Google
runs itself are no part of the offline model.

*Source:* Gemini API reference, "models.generateContent", "models.countTokens"; "Thought signatures"; "Function
calling"; ProtoJSON format (names of fields); as of 2026-11.
"""

import re
from typing import Any, Literal

import msgspec

from heddle.providers.scripted.asked import Asked, RefusedError, Tool
from heddle.providers.scripted.seals import fits
from heddle.providers.scripted.shape import ShapeError, Strict, convert

CALL = "gemini call"
"""What a seal of a call is made for: its name and arguments."""
SKIP = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""Values that stand for the seal of a call that another model made ("Thought signatures", FAQ)."""
UNSEALED = ("gemini-1", "gemini-2")
"""Families that do not ask for seals."""
MAX_DEPTH = 100

_STANDARD = str.maketrans("-_", "+/")
_SNAKE = re.compile(r"_([a-z0-9])")
_VERBATIM = frozenset(
    ("args", "response", "parametersJsonSchema", "responseJsonSchema", "responseSchema", "parameters")
)
"""Fields whose names inside are not Google's."""


class _Camel(Strict, rename="camel"):
    """A message, with the names of its fields in JSON."""


class _Blob(_Camel):
    data: str
    mime_type: str
    display_name: str | None = None


class _FileData(_Camel):
    file_uri: str
    mime_type: str | None = None


class _FunctionCall(_Camel):
    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class _FunctionResponse(_Camel):
    name: str
    response: dict[str, Any]
    id: str | None = None
    parts: list[dict[str, Any]] | None = None
    will_continue: bool | None = None
    scheduling: str | None = None


class _Part(_Camel):
    text: str | None = None
    inline_data: _Blob | None = None
    file_data: _FileData | None = None
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None
    executable_code: Any = None
    code_execution_result: Any = None
    thought: bool | None = None
    thought_signature: str | None = None
    video_metadata: Any = None
    media_resolution: Any = None


class _Content(_Camel):
    parts: list[_Part] | None = None
    role: str | None = None


class _Declaration(_Camel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: Any = None
    response_json_schema: Any = None
    behavior: str | None = None


class _Tool(_Camel):
    function_declarations: list[_Declaration] | None = None


class _Calling(_Camel):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] | None = None
    allowed_function_names: list[str] | None = None


class _ToolConfig(_Camel):
    function_calling_config: _Calling | None = None
    retrieval_config: Any = None


class _ThinkingConfig(_Camel):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _GenerationConfig(_Camel):
    stop_sequences: list[str] | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    older_json_schema: dict[str, Any] | None = msgspec.field(default=None, name="_responseJsonSchema")
    response_modalities: list[str] | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    enable_enhanced_civic_answers: bool | None = None
    speech_config: Any = None
    thinking_config: _ThinkingConfig | None = None
    image_config: Any = None
    media_resolution: str | None = None


class _Request(_Camel):
    contents: list[_Content]
    model: str | None = None
    tools: list[_Tool] | None = None
    tool_config: _ToolConfig | None = None
    safety_settings: list[dict[str, Any]] | None = None
    system_instruction: _Content | None = None
    generation_config: _GenerationConfig | None = None
    cached_content: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    labels: dict[str, str] | None = None


class _Count(_Camel):
    contents: list[_Content] | None = None
    model: str | None = None
    generate_content_request: dict[str, Any] | None = None


_VALUE = msgspec.json.Decoder()
_encode = msgspec.json.encode


class Echo(msgspec.Struct, frozen=True):
    """What decides the form of an answer."""

    show: bool
    """Thoughts are to be shown."""
    identified: bool
    """Calls have ids."""


def read_request(body: bytes, model: str, stream: bool) -> Asked:
    """What a request asks of a model. Raises RefusedError for what Google refuses."""
    return _outline(_value(body), model, stream)


def read_count(body: bytes, model: str) -> Asked:
    """What a request to count tokens asks. Raises RefusedError."""
    request: _Count = _shaped(_value(body), _Count)
    if request.generate_content_request is not None:
        return _outline(request.generate_content_request, model, False)
    texts = [_text(content) for content in request.contents or ()]
    return Asked(said=texts[-1] if texts else "", texts=texts)


def shaped(body: bytes, shape: Any) -> Any:
    """A body in a shape of this format. Raises RefusedError."""
    return _shaped(_value(body), shape)


def _value(body: bytes) -> Any:
    try:
        return _camel(_VALUE.decode(body), 0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RefusedError("Invalid JSON payload received. Parsing failed.") from exc


def _shaped(value: Any, shape: Any) -> Any:
    try:
        return convert(value, shape, "")
    except ShapeError as exc:
        raise RefusedError(_words(exc), exc.path.lstrip(".")) from exc


def _words(error: ShapeError) -> str:
    at, _, name = error.dotted.rpartition(".")
    place = f" at '{at}'" if at else ""
    if error.problem == "unknown":
        return f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
    if error.problem == "missing":
        return f"* {error.path.lstrip('.')}: required field is not specified"
    return f"Invalid value at '{error.dotted}' (TYPE_{error.wanted.upper() or 'ENUM'})."


def _camel(value: Any, depth: int) -> Any:
    """`value` with `snake_case` names as `camelCase`, except where the names are the caller's."""
    if depth > MAX_DEPTH:
        raise RefusedError("Invalid JSON payload received. Message too deep.")
    if isinstance(value, list):
        return [_camel(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, inner in value.items():
        told = name[:1] + _SNAKE.sub(lambda found: found[1].upper(), name[1:])
        made[told] = inner if told in _VERBATIM else _camel(inner, depth + 1)
    return made


def _outline(value: Any, model: str, stream: bool) -> Asked:
    request: _Request = _shaped(value, _Request)
    if not request.contents:
        raise RefusedError("* GenerateContentRequest.contents: contents is not specified")
    texts = [_text(content) for content in request.contents]
    config = request.generation_config or _GenerationConfig()
    users = [t for c, t in zip(request.contents, texts, strict=True) if c.role in (None, "", "user") and t]
    thinks = config.thinking_config
    asked = Asked(
        said=users[-1] if users else "",
        turns=len(texts),
        texts=[*([_text(request.system_instruction)] if request.system_instruction is not None else []), *texts],
        media=sum(
            p.inline_data is not None or p.file_data is not None for c in request.contents for p in c.parts or ()
        ),
        results=_results(request.contents[-1]),
        thoughts_back=_check(request.contents, model),
        most=config.max_output_tokens,
        stops=config.stop_sequences or [],
        choices=config.candidate_count or 1,
        thinking=thinks is not None and (bool(thinks.thinking_budget) or bool(thinks.thinking_level)),
        stream=stream,
        own=Echo(thinks is not None and bool(thinks.include_thoughts), _asks_seals(model)),
    )
    if not 1 <= asked.choices <= 8:
        raise RefusedError("* GenerateContentRequest.generation_config.candidate_count: must be from 1 to 8.")
    _read_tools(request, asked)
    _read_format(config, asked)
    return asked


def _asks_seals(model: str) -> bool:
    return not model.rpartition("/")[2].startswith(UNSEALED)


def _check(contents: list[_Content], model: str) -> int:
    """How many sealed calls there are. Raises RefusedError where contents do not belong together."""
    sealed, called = 0, 0
    for index, content in enumerate(contents):
        at = f"contents[{index}]"
        if content.role not in (None, "", "user", "model", "function"):
            raise RefusedError("Please use a valid role: user, model.")
        if not content.parts:
            raise RefusedError(f"* GenerateContentRequest.{at}.parts: contents.parts must not be empty.")
        for place, part in enumerate(content.parts):
            _check_part(part, f"{at}.parts[{place}]")
        calls = [part for part in content.parts if part.function_call is not None]
        answers = [part for part in content.parts if part.function_response is not None]
        if index and called != len(answers):
            raise RefusedError(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        called = len(calls)
        sealed += _check_seals(calls, model, at, current=_is_current(contents, index))
    if called:
        raise RefusedError("Please ensure that function call turn is followed by a function response turn.")
    return sealed


def _is_current(contents: list[_Content], index: int) -> bool:
    """Whether a content belongs to the current turn: nothing but results was said by the user after it."""
    later = [content for content in contents[index + 1 :] if content.role != "model"]
    return all(part.function_response is not None for content in later for part in content.parts or ())


def _check_part(part: _Part, at: str) -> None:
    kinds = ("text", "inline_data", "file_data", "function_call", "function_response", "executable_code",
             "code_execution_result")  # fmt: skip
    stated = [kind for kind in kinds if getattr(part, kind) is not None]
    if len(stated) != 1:
        if not stated:
            raise RefusedError(f"* GenerateContentRequest.{at}.data: required oneof field 'data' must have one field")
        raise RefusedError(f"Invalid value at '{at}' (oneof), oneof field 'data' is already set.")


def _check_seals(calls: list[_Part], model: str, at: str, current: bool) -> int:
    """The first of parallel calls has the seal of all."""
    sealed = 0
    for turn, part in enumerate(calls):
        call, value = part.function_call, part.thought_signature
        if call is None:
            continue
        if value and value not in SKIP:
            # "Either standard or URL-safe base64 encoding with/without paddings are accepted" (ProtoJSON, bytes).
            if not fits(value.translate(_STANDARD), CALL, call.name, call.args or {}):
                raise RefusedError("Thought signature is not valid.")
            sealed += 1
        elif not value and turn == 0 and current and _asks_seals(model):
            raise RefusedError(
                f"Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{call.name}` , position {at}."
            )
    return sealed


def _read_tools(request: _Request, asked: Asked) -> None:
    declared = [one for tool in request.tools or () for one in tool.function_declarations or ()]
    for one in declared:
        if one.parameters is not None and one.parameters_json_schema is not None:
            raise RefusedError("Only one of parameters and parameters_json_schema may be set.")
        asked.tools.append(Tool(one.name, one.parameters_json_schema or _lowered(one.parameters)))
    asked.tool_bytes = len(_encode(request.tools)) if declared else 0
    config = request.tool_config.function_calling_config if request.tool_config is not None else None
    if config is None:
        return
    if config.mode == "NONE":
        asked.choice = "none"
    elif config.mode == "ANY":
        if not declared:
            raise RefusedError("Function calling config is set without function_declarations.")
        asked.choice = "required"
    names = config.allowed_function_names
    if names:
        if config.mode not in ("ANY", "VALIDATED"):
            raise RefusedError("allowed_function_names should only be set when mode is ANY or VALIDATED.")
        unknown = [name for name in names if name not in {tool.name for tool in asked.tools}]
        if unknown:
            raise RefusedError(f"Function {unknown[0]} in allowed_function_names is not declared.")
        asked.tools = [tool for tool in asked.tools if tool.name in names]


def _read_format(config: _GenerationConfig, asked: Asked) -> None:
    schemas = [config.response_json_schema, config.older_json_schema, _lowered(config.response_schema)]
    schema = next((one for one in schemas if one is not None), None)
    if schema is not None:
        if config.response_mime_type not in ("application/json", "text/x.enum"):
            raise RefusedError(f"Response schema with response mime type: '{config.response_mime_type}' is unsupported")
        asked.form, asked.schema = "schema", schema
    elif config.response_mime_type == "application/json":
        asked.form = "json"


def _lowered(schema: Any, depth: int = 0) -> Any:
    """A `Schema`, whose types are written in capitals, as JSON Schema."""
    if isinstance(schema, list):
        return [_lowered(item, depth + 1) for item in schema]
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return schema
    made = {name: _lowered(value, depth + 1) for name, value in schema.items()}
    if isinstance(made.get("type"), str):
        made["type"] = made["type"].lower()
    return made


def _text(content: _Content) -> str:
    said = []
    for part in content.parts or ():
        if part.text is not None and not part.thought:
            said.append(part.text)
        elif part.function_call is not None:
            said.append(_encode(part.function_call.args or {}).decode())
    return " ".join(said)


def _results(content: _Content) -> list[str] | None:
    responses = [part.function_response.response for part in content.parts or () if part.function_response is not None]
    return [_result(response) for response in responses] or None


def _result(response: dict[str, Any]) -> str:
    """`output` or `error` by convention ("FunctionResponse", response), otherwise all of it."""
    for key in ("output", "result", "error"):
        if len(response) == 1 and isinstance(response.get(key), str):
            return str(response[key])
    return _encode(response).decode()
