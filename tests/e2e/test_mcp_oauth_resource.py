"""A virtual server that wants OAuth tokens, as clients meet it: where to go, and whose tokens are taken."""

import http.client
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from tests.e2e.running import RunningMesh

KEY = ECKey.generate_key("P-256", {"kid": "k1"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})
CONFIG = """
listeners: [{name: mcp, address: 127.0.0.1, port: PORT, protocol: MCP}]
admin: {port: ADMIN}
security:
  authentication:
    type: jwt
    issuers:
      - issuer: "https://as.example"
        audiences: ["http://127.0.0.1:PORT/mcp/a", "http://127.0.0.1:PORT/mcp/b"]
        jwks: {inline: JWKS}
authorization: {policies: [{name: all, action: allow, resources: ["server:*", "tool:*"]}]}
mcp:
  targets: [{name: t, http: {url: "http://127.0.0.1:9/mcp"}}]
  servers:
    - {name: a, path: /mcp/a, targets: [t], oauth: {authorization_servers: ["https://as.example"], scopes: [mcp]}}
    - {name: b, path: /mcp/b, targets: [t], oauth: {authorization_servers: ["https://as.example"]}}
"""


def config() -> str:
    """As the fixture formats it."""
    text = CONFIG.replace("JWKS", json.dumps(JWKS)).replace("{", "{{").replace("}", "}}")
    return text.replace("PORT", "{port}").replace("ADMIN", "{admin_port}")


def token(**claims) -> str:
    body = {"iss": "https://as.example", "sub": "alice", "exp": int(time.time()) + 60, "scope": "mcp", **claims}
    return jwt.encode({"alg": "ES256", "kid": "k1"}, body, KEY)


def ask(mesh: RunningMesh, path: str, method: str = "GET", bearer: str = "", body: object = None):
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=10)
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    try:
        connection.request(method, path, json.dumps(body).encode() if body else None, headers)
        response = connection.getresponse()
        return response.status, response.getheader("www-authenticate", ""), response.read()
    finally:
        connection.close()


PING = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip


@pytest.fixture
def mesh(new_mesh) -> RunningMesh:
    return new_mesh(config()).start()


def test_whose_tokens_are_taken(mesh: RunningMesh):
    base = f"http://127.0.0.1:{mesh.port}"
    status, challenge, _ = ask(mesh, "/mcp/a", "POST", body=PING)
    assert status == 401
    assert f'resource_metadata="{base}/.well-known/oauth-protected-resource/mcp/a"' in challenge
    assert 'scope="mcp"' in challenge
    assert "error" not in challenge
    status, _, document = ask(mesh, "/.well-known/oauth-protected-resource/mcp/a")
    assert status == 200
    assert json.loads(document)["resource"] == f"{base}/mcp/a"
    # One for another virtual server of the same gateway, which the gateway as a whole knows.
    status, challenge, _ = ask(mesh, "/mcp/a", "POST", token(aud=f"{base}/mcp/b"), PING)
    assert status == 401
    assert 'error="invalid_token"' in challenge
    assert "resource_metadata" in challenge
    status, challenge, _ = ask(mesh, "/mcp/a", "POST", token(aud=f"{base}/mcp/a", scope="other"), PING)
    assert status == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="mcp"' in challenge
    status, challenge, answer = ask(mesh, "/mcp/a", "POST", token(aud=f"{base}/mcp/a"), PING)
    assert status not in {401, 403}, answer
    # Never in a URL, where logs keep it.
    status, _, _ = ask(mesh, f"/mcp/a?access_token={token(aud=f'{base}/mcp/a')}", "POST", body=PING)
    assert status == 401
