"""Tokens that no person has to do anything for, at a strict authorization server; and what may never be sent."""

import asyncio
import base64
import contextlib
import json
import time
from pathlib import Path

import pytest
from tests.e2e.oauth_server import AuthorizationServer, Resource, answer, running, signing_key

from heddle.drivers.kv.memory import MemoryStores
from heddle.drivers.sealing import Sealing
from heddle.drivers.vault.memory import MemoryVault
from heddle.identity.oauth.building import build_credentials
from heddle.identity.oauth.errors import CredentialUnavailable
from heddle.identity.oauth.registering import Site
from heddle.identity.oauth.setting import Shared
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp_auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    IdJagAuth,
    NoTargetAuth,
    OAuthClientSpec,
    OAuthCodeAuth,
    ReachSpec,
    TokenExchangeAuth,
)
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock

LOOPBACK = ReachSpec(private_networks=("127.0.0.0/8",))
ALICE = Principal(user="alice", method="jwt", claims={"iss": "https://idp.example"})
BOB = Principal(user="bob", method="jwt", claims={"iss": "https://idp.example"})
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


def token(**claims) -> bytes:
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    return part({"alg": "ES256", "typ": claims.pop("typ", "JWT")}) + b"." + part(claims) + b".c2ln"


ALICES, BOBS = token(sub="alice"), token(sub="bob")


class World:
    def __init__(self, server: AuthorizationServer, resource: Resource, spec) -> None:
        self.server, self.resource = server, resource
        self.ahead_s = 0.0
        self.client = Client()
        clock = Clock(lambda: time.time() + self.ahead_s, lambda: time.monotonic() + self.ahead_s)
        self.shared = Shared(MemoryVault(), Sealing(), MemoryStores()("mcp_oauth"), Site(""), clock)
        self.credentials, self.asker = build_credentials("crm", resource.url, spec, self.shared, self.client)

    async def call(self, principal=ALICE, caller_token=ALICES) -> int:
        for _ in range(4):
            fields = await self.credentials.headers(principal, caller_token)
            assert not caller_token or caller_token not in b"".join(value for _, value in fields)
            status, challenge = self.resource.judge(dict(fields).get(b"authorization", b"").decode())
            if status == 200 or not await self.credentials.refused(principal, status, challenge):
                return status
        raise AssertionError("it never ends")


@contextlib.asynccontextmanager
async def world(spec, server=None):
    server, resource = server or AuthorizationServer(), Resource()
    resource.servers = [server]
    server.clients["c"] = {"secret": "s", "method": "client_secret_basic", "redirect_uris": []}
    async with running(server), running(resource):
        one = World(server, resource, spec(server))
        try:
            yield one
        finally:
            one.asker.close()
            await one.client.close()


def client(server, **fields) -> OAuthClientSpec:
    return OAuthClientSpec(**{"issuer": server.issuer, "client_id": "c", "client_secret": "s", **fields})


# The gateway's own


def own(scope, **fields):
    return lambda server: ClientCredentialsAuth(
        client=client(server, **fields), scopes=(scope,) if scope else (), reach=LOOPBACK
    )


async def test_one_token_for_all_and_one_question_for_many_calls():
    spec = own("tools:read")
    async with world(spec) as w:
        w.server.delay_s = 0.02
        assert await asyncio.gather(*[w.call(), w.call(BOB, BOBS), w.call(Principal(), b"")]) == [200, 200, 200]
        assert len(w.server.forms) == 1
        assert w.server.forms[0]["resource"] == w.resource.url
        w.ahead_s = 3_595
        assert await w.call() == 200
        assert len(w.server.forms) == 2
        assert "s" not in repr(w.credentials).replace("Credentials", "")


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_a_secret_goes_the_way_that_is_configured(method: str):
    spec = own("tools:read", method=method)
    async with world(spec) as w:
        w.server.clients["c"]["method"] = method
        assert await w.call() == 200
        assert ("client_secret" in w.server.forms[0]) == (method == "client_secret_post")


async def test_a_key_signs_and_is_never_sent():
    key = signing_key()
    pem = key.as_pem(private=True).decode()

    def spec(server):
        one = client(server, client_secret="", private_key=pem, key_id="k1")
        assert "PRIVATE" not in repr(one)
        return ClientCredentialsAuth(client=one, scopes=("tools:read",), reach=LOOPBACK)

    async with world(spec) as w:
        w.server.clients["c"] = {"method": "private_key_jwt", "key": key, "redirect_uris": []}
        assert await w.call() == 200
        w.ahead_s = 3_595
        assert await w.call() == 200
        first, second = (form["client_assertion"] for form in w.server.forms)
        assert first != second


