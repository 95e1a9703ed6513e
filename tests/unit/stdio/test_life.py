"""When children start, end, and start again; and that nobody stays behind."""

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path

import pytest
from tests.unit.stdio.rig import ENVIRON, MODERN, Caller, alive, events, eventually, pids, serving, spec

from heddle.stdio import child as children
from heddle.stdio import orphans
from heddle.stdio.process import ServerProcess, StartError
from heddle.stdio.stderr import Allowance, Complaints
from heddle.stdio.watchdog import processes


def read(path: str) -> str:
    return Path(path).read_text()


def name(pid: int) -> str:
    try:
        return read(f"/proc/{pid}/cmdline")
    except FileNotFoundError:
        return ""


async def test_a_crash_answers_what_was_under_way_and_loses_the_session():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        hanging = asyncio.ensure_future(caller.tool("hang", ident="h"))
        listening = events(await caller.http("GET"))
        await asyncio.sleep(0.1)
        reply = await caller.tool("crash", last="out of cheese")
        error = {"code": -32603, "message": "The tool server ended. Its last lines: out of cheese"}
        assert (reply.status, json.loads(reply.body)["error"]) == (200, error)
        assert json.loads((await hanging).body) == {"jsonrpc": "2.0", "id": "h", "error": error}
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(listening), 5)
        assert (await caller.tool("echo")).status == 404
        assert (await caller.initialize())["serverInfo"]["pid"] == pids(bridge)[0], "the first start again is at once"
        assert bridge.targets["tools"].restarts == 1


async def test_a_shared_child_that_crashed_is_replaced_and_initialised_anew():
    async with serving(isolation="shared") as bridge:
        alice, bob = Caller(bridge), Caller(bridge, "bob")
        first = await alice.initialize()
        assert await bob.initialize() == first
        await alice.tool("crash")
        assert (await bob.tool("echo")).status == 404
        assert await bob.initialize() != first


async def test_who_crashes_it_again_and_again_waits_and_others_do_not():
    async with serving("--modern") as bridge:
        mallory, alice = Caller(bridge, "mallory"), Caller(bridge)
        for _ in range(6):
            reply = await mallory.tool("crash", MODERN, last="because of mallory")
            if reply.status == 503:
                break
        assert reply.status == 503
        assert 1 <= int(dict(reply.headers)[b"retry-after"]) <= 2
        assert (
            "keeps ending. The tool server ended. Its last lines: because of mallory"
            in json.loads(reply.body)["error"]["message"]
        )
        assert await alice.modern("echo") == {}
        reply = await alice.tool("crash", MODERN, last="because of alice")
        assert b"mallory" not in reply.body, "what a child said is told to whom it worked for, and to nobody else"


@pytest.mark.parametrize("far", [False, True])
async def test_what_a_server_started_ends_with_it(far: bool):
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        grandchild = await caller.call("spawn", far=far)
        assert alive(grandchild)
        await caller.tool("crash")
        await eventually(lambda: not alive(grandchild), 2)


async def test_an_orderly_end_takes_everybody_along():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        grandchild, pid = await caller.call("spawn", far=True), pids(bridge)[0]
        await caller.http("DELETE")
        await eventually(lambda: not alive(grandchild) and not alive(pid), 2)
        assert bridge.targets["tools"].error == "", "and is no crash"


async def test_a_server_that_will_not_end_is_killed():
    async with serving("--stubborn", stop_grace_s=0.2) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        (pid,) = pids(bridge)
        begun_s = time.monotonic()
        await caller.http("DELETE")
        await eventually(lambda: not alive(pid), 5)
        assert time.monotonic() - begun_s >= 0.4, "its input is closed first, then SIGTERM, each with its time"


async def test_idle_children_stop_and_used_ones_stay():
    async with serving(idle_s=0.2) as bridge:
        idle, listening = Caller(bridge), Caller(bridge)
        await idle.initialize()
        await listening.initialize()
        await listening.http("GET")
        busy = Caller(bridge)
        await busy.initialize()
        hanging = asyncio.ensure_future(busy.tool("hang"))
        await asyncio.sleep(0.3)
        bridge.targets["tools"].sweep(time.monotonic())
        await eventually(lambda: len(pids(bridge)) == 2)
        assert (await idle.tool("echo")).status == 404
        assert await listening.call("echo") == {}
        hanging.cancel()


