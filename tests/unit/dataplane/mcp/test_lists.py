"""Lists as callers see them: whole, in pages, each their own, and not kept without end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backends.mcp.faking import FakeTarget
from tests.unit.dataplane.mcp.fronts import ALICE, BOB, Worker, worker

from heddle.dataplane.mcp import lists as module
from heddle.dataplane.mcp.lists import _first
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import RpcError


class Own:
    """Lets each caller see and call the tools that begin with its name; the number of questions is counted."""

    def __init__(self) -> None:
        self.asked = 0

    def check_mcp(self, exchange: Exchange) -> None:
        call = exchange.mcp
        if call is not None and call.name and not self.permits_mcp(exchange, call):
            raise CallError(Reason.FORBIDDEN, "no")

    def permits_mcp(self, exchange: Exchange, call: McpCall) -> bool:
        self.asked += 1
        return not call.name or call.name.startswith(exchange.principal.user)


def many(count: int, *prefixes: str) -> FakeTarget:
    tools = [{"name": f"{prefix}_{number:05}", "inputSchema": {}} for number in range(count) for prefix in prefixes]
    return FakeTarget(tools_list={"tools": tools})


async def pages(one: Worker, principal: Principal = ALICE) -> list[list[str]]:
    """Names, page by page."""
    found: list[list[str]] = []
    cursor: dict[str, Any] = {}
    while True:
        result = (await one.ask("tools/list", principal=principal, **cursor))["result"]
        found.append([tool["name"] for tool in result["tools"]])
        if "nextCursor" not in result:
            return found
        cursor = {"cursor": result["nextCursor"]}


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (1_000, [1_000]), (1_001, [1_000, 1]), (2_000, [1_000] * 2)]
)
async def test_pages_are_together_the_whole_list(count: int, sizes: list[int]) -> None:
    one = worker(many(count, "alice"))
    found = await pages(one)
    assert [len(page) for page in found] == sizes
    assert [name for page in found for name in page] == [f"alice_{n:05}" for n in range(count)]
    one.close()


async def test_each_caller_sees_its_own_and_what_it_does_not_see_it_cannot_call() -> None:
    own = Own()
    one = worker(many(3, "alice", "bob"), policies={"authorization": own})
    for principal in (ALICE, BOB, ALICE):
        (names,) = await pages(one, principal)
        assert names == [f"{principal.user}_{n:05}" for n in range(3)]
    asked = own.asked
    await pages(one)
    assert own.asked == asked, "the same caller's list is not judged anew"
    refused = await one.ask("tools/call", name="bob_00000")
    unknown = await one.ask("tools/call", name="bob_99999")
    assert refused["error"]["message"].replace("00000", "99999") == unknown["error"]["message"]
    one.close()


async def test_pages_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WRITTEN_BYTES", 2_000)
    monkeypatch.setattr(module, "MAX_SHOWN", 50)
    one = worker(many(10, "x"))
    for number in range(200):
        await pages(one, Principal(user=f"u{number}", method="api_key"))
        kept = [page for shown in one.server.lists._shown.values() for page in shown.pages.values()]
        assert sum(map(len, kept)) <= 2_000
        assert len(one.server.lists._shown) <= 50
    one.close()


@given(
    st.none()
    | st.integers()
    | st.text(max_size=12)
    | st.lists(st.integers(), max_size=1)
    | st.sampled_from(["h1000", "h2000", "h0"])
)
def test_a_cursor_is_one_that_was_given_or_refused(cursor: Any) -> None:
    try:
        first = _first(cursor, 1_500)
    except RpcError:
        assert cursor is not None
        return
    assert first in (0, 1_000, 1_500)


async def test_a_list_that_became_shorter_ends_there() -> None:
    one = worker(many(5, "x"))
    assert (await one.ask("tools/list", cursor="h1000"))["result"]["tools"] == []
    for cursor in ("", "h", "h5", "h-1000", "x1000", "h٣", "h1000 "):
        assert (await one.ask("tools/list", cursor=cursor))["error"]["code"] == -32602
    one.close()
