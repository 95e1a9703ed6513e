"""What is known of a target: read when needed, kept while it is away, read again without anybody asking."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.backends.mcp.faking import FakeTarget, Time, fake_tools, upstream

from heddle.backends.mcp import upstream as module
from heddle.backends.mcp.contract import Caller, TargetRequest
from heddle.backends.mcp.upstream import Upstream
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import McpHealthSpec, McpTimeoutSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.jsonrpc import RpcError

DOWN = CallError(Reason.UPSTREAM_UNREACHABLE, "The tool server `t` could not be reached.")
PING = TargetRequest(method="ping", params={})


@pytest.fixture
def made() -> Iterator[list[Upstream]]:
    """Those of a test; closed at its end."""
    found: list[Upstream] = []
    yield found
    for one in found:
        one.close()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", (0.01, 0.02))


def names(catalogue: Any) -> list[str]:
    assert catalogue is not None
    return list(catalogue.of("tool"))


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - many things are waited for
            await asyncio.sleep(0.005)


async def test_lists_are_read_once_and_again_when_they_are_old(made: list[Upstream]) -> None:
    time, target = Time(), FakeTarget()
    one = upstream(target, fake_tools(time), refresh_s=60.0)
    made.append(one)
    assert one.known() is None
    assert names(await one.catalogue(Caller())) == ["echo"]
    generation = one.generation
    await one.catalogue(Caller())
    assert [request.method for request in target.asked] == ["tools/list"]
    time.now_s += 61
    assert one.known() is None
    assert names(await one.catalogue(Caller())) == ["echo"]  # the old one, while the new one is read
    await until(lambda: one.known() is not None)
    assert [request.method for request in target.asked] == ["tools/list"] * 2
    assert one.generation == generation, "what did not change is no change"


async def test_a_target_that_is_away_keeps_its_lists(made: list[Upstream]) -> None:
    time, target = Time(), FakeTarget()
    one = upstream(target, fake_tools(time), refresh_s=60.0)
    made.append(one)
    await one.catalogue(Caller())
    time.now_s += 61
    target.down = DOWN
    for _ in range(3):
        assert names(await one.catalogue(Caller())) == ["echo"]
        await asyncio.sleep(0.01)


async def test_a_target_that_was_down_is_read_again_without_being_asked_for_and_callers_are_told(
    made: list[Upstream],
) -> None:
    target = FakeTarget()
    target.down = DOWN
    one = upstream(target)
    made.append(one)
    told: list[str] = []
    one.changed = lambda _, what: told.append(what)
    assert await one.catalogue(Caller()) is None
    assert told == []
    target.down = None
    await until(lambda: one.generation == 1)
    assert sorted(told) == ["prompts", "resources", "tools"]
    assert names(await one.catalogue(Caller())) == ["echo"]


async def test_nobody_waits_twice_for_a_target_that_hangs(made: list[Upstream]) -> None:
    target = FakeTarget()
    target.hang = asyncio.Event()
    one = upstream(target, timeouts=McpTimeoutSpec(list_s=0.2))
    made.append(one)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    assert await one.catalogue(Caller()) is None
    assert loop.time() - begun_s >= 0.19
    await asyncio.sleep(0.05)  # it is being read again now
    for _ in range(3):
        begun_s = loop.time()
        assert await one.catalogue(Caller()) is None
        assert loop.time() - begun_s < 0.1
    target.hang.set()
    await until(lambda: one.known() is not None)


@pytest.mark.parametrize(
    "answer",
    [
        {"tools": 5},
        {"tools": [5, None, {"name": 5}, {"name": ""}, {}]},
        b'{"tools":[{"name":"a","x":"\\ud800"}]}',
        b'{"tools":[{"name":"a","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}]}",
        b'{"tools":[],"ttlMs":-1e300}',
        b'{"tools":[],"ttlMs":"x"}',
        b'{"tools":[],"nextCursor":"again"}',
        ValueError("what no target should raise"),
    ],
    ids=repr,
)
async def test_whatever_a_target_lists_it_is_only_its_own_failure(made: list[Upstream], answer: Any) -> None:
    target = FakeTarget(tools_list=answer)
    one = upstream(target)
    made.append(one)
    found = await one.catalogue(Caller())
    assert found is None or list(found.of("tool")) == []
    target.answers["tools/list"] = {"tools": [{"name": "echo"}]}
    if found is None:
        await until(lambda: one.known() is not None)
        assert names(await one.catalogue(Caller())) == ["echo"]


@pytest.mark.parametrize(("told_s", "kept_s"), [(0.001, 1.0), (1e12, 86_400.0), (30.0, 30.0)])
async def test_how_long_lists_are_kept_is_not_wholly_the_targets_word(
    made: list[Upstream], told_s: float, kept_s: float
) -> None:
    time, target = Time(), FakeTarget()
    target.ttl_s = told_s
    one = upstream(target, fake_tools(time))
    made.append(one)
    await one.catalogue(Caller())
    time.now_s += kept_s * 0.99
    assert one.known() is not None
    time.now_s += kept_s * 0.02
    assert one.known() is None


async def test_callers_with_their_own_lists_are_kept_apart_and_are_not_kept_without_end(
    made: list[Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(_: TargetRequest, caller: Caller) -> dict[str, Any]:
        return {"tools": [{"name": f"of_{caller.principal.user or 'nobody'}"}]}

    monkeypatch.setattr(module, "MAX_SHELVES", 3)
    one = upstream(FakeTarget(tools_list=listed), per_caller=True)
    made.append(one)
    for user in ("alice", "bob", "carol", "dave"):
        caller = Caller()
        caller.principal = Principal(user=user, method="api_key")
        assert names(await one.catalogue(caller, user)) == [f"of_{user}"]
    assert len(one._shelves) == 3


async def test_no_more_calls_than_may_be_are_under_way_and_each_gives_its_place_back(made: list[Upstream]) -> None:
    target = FakeTarget()
    one = upstream(target, max_concurrent=1)
    made.append(one)
    target.hang = asyncio.Event()
    first = asyncio.ensure_future(one.call(PING, Caller()))
    await asyncio.sleep(0)
    with pytest.raises(CallError) as refused:
        await one.call(PING, Caller())
    assert refused.value.reason is Reason.OVERLOADED
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    target.hang = None
    for failure in (RpcError(-1, "no"), DOWN, None):
        target.down = failure
        if failure is None:
            assert await one.call(PING, Caller()) == b"{}"
        else:
            with pytest.raises(type(failure)):
                await one.call(PING, Caller())


async def test_health_follows_failures_in_a_row_and_an_answer_that_is_an_error_is_an_answer(
    made: list[Upstream],
) -> None:
    target = FakeTarget()
    one = upstream(target, health=McpHealthSpec(interval_s=0.01, timeout_s=0.5, unhealthy_after=3))
    made.append(one)
    target.down = RpcError(-32000, "busy")
    for _ in range(5):
        with pytest.raises(RpcError):
            await one.call(PING, Caller())
    assert one.healthy
    target.down = DOWN
    for count in range(1, 4):
        with pytest.raises(CallError):
            await one.call(PING, Caller())
        assert one.healthy == (count < 3)
    target.down = ValueError("an answer that nobody expected")
    await asyncio.sleep(0.05)
    assert not one.healthy
    target.down = None
    await until(lambda: one.healthy)


async def test_once_closed_nothing_is_begun_any_more(made: list[Upstream]) -> None:
    target = FakeTarget(capabilities={"tools": {"listChanged": True}})
    one = upstream(target)
    one.close()
    assert target.closed
    assert names(await one.catalogue(Caller())) == ["echo"]  # a call that began before may still ask
    await asyncio.sleep(0.02)
    assert target.hearing == []
    assert one._tasks == set()
    target.down = DOWN
    one.invalidate("tools")
    await asyncio.sleep(0.05)
    assert one._tasks == set()


async def test_a_change_that_the_target_tells_of_is_read_before_anybody_is_told(made: list[Upstream]) -> None:
    target = FakeTarget(capabilities={"tools": {"listChanged": True}})
    one = upstream(target)
    made.append(one)
    told: list[Any] = []
    one.changed = lambda changed, what: told.append((what, names(changed.known())))
    await one.catalogue(Caller())
    await until(lambda: target.hearing)
    target.answers["tools/list"] = {"tools": [{"name": "other"}]}
    target.hearing[0]("notifications/tools/list_changed", {})
    target.hearing[0]("notifications/nonsense", {})
    await until(lambda: told)
    assert told == [("tools", ["other"])]
