"""Callers and tool servers who mean no good, through the real door. What is refused never reaches a tool server.

URLs of OAuth discovery that lead elsewhere are refused in `test_mcp_oauth.py`.
"""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mcp_rig import META, MODERN, Backend, Caller, Message, Rpc, asking, backend, sse, text, tool
from tests.e2e.running import RunningMesh, eventually, rss_mb, running_mesh
from tests.e2e.servers import Asked, reply, serving

CONFIG = """
listeners:
  - {{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP, limits: {{{{max_body_bytes: 1048576}}}}}}}}
admin: {{{{port: {{admin_port}}}}}}
observability: {{{{logging: {{{{output: [{{{{type: file, path: access.log}}}}]}}}}}}}}
security:
  authentication:
    type: api_key
    keys: [{{{{key: sk-alice, user: alice}}}}, {{{{key: sk-bob, user: bob}}}}]
mcp:
  targets:
    - {{{{name: old, http: {{{{url: "{old}"}}}}, health: {{{{interval: 0s}}}}, timeouts: {{{{call: 3s, total: 6s}}}}}}}}
    - {{{{name: new, http: {{{{url: "{new}"}}}}, health: {{{{interval: 0s}}}}, timeouts: {{{{call: 3s, total: 6s}}}}}}}}
  servers:
    - name: default
      path: /mcp
      targets:
        - name: old
          tools: [{{{{name: pay, arguments: {{{{account: {{{{fixed: "mine"}}}}, limit: {{{{default: 5}}}}}}}}}}}}, "*"]
          hide: [hidden]
          resources: ["file:///public/*"]
        - new
      authorization:
        - resources: ["tool:old__denied", "prompt:old__denied", "resource:old+file:///public/denied"]
          action: deny
        - tools: old__pay
          when: '!(call.arguments.account == "mine" && call.arguments.limit <= 5)'
          action: deny
        - {{{{action: allow}}}}
    - name: other
      path: /mcp/other
      targets: [{{{{name: new, prefix: n}}}}]
      authorization: [{{{{action: allow}}}}]
authorization:
  policies:
    - {{{{name: all, action: allow, resources: ["server:*", "tool:*", "prompt:*", "resource:*"]}}}}
"""


@dataclass
class Rig:
    """A mesh and the two servers behind it."""

    mesh: RunningMesh
    old: Backend
    new: Backend

    def caller(self, key: str | None = "sk-alice", path: str = "/mcp", capabilities: Any = None) -> Caller:
        return Caller(self.mesh.port, key, path, capabilities)

    def quiet(self) -> int:
        """How many calls of tools, prompts and resources have reached anybody."""
        return len(self.old.calls) + len(self.new.calls)


def _wanting(_: Asked, message: Message) -> Message:
    """A modern handler that asks until it is answered."""
    params = message["params"]
    if "inputResponses" in params:
        return text(f"{params.get('requestState')} {json.dumps(params['inputResponses'])}")
    question = {"method": "elicitation/create", "params": {"message": "sure?", "requestedSchema": {"type": "object"}}}
    return {"resultType": "input_required", "inputRequests": {"a": question}, "requestState": "theirs"}


def _begin_task(_: Asked, message: Message) -> Message:
    return {"task": {"taskId": "task-1", "status": "working"}}


