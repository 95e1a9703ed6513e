"""The bridge in front of real children: ids, tokens, streams, sessions."""

import asyncio
import json
import sys
import time

import pytest
from tests.unit.stdio.rig import MODERN, Caller, close, events, eventually, everything, pids, serving

QUESTION = {"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {"prompt": "hi"}}


async def test_a_session_has_a_child_of_its_own():
    async with serving() as bridge:
        one, other = Caller(bridge), Caller(bridge)
        first = (await one.initialize())["serverInfo"]["pid"]
        second = (await other.initialize())["serverInfo"]["pid"]
        assert await one.call("pid") == first != second == await other.call("pid")
        assert sorted(pids(bridge)) == sorted([first, second])


async def test_ids_come_back_as_they_were_sent():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        for ident in ("1", 1, "\u20ac", -7, 12345678901234567890123):
            reply = await caller.tool("echo", ident=ident, a=[1.5, None])
            assert json.loads(reply.body) == {"jsonrpc": "2.0", "id": ident, "result": {"value": {"a": [1.5, None]}}}


async def test_equal_ids_and_tokens_of_callers_that_share_a_child_stay_apart():
    async with serving(isolation="shared") as bridge:
        callers = [Caller(bridge, owner) for owner in ("alice", "bob", "alice")]
        assert len({str(await caller.initialize()) for caller in callers}) == 1
        assert len({caller.session for caller in callers}) == 3
        slow = [caller.tool("slow", ident=7, s=0.2) for caller in callers]
        quick = [caller.call("progress", {"progressToken": "same"}, count=2) for caller in callers]
        done = await asyncio.gather(*slow, *quick)
        assert [json.loads(reply.body)["id"] for reply in done[:3]] == [7, 7, 7]
        for caller, messages in zip(callers, done[3:], strict=True):
            assert [one["params"] for one in messages[:2]] == [
                {"progressToken": "same", "progress": 0},
                {"progressToken": "same", "progress": 1},
            ]
            assert messages[2]["id"] == caller.numbers
        assert len(pids(bridge)) == 1
        heard = await callers[0].call("heard")
        assert heard.count("initialize") == heard.count("notifications/initialized") == 1


async def test_errors_pass():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        reply = await caller.tool("no such tool")
        assert json.loads(reply.body)["error"] == {"code": -32602, "message": "no such tool"}


async def test_a_question_goes_to_the_request_and_its_answer_back():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        stream = events(await caller.tool("ask", prompt="hi"))
        assert await anext(stream) == QUESTION
        assert (await caller.post({"id": "q", "result": {"text": "yes"}})).status == 202
        assert (await anext(stream))["result"]["value"]["result"] == {"text": "yes"}


async def test_an_answer_to_another_sessions_question_is_dropped():
    async with serving(isolation="shared") as bridge:
        alice, mallory = Caller(bridge), Caller(bridge, "mallory")
        await alice.initialize()
        await mallory.initialize()
        stream = events(await alice.tool("ask", prompt="hi"))
        assert await anext(stream) == QUESTION
        assert (await mallory.post({"id": "q", "result": "forged"})).status == 202
        assert (await alice.post({"id": "other", "result": "nobody asked"})).status == 202
        await alice.post({"id": "q", "result": "real"})
        await alice.post({"id": "q", "result": "twice"})
        assert (await anext(stream))["result"]["value"]["result"] == "real"
        assert (await alice.call("heard")).count("answer") == 1


async def test_when_it_cannot_be_told_whose_a_question_is_nobody_gets_it():
    """Two callers share a child: what one asks about may be what the other must not see."""
    async with serving(isolation="shared") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        await alice.initialize()
        await bob.initialize()
        waiting = asyncio.ensure_future(alice.tool("slow", s=0.5))
        await eventually(lambda: bridge.targets["tools"].status()["children"][0]["calls"] == 1)
        reply = await bob.tool("ask", prompt="hi")
        assert json.loads(reply.body)["result"]["value"]["error"]["message"].startswith("It cannot be told whose")
        reply = await bob.tool("log", data="of bob")
        assert isinstance(reply.body, bytes), "and no log line of one is told the other"
        assert isinstance((await waiting).body, bytes)


async def test_with_several_requests_a_question_goes_to_the_open_stream_of_the_session():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        listening = events(await caller.http("GET"))
        waiting = asyncio.ensure_future(caller.tool("slow", s=0.4))
        asking = asyncio.ensure_future(caller.tool("ask", prompt="hi"))
        assert await asyncio.wait_for(anext(listening), 5) == QUESTION
        await caller.post({"id": "q", "result": 1})
        assert isinstance((await asking).body, bytes)
        assert isinstance((await waiting).body, bytes)


async def test_and_without_one_to_the_newest_request():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        waiting = asyncio.ensure_future(caller.tool("slow", s=0.4))
        await asyncio.sleep(0.1)
        stream = events(await caller.tool("ask", prompt="hi"))
        assert await anext(stream) == QUESTION
        await caller.post({"id": "q", "result": 1})
        assert (await anext(stream))["result"]["value"]["result"] == 1
        assert isinstance((await waiting).body, bytes)


async def test_a_question_that_is_not_answered_holds_up_no_other():
    """Its request may be given up: nobody would see the next question there."""
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        given_up = events(await caller.tool("ask", prompt="hi"))
        assert await anext(given_up) == QUESTION
        again = events(await caller.tool("ask", id="r", prompt="hi"))
        assert (await anext(again))["id"] == "r"
        await caller.post({"id": "r", "result": 1})
        assert (await anext(again))["result"]["value"]["result"] == 1
        await caller.post({"id": "q", "result": 2})
        assert (await anext(given_up))["result"]["value"]["result"] == 2


async def test_what_concerns_the_server_goes_to_every_session():
    async with serving(isolation="shared") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        await alice.initialize()
        await bob.initialize()
        early = events(await alice.http("GET"))
        assert isinstance((await alice.tool("changed")).body, bytes), "not on the request, as a stream is open"
        late = events(await bob.http("GET"))
        for stream in (early, late):
            told = await asyncio.wait_for(anext(stream), 5)
            assert told["method"] == "notifications/tools/list_changed"


async def test_updates_of_a_resource_reach_those_who_want_to_know():
    async with serving(isolation="shared") as bridge:
        alice, bob, carol = Caller(bridge), Caller(bridge, "bob"), Caller(bridge, "carol")
        streams = {}
        for caller in (alice, bob, carol):
            await caller.initialize()
            streams[caller] = events(await caller.http("GET"))
        for caller, uri in ((alice, "a://one"), (bob, "a://one"), (carol, "a://two")):
            assert json.loads((await caller.ask("resources/subscribe", uri=uri)).body)["result"] == {}
        await carol.call("updated", uri="a://one/part")
        for caller in (alice, bob):
            told = await asyncio.wait_for(anext(streams[caller]), 5)
            assert told["params"] == {"uri": "a://one/part"}
        assert json.loads((await alice.ask("resources/unsubscribe", uri="a://one")).body)["result"] == {}
        await carol.call("updated", uri="a://one")
        await carol.call("updated", uri="a://two")
        assert (await asyncio.wait_for(anext(streams[bob]), 5))["params"] == {"uri": "a://one"}
        assert (await asyncio.wait_for(anext(streams[carol]), 5))["params"] == {"uri": "a://two"}
        assert not bridge.targets["tools"].session(alice.session, "alice").outbox._waiting
        unsubscribed = ["resources/unsubscribe", "a://one"]
        assert unsubscribed not in await carol.call("heard"), "as bob still wants to know"
        await bob.http("DELETE")
        assert unsubscribed in await carol.call("heard")


async def test_a_new_stream_replaces_the_old():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        old = await caller.http("GET")
        new = events(await caller.http("GET"))
        assert await everything(old) == []
        close(old)
        await caller.call("changed")
        assert (await asyncio.wait_for(anext(new), 5))["method"] == "notifications/tools/list_changed"


async def test_a_ping_of_the_server_is_answered_here():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        assert await caller.call("ping") == {"jsonrpc": "2.0", "id": "p", "result": {}}


async def test_cancelling_names_the_childs_own_number():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        hanging = asyncio.ensure_future(caller.tool("hang", ident="mine"))
        await asyncio.sleep(0.1)
        await caller.tell("notifications/cancelled", requestId="unknown")
        await caller.tell("notifications/cancelled", requestId="mine")
        assert json.loads((await hanging).body)["error"]["message"] == "The request was cancelled."
        cancelled = [one for one in await caller.call("heard") if one[0] == "cancelled"]
        assert cancelled == [["cancelled", 2]]


async def test_one_session_cannot_cancel_anothers_request():
    async with serving(isolation="shared") as bridge:
        alice, mallory = Caller(bridge), Caller(bridge, "mallory")
        await alice.initialize()
        await mallory.initialize()
        slow = asyncio.ensure_future(alice.tool("slow", ident=5, s=0.3))
        await asyncio.sleep(0.1)
        await mallory.tell("notifications/cancelled", requestId=5)
        assert json.loads((await slow).body)["result"]["value"] == "slow"


# The newer protocol.


async def test_sessionless_calls_of_one_owner_share_a_child():
    async with serving("--modern") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        found = json.loads((await alice.ask("server/discover", _meta=MODERN)).body)["result"]["pid"]
        assert {await alice.modern("pid") for _ in range(3)} == {found}
        assert await bob.modern("pid") != found
        eras = {child["era"] for child in bridge.targets["tools"].status()["children"]}
        assert eras == {"modern"}


async def test_a_burst_of_first_calls_starts_one_child():
    async with serving("--modern") as bridge:
        alice = Caller(bridge)
        assert len(set(await asyncio.gather(*(alice.modern("pid") for _ in range(20))))) == 1


async def test_shared_by_all_when_it_says_so():
    async with serving("--modern", isolation="shared") as bridge:
        assert await Caller(bridge).modern("pid") == await Caller(bridge, "bob").modern("pid")


async def test_closing_the_stream_cancels():
    async with serving("--modern") as bridge:
        alice = Caller(bridge)
        hanging = asyncio.ensure_future(alice.tool("hang", MODERN))
        await asyncio.sleep(0.3)
        hanging.cancel()
        await asyncio.wait([hanging])
        await asyncio.sleep(0.1)
        assert ["cancelled", 1] in await alice.modern("heard")


async def test_closing_the_stream_of_an_older_request_does_not():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        hanging = asyncio.ensure_future(caller.tool("hang"))
        await asyncio.sleep(0.1)
        hanging.cancel()
        await asyncio.wait([hanging])
        assert not [one for one in await caller.call("heard") if one[0] == "cancelled"]


async def test_subscriptions_are_named_as_their_caller_named_them():
    async with serving("--modern", isolation="shared") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        key = "io.modelcontextprotocol/subscriptionId"
        for caller in (alice, bob):
            reply = await caller.ask("subscriptions/listen", "sub", _meta=MODERN, end=True)
            told = await everything(reply)
            assert [one["params"]["_meta"][key] for one in told[:2]] == ["sub", "sub"]
            assert told[2] == {"jsonrpc": "2.0", "id": "sub", "result": {"_meta": {key: "sub"}}}


async def test_a_stream_that_is_never_read_is_left_all_the_same():
    async with serving("--modern") as bridge:
        alice = Caller(bridge)
        close(await alice.ask("subscriptions/listen", _meta=MODERN))
        assert ["cancelled", 1] in await alice.modern("heard")
        assert bridge.targets["tools"].status()["children"][0]["calls"] == 0


async def test_a_server_of_the_older_kind_is_asked_and_then_initialised_as_one_child():
    async with serving() as bridge:
        alice = Caller(bridge)
        assert "error" in json.loads((await alice.ask("server/discover", _meta=MODERN)).body)
        asked = pids(bridge)
        assert [(await alice.initialize())["serverInfo"]["pid"]] == asked == pids(bridge)


# Sessions, and what is refused.


async def test_a_session_is_its_owners_alone():
    async with serving() as bridge:
        alice, mallory = Caller(bridge), Caller(bridge, "mallory")
        await alice.initialize()
        for method in ("GET", "DELETE", "POST"):
            body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
            assert (await mallory.http(method, body, session=alice.session)).status == 404
        assert await alice.call("echo") == {}


async def test_an_ended_session_is_gone_with_its_child():
    async with serving() as bridge:
        alice = Caller(bridge)
        await alice.initialize()
        assert (await alice.http("DELETE")).status == 204
        assert (await alice.tool("echo")).status == 404
        await eventually(lambda: pids(bridge) == [])


async def test_an_ended_session_of_a_shared_child_leaves_it_running():
    async with serving(isolation="shared") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        await alice.initialize()
        await bob.initialize()
        assert (await alice.http("DELETE")).status == 204
        assert (await alice.tool("echo")).status == 404
        assert await bob.call("echo") == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/t/none", 404),
        ("GET", "/", 404),
        ("GET", "/t/tools/more", 404),
        ("POST", "/status", 404),
        ("GET", "/t/tools", 405),
        ("DELETE", "/t/tools", 405),
        ("PUT", "/t/tools", 405),
        ("GET", "/status", 200),
    ],
)
async def test_paths_and_methods(method: str, path: str, status: int):
    async with serving() as bridge:
        assert (await Caller(bridge).http(method, path=path)).status == status
        assert pids(bridge) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":1,"method":"m"', b'{"method":"m"}{"method":"m"}', b"\xff"])
