"""A call has as much time as its target is given, whichever way it is reached; a session as much as is declared."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mcp_rig import Backend, Caller, Message, backend, text, tool
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Asked, reply, serving
from tests.mcp_servers.running import everything

CONFIG = """
listeners: [{{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}]
admin: {{{{port: {{admin_port}}}}}}
security: {{{{authentication: {{{{type: none}}}}}}}}
mcp:
  sessions: {{{{ttl: 3s, replay_events: 0}}}}
  targets:
    - {{{{name: old, http: {{{{url: "{old}"}}}}, timeouts: {{{{call: 1s}}}}}}}}
    - {{{{name: new, http: {{{{url: "{new}"}}}}, timeouts: {{{{call: 1s}}}}}}}}
    - {{{{name: sse, sse: {{{{url: "{sse}"}}}}, timeouts: {{{{call: 1s}}}}}}}}
    - {{{{name: program, stdio: {{{{command: ["{python}", "{program}"]}}}}, timeouts: {{{{call: 1s}}}}}}}}
    - name: api
      openapi: {{{{base_url: "{api}", schema: {{{{file: api.json}}}}}}}}
      timeouts: {{{{call: 1s}}}}
      health: {{{{interval: 0.2s, unhealthy_after: 1}}}}
  servers:
    - name: default
      targets: [old, new, {{{{name: sse, tools: [slow]}}}}, program, api]
"""
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "a", "version": "1"},
    "paths": {"/slow": {"get": {"operationId": "slow", "responses": {"200": {"description": "ok"}}}}},
}
PROGRAM = """
import json, sys, threading, time
def serve(asked):
    if asked["method"] == "tools/call":
        time.sleep(4)
    known = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "p"}},
        "tools/list": {"tools": [{"name": "slow", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": []},
        "ping": {},
    }
    found = known.get(asked["method"])
    told = {"error": {"code": -32601, "message": "Method not found"}} if found is None else {"result": found}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        threading.Thread(target=serve, args=(asked,), daemon=True).start()
"""
OVER, DOWN = threading.Event(), threading.Event()
KNOCKS: list[str] = []
"""Methods of everything that the API was asked."""


def _slow(_: Asked, message: Message) -> Message:
    del message
    OVER.wait(4)
    return text("late")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    folder: Path = tmp_path_factory.mktemp("deadlines")
    program = folder / "program.py"
    program.write_text(PROGRAM)
    (folder / "api.json").write_text(json.dumps(DOCUMENT))
    old, new = Backend("old", tools=[tool("slow")]), Backend("new", modern=True, tools=[tool("slow")])
    for one in (old, new):
        one.handlers["tools/call slow"] = _slow

    def api(asked: Asked) -> Any:
        KNOCKS.append(asked.method)
        if DOWN.is_set():
            return None
        if asked.target == "/slow":
            OVER.wait(4)
        return reply(200, b"{}")

    with ExitStack() as stack:
        stack.enter_context(backend(old))
        stack.enter_context(backend(new))
        served = stack.enter_context(serving(api))
        sse = stack.enter_context(everything("sse", "legacy"))
        urls = {"old": old.url, "new": new.url, "sse": sse, "api": served.url}
        config = CONFIG.format(**urls, python=sys.executable, program=program)
        yield stack.enter_context(running_mesh(folder, config))
        OVER.set()


@pytest.mark.parametrize("target", ["old", "new", "sse", "program", "api"])
def test_a_call_ends_when_its_target_was_silent_for_too_long(mesh: RunningMesh, target: str) -> None:
    caller = Caller(mesh.port, None)
    caller.ask("tools/list")  # and the program has started
    begun_s = time.monotonic()
    arguments = {"seconds": 4, "name": "x"} if target == "sse" else {}
    answer = caller.ask("tools/call", {"name": f"{target}__slow", "arguments": arguments})
    assert "did not answer in time" in answer.error["message"], answer.last
    assert 0.9 < time.monotonic() - begun_s < 3


def test_a_session_ends_and_nothing_is_kept_where_that_is_declared(mesh: RunningMesh) -> None:
    alice = Caller(mesh.port, None).begin()
    assert "api__slow" in alice.names()
    stream = alice.open("GET")
    got = stream.until(b"\n\n")
    assert b"id: " not in got, "nobody is told an id that leads nowhere"
    stream.close()
    eventually(lambda: alice.ask("tools/list").status == 404)
    assert "api__slow" in Caller(mesh.port, None).begin().names()


def test_an_api_is_asked_whether_it_is_there(mesh: RunningMesh) -> None:
    Caller(mesh.port, None).ask("tools/list")
    eventually(lambda: "HEAD" in KNOCKS)
    eventually(lambda: mesh.metric("heddle_mcp_target_healthy", target="api") == 1)
    DOWN.set()
    try:
        eventually(lambda: mesh.metric("heddle_mcp_target_healthy", target="api") == 0)
    finally:
        DOWN.clear()
    eventually(lambda: mesh.metric("heddle_mcp_target_healthy", target="api") == 1)
