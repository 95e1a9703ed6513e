"""A whole request of Converse in the canonical form.

Owns what becomes of each field. A cache point is a mark on what stands before it; the parameters that models take
under `additionalModelRequestFields` are understood where the canonical form has them. What only Bedrock can do for a
caller (a guardrail, content in S3, tools it runs) is refused, not left out: without it the answer would be to another
question. What may be left out is named in `other`.

*Source:* Amazon Bedrock API Reference, "Converse" (request syntax), and the service model of botocore 1.44; Amazon
Bedrock User Guide, "Extended thinking", "Adaptive thinking" and "Amazon Nova: reasoning" for the models' parameters.
"""

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Message,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolChoice,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm.bedrock import extras, request_parts
from heddle.wire.llm.bedrock.request_parts import CachePoint, Collected, WireBlock, WireGuard


class _Message(msgspec.Struct, gc=False):
    role: str
    content: list[WireBlock]


class _System(msgspec.Struct, gc=False):
    text: str | None = None
    cachePoint: CachePoint | None = None  # noqa: N815
    guardContent: WireGuard | None = None  # noqa: N815


class _Inference(msgspec.Struct, gc=False):
    maxTokens: int | None = None  # noqa: N815
    temperature: float | None = None
    topP: float | None = None  # noqa: N815
    stopSequences: list[str] | None = None  # noqa: N815


class _Schema(msgspec.Struct, gc=False):
    json: msgspec.Raw = msgspec.Raw(b"{}")


class _ToolSpec(msgspec.Struct, gc=False):
    name: str
    inputSchema: _Schema  # noqa: N815
    description: str | None = None
    strict: bool | None = None


class _SystemTool(msgspec.Struct, gc=False):
    name: str


class _Tool(msgspec.Struct, gc=False):
    toolSpec: _ToolSpec | None = None  # noqa: N815
    systemTool: _SystemTool | None = None  # noqa: N815
    cachePoint: CachePoint | None = None  # noqa: N815


class _Named(msgspec.Struct, gc=False):
    name: str


class _Choice(msgspec.Struct, gc=False):
    auto: dict[str, msgspec.Raw] | None = None
    any: dict[str, msgspec.Raw] | None = None
    tool: _Named | None = None


class _ToolConfig(msgspec.Struct, gc=False):
    tools: list[_Tool]
    toolChoice: _Choice | None = None  # noqa: N815


class _JsonSchema(msgspec.Struct, gc=False):
    schema: str
    name: str | None = None
    description: str | None = None


class _Structure(msgspec.Struct, gc=False):
    jsonSchema: _JsonSchema  # noqa: N815


class _TextFormat(msgspec.Struct, gc=False):
    structure: _Structure


class _Output(msgspec.Struct, gc=False):
    textFormat: _TextFormat | None = None  # noqa: N815
    effort: str | None = None


class _Performance(msgspec.Struct, gc=False):
    latency: str | None = None


class _Tier(msgspec.Struct, gc=False):
    type: str


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message] = []
    system: list[_System] | None = None
    inferenceConfig: _Inference | None = None  # noqa: N815
    toolConfig: _ToolConfig | None = None  # noqa: N815
    guardrailConfig: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815
    additionalModelRequestFields: dict[str, msgspec.Raw] | None = None  # noqa: N815
    additionalModelResponseFieldPaths: list[str] | None = None  # noqa: N815
    promptVariables: dict[str, msgspec.Raw] | None = None  # noqa: N815
    requestMetadata: dict[str, str] | None = None  # noqa: N815
    performanceConfig: _Performance | None = None  # noqa: N815
    serviceTier: _Tier | None = None  # noqa: N815
    outputConfig: _Output | None = None  # noqa: N815


