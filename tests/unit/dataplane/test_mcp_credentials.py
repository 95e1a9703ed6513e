"""What credentials become in a worker: what is opened, what is served beside MCP, what callers are told."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heddle.dataplane.mcp_credentials import URL_ELICITATION_REQUIRED, McpCredentials
from heddle.model.principal import Principal
from heddle.model.snapshot import ListenerSpec, TlsSpec
from heddle.model.snapshot_mcp import HttpSpec, McpServerSpec, McpSpec, McpTargetSpec, ResourceServerSpec, StdioSpec
from heddle.model.snapshot_mcp_auth import (
    BearerAuth,
    CredentialsSpec,
    HeaderAuth,
    OAuthClientSpec,
    OAuthCodeAuth,
    UserSecretAuth,
)
from heddle.net.body import Body
from heddle.net.client import Client
from heddle.net.message import Peer, Reply, Request
from heddle.pipeline.assembly import Clock, Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.trace import SpanContext
from heddle.wire.jsonrpc import RpcError

ALICE = Principal(user="alice", method="api_key")
OAUTH = ResourceServerSpec(authorization_servers=("https://as.example",), scopes=("mcp",))


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Tools]:
    client = Client()
    made = Tools(Clock(time.time, time.monotonic), client, Metrics.in_memory(), None, lambda _: None, tmp_path)  # type: ignore[arg-type]
    yield made
    for close in made.closers:
        close()
    await client.close()


def spec(*auths: Any, **credentials: Any) -> McpSpec:
    targets = tuple(
        McpTargetSpec(name=f"t{number}", connect=HttpSpec(url="https://t.example/mcp"), auth=auth)
        for number, auth in enumerate(auths)
    )
    return McpSpec(targets=targets, credentials=CredentialsSpec(**credentials))


def exchange(path: str, method: str = "GET", host: bytes = b"localhost:8081", tls: TlsSpec | None = None) -> Exchange:
    listener = ListenerSpec(name="mcp", address="127.0.0.1", port=0, protocol="MCP", tls=tls)
    request = Request(method, path, "", [(b"host", host)], Body.of(b""), Peer("127.0.0.1", 1, False))
    return Exchange(request, listener, "mcp", SpanContext("0" * 32, "0" * 16), 0.0)


async def served(made: McpCredentials, path: str, **fields: Any) -> dict[str, Any]:
    reply: Reply = await made.pages.handle(exchange(path, **fields))
    assert reply.status == 200
    assert isinstance(reply.body, bytes)
    found: dict[str, Any] = json.loads(reply.body)
    return found


async def test_a_vault_is_opened_only_where_callers_have_credentials(tools: Tools) -> None:
    made = McpCredentials(spec(BearerAuth(credential="t")), tools, None)
    assert list(tools.state_dir.iterdir()) == []
    one = made.authorizing("t0")
    assert one is not None
    assert await one.headers(ALICE, b"") == [(b"authorization", b"Bearer t")]
    assert await one.refused(ALICE, 401, "") is False
    assert made.authorizing("other") is None
    McpCredentials(spec(UserSecretAuth(), public_url="https://mcp.example"), tools, None)
    assert {file.name for file in tools.state_dir.iterdir()} >= {"vault.db", "vault.key"}


async def test_who_has_to_connect_is_told_by_the_protocols_own_error(tools: Tools) -> None:
    made = McpCredentials(spec(OAuthCodeAuth(), public_url="https://mcp.example"), tools, None)
    one = made.authorizing("t0")
    assert one is not None
    for ask in (one.headers(ALICE, b""), one.refused(ALICE, 401, "Bearer")):
        with pytest.raises(RpcError) as caught:
            await ask
        error = caught.value
        assert error.code == URL_ELICITATION_REQUIRED
        (asked,) = json.loads(error.data)["elicitations"]
        assert asked["mode"] == "url"
        assert asked["url"].startswith("https://mcp.example/.heddle/connect/")
        assert asked["elicitationId"]
        # Clients that know nothing of it show the text.
        assert asked["url"] in error.message


async def test_who_cannot_connect_is_told_too(tools: Tools) -> None:
    made = McpCredentials(spec(OAuthCodeAuth(), BearerAuth(credential_error="X is not set")), tools, None)
    for name, said in (("t0", "no page"), ("t1", "X is not set")):
        one = made.authorizing(name)
        assert one is not None
        with pytest.raises(CallError, match=said) as caught:
            await one.headers(ALICE, b"")
        assert caught.value.reason is Reason.PROVIDER_UNCONFIGURED


@pytest.mark.parametrize(
    "unfit",
    [
        spec(OAuthCodeAuth(client=OAuthClientSpec(client_id="c", client_secret="s"))),
        spec(HeaderAuth(header="host", credential="x")),
        spec(OAuthCodeAuth(), public_url="http://mcp.example"),
        spec(OAuthCodeAuth(), public_url="https://mcp.example", vault_keys=("short",)),
        McpSpec(
            targets=(McpTargetSpec(name="t0", connect=StdioSpec(command=("x",)), auth=BearerAuth(credential="t")),)
        ),
    ],
)
async def test_what_cannot_be_built_is_refused_before_it_is_used(tools: Tools, unfit: McpSpec) -> None:
    with pytest.raises(ValueError):
        McpCredentials(unfit, tools, None)


async def test_documents_of_protected_resources(tools: Tools) -> None:
    servers = (McpServerSpec(name="a", path="/mcp/a", oauth=OAUTH), McpServerSpec(name="b", path="/mcp"))
    made = McpCredentials(McpSpec(servers=servers), tools, None)
    well_known = "/.well-known/oauth-protected-resource"
    assert made.pages.serves(f"{well_known}/mcp/a")
    assert not made.pages.serves("/mcp/a")
    found = await served(made, f"{well_known}/mcp/a")
    assert found["resource"] == "http://localhost:8081/mcp/a"
    assert found["authorization_servers"] == ["https://as.example"]
    # The only one is found where clients look that insert no path.
    assert (await served(made, well_known))["resource"] == "http://localhost:8081/mcp/a"
    tls = TlsSpec(cert_file="c", key_file="k")
    assert (await served(made, f"{well_known}/mcp/a", tls=tls))["resource"] == "https://localhost:8081/mcp/a"
    for path, reason in ((f"{well_known}/mcp", Reason.NOT_FOUND), (f"{well_known}x", Reason.NOT_FOUND)):
        with pytest.raises(CallError) as caught:
            await made.pages.handle(exchange(path))
        assert caught.value.reason is reason
    for host in (b"a b", b"a/b", b"a@b", b"", b'x"y', b"a:b:c"):
        with pytest.raises(CallError):
            await made.pages.handle(exchange(f"{well_known}/mcp/a", host=host))
    with pytest.raises(CallError) as caught:
        await made.pages.handle(exchange(f"{well_known}/mcp/a", method="POST"))
    assert caught.value.reason is Reason.METHOD_NOT_ALLOWED


async def test_a_public_url_is_the_name_whatever_the_host(tools: Tools) -> None:
    servers = (McpServerSpec(name="a", path="/mcp/a", oauth=OAUTH),)
    made = McpCredentials(
        McpSpec(servers=servers, credentials=CredentialsSpec(public_url="https://m.example")), tools, None
    )
    found = await served(made, "/.well-known/oauth-protected-resource/mcp/a", host=b"evil.example")
    assert found["resource"] == "https://m.example/mcp/a"


async def test_the_gateways_own_document(tools: Tools) -> None:
    made = McpCredentials(spec(OAuthCodeAuth(), public_url="https://m.example", client_name="Team"), tools, None)
    found = await served(made, "/.heddle/client.json")
    assert found["client_id"] == "https://m.example/.heddle/client.json"
    assert found["redirect_uris"] == ["https://m.example/.heddle/callback"]
    assert "client_secret" not in found
    made = McpCredentials(spec(OAuthCodeAuth(), public_url="http://localhost:1"), tools, None)
    with pytest.raises(CallError):
        await made.pages.handle(exchange("/.heddle/client.json"))


async def test_cookies_over_tls_cannot_be_set_by_neighbours(tools: Tools) -> None:
    made = McpCredentials(spec(UserSecretAuth(), public_url="https://m.example"), tools, None)
    one = made.authorizing("t0")
    assert one is not None
    with pytest.raises(RpcError) as caught:
        await one.headers(ALICE, b"")
    url = json.loads(caught.value.data)["elicitations"][0]["url"]
    reply = await made.pages.handle(exchange(url.removeprefix("https://m.example")))
    cookie = dict(reply.headers)[b"set-cookie"].decode()
    assert cookie.startswith("__Host-heddle=")
    assert "; Secure" in cookie
    assert "; Path=/;" in cookie
    assert "Domain" not in cookie
