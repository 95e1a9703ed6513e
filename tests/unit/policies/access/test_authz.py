"""What policies mean: levels, errors, names of models, lists, audit mode, and what is remembered."""

from itertools import product
from typing import Any

import pytest

from heddle.model.call import ModelCall
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import AuthzRule, MatchSpec, Snapshot
from heddle.pipeline.errors import Reason
from heddle.policies import authz

ALICE = Principal(user="alice", tenant="dev-team", agent="planner", method="api_key", key_id="key-1")
BOB = Principal(user="bob", tenant="dev-team", method="api_key", key_id="key-2")


def model_call(model: str = "gpt-4", resolved: str = "", **fields: Any) -> ModelCall:
    base = {"operation": "chat", "dialect": "openai_chat", "body": b"", "provider": "upstream"}
    return ModelCall(**{**base, "model": model, "entry": model, "upstream_model": resolved or model, **fields})


def allow(name: str = "allow", **fields: Any) -> AuthzRule:
    return AuthzRule(name=name, action="allow", **fields)


def deny(name: str = "deny", **fields: Any) -> AuthzRule:
    return AuthzRule(name=name, action="deny", **fields)


def build(worker: Any, *rules: AuthzRule) -> Any:
    return authz.build(Snapshot(version="v", authorization=rules), worker.tools)


async def outcome(
    worker: Any,
    make_exchange: Any,
    run: Any,
    *rules: AuthzRule,
    who: Principal = ALICE,
    call: ModelCall | None = None,
    **kw: Any,
) -> Reason | None:
    error = await run(build(worker, *rules), make_exchange(principal=who, call=call or model_call(), **kw))
    return None if error is None else error.reason


@pytest.mark.parametrize(
    ("allows", "denies", "level"), list(product([None, True, False], [None, True, False], ["global", "listener:llm"]))
)
async def test_one_level(worker: Any, make_exchange: Any, run: Any, allows: Any, denies: Any, level: str) -> None:
    """None: no such rule; True: it matches; False: it does not."""
    rules = []
    for made, matches in ((allow, allows), (deny, denies)):
        if matches is not None:
            rules.append(made(level=level, match=MatchSpec(users=("alice" if matches else "carol",))))
    passes = await outcome(worker, make_exchange, run, *rules) is None
    assert passes is (not rules or (denies is not True and allows is True))


@pytest.mark.parametrize(("first", "second"), list(product(["allow", "deny", "other", "none"], repeat=2)))
async def test_every_level_must_agree(worker: Any, make_exchange: Any, run: Any, first: str, second: str) -> None:
    rules = []
    for level, what in (("global", first), ("listener:llm", second)):
        match = MatchSpec(users=("carol",)) if what == "other" else MatchSpec()
        if what != "none":
            rules.append(AuthzRule(name=level, action="deny" if what == "deny" else "allow", level=level, match=match))
    passes = await outcome(worker, make_exchange, run, *rules) is None
    assert passes is (first in {"allow", "none"} and second in {"allow", "none"})


async def test_a_level_of_denies_refuses_everything_else(worker: Any, make_exchange: Any, run: Any) -> None:
    assert await outcome(worker, make_exchange, run, deny(match=MatchSpec(users=("carol",)))) is Reason.FORBIDDEN


async def test_no_policy_allows_whoever_was_authenticated(worker: Any, make_exchange: Any, run: Any) -> None:
    assert await outcome(worker, make_exchange, run) is None


async def test_another_listeners_level_is_not_ours(worker: Any, make_exchange: Any, run: Any) -> None:
    assert await outcome(worker, make_exchange, run, deny(level="listener:other")) is None


async def test_the_worked_example(worker: Any, make_exchange: Any, run: Any) -> None:
    rules = (
        allow("dev", match=MatchSpec(tenants=("dev-team",)), resources=("model:*",)),
        deny("no-big", when='principal.user == "bob" && call.model.startsWith("gpt-5")'),
    )
    checks = build(worker, *rules)
    assert await run(checks, make_exchange(principal=ALICE, call=model_call("gpt-5"))) is None
    assert await run(checks, make_exchange(principal=BOB, call=model_call("gpt-4"))) is None
    error = await run(checks, make_exchange(principal=BOB, call=model_call("gpt-5-mini")))
    assert error.reason is Reason.FORBIDDEN
    assert "no-big" in error.detail
    stranger = Principal(user="eve", tenant="dev-team2")
    assert (await run(checks, make_exchange(principal=stranger, call=model_call()))).reason is Reason.FORBIDDEN


