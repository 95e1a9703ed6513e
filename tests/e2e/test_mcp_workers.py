"""Sessions, questions and streams that begin in one worker and go on in another.

Which worker takes a connection nobody chooses: each is done so often that both take part.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.e2e.mcp_rig import Backend, Caller, Message, asking, backend, later, text, tool
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Asked

TIMES = 8
CONFIG = """
listeners: [{{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}]
admin: {{{{port: {{admin_port}}}}}}
security: {{{{authentication: {{{{type: api_key, keys: [{{{{key: sk-alice, user: alice}}}}]}}}}}}}}
mcp:
  targets: [{{{{name: old, http: {{{{url: "{old}"}}}}, health: {{{{interval: 0s}}}}}}}}]
  servers: [{{{{name: default, path: /mcp, title: "{title}", targets: [old]}}}}]
authorization: {{{{policies: [{{{{name: all, action: allow, resources: ["tool:*"]}}}}]}}}}
"""


def _hangs(gone: list[Any]) -> Any:
    """A handler that never answers, and writes down when it is left."""

    def handler(_: Asked, message: Message) -> Any:
        def answer(sock: socket.socket) -> None:
            progress = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "on"}}
            sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            sock.sendall(b"data: %b\n\n" % json.dumps(progress).encode())
            sock.settimeout(20)
            sock.recv(1)
            gone.append(message["id"])

        return answer

    return handler


def _in_two_parts(_: Asked, message: Message) -> Any:
    def answer(sock: socket.socket) -> None:
        progress = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "first"}}
        sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        sock.sendall(b"data: %b\n\n" % json.dumps(progress).encode())
        time.sleep(0.4)
        result = {"jsonrpc": "2.0", "id": message["id"], "result": text("second")}
        sock.sendall(b"data: %b\n\n" % json.dumps(result).encode())
        sock.shutdown(socket.SHUT_RDWR)

    return answer


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningMesh, Backend, list[Any]]]:
    """Two workers and a server of the older era."""
    old = Backend("old", tools=[tool(name) for name in ("echo", "asks", "hangs", "parts")])
    gone: list[Any] = []
    old.handlers["tools/call asks"] = asking(old)
    old.handlers["tools/call hangs"] = _hangs(gone)
    old.handlers["tools/call parts"] = _in_two_parts
    with ExitStack() as stack:
        stack.enter_context(backend(old))
        config = CONFIG.format(old=old.url, title="one")
        mesh = stack.enter_context(running_mesh(tmp_path_factory.mktemp("workers"), config, workers=2))
        yield mesh, old, gone


Rig = tuple[RunningMesh, Backend, list[Any]]


def body(identity: int, name: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": identity, "method": "tools/call", "params": {"name": name}}).encode()


def test_a_session_is_served_by_every_worker_with_one_session_behind_it(rig: Rig) -> None:
    mesh, old, _ = rig
    alice = Caller(mesh.port).begin()
    begun = len(old.begun)
    for number in range(TIMES):
        assert json.loads(alice.call("echo", n=number).said) == {"n": number}
    assert len(old.begun) == begun
    assert len({asked.header("mcp-session-id") for asked, _ in old.calls[-TIMES:]}) == 1


def test_a_question_is_answered_through_any_worker(rig: Rig) -> None:
    alice = Caller(rig[0].port, capabilities={"sampling": {}}).begin()
    for number in range(TIMES):
        stream = alice.open("POST", body(number, "asks"))
        stream.until(b"sampling/createMessage")
        asked = next(m for m in stream.messages() if m.get("method"))
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"number": number, "mine": "yes"}}
        assert alice.post(answer).status == 202
        stream.until(b"mine", 5)
        stream.close()


def test_a_call_that_asks_back_goes_on_in_any_worker(rig: Rig) -> None:
    alice = Caller(rig[0].port, capabilities={"sampling": {}})
    for number in range(TIMES):
        first = alice.ask("tools/call", {"name": "asks"}).result
        assert first["resultType"] == "input_required"
        answers = {key: {"number": number, "mine": "yes"} for key in first["inputRequests"]}
        again = {"name": "asks", "requestState": first["requestState"], "inputResponses": answers}
        assert json.loads(alice.ask("tools/call", again).said)["result"] == {"number": number, "mine": "yes"}
        assert alice.ask("tools/call", again).error["code"] == -32602, "it goes on once"


def test_a_call_is_cancelled_through_any_worker(rig: Rig) -> None:
    mesh, old, gone = rig
    alice = Caller(mesh.port).begin()
    for number in range(TIMES):
        gone.clear()
        stream = alice.open("POST", body(number, "hangs"))
        stream.until(b'"on"')
        told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        assert alice.post(told).status == 202
        eventually(lambda: gone, 5)
        number_there = gone[0]
        eventually(lambda there=number_there: any(m.get("params", {}).get("requestId") == there for m in old.told), 5)
        stream.close()


def test_closing_its_stream_cancels_a_call_of_the_newer_era_and_no_other(rig: Rig) -> None:
    mesh, _, gone = rig
    gone.clear()
    modern, legacy = Caller(mesh.port), Caller(mesh.port).begin()
    kept = legacy.open("POST", body(1, "hangs"))
    kept.until(b'"on"')
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": "debug",
    }
    params = {"name": "hangs", "_meta": envelope}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    fields = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "hangs"}
    stream = modern.open("POST", message, **fields)
    stream.until(b'"on"')
    stream.close()
    eventually(lambda: len(gone) == 1, 5)
    kept.close()
    time.sleep(0.5)
    assert len(gone) == 1, "a call of a session goes on without its stream: its caller may come back"
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert legacy.post(cancelled).status == 202
    eventually(lambda: len(gone) == 2, 5)


def test_a_stream_that_broke_is_found_by_any_worker_whole(rig: Rig) -> None:
    alice = Caller(rig[0].port).begin()
    for number in range(TIMES):
        stream = alice.open("POST", body(number, "parts"))
        got = stream.until(b'"first"')
        stream.close()
        ids = [line[4:] for line in got.decode().splitlines() if line.startswith("id: ")]
        again = alice.http("GET", **alice.fields(), last_event_id=ids[0])
        assert [m.get("method") or m["id"] for m in again.messages] == ["notifications/message", number]
        assert again.last["result"] == text("second")


def test_messages_of_the_oldest_transport_reach_the_worker_that_has_the_stream(rig: Rig) -> None:
    caller = Caller(rig[0].port, path="/mcp/sse")
    stream = caller.open("GET")
    stream.until(b"\n\n", 5)
    place = next(line[5:].strip() for line in stream.got.decode().splitlines() if line.startswith("data:"))
    hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    sent = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    assert caller.http("POST", json.dumps(sent).encode(), place).status == 202
    stream.until(b'"id":0', 5)
    for number in range(1, TIMES):
        assert caller.http("POST", body(number, "echo"), place).status == 202
        stream.until(b'"id":%d' % number, 5)
    stream.close()
    eventually(lambda: caller.http("POST", body(99, "echo"), place).status == 404, 5)


def test_the_servers_own_stream_goes_on_after_a_break(rig: Rig) -> None:
    mesh, old, _ = rig
    alice = Caller(mesh.port).begin()
    stream = alice.open("GET")
    stream.until(b"id: ")
    stream.until(b"\n\n")
    ids = [line[4:] for line in stream.got.decode().splitlines() if line.startswith("id: ")]
    stream.close()
    again = alice.open("GET", last_event_id=ids[0])
    again.until(b"id: ")
    old.tools.append(tool("later"))
    try:
        told = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        line = b"data: %b\n\n" % json.dumps(told).encode()
        head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        old.handlers["GET"] = lambda *_: head + line
        again.until(b"list_changed", 20)
    finally:
        del old.handlers["GET"]
        old.tools.pop()
        again.close()


def test_calls_and_sessions_outlive_a_new_configuration(rig: Rig) -> None:
    mesh, old, _ = rig
    alice, modern = Caller(mesh.port).begin(), Caller(mesh.port)
    failed: list[Any] = []
    over: list[bool] = []

    def load() -> int:
        done = 0
        while not over:
            for caller in (alice, modern):
                got = caller.call("echo", n=done)
                if got.status != 200 or "result" not in got.last:
                    failed.append(got)
                done += 1
        return done

    thread, count = later(load)
    for number in range(4):
        text_ = CONFIG.format(old=old.url, title=f"title {number}")
        mesh.rewrite(text_.format(port=mesh.port, admin_port=mesh.admin_port))
        time.sleep(0.3)
    over.append(True)
    thread.join(20)
    assert count[0] > 20
    assert failed == []


def test_sessions_outlive_the_worker_that_began_them(rig: Rig) -> None:
    mesh, _, _ = rig
    callers = [Caller(mesh.port).begin() for _ in range(TIMES)]
    worker = int(mesh.running()["workers"][0])  # type: ignore[index]
    os.kill(worker, signal.SIGKILL)

    def answered(caller: Caller) -> bool:
        try:
            return caller.call("echo").status == 200
        except OSError:
            return False  # it went to the one that is dead

    for caller in callers:
        eventually(lambda caller=caller: answered(caller))
    eventually(lambda: len(mesh.running()["workers"]) == 2 and worker not in mesh.running()["workers"])  # type: ignore[arg-type,operator]
    for caller in callers:
        assert caller.call("echo").status == 200
