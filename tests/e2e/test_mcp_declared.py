"""Tool servers as they come to be declared: kagent's resources, an editor's file, a change, a mistake.

Each is served through the real door, and what is wrong with one is said to whoever asks.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mcp_rig import META, MODERN, Backend, Caller, backend, tool
from tests.e2e.running import eventually, running_mesh
from tests.mcp_servers.running import everything

PROGRAM = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    known = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "p"}},
        "tools/list": {"tools": [{"name": "env", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": json.dumps(dict(os.environ))}]},
        "ping": {},
    }
    found = known.get(asked["method"])
    error = {"code": -32601, "message": "Method not found"}
    told = {"error": error} if found is None else {"result": found}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}), flush=True)
"""
KAGENT = """
apiVersion: v1
kind: Secret
metadata: {name: orders}
stringData: {token: s3cret-token}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: team}
data: {colour: blue}
---
apiVersion: kagent.dev/v1alpha1
kind: MCPServer
metadata: {name: program, namespace: kagent}
spec:
  transportType: stdio
  deployment:
    cmd: PYTHON
    args: [PROGRAM]
    env: {OWN: "1"}
    secretRefs: [{name: orders}]
    configMapRefs: [{name: team}]
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: orders, namespace: kagent}
spec:
  description: Orders
  url: "ORDERS"
  headersFrom:
    - {name: x-token, valueFrom: {type: Secret, name: orders, key: token}}
    - {name: x-team, valueFrom: {type: ConfigMap, name: team, key: colour}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: old}
spec: {description: Older, url: "OLD", protocol: SSE}
"""
HEAD = """
listeners: [{name: mcp, address: 127.0.0.1, port: PORT, protocol: MCP}]
admin: {port: ADMIN}
security: {authentication: {type: none}}
"""


def meant(text: str, **said: object) -> str:
    """A configuration to fill in ports."""
    for name, value in said.items():
        text = text.replace(name, str(value))
    text = text.replace("{", "{{").replace("}", "}}")
    return text.replace("ADMIN", "{admin_port}").replace("PORT", "{port}")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def test_kagents_tool_servers_are_served_as_they_are_declared(tmp_path: Path, program: Path) -> None:
    with backend(Backend("orders")) as orders, everything("sse", "legacy") as old:
        said = {"PYTHON": sys.executable, "PROGRAM": program, "ORDERS": orders.url, "OLD": old}
        kagent = tmp_path / "kagent.yaml"
        kagent.write_text(meant(KAGENT, **said).format())
        with running_mesh(tmp_path / "mesh", meant(HEAD), arguments=("-f", str(kagent))) as mesh:
            caller = Caller(mesh.port, None)
            names = caller.names()
            assert {"program__env", "orders__echo", "old__echo"} <= set(names)
            environ = json.loads(caller.call("program__env").said)
            assert (environ["OWN"], environ["token"], environ["colour"]) == ("1", "s3cret-token", "blue")
            assert json.loads(caller.call("orders__echo", text="x").said) == {"text": "x"}
            asked, _ = orders.calls[-1]
            assert (asked.header("x-token"), asked.header("x-team")) == ("s3cret-token", "blue")
            assert caller.call("old__echo", text="x").said == "x"
            assert "s3cret-token" not in mesh.log


def test_an_editors_file_is_served(tmp_path: Path, program: Path) -> None:
    with backend(Backend("web")) as web:
        servers = {
            "program": {"command": sys.executable, "args": [str(program)], "env": {"OWN": "${FROM_OUTSIDE}"}},
            "web": {"url": web.url, "headers": {"x-team": "blue"}},
            "off": {"command": "nowhere", "disabled": True},
        }
        editor = tmp_path / "mcp.json"
        editor.write_text(json.dumps({"mcpServers": servers}))
        settings: dict[str, Any] = {"arguments": ("--mcp-config", str(editor)), "environ": {"FROM_OUTSIDE": "seen"}}
        with running_mesh(tmp_path / "mesh", meant(HEAD), **settings) as mesh:
            caller = Caller(mesh.port, None)
            assert caller.names() == ["program__env", "web__echo"]
            assert json.loads(caller.call("program__env").said)["OWN"] == "seen"
            assert caller.call("web__echo").status == 200
            assert web.calls[-1][0].header("x-team") == "blue"
            old = Caller(mesh.port, None).begin()
            del servers["web"]
            before = mesh.running()["version"]
            editor.write_text(json.dumps({"mcpServers": servers}))
            eventually(lambda: mesh.running()["version"] != before)
            assert old.names() == ["env"], "its file is looked after, and sessions go on"


SERVERS = """
    - {name: default, prefix: never, targets: [a, b]}
    - {name: team, targets: [b]}
"""


def _mcp(*backends: Backend, servers: str = "") -> str:
    targets = "".join(f'    - {{name: {one.name}, http: {{url: "{one.url}"}}}}\n' for one in backends)
    return meant(f"{HEAD}mcp:\n  targets:\n{targets}" + (f"  servers:{servers}" if servers else ""))


