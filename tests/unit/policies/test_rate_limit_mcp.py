"""Which limits count calls of tools, prompts and resources, and under whose name."""

from types import SimpleNamespace
from typing import Any

import pytest

from heddle.drivers.counters import CountersFullError
from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.call import ModelCall
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec, MatchSpec, Snapshot
from heddle.pipeline.errors import CallError, Reason
from heddle.policies import rate_limit
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.trace import fresh

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = Principal(tenant="dev", user="bob", agent="planner", key_id="key-b")


def requests(name: str = "calls", limit: int = 2, **fields: Any) -> LimitSpec:
    return LimitSpec(**{"name": name, "limit": limit, "window_s": 60, "limit_by": "requests", **fields})


def tool(name: str = "fs__read", stable: str = "files/read_file", **fields: Any) -> McpCall:
    target, _, own = stable.partition("/")
    base: dict[str, Any] = {"method": "tools/call", "server": "default", "version": "v", "kind": "tool"}
    return McpCall(**{**base, "name": name, "target": target, "target_name": own, **fields})


def prompt(name: str = "ask", **fields: Any) -> McpCall:
    return tool(name, f"files/{name}", **{"method": "prompts/get", "kind": "prompt", **fields})


def resource(uri: str = "file:///a", **fields: Any) -> McpCall:
    return tool(uri, f"files/{uri}", **{"method": "resources/read", "kind": "resource", **fields})


class World:
    """The policy on a fake clock, over counters in memory."""

    def __init__(self, *limits: LimitSpec, counters: Any = None) -> None:
        self.now = 1_700_000_000.0
        self.metrics = Metrics.in_memory()
        self.records: list[Any] = []
        tools = SimpleNamespace(
            clock=SimpleNamespace(now=lambda: self.now),
            metrics=self.metrics,
            counters=counters or MemoryCounters(),
            audit=self.records.append,
        )
        self.policy: Any = rate_limit.RateLimit(Snapshot(version="v", limits=limits), tools)

    async def ask(self, call: McpCall | ModelCall, who: Principal = ALICE) -> Any:
        """The exchange of a call that passes; CallError."""
        of_mcp = isinstance(call, McpCall)
        exchange: Any = SimpleNamespace(
            call=None if of_mcp else call,
            mcp=call if of_mcp else None,
            principal=who,
            finishers=[],
            usage=None,
            upstream_s=0.0,
            reason=None,
            cache="",
            policy="",
            limits_left=b"",
            source_address="192.0.2.7",
            trace=fresh(0.0),
        )
        wait = self.policy.check_mcp(exchange) if of_mcp else self.policy.check(exchange)
        if wait is not None:
            await wait
        return exchange

    async def admitted(self, call: McpCall | ModelCall, who: Principal = ALICE, most: int = 10) -> int:
        """How many of `most` calls pass."""
        for number in range(most):
            try:
                await self.ask(call, who)
            except CallError as error:
                assert error.reason is Reason.LIMITED  # noqa: PT017
                return number
        return most


def model(name: str = "gpt") -> ModelCall:
    return ModelCall(operation="chat", dialect="openai_chat", body=b"x", model=name, entry=name, upstream_model=name)


@pytest.mark.parametrize("call", [tool(), prompt(), resource()])
async def test_calls_are_counted(call: McpCall) -> None:
    assert await World(requests()).admitted(call) == 2
    assert await World(requests(), requests("more", 1)).admitted(call) == 1
    assert await World().admitted(call) == 10


@pytest.mark.parametrize(
    "method", ["tools/list", "prompts/list", "resources/subscribe", "initialize", "ping", "completion/complete"]
)
async def test_nothing_else_is(method: str) -> None:
    world = World(requests(limit=1))
    assert await world.admitted(McpCall(method=method, server="default", version="v")) == 10
    assert await world.admitted(tool()) == 1


@pytest.mark.parametrize(
    ("fields", "of_tools", "of_models"),
    [
        ({}, 2, 2),
        ({"key": ("user",)}, 2, 2),
        ({"key": ("model",)}, 10, 2),
        ({"match": MatchSpec(models=("*",))}, 10, 2),
        ({"key": ("server",)}, 2, 10),
        ({"key": ("tool",)}, 2, 10),
        ({"match": MatchSpec(servers=("*",))}, 2, 10),
        ({"match": MatchSpec(tools=("*",))}, 2, 10),
        ({"match": MatchSpec(targets=("*",))}, 2, 10),
        ({"limit_by": "tokens", "limit": 10**6}, 10, 10),
        ({"limit_by": "tokens", "limit": 1, "match": MatchSpec(tools=("*",))}, 10, 10),
        ({"match": MatchSpec(models=("*",), tools=("*",))}, 10, 10),
        ({"match": MatchSpec(models=("*",)), "key": ("tool",)}, 10, 10),
    ],
)
async def test_a_limit_counts_the_kinds_that_it_names(fields: dict[str, Any], of_tools: int, of_models: int) -> None:
    assert await World(requests(**fields)).admitted(tool()) == of_tools
    assert await World(requests(**fields)).admitted(model()) == of_models


async def test_one_that_names_no_kind_counts_both_together() -> None:
    world = World(requests(limit=3, key=("user",)))
    await world.ask(tool())
    await world.ask(model())
    await world.ask(tool("other", "mail/send"))
    assert await world.admitted(model()) == 0
    assert await world.admitted(tool(), BOB) == 3


