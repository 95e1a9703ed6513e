"""What every `Kv` promises. A new driver adds itself to `DRIVERS` and has to pass all of it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.kv import SPACES, Kv, Stores
from heddle.drivers.kv.memory import MemoryStores
from heddle.drivers.kv.redis import RedisStores
from heddle.drivers.kv.shared import SharedStores

Made = tuple[Stores, Callable[[], Awaitable[None] | None]]


class Clock:
    """Ours, or the machine's where a driver has its own."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def _memory(_: Path, clock: Clock) -> Made:
    return MemoryStores(clock), lambda: None


def _shared(directory: Path, clock: Clock) -> Made:
    stores = SharedStores(directory / "kv", 0, clock)
    return stores, stores.close


def _redis(directory: Path, _: Clock) -> Made:
    server = RedisServer(directory)
    stores = RedisStores(server.url)

    async def close() -> None:
        await stores.close()
        server.stop()

    return stores, close


DRIVERS: dict[str, Callable[[Path, Clock], Made]] = {"memory": _memory, "shared": _shared, "redis": _redis}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=sorted(DRIVERS))
async def stores(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Stores]:
    if request.param == "redis" and not RedisServer.found():
        pytest.skip("there is no redis-server here")
    made, close = DRIVERS[request.param](tmp_path, clock)
    yield made
    closing = close()
    if closing is not None:
        await closing


@pytest.fixture
def kv(stores: Stores) -> Kv:
    return stores("thinking")


def key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


async def keep(kv: Kv, name: str, value: bytes, ttl_s: float = 60) -> None:
    await done(kv.put(key(name), value, ttl_s))


async def done(writing: Any) -> None:
    if writing is not None:
        await writing


async def test_what_was_put_is_there(kv: Kv):
    assert await kv.get(key("a")) is None
    await keep(kv, "a", b"one")
    await keep(kv, "b", b"")
    await keep(kv, "c", bytes(range(256)) * 100)
    assert await kv.get(key("a")) == b"one"
    assert await kv.get(key("b")) == b""
    assert await kv.get(key("c")) == bytes(range(256)) * 100


async def test_the_latest_value_holds(kv: Kv):
    for value in (b"one", b"two", b"a longer one", b""):
        await keep(kv, "a", value)
        assert await kv.get(key("a")) == value


async def test_a_value_ends(kv: Kv, clock: Clock, stores: Stores):
    await keep(kv, "short", b"gone", 1.2)
    await keep(kv, "long", b"here", 60)
    if isinstance(stores, RedisStores):
        await asyncio.sleep(1.3)
    clock.now += 2
    assert await kv.get(key("short")) is None
    assert await kv.get(key("long")) == b"here"


async def test_what_was_deleted_is_gone_until_it_is_put_again(kv: Kv):
    await keep(kv, "a", b"one")
    await done(kv.delete(key("a")))
    await done(kv.delete(key("never there")))
    assert await kv.get(key("a")) is None
    await keep(kv, "a", b"two")
    assert await kv.get(key("a")) == b"two"


async def test_too_large_a_value_replaces_nothing_by_half(kv: Kv):
    await keep(kv, "a", b"one")
    await keep(kv, "a", bytes(SPACES["thinking"].value_bytes + 1))
    assert await kv.get(key("a")) is None
    await keep(kv, "a", bytes(SPACES["thinking"].value_bytes))
    assert await kv.get(key("a")) == bytes(SPACES["thinking"].value_bytes)


async def test_spaces_are_apart(stores: Stores):
    await keep(stores("thinking"), "a", b"thought")
    await keep(stores("answers"), "a", b"answer")
    assert await stores("owners").get(key("a")) is None
    assert await stores("thinking").get(key("a")) == b"thought"
    assert await stores("answers").get(key("a")) == b"answer"


async def test_many_values_are_told_apart(kv: Kv):
    for number in range(500):
        await keep(kv, str(number), str(number).encode() * 7)
    for number in range(500):
        assert await kv.get(key(str(number))) == str(number).encode() * 7


async def test_keys_are_digests(kv: Kv):
    with pytest.raises(ValueError, match="32 bytes"):
        kv.put(b"short", b"", 1)