async def test_no_more_children_than_allowed():
    async with serving(max_children=2) as bridge:
        alice, bob, more = Caller(bridge), Caller(bridge, "bob"), Caller(bridge, "carol")
        await alice.initialize()
        await bob.initialize()
        reply = await more.ask("initialize")
        assert reply.status == 503
        assert "All 2 children of tools are in use" in json.loads(reply.body)["error"]["message"]
        again = Caller(bridge)
        await again.initialize()
        assert (await alice.tool("echo")).status == 404, "one's own oldest makes room"
        assert await bob.call("echo") == {}, "and never another's"
        assert len(pids(bridge)) == 2


async def test_a_burst_of_sessions_stays_within_the_bound():
    async with serving(max_children=3) as bridge:
        callers = [Caller(bridge, f"owner{number}") for number in range(8)]
        replies = await asyncio.gather(*(caller.ask("initialize", protocolVersion="x") for caller in callers))
        assert sorted(reply.status for reply in replies) == [200] * 3 + [503] * 5
        assert len(pids(bridge)) == 3


# Servers that do not start.


async def test_a_missing_command_is_named():
    async with serving(command=("uvxyz", "mcp-server-time")) as bridge:
        reply = await Caller(bridge).ask("initialize")
        assert reply.status == 503
        text = json.loads(reply.body)["error"]["message"]
        assert text.startswith("There is no such command `uvxyz`; is it installed")
        assert bridge.targets["tools"].status()["error"] == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"command": ("/etc/passwd",)}, "The command `/etc/passwd` cannot be run: Permission denied."),
        ({"cwd": "/no/such/place"}, "The working directory '/no/such/place' cannot be entered: No such file"),
        ({"memory_bytes": 1 << 62, "open_files": 1 << 40}, "The limits of the tool server cannot be set"),
    ],
)
async def test_what_else_keeps_a_server_from_starting(fields: dict[str, object], text: str):
    with pytest.raises(StartError, match=text):
        await ServerProcess.start("tools", spec(**fields), Complaints("tools", {}, Allowance()), ENVIRON, "/")


async def test_a_server_that_dies_at_once_says_why():
    async with serving("--dies") as bridge:
        reply = await Caller(bridge).ask("initialize")
        expected = "The tool server ended. Its last lines: cannot find my database"
        assert json.loads(reply.body)["error"]["message"] == expected


async def test_a_silent_server_is_ended():
    async with serving("--silent", start_timeout_s=0.3) as bridge:
        reply = await Caller(bridge).ask("initialize")
        assert json.loads(reply.body)["error"]["message"].startswith("The tool server did not answer within 0.3 s.")
        await eventually(lambda: pids(bridge) == [])


async def test_a_start_that_nobody_waits_for_leaves_nobody():
    """Whenever they leave."""
    async with serving() as bridge:
        for delay_s in (0, 0, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1):
            starting = asyncio.ensure_future(Caller(bridge).ask("initialize"))
            await asyncio.sleep(delay_s)
            starting.cancel()
            await asyncio.wait([starting])
        await eventually(lambda: pids(bridge) == [] and not orphans._watchdogs)
        assert not [
            pid for pid, (parent, _) in processes().items() if parent == os.getpid() and "watchdog" in name(pid)
        ]


# What a server is given.


async def test_only_named_variables_reach_it():
    environ = {**ENVIRON, "AWS_SECRET_ACCESS_KEY": "not for it", "GITHUB_TOKEN": "for it", "TZ": "UTC"}
    asked = {"env": {"OWN": "1", "TZ": "Mars"}, "pass_env": ("PATH", "TZ", "GITHUB_TOKEN", "NOT_SET")}
    async with serving(environ=environ, **asked) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        given = await caller.call("env")
        given.pop("LC_CTYPE", None)  # Python's own
        assert given == {"PATH": ENVIRON["PATH"], "OWN": "1", "TZ": "Mars", "GITHUB_TOKEN": "for it"}


