"""Many tools found by what they do: only what a caller may see, called by the same rules as by name."""

import json
from typing import Any

from tests.unit.backends.mcp.faking import FakeTarget
from tests.unit.dataplane.mcp.fronts import ALICE, BOB, Worker, worker
from tests.unit.dataplane.mcp.test_lists import Own

from heddle.dataplane.mcp.search import FindingTools
from heddle.model.snapshot_mcp import SearchSpec

TOOLS = [
    {"name": "alice_pay", "description": "Pays an invoice.", "inputSchema": {"type": "object"}},
    {"name": "alice_read", "description": "Reads a file.", "inputSchema": {"type": "object"}},
    {"name": "bob_pay", "description": "Pays an invoice of somebody else.", "inputSchema": {"type": "object"}},
]


def finding(replace: bool = True, limit: int = 8) -> tuple[Worker, FakeTarget]:
    target = FakeTarget(
        tools_list={"tools": TOOLS},
        tools_call=lambda request, _: {
            "content": [],
            "got": [request.name, json.loads(bytes(request.params["arguments"]))],
        },
    )
    one = worker(target, policies={"authorization": Own()})
    one.server.lists.search = FindingTools(SearchSpec(replace=replace, limit=limit), one.server.lists)
    return one, target


async def ask(one: Worker, name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return await one.ask("tools/call", name=name, arguments=arguments, **more)


async def test_lists_show_the_two_alone_or_first() -> None:
    for replace, shown in (
        (True, ["find_tools", "call_tool"]),
        (False, ["find_tools", "call_tool", "alice_pay", "alice_read"]),
    ):
        one, _ = finding(replace)
        assert [tool["name"] for tool in (await one.ask("tools/list"))["result"]["tools"]] == shown
        one.close()


async def test_only_what_a_caller_may_see_is_found() -> None:
    one, _ = finding()
    for principal, names in ((ALICE, ["alice_pay"]), (BOB, ["bob_pay"])):
        found = (await ask(one, "find_tools", {"query": "pay an invoice"}, principal=principal))["result"]
        assert [tool["name"] for tool in found["structuredContent"]["tools"]] == names
        assert json.loads(found["content"][0]["text"]) == found["structuredContent"]["tools"]
    nothing = (await ask(one, "find_tools", {"query": "zebra"}))["result"]["structuredContent"]
    assert nothing == {"tools": []}
    one.close()


async def test_calling_goes_the_way_of_every_call() -> None:
    one, target = finding()
    done = await ask(one, "call_tool", {"name": "alice_pay", "arguments": {"n": 1.5}})
    assert done["result"]["got"] == ["alice_pay", {"n": 1.5}]
    asked = len(target.asked)
    denied = await ask(one, "call_tool", {"name": "bob_pay", "arguments": {}})
    unknown = await ask(one, "call_tool", {"name": "bob_xxx", "arguments": {}})
    assert denied["error"]["message"].replace("pay", "xxx") == unknown["error"]["message"]
    for name in ("call_tool", "find_tools", "", 5, None, ["alice_pay"]):
        assert (await ask(one, "call_tool", {"name": name, "arguments": {}}))["error"]["code"] == -32602
    for arguments in (5, [1], "x"):
        assert (await ask(one, "call_tool", {"name": "alice_pay", "arguments": arguments}))["error"]["code"] == -32602
    assert len(target.asked) == asked
    one.close()


async def test_queries_are_bounded() -> None:
    one, _ = finding(limit=1)
    wrong: list[Any] = [None, {}, *({"query": query} for query in ("", " ", 5, "x" * 1_001))]
    wrong += [{"query": "pay", "limit": limit} for limit in (0, -1, True, "1", 1.5)]
    for arguments in wrong:
        assert (await ask(one, "find_tools", arguments))["error"]["code"] == -32602
    many = await ask(one, "find_tools", {"query": "pay read file invoice", "limit": 10**30})
    assert len(many["result"]["structuredContent"]["tools"]) == 1
    one.close()


async def test_the_search_of_a_caller_is_made_once() -> None:
    one, _ = finding()
    search: Any = one.server.lists.search
    for _ in range(3):
        await ask(one, "find_tools", {"query": "pay"})
    assert len(search._indexes) == 1
    one.close()
