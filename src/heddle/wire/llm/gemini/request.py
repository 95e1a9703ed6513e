"""A caller's Gemini request as a canonical one.

Owns what each field means to other vendors. What cannot be left out without answering another question, and has no
counterpart, is refused here: content that lies in Google's cache, answers in sound or images.

*Source:* Gemini API reference, "models.generateContent", "GenerationConfig", "Tool", "ToolConfig", "ThinkingConfig",
2026-11.
"""

from typing import NamedTuple

from heddle.model.call import ModelCall
from heddle.wire.canonical.request import (
    ChatRequest,
    Format,
    HostedTool,
    Message,
    Reasoning,
    Tool,
    ToolChoice,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.llm.gemini.fields import Fields
from heddle.wire.llm.gemini.parts import Reader, whole_thoughts
from heddle.wire.llm.gemini.schemas import to_json_schema

_PLACED = frozenset(
    ("model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "labels", "serviceTier")
)
_SETTINGS_PLACED = frozenset(
    (
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed", "presencePenalty",
        "frequencyPenalty", "responseMimeType", "responseSchema", "responseJsonSchema",
        "responseLogprobs", "logprobs", "thinkingConfig", "responseModalities",
    )
)  # fmt: skip
_TIERS = {"": "", "unspecified": "", "standard": "default", "flex": "flex", "priority": "priority"}
_MAX_LOGPROBS = 20


class _Tools(NamedTuple):
    own: tuple[Tool, ...] = ()
    hosted: tuple[HostedTool, ...] = ()
    choice: ToolChoice | None = None


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:
    """The whole of a request that `codec.decode_request` has accepted. Raises ProtocolError, which names the place."""
    fields = Fields(body)
    settings = fields.object("generationConfig") or Fields(b"{}", "generationConfig")
    _refuse_stateful(fields, settings)
    tools = _tools(fields)
    bare = set(settings) - _SETTINGS_PLACED
    return ChatRequest(
        model=call.model,
        messages=_messages(fields),
        tools=tools.own,
        hosted_tools=tools.hosted,
        tool_choice=tools.choice,
        max_output_tokens=settings.whole("maxOutputTokens", 1),
        temperature=settings.number("temperature"),
        top_p=settings.number("topP"),
        top_k=settings.whole("topK", 0),
        stop=settings.texts("stopSequences"),
        seed=settings.whole("seed"),
        presence_penalty=settings.number("presencePenalty"),
        frequency_penalty=settings.number("frequencyPenalty"),
        choices=settings.whole("candidateCount", 1) or 1,
        format=_format(settings),
        reasoning=_reasoning(settings.object("thinkingConfig")),
        logprobs=_logprobs(settings),
        metadata=fields.raw("labels"),
        service_tier=_tier(fields),
        stream=call.stream,
        other=tuple(sorted({*(set(fields) - _PLACED), *(f"generationConfig.{name}" for name in bare)})),
    )


def _refuse_stateful(fields: Fields, settings: Fields) -> None:
    for name in ("cachedContent", "continuationToken"):
        if name in fields:
            raise UntranslatableError(f"{name}: what it names lies at Google and cannot be translated.", param=name)
    if any(modality.upper() != "TEXT" for modality in settings.texts("responseModalities")):
        at = settings.path("responseModalities")
        raise UntranslatableError(f"{at}: only TEXT can be translated.", param=at)


def _messages(fields: Fields) -> tuple[Message, ...]:
    reader = Reader()
    messages = [reader.message(content) for content in fields.objects("contents")]
    system = fields.object("systemInstruction")
    said = reader.parts(system) if system is not None else []
    if said:
        messages.insert(0, Message(role="system", parts=tuple(said)))
    return tuple(whole_thoughts(messages))


def _tools(fields: Fields) -> _Tools:
    config = fields.object("toolConfig")
    calling = config.object("functionCallingConfig") if config is not None else None
    mode = (calling.text("mode") if calling is not None else "").upper()
    if mode not in ("", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED") and calling is not None:
        raise calling.refusal("mode", "expected AUTO, ANY, NONE or VALIDATED")
    allowed = calling.texts("allowedFunctionNames") if calling is not None else ()
    own: list[Tool] = []
    hosted: list[HostedTool] = []
    for tool in fields.objects("tools"):
        own += [_tool(item, True if mode == "VALIDATED" else None) for item in tool.objects("functionDeclarations")]
        hosted += [HostedTool(type=name) for name in tool if name != "functionDeclarations"]
    if allowed and mode != "NONE":
        # Which tools may be called: the others might as well not have been given.
        own = [tool for tool in own if tool.name in allowed]
        if not own and calling is not None:
            raise calling.refusal("allowedFunctionNames", "names no declared function")
    return _Tools(tuple(own), tuple(hosted), _choice(mode, allowed))


def _choice(mode: str, allowed: tuple[str, ...]) -> ToolChoice | None:
    if mode == "ANY":
        return ToolChoice(mode="tool", name=allowed[0]) if len(allowed) == 1 else ToolChoice(mode="required")
    if mode == "NONE":
        return ToolChoice(mode="none")
    return ToolChoice(mode="auto") if mode in ("AUTO", "VALIDATED") else None


def _tool(declared: Fields, strict: bool | None) -> Tool:
    name = declared.text("name")
    if not name:
        raise declared.refusal("name", "expected the name of a function")
    schema = declared.raw("parametersJsonSchema")
    if not schema and "parameters" in declared:
        schema = to_json_schema(declared.raw("parameters"), declared.path("parameters"))
    return Tool(name=name, description=declared.text("description"), schema=schema, strict=strict)


def _format(settings: Fields) -> Format | None:
    schema = settings.raw("responseJsonSchema")
    if not schema and "responseSchema" in settings:
        schema = to_json_schema(settings.raw("responseSchema"), settings.path("responseSchema"))
    kind = settings.text("responseMimeType")
    if schema:
        return Format(kind="schema", schema=schema)
    if kind == "application/json":
        return Format(kind="json")
    if kind not in ("", "text/plain"):
        at = settings.path("responseMimeType")
        raise UntranslatableError(f"{at}: only text/plain and application/json can be translated.", param=at)
    return Format(kind="text") if kind else None


def _reasoning(config: Fields | None) -> Reasoning | None:
    if config is None:
        return None
    budget = config.whole("thinkingBudget", -1)
    level = config.text("thinkingLevel").lower()
    return Reasoning(
        enabled=False if budget == 0 else None,
        effort="" if level == "thinking_level_unspecified" else level,
        budget_tokens=budget or None,
        show=config.flag("includeThoughts"),
    )


def _logprobs(settings: Fields) -> int | None:
    wanted = settings.whole("logprobs", 0, _MAX_LOGPROBS)
    return (wanted or 0) if settings.flag("responseLogprobs") else None


def _tier(fields: Fields) -> str:
    given = fields.text("serviceTier")
    tier = _TIERS.get(given.lower().removeprefix("service_tier_"))
    if tier is None:
        raise fields.refusal("serviceTier", "expected standard, flex or priority")
    return tier
