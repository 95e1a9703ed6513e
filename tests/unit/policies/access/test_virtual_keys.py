"""Virtual keys at the door: where they are sent, when they stop to open it, and what is remembered of them."""

import hashlib
from typing import Any

import pytest

from heddle.model.snapshot import ApiKeyAuthn, KeySpec, LimitSpec, NoAuthn, Snapshot
from heddle.model.virtual_keys import KeySecret, VirtualKey
from heddle.pipeline.errors import Reason
from heddle.policies import authn

SECRET = b"sk-hd-a-secret"
BEARER = (b"authorization", b"Bearer " + SECRET)


def virtual(secret: bytes = SECRET, until_s: float = 0.0, **fields: Any) -> VirtualKey:
    said = {"id": "key-one", "user": "ann", "tenant": "dev", "agent": "bot", **fields}
    return VirtualKey(secrets=(KeySecret(hashlib.sha256(secret).digest(), until_s),), **said)


def policy(worker: Any, *also: Any, accept: bool = True, trust_domain: str = "heddle.local") -> Any:
    entries = (ApiKeyAuthn(virtual=accept), *also)
    return authn.build(Snapshot(version="v", authentication=entries, trust_domain=trust_domain), worker.tools)


@pytest.mark.parametrize(
    "header",
    [BEARER, (b"x-api-key", SECRET), (b"api-key", SECRET), (b"x-goog-api-key", SECRET)],
    ids=["bearer", "anthropic", "azure", "google"],
)
async def test_every_sdk_sends_it_where_it_is_looked_for(worker: Any, make_exchange: Any, run: Any, header: Any):
    limit = LimitSpec(name="l", limit=1, window_s=60, limit_by="requests", key=("key",))
    worker.tools.keyring.change([virtual(models=("gpt-*",), metadata={"team": "a"}, limits=(limit,))])
    exchange = make_exchange(header)
    assert await run(policy(worker), exchange) is None
    who = exchange.principal
    assert (who.key_id, who.user, who.tenant, who.agent, who.method) == ("key-one", "ann", "dev", "bot", "api_key")
    assert who.workload == "spiffe://heddle.local/ns/dev/sa/bot"
    assert (who.models, who.claims, who.limits) == (("gpt-*",), {"team": "a"}, (limit,))


async def test_two_different_credentials_are_one_too_many(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual()])
    refused = await run(policy(worker), make_exchange(BEARER, (b"x-goog-api-key", b"another")))
    assert refused.reason is Reason.BAD_REQUEST


async def test_a_connection_that_was_let_in_is_not_once_its_key_is_revoked(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual(), virtual(b"other", id="key-two")])
    door, kept = policy(worker), make_exchange(BEARER)
    assert await run(door, kept) is None
    assert await run(door, kept) is None, "by what its head remembers"
    worker.tools.keyring.change([], ["key-two"])
    assert await run(door, kept) is None, "another key's end is not its"
    worker.tools.keyring.change([], ["key-one"])
    refused = await run(door, kept)
    assert refused.answer.code == "invalid_api_key"
    assert refused.answer.status == 401


async def test_a_changed_key_is_another_caller_at_once(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual()])
    door, kept = policy(worker), make_exchange(BEARER)
    await run(door, kept)
    first = kept.principal
    await run(door, kept)
    assert kept.principal is first, "others remember by the object"
    worker.tools.keyring.change([virtual(user="bob")])
    await run(door, kept)
    assert kept.principal.user == "bob"


async def test_a_disabled_key_is_refused_and_named_in_the_record(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual(disabled=True)])
    refused = await run(policy(worker), make_exchange(BEARER))
    assert (refused.reason, refused.detail) == (Reason.UNAUTHENTICATED, "The API key provided is disabled.")
    (record,) = worker.records
    assert (record.policy, record.principal.key_id) == ("disabled_key", "key-one")
    assert worker.metrics.counter("heddle_authn_failures_total", method="api_key", reason="disabled_key").value == 1


@pytest.mark.parametrize("ends", [{"expires_at_s": 1_800_000_100.0}, {"until_s": 1_800_000_100.0}])
async def test_a_secret_ends_when_it_is_said_to(worker: Any, make_exchange: Any, run: Any, ends: dict[str, float]):
    worker.tools.keyring.change([virtual(**ends)])
    door, kept = policy(worker), make_exchange(BEARER)
    worker.time_s = 1_800_000_099.9
    assert await run(door, kept) is None
    worker.time_s = 1_800_000_100.0
    refused = await run(door, kept)
    assert refused.detail == "The API key provided has expired."
    assert worker.records[-1].principal.key_id == "key-one"


async def test_without_leave_of_the_configuration_none_opens(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual()])
    refused = await run(policy(worker, accept=False), make_exchange(BEARER))
    assert refused.reason is Reason.UNAUTHENTICATED
    refused = await run(policy(worker, NoAuthn(), accept=False), make_exchange(BEARER))
    assert refused.reason is Reason.UNAUTHENTICATED, "a credential that is shown must be good"


async def test_what_the_configuration_says_of_a_key_goes_first(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual()])
    configured = ApiKeyAuthn(keys=(KeySpec(sha256=hashlib.sha256(SECRET).hexdigest(), user="configured"),))
    exchange = make_exchange(BEARER)
    assert await run(policy(worker, configured), exchange) is None
    assert exchange.principal.user == "configured"


async def test_each_snapshot_has_its_own_trust_domain(worker: Any, make_exchange: Any, run: Any):
    worker.tools.keyring.change([virtual()])
    for domain in ("one.example", "two.example"):
        exchange = make_exchange(BEARER)
        await run(policy(worker, trust_domain=domain), exchange)
        assert exchange.principal.workload == f"spiffe://{domain}/ns/dev/sa/bot"


async def test_a_dropped_snapshot_hears_of_changes_no_more(worker: Any):
    policy(worker)
    assert len(worker.tools.keyring.followers) == 1
    while worker.tools.closers:
        worker.tools.closers.pop()()
    assert worker.tools.keyring.followers == []


@pytest.mark.parametrize("query", ["key=sk-hd-a-secret", "alt=sse&key=x", "key=", "access_token=x"])
@pytest.mark.parametrize("headers", [(), (BEARER,)])
async def test_a_key_in_the_url_is_refused_with_a_hint(
    worker: Any, make_exchange: Any, run: Any, query: str, headers: Any
):
    worker.tools.keyring.change([virtual()])
    refused = await run(policy(worker), make_exchange(*headers, query=query))
    assert refused.answer.status == 401
    assert "x-goog-api-key" in refused.detail
    assert "a-secret" not in repr((refused.detail, worker.records))
    assert await run(policy(worker), make_exchange(BEARER, query="alt=sse&pageSize=3&monkey=1")) is None
