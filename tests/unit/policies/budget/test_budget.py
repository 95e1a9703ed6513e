"""What is reserved of a budget, what is settled, and what a refused caller is told."""

import pytest
from tests.unit.policies.budget.world import ALICE, BOB, EVE, NANO, World, tokens, usd

from heddle import plugins
from heddle.drivers.counters import CountersFullError
from heddle.model.call import Target, Usage
from heddle.model.snapshot import ModelSpec, Snapshot
from heddle.model.snapshot_budgets import WindowSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Phase, compile_route
from heddle.policies.budget import build
from heddle.policies.budget.telling import shown
from heddle.telemetry import names


async def test_what_is_left_is_what_was_not_spent():
    world = World(usd(100))
    await world.spend((10, 10))  # 10 + 20 dollars
    await world.spend((50, 10))
    error = await world.refused(size=1, max_output_tokens=0)
    assert error.reason is Reason.BUDGET_EXCEEDED
    assert error.answer.status == 429
    assert error.answer.code == "budget_exceeded"
    assert "'money' of $100.00" in error.detail


async def test_the_bound_is_held_until_the_call_ends():
    world = World(usd(100))
    first = await world.start(size=10, max_output_tokens=40)  # at most 90
    error = await world.refused(size=10, max_output_tokens=5)
    assert dict(error.headers) == {b"retry-after": b"1"}, "it may fit when the first has ended"
    world.finish(first, (10, 5))
    await world.start(size=10, max_output_tokens=5)


async def test_a_spent_budget_is_not_worth_repeating_before_it_begins_anew():
    world = World(usd(10))
    await world.spend((10, 0))
    error = await world.refused(size=1, max_output_tokens=0)
    headers = dict(error.headers)
    assert headers[b"x-should-retry"] == b"false"
    left_s = 86_400 - 1_700_000_000 % 86_400
    assert abs(int(headers[b"retry-after"]) - left_s) <= 1
    world.now += left_s
    await world.start(size=1, max_output_tokens=0)


async def test_a_call_that_can_never_fit_is_told_so():
    world = World(usd(10))
    error = await world.refused(size=11, max_output_tokens=0)
    assert dict(error.headers) == {b"x-should-retry": b"false"}
    assert "more than budget 'money' of $10.00 ever has" in error.detail


async def test_all_balances_have_room_or_none_holds_anything():
    world = World(usd(100, "team", key=("tenant",)), usd(30, "user", key=("tenant", "user")))
    await world.spend((30, 0))
    error = await world.refused(size=1, max_output_tokens=0)
    assert "'user'" in error.detail
    await world.spend((30, 0), BOB)
    await world.refused(BOB, size=1, max_output_tokens=0)
    # The team has spent 60 of 100, although both were refused more than once.
    carol = type(ALICE)(tenant="dev", user="carol", agent="planner")
    await world.spend((30, 0), carol)
    dave = type(ALICE)(tenant="dev", user="dave", agent="planner")
    error = await world.refused(dave, size=11, max_output_tokens=0)
    assert "'team'" in error.detail
    await world.spend((10, 0), dave)
    await world.spend((30, 0), EVE)


@pytest.mark.parametrize("part", ["tenant", "user", "agent", "key", "model"])
async def test_each_part_of_the_key_has_a_balance_of_its_own(part: str):
    world = World(tokens(10, key=(part,)))
    await world.spend((10, 0))
    await world.refused(size=1, max_output_tokens=0)
    if part == "model":
        await world.start(model="other", size=10, max_output_tokens=0)
    else:
        await world.start(EVE, size=10, max_output_tokens=0)


async def test_sessions_have_balances_and_are_their_callers_own():
    world = World(tokens(10, key=("session",)))
    mine = {"headers": {b"x-heddle-session": b"s1"}, "size": 10, "max_output_tokens": 0}
    await world.spend((10, 0), headers={b"x-heddle-session": b"s1"})
    await world.refused(**mine)
    await world.start(EVE, **mine)
    await world.start(**{**mine, "headers": {b"session-id": b"s2"}})
    await world.start(size=10, max_output_tokens=0)
    await world.refused(size=10, max_output_tokens=0)


async def test_matching_is_by_any_name_of_the_model():
    world = World(tokens(10, match=MatchSpec(models=("up",), tenants=("dev",))))
    await world.refused(model="alias", upstream_model="up", size=11, max_output_tokens=0)
    await world.start(model="alias", upstream_model="else", size=11, max_output_tokens=0)
    await world.start(EVE, model="alias", upstream_model="up", size=11, max_output_tokens=0)


async def test_nothing_is_counted_of_what_was_not_charged():
    world = World(usd(100))
    for fields in ({"upstream_s": 0.0}, {"reason": Reason.UPSTREAM_ERROR}, {"reason": Reason.UPSTREAM_UNREACHABLE}):
        world.finish(await world.start(size=100, max_output_tokens=0), None, **fields)
    await world.start(size=99, max_output_tokens=0)


async def test_what_may_have_been_charged_is_taken_for_used_and_marked():
    world = World(usd(100))
    exchange = await world.start(size=40, max_output_tokens=10)
    world.finish(exchange, None, reason=Reason.UPSTREAM_TIMEOUT)
    assert exchange.usage == Usage(input_tokens=40, output_tokens=10, estimated=True)
    assert exchange.cost_usd == 60.0
    await world.refused(size=40, max_output_tokens=1)
    await world.start(size=38, max_output_tokens=0)