def servers() -> tuple[Backend, Backend]:
    """What stands behind the gateway."""
    old = Backend(
        "old",
        tools=[
            *(tool(name) for name in ("echo", "denied", "hidden", "asks")),
            tool("pay", account="string", limit="integer"),
        ],
        prompts=[{"name": "fine"}, {"name": "denied"}],
        resources=[
            {"uri": "file:///public/a", "name": "a"},
            {"uri": "file:///public/denied", "name": "d"},
            {"uri": "file:///secret", "name": "s"},
        ],
    )
    old.handlers["tools/call asks"] = asking(old)
    marked = tool("marked", region="string")
    marked["inputSchema"]["properties"]["region"]["x-mcp-header"] = "Region"
    new = Backend("new", modern=True, tools=[tool("echo"), tool("wanting"), tool("slow"), marked])
    new.handlers["tools/call wanting"] = _wanting
    new.handlers["tools/call slow"] = _begin_task
    new.handlers["tasks/get"] = lambda _, m: {"taskId": m["params"]["taskId"], "status": "completed"}
    return old, new


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One mesh for all: nobody here may be able to hurt it."""
    with ExitStack() as stack:
        old, new = (stack.enter_context(backend(one)) for one in servers())
        text_ = CONFIG.format(old=old.url, new=new.url)
        yield Rig(stack.enter_context(running_mesh(tmp_path_factory.mktemp("abuse"), text_)), old, new)


# Sessions.


def test_a_session_token_is_its_callers_and_its_servers_alone(rig: Rig) -> None:
    alice = rig.caller().begin()
    assert alice.call("old__echo").said == "{}"
    before = rig.quiet()
    token = alice.session
    thieves = [
        rig.caller("sk-bob"),
        rig.caller(path="/mcp/other"),
        rig.caller("sk-bob", "/mcp/other"),
    ]
    for thief in thieves:
        thief.session = token
        for got in (
            thief.call("old__echo"),
            thief.call("n__echo"),
            thief.ask("tools/list"),
            thief.http("GET", **thief.fields()),
        ):
            assert got.status == 404, got.body
            assert got.error["code"] == -32001
        assert thief.http("DELETE", **thief.fields()).status == 404
    for spoiled in (token[:-1], token[1:], token[:-4] + "AAAA", "x", token + token, "A" * 20_000, "h1." + "A" * 500):
        alice.session = spoiled
        assert alice.call("old__echo").status in (404, 431), spoiled
    alice.session = token
    anonymous = rig.caller(None)
    anonymous.session = token
    assert anonymous.call("old__echo").status == 401
    assert rig.quiet() == before
    assert alice.call("old__echo").status == 200


def test_a_session_that_was_ended_is_over_everywhere_and_its_sessions_with_servers_too(rig: Rig) -> None:
    alice = rig.caller().begin()
    alice.call("old__echo")
    own = rig.old.calls[-1][0].header("mcp-session-id")
    assert own in rig.old.sessions
    assert alice.http("DELETE", **alice.fields()).status == 200
    eventually(lambda: own not in rig.old.sessions)
    before = rig.quiet()
    assert alice.call("old__echo").status == 404
    assert alice.http("DELETE", **alice.fields()).status == 404
    assert alice.http("GET", **alice.fields()).status == 404
    assert rig.quiet() == before


def test_sessions_and_credentials_stay_on_their_side(rig: Rig) -> None:
    alice = rig.caller().begin()
    alice.ask(
        "tools/call", {"name": "old__echo"}, cookie="sid=1", x_forwarded_for="1.2.3.4", proxy_authorization="Basic x"
    )
    modern = rig.caller()
    answer = modern.ask("tools/call", {"name": "new__echo"}, cookie="sid=1", mcp_session_id="mine", last_event_id="7")
    assert answer.status == 200
    for one in (rig.old, rig.new):
        asked = one.calls[-1][0]
        sent = {name for name, _ in asked.fields}
        assert not sent & {"authorization", "cookie", "proxy-authorization", "x-forwarded-for", "last-event-id"}
        assert "sk-alice" not in str(asked.fields)
        assert alice.session not in str(asked.fields)
        assert "mine" not in [value for _, value in asked.fields]
    got = alice.call("old__echo")
    assert not any(one in str(got.fields) + got.body.decode() for one in rig.old.sessions)
    assert not any(one in alice.session for one in rig.old.sessions)


# What is denied is not there.


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_denied_is_answered_byte_for_byte_like_unknown(rig: Rig, era: str) -> None:
    caller = rig.caller() if era == "modern" else rig.caller().begin()
    before = rig.quiet()

    def asked(method: str, params: Message) -> tuple[int, bytes, Any]:
        caller._ids = iter([7])  # type: ignore[assignment]
        got = caller.ask(method, params)
        return got.status, got.body, {k: v for k, v in got.fields.items() if k not in ("date", "content-length")}

    for method, member, denied, absent in (
        ("tools/call", "name", "old__denied", "old__absent"),
        ("tools/call", "name", "old__hidden", "old__absent"),
        ("prompts/get", "name", "old__denied", "old__absent"),
        ("resources/read", "uri", "old+file:///public/denied", "old+file:///secret"),
    ):
        one, other = asked(method, {member: denied}), asked(method, {member: absent})
        assert one[0] == other[0]
        assert one[1].replace(denied.encode(), b"X") == other[1].replace(absent.encode(), b"X")
        assert one[2] == other[2]
    for ref, absent_ref in (
        ({"type": "ref/prompt", "name": "old__denied"}, {"type": "ref/prompt", "name": "old__absent"}),
        (
            {"type": "ref/resource", "uri": "old+file:///public/denied"},
            {"type": "ref/resource", "uri": "old+file:///secret"},
        ),
    ):
        argument = {"name": "a", "value": "b"}
        one = asked("completion/complete", {"ref": ref, "argument": argument})
        other = asked("completion/complete", {"ref": absent_ref, "argument": argument})
        names = [next(iter(set(r.values()) - {"ref/prompt", "ref/resource"})).encode() for r in (ref, absent_ref)]
        assert one[1].replace(names[0], b"X") == other[1].replace(names[1], b"X")
    # Neither do arguments tell: what is wrong with them is said only to who may call it.
    assert (
        asked("tools/call", {"name": "old__denied", "arguments": [1]})[1]
        == asked("tools/call", {"name": "old__absent", "arguments": [1]})[1]
    )
    assert rig.quiet() == before


def test_denied_and_hidden_tools_are_in_no_list_and_have_no_other_name(rig: Rig) -> None:
    caller = rig.caller()
    listed = caller.names()
    assert "old__echo" in listed
    assert not {"old__denied", "old__hidden"} & set(listed)
    assert [one["name"] for one in caller.ask("prompts/list").result["prompts"]] == ["old__fine"]
    assert [one["uri"] for one in caller.ask("resources/list").result["resources"]] == ["old+file:///public/a"]
    before = rig.quiet()
    for name in ("hidden", "denied", "old__hidden@1", "old__denied@1", "old/denied", "old__DENIED", " old__denied",
                 "old__denied\0", "old__denied ", "old____denied", "n__echo", "echo", ""):  # fmt: skip
        got = caller.ask("tools/call", {"name": name}, mcp_name=_field(name))
        assert got.error["code"] in (-32602, -32020), name
    assert rig.quiet() == before


def _field(value: str) -> str:
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def test_no_uri_leads_out_of_what_a_server_shows(rig: Rig) -> None:
    caller = rig.caller()
    before = rig.quiet()
    for uri in (
        "old+file:///secret", "file:///secret", "old+file:///public/../secret", "old+file:///public/%2e%2e/secret",
        "old+file:///public/%252e%252e/secret", "old+file:///public/..%2fsecret", "old+file:///public/..\\secret",
        "OLD+file:///secret", "old+", "+file:///secret", "old++file:///secret", "old+../", "n+file:///public/a",
        "old+old+file:///public/a", "ui://old+secret", "old+file:///PUBLIC/../secret",
    ):  # fmt: skip
        got = caller.ask("resources/read", {"uri": uri}, mcp_name=_field(uri))
        assert got.error["code"] in (-32002, -32602), (uri, got.body)
    assert rig.quiet() == before, rig.old.called()[-3:]
    assert caller.ask("resources/read", {"uri": "old+file:///public/a"}).status == 200


def test_rules_judge_the_arguments_that_the_server_gets(rig: Rig) -> None:
    caller = rig.caller()
    assert json.loads(caller.call("old__pay").said) == {"account": "mine", "limit": 5}
    assert json.loads(caller.call("old__pay", limit=3).said) == {"account": "mine", "limit": 3}
    before = rig.quiet()
    assert "Unknown tool" in caller.call("old__pay", limit=6).error["message"]
    assert "account" in caller.call("old__pay", account="hers").error["message"]
    assert "account" in caller.call("old__pay", account="mine").error["message"]
    duplicate = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__pay","arguments":{"limit":1,"limit":9}}}'
    )
    legacy = rig.caller().begin()
    assert legacy.post(duplicate).status == 400
    for limit in ("1e999", "99999999999999999999", '"5"', "null", "[]"):
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__pay","arguments":{"limit":%b}}}'
        got = legacy.post(body % limit.encode())
        assert got.error["code"] == -32602, (limit, got.body)
    assert rig.quiet() == before


# Fields against bodies.


def test_fields_that_say_something_else_than_the_body_are_refused(rig: Rig) -> None:
    caller = rig.caller()
    before = rig.quiet()
    call = {"name": "new__echo", "arguments": {}}
    for fields in (
        {"mcp_method": "tools/list"}, {"mcp_method": None}, {"mcp_name": "new__wanting"}, {"mcp_name": None},
        {"mcp_name": "=?base64?!!?="}, {"mcp_protocol_version": "2025-11-25"}, {"mcp_method": "TOOLS/CALL"},
    ):  # fmt: skip
        got = caller.ask("tools/call", call, **fields)
        assert got.status == 400, (fields, got.body)
        assert got.error["code"] in (-32020, -32022), (fields, got.body)
    for said in (None, "us"):
        got = caller.ask("tools/call", {"name": "new__marked", "arguments": {"region": "eu"}}, mcp_param_region=said)
        assert (got.status, got.error["code"]) == (400, -32020)
    assert rig.quiet() == before
    got = caller.ask("tools/call", {"name": "new__marked", "arguments": {"region": "eu"}}, mcp_param_region="eu")
    assert got.status == 200
    assert rig.new.calls[-1][0].header("mcp-param-region") == "eu"


@pytest.mark.parametrize("name", ["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"])
def test_a_field_that_is_given_twice_is_refused(rig: Rig, name: str) -> None:
    before = rig.quiet()
    envelope = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "new__echo", "_meta": envelope}}
    ).encode()
    fields = {
        "mcp-method": "tools/call",
        "mcp-name": "new__echo",
        "mcp-protocol-version": MODERN,
        "mcp-session-id": "a",
    }
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    got = rig.mesh.raw(
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-alice\r\ncontent-type: application/json\r\n"
        b"connection: close\r\n%b%b: %b\r\ncontent-length: %d\r\n\r\n%b"
        % (head.encode(), name.encode(), fields[name].encode(), len(body), body)
    )
    assert got.startswith(b"HTTP/1.1 400 "), got[:200]
    assert rig.quiet() == before


def test_pages_of_other_sites_and_rebound_names_come_to_nothing(rig: Rig) -> None:
    caller = rig.caller()
    before = rig.quiet()
    for fields in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://evil.example", "host": "evil.example"},
    ):
        got = caller.ask("tools/call", {"name": "new__echo"}, **fields)
        assert got.status in (403, 421), (fields, got.status, got.body)
        assert caller.http("GET", **fields).status in (403, 421)
    assert rig.quiet() == before


# Bodies.


def test_no_body_does_anything_but_be_refused(rig: Rig) -> None:
    caller = rig.caller().begin()
    before = rig.quiet()
    deep = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__echo","arguments":'
    bodies = [
        b"", b"[]", b"null", b"\xff", b"[" * 50_000, b"{" * 50_000, deep + b'{"a":' * 5_000 + b"1" + b"}" * 5_002,
        b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % (b"9" * 300),
        b'{"jsonrpc":"2.0","id":"%b","method":"ping"}' % (b"x" * 300),
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}', b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"id":1,"method":"ping"}', b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100_000 + b'"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__echo","arguments":5}}',
        b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":5}}',
        b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":{},"name":[]}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"h999999999999"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":["debug"]}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":5}}',
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":[]}}',
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"a":"%b"}}}'
        % (b"x" * 10_000),
    ]  # fmt: skip
    for body in bodies:
        got = caller.post(body)
        assert got.status in (200, 400, 404, 413), (body[:90], got.status)
        assert "error" in got.last, (body[:90], got.body[:300])
        assert got.error["code"] != -32603, (body[:90], got.body[:300])
    for body in (b'{"jsonrpc":"2.0","id":1,"result":5}', b'{"jsonrpc":"2.0","id":1,"error":{"code":1e3,"message":""}}',
                 b'{"jsonrpc":"2.0","id":1,"error":{"code":99999999999999999999,"message":""}}',
                 b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"a":[]}}}',
                 b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
                 b'{"jsonrpc":"2.0","method":"nonsense"}'):  # fmt: skip
        assert caller.post(body).status in (202, 400), body
    large = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": "x" * (2 << 20)}}).encode()
    assert caller.post(large).status == 413
    assert rig.quiet() == before
    assert "unexpected failure" not in rig.mesh.log


def test_a_batch_is_small_and_of_its_version_alone(rig: Rig) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    caller = rig.caller(capabilities={"sampling": {}})
    caller.version = "2025-03-26"
    caller.begin()
    assert len(caller.post([ping] * 50).messages) == 50
    assert caller.post([ping] * 51).status == 400
    assert caller.post([{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}]).status == 400
    assert caller.post([[ping]]).status == 400
    # A question cannot be asked within one answer: the server is told at once, and does not wait.
    begun_s = time.monotonic()
    got = caller.post([{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "old__asks"}}])
    assert "it does not read streams" in got.messages[0]["result"]["content"][0]["text"]
    assert time.monotonic() - begun_s < 3
    newer = rig.caller().begin()
    assert newer.post([ping]).status == 400
    stranger = rig.caller("sk-bob")
    stranger.session = caller.session
    assert stranger.post([ping]).status == 404
    assert "unexpected failure" not in rig.mesh.log


# Questions, tasks, states: whose they are.


def test_a_question_counts_only_from_the_session_that_was_asked(rig: Rig) -> None:
    can = {"sampling": {}}
    alice, other = rig.caller(capabilities=can).begin(), rig.caller(capabilities=can).begin()
    bob = rig.caller("sk-bob").begin()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "old__asks"}}).encode()
    rig.old.told.clear()
    stream = alice.open("POST", body)
    stream.until(b"sampling/createMessage")
    asked = next(m for m in stream.messages() if m.get("method"))
    assert isinstance(asked["id"], str), "ids of servers are not shown: they would collide"
    forged = {"jsonrpc": "2.0", "id": asked["id"], "result": {"forged": True}}
    for thief in (other, bob):
        assert thief.post(forged).status == 202
    unproven = rig.caller("sk-bob")
    unproven.session = alice.session
    assert unproven.post(forged).status == 404
    time.sleep(0.3)
    assert not [told for told in rig.old.told if "id" in told]
    assert alice.post({"jsonrpc": "2.0", "id": asked["id"], "result": {"mine": True}}).status == 202
    stream.until(b"mine", 5)
    assert b"forged" not in stream.got
    assert alice.post(forged).status == 202, "once answered, an answer is nobody's"
    stream.close()


def test_what_a_client_did_not_offer_it_is_not_asked(rig: Rig) -> None:
    for caller in (rig.caller().begin(), rig.caller()):
        got = caller.call("old__asks")
        assert [m for m in got.messages if m.get("method")] == []
        assert json.loads(got.said)["error"]["code"] == -32601
    for caller in (rig.caller(), rig.caller().begin()):
        got = caller.call("new__wanting")
        assert "did not offer" in got.error["message"], got.body


def test_a_request_state_is_its_callers_and_its_requests_alone(rig: Rig) -> None:
    can = {"elicitation": {}}
    alice, bob = rig.caller(capabilities=can), rig.caller("sk-bob", capabilities=can)
    elsewhere = rig.caller(path="/mcp/other", capabilities=can)
    first = alice.ask("tools/call", {"name": "new__wanting", "arguments": {"a": 1}}).result
    assert first["resultType"] == "input_required"
    state = first["requestState"]
    assert "theirs" not in state
    before = rig.quiet()

    def again(caller: Caller, name: str = "new__wanting", **changed: Any) -> Any:
        params = {
            "name": name,
            "arguments": {"a": 1},
            "requestState": state,
            "inputResponses": {"a": {"action": "accept"}},
        }
        return caller.ask("tools/call", {**params, **changed})

    for got in (
        again(bob), again(elsewhere, "n__wanting"), again(alice, arguments={"a": 2}), again(alice, "new__echo"),
        again(alice, requestState=state[:-3]), again(alice, requestState={}), again(alice, requestState=""),
        again(alice, requestState="theirs"), again(alice, inputResponses=5),
    ):  # fmt: skip
        assert got.error["code"] == -32602, got.body
    assert rig.quiet() == before
    assert again(alice).said.startswith("theirs ")


def test_a_call_that_waits_for_its_caller_goes_on_for_nobody_else(rig: Rig) -> None:
    can = {"sampling": {}}
    alice, bob = rig.caller(capabilities=can), rig.caller("sk-bob", capabilities=can)
    asked = {"name": "old__asks"}
    first = alice.ask("tools/call", asked).result
    state = first["requestState"]
    answers = {key: {"role": "assistant", "mine": True} for key in first["inputRequests"]}
    forged = {key: {"role": "assistant", "forged": True} for key in first["inputRequests"]}
    assert bob.ask("tools/call", {**asked, "requestState": state, "inputResponses": forged}).error["code"] == -32602
    for wrong in ([1], 5, "x", None):
        got = alice.ask("tools/call", {**asked, "requestState": state, "inputResponses": wrong})
        assert got.status in (200, 400)
        if "result" in got.last:  # answered nothing: it is asked again
            assert got.result["resultType"] == "input_required"
            state = got.result["requestState"]
    assert alice.ask("tools/call", {"name": "old__echo", "requestState": state, "inputResponses": answers}).error
    done = alice.ask("tools/call", {**asked, "requestState": state, "inputResponses": answers})
    assert "mine" in done.said
    again = alice.ask("tools/call", {**asked, "requestState": state, "inputResponses": answers})
    assert again.error["code"] == -32602, "a call goes on once"


def test_a_task_is_its_callers_alone(rig: Rig) -> None:
    alice, bob = rig.caller(), rig.caller("sk-bob")
    given = alice.call("new__slow").result["task"]["taskId"]
    assert "task-1" not in given
    asked = [one for one in rig.new.asked if b"tasks/get" in one.body]
    for thief, ident in ((bob, given), (alice, "task-1"), (alice, given[:-2]), (rig.caller(path="/mcp/other"), given)):
        assert thief.ask("tasks/get", {"taskId": ident}).error["code"] == -32602
    assert [one for one in rig.new.asked if b"tasks/get" in one.body] == asked
    assert alice.ask("tasks/get", {"taskId": given}).result["taskId"] == given


def test_an_event_id_is_worth_nothing_in_another_session(rig: Rig) -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "alice's"}}
    rig.old.handlers["tools/call echo"] = lambda _, m: sse(
        progress, {"jsonrpc": "2.0", "id": m["id"], "result": text("hers")}
    )
    try:
        alice, bob = rig.caller().begin(), rig.caller("sk-bob").begin()
        got = alice.call("old__echo")
        ids = [line[4:] for line in got.body.decode().splitlines() if line.startswith("id: ")]
        assert len(ids) >= 2
        again = alice.http("GET", **alice.fields(), last_event_id=ids[0])
        assert again.last["result"] == text("hers")
        begun_s = time.monotonic()
        stolen = bob.http("GET", **bob.fields(), last_event_id=ids[0])
        assert b"alice" not in stolen.body
        assert b"hers" not in stolen.body
        assert time.monotonic() - begun_s < 5, "what is not known is not waited for"
    finally:
        del rig.old.handlers["tools/call echo"]


# Servers.


def _endless(line: bytes, pieces: int) -> Any:
    def handler(_: Asked, message: Message) -> Any:
        def answer(sock: Any) -> None:
            sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for _ in range(pieces):
                sock.sendall(line)

        return answer

    return handler


def _raw(body: bytes, kind: str = "application/json", status: int = 200, **fields: str) -> Any:
    return lambda *_: reply(status, body, content_type=kind, **fields)


GARBAGE = {
    "no JSON": _raw(b"<html>"),
    "deep": _raw(b'{"jsonrpc":"2.0","id":1,"result":' + b'{"a":' * 3_000 + b"1" + b"}" * 3_001),
    "no object": lambda _, m: reply(200, b'{"jsonrpc":"2.0","id":%d,"result":[1]}' % m["id"]),
    "null": lambda _, m: reply(200, b'{"jsonrpc":"2.0","id":%d,"result":null}' % m["id"]),
    "another id": lambda _, m: reply(200, b'{"jsonrpc":"2.0","id":%d,"result":{}}' % (m["id"] + 1)),
    "text id": lambda _, m: reply(200, b'{"jsonrpc":"2.0","id":"%d","result":{}}' % m["id"]),
    "cut": lambda *_: b"HTTP/1.1 200 X\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{",
    "no HTTP": lambda *_: b"\0\0\0\0garbage\r\n\r\n",
    "two lengths": lambda *_: b"HTTP/1.1 200 X\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    "task": lambda _, m: reply(200, b'{"jsonrpc":"2.0","id":%d,"result":{"taskId":1e999}}' % m["id"]),
    "redirect": _raw(b"", status=307, location="http://127.0.0.1:1/steal"),
    "moved": _raw(b"{}", status=302, location="/elsewhere"),
    "accepted": _raw(b"", status=202),
    "an event without an end": _endless(b"data: " + b"x" * 65_536, 1_100),
    "events without an answer": _endless(
        b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n', 500
    ),
    "answers to others": _endless(b'data: {"jsonrpc":"2.0","id":99999,"result":{}}\n\n', 500),
    "thousands of questions": _endless(
        b"".join(
            b'data: {"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{}}\n\n' % n
            for n in range(5_000)
        ),
        1,
    ),
    "a huge code": lambda _, m: reply(
        200, b'{"jsonrpc":"2.0","id":%d,"error":{"code":%b,"message":"x"}}' % (m["id"], b"9" * 60)
    ),
}  # fmt: skip


@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("how", GARBAGE)
def test_whatever_a_server_answers_is_a_failure_of_that_call(rig: Rig, era: str, how: str) -> None:
    caller = rig.caller(capabilities={"sampling": {}})
    if era == "legacy":
        caller.begin()
    for one, name in ((rig.old, "old__echo"), (rig.new, "new__echo")):
        one.handlers["tools/call echo"] = GARBAGE[how]
        before_mb = rss_mb(int(rig.mesh.running()["workers"][0]))  # type: ignore[index]
        calls = len(one.calls)
        try:
            got = caller.call(name, timeout_s=15)
            assert "error" in got.last, got.body[-300:]
            assert "steal" not in got.body.decode(errors="replace")
        finally:
            del one.handlers["tools/call echo"]
        assert len(one.calls) == calls + 1, "it may have done its work: it is not called again"
        assert rss_mb(int(rig.mesh.running()["workers"][0])) < before_mb + 250  # type: ignore[index]
        assert caller.call(name).status == 200
    assert "unexpected failure" not in rig.mesh.log
    assert "never retrieved" not in rig.mesh.log


# Many, and slow.


def test_a_session_has_few_streams_and_each_is_given_back(rig: Rig) -> None:
    alice = rig.caller().begin()
    streams = [alice.open("GET") for _ in range(4)]
    for stream in streams:
        stream.until(b"\n\n")
        stream.until(b"200 ")
    assert alice.http("GET", **alice.fields()).status == 409
    streams.pop().close()

    def again() -> bool:
        stream = alice.open("GET")
        stream.until(b"\r\n\r\n")
        streams.append(stream)
        return b" 200 " in stream.got[:20]

    eventually(again)
    for stream in streams:
        stream.close()


def test_thousands_of_sessions_cost_little(rig: Rig) -> None:
    worker = int(rig.mesh.running()["workers"][0])  # type: ignore[index]
    rig.caller().begin()
    before_mb = rss_mb(worker)
    for _ in range(1_000):
        rig.caller(path="/mcp/other").begin()
    assert rss_mb(worker) - before_mb < 20


def test_a_caller_who_does_not_read_costs_no_more_than_a_queue(rig: Rig) -> None:
    worker = int(rig.mesh.running()["workers"][0])  # type: ignore[index]
    line = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "x" * 60_000}}
    piece = b"data: %b\n\n" % json.dumps(line).encode()
    rig.old.handlers["tools/call echo"] = _endless(piece, 2_000)  # 120 MB
    before_mb = rss_mb(worker)
    alice = rig.caller().begin()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "old__echo"}}).encode()
    try:
        stream = alice.open("POST", body)
        peak_mb = before_mb
        for _ in range(30):
            time.sleep(0.1)
            peak_mb = max(peak_mb, rss_mb(worker))
        stream.close()
    finally:
        del rig.old.handlers["tools/call echo"]
    assert peak_mb - before_mb < 90
    assert rig.caller().begin().call("old__echo").status == 200


def test_an_sse_server_cannot_send_messages_elsewhere(tmp_path: Path) -> None:
    """The first event says where messages go; only its own origin may be meant."""
    with backend(Backend("trap")) as trap:

        def stream(asked: Asked) -> Any:
            if asked.method != "GET":
                return reply(202)
            return (
                b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
                b"event: endpoint\ndata: %b/steal\n\n" % trap.server.url.encode()  # type: ignore[union-attr]
            )

        with serving(stream) as server:
            config = CONFIG.format(old=trap.url, new=trap.url).replace(
                f'{{{{name: old, http: {{{{url: "{trap.url}"}}}}',
                f'{{{{name: old, sse: {{{{url: "{server.url}/sse"}}}}',
            )
            assert "sse:" in config
            with running_mesh(tmp_path, config) as mesh:
                Caller(mesh.port).ask("tools/list")
                eventually(lambda: "does not open its stream as it should" in mesh.log)
        assert not [one for one in trap.asked if "steal" in one.target]


def test_a_server_that_breaks_its_word_is_an_rpc_error_of_its_own(rig: Rig) -> None:
    def fails(*_: Any) -> Message:
        raise Rpc(-32000, "its own words")

    rig.new.handlers["tools/call echo"] = fails
    try:
        got = rig.caller().call("new__echo")
        assert (got.error["code"], got.error["message"]) == (-32000, "its own words")
    finally:
        del rig.new.handlers["tools/call echo"]


# What is written down.


def test_each_call_is_written_down_once_however_it_ends_and_no_secret_is(rig: Rig) -> None:
    alice = rig.caller().begin()
    hold = threading.Event()

    def slow(_: Asked, message: Message) -> Any:
        def answer(sock: socket.socket) -> None:
            hold.wait(10)
            sock.sendall(reply(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": text("x")}).encode()))

        return answer

    traces = {how: f"{number:032x}" for number, how in enumerate(("good", "denied", "left", "left too"), 0xABC)}

    def fields(how: str) -> dict[str, str | None]:
        return {"traceparent": f"00-{traces[how]}-00f067aa0ba902b7-00"}

    def of(how: str) -> list[dict[str, object]]:
        return [one for one in rig.mesh.records() if one.get("trace_id") == traces[how]]

    good = alice.ask("tools/call", {"name": "old__echo", "arguments": {"x": "s3cr3t-argument"}}, **fields("good"))
    assert good.status == 200
    assert alice.ask("tools/call", {"name": "old__denied"}, **fields("denied")).status == 200
    rig.old.handlers["tools/call echo"] = slow
    calling = {"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {"name": "old__echo"}}
    try:
        stream = alice.open("POST", json.dumps(calling).encode(), **fields("left"))
        time.sleep(0.3)
        stream.close()
        eventually(lambda: of("left"))
    finally:
        hold.set()
        del rig.old.handlers["tools/call echo"]
    time.sleep(0.5)
    assert [one.get("reason") for one in of("left")] == ["caller_gone"]
    eventually(lambda: of("good") and of("denied"))
    assert [len(of(how)) for how in ("good", "denied")] == [1, 1]
    assert of("denied")[0]["reason"] == "forbidden"
    written = (rig.mesh.state / "access.log").read_text() + rig.mesh.log
    for secret in ("sk-alice", "sk-bob", alice.session, *rig.old.sessions, "s3cr3t-argument"):
        assert secret not in written