async def test_secrets_are_in_no_command_line_and_no_environment_of_the_watchdog():
    async with serving(env={"TOKEN": "s3cret-token"}) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        assert (await caller.call("env"))["TOKEN"] == "s3cret-token"
        watchdog = processes()[pids(bridge)[0]][0]
        for name in ("cmdline", "environ"):
            assert "s3cret" not in read(f"/proc/{watchdog}/{name}")
        assert "s3cret" not in repr(bridge.targets["tools"].spec)


async def test_its_folder_and_its_limits(tmp_path: Path):
    limits = {"memory_bytes": 1 << 33, "cpu_s": 100, "open_files": 64}
    async with serving(cwd=str(tmp_path), **limits) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        assert await caller.call("cwd") == str(tmp_path)
        names = ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_CORE"]
        assert await caller.call("limits", names=names) == {
            "RLIMIT_AS": [1 << 33, 1 << 33],
            "RLIMIT_CPU": [100, 101],
            "RLIMIT_NOFILE": [64, 64],
            "RLIMIT_CORE": [0, 0],
        }


async def test_without_a_folder_of_its_own_it_is_the_states(tmp_path: Path):
    async with serving(state=tmp_path) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        assert await caller.call("cwd") == str(tmp_path)


async def test_it_holds_nothing_open_of_ours():
    """A descriptor that leaks into a server is a way into what it belongs to."""
    secret = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        async with serving() as bridge:
            caller = Caller(bridge)
            await caller.initialize()
            (pid,) = pids(bridge)
            assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    finally:
        os.close(secret)


# What a server says that is not well.


async def test_what_is_no_message_is_logged_and_skipped(caplog: pytest.LogCaptureFixture):
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        with caplog.at_level(logging.INFO, "heddle.stdio"):
            for text in ("Starting up...\n", "\n", "{}\n", '{"jsonrpc":"2.0","id":1}\n', "\xff\n", "[" * 99999 + "\n"):
                assert await caller.call("raw", text=text) is None
        assert "not a message, skipped: Starting up..." in caplog.messages
        assert len(caplog.messages) == 5


async def test_answers_to_what_nobody_asked_are_dropped():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        for ident in ('"1"', "99", "null", "1"):
            await caller.call("raw", text=f'{{"jsonrpc":"2.0","id":{ident},"result":{{}}}}\n')
        text = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":99}}\n'
        assert await caller.call("raw", text=text) is None
        assert await caller.call("echo") == {}


async def test_a_line_without_end_ends_the_child(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "MAX_LINE_BYTES", 1 << 20)
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        reply = await caller.tool("flood", mib=3)
        assert "a line of more than 1048576 bytes" in json.loads(reply.body)["error"]["message"]
        assert (await caller.tool("echo")).status == 404


async def test_a_server_that_does_not_read_is_not_fed_forever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "MAX_UNSENT_BYTES", 1 << 20)
    script = 'import sys,time; sys.stdin.readline(); print(\'{"id":1,"result":{}}\', flush=True); time.sleep(600)'
    async with serving(command=(sys.executable, "-c", script)) as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        waiting = [asyncio.ensure_future(caller.tool("echo", pad="x" * 600_000)) for _ in range(6)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        refused = done.pop().result()
        assert refused.status == 503
        assert json.loads(refused.body)["error"]["message"] == "The tool server does not read what it is sent."
        for task in waiting:
            task.cancel()


async def test_large_messages_pass_both_ways():
    async with serving() as bridge:
        caller = Caller(bridge)
        await caller.initialize()
        pad = "\u20ac" * 1_000_000
        assert (await caller.call("echo", pad=pad))["pad"] == pad


async def test_a_server_that_closes_its_output_has_ended():
    script = "import os,sys,time; os.close(1); time.sleep(600)"
    async with serving(command=(sys.executable, "-c", script), stop_grace_s=0.1) as bridge:
        reply = await Caller(bridge).ask("initialize")
        assert json.loads(reply.body)["error"]["message"].startswith("The tool server ended.")
        await eventually(lambda: pids(bridge) == [])
