"""A stream that outgrows what it holds: more is reserved, or it ends honestly."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.policies.budget.world import World, tokens

from heddle.pipeline.errors import CallError, Reason
from heddle.policies.budget.stream import Measure, Metered
from heddle.telemetry import names

EVENT = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n'


class Body:
    """A provider's stream: with or without a direct way."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        if self.closed or not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop(0)

    async def aclose(self) -> None:
        self.closed = True


class Poured(Body):
    async def pour(self, write) -> None:
        async for chunk in self:
            full = write(chunk)
            if full is not None:
                await full


async def read(body, direct: bool) -> list[bytes]:
    got: list[bytes] = []
    if direct:
        await body.pour(got.append)
    else:
        got += [piece async for piece in body]
    return got


async def one_by_one(body, got: list[bytes]) -> None:
    async for piece in body:
        got.append(piece)  # noqa: PERF401 - what came before it fails must be kept


@pytest.mark.parametrize("kind", [Body, Poured])
@pytest.mark.parametrize("direct", [True, False])
async def test_a_stream_is_cut_when_its_budget_is_spent(kind, direct: bool):
    world = World(tokens(100))
    body = world.body = kind([EVENT % b"word" for _ in range(500)])
    exchange = await world.start(size=10, stream=True)
    got: list[bytes] = []
    with pytest.raises(CallError) as cut:
        await (exchange.reply.body.pour(got.append) if direct else one_by_one(exchange.reply.body, got))
    assert cut.value.reason is Reason.BUDGET_EXCEEDED
    assert b'"budget_exceeded"' in got[-1]
    assert 80 <= len(got) - 1 <= 90, "10 of 100 are the input's"
    assert body.closed, "or the provider would go on generating"
    assert exchange.policy == "tokens"
    assert world.metrics.counter(names.BUDGET_CUTS, budget="tokens").value == 1


@pytest.mark.parametrize("kind", [Body, Poured])
@pytest.mark.parametrize("direct", [True, False])
async def test_a_stream_gets_more_while_there_is_any(kind, direct: bool):
    world = World(tokens(5000))
    world.body = kind([EVENT % b"word" for _ in range(2000)])
    exchange = await world.start(size=10, stream=True)
    assert len(await read(exchange.reply.body, direct)) == 2000
    await world.refused(size=10, max_output_tokens=3000)
    world.finish(exchange, (10, 2000))
    await world.start(size=10, max_output_tokens=2980)


async def test_a_bounded_stream_is_left_alone():
    world = World(tokens(1000))
    body = world.body = Poured([])
    assert (await world.start(size=10, stream=True, max_output_tokens=10)).reply.body is body


async def test_only_as_much_as_there_was():
    """A further reservation that was lowered to the rest grants the rest."""
    world = World(tokens(700))
    world.body = Poured([EVENT % b"word" for _ in range(2000)])
    exchange = await world.start(size=10, stream=True)
    got: list[bytes] = []
    with pytest.raises(CallError):
        await exchange.reply.body.pour(got.append)
    assert 680 <= len(got) <= 691


async def test_counters_out_of_reach_end_no_stream():
    async def unreachable(wanted: int) -> int:
        raise CallError(Reason.OVERLOADED, "")

    error = CallError(Reason.BUDGET_EXCEEDED, "")
    assert len(await read(Metered(Body([b"x\n\n"] * 50), 10, unreachable, (error, b"!")), False)) == 50


async def test_a_callers_pace_is_kept():
    """What the connection waits for is waited for, whether or not more is being reserved."""
    waited: list[int] = []

    async def more(wanted: int) -> int:
        await asyncio.sleep(0)
        return wanted

    error = CallError(Reason.BUDGET_EXCEEDED, "")
    metered = Metered(Poured([b"x\n\n"] * 20), 4, more, (error, b"!"))

    def slow(data: bytes) -> "asyncio.Future[None]":
        async def full() -> None:
            await asyncio.sleep(0)
            waited.append(1)

        return asyncio.ensure_future(full())

    await metered.pour(slow)
    assert len(waited) == 20


def test_tokens_are_counted_by_events_and_by_what_is_in_them():
    measure = Measure()
    assert [measure.add(EVENT % b"a") for _ in range(3)] == [1, 2, 3]
    long = Measure()
    long.add(EVENT % b"")
    assert long.add(EVENT % (b"x" * 3000)) == 1000
    together = Measure()
    assert together.add((EVENT % b"a") * 10) == 10
    assert Measure().add(b"\x00\x01") == 1
