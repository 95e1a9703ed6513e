"""Tools, their choice and the wanted form of an answer, as OpenAI chat requests write them.

Owns the reading of `tools`, `functions`, `tool_choice`, `function_call` and `response_format`. Schemas are only
carried, so they stay the caller's bytes.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11.
"""

from typing import Literal

import msgspec

from heddle.wire.canonical.request import Format as CanonicalFormat
from heddle.wire.canonical.request import HostedTool, Tool, ToolChoice
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm.openai_chat_parts import CacheControl, read_cache

_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}


class Function(msgspec.Struct, gc=False):
    """A definition: in `tools[].function`, or in the older `functions`."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class WireTool(msgspec.Struct, gc=False):
    """One of `tools`."""

    type: str
    function: Function | None = None
    cache_control: CacheControl | None = None


class _Schema(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class Format(msgspec.Struct, gc=False):
    """`response_format`."""

    type: str
    json_schema: _Schema | None = None


class _Named(msgspec.Struct, gc=False):
    name: str


class _Allowed(msgspec.Struct, gc=False):
    mode: str
    tools: list["_Choice"]


class _Choice(msgspec.Struct, gc=False):
    type: str = "function"
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


_CHOICE = msgspec.json.Decoder(str | _Choice)
_FUNCTION_CHOICE = msgspec.json.Decoder(str | _Named)


def read_tools(
    tools: list[WireTool], functions: list[Function], searches: bool
) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """What the model may call, and what the vendor would run. Raises ProtocolError."""
    defined: list[Tool] = []
    hosted: list[HostedTool] = []
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if tool.type == "custom":
            # Its input is no JSON and may follow a grammar: a function with a schema is another thing.
            raise UntranslatableError(f"{place}: custom tools cannot be translated.", param=place)
        if tool.type != "function":
            hosted.append(HostedTool(type=tool.type))
            continue
        if tool.function is None:
            raise ProtocolError(f"{place}.function: this field is required.", param=f"{place}.function")
        defined.append(_tool(tool.function, f"{place}.function", tool.cache_control))
    defined += [_tool(function, f"functions[{i}]", None) for i, function in enumerate(functions)]
    if searches:
        hosted.append(HostedTool(type="web_search"))
    return tuple(defined), tuple(hosted)


def _tool(function: Function, place: str, cache: CacheControl | None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        schema=_schema(function.parameters, f"{place}.parameters"),
        strict=function.strict,
        cache=read_cache(cache),
    )


def _schema(raw: msgspec.Raw, param: str) -> str:
    text = bytes(raw)
    if text in (b"", b"null"):
        return ""
    if not text.startswith(b"{"):
        raise ProtocolError(f"{param}: expected an object.", param=param)
    return text.decode()


def read_tool_choice(raw: msgspec.Raw, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The choice, and the tools that remain: those of `allowed_tools`, or all. Raises ProtocolError."""
    if bytes(raw) in (b"", b"null"):
        return tools, None
    try:
        choice = _CHOICE.decode(raw)
    except msgspec.ValidationError as exc:
        raise _inside("tool_choice", exc) from exc
    if isinstance(choice, str):
        return tools, _mode(choice, "tool_choice")
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return _narrowed(choice.allowed_tools, tools), _mode(choice.allowed_tools.mode, "tool_choice.mode")
    if choice.type == "custom":
        raise UntranslatableError("tool_choice: custom tools cannot be translated.", param="tool_choice")
    if choice.type != "function" or choice.function is None:
        raise ProtocolError("tool_choice: expected the name of a function.", param="tool_choice")
    return tools, ToolChoice(mode="tool", name=choice.function.name)


def _narrowed(allowed: _Allowed, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """To name the allowed ones and to define only them is the same to a model."""
    names = {choice.function.name for choice in allowed.tools if choice.function is not None}
    if len(names) < len(allowed.tools) or names - {tool.name for tool in tools}:
        raise ProtocolError("tool_choice.allowed_tools: expected functions that are in tools.", param="tool_choice")
    return tuple([tool for tool in tools if tool.name in names])


def read_function_choice(raw: msgspec.Raw) -> ToolChoice | None:
    """The older `function_call`. Raises ProtocolError."""
    if bytes(raw) in (b"", b"null"):
        return None
    try:
        choice = _FUNCTION_CHOICE.decode(raw)
    except msgspec.ValidationError as exc:
        raise _inside("function_call", exc) from exc
    return _mode(choice, "function_call") if isinstance(choice, str) else ToolChoice(mode="tool", name=choice.name)


def _mode(name: str, param: str) -> ToolChoice:
    mode = _MODES.get(name)
    if mode is None:
        raise ProtocolError(f"{param}: expected {', '.join(_MODES)} or a function.", param=param)
    return ToolChoice(mode=mode)


def _inside(param: str, error: msgspec.ValidationError) -> ProtocolError:
    """The error of a value that was decoded apart, at its place in the request."""
    found = type_error(str(error))
    place = f"{param}.{found.param}" if found.param else param
    return ProtocolError(f"{place}: not an acceptable value.", param=place)


def read_format(wanted: Format | None) -> CanonicalFormat | None:
    """`response_format`. Raises ProtocolError."""
    if wanted is None:
        return None
    if wanted.type == "text":
        return CanonicalFormat(kind="text")
    if wanted.type == "json_object":
        return CanonicalFormat(kind="json")
    schema = wanted.json_schema
    if wanted.type != "json_schema" or schema is None:
        expected = "expected text, json_object, or json_schema with its json_schema"
        raise ProtocolError(f"response_format: {expected}.", param="response_format")
    return CanonicalFormat(
        kind="schema",
        name=schema.name,
        description=schema.description or "",
        schema=_schema(schema.schema, "response_format.json_schema.schema") or "{}",
        strict=schema.strict,
    )
