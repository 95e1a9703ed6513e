"""`python -m tests.mcp_servers.changing FILE`: a server whose tools are what FILE says at that moment, as JSON.

For what becomes of definitions that change while a gateway runs. It never says that they did. Every call is answered
with the name and arguments of it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from tests.mcp_servers.everything import over_http


def server(file: Path) -> Server[Any]:
    """The server of the file."""

    def offered() -> list[types.Tool]:
        return [types.Tool.model_validate(one) for one in json.loads(file.read_text())]

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=offered())

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text = f"{params.name} {json.dumps(params.arguments)}"
        return types.CallToolResult(content=[types.TextContent(text=text)])

    return Server("changing", on_list_tools=list_tools, on_call_tool=call_tool)


if __name__ == "__main__":
    over_http(server(Path(sys.argv[1])).streamable_http_app(stateless_http=True), 0)
