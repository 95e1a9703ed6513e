"""Two meshes, as on two machines, that share a Redis and keys: one session, whichever of them a caller meets."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.counters.redis_server import RedisServer
from tests.e2e.running import RunningMesh, eventually, free_ports
from tests.mcp_servers.running import everything

pytestmark = pytest.mark.skipif(not RedisServer.found(), reason="there is no redis-server here")

CONFIG = """
listeners: [{{name: tools, port: {port}, protocol: MCP}}]
admin: {{port: {admin}}}
security: {{authentication: {{type: api_key, keys: [
  {{key: sk-ann, user: ann, tenant: t}}, {{key: sk-bob, user: bob, tenant: t}}]}}}}
authorization: {{policies: [{{name: all, resources: ["server:*"], action: allow}}]}}
state: {{kv: "{redis}"}}
mcp:
  sessions: {{keys: ["{secret}"]}}
  targets: [{{name: one, http: {{url: "{upstream}"}}}}]
"""
SECRET = "for tests alone, shared by two machines"


@contextmanager
def machine(folder: Path, redis: str, upstream: str, workers: int = 2) -> Iterator[RunningMesh]:
    folder.mkdir()
    port, admin = free_ports(2)
    config = folder / "heddle.yaml"
    config.write_text(CONFIG.format(port=port, admin=admin, redis=redis, secret=SECRET, upstream=upstream))
    mesh = RunningMesh(config, folder / "state", port, admin, workers)
    try:
        yield mesh.start()
    finally:
        mesh.kill()


class Caller:
    """A client of 2025-11-25 that writes its own bytes."""

    def __init__(self, key: str = "sk-ann") -> None:
        self.session = ""
        self.key = key
        self.connections: list[http.client.HTTPConnection] = []

    def send(self, mesh: RunningMesh, message: dict[str, Any], method: str = "POST") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=20)
        self.connections.append(connection)
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers["authorization"] = f"Bearer {self.key}"
        if self.session:
            headers |= {"mcp-session-id": self.session, "mcp-protocol-version": "2025-11-25"}
        connection.request(method, "/mcp", json.dumps({"jsonrpc": "2.0", **message}) if message else None, headers)
        return connection.getresponse()

    def begin(self, mesh: RunningMesh) -> None:
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "c", "version": "1"},
        }
        answer = self.send(mesh, {"id": 1, "method": "initialize", "params": params})
        assert answer.status == 200, answer.read()
        answer.read()
        self.session = answer.getheader("mcp-session-id", "")
        assert self.session

    def call(self, mesh: RunningMesh, name: str, arguments: dict[str, Any], ident: int = 2) -> http.client.HTTPResponse:
        params = {"name": name, "arguments": arguments}
        return self.send(mesh, {"id": ident, "method": "tools/call", "params": params})

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.startswith(b"data: ") and line[6:].strip():
            yield json.loads(line[6:])


def text(answer: http.client.HTTPResponse) -> str:
    body = answer.read()
    assert answer.status == 200, body
    message = json.loads(body) if body.startswith(b"{") else json.loads(body.rpartition(b"data: ")[2])
    assert "result" in message, message
    return str(message["result"]["content"][0]["text"])


def test_a_session_is_one_on_two_machines(tmp_path: Path):
    redis, ann, bob = RedisServer(tmp_path), Caller(), Caller("sk-bob")
    try:
        with (
            everything("http", "legacy") as upstream,
            machine(tmp_path / "a", redis.url, upstream) as one,
            machine(tmp_path / "b", redis.url, upstream) as other,
        ):
            ann.begin(one)
            for mesh in (other, one, other, one):
                assert "hello" in text(ann.call(mesh, "echo", {"text": "hello"}))

            # A question that one machine asked is answered at the other, whichever worker that meets.
            asked = ann.call(one, "test_elicitation", {"message": "who?"}, 7)
            told = events(asked)
            question = next(message for message in told if message.get("method") == "elicitation/create")
            accepted = {"action": "accept", "content": {"username": "ann", "email": "a@example.com"}}
            assert ann.send(other, {"id": question["id"], "result": accepted}).status == 202
            result = next(message for message in told if message.get("id") == 7)
            assert "accept" in result["result"]["content"][0]["text"]

            # Nobody else's: not with another key, and not once it is over.
            bob.session = ann.session
            assert bob.call(other, "echo", {"text": "x"}).status == 404
            assert ann.send(one, {}, "DELETE").status in (200, 204)
            eventually(lambda: ann.call(other, "echo", {"text": "x"}).status == 404)
    finally:
        ann.close()
        bob.close()
        redis.stop()
