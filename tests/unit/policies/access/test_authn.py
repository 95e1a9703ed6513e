"""API keys and anonymity: who gets in, what the others are told, and what is written about them."""

import hashlib
from typing import Any

import pytest

from heddle.model.principal import ANONYMOUS
from heddle.model.snapshot import ApiKeyAuthn, KeySpec, NoAuthn, Snapshot
from heddle.pipeline.errors import Reason
from heddle.policies import authn

KEY = b"sk-test-123"


def key_spec(key: bytes = KEY, **fields: Any) -> KeySpec:
    return KeySpec(sha256=hashlib.sha256(key).hexdigest(), **fields)


def policy(worker: Any, *keys: KeySpec, also: tuple[Any, ...] = ()) -> Any:
    return authn.build(Snapshot(version="v", authentication=(ApiKeyAuthn(keys=keys), *also)), worker.tools)


def failures(worker: Any, method: str, reason: str) -> float:
    return worker.metrics.counter("heddle_authn_failures_total", method=method, reason=reason).value


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer sk-test-123")],
        [(b"authorization", b"bearer   sk-test-123 ")],
        [(b"x-api-key", KEY)],
        [(b"api-key", KEY)],
        [(b"authorization", b"Bearer sk-test-123"), (b"x-api-key", KEY)],
        [(b"authorization", b"Bearer "), (b"x-api-key", KEY)],
        [(b"cookie", b"a"), (b"cookie", b"b"), (b"authorization", b"Bearer sk-test-123")],
    ],
)
async def test_a_key_says_who_calls(worker: Any, make_exchange: Any, run: Any, headers: Any) -> None:
    spec = key_spec(user="alice", tenant="dev-team", agent="planner", models=("gpt-*",), metadata={"team": "a"})
    exchange = make_exchange(*headers)
    assert await run(policy(worker, spec), exchange) is None
    who = exchange.principal
    assert (who.user, who.tenant, who.agent, who.method) == ("alice", "dev-team", "planner", "api_key")
    assert who.workload == "spiffe://heddle.local/ns/dev-team/sa/planner"
    assert who.key_id == "key-" + hashlib.sha256(KEY).hexdigest()[:12]
    assert who.models == ("gpt-*",)
    assert who.claims == {"team": "a"}


@pytest.mark.parametrize(
    ("headers", "reason", "method", "cause"),
    [
        ([], Reason.UNAUTHENTICATED, "none", "missing"),
        ([(b"authorization", b"Bearer ")], Reason.UNAUTHENTICATED, "none", "missing"),
        ([(b"authorization", b"Bearer sk-test-124")], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
        ([(b"authorization", b"Bearer sk-test-12")], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
        ([(b"authorization", b"Bearer sk-test-1234")], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
        ([(b"authorization", b"Bearer SK-TEST-123")], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
        ([(b"x-api-key", hashlib.sha256(KEY).hexdigest().encode())], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
        ([(b"authorization", b"Basic c2stdGVzdC0xMjM=")], Reason.UNAUTHENTICATED, "none", "scheme"),
        ([(b"authorization", KEY)], Reason.UNAUTHENTICATED, "none", "scheme"),
        (
            [(b"authorization", b"Bearer sk-test-123"), (b"x-api-key", b"other")],
            Reason.BAD_REQUEST,
            "none",
            "ambiguous",
        ),
        (
            [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer sk-test-123")],
            Reason.BAD_REQUEST,
            "none",
            "ambiguous",
        ),
        ([(b"authorization", b"Bearer " + b"k" * 8193)], Reason.UNAUTHENTICATED, "api_key", "unknown_key"),
    ],
)
async def test_refusals(
    worker: Any, make_exchange: Any, run: Any, headers: Any, reason: Reason, method: str, cause: str
) -> None:
    exchange = make_exchange(*headers)
    error = await run(policy(worker, key_spec(user="alice")), exchange)
    assert error.reason is reason
    assert exchange.principal is ANONYMOUS
    assert failures(worker, method, cause) == 1
    assert [(r.kind, r.outcome, r.policy, r.source) for r in worker.records] == [("authn", "deny", cause, "192.0.2.7")]
    challenge = dict(error.headers).get(b"www-authenticate", b"")
    assert challenge.startswith(b"Bearer") is (reason is Reason.UNAUTHENTICATED)
    # RFC 6750 section 3.1: no error code where there was no credential.
    assert (b"invalid_token" in challenge) is (reason is Reason.UNAUTHENTICATED and cause != "missing")


async def test_missing_and_wrong_are_told_apart(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = policy(worker, key_spec(user="alice"))
    missing = await run(checks, make_exchange())
    wrong = await run(checks, make_exchange((b"x-api-key", b"sk-wrong-value")))
    assert "didn't provide" in missing.detail
    assert wrong.detail.startswith("Incorrect API key provided")


async def test_no_part_of_a_credential_is_repeated(worker: Any, make_exchange: Any, run: Any) -> None:
    secret = b"zq-9f8e7d6c5b4a"
    error = await run(policy(worker, key_spec(user="alice")), make_exchange((b"authorization", b"Bearer " + secret)))
    said = error.detail + repr(error) + repr(error.__context__) + repr(worker.records)
    assert not any(secret[i : i + 4].decode() in said for i in range(len(secret) - 3))


async def test_expiry_is_by_the_second(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = policy(worker, key_spec(user="alice", expires_at_s=worker.time_s + 10))
    assert await run(checks, make_exchange((b"x-api-key", KEY))) is None
    worker.time_s += 10
    error = await run(checks, make_exchange((b"x-api-key", KEY)))
    assert error.detail == "The API key provided has expired."
    assert worker.records[0].principal.user == "alice"


async def test_none_alone_looks_at_no_credential(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = authn.build(Snapshot(version="v", authentication=(NoAuthn(),)), worker.tools)
    exchange = make_exchange((b"authorization", b"Bearer whatever"))
    assert await run(checks, exchange) is None
    assert exchange.principal is ANONYMOUS


async def test_none_beside_keys_lets_nobody_in_with_a_wrong_key(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = policy(worker, key_spec(user="alice"), also=(NoAuthn(),))
    assert await run(checks, make_exchange()) is None
    assert (await run(checks, make_exchange((b"x-api-key", b"wrong")))).reason is Reason.UNAUTHENTICATED


def test_nothing_configured_is_no_policy(worker: Any) -> None:
    assert authn.build(Snapshot(version="v"), worker.tools) is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ((key_spec(), key_spec(user="other")), "listed twice"),
        ((KeySpec(sha256="ab"),), "64 lower-case"),
        ((KeySpec(sha256="A" * 64),), "64 lower-case"),
        ((key_spec(tenant="dev team", agent="a"),), "tenant must be letters"),
        ((key_spec(tenant="..", agent="a"),), "tenant must be letters"),
        ((key_spec(tenant="a", agent="b/c"),), "agent must be letters"),
    ],
)
async def test_unfit_keys_are_refused_when_built(worker: Any, keys: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy(worker, *keys)


async def test_every_failure_is_on_record_with_its_cause_and_source(worker: Any, make_exchange: Any, run: Any) -> None:
    """What repeats is folded by the spool, for all policies alike."""
    checks = policy(worker, key_spec(user="alice"))
    for n in range(3):
        await run(checks, make_exchange((b"x-api-key", b"guess-%d" % n)))
    assert [(r.kind, r.outcome, r.policy, r.source) for r in worker.records] == [
        ("authn", "deny", "unknown_key", "192.0.2.7")
    ] * 3
    assert "guess" not in repr(worker.records)
