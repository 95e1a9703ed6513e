"""A client for the public suite's scenarios `auth/*`: the gateway's own credentials, a person who always agrees.

Run by the suite as a program, with the tool server's URL as the last argument.
"""

import asyncio
import json
import os
import sys
import time
from urllib.parse import urlsplit

from tests.e2e.oauth_server import query

from heddle.drivers.kv.memory import MemoryStores
from heddle.drivers.sealing import Sealing
from heddle.drivers.vault.memory import MemoryVault
from heddle.identity.oauth.building import build_credentials
from heddle.identity.oauth.connecting import Answered, open_pending, open_ticket
from heddle.identity.oauth.errors import ConsentNeeded
from heddle.identity.oauth.registering import Site
from heddle.identity.oauth.setting import Shared
from heddle.model.principal import Principal
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp_auth import (
    ClientCredentialsAuth,
    IdJagAuth,
    OAuthClientSpec,
    OAuthCodeAuth,
    ReachSpec,
)
from heddle.net.client import Client, OutboundRequest
from heddle.pipeline.assembly import Clock

REACH = ReachSpec(private_networks=("127.0.0.0/8", "::1/128"))
VERSION, MODERN = "2025-11-25", "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "heddle", "version": "1"},
}


class PublishedSite(Site, frozen=True):
    """A gateway whose metadata document is where the suite expects one."""

    @property
    def client_id(self) -> str:
        return "https://conformance-test.local/client-metadata.json"


def declared(scenario, context, issuer):
    """What a configuration would say of this target."""
    name, secret = context.get("client_id", ""), context.get("client_secret", "")
    if "enterprise-managed" in scenario:
        provider = OAuthClientSpec(
            issuer=context["idp_issuer"],
            token_endpoint=context["idp_token_endpoint"],
            client_id=context["idp_client_id"],
        )
        return IdJagAuth(
            identity_provider=provider,
            client=OAuthClientSpec(issuer=issuer, client_id=name, client_secret=secret),
            reach=REACH,
        )
    if "client-credentials" in scenario:
        key, algorithm = context.get("private_key_pem", ""), context.get("signing_algorithm", "ES256")
        client = OAuthClientSpec(
            issuer=issuer, client_id=name, client_secret=secret, private_key=key, algorithm=algorithm
        )
        return ClientCredentialsAuth(client=client, reach=REACH)
    client = OAuthClientSpec(issuer=issuer, client_id=name, client_secret=secret) if name else OAuthClientSpec()
    return OAuthCodeAuth(client=client, reach=REACH)


class Caller:
    def __init__(self, url, client):
        self.url, self.client = url, client
        self.fields = []
        self.number = 0
        self.version = VERSION

    async def fetch(self, method, url, fields, body=b""):
        parts = urlsplit(url)
        origin = self.client.origin(f"{parts.scheme}://{parts.netloc}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        got = await self.client.send(origin, OutboundRequest(method, target.encode(), fields, body), TimeoutSpec())
        return got.status, dict(got.headers), await got.body.read(1 << 20)

    async def send(self, credentials, principal, token, method, params):
        """One message, authorized; and again as long as that helps."""
        self.number += 1
        if self.version == MODERN:
            params = {**params, "_meta": META}
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("notifications/"):
            message["id"] = self.number
        body = json.dumps(message).encode()
        usual = [
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            (b"mcp-protocol-version", self.version.encode()),
        ]
        if self.version == MODERN:
            usual += [(b"mcp-method", method.encode()), (b"mcp-name", str(params.get("name", "")).encode())]
        while True:
            fields = [*usual, *self.fields, *(await credentials(principal, token) if credentials else [])]
            status, headers, answer = await self.fetch("POST", self.url, fields, body)
            if session := headers.get(b"mcp-session-id"):
                self.fields = [(b"mcp-session-id", session)]
            yield status, headers.get(b"www-authenticate", b"").decode(), answer


async def issuer_of(caller):
    """What an operator would look up: the issuer of the target's authorization server."""
    parts = urlsplit(caller.url)
    base = f"{parts.scheme}://{parts.netloc}"
    for path in (f"/.well-known/oauth-protected-resource{parts.path}", "/.well-known/oauth-protected-resource"):
        status, _, body = await caller.fetch("GET", base + path, [])
        if status == 200:
            return json.loads(body)["authorization_servers"][0]
    return ""


async def agree(caller, credentials, shared, asked):
    """What the page and the person do."""
    ticket = open_ticket(shared, asked.url.rpartition("/")[2])
    url = await credentials.connecting.begin(ticket, b"browser")
    _, headers, _ = await caller.fetch("GET", url, [])
    back = query(headers[b"location"].decode())
    pending = open_pending(shared, back["state"], b"browser")
    answered = Answered(code=back.get("code", ""), error=back.get("error", ""), issuer=back.get("iss"))
    await credentials.connecting.finish(pending, answered)


async def main(url):
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", context.get("name", ""))
    client = Client()
    caller = Caller(url, client)
    shared = Shared(
        MemoryVault(), Sealing(), MemoryStores()("mcp_oauth"), PublishedSite("https://mcp.example.com"),
        Clock(time.time, time.monotonic),
    )  # fmt: skip
    known = await issuer_of(caller) if context.get("client_id") else ""
    credentials, asker = build_credentials("t", url, declared(scenario, context, known), shared, client)
    principal = Principal(user="alice", method="jwt")
    token = context.get("idp_id_token", "").encode()

    async def call(method, params):
        """As a backend does it; the first time without a credential, to hear the target's challenge."""
        while True:
            try:
                async for status, challenge, answer in caller.send(
                    credentials.headers, principal, token, method, params
                ):
                    if status < 300 or not await credentials.refused(principal, status, challenge):
                        return status, answer
            except ConsentNeeded as asked:
                await agree(caller, credentials, shared, asked)

    async for status, challenge, _ in caller.send(None, principal, token, "ping", {}):
        if status in (401, 403):
            try:
                await credentials.refused(principal, status, challenge)
            except ConsentNeeded as asked:
                await agree(caller, credentials, shared, asked)
        break
    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "heddle", "version": "1"}}
    status, _ = await call("initialize", hello)
    if status == 400:
        caller.version = MODERN
    else:
        await call("notifications/initialized", {})
    status, answer = await call("tools/list", {})
    found = (
        answer.partition(b"data: ")[2].partition(b"\n")[0] if answer.startswith((b"event", b"id", b"data")) else answer
    )
    tools = json.loads(found)["result"]["tools"] if status == 200 else []
    for tool in tools:
        await call("tools/call", {"name": tool["name"], "arguments": {}})
    asker.close()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
