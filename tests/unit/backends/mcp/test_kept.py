"""Sessions with a server: begun once, found anywhere, begun anew alone."""

import asyncio

import pytest
from tests.unit.backends.mcp.faking import fake_tools

from heddle.backends.mcp.contract import Caller, Described
from heddle.backends.mcp.kept import Kept, KeptSessions
from heddle.pipeline.errors import CallError, Reason

DESCRIBED = Described(version="2025-11-25", capabilities={"tools": {}})


class Server:
    """Begins sessions, one number each."""

    def __init__(self, described: Described = DESCRIBED) -> None:
        self.begun: list[str] = []
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None
        self.described = described

    async def begin(self, caller: Caller) -> Kept:
        self.begun.append(caller.key)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Kept(f"s{len(self.begun)}".encode(), self.described)


def caller(key: str = "session:a") -> Caller:
    made = Caller()
    made.key = key
    return made


async def test_however_many_calls_wait_a_session_is_begun_once() -> None:
    server, kept = Server(), KeptSessions("t", fake_tools(), 60.0)
    server.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(kept.session(caller(), server.begin)) for _ in range(5)]
    await asyncio.sleep(0)
    server.gate.set()
    assert {one.session for one in await asyncio.gather(*waiting)} == {b"s1"}
    assert (await kept.session(caller(), server.begin)).session == b"s1"
    assert (await kept.session(caller("session:b"), server.begin)).session == b"s2"


async def test_who_waits_for_one_that_goes_away_begins_it() -> None:
    server, kept = Server(), KeptSessions("t", fake_tools(), 60.0)
    server.gate = asyncio.Event()
    first, *others = (asyncio.ensure_future(kept.session(caller(), server.begin)) for _ in range(4))
    for _ in range(5):
        await asyncio.sleep(0)
    first.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    server.gate.set()
    assert {one.session for one in await asyncio.gather(*others)} == {b"s2"}
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_is_everybodys_who_waited_and_nobodys_afterwards() -> None:
    server, kept = Server(), KeptSessions("t", fake_tools(), 60.0)
    server.failure = CallError(Reason.UPSTREAM_UNREACHABLE, "gone")
    server.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(kept.session(caller(), server.begin)) for _ in range(3)]
    await asyncio.sleep(0)
    server.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [CallError] * 3
    assert len(server.begun) == 1
    server.failure = None
    assert (await kept.session(caller(), server.begin)).session == b"s2"


async def test_a_lost_one_is_begun_anew_once_and_alone() -> None:
    server, kept = Server(), KeptSessions("t", fake_tools(), 60.0)
    lost, other = await kept.session(caller(), server.begin), await kept.session(caller("b"), server.begin)
    found = await asyncio.gather(*(kept.session(caller(), server.begin, lost=lost) for _ in range(3)))
    assert {one.session for one in found} == {b"s3"}
    assert (await kept.session(caller("b"), server.begin)) is other


async def test_another_worker_finds_it_and_what_came_later_wins_over_the_token() -> None:
    tools, server = fake_tools(), Server()
    here, there = KeptSessions("t", tools, 60.0), KeptSessions("t", tools, 60.0)
    first = await here.session(caller(), server.begin)
    assert (await there.session(caller(), server.begin)).session == first.session
    carried = caller("session:c")
    carried.kept = {"t": "2025-06-18 from-token"}
    assert (await here.session(carried, server.begin)).session == b"from-token"
    again = await here.session(carried, server.begin, lost=Kept(b"from-token", DESCRIBED))
    assert again.session == b"s2"
    assert (await there.session(carried, server.begin)).session == b"s2"


async def test_what_a_server_says_of_itself_may_be_long() -> None:
    tools = fake_tools()
    server = Server(Described(version="2025-11-25", instructions="x" * 200_000))
    kept = KeptSessions("t", tools, 60.0)
    assert (await kept.session(caller(), server.begin)).session == b"s1"
    assert (await kept.session(caller(), server.begin)).session == b"s1"
    assert (await KeptSessions("t", tools, 60.0).session(caller(), server.begin)).session == b"s2"


async def test_an_ended_one_is_forgotten_everywhere_it_can_be() -> None:
    tools, server = fake_tools(), Server()
    kept = KeptSessions("t", tools, 60.0)
    await kept.session(caller(), server.begin)
    assert await kept.knows(caller())
    ended = await kept.end(caller())
    assert ended is not None
    assert ended.session == b"s1"
    assert not await kept.knows(caller())
    assert await kept.end(caller()) is None
