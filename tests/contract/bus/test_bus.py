"""What every `Bus` promises. A new driver adds itself to `DRIVERS` and has to pass all of it."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.bus.meeting import DRIVERS, Ear, eventually, met, quiet
from tests.contract.counters.redis_server import RedisServer

from heddle.drivers.bus import MAX_PAYLOAD_BYTES, Bus
from heddle.drivers.bus.memory import ADDRESS, MemoryBus


@pytest.fixture(params=sorted(DRIVERS))
async def buses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Bus]]:
    if request.param == "redis" and not RedisServer.found():
        pytest.skip("there is no redis-server here")
    async with DRIVERS[request.param](tmp_path) as made:
        await met(made)
        yield made


async def test_what_is_published_comes_to_all_subscribers_once(buses: list[Bus]):
    ears = [Ear(bus, "news") for bus in [*buses, *buses]]
    others = [Ear(bus, "new") for bus in buses]
    for number, bus in enumerate(buses):
        bus.publish("news", b"from %d" % number)
    wanted = [b"from %d" % number for number in range(len(buses))]
    await eventually(lambda: all(sorted(ear.heard) == wanted for ear in ears))
    await quiet()
    assert [sorted(ear.heard) for ear in ears] == [wanted] * len(ears)
    assert [ear.heard for ear in others] == [[]] * len(others)


async def test_the_order_of_a_speaker_is_kept(buses: list[Bus]):
    ears = [Ear(bus, "t") for bus in buses]
    said = [b"%d " % number + b"x" * (number % 7 * 20_000) for number in range(600)]
    for message in said:
        buses[0].publish("t", message)
        if len(message) > 100_000:
            await asyncio.sleep(0)
    await eventually(lambda: all(len(ear.heard) == len(said) for ear in ears))
    assert all(ear.heard == said for ear in ears)
    assert buses[0].dropped == 0


async def test_what_is_sent_comes_to_one_process(buses: list[Bus]):
    ears = [Ear(bus, "t") for bus in buses]
    for bus in buses:
        for other in buses:
            assert bus.send(other.address, "t", other.address.encode())
    await eventually(lambda: all(len(ear.heard) == len(buses) for ear in ears))
    await quiet()
    assert [ear.heard for ear in ears] == [[bus.address.encode()] * len(buses) for bus in buses]


@pytest.mark.parametrize("payload", [b"", b"\0\xff\n", bytes(300_000), b"m" * MAX_PAYLOAD_BYTES])
async def test_payloads_come_whole(buses: list[Bus], payload: bytes):
    ears = [Ear(bus, "a topic, \u00e9 \n") for bus in buses]
    buses[0].publish("a topic, \u00e9 \n", payload)
    buses[0].publish("a topic, \u00e9 \n", b"after")
    await eventually(lambda: all(len(ear.heard) == 2 for ear in ears), within_s=60)
    assert all(ear.heard == [payload, b"after"] for ear in ears)


async def test_what_is_no_message_is_given_up_and_counted(buses: list[Bus], caplog: pytest.LogCaptureFixture):
    ears = [Ear(bus, "t") for bus in buses]
    bus = buses[0]
    with caplog.at_level(logging.WARNING):
        bus.publish("t", bytes(MAX_PAYLOAD_BYTES + 1))
        bus.publish("", b"")
        bus.publish("t" * 256, b"")
        for other in buses:
            bus.send(other.address, "t", bytes(MAX_PAYLOAD_BYTES + 1))
        bus.publish("t", b"next")
    assert bus.dropped >= 4
    assert len(caplog.records) == 1, "and said once"
    await eventually(lambda: all(ear.heard == [b"next"] for ear in ears))


async def test_topics_have_a_length(buses: list[Bus]):
    for topic in ("", "t" * 256, "\u00e9" * 128):
        with pytest.raises(ValueError, match="255 bytes"):
            buses[0].subscribe(topic, print)


async def test_who_unsubscribed_hears_nothing_more(buses: list[Bus]):
    ear, other = Ear(buses[-1], "t"), Ear(buses[-1], "t")
    buses[0].publish("t", b"1")
    await eventually(lambda: other.heard)
    ear.stop()
    ear.stop()
    buses[0].publish("t", b"2")
    await eventually(lambda: len(other.heard) == 2)
    assert ear.heard == [b"1"]
    other.stop()
    buses[0].publish("t", b"3")
    await quiet()
    assert len(other.heard) == 2


async def test_a_handler_that_fails_harms_nobody(buses: list[Bus], caplog: pytest.LogCaptureFixture):
    def fails(payload: bytes) -> None:
        raise RuntimeError

    buses[-1].subscribe("t", fails)
    ear = Ear(buses[-1], "t")
    buses[0].publish("t", b"1")
    buses[0].publish("t", b"2")
    await eventually(lambda: ear.heard == [b"1", b"2"])
    assert [record.getMessage() for record in caplog.records] == ["a subscriber of t failed"] * 2


async def test_a_handler_may_speak_subscribe_and_unsubscribe(buses: list[Bus]):
    answers, later = Ear(buses[0], "answer"), Ear(buses[-1], "late")

    def answer(payload: bytes) -> None:
        later.stop()
        buses[-1].subscribe("late", lambda said: buses[-1].publish("answer", said))
        buses[-1].publish("answer", payload)

    buses[-1].subscribe("question", answer)
    buses[0].publish("question", b"q")
    await eventually(lambda: answers.heard == [b"q"])
    buses[0].publish("late", b"l")
    await eventually(lambda: answers.heard == [b"q", b"l"])
    assert later.heard == []


async def test_who_speaks_is_not_interrupted(buses: list[Bus]):
    ear = Ear(buses[0], "t")
    buses[0].publish("t", b"")
    buses[0].send(buses[0].address, "t", b"")
    assert ear.heard == []
    await eventually(lambda: len(ear.heard) == 2)


async def test_two_that_answer_each_other_stop_nobody(buses: list[Bus]):
    stop = buses[0].subscribe("t", lambda payload: buses[0].publish("t", payload))
    buses[0].publish("t", b"")
    await asyncio.sleep(0.02)
    stop()


async def test_what_is_no_address_is_nobodys(buses: list[Bus]):
    bus = buses[0]
    machine, _, process = bus.address.partition(".")
    wrong = ["", ".", "x", machine, process, f"{machine}.../lock", f"{machine}./etc/passwd", bus.address + "\n"]
    wrong += [bus.address.upper() + "A", f"{machine}.1-\u0661{process[-11:]}", "0" * 10_000]
    assert [bus.send(address, "t", b"") for address in wrong] == [False] * len(wrong)


async def test_an_address_is_of_one_incarnation(buses: list[Bus]):
    addresses = {bus.address for bus in buses}
    assert len(addresses) == len(buses)
    assert all(ADDRESS.fullmatch(address) and re.fullmatch(r"[0-9a-f.-]{1,40}", address) for address in addresses)


async def test_who_is_gone_is_known_to_be(buses: list[Bus]):
    if isinstance(buses[0], MemoryBus):
        assert not buses[0].send(MemoryBus().address, "t", b"")
        return
    gone: Any = buses[-1]
    closing = gone.close()
    if closing is not None:
        await closing
    # Of another machine it is known from the first attempt on.
    await eventually(lambda: not buses[0].send(gone.address, "t", b""))
    ear = Ear(buses[1], "t")
    buses[0].publish("t", b"go on")
    await eventually(lambda: ear.heard == [b"go on"])
