"""What only a bus beyond one machine must do: keep apart what is near, outlive absences, believe nothing."""

import logging
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import asyncio as client
from tests.contract.bus.meeting import Ear, eventually, met, quiet, redis
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.bus import redis as driver
from heddle.drivers.bus.redis import CHANNEL, KEPT, RedisBus

pytestmark = pytest.mark.skipif(not RedisServer.found(), reason="there is no redis-server here")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
async def buses(server: RedisServer, tmp_path: Path) -> AsyncIterator[list[RedisBus]]:
    async with redis(tmp_path, server.url, machines=2, each=2) as made:
        await met(list(made))
        yield made


@pytest.fixture
async def anybody(server: RedisServer) -> AsyncIterator[Any]:
    """Who else can write to the Redis."""
    connected = client.Redis.from_url(server.url)
    yield connected
    await connected.aclose()


async def test_what_is_near_takes_no_detour(buses: list[RedisBus], server: RedisServer):
    here, near, *far = buses
    ears = [Ear(bus, "t") for bus in buses]
    server.stop()
    here.publish("t", b"1")
    assert here.send(near.address, "t", b"2")
    await eventually(lambda: (ears[0].heard, ears[1].heard) == ([b"1"], [b"1", b"2"]))
    await quiet()
    assert [ear.heard for ear in ears[2:]] == [[]] * len(far)


async def test_an_absence_is_survived_and_said_once(
    buses: list[RedisBus], server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(driver, "REST_S", 0.1)
    speaker, listener = buses[0], buses[2]
    ear = Ear(listener, "t")
    with caplog.at_level(logging.WARNING):
        server.stop()
        for _ in range(20):
            speaker.publish("t", b"into the void")
            await quiet()
        await eventually(lambda: not speaker.send(listener.address, "t", b""))
        assert ear.heard == []
        assert speaker.dropped >= 20
        server.start()
        await met(list(buses))
    speaker.publish("t", b"back")
    assert speaker.send(listener.address, "t", b"to you")
    await eventually(lambda: ear.heard == [b"back", b"to you"])
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if line.startswith("redis cannot be reached")]) == len(buses)
    assert said.count("redis answers again") == len(buses)
    assert len([line for line in said if line.startswith("messages between workers are given up")]) <= len(buses)


async def test_a_large_payload_waits_for_a_minute_under_a_name_that_nobody_guesses(buses: list[RedisBus], anybody: Any):
    ear = Ear(buses[2], "t")
    payload = bytes(driver.WHOLE_BYTES + 1)
    buses[0].publish("t", payload)
    await eventually(lambda: ear.heard == [payload])
    (key,) = await anybody.keys("*")
    assert key.startswith(KEPT)
    assert len(key) == len(KEPT) + 32
    assert 0 < await anybody.pttl(key) <= driver.KEEP_MS


async def test_a_large_payload_that_is_no_longer_there_is_given_up(
    buses: list[RedisBus], monkeypatch: pytest.MonkeyPatch
):
    ear = Ear(buses[2], "t")
    monkeypatch.setattr(driver, "KEEP_MS", 1)
    heard = buses[2]._heard

    async def late(data: bytes) -> None:
        await quiet()
        await heard(data)

    buses[2]._heard = late  # type: ignore[method-assign]
    buses[0].publish("t", bytes(driver.WHOLE_BYTES + 1))
    buses[0].publish("t", b"next")
    await eventually(lambda: ear.heard == [b"next"])
    assert buses[2].dropped == 1


def said(kept: int, speaker: bytes, topic: bytes, rest: bytes) -> bytes:
    return struct.pack("!BBB", kept, len(speaker), len(topic)) + speaker + topic + rest


async def test_nonsense_on_the_channel_is_left_out(buses: list[RedisBus], anybody: Any):
    ears = [Ear(bus, "t") for bus in buses]
    stranger = b"0123456789ab.1-0123456789ab"
    await anybody.set("secret", "of somebody else")
    nonsense = [b"", b"\0\0", b"\xff" * 50, said(0, b"nobody", b"t", b"x"), said(0, b"\xff", b"t", b"x")]
    nonsense += [said(0, stranger, b"\xff", b"x"), said(1, stranger, b"t", b"secret"), said(0, stranger, b"", b"x")]
    nonsense += [said(1, stranger, b"t", KEPT + b"unknown"), said(0, stranger + b"\n", b"t", b"x")]
    for data in nonsense:
        await anybody.publish(CHANNEL, data)
    await anybody.publish(CHANNEL, said(0, stranger, b"t", b"sense"))
    await eventually(lambda: all(ear.heard == [b"sense"] for ear in ears))


async def test_an_address_that_nobody_answers_at_is_asked_again_after_a_while(
    buses: list[RedisBus], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver, "GONE_S", 0.2)
    gone = "0123456789ab.1-0123456789ab"
    assert buses[0].send(gone, "t", b"")
    await eventually(lambda: not buses[0].send(gone, "t", b""))
    await eventually(lambda: buses[0].send(gone, "t", b""))
    for number in range(driver.MAX_GONE + 10):
        buses[0]._note_gone(b"%s:%d" % (CHANNEL, number))
    assert len(buses[0]._gone) == driver.MAX_GONE


async def test_a_wrong_password_is_not_shown(server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with redis(tmp_path, server.url.replace("//", "//user:hunter2@"), 1, 1) as (bus,):
        await eventually(lambda: caplog.records)
        bus.publish("t", b"")
        await quiet()
        assert "hunter2" not in caplog.text + repr(bus)
