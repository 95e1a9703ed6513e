"""The hand-over of a body from a connection to its reader."""

import asyncio

import pytest

from heddle.net.body import HIGH_WATER_BYTES, Body
from heddle.net.errors import BodyTooLarge, PeerGone


class Recorder:
    def __init__(self):
        self.calls = []

    def pause_body(self):
        self.calls.append("pause")

    def resume_body(self):
        self.calls.append("resume")

    def want_body(self):
        self.calls.append("want")

    def drop_body(self, body):
        self.calls.append("drop")


def run_without_suspending(coroutine):
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def test_a_complete_body_is_read_without_suspending():
    body = Body.of(b"hello")
    assert body.complete
    assert run_without_suspending(body.read(5)) == b"hello"
    assert run_without_suspending(Body.of(b"").read(0)) == b""


async def test_read_joins_what_arrives_and_stops_at_its_bound():
    body = Body(Recorder())
    reader = asyncio.create_task(body.read(10))
    for piece in (b"hel", b"lo"):
        body.feed(piece)
        await asyncio.sleep(0)
    body.finish()
    assert await reader == b"hello"
    for complete in (True, False):
        body = Body(Recorder())
        body.feed(b"x" * 11)
        if complete:
            body.finish()
        with pytest.raises(BodyTooLarge):
            await body.read(10)


async def test_iteration_coalesces_what_is_queued():
    body = Body(Recorder())
    body.feed(b"a")
    body.feed(b"b")
    assert await anext(body) == b"ab"
    pending = asyncio.create_task(anext(body))
    await asyncio.sleep(0)
    body.feed(b"c")
    assert await pending == b"c"
    body.finish()
    with pytest.raises(StopAsyncIteration):
        await anext(body)


async def test_a_failure_comes_after_what_had_arrived():
    body = Body(Recorder())
    body.feed(b"a")
    body.fail(PeerGone())
    body.feed(b"ignored")
    assert await anext(body) == b"a"
    for _ in range(2):
        with pytest.raises(PeerGone):
            await anext(body)
    assert not body.complete


async def test_unread_bytes_pause_the_source_until_they_are_taken():
    source = Recorder()
    body = Body(source)
    body.feed(b"x" * HIGH_WATER_BYTES)
    assert source.calls == []
    body.feed(b"x")
    body.feed(b"x")
    assert source.calls == ["pause"]
    assert len(await anext(body)) == HIGH_WATER_BYTES + 2
    assert source.calls == ["pause", "resume"]


async def test_the_end_resumes_a_paused_source():
    source = Recorder()
    body = Body(source)
    body.feed(b"x" * (HIGH_WATER_BYTES + 1))
    body.finish()
    assert source.calls == ["pause", "resume"]
    assert len(await body.read(1 << 20)) == HIGH_WATER_BYTES + 1


async def test_the_source_is_asked_only_when_bytes_are_missing():
    source = Recorder()
    body = Body(source)
    body.feed(b"a")
    await anext(body)
    assert source.calls == []
    waiting = asyncio.create_task(anext(body))
    await asyncio.sleep(0)
    assert source.calls == ["want"]
    body.finish()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_abandoning_an_incomplete_body_drops_it_and_a_complete_one_does_not():
    source = Recorder()
    await Body(source).aclose()
    assert source.calls == ["drop"]
    done = Body(source)
    done.finish()
    done.abandon()
    assert source.calls == ["drop"]


async def test_two_readers_at_once_are_refused():
    body = Body(Recorder())
    first = asyncio.create_task(anext(body))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await anext(body)
    body.feed(b"x")
    assert await first == b"x"


async def test_a_cancelled_reader_leaves_the_body_usable():
    body = Body(Recorder())
    reader = asyncio.create_task(anext(body))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    body.feed(b"x")
    assert await anext(body) == b"x"


async def test_what_is_pushed_goes_straight_to_the_sink_and_waits_behind_what_waits():
    body, seen = Body(Recorder()), []
    full = asyncio.get_running_loop().create_future()

    def sink(piece):
        seen.append(piece)
        return full if piece == b"b" else None

    body.push(b"early")
    pouring = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0)
    body.push(b"a")
    assert seen == [b"early", b"a"]
    body.push(b"b")
    body.push(b"c")
    body.push(b"d")
    assert seen == [b"early", b"a", b"b"], "the sink is full"
    full.set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == [b"early", b"a", b"b", b"cd"]
    body.finish()
    body.push(b"late")
    await pouring
    assert seen[-1] == b"cd"


async def test_what_a_sink_raises_ends_the_pouring_and_nothing_more_is_given_to_it():
    body, seen = Body(Recorder()), []

    def sink(piece):
        seen.append(piece)
        raise ValueError("enough")

    pouring = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0)
    body.push(b"a")
    body.push(b"b")
    with pytest.raises(ValueError, match="enough"):
        await pouring
    assert seen == [b"a"]
