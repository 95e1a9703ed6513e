"""Which limits apply, what they hold, and what the caller is told."""

from contextlib import suppress
from types import SimpleNamespace

import pytest

from heddle.drivers.counters import CountersFullError
from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.call import ModelCall, Usage
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec, MatchSpec, ModelSpec, Snapshot
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Phase, compile_route
from heddle.policies import rate_limit
from heddle.policies.rate_limit import build
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.trace import fresh
from heddle.traffic import limits
from heddle.traffic.limits import duration, window_text

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = Principal(tenant="dev", user="bob", agent="planner", key_id="key-b")
EVE = Principal(tenant="ops", user="eve", agent="scout", key_id="key-e")


class World:
    """A policy on a fake clock, over counters in memory."""

    def __init__(self, *limits: LimitSpec, models: tuple[ModelSpec, ...] = (), counters: object = None) -> None:
        self.now = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC, a Tuesday
        self.metrics = Metrics.in_memory()
        self.limits, self.models = limits, models
        tools = SimpleNamespace(
            clock=SimpleNamespace(now=lambda: self.now),
            metrics=self.metrics,
            counters=counters or MemoryCounters(),
            audit=lambda record: self.records.append(record),
        )
        self.policy = build(Snapshot(version="v", limits=limits, models=models), tools)
        self.handler = compile_route([self.policy], self._answer)
        self.answered = 0
        self.records: list[AuditRecord] = []
        self.status, self.provider_headers = 200, [(b"content-type", b"application/json")]
        self.fail: CallError | None = None

    async def _answer(self, exchange: object) -> Reply:
        self.answered += 1
        if self.fail is not None:
            raise self.fail
        return Reply(self.status, list(self.provider_headers))

    def exchange(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> SimpleNamespace:
        entry, upstream = str(fields.pop("entry", model)), str(fields.pop("upstream", model))
        size = int(fields.pop("size", 100))
        call = ModelCall(
            operation=str(fields.pop("operation", "chat")),
            dialect="openai_chat",
            model=model,
            body=b"x" * size,
            entry=entry,
            upstream_model=upstream,
            **fields,
        )
        return SimpleNamespace(
            call=call,
            principal=principal,
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

    async def start(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> SimpleNamespace:
        exchange = self.exchange(principal, model, **fields)
        exchange.reply = await self.handler(exchange)
        told = [line.split(b": ") for line in exchange.limits_left.splitlines()]
        exchange.reply.headers += [(name, value) for name, value in told]
        return exchange

    @staticmethod
    def finish(exchange: SimpleNamespace, usage: Usage | None = None, **fields: object) -> None:
        exchange.usage = usage
        for name, value in fields.items():
            setattr(exchange, name, value)
        for finisher in exchange.finishers[::-1]:
            finisher(exchange)

    async def refused(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> CallError:
        before = self.answered
        with pytest.raises(CallError) as caught:
            await self.start(principal, model, **fields)
        assert self.answered == before
        return caught.value

    async def left(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> int:
        """Tokens left beside the call that asks (of one byte and no output), which is given back."""
        exchange = await self.start(principal, model, size=1, max_output_tokens=0, **fields)
        self.finish(exchange)
        return int(dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"]) + 1


def requests(limit: int = 2, window_s: int = 60, **fields: object) -> LimitSpec:
    return LimitSpec(**{"name": "calls", "limit": limit, "window_s": window_s, "limit_by": "requests", **fields})


def tokens(limit: int = 1000, window_s: int = 3600, **fields: object) -> LimitSpec:
    return LimitSpec(**{"name": "spend", "limit": limit, "window_s": window_s, "limit_by": "tokens", **fields})


def used(total: int) -> Usage:
    return Usage(input_tokens=total // 2, output_tokens=total - total // 2)


def test_without_limits_there_is_no_policy() -> None:
    assert build(Snapshot(version="v"), SimpleNamespace()) is None


def test_it_stands_between_authorization_and_guards() -> None:
    assert World(requests()).policy.phase is Phase.LIMIT


async def test_what_is_not_a_call_to_a_model_passes() -> None:
    world = World(requests(0))
    exchange = SimpleNamespace(call=None, principal=ALICE, finishers=[])
    assert (await world.handler(exchange)).status == 200


async def test_requests_are_counted_and_the_refusal_says_all() -> None:
    world = World(requests(2))
    await world.start()
    await world.start()
    error = await world.refused()
    assert error.reason is Reason.LIMITED
    assert error.detail == "Refused by limit 'calls' of 2 requests per 1m: 0 left; it resets in 40s."
    assert error.headers == [
        (b"x-ratelimit-limit-requests", b"2"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"40s"),
        (b"retry-after", b"40"),
    ]
    assert world.metrics.counter(names.LIMIT_REFUSALS, limit="calls").value == 1


async def test_the_refusing_limit_is_on_record() -> None:
    world = World(requests(0))
    exchange = world.exchange()
    with pytest.raises(CallError):
        await world.handler(exchange)
    assert exchange.policy == "calls"


async def test_what_is_told_of_a_window_is_worded_once_for_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    worded: list[int] = []

    def counting(seconds: int) -> str:
        worded.append(seconds)
        return f"{seconds}s"

    monkeypatch.setattr(limits, "duration", counting)
    world = World(requests(5, key=("user",)), tokens(1_000_000, key=("user",)))
    callers = [Principal(user=f"u{number}") for number in range(50)]
    for moment in (0.0, 0.5, 1.0):
        world.now = 1_700_000_000.0 + moment
        resets = {dict((await world.start(one)).reply.headers)[b"x-ratelimit-reset-requests"] for one in callers}
        assert len(resets) == 1
    assert len(worded) == 4, "once a second and limit"


async def test_a_refusal_is_on_record_with_whom_it_hit_and_what_decided() -> None:
    world = World(requests(1, name="team"))
    await world.start()
    assert world.records == []
    error = await world.refused(model="gpt-4o", entry="gpt-*")
    (record,) = world.records
    assert (record.kind, record.outcome, record.policy) == ("limit", "deny", "team")
    assert (record.principal, record.source, record.resource) == (ALICE, "192.0.2.7", "model:gpt-4o")
    assert (record.entry, record.detail) == ("gpt-*", error.detail)
    assert len(record.trace_id) == 32


async def test_a_window_begins_with_the_minute_and_ends_with_it() -> None:
    world = World(requests(1))
    await world.start()
    world.now = 1_700_000_039.2
    assert dict((await world.refused()).headers)[b"retry-after"] == b"1"
    world.now = 1_700_000_040.0
    await world.start()


async def test_requests_count_whatever_becomes_of_them() -> None:
    world = World(requests(1))
    world.fail = CallError(Reason.UPSTREAM_UNREACHABLE, "away")
    with pytest.raises(CallError, match="away"):
        await world.start()
    assert (await world.refused()).reason is Reason.LIMITED


@pytest.mark.parametrize(
    ("key", "shared"),
    [
        ((), [ALICE, BOB, EVE]),
        (("tenant",), [ALICE, BOB]),
        (("agent",), [ALICE, BOB]),
        (("user",), [ALICE]),
        (("key",), [ALICE]),
    ],
)
async def test_each_combination_of_key_values_has_its_own_count(key: tuple[str, ...], shared: list[Principal]) -> None:
    world = World(requests(1, key=key))
    await world.start(ALICE)
    for principal in (ALICE, BOB, EVE):
        if principal in shared:
            await world.refused(principal)
        else:
            await world.start(principal)


async def test_rotating_model_names_under_a_pattern_escapes_nothing() -> None:
    world = World(requests(3, key=("user", "model")))
    for index in range(3):
        await world.start(model=f"claude-{index}", entry="claude-*")
    await world.refused(model="claude-fresh", entry="claude-*")
    await world.start(model="gpt")


@pytest.mark.parametrize(
    ("model", "entry", "upstream", "applies"),
    [
        ("gpt-4o", "gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-*", "gpt-4o", True),
        ("fast", "fast", "gpt-4o", True),
        ("*", "*", "gpt-4o", True),
        ("gpt-3", "gpt-*", "gpt-3", False),
    ],
)
async def test_a_limit_on_models_holds_for_the_name_asked_and_the_name_sent(
    model: str, entry: str, upstream: str, applies: bool
) -> None:
    world = World(requests(0, match=MatchSpec(models=("gpt-4*",))))
    if applies:
        await world.refused(model=model, entry=entry, upstream=upstream)
    else:
        await world.start(model=model, entry=entry, upstream=upstream)


async def test_one_pattern_entry_serves_limited_and_unlimited_names_side_by_side() -> None:
    world = World(requests(0, match=MatchSpec(models=("gpt-4*",))))
    for _ in range(2):
        await world.start(model="gpt-3", entry="gpt-*")
        await world.refused(model="gpt-4o", entry="gpt-*")


async def test_matching_is_by_every_given_field() -> None:
    world = World(requests(0, match=MatchSpec(tenants=("dev", "qa"), users=("al*",))))
    await world.refused(ALICE)
    await world.start(BOB)
    await world.start(EVE)
    await world.start(Principal(tenant="dev"))


async def test_all_limits_or_none() -> None:
    world = World(tokens(1000), requests(1, key=("user",)))
    world.finish(await world.start(ALICE, size=100, max_output_tokens=100), used(50))
    for _ in range(20):
        await world.refused(ALICE, size=100, max_output_tokens=100)
    assert await world.left(BOB) == 950


async def test_a_stated_maximum_is_reserved_and_real_usage_settled() -> None:
    world = World(tokens(1000))
    exchange = await world.start(size=100, max_output_tokens=500)
    assert dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"400"
    error = await world.refused(size=100, max_output_tokens=301)
    assert "400 left (600 held by calls under way), 401 needed" in error.detail
    assert dict(error.headers)[b"retry-after"] == b"1"  # it fits if the other call uses nothing
    world.finish(exchange, used(40))
    assert await world.left() == 960


async def test_the_models_maximum_bounds_what_is_not_stated_and_what_is_overstated() -> None:
    world = World(tokens(1000), models=(ModelSpec(name="gpt", provider="p", max_output_tokens=200),))
    for stated, choices, reserved in ((None, 1, 300), (None, 3, 700), (10**9, 1, 300), (50, 1, 150)):
        exchange = await world.start(size=100, max_output_tokens=stated, choices=choices)
        assert dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"%d" % (1000 - reserved)
        world.finish(exchange)


@pytest.mark.parametrize("fields", [{"max_output_tokens": -(10**9)}, {"choices": -5}, {"max_output_tokens": 10**40}])
async def test_absurd_numbers_neither_lower_nor_break_a_reservation(fields: dict[str, int]) -> None:
    world = World(tokens(1000))
    exchange = world.exchange(size=100, **fields)
    with suppress(CallError):
        await world.handler(exchange)
    assert await world.left() <= (900 if exchange.finishers else 1000)
    assert bool(exchange.finishers) == (fields.get("max_output_tokens") != 10**40)


async def test_a_call_that_can_never_fit_is_told_so_and_not_to_come_again() -> None:
    world = World(tokens(1000))
    error = await world.refused(size=100, max_output_tokens=901)
    assert error.detail == (
        "This call needs 1001 tokens, more than limit 'spend' of 1000 tokens per 1h ever has; "
        "shorten the input or lower the maximum of output tokens."
    )
    assert b"retry-after" not in dict(error.headers)
    assert dict(error.headers)[b"x-should-retry"] == b"false"


async def test_an_unknown_maximum_is_estimated_and_may_take_what_is_left() -> None:
    world = World(tokens(1000))
    first = await world.start(size=100)
    assert dict(first.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"387"  # 512 + 1 of output
    second = await world.start(size=100)
    assert dict(second.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"0"
    await world.refused(size=1)
    world.finish(second, used(100))
    assert "needs 1001 tokens" in (await world.refused(size=1000)).detail


async def test_estimates_are_learned_from_calls_of_their_kind_only() -> None:
    world = World(tokens(10_000))
    for _ in range(50):
        world.finish(await world.start(size=100), Usage(input_tokens=20, output_tokens=10))
        world.finish(await world.start(size=100, max_output_tokens=900), Usage(input_tokens=20, output_tokens=900))
        world.now += 3600
    exchange = await world.start(size=100)
    assert 9_870 <= int(dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"]) <= 9_890


async def test_what_was_only_estimated_teaches_nothing() -> None:
    world = World(tokens(10_000))
    world.finish(await world.start(size=100), Usage(output_tokens=1, estimated=True))
    world.now += 3600
    exchange = await world.start(size=100)
    assert dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"9387"


@pytest.mark.parametrize("taught_by", [{"reason": Reason.UPSTREAM_ERROR}, {"cache": "hit"}])
async def test_calls_that_used_nothing_teach_nothing(taught_by: dict[str, object]) -> None:
    """Whoever can make a provider refuse, or ask twice, could otherwise teach that calls cost nothing."""
    world = World(tokens(100_000))
    world.finish(await world.start(), Usage(input_tokens=50, output_tokens=5_000))
    for _ in range(40):
        world.finish(await world.start(), Usage(), **taught_by)
    world.now += 3600
    exchange = await world.start()
    held = 100_000 - int(dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"])
    assert held > 5_000


async def test_reserve_estimate_learns_the_input_too() -> None:
    world = World(tokens(100_000, reserve="estimate"))
    for _ in range(60):
        exchange = await world.start(size=4000, max_output_tokens=4000)
        world.finish(exchange, Usage(input_tokens=1000, output_tokens=10))
        world.now += 3600
    exchange = await world.start(size=4000, max_output_tokens=4000)
    assert 100_000 - 1_060 <= int(dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"]) <= 100_000 - 1_010


async def test_estimate_and_upper_bound_stand_side_by_side() -> None:
    world = World(tokens(10_000, name="guess", reserve="estimate", window_s=7200), tokens(10_000))
    for _ in range(30):
        world.finish(await world.start(size=1000, max_output_tokens=1000), Usage(input_tokens=10, output_tokens=10))
        world.now += 7200
    exchange = await world.start(size=1000, max_output_tokens=1000)
    assert dict(exchange.reply.headers)[b"x-ratelimit-remaining-tokens"] == b"8000"  # the tightest of both


async def test_embeddings_have_no_output() -> None:
    world = World(tokens(1000))
    exchange = await world.start(size=1000, operation="embeddings")
    world.finish(exchange, Usage(input_tokens=200))
    assert await world.left() == 800


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"upstream_s": 0.0}, 1000),
        ({"upstream_s": 5.0, "reason": Reason.UPSTREAM_ERROR}, 1000),
        ({"upstream_s": 5.0, "reason": Reason.UPSTREAM_UNREACHABLE}, 1000),
        ({"upstream_s": 5.0, "reason": Reason.UPSTREAM_BROKEN}, 700),
        ({"upstream_s": 5.0, "reason": Reason.UPSTREAM_TIMEOUT}, 700),
        ({"upstream_s": 5.0, "reason": Reason.CALLER_GONE}, 700),
        ({"upstream_s": 5.0}, 700),
        ({"upstream_s": 5.0, "reason": Reason.CALLER_GONE, "usage": used(30)}, 970),
    ],
)
async def test_calls_that_fail_are_settled_by_what_they_may_have_cost(fields: dict[str, object], left: int) -> None:
    world = World(tokens(1000))
    usage = fields.pop("usage", None)
    world.finish(await world.start(size=100, max_output_tokens=200), usage, **fields)
    assert await world.left() == left


async def test_what_is_reserved_is_released_when_the_next_policy_refuses() -> None:
    world = World(tokens(1000))
    world.fail = CallError(Reason.FORBIDDEN, "no")
    exchange = world.exchange(size=100, max_output_tokens=200)
    with pytest.raises(CallError, match="no"):
        await world.handler(exchange)
    world.fail = None
    world.finish(exchange)
    assert await world.left() == 1000


async def test_a_call_that_ends_in_the_next_window_is_not_counted_there() -> None:
    world = World(tokens(1000))
    exchange = await world.start(size=100, max_output_tokens=200)
    world.now += 3600
    assert await world.left() == 1000
    world.finish(exchange, used(250))
    assert await world.left() == 1000


async def test_success_tells_the_tightest_limit_of_each_kind() -> None:
    world = World(
        requests(100, name="wide"),
        requests(5, name="narrow", window_s=3600),
        tokens(10**6, window_s=604_800),
        tokens(500),
    )
    exchange = await world.start(size=10, max_output_tokens=90)
    assert exchange.reply.headers == [
        (b"content-type", b"application/json"),
        (b"x-ratelimit-limit-requests", b"5"),
        (b"x-ratelimit-remaining-requests", b"4"),
        (b"x-ratelimit-reset-requests", b"46m40s"),
        (b"x-ratelimit-limit-tokens", b"500"),
        (b"x-ratelimit-remaining-tokens", b"400"),
        (b"x-ratelimit-reset-tokens", b"46m40s"),
    ]


async def test_the_reset_counts_down_and_follows_the_window() -> None:
    world = World(requests(1000))
    seen = []
    for now_s in (1_700_000_000.0, 1_700_000_000.5, 1_700_000_001.0, 1_700_000_039.9, 1_700_000_040.0, 1_699_999_999.0):
        world.now = now_s
        seen.append(dict((await world.start()).reply.headers)[b"x-ratelimit-reset-requests"])
    assert seen == [b"40s", b"40s", b"39s", b"1s", b"1m0s", b"41s"]


class Broken:
    """Counters that cannot be asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def try_add(self, tally: object, amount: int, now_s: float, holds: bool) -> int:
        return -1

    async def reserve(self, charges: object, now_s: float) -> object:
        raise self.error


@pytest.mark.parametrize("error", [CountersFullError(), ConnectionError(), TimeoutError()])
async def test_a_limit_that_cannot_be_checked_refuses(error: Exception) -> None:
    caught = await World(requests(1000), counters=Broken(error)).refused()
    assert (caught.reason, dict(caught.headers)) == (Reason.OVERLOADED, {b"retry-after": b"1"})


async def test_a_flood_of_callers_and_models_does_not_grow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rate_limit, limits):
        monkeypatch.setattr(module, "RECENT", 50)
    world = World(requests(10**9, key=("user", "model"), match=MatchSpec(models=("*",))))
    for index in range(1_000):
        await world.start(Principal(user=f"u{index}"), model=f"claude-{index}", entry="claude-*")
    policy = world.policy
    for cache in (policy._plans, policy._bounds):
        assert len(cache._young) <= 50
        assert len(cache._old) <= 50
    assert list(policy._learned) == ["claude-*"]


async def test_a_caller_that_keeps_coming_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "RECENT", 10)
    world = World(requests(10**9))
    await world.start(ALICE)
    plan = world.policy._plan(ALICE, world.exchange(ALICE).call)
    for index in range(300):
        await world.start(Principal(user=f"u{index}"))
        if index % 5 == 0:
            await world.start(ALICE)
    assert world.policy._plan(ALICE, world.exchange(ALICE).call) is plan


def test_limits_hide_no_model() -> None:
    world = World(requests(0))
    exchange = world.exchange()
    assert world.policy.permits(exchange, exchange.call)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (59, "59s"), (60, "1m0s"), (360, "6m0s"), (3600, "1h0m0s"), (604_799, "167h59m59s")],
)
def test_durations_are_as_openai_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("window_s", "text"), [(1, "1s"), (90, "90s"), (60, "1m"), (86_400, "24h"), (604_800, "7d"), (5400, "90m")]
)
def test_windows_are_written_as_they_are_configured(window_s: int, text: str) -> None:
    assert window_text(window_s) == text
