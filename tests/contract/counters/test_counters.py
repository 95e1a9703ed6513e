"""What every `Counters` promises. A new driver adds itself to `DRIVERS` and has to pass all of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.counters import MAX_AMOUNT, Charge, Counters, Refusal, Reservation, Tally
from heddle.drivers.counters.memory import MemoryCounters
from heddle.drivers.counters.redis import RedisCounters
from heddle.drivers.counters.shared import SharedCounters, prepare

NOW = 1_700_000_000.0


def _memory(_: Path) -> tuple[Counters, Callable[[], None]]:
    return MemoryCounters(), lambda: None


def _shared(directory: Path) -> tuple[Counters, Callable[[], None]]:
    file = prepare(directory / "limits.bin", 2, 64, NOW)
    counters = SharedCounters(directory / "limits.bin", 1)

    def close() -> None:
        counters.close()
        file.close()

    return counters, close


def _redis(directory: Path) -> tuple[Counters, Callable[[], Awaitable[None]]]:
    server = RedisServer(directory)
    counters = RedisCounters(server.url)

    async def close() -> None:
        await counters.close()
        server.stop()

    return counters, close


DRIVERS: dict[str, Callable[[Path], tuple[Counters, Callable[[], Awaitable[None] | None]]]] = {
    "memory": _memory,
    "shared": _shared,
    "redis": _redis,
}


@pytest.fixture(params=sorted(DRIVERS))
async def counters(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counters]:
    if request.param == "redis" and not RedisServer.found():
        pytest.skip("there is no redis-server here")
    made, close = DRIVERS[request.param](tmp_path)
    yield made
    closing = close()
    if closing is not None:
        await closing


def tally(limit: int = 10, window_s: int = 60, *values: str, unit: str = "tokens", name: str = "t") -> Tally:
    return Tally(name, unit, values, limit, window_s)


async def admit(counters: Counters, *charges: Charge, now_s: float = NOW) -> Reservation:
    outcome = await counters.reserve(charges, now_s)
    assert isinstance(outcome, Reservation)
    return outcome


async def refuse(counters: Counters, *charges: Charge, now_s: float = NOW) -> Refusal:
    outcome = await counters.reserve(charges, now_s)
    assert isinstance(outcome, Refusal)
    return outcome


async def test_the_last_unit_is_admitted_and_the_next_refused(counters: Counters) -> None:
    count = tally(3)
    assert [(await admit(counters, Charge(count, 1))).remaining for _ in range(3)] == [[2], [1], [0]]
    refusal = await refuse(counters, Charge(count, 1))
    assert (refusal.settled, refusal.held, refusal.resets_s) == (3, 0, 1_700_000_040)


async def test_refusals_count_nothing(counters: Counters) -> None:
    count = tally(10)
    for _ in range(5):
        await refuse(counters, Charge(count, 11))
    assert (await admit(counters, Charge(count, 10))).remaining == [0]


async def test_all_or_none(counters: Counters) -> None:
    wide, held, tight = tally(100), tally(100, 60, "held"), tally(1, 60, "x")
    await admit(counters, Charge(tight, 1))
    refusal = await refuse(counters, Charge(wide, 7), Charge(held, 7, 0, True), Charge(tight, 1))
    assert refusal.charge.tally is tight
    assert (await admit(counters, Charge(wide, 1), Charge(held, 1))).remaining == [99, 99]


async def test_what_is_held_counts_until_settled(counters: Counters) -> None:
    count = tally(100)
    reservation = await admit(counters, Charge(count, 60, 0, True))
    assert list(reservation.granted) == [60]
    refusal = await refuse(counters, Charge(count, 50, 0, True))
    assert (refusal.settled, refusal.held) == (0, 60)
    counters.settle(reservation, [10])
    assert (await admit(counters, Charge(count, 50, 0, True))).remaining == [40]


async def test_settling_above_the_reservation_counts_all_of_it(counters: Counters) -> None:
    count = tally(100)
    counters.settle(await admit(counters, Charge(count, 10, 0, True)), [250])
    assert (await refuse(counters, Charge(count, 1))).settled == 250


@pytest.mark.parametrize(("amount", "counted"), [(-5, 0), (2**80, MAX_AMOUNT)])
async def test_absurd_usage_neither_refunds_nor_overflows(counters: Counters, amount: int, counted: int) -> None:
    count = tally(2**50)
    counters.settle(await admit(counters, Charge(count, 10, 0, True)), [amount])
    assert (await admit(counters, Charge(count, 1))).remaining == [2**50 - counted - 1]


async def test_released_is_as_if_never_reserved(counters: Counters) -> None:
    count = tally(100)
    counters.release(await admit(counters, Charge(count, 100, 0, True)))
    assert (await admit(counters, Charge(count, 100, 0, True))).remaining == [0]


async def test_settling_or_releasing_twice_does_nothing(counters: Counters) -> None:
    count = tally(100)
    reservation = await admit(counters, Charge(count, 30, 0, True))
    counters.settle(reservation, [20])
    counters.settle(reservation, [20])
    counters.release(reservation)
    assert (await admit(counters, Charge(count, 1))).remaining == [79]


async def test_only_charges_that_hold_are_settled(counters: Counters) -> None:
    requests, tokens = tally(10, unit="requests"), tally(100)
    reservation = await admit(counters, Charge(requests, 1), Charge(tokens, 50, 0, True))
    counters.settle(reservation, [5])
    assert (await admit(counters, Charge(requests, 1), Charge(tokens, 1))).remaining == [8, 94]


async def test_an_elastic_charge_takes_what_is_left(counters: Counters) -> None:
    count = tally(100)
    await admit(counters, Charge(count, 70))
    reservation = await admit(counters, Charge(count, 50, 20, True))
    assert (list(reservation.granted), reservation.remaining) == ([30], [0])
    counters.settle(reservation, [10])
    assert (await refuse(counters, Charge(count, 50, 21, True))).settled == 80
    assert list((await admit(counters, Charge(count, 50, 20, True))).granted) == [20]


async def test_an_elastic_charge_is_undone_whole_when_another_limit_refuses(counters: Counters) -> None:
    count, none = tally(100), tally(0, 60, "none")
    await admit(counters, Charge(count, 70))
    await refuse(counters, Charge(count, 50, 20, True), Charge(none, 1))
    assert (await admit(counters, Charge(count, 30))).remaining == [0]


async def test_windows_are_apart_and_a_late_settlement_stays_in_its_own(counters: Counters) -> None:
    count = tally(10)
    reservation = await admit(counters, Charge(count, 10, 0, True))
    await refuse(counters, Charge(count, 1), now_s=1_700_000_039.9)
    assert (await admit(counters, Charge(count, 4), now_s=1_700_000_040.0)).remaining == [6]
    counters.settle(reservation, [9])
    assert (await admit(counters, Charge(count, 1), now_s=1_700_000_041.0)).remaining == [5]
    assert (await admit(counters, Charge(count, 1), now_s=NOW)).remaining == [0]  # a clock that was set back


async def test_keys_limits_units_and_windows_are_apart(counters: Counters) -> None:
    counts = [
        tally(5, 60, "ab", "c"),
        tally(5, 60, "a", "bc"),
        tally(5, 60, "abc"),
        tally(5, 61, "abc"),
        tally(5, 60, "abc", unit="requests"),
        tally(5, 60, "abc", name="other"),
        tally(5, 60, "'), ("),
        tally(5, 60, "\udc80"),
    ]
    assert [(await admit(counters, Charge(count, 1))).remaining for count in counts] == [[4]] * len(counts)


async def test_the_same_key_is_one_count_whoever_holds_the_tally(counters: Counters) -> None:
    await admit(counters, Charge(tally(5), 2))
    assert (await admit(counters, Charge(tally(5), 2))).remaining == [1]


async def test_a_limit_that_is_changed_keeps_what_was_counted(counters: Counters) -> None:
    await admit(counters, Charge(tally(5), 4))
    assert (await admit(counters, Charge(tally(50), 1))).remaining == [45]
    assert (await refuse(counters, Charge(tally(3), 1))).settled == 5


async def test_a_limit_of_zero_admits_nothing(counters: Counters) -> None:
    await refuse(counters, Charge(tally(0), 1))


async def test_what_fits_is_added_at_once_or_not_at_all(counters: Counters) -> None:
    if isinstance(counters, RedisCounters):
        assert counters.try_add(tally(10), 1, NOW, False) == -1, "it has to wait"
        return
    count = tally(10)
    await admit(counters, Charge(count, 1))
    assert [counters.try_add(count, 4, NOW, False) for _ in range(3)] == [5, 1, -1]
    assert counters.try_add(count, 11, NOW, False) == -1
    assert (await admit(counters, Charge(count, 1))).remaining == [0]


async def test_what_is_held_by_it_is_settled_with_what_was_used(counters: Counters) -> None:
    if isinstance(counters, RedisCounters):
        assert counters.try_add(tally(10), 1, NOW, False) == -1, "it has to wait"
        return
    count = tally(10)
    await admit(counters, Charge(count, 1))
    assert counters.try_add(count, 5, NOW, True) == 4
    counters.settle_one(count.row, 5, 2)
    assert counters.try_add(count, 7, NOW, True) == 0
    refusal = await refuse(counters, Charge(count, 1))
    assert (refusal.settled, refusal.held) == (3, 7)
    counters.settle_one(count.row, 7, 0)
    assert (await admit(counters, Charge(count, 7))).remaining == [0]


async def test_the_next_window_begins_with_a_reservation(counters: Counters) -> None:
    count = tally(10)
    await admit(counters, Charge(count, 10))
    later = NOW + 60
    if counters.try_add(count, 1, later, False) < 0:
        assert (await admit(counters, Charge(count, 1), now_s=later)).remaining == [9]