async def test_the_reference_configuration(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(
        worker,
        allow("prod-policy", match=MatchSpec(tenants=("production",)), resources=("model:gpt-4",)),
        allow("dev-policy", match=MatchSpec(tenants=("development",)), resources=("model:*",)),
    )
    expected = {
        ("production", "gpt-4"): True,
        ("production", "gpt-4o"): False,
        ("development", "gpt-4o"): True,
        ("prod-team", "gpt-4"): False,
        ("dev-team", "gpt-4"): False,
    }
    for (tenant, model), passes in expected.items():
        error = await run(checks, make_exchange(principal=Principal(tenant=tenant, agent="a"), call=model_call(model)))
        assert (error is None) is passes, (tenant, model)


@pytest.mark.parametrize(
    "when", ['request.headers["x-team"] == "a"', "call.max_output_tokens < 10", "principal.claims.level > 3"]
)
async def test_an_expression_that_errs_counts_against_the_caller(
    worker: Any, make_exchange: Any, run: Any, when: str
) -> None:
    assert await outcome(worker, make_exchange, run, allow(when=when)) is Reason.FORBIDDEN
    assert await outcome(worker, make_exchange, run, allow(), deny(when=when)) is Reason.FORBIDDEN


@pytest.mark.parametrize(
    ("who", "header"),
    [
        (Principal(user="bob\0x"), (b"x-a", b"a")),
        (Principal(user="alice", claims={"g": "a\0b"}), (b"x-a", b"a")),
    ],
)
async def test_nul_never_equals_what_stands_before_it(
    worker: Any, make_exchange: Any, run: Any, who: Principal, header: Any
) -> None:
    for when in ('principal.user == "bob"', 'principal.claims.g == "a"'):
        assert await outcome(worker, make_exchange, run, allow(when=when), who=who) is Reason.FORBIDDEN


async def test_rules_for_other_kinds_do_not_apply(worker: Any, make_exchange: Any, run: Any) -> None:
    assert await outcome(worker, make_exchange, run, allow(), deny(resources=("tool:*",))) is None
    assert await outcome(worker, make_exchange, run, allow(resources=("tool:*",))) is Reason.FORBIDDEN


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ((allow(), deny(resources=("model:gpt-5*",))), False),
        ((allow(), deny(when='call.model.startsWith("gpt-5")')), False),
        ((allow(), deny(when='call.resolved_model == "gpt-5"')), False),
        ((allow(resources=("model:cheap",)),), False),
        ((allow(resources=("model:gpt-5",)),), False),
        ((allow(resources=("model:cheap",)), allow(resources=("model:gpt-5",))), True),
        ((allow(resources=("model:*",)),), True),
        ((allow(match=MatchSpec(models=("cheap", "gpt-*"))),), True),
        ((allow(match=MatchSpec(models=("cheap", "gpt-*")), resources=("model:cheap",)),), False),
    ],
)
async def test_an_alias_leads_around_no_rule(
    worker: Any, make_exchange: Any, run: Any, rules: Any, passes: bool
) -> None:
    call = model_call("cheap", "gpt-5")
    assert (await outcome(worker, make_exchange, run, *rules, call=call) is None) is passes


@pytest.mark.parametrize(
    ("models", "model", "resolved", "passes"),
    [
        (None, "gpt-4", "", True),
        (("gpt-*",), "gpt-4", "", True),
        (("gpt-*",), "claude", "", False),
        (("gpt-*",), "gpt-4", "claude", True),
        (("cheap",), "cheap", "gpt-5", True),
        (("gpt-5",), "cheap", "gpt-5", False),
        (("claude-haiku",), "claude-*", "", False),
        (("claude-haiku",), "claude-h*", "", False),
        ((), "gpt-4", "", False),
        (("GPT-4",), "gpt-4", "", False),
    ],
)
async def test_a_keys_own_models(
    worker: Any, make_exchange: Any, run: Any, models: Any, model: str, resolved: str, passes: bool
) -> None:
    who = Principal(user="alice", models=models)
    error = await run(build(worker, allow()), make_exchange(principal=who, call=model_call(model, resolved)))
    assert (error is None) is passes
    if error is not None:
        assert error.reason is Reason.MODEL_FORBIDDEN
        assert f"`{model}`" in error.detail
        assert not resolved or resolved not in error.detail


@pytest.mark.parametrize("model", ["claude-*", "claude-h*", "*", "*laude-haiku"])
async def test_a_call_is_never_judged_as_a_pattern(worker: Any, make_exchange: Any, run: Any, model: str) -> None:
    narrow = allow(resources=("model:claude-haiku",))
    assert await outcome(worker, make_exchange, run, narrow, call=model_call(model)) is Reason.FORBIDDEN
    no_star = deny(when='call.model.endsWith("*") || call.model.startsWith("*")')
    assert await outcome(worker, make_exchange, run, allow(), no_star, call=model_call(model)) is Reason.FORBIDDEN
    resolved = model_call("alias", model)
    rules = (allow(), deny(when=f'call.resolved_model == "{model}"'))
    assert await outcome(worker, make_exchange, run, *rules, call=resolved) is Reason.FORBIDDEN


