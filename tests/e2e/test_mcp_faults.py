"""One tool server of five fails: the other four do not notice, and it is back when it is back.

The long form, with figures, is `tests/proofs/mcp_faults.py`.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.mcp_rig import Caller
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.proofs.mcp_faults import FAULTS, Five, Load, both, five, suffer


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Five, RunningMesh]]:
    """A mesh that has known all five."""
    with five() as servers, running_mesh(tmp_path_factory.mktemp("faults"), servers.config()) as mesh:
        assert Load(both(mesh)).run(3).failures == []
        yield servers, mesh


@pytest.mark.parametrize("how", FAULTS)
def test_a_fault_of_one_is_nobody_elses(rig: tuple[Five, RunningMesh], how: str) -> None:
    seen = suffer(*rig, how, rounds=6)
    assert seen.before.failures == []
    assert seen.beside.failures == []
    assert seen.refused > 0
    assert seen.back_s < 15
    # Generous: callers and servers share two cores with the mesh.
    assert seen.beside.p99_ms <= max(3 * seen.before.p99_ms, 250.0)


def test_a_session_that_a_server_forgot_is_begun_anew_alone_and_unseen(rig: tuple[Five, RunningMesh]) -> None:
    servers, mesh = rig
    alice, other = Caller(mesh.port).begin(), Caller(mesh.port).begin()
    one = servers.servers[1]
    alice.call("t1__echo")
    own = one.calls[-1][0].header("mcp-session-id")
    other.call("t1__echo")
    others = one.calls[-1][0].header("mcp-session-id")
    assert own != others
    begun = [len(server.begun) for server in servers.servers]
    one.sessions.discard(str(own))
    for number in range(3):
        assert json.loads(alice.call("t1__echo", n=number).said) == {"n": number}
        assert other.call("t1__echo").status == 200
    assert one.calls[-1][0].header("mcp-session-id") == others
    begun[1] += 1
    assert [len(server.begun) for server in servers.servers] == begun


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_one_that_was_never_there_is_missing_until_it_comes_and_callers_are_told(tmp_path: Path, how: str) -> None:
    absent = (0,) if how == "killed" else ()
    with five(*absent) as servers:
        servers.servers[0].fault = FAULTS[how]
        with running_mesh(tmp_path, servers.config()) as mesh:
            begun_s = time.monotonic()
            alice = Caller(mesh.port).begin()
            assert time.monotonic() - begun_s < 6, "its deadline is waited for once"
            begun_s = time.monotonic()
            names = alice.names()
            assert sorted(names) == [f"t{n}__echo" for n in range(1, 5)]
            for _ in range(3):
                for number in range(1, 5):
                    assert alice.call(f"t{number}__echo").status == 200
            assert time.monotonic() - begun_s < 1.5, "it is waited for no more"
            strict = Caller(mesh.port, path="/mcp/strict")
            assert "could not be reached" in strict.ask("tools/list").error["message"]
            stream = alice.open("GET")
            stream.until(b"id: ")
            servers.servers[0].fault = None
            if absent:
                servers.up(0)
            stream.until(b"tools/list_changed", 20)
            stream.close()
            assert "t0__echo" in alice.names()
            assert alice.call("t0__echo").status == 200
            eventually(lambda: "result" in strict.ask("tools/list").last)