async def test_bodies_that_are_no_message(body: bytes):
    async with serving() as bridge:
        reply = await Caller(bridge).http("POST", body)
        assert reply.status == 400
        assert json.loads(reply.body)["error"]["code"] == -32600
        assert pids(bridge) == [], "and nothing is started for them"


async def test_a_notification_starts_nothing():
    async with serving() as bridge:
        await Caller(bridge).tell("notifications/initialized")
        assert pids(bridge) == []


async def test_a_refused_initialize_leaves_no_session():
    async with serving("--silent", start_timeout_s=0.3) as bridge:
        reply = await Caller(bridge).ask("initialize")
        assert b"mcp-session-id" not in dict(reply.headers)
        assert json.loads(reply.body)["error"]["message"].startswith("The tool server did not answer within 0.3 s.")
        assert not bridge.targets["tools"]._sessions


async def test_status():
    async with serving() as bridge:
        alice = Caller(bridge)
        await alice.initialize()
        shown = json.loads((await alice.http("GET", path="/status", session="")).body)["targets"]["tools"]
        (child,) = shown.pop("children")
        assert shown == {"command": sys.executable, "isolation": "session", "restarts": 0, "error": ""}
        assert (child["pid"], child["era"], child["sessions"], child["calls"]) == (pids(bridge)[0], "legacy", 1, 0)
        assert 0 <= time.time() - child["since"] < 60