async def test_a_refused_call_names_the_policy_that_decided(worker: Any, make_exchange: Any, run: Any) -> None:
    exchange = make_exchange(principal=ALICE, call=model_call())
    assert await run(build(worker, allow(), deny("no-alice")), exchange) is not None
    assert exchange.policy == "no-alice"
    unmatched = make_exchange(principal=ALICE, call=model_call())
    assert await run(build(worker, allow(match=MatchSpec(users=("carol",)))), unmatched) is not None
    assert unmatched.policy == ""


async def test_anonymous_callers_match_only_rules_for_everybody(worker: Any, make_exchange: Any, run: Any) -> None:
    named = allow(match=MatchSpec(tenants=("*",)))
    assert await outcome(worker, make_exchange, run, named, who=ANONYMOUS) is Reason.FORBIDDEN
    assert await outcome(worker, make_exchange, run, allow(), who=ANONYMOUS) is None


@pytest.mark.parametrize("tenant", ["devXteam", "DEV.team", "dev.team.evil", "dev", "dev.team "])
async def test_dots_in_tenants_are_dots(worker: Any, make_exchange: Any, run: Any, tenant: str) -> None:
    """CVE-2026-39350."""
    rule = allow(match=MatchSpec(tenants=("dev.team",)))
    assert await outcome(worker, make_exchange, run, rule, who=Principal(tenant=tenant)) is Reason.FORBIDDEN
    assert await outcome(worker, make_exchange, run, rule, who=Principal(tenant="dev.team")) is None