def _listen(caller: Caller) -> Any:
    """A stateless listener that waits for changes of tools."""
    envelope = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
    params = {"notifications": {"toolsListChanged": True}, "_meta": envelope}
    message = {"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": params}
    fields = {"mcp_protocol_version": MODERN, "mcp_method": "subscriptions/listen"}
    stream = caller.open("POST", json.dumps(message).encode(), **fields)
    stream.until(b"acknowledged")
    return stream


def test_targets_and_servers_come_and_go_while_sessions_live(tmp_path: Path) -> None:
    with ExitStack() as stack:
        a, b = (stack.enter_context(backend(one)) for one in (Backend("a"), Backend("b", tools=[tool("late")])))
        mesh = stack.enter_context(running_mesh(tmp_path, _mcp(a)))
        ports = {"port": mesh.port, "admin_port": mesh.admin_port}
        alice = Caller(mesh.port, None).begin()
        assert alice.names() == ["echo"]
        stream, listening = alice.open("GET"), Caller(mesh.port, None)
        stream.until(b"id: ")
        subscribed = _listen(listening)
        mesh.rewrite(_mcp(a, b, servers=SERVERS).format(**ports))
        assert alice.names() == ["echo", "late"]
        assert alice.call("late").status == 200
        team = Caller(mesh.port, None, "/mcp/team").begin()
        assert team.names() == ["late"]
        stream.until(b"tools/list_changed")
        stream.until(b"\r\n0\r\n\r\n")
        subscribed.until(b'"result"')
        heard = subscribed.messages()
        assert [one.get("method", "")[14:] for one in heard] == [
            "subscriptions/acknowledged",
            "tools/list_changed",
            "",
        ]
        assert heard[-1]["result"]["resultType"] == "complete"
        again = alice.open("GET")
        again.until(b"id: ")
        mesh.rewrite(_mcp(a).format(**ports))
        assert alice.names() == ["echo"]
        assert alice.call("late").error["code"] == -32602
        assert team.ask("tools/list").status == 404
        again.until(b"tools/list_changed")
        for one in (stream, subscribed, again):
            one.close()


RULED = """
mcp:
  targets: [{name: a, http: {url: "URL"}}]
  servers: [{name: SERVER, path: /mcp, targets: [a], authorization: [RULE{action: allow}]}]
"""


def test_a_session_of_the_oldest_transport_obeys_the_configuration_there_is(tmp_path: Path) -> None:
    with backend(Backend("a")) as a:
        said = {"URL": a.url, "SERVER": "one"}
        first, second = (meant(HEAD + RULED, RULE=rule, **said) for rule in ("", "{tools: echo, action: deny}, "))
        third = meant(HEAD + RULED, RULE="", URL=a.url, SERVER="two")
        with running_mesh(tmp_path, first) as mesh:
            ports = {"port": mesh.port, "admin_port": mesh.admin_port}
            caller = Caller(mesh.port, "none", "/mcp/sse")
            stream = caller.open("GET")
            place = stream.until(b"\n\n").decode().partition("data: ")[2].split()[0]

            def call(number: int) -> dict[str, Any]:
                params = {"name": "echo", "arguments": {}}
                asked = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
                assert caller.http("POST", json.dumps(asked).encode(), path=place).status == 202
                stream.until(b'"id":%d' % number)
                eventually(lambda: any(one.get("id") == number for one in stream.messages()))
                return next(one for one in stream.messages() if one.get("id") == number)

            assert "result" in call(1)
            mesh.rewrite(second.format(**ports))
            assert call(2)["error"]["message"] == "Unknown tool: echo"
            mesh.rewrite(first.format(**ports))
            assert "result" in call(3)
            assert stream.got.count(b"tools/list_changed") >= 2, "it is told each time"
            mesh.rewrite(third.format(**ports))
            stream.until(b"\r\n0\r\n\r\n")
            stream.close()


MISTAKES = {
    "no program": ("stdio: {command: [/nowhere/at-all]}", "/nowhere/at-all"),
    "nobody there": ('http: {url: "http://127.0.0.1:9/mcp"}', "could not be reached"),
    "ends at once": ("""stdio: {command: [PYTHON, "-c", "raise SystemExit('no database')"]}""", "no database"),
}
BAD = """
mcp:
  targets:
    - {name: bad, MISTAKE}
    - {name: good, http: {url: "GOOD"}}
  servers:
    - {name: default, targets: [good, bad]}
    - {name: alone, targets: [bad]}
"""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_who_asks_is_told_what_is_wrong_with_a_server(tmp_path: Path, mistake: str) -> None:
    target, words = MISTAKES[mistake]
    with backend(Backend("good")) as good:
        text = meant(HEAD + BAD, MISTAKE=target, PYTHON=sys.executable, GOOD=good.url)
        with running_mesh(tmp_path, text) as mesh:
            caller = Caller(mesh.port, None)
            assert caller.names() == ["good__echo"], "the others are served"
            alone = Caller(mesh.port, None, "/mcp/alone").ask("tools/list").error
            assert alone["message"] == "The tool server `bad` could not be reached.", "callers are told no more"
            assert caller.call("bad__x").error["code"] == -32602
            eventually(lambda: words in mesh.log)
            eventually(lambda: mesh.metric("heddle_mcp_target_healthy", target="bad") == 0, 15)
            assert mesh.metric("heddle_mcp_target_healthy", target="good") == 1
