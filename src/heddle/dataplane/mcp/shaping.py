"""Tools as a virtual server offers them: other names and words, arguments that are fixed, filled in or hidden.

Owns what becomes of a definition and, by the same declaration, of the arguments of a call. A schema that nothing is
said about passes as it was written.
*Source:* Model Context Protocol, "Tools"; JSON Schema 2020-12, `properties` and `required`.
"""

from typing import Any, NamedTuple

import msgspec

from heddle.backends.mcp.catalogue import Offer
from heddle.backends.mcp.contract import Params
from heddle.model.snapshot_mcp import ArgumentSpec, ToolSpec
from heddle.wire.jsonrpc import INVALID_PARAMS, RpcError

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class Shaping(NamedTuple):
    """What becomes of the arguments of a tool's calls."""

    fixed: dict[str, msgspec.Raw]
    defaults: dict[str, msgspec.Raw]
    hidden: frozenset[str]

    def apply(self, arguments: dict[str, Any], params: Params) -> tuple[dict[str, Any], Params]:
        """The arguments and params as the target gets them. Raises RpcError for one that callers may not set."""
        for name in arguments:
            if name in self.hidden:
                raise RpcError(INVALID_PARAMS, f"Unknown argument `{name[:64]}`.")
        given = params.get("arguments")
        raw = {**self.defaults, **(_decode_members(given) if given is not None else {}), **self.fixed}
        # What callers gave is parsed already, by a reader that takes numbers which this one refuses.
        own = {**self.defaults, **self.fixed}
        shaped = {
            name: msgspec.json.decode(own[name]) if name in self.fixed or name not in arguments else arguments[name]
            for name in raw
        }
        return shaped, {**params, "arguments": msgspec.Raw(_encode(raw))}


def shape(offer: Offer, name: str, tool: ToolSpec | None) -> tuple[bytes, Shaping | None]:
    """The definition that callers see of a tool called `name`, and what becomes of its arguments."""
    if tool is None and name == offer.key:
        return offer.raw, None
    members = _decode_members(offer.raw)
    members["name"] = msgspec.Raw(_encode(name))
    if tool is None:
        return _encode(members), None
    for member, text in (("title", tool.title), ("description", tool.description)):
        if text:
            members[member] = msgspec.Raw(_encode(text))
    if tool.annotations:
        given = offer.value.get("annotations")
        merged = {**(given if isinstance(given, dict) else {}), **tool.annotations}
        members["annotations"] = msgspec.Raw(_encode(merged))
    if not tool.arguments:
        return _encode(members), None
    members["inputSchema"] = msgspec.Raw(_encode(_schema(offer.value.get("inputSchema"), tool.arguments)))
    return _encode(members), _shaping(tool.arguments)


def _schema(given: Any, arguments: dict[str, ArgumentSpec]) -> dict[str, Any]:
    schema = dict(given) if isinstance(given, dict) else {"type": "object"}
    given_properties = schema.get("properties")
    properties: dict[str, Any] = dict(given_properties) if isinstance(given_properties, dict) else {}
    required = [name for name in schema.get("required") or () if isinstance(name, str)]
    for name, argument in arguments.items():
        if argument.fixed or argument.hidden:
            properties.pop(name, None)
            required = [other for other in required if other != name]
            continue
        said = dict(properties[name]) if isinstance(properties.get(name), dict) else {}
        if argument.description:
            said["description"] = argument.description
        if argument.default:
            said["default"] = msgspec.json.decode(argument.default)
            required = [other for other in required if other != name]
        if said:
            properties[name] = said
    schema["properties"] = properties
    if required:
        schema["required"] = required
    else:
        schema.pop("required", None)
    return schema


def _shaping(arguments: dict[str, ArgumentSpec]) -> Shaping:
    fixed = {name: msgspec.Raw(said.fixed.encode()) for name, said in arguments.items() if said.fixed}
    defaults = {name: msgspec.Raw(said.default.encode()) for name, said in arguments.items() if said.default}
    hidden = frozenset(name for name, said in arguments.items() if said.fixed or said.hidden)
    return Shaping(fixed, defaults, hidden)
