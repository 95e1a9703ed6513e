"""Warnings: once per window, signed, repeated until they are taken, never on the way of a call."""

import asyncio
import base64
import hashlib
import hmac
import json

import pytest
from tests.unit.policies.budget.world import ALICE, BOB, World, tokens, usd

from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.snapshot_budgets import WebhookSpec
from heddle.net.errors import ConnectFailed
from heddle.policies.budget import warning
from heddle.telemetry import names

HOOK = WebhookSpec(url="https://hooks.example.com/budget", secret="whsec_" + base64.b64encode(b"s" * 32).decode())


class Client:
    """Takes what is posted; fails as often as it is told to."""

    def __init__(self) -> None:
        self.requests: list[object] = []
        self.answers: list[object] = []

    def origin(self, url: str) -> str:
        return url

    def discard(self, origin: str) -> None:
        pass

    async def send(self, origin: str, request: object, timeouts: object) -> object:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer

        class Answer:
            status = answer

            def close(self) -> None:
                pass

        return Answer()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warning, "LOOK_S", 0.0)
    monkeypatch.setattr(warning, "PAUSES_S", (0.0, 0.0))


async def settled(world: World) -> None:
    for _ in range(200):
        await asyncio.sleep(0)
    assert not world.policy.warnings._looking


def made(*budgets, counters: object = None) -> tuple[World, Client]:
    world, client = World(*budgets, counters=counters), Client()
    world.tools.client = client
    return world, client


async def test_each_share_is_told_once_for_each_window_and_balance():
    world, client = made(usd(100, key=("user",), warn_at=(0.5, 1.0), webhook=HOOK))
    await world.spend((40, 0))
    await settled(world)
    assert client.requests == []
    for _ in range(3):
        await world.spend((20, 0))
        await settled(world)
    assert [json.loads(one.body)["data"]["share"] for one in client.requests] == [0.5, 1.0]
    await world.spend((60, 0), BOB)
    await settled(world)
    assert json.loads(client.requests[-1].body)["data"]["key"] == {"user": "bob"}
    world.now += 86_400
    await world.spend((60, 0))
    await settled(world)
    assert len(client.requests) == 4
    assert world.metrics.counter(names.BUDGET_WARNINGS, budget="money", result="delivered").value == 4


async def test_it_says_what_was_spent_of_what_and_proves_where_it_comes_from():
    world, client = made(usd(100, warn_at=(0.8,), webhook=HOOK))
    await world.spend((85, 0))
    await settled(world)
    (request,) = client.requests
    event = json.loads(request.body)
    assert event["type"] == "budget.warning"
    assert event["data"] == {
        "budget": "money",
        "share": 0.8,
        "unit": "usd",
        "limit": 100.0,
        "used": 85.0,
        "key": {},
        "window": {"starts": "2023-11-14T00:00:00.000Z", "ends": "2023-11-15T00:00:00.000Z"},
    }
    fields = dict(request.headers)
    assert fields[b"webhook-id"].decode() == event["id"]
    content = b".".join((fields[b"webhook-id"], fields[b"webhook-timestamp"], request.body))
    digest = hmac.new(b"s" * 32, content, hashlib.sha256).digest()
    assert fields[b"webhook-signature"] == b"v1," + base64.b64encode(digest)


async def test_holds_do_not_warn():
    world, client = made(usd(100, warn_at=(0.5,), webhook=HOOK))
    held = await world.start(size=90, max_output_tokens=0)
    await world.spend((1, 0))
    await settled(world)
    assert client.requests == []
    world.finish(held, (90, 0))
    await settled(world)
    assert len(client.requests) == 1


async def test_a_webhook_that_fails_is_tried_again_with_the_same_id():
    world, client = made(usd(100, warn_at=(0.5,), webhook=HOOK))
    client.answers = [ConnectFailed("no"), 500, 204]
    await world.spend((60, 0))
    await settled(world)
    assert len({dict(one.headers)[b"webhook-id"] for one in client.requests}) == 1
    assert len(client.requests) == 3


async def test_one_that_never_takes_it_is_asked_again_after_the_next_call():
    world, client = made(usd(100, warn_at=(0.5,), webhook=HOOK))
    client.answers = [500] * 3
    await world.spend((60, 0))
    await settled(world)
    assert world.metrics.counter(names.BUDGET_WARNINGS, budget="money", result="failed").value == 1
    await world.spend((1, 0))
    await settled(world)
    assert len(client.requests) == 4


async def test_of_two_workers_one_tells():
    counters = MemoryCounters()
    spec = tokens(100, warn_at=(0.5,), webhook=HOOK)
    (one, first), (other, second) = made(spec, counters=counters), made(spec, counters=counters)
    await one.spend((60, 0))
    await other.spend((5, 0), ALICE)
    await settled(one)
    await settled(other)
    assert len(first.requests) + len(second.requests) == 1


async def test_without_a_webhook_it_is_an_audit_record():
    world, client = made(usd(100, warn_at=(0.5,)))
    await world.spend((60, 0))
    await settled(world)
    assert [(one.kind, one.outcome, one.detail) for one in world.records] == [
        ("budget", "warn", "50% of budget 'money' is spent")
    ]
    assert client.requests == []


async def test_a_snapshot_that_goes_gives_back_what_it_did_not_deliver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(warning, "PAUSES_S", (60.0,))
    counters = MemoryCounters()
    spec = tokens(100, warn_at=(0.5,), webhook=HOOK)
    world, client = made(spec, counters=counters)
    client.answers = [500]
    await world.spend((60, 0))
    await settled(world)
    for close in world.closers:
        close()
    await asyncio.sleep(0)
    after, later = made(spec, counters=counters)
    await after.spend((1, 0))
    await settled(after)
    assert len(later.requests) == 1


def test_a_secret_of_any_text():
    fields = dict(warning.signed("any text of length", b"id", b"1", b"{}"))
    digest = hmac.new(b"any text of length", b"id.1.{}", hashlib.sha256).digest()
    assert fields[b"webhook-signature"] == b"v1," + base64.b64encode(digest)
    assert warning.signed("whsec_not base64!", b"id", b"1", b"{}")