async def test_decisions_are_not_shared_between_callers_or_requests(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(worker, allow(when='principal.user == "alice" && request.headers["x-ok"] == "1"'))
    ok = (b"x-ok", b"1")
    assert await run(checks, make_exchange(ok, principal=ALICE, call=model_call())) is None
    assert await run(checks, make_exchange((b"x-ok", b"0"), principal=ALICE, call=model_call())) is not None
    assert await run(checks, make_exchange(ok, principal=BOB, call=model_call())) is not None
    assert await run(checks, make_exchange(ok, principal=ALICE, call=model_call())) is None


async def test_the_shape_of_a_call_is_part_of_what_is_remembered(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(worker, allow(when='call.operation == "chat" && !call.stream'))
    assert await run(checks, make_exchange(principal=ALICE, call=model_call())) is None
    assert await run(checks, make_exchange(principal=ALICE, call=model_call(stream=True))) is not None
    assert await run(checks, make_exchange(principal=ALICE, call=model_call(operation="embeddings"))) is not None


async def test_a_listeners_decision_is_its_own(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(worker, deny(level="listener:b"))
    assert await run(checks, make_exchange(principal=ALICE, call=model_call(), listener="a")) is None
    assert await run(checks, make_exchange(principal=ALICE, call=model_call(), listener="b")) is not None


async def test_time_is_read_each_time(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(worker, allow(when='request.time < timestamp("2027-01-15T08:00:01Z")'))
    worker.time_s = 1_800_000_000.0
    assert await run(checks, make_exchange(principal=ALICE, call=model_call())) is None
    worker.time_s += 1
    assert await run(checks, make_exchange(principal=ALICE, call=model_call())) is not None


async def test_credentials_are_not_visible_to_expressions(worker: Any, make_exchange: Any, run: Any) -> None:
    when = 'request.headers.exists(h, h in ["authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"])'
    headers = [(n, b"s") for n in (b"authorization", b"x-api-key", b"api-key", b"cookie", b"proxy-authorization")]
    exchange = make_exchange(*headers, principal=ALICE, call=model_call())
    assert await run(build(worker, allow(), deny(when=when)), exchange) is None


@pytest.mark.parametrize(
    ("query", "passes"), [("a=1", True), ("a=2", False), ("a=1&a=2", False), ("a=2&a=1", False), ("", False)]
)
async def test_a_repeated_parameter_proves_nothing(
    worker: Any, make_exchange: Any, run: Any, query: str, passes: bool
) -> None:
    rule = allow(when='request.query["a"] == "1"')
    assert (await outcome(worker, make_exchange, run, rule, query=query) is None) is passes


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/v1/x", True),
        ("/v1", True),
        ("//v1//x", True),
        ("/v10", False),
        ("/v1/../admin", False),
        ("/v1%2Fx", False),
        ("/v1/%2e%2e/admin", False),
    ],
)
async def test_under_compares_what_paths_mean(
    worker: Any, make_exchange: Any, run: Any, path: str, passes: bool
) -> None:
    rule = allow(when='under(request.path, "/v1")')
    assert (await outcome(worker, make_exchange, run, rule, path=path) is None) is passes


async def test_memory_is_bounded(worker: Any, make_exchange: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authz, "CACHE_ENTRIES", 8)
    checks = build(worker, allow())
    for n in range(50):
        await run(checks, make_exchange(principal=ALICE, call=model_call(f"m{n}")))
    assert len(checks._cache) == 8
    await run(checks, make_exchange(principal=ALICE, call=model_call("m" * 300)))
    assert not any(len(key[1]) > 256 for key in checks._cache)


async def test_refusals_are_recorded_without_saying_more_to_the_caller(
    worker: Any, make_exchange: Any, run: Any
) -> None:
    checks = build(worker, allow(), deny("secret-plan", resources=("model:gpt-5",)))
    error = await run(checks, make_exchange(principal=BOB, call=model_call("cheap", "gpt-5")))
    assert "gpt-5" not in error.detail
    record = worker.records[0]
    assert (record.kind, record.outcome, record.policy, record.resource) == (
        "authz",
        "deny",
        "secret-plan",
        "model:cheap",
    )
    assert record.principal is BOB
    assert "gpt-5" in record.detail
    counter = worker.metrics.counter(
        "heddle_authz_decisions_total", policy="secret-plan", action="deny", mode="enforce"
    )
    assert counter.value == 1


@pytest.mark.parametrize(
    ("rules", "passes", "recorded"),
    [
        ((allow(), deny("try", mode="audit")), True, ["would_deny"]),
        ((allow(), deny("try", mode="audit", match=MatchSpec(users=("carol",)))), True, []),
        ((allow("try", mode="audit", match=MatchSpec(users=("carol",))),), True, ["would_deny"]),
        ((allow("try", mode="audit"),), True, []),
        (
            (deny("carol", match=MatchSpec(users=("carol",))), allow("try", mode="audit")),
            False,
            ["would_allow", "deny"],
        ),
        ((allow(), deny("try", mode="audit", when='request.headers["x"] == "1"')), True, ["would_deny"]),
    ],
)
async def test_audit_mode_decides_nothing_and_is_recorded(
    worker: Any, make_exchange: Any, run: Any, rules: Any, passes: bool, recorded: list[str]
) -> None:
    checks = build(worker, *rules)
    error = await run(checks, make_exchange(principal=ALICE, call=model_call()))
    assert (error is None) is passes
    assert [r.outcome for r in worker.records] == recorded


@pytest.mark.parametrize(
    ("rules", "models", "listed", "expected"),
    [
        ((), None, "gpt-4", True),
        ((), ("gpt-*",), "claude", False),
        ((allow(resources=("model:gpt-4",)),), None, "gpt-4", True),
        ((allow(resources=("model:gpt-4",)),), None, "claude", False),
        ((allow(when='request.headers["x"] == "1"'),), None, "gpt-4", True),
        ((allow(), deny(when='request.headers["x"] == "1"')), None, "gpt-4", True),
        ((allow(), deny(when="call.stream")), None, "gpt-4", True),
        ((allow(when='call.operation == "embeddings"'),), None, "gpt-4", True),
        ((allow(), deny(when='principal.user == "alice"')), None, "gpt-4", False),
        ((deny(),), None, "gpt-4", False),
        ((allow(resources=("model:claude-3*",)),), None, "claude-*", True),
        ((allow(resources=("model:gpt-*",)),), None, "claude-*", False),
        ((allow(), deny(resources=("model:claude-3*",))), None, "claude-*", True),
        ((allow(), deny(resources=("model:cl*",))), None, "claude-*", False),
        ((allow(when='call.model == "claude-3"'),), None, "claude-*", True),
        ((allow(),), ("claude-3*",), "claude-*", True),
        ((allow(),), ("gpt-*",), "claude-*", False),
        ((allow("try", mode="audit", match=MatchSpec(users=("carol",))),), None, "gpt-4", True),
    ],
)
def test_lists_show_what_some_call_could_do(
    worker: Any, make_exchange: Any, rules: Any, models: Any, listed: str, expected: bool
) -> None:
    who = Principal(user="alice", tenant="dev-team", models=models)
    checks = build(worker, *rules)
    for _ in range(2):
        assert checks.permits(make_exchange(principal=who), model_call(listed)) is expected


def test_an_unfit_expression_names_its_policy_and_place(worker: Any) -> None:
    with pytest.raises(ValueError, match=r"'p' \(gateway.yaml:7\).*did you mean `call.model`"):
        build(worker, allow("p", when='call.modle == "x"', source="gateway.yaml:7"))
