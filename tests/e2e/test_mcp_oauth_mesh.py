"""A whole mesh in front of a tool server that wants each caller's own token: from nothing to the first result."""

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

import pytest
from tests.e2e.oauth_server import AuthorizationServer, Browser, Resource, onward, running
from tests.e2e.running import free_ports

from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Client, OutboundRequest
from heddle.net.message import Reply

CONFIG = """
listeners: [{{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}]
admin: {{{{port: {{admin_port}}}}}}
security:
  authentication:
    type: api_key
    keys: [{{{{key: sk-alice, user: alice}}}}, {{{{key: sk-bob, user: bob}}}}]
authorization: {{{{policies: [{{{{name: all, action: allow, resources: ["server:*", "tool:*"]}}}}]}}}}
mcp:
  credentials: {{{{public_url: "http://127.0.0.1:{{port}}"}}}}
  targets:
    - name: notes
      http: {{{{url: "{url}"}}}}
      version: "{version}"
      auth: {{{{type: oauth_code, reach: {{{{private_networks: [127.0.0.0/8]}}}}}}}}
  servers: [{{{{name: default, path: /mcp, targets: [notes]}}}}]
"""


class Caller:
    """A client of 2025-06-18 with one key."""

    def __init__(self, base: str, key: str) -> None:
        self.base, self.key, self.client = base, key, Client()
        self.session: list[tuple[bytes, bytes]] = []
        self.number = 0

    async def fetch(self, method, url, fields, body=b""):
        parts = urlsplit(url)
        origin = self.client.origin(f"{parts.scheme}://{parts.netloc}")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            got = await self.client.send(origin, OutboundRequest(method, target.encode(), fields, body), TimeoutSpec())
            return Reply(got.status, got.headers, await got.body.read(1 << 20))
        finally:
            self.client.discard(origin)

    async def ask(self, method, **params):
        """What is answered: the whole message."""
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        fields = [
            (b"authorization", f"Bearer {self.key}".encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            *self.session,
        ]
        got = await self.fetch("POST", f"{self.base}/mcp", fields, json.dumps(message).encode())
        assert got.status == 200, got.body
        self.session = [field for field in got.headers if field[0] == b"mcp-session-id"] or self.session
        return json.loads(got.body)

    async def begin(self):
        info = {"name": "test", "version": "1"}
        await self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info)

    async def tools(self):
        return [tool["name"] for tool in (await self.ask("tools/list"))["result"]["tools"]]

    async def way(self):
        """The link that the gateway gives."""
        error = (await self.ask("tools/call", name="connect_account", arguments={}))["error"]
        assert error["code"] == -32042
        (asked,) = error["data"]["elicitations"]
        assert asked["url"] in error["message"]
        return asked["url"]


