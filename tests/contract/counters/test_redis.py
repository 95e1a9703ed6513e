"""What only counters beyond one machine must do: be exact between clients, outlive absences, give back what died."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.counters import Charge, Refusal, Reservation, Tally
from heddle.drivers.counters import redis as driver
from heddle.drivers.counters.redis import RedisCounters

pytestmark = pytest.mark.skipif(not RedisServer.found(), reason="there is no redis-server here")
NOW = 1_700_000_000.0


def tally(limit: int, *values: str) -> Tally:
    return Tally("t", "tokens", values, limit, 60)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


async def test_many_clients_never_pass_a_limit(server: RedisServer):
    clients = [RedisCounters(server.url) for _ in range(4)]
    admitted: list[int] = []

    async def spend(client: RedisCounters) -> None:
        mine, everybodys = tally(400, "a"), tally(1000)
        for number in range(100):
            charges = [Charge(mine, 7, 0, True), Charge(everybodys, 7, 3, True)]
            outcome = await client.reserve(charges, NOW)
            if isinstance(outcome, Reservation):
                used = number % 8
                admitted.append(used)
                client.settle(outcome, [used, used])

    await asyncio.gather(*(spend(client) for client in clients))
    outcome = await clients[0].reserve([Charge(tally(400, "a"), 401)], NOW)
    assert isinstance(outcome, Refusal)
    await asyncio.gather(*(client.close() for client in clients))
    assert 380 < sum(admitted) <= 400
    last = RedisCounters(server.url)
    outcome = await last.reserve([Charge(tally(400, "a"), 401)], NOW)
    assert isinstance(outcome, Refusal)
    assert (outcome.settled, outcome.held) == (sum(admitted), 0)
    await last.close()


async def test_a_settlement_waits_for_redis_to_come_back(server: RedisServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "RETRY_S", 0.01)
    client = RedisCounters(server.url)
    outcome = await client.reserve([Charge(tally(100), 50, 0, True)], NOW)
    assert isinstance(outcome, Reservation)
    server.stop()
    client.settle(outcome, [30])
    with pytest.raises(ConnectionError):
        await client.reserve([Charge(tally(100), 1, 0, True)], NOW)
    server.start()
    for _ in range(500):
        await asyncio.sleep(0.01)
        if not client._waiting:
            break
    outcome = await client.reserve([Charge(tally(100), 101)], NOW)
    assert isinstance(outcome, Refusal)
    assert (outcome.settled, outcome.held) == (30, 0)
    await client.close()


async def test_what_a_dead_machine_held_is_given_back(server: RedisServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "LEASE_S", 0.2)
    dead = RedisCounters(server.url)
    held = await dead.reserve([Charge(tally(100), 100, 0, True)], NOW)
    assert isinstance(held, Reservation)
    client = RedisCounters(server.url)
    assert isinstance(await client.reserve([Charge(tally(100), 1)], NOW), Refusal)
    await asyncio.sleep(0.3)
    assert isinstance(await client.reserve([Charge(tally(100), 1)], NOW), Reservation)
    dead.settle(held, [20])  # it was only slow: what it used counts
    await dead.close()
    outcome = await client.reserve([Charge(tally(100), 101)], NOW)
    assert isinstance(outcome, Refusal)
    assert (outcome.settled, outcome.held) == (21, 0)
    await client.close()


async def test_a_settlement_that_is_sent_twice_counts_once(server: RedisServer):
    client = RedisCounters(server.url)
    outcome = await client.reserve([Charge(tally(100), 50, 0, True)], NOW)
    assert isinstance(outcome, Reservation)
    client.settle(outcome, [30])
    again = list(client._waiting)
    await client._send([])
    client._waiting = again
    refusal = await client.reserve([Charge(tally(100), 101)], NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.settled == 30
    await client.close()


async def test_out_of_reach_it_is_an_error_within_its_time():
    client = RedisCounters("redis://127.0.0.1:1/0")
    with pytest.raises(ConnectionError):
        await client.reserve([Charge(tally(1), 1)], NOW)
    await client.close()


async def test_nothing_of_a_caller_is_in_its_keys(server: RedisServer):
    client = RedisCounters(server.url)
    await client.reserve([Charge(tally(9, "user=alice"), 1)], NOW)
    assert all(b"alice" not in key for key in await client._redis.keys("*"))
    assert await client.reserve([Charge(tally(9, "user=alice"), 1)], NOW)
    await client.close()
