"""Eager tasks: when they run, and that everything asyncio promises a task holds for them."""

import asyncio

import pytest

from heddle.net.eager import EagerTask
from heddle.net.waiter import Waiter


def run(coroutine):
    """An eager task that was started."""
    task = EagerTask(coroutine, asyncio.get_running_loop())
    task.resume(None)
    return task


async def test_it_starts_and_goes_on_at_once():
    seen = []

    async def job(waiter):
        seen.append("begun")
        seen.append(await waiter)

    waiter = Waiter()
    task = run(job(waiter))
    assert seen == ["begun"]
    waiter.complete("there")
    assert seen == ["begun", "there"]
    assert task.done()


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_later_means_the_next_turn(error):
    seen = []

    async def job(waiter):
        try:
            seen.append(await waiter)
        except ValueError as raised:
            seen.append(raised)

    waiter = Waiter()
    task = run(job(waiter))
    waiter.complete_later("value", error)
    waiter.complete("too late")
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [error or "value"]
    assert task.done()


async def test_any_other_task_may_await_a_waiter():
    waiter = Waiter()
    asyncio.get_running_loop().call_soon(waiter.complete, 7)
    assert await waiter == 7


@pytest.mark.parametrize("make", [Waiter, asyncio.Future, lambda: asyncio.sleep(30), lambda: asyncio.sleep(0)])
async def test_cancellation_reaches_whatever_it_waits_for(make):
    seen = []

    async def job():
        try:
            await make()
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = run(job())
    assert task.cancel()
    assert task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["cancelled"]
    assert task.done()
    assert not task.cancel()


@pytest.mark.parametrize("make", [Waiter, asyncio.Future])
async def test_a_timeout_works_inside(make):
    seen, ended = [], asyncio.Event()

    async def job():
        try:
            async with asyncio.timeout(0.01):
                await make()
        except TimeoutError:
            seen.append("timeout")
        await asyncio.sleep(0)
        seen.append("went on")
        ended.set()

    task = run(job())
    async with asyncio.timeout(5):
        await ended.wait()
    assert seen == ["timeout", "went on"]
    assert task.cancelling() == 0


async def test_inside_another_task_both_know_who_they_are():
    outer, seen = asyncio.current_task(), []

    async def job():
        seen.append(asyncio.current_task())

    task = run(job())
    assert seen == [task]
    assert asyncio.current_task() is outer


async def test_what_escapes_is_logged_and_harms_nobody(caplog):
    async def job():
        raise ValueError("unexpected")

    assert run(job()).done()
    assert "an eager task failed" in caplog.text


async def test_one_begins_inside_of_another_and_each_is_the_current_one_in_turn():
    seen = []
    gate = Waiter()

    async def inner():
        seen.append(asyncio.current_task())
        await gate
        seen.append(asyncio.current_task())

    async def outer():
        own = asyncio.current_task()
        task = EagerTask(inner(), asyncio.get_running_loop())
        task.begin()
        seen.append(task)
        assert asyncio.current_task() is own

    run(outer())
    gate.complete()
    assert len(seen) == 3
    assert len(set(seen)) == 1


async def test_who_waits_for_its_end_is_told_when_nothing_of_it_runs_any_more():
    seen = []
    gate = Waiter()

    async def job():
        await gate
        seen.append("ending")

    task = EagerTask(job(), asyncio.get_running_loop(), lambda: seen.append((task.done(), asyncio.current_task())))
    test = asyncio.current_task()
    task.begin()
    gate.complete()
    assert seen == ["ending", (True, test)]


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
async def test_one_that_fails_has_ended_too(error):
    seen = []

    async def job():
        raise error

    EagerTask(job(), asyncio.get_running_loop(), lambda: seen.append(True)).begin()
    assert seen == [True]
