"""Sessions, questions and calls that wait: whose they are, in whichever worker, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.backends.mcp.faking import FakeTarget, raw
from tests.unit.dataplane.mcp.fronts import ALICE, BOB, Worker, events, exchange, last, worker

from heddle.backends.mcp.contract import Caller, TargetRequest
from heddle.dataplane.mcp import asking as asking_module
from heddle.dataplane.mcp import parking as parking_module
from heddle.dataplane.mcp import running as running_module
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.sessions import NoSession

SAMPLING = {"messages": raw([]), "maxTokens": raw(5)}


async def _asks(_: TargetRequest, caller: Caller) -> bytes:
    answer = await caller.ask("sampling/createMessage", SAMPLING)
    return b'{"content":[{"type":"text","text":%b}]}' % bytes(raw(answer.decode()))


def asker() -> FakeTarget:
    """A server of the older era whose tools ask first."""
    return FakeTarget(stateful=True, tools_call=_asks)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers."""
    one = worker(asker())
    other = worker(asker(), beside=one)
    yield one, other
    one.close()
    other.close()


async def test_a_session_is_found_by_another_worker_and_ended_everywhere(pair: tuple[Worker, Worker]) -> None:
    one, other = pair
    token = await one.begin()
    session = await other.sessions.find(token, "s", ALICE)
    assert session.carried.version == "2025-11-25"
    for principal, server in ((BOB, "s"), (ALICE, "other")):
        for each in pair:
            with pytest.raises(NoSession):
                await each.sessions.find(token, server, principal)
    reply = await one.endpoint.delete(exchange("DELETE", mcp_session_id=token))
    assert reply.status == 200
    await asyncio.sleep(0.02)  # the bus speaks in the loop's turns
    for each in pair:
        with pytest.raises(NoSession):
            await each.sessions.find(token, "s", ALICE)
    assert (await other.ask("ping", token))["error"]["code"] == -32001


