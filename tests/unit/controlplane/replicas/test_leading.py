"""Leases: one holder at a time, whatever clocks, databases and processes do."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from heddle.controlplane.replicas import leading
from heddle.controlplane.replicas.leading import HOLD_S, LEASE_S, RESOURCE, Leading
from heddle.controlplane.store import KeyedSeal, Store
from heddle.drivers.documents import Key, UnavailableError
from heddle.drivers.documents.sqlite import SqliteDocuments


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)


PLACE = Key(RESOURCE, "kube-system", "house")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Away:
    """The store of a replica whose database is away."""

    def __init__(self, store: Store) -> None:
        self._store, self.away = store, False

    def get(self, key: Key) -> Any:
        return self._store.get(key)

    async def write(self, writes: Any) -> Any:
        if self.away:
            raise UnavailableError("away")
        return await self._store.write(writes)

    async def fresh(self) -> int:
        return await self._store.fresh()


@pytest.fixture
async def store(tmp_path: Any) -> Any:
    made = Store(SqliteDocuments(tmp_path / "a.db"), KeyedSeal(["k" * 32]), Clock())
    await made.start()
    yield made
    await made.stop()


def spec(store: Store) -> dict[str, Any]:
    found = store.get(PLACE)
    assert found is not None
    return found.object["spec"]


async def test_one_of_two_leads_and_the_other_waits(store: Store):
    clock = Clock()
    one, other = (Leading(store, "house", name, clock) for name in ("one", "other"))
    await one.turn()
    await other.turn()
    assert (one.leads, other.leads) == (True, False)
    assert spec(store)["holderIdentity"] == one.holder
    for _ in range(20):
        clock.now_s += 1
        await one.turn()
        await other.turn()
        assert (one.leads, other.leads) == (True, False)
    assert spec(store)["leaseTransitions"] == 0


async def test_a_dead_holder_is_followed_after_the_lease_and_never_before_it_stopped(store: Store):
    clock = Clock()
    one, other = (Leading(store, "house", name, clock) for name in ("one", "other"))
    await one.turn()
    await other.turn()
    began_s = clock.now_s
    while not other.leads:
        assert clock.now_s - began_s <= LEASE_S
        clock.now_s += 0.25
        await other.turn()
        assert not (one.leads and other.leads)
    assert HOLD_S < clock.now_s - began_s <= LEASE_S
    assert spec(store)["leaseTransitions"] == 1


async def test_a_holder_that_cannot_write_leads_no_longer(store: Store):
    clock, away = Clock(), Away(store)
    one = Leading(away, "house", "one", clock)
    await one.turn()
    away.away = True
    clock.now_s += HOLD_S - 0.1
    with pytest.raises(UnavailableError):
        await one.turn()
    assert one.leads
    clock.now_s += 0.1
    assert not one.leads


async def test_a_process_of_the_same_name_is_another(store: Store):
    clock = Clock()
    one, again = (Leading(store, "house", "one", clock) for _ in range(2))
    await one.turn()
    await again.turn()
    assert not again.leads


async def test_who_ends_as_asked_lets_go_at_once(store: Store):
    one, other = Leading(store, "house", "one"), Leading(store, "house", "other")
    one.start()
    other.start()
    async with asyncio.timeout(5):
        await until(lambda: one.leads)
        await one.stop()
        assert not one.leads
        began_s = asyncio.get_running_loop().time()
        await until(lambda: other.leads)
    assert asyncio.get_running_loop().time() - began_s < 1.0
    await other.stop()
    assert spec(store)["holderIdentity"] == ""


async def test_work_ends_when_the_lease_is_lost_and_begins_again_when_it_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    for name, value in (("HOLD_S", 0.3), ("LEASE_S", 0.4), ("RENEW_S", 0.05), ("LOOK_S", 0.05)):
        monkeypatch.setattr(leading, name, value)
    away = Away(store)
    one = Leading(away, "house", "one")
    begun, ended = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    one.start()
    running = asyncio.create_task(one.run(work))
    try:
        async with asyncio.timeout(10):
            await until(lambda: begun == 1)
            await asyncio.sleep(0.5)
            assert (begun, ended.is_set()) == (1, False)
            away.away = True
            await ended.wait()
            assert not one.leads
            away.away = False
            await until(lambda: begun == 2)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await one.stop()


async def test_work_that_fails_is_begun_again(store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any):
    monkeypatch.setattr(leading, "AGAIN_S", 0.01)
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        raise RuntimeError("a defect")

    for lead in (leading.Alone(), one := Leading(store, "house", "one")):
        before = begun
        one.start() if lead is one else None
        running = asyncio.create_task(lead.run(work))
        async with asyncio.timeout(5):
            await until(lambda: begun >= before + 3)  # noqa: B023 - awaited in the same turn
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await one.stop()
    assert "begins again" in caplog.text
