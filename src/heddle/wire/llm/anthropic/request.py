"""Requests in Anthropic's dialect, read into the canonical form.

Owns what each field means to another vendor. A field that has no counterpart is named in `other`, and the vendor's
rules decide. Two would change the question if they were left out: `inference_geo`, a promise of where data is
processed, is refused here; `mcp_servers` are tools that Anthropic runs, and judged as such.

*Source:* Anthropic API reference, "Create a message", body parameters, as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm.anthropic.blocks import Content, Leftover, WireCache, read_cache, read_content

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_OUTPUT_FORMAT = "output_format"
_UNSTATED = (b"null", b"[]")


class _Message(msgspec.Struct, gc=False):
    role: str
    content: Content


class _Tool(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    cache_control: WireCache | None = None
    allowed_callers: Any = None
    defer_loading: Any = None
    eager_input_streaming: Any = None
    input_examples: Any = None


class _ToolChoice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct, gc=False):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    schema: msgspec.Raw = msgspec.Raw()


class _OutputConfig(msgspec.Struct, gc=False):
    effort: str | None = None
    format: _Format | None = None
    task_budget: Any = None


class _Metadata(msgspec.Struct, gc=False):
    user_id: str | None = None


class _Body(msgspec.Struct, gc=False):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    system: Content | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: _Metadata | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    service_tier: str | None = None
    stream: bool | None = None
    cache_control: WireCache | None = None


class _KnownBody(_Body, gc=False, forbid_unknown_fields=True):
    """A body without any other field."""


_BODY = msgspec.json.Decoder(_Body)
_KNOWN_BODY = msgspec.json.Decoder(_KnownBody)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READ = frozenset(_Body.__struct_fields__)
_JUDGED = ("mcp_servers", "inference_geo")
_LEFT_OF_TOOLS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:  # noqa: ARG001
    """The whole of a request that `codec.decode_request` has accepted.

    Raises ProtocolError, which names the place; UntranslatableError for what only Anthropic could answer.
    """
    wire, fields = _decoded(body)
    left = Leftover()
    messages = _messages(wire, left)
    if wire.cache_control is not None:
        messages = _marked(messages, read_cache(wire.cache_control))
    for name in fields:
        if name not in _JUDGED:
            left.add(name)
    hosted = _hosted(wire, fields) if wire.tools or fields else ()
    tools = _tools(wire.tools, left) if wire.tools else ()
    choice = wire.tool_choice
    configured = wire.output_config is not None
    reasoning = _reasoning(wire, left) if configured or wire.thinking is not None else None
    return ChatRequest(
        model=wire.model,
        messages=messages,
        tools=tools,
        hosted_tools=hosted,
        tool_choice=_choice(choice) if choice is not None else None,
        parallel_tools=_parallel(choice) if choice is not None else None,
        max_output_tokens=wire.max_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=wire.top_k,
        stop=tuple(wire.stop_sequences or ()),
        format=_format(wire) if configured or wire.output_format is not None else None,
        reasoning=reasoning,
        user=(wire.metadata.user_id or "") if wire.metadata is not None else "",
        service_tier=wire.service_tier or "",
        stream=bool(wire.stream),
        other=tuple(left.names),
    )


def _decoded(body: bytes) -> tuple[_Body, list[str]]:
    """The request, and the names of stated fields that are not read with it."""
    try:
        return _KNOWN_BODY.decode(body), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # A field is unknown, or something is wrong: what it is, is said below.
    try:
        fields = _FIELDS.decode(body)
        stated = [name for name, value in fields.items() if bytes(value) not in _UNSTATED]
        return _BODY.decode(body), [name for name in stated if name not in _READ]
    except msgspec.ValidationError as exc:
        raise type_error(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The request body is not valid JSON.", malformed=True) from exc


def _messages(wire: _Body, left: Leftover) -> tuple[Message, ...]:
    messages = []
    if wire.system is not None:
        messages.append(Message(role="system", parts=read_content(wire.system, "system", left)))
    for index, message in enumerate(wire.messages):
        role = _ROLES.get(message.role)
        if role is None:
            place = f"messages[{index}].role"
            raise ProtocolError(f"{place}: expected user, assistant or system.", param=place)
        if isinstance(message.content, str):
            messages.append(Message(role=role, parts=(Text(text=message.content),)))
        else:
            parts = read_content(message.content, f"messages[{index}].content", left)
            messages.append(Message(role=role, parts=parts))
    return tuple(messages)


def _marked(messages: tuple[Message, ...], mark: Cache | None) -> tuple[Message, ...]:
    """With the mark of the whole request where the vendor would put it: on the last part that can carry one."""
    for place in range(len(messages) - 1, -1, -1):
        parts: list[Part] = list(messages[place].parts)
        for index in range(len(parts) - 1, -1, -1):
            part = parts[index]
            if isinstance(part, Thinking) or (isinstance(part, Text) and not part.text):
                continue
            parts[index] = msgspec.structs.replace(part, cache=mark)
            changed = msgspec.structs.replace(messages[place], parts=tuple(parts))
            return (*messages[:place], changed, *messages[place + 1 :])
    return messages


def _own(tool: _Tool) -> bool:
    """Whether the caller has defined the tool: all others have a versioned type, `web_search_20260318`."""
    return tool.type in (None, "custom")


def _hosted(wire: _Body, fields: list[str]) -> tuple[HostedTool, ...]:
    if "inference_geo" in fields:
        detail = "inference_geo: where data is processed can be promised by Anthropic only."
        raise UntranslatableError(detail, param="inference_geo")
    hosted = [HostedTool(type=tool.type or "") for tool in wire.tools or () if not _own(tool)]
    if "mcp_servers" in fields:
        hosted.append(HostedTool(type="mcp_servers"))
    return tuple(hosted)


def _tools(tools: list[_Tool], left: Leftover) -> tuple[Tool, ...]:
    return tuple([_tool(tool, f"tools[{index}]", left) for index, tool in enumerate(tools) if _own(tool)])


def _tool(tool: _Tool, at: str, left: Leftover) -> Tool:
    if not tool.name:
        raise ProtocolError(f"{at}.name: this field is required.", param=f"{at}.name")
    schema = bytes(tool.input_schema)
    if schema[:1] != b"{":
        raise ProtocolError(f"{at}.input_schema: expected an object.", param=f"{at}.input_schema")
    for name in _LEFT_OF_TOOLS:
        if getattr(tool, name) is not None:
            left.add(f"tools.{name}")
    return Tool(
        name=tool.name,
        description=tool.description or "",
        schema=schema.decode(),
        strict=tool.strict,
        cache=read_cache(tool.cache_control),
    )


def _choice(choice: _ToolChoice) -> ToolChoice:
    if choice.type == "auto":
        return ToolChoice(mode="auto")
    if choice.type == "any":
        return ToolChoice(mode="required")
    if choice.type == "none":
        return ToolChoice(mode="none")
    if choice.type == "tool" and choice.name:
        return ToolChoice(mode="tool", name=choice.name)
    raise ProtocolError("tool_choice: expected auto, any, none, or tool with a name.", param="tool_choice")


def _parallel(choice: _ToolChoice) -> bool | None:
    if choice.disable_parallel_tool_use is None:
        return None
    return not choice.disable_parallel_tool_use


def _reasoning(wire: _Body, left: Leftover) -> Reasoning | None:
    config = wire.output_config
    if config is not None and config.task_budget is not None:
        left.add("output_config.task_budget")
    effort = (config.effort or "") if config is not None else ""
    thinking = wire.thinking
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    show = None if thinking.display is None else thinking.display == "summarized"
    if thinking.type == "enabled":
        if thinking.budget_tokens is None or thinking.budget_tokens < 1:
            place = "thinking.budget_tokens"
            raise ProtocolError(f"{place}: expected a positive integer.", param=place)
        return Reasoning(enabled=True, effort=effort, budget_tokens=thinking.budget_tokens, show=show)
    if thinking.type == "adaptive":
        return Reasoning(enabled=True, effort=effort, budget_tokens=-1, show=show)
    if thinking.type == "disabled":
        return Reasoning(enabled=False, effort=effort)
    # `between_tools`, and what may come: when a model thinks is for its vendor to know.
    left.add("thinking.type")
    return Reasoning(effort=effort, show=show)


def _format(wire: _Body) -> Format | None:
    config = wire.output_config
    wanted, at = (config.format, "output_config.format") if config is not None else (None, "")
    if wanted is None:
        wanted, at = wire.output_format, _OUTPUT_FORMAT
    if wanted is None:
        return None
    schema = bytes(wanted.schema)
    if wanted.type != "json_schema" or schema[:1] != b"{":
        raise ProtocolError(f"{at}: expected a json_schema with its schema.", param=at)
    return Format(kind="schema", schema=schema.decode())