async def test_a_session_is_over_when_its_time_is(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    token = await one.begin()
    one.tools.clock.now.now_s += 86_401  # type: ignore[attr-defined]
    with pytest.raises(NoSession):
        await one.sessions.find(token, "s", ALICE)


async def test_what_ended_meanwhile_does_not_begin_again(pair: tuple[Worker, Worker]) -> None:
    one, other = pair
    token = await one.begin()
    here, there = await one.sessions.find(token, "s", ALICE), await other.sessions.find(token, "s", ALICE)
    await other.endpoint.delete(exchange("DELETE", mcp_session_id=token))
    here.changing = None  # as after the word of the other worker
    front: Any = one.endpoint._legacy
    await front._change(here, log_level="debug")
    assert there.changing is not None
    assert there.changing.ended
    with pytest.raises(NoSession):
        await worker(asker(), beside=one).sessions.find(token, "s", ALICE)


async def test_the_longest_token_is_taken_back(pair: tuple[Worker, Worker]) -> None:
    one, other = pair
    token = await one.begin(experimental={"x": "y" * 4_000})
    assert (await other.sessions.find(token, "s", ALICE)).carried.capabilities.count(b"y") == 4_000


async def test_a_question_is_answered_through_the_other_worker_by_its_session_alone(
    pair: tuple[Worker, Worker],
) -> None:
    one, other = pair
    token, stranger = await one.begin(sampling={}), await one.begin(sampling={})
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo"}}
    reply = await one.post(call, mcp_session_id=token)
    assert not isinstance(reply.body, bytes)
    stream = reply.body.__aiter__()
    said = b""
    while b"sampling/createMessage" not in said:
        said = await stream.__anext__()
    ident = said.partition(b'"id":"')[2].partition(b'"')[0].decode()
    for thief, principal in ((stranger, ALICE), (token, BOB)):
        got = await other.post(
            {"jsonrpc": "2.0", "id": ident, "result": {"forged": 1}}, principal, mcp_session_id=thief
        )
        assert got.status == (202 if principal is ALICE else 404)
    got = await other.post({"jsonrpc": "2.0", "id": ident, "result": {"mine": 1}}, mcp_session_id=token)
    assert got.status == 202
    rest = b"".join([event async for event in stream])
    assert b"mine" in rest
    assert b"forged" not in rest
    assert one.asking._asked == {}
    assert one.asking._running == {}


async def test_who_does_not_read_streams_is_not_asked(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    token = await one.begin(sampling={})
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo"}}
    for found in (
        await last(await one.post(call, mcp_session_id=token, accept="application/json")),
        await last(await one.post(call)),
    ):
        assert found["error"]["code"] == -32601


async def test_questions_are_not_kept_without_end(pair: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    token = await one.begin(sampling={})
    session = await one.sessions.find(token, "s", ALICE)
    monkeypatch.setattr(asking_module, "MAX_ASKED", 2)
    asked = [asyncio.ensure_future(one.asking.ask(session, Running(), "x", {})) for _ in range(3)]
    await asyncio.sleep(0)
    assert asked[2].done()
    assert "Too many questions" in str(asked[2].exception())
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert one.asking._asked == {}


async def test_a_call_that_waits_goes_on_in_either_worker_once(pair: tuple[Worker, Worker]) -> None:
    one, other = pair
    for through in pair:
        first = (await one.ask("tools/call", name="echo", arguments={"x": 1}))["result"]
        (key,) = first["inputRequests"]
        state, answers = first["requestState"], {key: {"role": "assistant"}}
        again: dict[str, Any] = {"requestState": state, "inputResponses": answers}
        for principal, params in (
            (BOB, {"name": "echo", "arguments": {"x": 1}, **again}),
            (ALICE, {"name": "echo", "arguments": {"x": 2}, **again}),
            (ALICE, {"name": "echo", "arguments": {"x": 1}, **again, "inputResponses": [1]}),
            (ALICE, {"name": "echo", "arguments": {"x": 1}, **again, "requestState": state[:-1]}),
        ):
            refused = await through.ask("tools/call", principal=principal, **params)
            assert refused["error"]["code"] == -32602
        done = await through.ask("tools/call", name="echo", arguments={"x": 1}, **again)
        assert "assistant" in done["result"]["content"][0]["text"]
        twice = await through.ask("tools/call", name="echo", arguments={"x": 1}, **again)
        assert twice["error"]["code"] == -32602
    assert one.parking._parked == other.parking._parked == {}
    assert one.parking._away == other.parking._away == {}
    assert one.parking._callers == {}


async def test_a_caller_has_few_calls_waiting_and_others_are_not_held_up(
    pair: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    monkeypatch.setattr(parking_module, "MAX_PARKED_EACH", 2)
    for _ in range(2):
        assert "requestState" in (await one.ask("tools/call", name="echo"))["result"]
    assert "Too many calls wait" in (await one.ask("tools/call", name="echo"))["error"]["message"]
    assert "requestState" in (await one.ask("tools/call", principal=BOB, name="echo"))["result"]
    one.parking.close()
    await asyncio.sleep(0)
    assert one.parking._callers == {}


async def test_a_queue_has_an_end_and_one_message_always_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "MAX_SAID_BYTES", 10)
    running = Running()
    assert running.say(b"x" * 50)
    assert not running.say(b"y")
    assert running.take() == [b"x" * 50]
    assert running.say(b"y" * 6)
    assert running.say(b"z" * 4)
    assert not running.say(b"!")


async def test_a_call_is_cancelled_and_what_it_left_is_told() -> None:
    running = Running()

    async def work() -> bytes:
        await asyncio.sleep(60)
        return b"{}"

    running.start(work())
    running.cancel()
    await running.news()
    assert running.done
    assert isinstance(running.error, asyncio.CancelledError)
    running.cancel()


async def _tells(_: TargetRequest, caller: Caller) -> bytes:
    for number in range(3):
        caller.notify("notifications/message", {"level": raw("error"), "data": raw(number)})
        await asyncio.sleep(0.01)
    return b'{"content":[]}'


def ids(said: list[bytes]) -> list[str]:
    return [line[4:].decode() for event in said for line in event.splitlines() if line.startswith(b"id: ")]


async def test_a_stream_that_was_left_is_kept_to_its_end_for_its_session_alone() -> None:
    one = worker(FakeTarget(tools_call=_tells))
    other = worker(FakeTarget(), beside=one)
    token, stranger = await one.begin(), await one.begin(BOB)
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo"}}
    reply = await one.post(call, mcp_session_id=token)
    assert not isinstance(reply.body, bytes)
    begun = [await reply.body.__anext__()]
    await reply.body.aclose()  # type: ignore[attr-defined]
    at = ids(begun)[-1]
    rest = await events(await other.endpoint.get(exchange("GET", mcp_session_id=token, last_event_id=at)))
    assert [b'"data":%d' % n in b"".join(rest) for n in range(3)] == [True] * 3
    assert b'"id":7' in rest[-1]
    stolen = await events(
        await other.endpoint.get(exchange("GET", principal=BOB, mcp_session_id=stranger, last_event_id=at))
    )
    assert b"".join(stolen).replace(b": ping\n\n", b"") == b""
    one.close()
    other.close()


async def test_the_servers_own_stream_tells_what_was_missed_and_goes_on() -> None:
    one = worker(FakeTarget())
    token = await one.begin()
    reply = await one.endpoint.get(exchange("GET", mcp_session_id=token))
    assert not isinstance(reply.body, bytes)
    stream = reply.body.__aiter__()
    at = ids([await stream.__anext__()])[0]
    one.server.changed("tools")
    assert b"tools/list_changed" in await stream.__anext__()
    await reply.body.aclose()  # type: ignore[attr-defined]
    assert one.server.watchers == set()
    again = await one.endpoint.get(exchange("GET", mcp_session_id=token, last_event_id=at))
    assert not isinstance(again.body, bytes)
    stream = again.body.__aiter__()
    await stream.__anext__()
    assert b"tools/list_changed" in await stream.__anext__()
    one.server.changed("prompts")
    assert b"prompts/list_changed" in await stream.__anext__()
    await again.body.aclose()  # type: ignore[attr-defined]
    one.close()


async def test_a_session_has_not_more_under_way_than_it_may_and_gives_each_place_back(
    pair: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    token = await one.begin(sampling={})
    monkeypatch.setattr(asking_module, "MAX_UNDER_WAY", 2)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}
    for number in range(2):
        await one.post({**call, "id": number}, mcp_session_id=token)  # its answer is never read
    assert "Too many requests" in (await one.ask("tools/call", token, name="echo"))["error"]["message"]
    for number in range(2):
        told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        await one.post(told, mcp_session_id=token)
    await asyncio.sleep(0.01)
    assert one.asking._under_way == {}
    assert (await one.ask("ping", token))["result"] == {}


async def test_listening_ends_with_its_stream_also_where_nobody_read_it(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"notifications": {"toolsListChanged": True}, "_meta": envelope}
    message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    fields = {"mcp_protocol_version": "2026-07-28", "mcp_method": "subscriptions/listen"}
    for read in (0, 1):
        reply = await one.post(message, **fields)
        assert not isinstance(reply.body, bytes)
        assert len(one.server.watchers) == 1
        for _ in range(read):
            assert b"acknowledged" in await reply.body.__anext__()
        await reply.body.aclose()  # type: ignore[attr-defined]
        assert one.server.watchers == set()