class Modern(Caller):
    """A client of 2026-07-28 with one key."""

    def __init__(self, base: str, key: str) -> None:
        super().__init__(base, key)
        self.capabilities = {}

    async def ask(self, method, **params):
        self.number += 1
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        }
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": {**params, "_meta": meta}}
        fields = [
            (b"authorization", f"Bearer {self.key}".encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            (b"mcp-protocol-version", b"2026-07-28"),
            (b"mcp-method", method.encode()),
            (b"mcp-name", str(params.get("name", "")).encode()),
        ]
        got = await self.fetch("POST", f"{self.base}/mcp", fields, json.dumps(message).encode())
        body = got.body.partition(b"data: ")[2] if got.body.startswith((b"event", b"data", b":")) else got.body
        return json.loads(body)


async def connect(browser, url, caller):
    """Through the page, the authorization server, and back."""
    page = (await browser.open(url)).body.decode()
    sent = await browser.submit(url, page, proof=caller.key)
    assert sent.status == 200, sent.body
    at_server = await caller.fetch("GET", onward(sent.body.decode()), [])
    done = await browser.open(dict(at_server.headers)[b"location"].decode())
    assert done.status == 200, done.body


@contextlib.asynccontextmanager
async def calling(base, *keys):
    callers = [Caller(base, key) for key in keys]
    for caller in callers:
        await caller.begin()
    try:
        yield callers
    finally:
        for caller in callers:
            await caller.client.close()


@pytest.mark.parametrize("version", ["2025-11-25", ""])
async def test_from_nothing_to_the_first_result(new_mesh, version):
    server, resource = AuthorizationServer(), Resource()
    resource.servers = [server]
    async with running(server), running(resource):
        text = CONFIG.format(url=resource.url, version=version).replace('      version: ""\n', "")
        mesh = await asyncio.to_thread(lambda: new_mesh(text, workers=2).start())
        base = f"http://127.0.0.1:{mesh.port}"
        async with calling(base, "sk-alice", "sk-bob") as (alice, bob):
            assert await alice.tools() == ["connect_account"]
            url = await alice.way()
            browser = Browser(alice.fetch)
            page = (await browser.open(url)).body.decode()
            assert "alice" in page
            assert (await browser.submit(url, page, proof="sk-bob")).status == 400
            await connect(browser, url, alice)

            # Whichever worker is asked, at once.
            for _ in range(4):
                assert await alice.tools() == ["search"]
            said = await alice.ask("tools/call", name="search", arguments={})
            assert said["result"]["content"][0]["text"] == "found"
            # Bob has none, and what he is refused makes the target unwell for nobody.
            for _ in range(5):
                assert await bob.tools() == ["connect_account"]
                assert await bob.way()
            assert (await alice.ask("tools/call", name="search", arguments={}))["result"]
        assert "sk-alice" not in str(resource.calls) + str(server.forms)
        log = mesh.log
        for secret in (*server.tokens, *server.refreshes, "/.heddle/connect/", "sk-alice"):
            assert secret not in log


@pytest.mark.parametrize("path", ["/.heddle/connect/x", "/.heddle/callback?code=a&state=b"])
async def test_pages_are_served_beside_mcp(new_mesh, path):
    (port,) = free_ports(1)
    mesh = await asyncio.to_thread(
        lambda: new_mesh(CONFIG.format(url=f"http://127.0.0.1:{port}/mcp", version="2025-11-25")).start()
    )
    caller = Caller(f"http://127.0.0.1:{mesh.port}", "sk-alice")
    got = await caller.fetch("GET", caller.base + path, [])
    await caller.client.close()
    assert got.status == 400
    assert b"Not connected" in got.body


async def test_a_client_of_the_newer_era_is_asked_within_the_call(new_mesh):
    server, resource = AuthorizationServer(), Resource()
    resource.servers = [server]
    async with running(server), running(resource):
        mesh = await asyncio.to_thread(lambda: new_mesh(CONFIG.format(url=resource.url, version="2025-11-25")).start())
        alice = Modern(f"http://127.0.0.1:{mesh.port}", "sk-alice")
        try:
            params = {"name": "connect_account", "arguments": {}}
            # A client that cannot show links gets the error, with the link in its text.
            error = (await alice.ask("tools/call", **params))["error"]
            assert "/.heddle/connect/" in error["message"]
            alice.capabilities = {"elicitation": {"url": {}}}
            asked = (await alice.ask("tools/call", **params))["result"]
            assert asked["resultType"] == "input_required"
            ((key, question),) = asked["inputRequests"].items()
            assert question["method"] == "elicitation/create"
            assert question["params"]["mode"] == "url"
            url = question["params"]["url"]
            responses = {key: {"action": "accept"}}
            # The client says so before the user is done with the page: the call waits for that.
            again = asyncio.create_task(
                alice.ask("tools/call", **params, inputResponses=responses, requestState=asked["requestState"])
            )
            await connect(Browser(alice.fetch), url, alice)
            said = await again
            assert "is connected" in said["result"]["content"][0]["text"]
            found = await alice.ask("tools/call", name="search", arguments={})
            assert found["result"]["content"][0]["text"] == "found"
        finally:
            await alice.client.close()


async def test_one_account_for_all(new_mesh):
    server, resource = AuthorizationServer(), Resource()
    resource.servers = [server]
    async with running(server), running(resource):
        text = CONFIG.format(url=resource.url, version="2025-11-25").replace("oauth_code,", "oauth_code, shared: true,")
        mesh = await asyncio.to_thread(lambda: new_mesh(text).start())
        async with calling(f"http://127.0.0.1:{mesh.port}", "sk-alice", "sk-bob") as (alice, bob):
            assert await bob.tools() == ["connect_account"]
            await connect(Browser(alice.fetch), await alice.way(), alice)
            assert await bob.tools() == ["search"]
            said = await bob.ask("tools/call", name="search", arguments={})
            assert said["result"]["content"][0]["text"] == "found"
