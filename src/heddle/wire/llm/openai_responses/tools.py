"""The tools of a request, and what a call of one is called on either side of a translation.

Owns the names. Two kinds of tools exist only in this dialect and are carried as plain functions: those in a
namespace, as `namespace__name`, and custom ones, whose input is text rather than JSON, as functions of one string,
`input`. A grammar for that text cannot be enforced elsewhere: it is told to the model in the description.

*Source:* OpenAI API reference, "Create a model response": `tools`, `tool_choice`; "Function calling", custom tools.
"""

from typing import Any, NamedTuple

import msgspec

from heddle.wire.canonical.request import HostedTool, Tool, ToolChoice
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses.reading import bad, decode

CUSTOM_SCHEMA = (
    '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)


class Declared(NamedTuple):
    """What the caller calls a tool that has another name or kind in translation."""

    custom: bool
    name: str
    namespace: str


class Toolbox(NamedTuple):
    """The tools of a request in canonical form."""

    tools: tuple[Tool, ...]
    hosted: tuple[HostedTool, ...]
    other: tuple[str, ...]
    """What was said of them and cannot be carried."""


class _Head(msgspec.Struct, gc=False):
    type: str


class _Format(msgspec.Struct, gc=False):
    type: str = "text"
    syntax: str = ""
    definition: str = ""


class _Tool(msgspec.Struct, gc=False):
    type: str
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    format: _Format | None = None
    defer_loading: bool | None = None
    tools: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    mode: str = ""
    tools: list["_Choice"] | None = None


_HEAD = msgspec.json.Decoder(_Head)
_TOOL = msgspec.json.Decoder(_Tool)
_CHOICE = msgspec.json.Decoder(str | _Choice)
_INPUT = msgspec.json.Decoder(dict[str, Any])


def carried_name(name: str, namespace: str = "") -> str:
    """The one name of a tool in a namespace."""
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"


def wrap_input(text: str) -> str:
    """A custom tool's input as the arguments of the function it is carried as."""
    return msgspec.json.encode({"input": text}).decode()


def unwrap_input(arguments: str) -> str:
    """The other way; a model that did not keep to the schema meant its arguments as they are."""
    try:
        given = _INPUT.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    if not given:
        return ""
    text = given.get("input")
    return text if isinstance(text, str) and len(given) == 1 else arguments


def read_tools(groups: list[tuple[str, list[msgspec.Raw]]]) -> Toolbox:
    """The tools of a request, in groups with the place of each. Raises ProtocolError (also for two with one name)."""
    tools: dict[str, Tool] = {}
    hosted: list[HostedTool] = []
    other: list[str] = []
    for at, raw in [(f"{place}[{index}]", raw) for place, given in groups for index, raw in enumerate(given)]:
        kind = decode(_HEAD, raw, at).type
        if kind not in ("function", "custom", "namespace"):
            hosted.append(HostedTool(type=kind))
            continue
        for inner, namespace, place in _members(decode(_TOOL, raw, at), at):
            name = carried_name(inner.name, namespace)
            if name in tools:
                raise bad(f"{place}.name", "names that differ")
            tools[name] = _canonical(inner, name, place)
            other += _lost(inner)
    return Toolbox(tuple(tools.values()), tuple(hosted), tuple(dict.fromkeys(other)))


def _members(tool: _Tool, at: str) -> list[tuple[_Tool, str, str]]:
    if tool.type != "namespace":
        return [(tool, "", at)]
    found = []
    for index, raw in enumerate(tool.tools or ()):
        place = f"{at}.tools[{index}]"
        inner = decode(_TOOL, raw, place)
        if inner.type not in ("function", "custom"):
            raise bad(f"{place}.type", "`function` or `custom`")
        found.append((inner, tool.name, place))
    return found


def _canonical(tool: _Tool, name: str, at: str) -> Tool:
    if not tool.name:
        raise bad(f"{at}.name", "a name")
    if tool.type == "custom":
        return Tool(name=name, description=_described(tool), schema=CUSTOM_SCHEMA)
    schema = bytes(tool.parameters).decode()
    if schema in ("", "null"):
        schema = ""
    elif not schema.startswith("{"):
        raise bad(f"{at}.parameters", "an object")
    return Tool(name=name, description=tool.description or "", schema=schema, strict=tool.strict)


def _described(tool: _Tool) -> str:
    description = tool.description or ""
    if tool.format is None or not tool.format.definition:
        return description
    rule = f"`input` must match this {tool.format.syntax} grammar:\n{tool.format.definition}"
    return f"{description}\n\n{rule}" if description else rule


def _lost(tool: _Tool) -> list[str]:
    lost = ["tools.format"] if tool.format is not None and tool.format.definition else []
    return [*lost, "tools.defer_loading"] if tool.defer_loading else lost


def read_choice(raw: msgspec.Raw, tools: tuple[Tool, ...]) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """The choice, and the tools that it leaves. Raises ProtocolError, UntranslatableError for a vendor's own tool."""
    if bytes(raw) in (b"", b"null"):
        return None, tools
    choice = decode(_CHOICE, raw, "tool_choice")
    if isinstance(choice, str):
        return ToolChoice(mode=_mode(choice, "tool_choice")), tools
    if choice.type in ("function", "custom"):
        if not choice.name:
            raise bad("tool_choice.name", "the name of a tool")
        return ToolChoice(mode="tool", name=choice.name), tools
    if choice.type == "allowed_tools":
        allowed = {one.name for one in choice.tools or () if one.type in ("function", "custom")}
        # What is not offered cannot be called: the same effect by means that all vendors have.
        left = tuple([tool for tool in tools if tool.name in allowed])
        return ToolChoice(mode=_mode(choice.mode, "tool_choice.mode")), left
    detail = "tool_choice: a tool that the vendor runs cannot be carried to another vendor."
    raise UntranslatableError(detail, param="tool_choice")


def _mode(value: str, at: str) -> Any:
    if value not in ("auto", "none", "required"):
        raise bad(at, "`auto`, `none` or `required`")
    return value


def declared(given: list[msgspec.Raw]) -> dict[str, Declared]:
    """Carried name -> what the caller calls it, for those where that differs. Of a request that was read before."""
    found: dict[str, Declared] = {}
    for raw in given:
        try:
            if _HEAD.decode(raw).type not in ("custom", "namespace"):
                continue
            for tool, namespace, _ in _members(_TOOL.decode(raw), "tools"):
                found[carried_name(tool.name, namespace)] = Declared(tool.type == "custom", tool.name, namespace)
        except (msgspec.DecodeError, ProtocolError):
            continue
    return found
