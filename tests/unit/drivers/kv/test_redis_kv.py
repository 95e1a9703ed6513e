"""A Redis that is away, comes back, or hangs: nothing is remembered then, and nobody waits long."""

import asyncio
import hashlib
import time
from pathlib import Path

import pytest
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.kv import redis as driver
from heddle.drivers.kv.redis import RedisStores

KEY = hashlib.sha256(b"a").digest()


@pytest.fixture(autouse=True)
def needs_redis():
    if not RedisServer.found():
        pytest.skip("there is no redis-server here")


async def test_a_dead_redis_is_a_miss_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver, "REST_S", 0.05)
    server = RedisServer(tmp_path)
    stores = RedisStores(server.url, password="hunter2-secret")
    kv = stores("thinking")
    try:
        server.stop()
        for _ in range(3):
            assert await kv.get(KEY) is None
            writing = kv.put(KEY, b"v", 60)
            assert writing is not None
            await writing
            await asyncio.sleep(0.06)
        assert caplog.text.count("cannot be asked") == 1
        assert "hunter2" not in caplog.text
    finally:
        await stores.close()


async def test_it_is_asked_again_when_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "REST_S", 0.05)
    server = RedisServer(tmp_path)
    stores = RedisStores(server.url)
    kv = stores("thinking")
    try:
        server.stop()
        assert await kv.get(KEY) is None
        server.start()
        await asyncio.sleep(0.06)
        writing = kv.put(KEY, b"v", 60)
        assert writing is not None
        await writing
        assert await kv.get(KEY) == b"v"
    finally:
        await stores.close()
        server.stop()


async def test_one_that_hangs_costs_one_time_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "TIMEOUT_S", 0.1)
    held: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    stores = RedisStores(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    began = time.monotonic()
    for _ in range(20):
        assert await stores("thinking").get(KEY) is None
    assert time.monotonic() - began < 1.0
    await stores.close()
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()
