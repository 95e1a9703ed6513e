"""The queue between a child and one reader."""

import asyncio

import pytest

from heddle.stdio import stream as streams
from heddle.stdio.stream import BACKLOG, MAX_MESSAGES, Stream, Told


async def test_messages_come_in_order_and_then_the_end():
    stream = Stream()
    for number in range(3):
        await stream.put(Told(b"%d" % number, last=number == 2))
    stream.close()
    assert [await stream.get() for _ in range(4)] == [Told(b"0"), Told(b"1"), Told(b"2", last=True), None]


async def test_a_slow_reader_holds_up_the_writer():
    stream = Stream()
    for _ in range(MAX_MESSAGES):
        await stream.put(Told(b"x"))
    writing = asyncio.ensure_future(stream.put(Told(b"one more")))
    await asyncio.sleep(0.01)
    assert not writing.done()
    await stream.put(Told(b"answer", last=True))
    await stream.get()
    await stream.get()
    await asyncio.wait_for(writing, 1)


async def test_bytes_count_too_but_one_message_always_fits():
    stream = Stream()
    await stream.put(Told(b"x" * (2 * streams.MAX_BYTES)))
    writing = asyncio.ensure_future(stream.put(Told(b"x")))
    await asyncio.sleep(0.01)
    assert not writing.done()
    await stream.get()
    await asyncio.wait_for(writing, 1)


async def test_a_reader_that_stalls_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "STALL_S", 0.05)
    stream = Stream()
    for _ in range(MAX_MESSAGES + 1):
        await stream.put(Told(b"x"))
    assert stream.closed
    await asyncio.wait_for(stream.put(Told(b"dropped")), 0.01)
    assert [await stream.get() for _ in range(MAX_MESSAGES + 1)][-1] is None


async def test_closing_lets_the_writer_go():
    stream = Stream()
    for _ in range(MAX_MESSAGES):
        await stream.put(Told(b"x"))
    writing = asyncio.ensure_future(stream.put(Told(b"x")))
    await asyncio.sleep(0.01)
    stream.close()
    await asyncio.wait_for(writing, 1)


async def test_without_a_reader_the_latest_are_kept_for_the_next():
    stream = Stream(attached=False)
    for number in range(BACKLOG + 10):
        await stream.put(Told(b"%d" % number))
    opened = stream.handed_on(attached=True)
    assert await stream.get() is None
    assert [(await opened.get()).data for _ in range(BACKLOG)] == [b"%d" % n for n in range(10, BACKLOG + 10)]
    assert opened._size == 0


async def test_silence_is_told():
    with pytest.raises(TimeoutError):
        await Stream().get(0.01)