_REQUEST = msgspec.json.Decoder(_Request)
_KNOWN = frozenset(_Request.__struct_fields__)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:
    """The whole of a request that `decode_request` has accepted. Raises ProtocolError, which names the place."""
    try:
        wire = _REQUEST.decode(body)
    except msgspec.ValidationError as exc:
        raise type_error(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The request body is not valid JSON.", malformed=True) from exc
    if bytes(wire.guardrailConfig) != b"null":
        raise _only_bedrock("guardrailConfig", "a guardrail of Bedrock")
    if not wire.messages:
        raise _only_bedrock("modelId", "a prompt of Bedrock's prompt management")
    other = [name for name, value in _FIELDS.decode(body).items() if name not in _KNOWN and bytes(value) != b"null"]
    inference = wire.inferenceConfig or _Inference()
    extra = extras.read(wire.additionalModelRequestFields or {}, other)
    output = wire.outputConfig or _Output()
    tools, hosted = _tools(wire.toolConfig, other)
    messages = _messages(wire, other)
    _note(wire, other)
    return ChatRequest(
        model=call.model,
        messages=messages,
        tools=tools,
        hosted_tools=hosted,
        tool_choice=_choice(wire.toolConfig),
        max_output_tokens=inference.maxTokens if inference.maxTokens is not None else call.max_output_tokens,
        temperature=inference.temperature,
        top_p=inference.topP,
        top_k=extra.top_k,
        stop=tuple(inference.stopSequences or ()),
        format=_format(output.textFormat),
        reasoning=_reasoning(extra, output),
        metadata=msgspec.json.encode(wire.requestMetadata).decode() if wire.requestMetadata else "",
        service_tier=wire.serviceTier.type if wire.serviceTier is not None else "",
        stream=call.stream,
        other=tuple(dict.fromkeys(other)),
    )


def _only_bedrock(param: str, what: str) -> UntranslatableError:
    return UntranslatableError(f"{param}: {what} exists only at Amazon Bedrock.", param=param)


def _note(wire: _Request, other: list[str]) -> None:
    """Add the names of fields that have no place in the canonical form."""
    latency = wire.performanceConfig.latency if wire.performanceConfig is not None else None
    if latency not in (None, "standard"):
        other.append("performanceConfig")
    if wire.promptVariables:
        other.append("promptVariables")
    if wire.additionalModelResponseFieldPaths:
        other.append("additionalModelResponseFieldPaths")


def _messages(wire: _Request, other: list[str]) -> tuple[Message, ...]:
    messages: list[Message] = []
    if wire.system:
        messages.append(Message(role="system", parts=_system(wire.system, other)))
    for index, message in enumerate(wire.messages):
        at = f"messages[{index}]"
        role = _ROLES.get(message.role)
        if role is None:
            raise ProtocolError(f"{at}.role: expected user, assistant or system.", param=f"{at}.role")
        messages.append(Message(role=role, parts=request_parts.read(message.content, f"{at}.content", other)))
    return tuple(messages)


def _system(blocks: list[_System], other: list[str]) -> tuple[Text, ...]:
    found = Collected(other)
    for index, block in enumerate(blocks):
        if block.cachePoint is not None:
            found.mark(block.cachePoint)
        elif block.text is not None:
            found.parts.append(Text(text=block.text))
        elif block.guardContent is not None:
            raise _only_bedrock(f"system[{index}].guardContent", "content for a guardrail of Bedrock")
        else:
            at = f"system[{index}]"
            raise ProtocolError(f"{at}: expected text, cachePoint or guardContent.", param=at)
    return tuple(part for part in found.parts if isinstance(part, Text))


def _tools(config: _ToolConfig | None, other: list[str]) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for index, tool in enumerate(config.tools if config is not None else ()):
        if tool.toolSpec is not None:
            tools.append(_tool(tool.toolSpec))
        elif tool.systemTool is not None:
            hosted.append(HostedTool(type=tool.systemTool.name))
        elif tool.cachePoint is not None:
            if tools:
                tools[-1] = msgspec.structs.replace(tools[-1], cache=Cache(ttl=tool.cachePoint.ttl or ""))
            else:
                other.append("cachePoint")
        else:
            at = f"toolConfig.tools[{index}]"
            raise ProtocolError(f"{at}: expected toolSpec, systemTool or cachePoint.", param=at)
    return tuple(tools), tuple(hosted)


def _tool(spec: _ToolSpec) -> Tool:
    schema = bytes(spec.inputSchema.json).decode()
    return Tool(name=spec.name, description=spec.description or "", schema=schema, strict=spec.strict)


def _choice(config: _ToolConfig | None) -> ToolChoice | None:
    choice = config.toolChoice if config is not None else None
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolChoice(mode="tool", name=choice.tool.name)
    if choice.any is not None:
        return ToolChoice(mode="required")
    if choice.auto is not None:
        return ToolChoice(mode="auto")
    param = "toolConfig.toolChoice"
    raise ProtocolError(f"{param}: expected auto, any or tool.", param=param)


def _format(wanted: _TextFormat | None) -> Format | None:
    if wanted is None:
        return None
    schema = wanted.structure.jsonSchema
    return Format(
        kind="schema", name=schema.name or "", description=schema.description or "", schema=schema.schema, strict=True
    )


def _reasoning(extra: extras.Extras, output: _Output) -> Reasoning | None:
    effort = extras.effort(output.effort or "") or extra.effort
    if not effort and extra.enabled is None and extra.budget_tokens is None and extra.show is None:
        return None
    return Reasoning(enabled=extra.enabled, effort=effort, budget_tokens=extra.budget_tokens, show=extra.show)
