"""Buses for tests: made by any driver, waited for until all know each other, and what they heard."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.bus import Bus
from heddle.drivers.bus.memory import MemoryBus
from heddle.drivers.bus.redis import RedisBus
from heddle.drivers.bus.unix import UnixBus


class Ear:
    """Keeps what one bus hears about a topic."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self.heard: list[bytes] = []
        self.stop = bus.subscribe(topic, self.heard.append)


async def eventually(check: Callable[[], Any], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.002)


async def quiet() -> None:
    """Long enough for what is on its way to arrive."""
    await asyncio.sleep(0.1)


async def met(buses: list[Bus]) -> None:
    """Wait until everybody hears everybody."""
    ears = [Ear(bus, "are you there") for bus in buses]
    names = [bus.address.encode() for bus in buses]
    deadline = time.monotonic() + 10
    while any(set(ear.heard) < set(names) for ear in ears):
        assert time.monotonic() < deadline, "they do not find each other"
        for bus, name in zip(buses, names, strict=True):
            bus.publish("are you there", name)
        await asyncio.sleep(0.01)
    await quiet()
    for ear in ears:
        ear.stop()


@contextlib.asynccontextmanager
async def _memory(_: Path) -> AsyncIterator[list[Bus]]:
    yield [MemoryBus()]


@contextlib.asynccontextmanager
async def unix(directory: Path, count: int = 3) -> AsyncIterator[list[UnixBus]]:
    """Processes of one machine."""
    buses = [UnixBus(directory / "bus") for _ in range(count)]
    try:
        yield buses
    finally:
        for bus in buses:
            bus.close()


@contextlib.asynccontextmanager
async def redis(directory: Path, url: str, machines: int = 2, each: int = 2) -> AsyncIterator[list[RedisBus]]:
    """Processes of several machines."""
    local = [UnixBus(directory / f"machine-{number}" / "bus") for number in range(machines) for _ in range(each)]
    buses = [RedisBus(bus, url) for bus in local]
    try:
        yield buses
    finally:
        for one in buses:
            await one.close()
        for bus in local:
            bus.close()


@contextlib.asynccontextmanager
async def _several_machines(directory: Path) -> AsyncIterator[list[Bus]]:
    server = RedisServer(directory)
    try:
        async with redis(directory, server.url) as buses:
            yield list(buses)
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def _one_machine(directory: Path) -> AsyncIterator[list[Bus]]:
    async with unix(directory) as buses:
        yield list(buses)


DRIVERS: dict[str, Callable[[Path], contextlib.AbstractAsyncContextManager[list[Bus]]]] = {
    "memory": _memory,
    "unix": _one_machine,
    "redis": _several_machines,
}