async def test_stepping_up_asks_for_all_of_it_and_ends():
    spec = own("a")
    async with world(spec) as w:
        w.resource.needs = "b c"
        assert await w.call() == 200
        assert w.server.forms[-1]["scope"] == "a b c"
        more = iter(range(100))
        w.resource.judge = lambda _: (403, f'Bearer error="insufficient_scope", scope="more:{next(more)}"')
        assert await w.call() == 403
        assert w.server.forms[-1]["scope"].startswith("a b c more:0")
        assert len(w.server.forms) <= 5


async def test_a_token_that_is_not_taken_is_renewed_once():
    spec = own("tools:read")
    async with world(spec) as w:
        assert await w.call() == 200
        w.server.tokens.clear()
        assert await w.call() == 200
        w.resource.servers = []
        assert await w.call() == 401
        assert len(w.server.forms) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"access_token": None}, "no token"),
        ({"access_token": "a b"}, "no token"),
        ({"access_token": "x\r\nhost: evil"}, "no token"),
        ({"access_token": "x" * 20_000}, "no token"),
        ({"access_token": 5}, "no token"),
        ({"token_type": "mac"}, "of a type"),
        ({"token_type": None}, "of a type"),
        ({"expires_in": -1}, "life is no time"),
        ({"expires_in": 1e999}, "not JSON"),
        ({"expires_in": True}, "life is no time"),
        ({"expires_in": {}}, "life is no time"),
        ({"expires_in": 3}, "expire at once"),
    ],
)
async def test_grants_that_are_none_are_refused(given, said: str):
    spec = own("tools:read")
    async with world(spec, AuthorizationServer(grants={"token": given})) as w:
        with pytest.raises(CredentialUnavailable, match=said) as caught:
            await w.call()
        assert "x" * 100 not in caught.value.detail
        with pytest.raises(CredentialUnavailable):
            await w.call()
        assert len(w.server.forms) == 1, "a failure holds for a moment"


async def test_lives_that_are_odd_but_meant_are_taken():
    spec = own("tools:read")
    for life in ("3600", None, 10**15):
        async with world(spec, AuthorizationServer(life_s=life)) as w:
            assert await w.call() == 200


async def test_a_refused_client_is_told_without_secrets():
    spec = own("", client_secret="WRONG")
    async with world(spec) as w:
        with pytest.raises(CredentialUnavailable, match="invalid_client") as caught:
            await w.call()
        assert "SECRET" not in caught.value.detail
        assert "WRONG" not in caught.value.detail


async def test_the_target_does_not_choose_who_gets_a_configured_secret():
    with pytest.raises(ValueError, match="issuer"):
        async with world(lambda server: ClientCredentialsAuth(client=client(server, issuer=""), reach=LOOPBACK)):
            pass
    with pytest.raises(ValueError, match="must not choose"):
        async with world(lambda server: OAuthCodeAuth(client=client(server, issuer=""), reach=LOOPBACK)):
            pass


# The caller's token, exchanged


def exchange(server, **fields):
    return TokenExchangeAuth(client=client(server), scopes=("tools:read",), reach=LOOPBACK, **fields)


