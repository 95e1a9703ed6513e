"""What virtual servers make of the tools behind them: other names and arguments, versions, search, several listeners.

Every clause of the configuration that changes what callers see is tried through the real door.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from tests.e2e.mcp_rig import Backend, Caller, Message, backend, text, tool
from tests.e2e.running import RunningMesh, eventually, free_ports, running_mesh
from tests.e2e.servers import Asked, reply

CONFIG = """
listeners:
  - {{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}
  - {{{{name: inside, address: 127.0.0.1, port: {inside}, protocol: MCP}}}}
admin: {{{{port: {{admin_port}}}}}}
security:
  authentication:
    type: api_key
    keys: [{keys}]
mcp:
  targets:
    - {{{{name: shop, http: {{{{url: "{shop}"}}}}, health: {{{{interval: 0s, unhealthy_after: 1}}}}}}}}
    - {{{{name: next, http: {{{{url: "{next}"}}}}, health: {{{{interval: 0.2s, unhealthy_after: 1}}}}}}}}
  servers:
    - name: shaped
      path: /mcp/shaped
      targets:
        - name: shop
          prefix: s
          tools:
            - name: create_ticket
              as: ticket
              title: A ticket
              description: Open a ticket
              annotations: {{{{destructiveHint: false}}}}
              arguments:
                queue: {{{{fixed: support}}}}
                priority: {{{{default: normal, description: How soon}}}}
                note: {{{{hidden: true}}}}
            - {{{{name: slow, max_concurrent: 1, timeout: 1s}}}}
          prompts: ["hello*"]
          resources: ["file:///open/*", "ui://*"]
    - name: versioned
      path: /mcp/versioned
      targets: [{{{{name: shop, tools: []}}}}, {{{{name: next, tools: []}}}}]
      versions:
        - name: search
          versions:
            - {{{{version: "1", target: shop, tool: search, weight: 2}}}}
            - {{{{version: "2", target: next, tool: search, weight: 1}}}}
    - name: found
      path: /mcp/found
      targets: [{{{{name: shop, tools: [search, secret_search, create_ticket]}}}}]
      search: true
      authorization:
        - {{{{tools: secret_search, action: deny}}}}
        - {{{{action: allow}}}}
    - {{{{name: inner, path: /mcp/inner, targets: [next], listeners: [inside]}}}}
    - {{{{name: both, path: /mcp/both, targets: [shop, next]}}}}
rate_limiting:
  - {{{{name: searches, match: {{{{server: found, tool: search}}}}, key: [user, tool], limit: 3, window: 24h}}}}
authorization:
  policies:
    - {{{{name: all, action: allow, resources: ["server:*", "tool:*", "prompt:*", "resource:*"]}}}}
"""
USERS = [f"u{number}" for number in range(24)]


def _named(name: str) -> Any:
    return lambda _, message: text(f"{name}: {json.dumps(message['params'].get('arguments', {}))}")


def _servers() -> tuple[Backend, Backend]:
    ticket = tool("create_ticket", queue="string", priority="string", note="string", subject="string")
    ticket["inputSchema"]["required"] = ["queue", "priority", "subject"]
    ticket["annotations"] = {"destructiveHint": True, "openWorldHint": True}
    widget = {**tool("widget"), "_meta": {"ui": {"resourceUri": "ui://shop/widget"}}}
    search = tool("search", query="string")
    shop = Backend(
        "shop",
        tools=[ticket, tool("slow"), widget, search, {**tool("secret_search"), "description": "Searches secrets."}],
        prompts=[{"name": "hello_you"}, {"name": "other"}],
        resources=[
            {"uri": "file:///open/a", "name": "a"},
            {"uri": "file:///closed/b", "name": "b"},
            {"uri": "ui://shop/widget", "name": "w", "mimeType": "text/html;profile=mcp-app"},
        ],
    )
    shop.handlers["tools/call search"] = _named("old")
    shop.handlers["server/discover"] = lambda _, __: _modern_about("Sell things.")
    other = Backend("next", modern=True, tools=[search, tool("echo")])
    other.handlers["tools/call search"] = _named("new")
    other.handlers["server/discover"] = lambda _, __: _modern_about("Look ahead.")
    shop.modern = True
    return shop, other


def _modern_about(instructions: str) -> Message:
    about = {"capabilities": {"tools": {}, "prompts": {}, "resources": {}}, "instructions": instructions}
    return {"supportedVersions": ["2026-07-28"], "resultType": "complete", "serverInfo": {"name": "x"}, **about}


class Rig:
    """A mesh, its second listener, and the two servers behind it."""

    def __init__(self, mesh: RunningMesh, inside: int, shop: Backend, other: Backend) -> None:
        self.mesh, self.inside, self.shop, self.other = mesh, inside, shop, other

    def caller(self, path: str, user: str = "u0") -> Caller:
        return Caller(self.mesh.port, f"sk-{user}", f"/mcp/{path}")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    shop, other = _servers()
    (inside,) = free_ports(1)
    keys = ", ".join(f"{{{{key: sk-{user}, user: {user}}}}}" for user in USERS)
    with ExitStack() as stack:
        stack.enter_context(backend(shop))
        stack.enter_context(backend(other))
        config = CONFIG.format(keys=keys, shop=shop.url, next=other.url, inside=inside)
        mesh = stack.enter_context(running_mesh(tmp_path_factory.mktemp("curated"), config))
        yield Rig(mesh, inside, shop, other)


def test_a_tool_looks_and_is_called_as_it_is_declared(rig: Rig) -> None:
    caller = rig.caller("shaped")
    listed = {one["name"]: one for one in caller.ask("tools/list").result["tools"]}
    assert list(listed) == ["s__ticket", "s__slow"]
    ticket = listed["s__ticket"]
    assert (ticket["title"], ticket["description"]) == ("A ticket", "Open a ticket")
    assert ticket["annotations"] == {"destructiveHint": False, "openWorldHint": True}
    schema = ticket["inputSchema"]
    assert sorted(schema["properties"]) == ["priority", "subject"]
    assert schema["properties"]["priority"]["default"] == "normal"
    assert schema["required"] == ["subject"]
    assert json.loads(caller.call("s__ticket", subject="x").said) == {
        "queue": "support", "priority": "normal", "subject": "x",
    }  # fmt: skip
    assert rig.shop.called()[-1] == "create_ticket"
    assert "Unknown argument `note`" in caller.call("s__ticket", subject="x", note="y").error["message"]
    assert caller.call("s__create_ticket", subject="x").error["code"] == -32602


def test_prompts_and_resources_are_those_that_are_declared_and_apps_stay_apps(rig: Rig) -> None:
    caller = rig.caller("shaped")
    assert [one["name"] for one in caller.ask("prompts/list").result["prompts"]] == ["s__hello_you"]
    assert caller.ask("prompts/get", {"name": "s__hello_you"}).status == 200
    assert "error" in caller.ask("prompts/get", {"name": "s__other"}).last
    uris = [one["uri"] for one in caller.ask("resources/list").result["resources"]]
    assert uris == ["s+file:///open/a", "ui://s+shop/widget"]
    read = caller.ask("resources/read", {"uri": "ui://s+shop/widget"}).result
    assert read["contents"][0]["uri"] == "ui://s+shop/widget"
    assert rig.shop.called()[-1] == "ui://shop/widget"
    assert "error" in caller.ask("resources/read", {"uri": "s+file:///closed/b"}).last
    both = rig.caller("both").ask("tools/list").result["tools"]
    widget = next(one for one in both if one["name"] == "shop__widget")
    assert widget["_meta"]["ui"]["resourceUri"] == "ui://shop+shop/widget"
    assert rig.caller("both").ask("resources/read", {"uri": "ui://shop+shop/widget"}).status == 200


def test_instructions_of_several_servers_stand_under_their_names(rig: Rig) -> None:
    said = rig.caller("both").ask("server/discover").result["instructions"]
    assert said == "# shop\n\nSell things.\n\n# next\n\nLook ahead."
    old = Caller(rig.mesh.port, "sk-u0", "/mcp/both")
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "rig", "version": "1"}}
    begun = old.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    assert begun.result["instructions"] == said


def test_a_caller_stays_with_one_version_and_may_ask_for_any(rig: Rig) -> None:
    callers = [rig.caller("versioned", user) for user in USERS]
    assert callers[0].names() == ["search"]
    drawn = [caller.call("search").said.partition(":")[0] for caller in callers]
    assert set(drawn) == {"old", "new"}
    assert drawn == [caller.call("search").said.partition(":")[0] for caller in callers]
    assert callers[0].call("search@1").said.startswith("old")
    assert callers[0].call("search@2").said.startswith("new")
    assert callers[0].call("search@3").error == callers[0].call("nothing").error | {
        "message": callers[0].call("search@3").error["message"]
    }


def test_a_version_whose_server_is_down_takes_no_callers_down(rig: Rig) -> None:
    callers = [rig.caller("versioned", user) for user in USERS]
    before = [caller.call("search").said.partition(":")[0] for caller in callers]
    rig.other.fault = lambda _: reply(503)
    try:
        assert "error" in callers[0].call("search@2").last
        while_down = [caller.call("search").said.partition(":")[0] for caller in callers]
        assert set(while_down) == {"old"}
        assert "error" in callers[0].call("search@2").last, "who asks for it by name is told"
    finally:
        rig.other.fault = None
    eventually(lambda: [caller.call("search").said.partition(":")[0] for caller in callers] == before)


def test_a_tool_has_as_many_calls_and_as_much_time_as_is_declared(rig: Rig) -> None:
    release = threading.Event()

    def slow(_: Asked, message: Message) -> Message:
        release.wait(5)
        return text("done")

    rig.shop.handlers["tools/call slow"] = slow
    caller = rig.caller("shaped")
    got: list[Any] = []
    first = threading.Thread(target=lambda: got.append(caller.call("s__slow")))
    before = len(rig.shop.calls)
    first.start()
    eventually(lambda: len(rig.shop.calls) > before)
    assert "as many calls" in rig.caller("shaped", "u1").call("s__slow").error["message"]
    first.join()
    assert "did not answer in time" in got[0].error["message"]
    release.set()
    eventually(lambda: rig.caller("shaped", "u1").call("s__slow").last.get("result"))


async def test_tools_are_found_and_called_by_the_official_sdk(rig: Rig) -> None:
    headers = {"authorization": "Bearer sk-u5"}
    for mode in ("auto", "legacy"):
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{rig.mesh.port}/mcp/found", http_client=http)
            async with Client(transport, mode=mode, read_timeout_seconds=20, cache=None) as client:
                assert [one.name for one in (await client.list_tools()).tools] == ["find_tools", "call_tool"]
                found = await client.call_tool("find_tools", {"query": "search secrets tickets"})
                names = [one["name"] for one in found.structured_content["tools"]]
                assert set(names) == {"search", "create_ticket"}, "what is denied is not found"
                with pytest.raises(MCPError) as refused:
                    await client.call_tool("call_tool", {"name": "secret_search", "arguments": {}})
                assert "secret_search" in str(refused.value)
                if mode == "auto":
                    for _ in range(3):
                        said = await client.call_tool("call_tool", {"name": "search", "arguments": {"query": "q"}})
                        assert said.content[0].text == 'old: {"query": "q"}'
                with pytest.raises(MCPError, match="limit"):
                    await client.call_tool("call_tool", {"name": "search", "arguments": {"query": "q"}})
                with pytest.raises(MCPError, match="limit"):
                    await client.call_tool("search", {"query": "q"})


def test_a_server_is_served_where_it_is_declared_alone(rig: Rig) -> None:
    outside = rig.caller("inner").ask("tools/list")
    assert outside.status == 404
    inside = Caller(rig.inside, "sk-u0", "/mcp/inner")
    assert inside.names() == ["search", "echo"]
    assert Caller(rig.inside, "sk-u0", "/mcp/both").ask("tools/list").status == 200