@pytest.mark.parametrize("owned", [("key",), ()])
async def test_a_keys_own_limits_count_tools_too(owned: tuple[str, ...]) -> None:
    bound = Principal(key_id="k", limits=(requests(key=owned), requests("m", 1, key=("model",))))
    assert await World().admitted(tool(), bound) == 2
    by_tool = Principal(key_id="k", limits=(requests(key=("tool",)),))
    world = World()
    assert await world.admitted(model(), by_tool) == 10
    assert await world.admitted(tool(), by_tool) == 2


@pytest.mark.parametrize("pattern", ["fs__read", "fs__*", "*", "files/read_file", "files/*", "*read*"])
async def test_the_names_of_a_tool(pattern: str) -> None:
    limit = requests(match=MatchSpec(tools=(pattern,)))
    assert await World(limit).admitted(tool()) == 2
    assert await World(limit).admitted(prompt("fs__read")) == 10
    if pattern != "*":
        assert await World(limit).admitted(tool("mail", "mail/send")) == 10


async def test_servers_and_targets() -> None:
    world = World(requests(match=MatchSpec(servers=("default",), targets=("fi*",))))
    assert await world.admitted(tool(server="other")) == 10
    assert await world.admitted(tool("mail", "mail/send")) == 10
    assert await world.admitted(resource()) == 2


async def test_each_tool_and_caller_has_its_own_count() -> None:
    world = World(requests(match=MatchSpec(tools=("fs__*",)), key=("user", "tool")))
    for who in (ALICE, BOB):
        assert await world.admitted(tool(), who) == 2
        assert await world.admitted(tool("fs__list", "files/list"), who) == 2
        assert await world.admitted(tool("time__now", "time/now"), who) == 10


async def test_a_rename_and_a_second_server_give_no_fresh_count() -> None:
    world = World(requests(key=("user", "tool")))
    assert await world.admitted(tool()) == 2
    for again in (tool("renamed"), tool(server="other"), tool("fs__read@2")):
        assert await world.admitted(again) == 0
    by_server = World(requests(key=("server",)))
    assert await by_server.admitted(tool()) == 2
    assert await by_server.admitted(tool("time", "time/now")) == 0
    assert await by_server.admitted(tool(server="other")) == 2


async def test_a_version_does_not_lead_around_a_limit() -> None:
    world = World(requests(match=MatchSpec(tools=("find",))))
    assert await world.admitted(tool("find", "files/find")) == 2
    assert await world.admitted(tool("find@2", "files/find")) == 0


async def test_inventing_uris_gives_no_fresh_count() -> None:
    world = World(requests(key=("user", "tool")))
    assert [await world.admitted(resource(f"file:///{number}"), most=1) for number in range(4)] == [1, 1, 0, 0]
    assert await world.admitted(prompt()) == 2
    assert await world.admitted(tool("resource:files", "files/x")) == 2


async def test_a_refusal_says_when_to_come_again() -> None:
    world = World(requests("tools-per-user", 1, match=MatchSpec(tools=("*",)), key=("user",)))
    passed = await world.ask(tool())
    assert b"x-ratelimit-remaining-requests: 0\r\n" in passed.limits_left
    with pytest.raises(CallError) as caught:
        await world.ask(tool())
    assert caught.value.reason is Reason.LIMITED
    assert dict(caught.value.headers)[b"retry-after"] == b"40"
    assert "tools-per-user" in caught.value.detail
    (record,) = world.records
    assert (record.kind, record.resource, record.entry) == ("limit", "tool:fs__read", "default:files/read_file")
    assert world.metrics.counter(names.LIMIT_REFUSALS, limit="tools-per-user").value == 1
    world.now += 40
    assert await world.admitted(tool()) == 1


async def test_a_refused_call_counts_for_no_limit() -> None:
    world = World(requests("wide", 5), requests("narrow", 1, key=("tool",)))
    await world.ask(tool())
    for _ in range(20):
        with pytest.raises(CallError):
            await world.ask(tool())
    assert await world.admitted(tool("b", "files/b")) == 1
    assert b"remaining-requests: 0\r\n" in (await world.ask(tool("c", "files/c"))).limits_left


async def test_counters_that_fail_admit_nothing() -> None:
    class Full:
        def try_add(self, *_: Any) -> int:
            return -1

        async def reserve(self, *_: Any) -> Any:
            raise CountersFullError

    with pytest.raises(CallError) as caught:
        await World(requests(), counters=Full()).ask(tool())
    assert caught.value.reason is Reason.OVERLOADED


async def test_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "RECENT", 50)
    world = World(requests(limit=10**6))
    for number in range(200):
        await world.ask(tool(f"t{number}"))
    assert len(world.policy._latest_mcp) <= 50
    before = len(world.policy._latest_mcp)
    await world.ask(tool("t" * 300))
    assert len(world.policy._latest_mcp) == before


async def test_a_principal_that_took_anothers_place_is_told_apart() -> None:
    world = World(requests(limit=1, key=("user",)))
    for number in range(50):
        # Freed at once, so that later ones get the same identity.
        assert await world.admitted(tool(), Principal(user=f"u{number}"), most=2) == 1