async def test_each_callers_token_is_exchanged_for_the_target():
    async with world(lambda server: exchange(server, audience="crm")) as w:
        assert await w.call() == 200
        assert await w.call() == 200
        assert await w.call(BOB, BOBS) == 200
        assert [form["subject_token"].encode() for form in w.server.forms] == [ALICES, BOBS]
        asked = w.server.forms[0]
        assert asked["resource"] == w.resource.url
        assert asked["audience"] == "crm"
        assert asked["subject_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
        # Another token of the same caller is another one.
        assert await w.call(ALICE, token(sub="alice", jti="2")) == 200
        assert len(w.server.forms) == 3


async def test_the_callers_token_is_never_passed_on_even_if_the_server_gives_it_back():
    """Token passthrough is forbidden, by whatever way."""
    async with world(exchange, AuthorizationServer(grants={"token": {"access_token": ALICES.decode()}})) as w:
        with pytest.raises(CredentialUnavailable, match="must not be passed on"):
            await w.call()
        assert w.resource.calls == []


@pytest.mark.parametrize("spec", [exchange, lambda server: id_jag(server, server)])
async def test_a_key_of_the_gateway_is_not_sent_to_anybody(spec):
    async with world(spec) as w:
        keyed = Principal(user="alice", method="api_key", key_id="k")
        for principal, credential in ((keyed, b"sk-alice"), (keyed, ALICES), (ALICE, b"opaque"), (Principal(), b"")):
            with pytest.raises(CredentialUnavailable, match="came without one"):
                await w.call(principal, credential)
        assert w.server.forms == []


async def test_on_behalf_of_as_entra_wants_it():
    async with world(lambda server: exchange(server, style="entra", send_resource=False)) as w:
        assert await w.call() == 200
        asked = w.server.forms[0]
        assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert asked["requested_token_use"] == "on_behalf_of"
        assert asked["assertion"].encode() == ALICES
        assert "resource" not in asked


# Enterprise-managed authorization


def id_jag(provider, server):
    return IdJagAuth(
        identity_provider=client(provider),
        client=client(server),
        scopes=("tools:read",),
        reach=LOOPBACK,
    )


def asserting(server, **changes):
    """An identity provider that asserts identities to `server`."""
    provider = AuthorizationServer()
    provider.clients["c"] = {"secret": "s", "method": "client_secret_basic", "redirect_uris": []}

    def issue(form):
        claims = {"typ": "oauth-id-jag+jwt", "aud": form["audience"], "sub": "alice", "resource": form["resource"]}
        claims |= changes.get("claims", {})
        given = {"access_token": token(**claims).decode(), "token_type": "N_A", "issued_token_type": ID_JAG}
        return answer(200, {**given, "expires_in": 300, **changes.get("given", {})})

    provider.issue_for = issue
    provider.token = lambda form: issue(form) if provider._client(form) else answer(401, {"error": "invalid_client"})
    return provider


async def test_both_legs_of_an_identity_assertion():
    server = AuthorizationServer()
    async with running(asserting(server)) as provider, world(lambda one: id_jag(provider, one), server) as w:
        assert await w.call() == 200
        assert await w.call() == 200
        first, second = provider.forms[0], w.server.forms[0]
        assert len(provider.forms) == len(w.server.forms) == 1
        assert first["requested_token_type"] == ID_JAG
        assert first["audience"] == w.server.issuer
        assert first["resource"] == w.resource.url
        assert first["subject_token"].encode() == ALICES
        assert first["subject_token_type"] == "urn:ietf:params:oauth:token-type:id_token"
        assert second["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert ALICES.decode() not in str(second)
        assert not [path for _, path in provider.asked if "protected-resource" in path]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claims": {"aud": "https://evil.example"}}, "another server"),
        ({"claims": {"aud": ["https://evil.example"]}}, "another server"),
        ({"claims": {"typ": "JWT"}}, "no identity assertion"),
        ({"given": {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}}, "no identity assertion"),
        ({"given": {"access_token": "opaque"}}, "no identity assertion"),
        ({"given": {"token_type": "Bearer"}}, "of a type"),
    ],
)
async def test_what_is_no_assertion_for_this_server_is_not_sent_to_it(changes, said: str):
    server = AuthorizationServer()
    async with running(asserting(server, **changes)) as provider, world(lambda one: id_jag(provider, one), server) as w:
        with pytest.raises(CredentialUnavailable, match=said):
            await w.call()
        assert w.server.forms == []


async def test_the_server_of_an_assertion_is_configured_never_discovered():
    with pytest.raises(ValueError, match="issuer"):
        async with world(
            lambda server: IdJagAuth(
                identity_provider=client(server),
                client=client(server, issuer="", token_endpoint=f"{server.base}/token"),
            )
        ):
            pass


# What is written in the configuration


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (NoTargetAuth(), []),
        (BearerAuth(credential="t"), [(b"authorization", b"Bearer t")]),
        (HeaderAuth(header="X-Api-Key", credential="k"), [(b"x-api-key", b"k")]),
        (HeaderAuth(header="authorization", prefix="token ", credential="k"), [(b"authorization", b"token k")]),
        (BasicAuth(username="u", credential="p:w"), [(b"authorization", b"Basic dTpwOnc=")]),
    ],
)
async def test_static_ones(spec, fields):
    async with world(lambda _: spec) as w:
        assert await w.credentials.headers(ALICE, ALICES) == fields
        assert await w.credentials.refused(ALICE, 401, "Bearer") is False


@pytest.mark.parametrize(
    "spec",
    [
        HeaderAuth(header="host", credential="k"),
        HeaderAuth(header="mcp-session-id", credential="k"),
        HeaderAuth(header="Content-Length", credential="k"),
        BearerAuth(credential="a\r\nb: c"),
        BearerAuth(credential="é"),
    ],
)
async def test_static_ones_that_would_be_something_else_are_refused(spec):
    with pytest.raises(ValueError, match="printable ASCII"):
        async with world(lambda _: spec):
            pass


async def test_a_secret_that_is_missing_is_told():
    error = "environment variable TOKEN is not set"
    for spec in (BearerAuth(credential_error=error), BasicAuth(username="u", credential_error=error)):
        async with world(lambda _, spec=spec: spec) as w:
            with pytest.raises(CredentialUnavailable, match="TOKEN"):
                await w.call()

    def broken(server):
        return ClientCredentialsAuth(client=client(server, client_secret=""), credential_error=error)

    async with world(broken) as w:
        with pytest.raises(CredentialUnavailable, match="TOKEN"):
            await w.call()
        assert w.server.asked == []


async def test_secrets_go_over_tls(tmp_path: Path):
    for url in ("http://10.0.0.1/token", "http://as.example:80/x", "ftp://x"):
        with pytest.raises(ValueError):
            async with world(
                lambda _, url=url: ClientCredentialsAuth(client=OAuthClientSpec(token_endpoint=url, client_id="c"))
            ):
                pass
