"""Many tools, found by what they do: `find_tools` and `call_tool` in place of a list that no model could read.

Owns the two tools. What is found is what the caller may see, with whole definitions, so that a call can be written
from the answer; calling goes the way of every call, through the same policies, under the tool's own name.
*Source:* issue of gateways on progressive disclosure; Model Context Protocol, "Tools".
"""

from typing import Any

import msgspec

from heddle.dataplane.mcp.lists import Lists
from heddle.dataplane.mcp.server import Turn, VirtualServer
from heddle.dataplane.mcp.surface import Entry, Surface
from heddle.directory.search import Fields, ToolIndex
from heddle.model.snapshot_mcp import SearchSpec
from heddle.wire.jsonrpc import INVALID_PARAMS, RpcError

FIND, CALL = "find_tools", "call_tool"
MAX_QUERY_CHARS = 1_000
MAX_INDEXES = 256
_encode = msgspec.json.encode


class FindingTools:
    """The search of one virtual server."""

    tools = frozenset((FIND, CALL))

    def __init__(self, spec: SearchSpec, lists: Lists) -> None:
        self._limit = spec.limit
        self.replaces = spec.replace
        self._lists = lists
        self._indexes: dict[int, tuple[list[Entry], ToolIndex[str]]] = {}
        self._definitions = [_encode(_find(spec.limit)), _encode(_CALL)]

    def listed(self, definitions: list[bytes], first: int) -> list[bytes]:
        """The two tools, before the others or alone."""
        if self.replaces:
            return self._definitions
        return [*self._definitions, *definitions] if first == 0 else definitions

    async def call(self, server: VirtualServer, surface: Surface, turn: Turn) -> bytes:
        """The result of one of the two. Raises RpcError or CallError."""
        arguments = turn.message.value.get("arguments") or {}
        if turn.message.value.get("name") == FIND:
            server.enter(turn.exchange)
            return self._found(surface, arguments, turn)
        name = arguments.get("name")
        if not isinstance(name, str) or name in self.tools:
            raise RpcError(INVALID_PARAMS, "`name` must be the name of a tool that was found.")
        inner = arguments.get("arguments")
        if inner is not None and not isinstance(inner, dict):
            raise RpcError(INVALID_PARAMS, "`arguments` must be an object.")
        params = {key: value for key, value in turn.message.params.items() if key not in ("name", "arguments")}
        params["name"] = msgspec.Raw(_encode(name))
        given = msgspec.json.decode(turn.message.params["arguments"], type=dict[str, msgspec.Raw])
        if "arguments" in given:
            params["arguments"] = given["arguments"]
        value = {**turn.message.value, "name": name, "arguments": inner or {}}
        message = msgspec.structs.replace(turn.message, params=params, value=value)
        return await server.call_tool(Turn(message, turn.caller, turn.exchange))

    def _found(self, surface: Surface, arguments: dict[str, Any], turn: Turn) -> bytes:
        query = arguments.get("query")
        if not isinstance(query, str) or not query.strip() or len(query) > MAX_QUERY_CHARS:
            raise RpcError(INVALID_PARAMS, f"`query` must be text of at most {MAX_QUERY_CHARS} characters.")
        limit = arguments.get("limit", self._limit)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise RpcError(INVALID_PARAMS, "`limit` must be a number above zero.")
        entries = self._lists.visible(surface, "tool", turn.exchange)
        by_name = {entry.name: entry for entry in entries}
        found = self._index(entries).find(query, min(limit, self._limit))
        tools = b"[%b]" % b",".join(by_name[name].raw for name, _ in found)
        text = {"type": "text", "text": tools.decode()}
        return b'{"content":[%b],"structuredContent":{"tools":%b},"isError":false}' % (_encode(text), tools)

    def _index(self, entries: list[Entry]) -> ToolIndex[str]:
        """The index of what one caller sees; made once for each list."""
        known = self._indexes.get(id(entries))
        if known is None:
            if len(self._indexes) >= MAX_INDEXES:
                self._indexes.clear()
            index = ToolIndex([(entry.name, _texts(entry)) for entry in entries])
            known = self._indexes[id(entries)] = entries, index
        return known[1]


def _texts(entry: Entry) -> Fields:
    value = msgspec.json.decode(entry.raw)
    schema = value.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    texts = {name: text for name in ("title", "description") if isinstance(text := value.get(name), str)}
    return Fields(name=entry.name, parameters=tuple(properties) if isinstance(properties, dict) else (), **texts)


def _find(limit: int) -> dict[str, Any]:
    return {
        "name": FIND,
        "title": "Find tools",
        "description": "Finds tools by what they do. Answers with their definitions; call one with `call_tool`.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What the tool should do, in a few words."},
                "limit": {"type": "integer", "minimum": 1, "maximum": limit, "default": limit},
            },
            "required": ["query"],
        },
        "annotations": {"readOnlyHint": True},
    }


_CALL = {
    "name": CALL,
    "title": "Call a tool",
    "description": "Calls a tool that `find_tools` found, by its name, with arguments that fit its `inputSchema`.",
    "inputSchema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
        "required": ["name"],
    },
}
