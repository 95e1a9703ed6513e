"""Limits and budgets of a credential's own: counted by its key, beside those of the configuration."""

import pytest
from tests.unit.policies.budget.world import World as Spending
from tests.unit.policies.budget.world import tokens, usd
from tests.unit.policies.test_rate_limit import World

from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.principal import Principal
from heddle.model.snapshot import ApiKeyAuthn, LimitSpec, Snapshot
from heddle.pipeline.errors import CallError, Reason
from heddle.policies import budget, rate_limit


def limit(number: int, name: str = "key:requests/1m") -> LimitSpec:
    return LimitSpec(name=name, limit=number, window_s=60, limit_by="requests", key=("key",))


def caller(key_id: str, **fields: object) -> Principal:
    return Principal(tenant="dev", user="alice", agent="planner", key_id=key_id, **fields)  # type: ignore[arg-type]


def virtual_only() -> Snapshot:
    return Snapshot(version="v", authentication=(ApiKeyAuthn(virtual=True),))


async def test_a_key_is_held_to_its_own_limit_and_others_are_not():
    world = World(LimitSpec(name="all", limit=100, window_s=60, limit_by="requests"))
    small, large = caller("key-a", limits=(limit(2),)), caller("key-b", limits=(limit(3),))
    exchange = await world.start(small)
    assert (b"x-ratelimit-remaining-requests", b"1") in exchange.reply.headers, "the tightest is told"
    await world.start(small)
    with pytest.raises(CallError) as refused:
        await world.start(small)
    assert refused.value.reason is Reason.LIMITED
    assert "'key:requests/1m' of 2 requests" in refused.value.detail
    await world.start(large)
    await world.start(caller("key-c"))


async def test_a_changed_number_goes_on_counting_where_it_was():
    world = World(LimitSpec(name="all", limit=100, window_s=60, limit_by="requests"))
    for _ in range(2):
        await world.start(caller("key-a", limits=(limit(2),)))
    with pytest.raises(CallError):
        await world.start(caller("key-a", limits=(limit(2),)))
    await world.start(caller("key-a", limits=(limit(3),)))
    with pytest.raises(CallError):
        await world.start(caller("key-a", limits=(limit(3),)))


async def test_both_hold_the_configured_and_its_own():
    world = World(LimitSpec(name="all", limit=3, window_s=60, limit_by="requests"))
    for name in ("key-a", "key-b", "key-c"):
        await world.start(caller(name, limits=(limit(5),)))
    with pytest.raises(CallError) as refused:
        await world.start(caller("key-d", limits=(limit(5),)))
    assert "'all'" in refused.value.detail


def test_the_policies_stand_where_a_key_could_bring_limits():
    world = Spending(usd(1))
    assert rate_limit.build(virtual_only(), world.tools) is not None
    assert budget.build(virtual_only(), world.tools) is not None
    bare = Snapshot(version="v", authentication=(ApiKeyAuthn(),))
    assert rate_limit.build(bare, world.tools) is None
    assert budget.build(bare, world.tools) is None


async def test_a_key_is_held_to_its_own_budget():
    world = Spending(usd(1_000_000, "all"))
    own = (usd(30, "key:usd/month", key=("key",)), tokens(1_000, "key:tokens/24h", key=("key",)))
    small = caller("key-a", budgets=own)
    await world.spend((30, 0), small)
    error = await world.refused(small, size=1, max_output_tokens=0)
    assert error.reason is Reason.BUDGET_EXCEEDED
    assert "'key:usd/month' of $30.00" in error.detail
    await world.spend((30, 0), caller("key-b", budgets=own))
    await world.spend((30, 0), caller("key-c"))


async def test_budgets_of_keys_hold_where_nothing_else_is_declared():
    world = Spending(usd(1), counters=MemoryCounters())
    snapshot = Snapshot(version="v", authentication=(ApiKeyAuthn(virtual=True),))
    world.handler = budget.build(snapshot, world.tools).wrap(world._answer)  # type: ignore[union-attr]
    small = caller("key-a", budgets=(tokens(10, "key:tokens/24h", key=("key",)),))
    await world.spend((10, 0), small)
    await world.refused(small, size=1, max_output_tokens=0)
    await world.spend((10, 0), caller("key-b"))
    assert world.answered == 2