async def test_an_unknown_price_is_refused_or_a_marked_zero():
    world = World(usd(100))
    error = await world.refused(model="mystery", size=1, max_output_tokens=0)
    assert error.reason is Reason.PRICE_UNKNOWN
    assert error.answer.status == 403
    world = World(usd(100, on_unknown_price="zero"))
    exchange = await world.start(model="mystery", size=1000, max_output_tokens=0)
    world.finish(exchange, (1000, 0))
    assert exchange.cost_usd is None, "which is how the ledger marks it"
    await world.spend((99, 0))


async def test_tokens_need_no_price():
    world = World(tokens(10))
    await world.spend((10, 0), model="mystery")


async def test_the_dearest_target_counts():
    world = World(usd(100, on_unknown_price="zero"))
    targets = (Target(provider="p", model="gpt"), Target(provider="q", model="gpt"))
    await world.start(size=10, max_output_tokens=0, targets=targets)
    error = await World(usd(100)).refused(size=10, max_output_tokens=0, targets=targets)
    assert error.reason is Reason.PRICE_UNKNOWN, "a target without a price might be the one that answers"


async def test_without_a_bound_a_call_starts_with_what_is_left():
    world = World(tokens(100))
    exchange = await world.start(size=10)
    error = await world.refused(size=10)
    assert dict(error.headers) == {b"retry-after": b"1"}
    world.finish(exchange, (10, 20))
    await world.start(size=10)


async def test_a_model_that_says_how_much_it_can_say_is_held_to_it():
    world = World(tokens(100), models=(ModelSpec(name="gpt", provider="p", max_output_tokens=40),))
    await world.start(size=10, choices=2)
    await world.refused(size=10, max_output_tokens=1)


async def test_estimates_are_learned():
    world = World(tokens(10_000, reserve="estimate"))
    for _ in range(30):
        world.finish(await world.start(size=100, max_output_tokens=400), (25, 10))
    held = [await world.start(size=100, max_output_tokens=400) for _ in range(50)]
    assert len(held) == 50, "each would hold 500 by its bound"


async def test_counting_what_is_not_generation_is_free():
    world = World(tokens(1))
    await world.start(operation="count_tokens", size=1000)
    exchange = world.exchange()
    exchange.call = None
    await world.handler(exchange)


async def test_embeddings_have_no_output():
    world = World(usd(10))
    await world.start(operation="embeddings", size=9)
    await world.refused(operation="embeddings", size=2)


async def test_counters_that_cannot_be_asked_refuse():
    class Broken:
        async def reserve(self, charges: object, now_s: float) -> None:
            raise CountersFullError

    error = await World(usd(10), counters=Broken()).refused()
    assert error.reason is Reason.OVERLOADED


async def test_a_refusal_is_counted_and_audited():
    world = World(usd(1))
    exchange = world.exchange(size=5, max_output_tokens=0)
    with pytest.raises(CallError):
        await world.handler(exchange)
    assert exchange.policy == "money"
    (record,) = world.records
    assert (record.kind, record.outcome, record.policy, record.principal) == ("budget", "deny", "money", ALICE)
    assert world.metrics.counter(names.BUDGET_REFUSALS, budget="money").value == 1


async def test_calendar_months_begin_with_their_zone():
    month = WindowSpec(kind="calendar", period="month", zone="Europe/Berlin")
    world = World(tokens(10, window=month))
    world.now = 1_701_385_199.0  # 2023-11-30 23:59:59 +01:00
    await world.spend((10, 0))
    await world.refused(size=1, max_output_tokens=0)
    world.now += 1
    await world.spend((10, 0))


async def test_a_sliding_window_forgets_late_and_never_early():
    world = World(tokens(10, window=WindowSpec(kind="sliding", length_s=1200)))
    spent_at = world.now
    await world.spend((10, 0))
    while world.now < spent_at + 1200:
        await world.refused(size=1, max_output_tokens=0)
        world.now += 50
    world.now = spent_at + 1300
    await world.spend((10, 0))


def test_it_stands_within_rate_limits():
    assert plugins.names("policies").index("rate_limiting") < plugins.names("policies").index("spending")
    policy = World(usd()).policy
    assert policy.phase is Phase.LIMIT
    order: list[str] = []

    class Named:
        phase = Phase.LIMIT

        def __init__(self, name: str) -> None:
            self.name = name

        def wrap(self, handler: object) -> object:
            order.append(self.name)
            return handler

    compile_route([Named("rate_limiting"), Named("spending")], lambda: None)  # type: ignore[arg-type]
    assert order == ["spending", "rate_limiting"], "wrapped from the inside out"


def test_no_budgets_no_policy():
    world = World(usd())
    assert build(Snapshot(version="v"), world.tools) is None
    assert world.policy.permits(None, None)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(NANO, "$1.00"), (1_234_567_890, "$1.23"), (1_500, "$0.000002"), (250_000_000, "$0.25"), (0, "$0")],
)
def test_amounts_read_well(amount: int, text: str):
    assert shown(amount, "usd") == text
    assert shown(7, "tokens") == "7 tokens"
