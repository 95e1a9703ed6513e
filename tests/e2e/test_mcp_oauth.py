"""Credentials of callers at a tool server: real sockets, a strict authorization server, a person with a browser."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.net.rig import answer_error
from tests.e2e.oauth_server import AuthorizationServer, Browser, Resource, answer, onward, query, running

from heddle.dataplane.mcp_oauth import Pages
from heddle.drivers.kv.memory import MemoryStores
from heddle.drivers.sealing import Sealing
from heddle.drivers.vault.sqlite import SqliteVault
from heddle.identity.oauth.building import build_credentials
from heddle.identity.oauth.errors import ConsentNeeded, CredentialUnavailable
from heddle.identity.oauth.owner import owner_of
from heddle.identity.oauth.registering import Site
from heddle.identity.oauth.setting import Shared
from heddle.model.principal import Principal
from heddle.model.snapshot import ListenerSpec, TimeoutSpec
from heddle.model.snapshot_mcp_auth import OAuthClientSpec, OAuthCodeAuth, ReachSpec, UserSecretAuth
from heddle.net.client import Client, OutboundRequest
from heddle.net.message import Reply
from heddle.net.server import HttpServer
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import SpanContext

ALICE = Principal(user="alice", agent="claude", tenant="acme", method="api_key", key_id="key-a")
BOB = Principal(user="bob", method="api_key", key_id="key-b")
KEYS = {b"Bearer sk-alice": ALICE, b"Bearer sk-bob": BOB}
LOOPBACK = ReachSpec(private_networks=("127.0.0.0/8",))
LISTENER = ListenerSpec(name="mcp", address="127.0.0.1", port=0, protocol="MCP")


def prove(exchange: Exchange) -> None:
    found = KEYS.get(exchange.request.header(b"authorization") or b"")
    if found is None:
        raise CallError(Reason.UNAUTHENTICATED, "No.")
    exchange.principal = found


class World:
    """A gateway's worker, as far as credentials go, with one target."""

    def __init__(self, folder: Path, server: AuthorizationServer, resource: Resource, spec) -> None:
        self.server, self.resource = server, resource
        self.ahead_s = 0.0
        self.client = Client()
        clock = Clock(lambda: time.time() + self.ahead_s, lambda: time.monotonic() + self.ahead_s)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.vault = SqliteVault(folder, ("k" * 32,), clock.now)
        self.shared = Shared(
            self.vault, Sealing(keys=("s" * 32,), now=clock.now), MemoryStores()("mcp_oauth"), Site(self.url), clock
        )
        self.connections: list[str] = []
        self.credentials, self.asker = build_credentials("github", resource.url, spec, self.shared, self.client)
        self.pages = Pages(self.shared, {}, {"github": self.credentials}, prove, self.connections.append)
        self.http = HttpServer(self.handle, LISTENER, answer_error=answer_error)

    async def handle(self, request):
        exchange = Exchange(request, LISTENER, "mcp", SpanContext("0" * 32, "0" * 16), 0.0)
        try:
            return await self.pages.handle(exchange)
        except CallError as error:
            return Reply(error.answer.status, list(error.headers), error.detail.encode())

    async def fetch(self, method, url, fields, body=b""):
        parts = urlsplit(url)
        origin = self.client.origin(f"{parts.scheme}://{parts.netloc}")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            got = await self.client.send(origin, OutboundRequest(method, target.encode(), fields, body), TimeoutSpec())
            return Reply(got.status, got.headers, await got.body.read(1 << 20))
        finally:
            self.client.discard(origin)

    async def call(self, principal=ALICE) -> int:
        """A call to the target, as a backend makes it: status of the answer."""
        for _ in range(3):
            fields = await self.credentials.headers(principal, b"caller-token")
            got = await self.fetch("POST", self.resource.url, fields)
            if got.status not in {401, 403}:
                return got.status
            challenge = next((value for name, value in got.headers if name == b"www-authenticate"), b"").decode()
            if not await self.credentials.refused(principal, got.status, challenge):
                return got.status
        raise AssertionError("it never ends")

    async def asked(self, principal=ALICE) -> ConsentNeeded:
        with pytest.raises(ConsentNeeded) as caught:
            await self.call(principal)
        return caught.value

    async def to_server(self, browser, asked, key="sk-alice"):
        """Through the page, to the URL at the authorization server."""
        page = await browser.open(asked.url)
        assert page.status == 200, page.body
        sent = await browser.submit(asked.url, page.body.decode(), proof=key)
        assert sent.status == 200, sent.body
        return onward(sent.body.decode())

    async def consent(self, browser, url):
        """At the authorization server, and to the URL it sends the browser back to."""
        got = await self.fetch("GET", url, [])
        assert got.status == 302, got.body
        return dict(got.headers)[b"location"].decode()

    async def connect(self, principal=ALICE, key="sk-alice"):
        browser = Browser(self.fetch)
        back = await self.consent(browser, await self.to_server(browser, await self.asked(principal), key))
        done = await browser.open(back)
        assert done.status == 200, done.body
        return done


@contextlib.asynccontextmanager
async def world(folder: Path, spec=None, *, server=None, resource=None):
    server, resource = server or AuthorizationServer(), resource or Resource()
    resource.servers = resource.servers or [server]
    async with running(server), running(resource):
        made = spec(server) if callable(spec) else spec
        one = World(folder, server, resource, made or OAuthCodeAuth(reach=LOOPBACK))
        await one.http.start(one.socket, None)
        try:
            yield one
        finally:
            one.asker.close()
            await one.http.drain(0.0)
            await one.client.close()
            one.vault.close()
            one.socket.close()


async def test_a_person_connects_and_calls_go_through(tmp_path: Path):
    async with world(tmp_path) as w:
        asked = await w.asked()
        assert asked.url.startswith(f"{w.url}/.heddle/connect/")
        assert asked.url not in repr(asked)
        browser = Browser(w.fetch)
        page = (await browser.open(asked.url)).body.decode()
        for shown in (
            "Connect github",
            w.resource.url,
            "alice",
            "claude",
            "tools:read",
            urlsplit(w.server.base).netloc,
        ):
            assert shown in page
        url = await w.to_server(browser, asked)
        assert query(url)["resource"] == w.resource.url
        assert query(url)["redirect_uri"] == f"{w.url}/.heddle/callback"
        done = await browser.open(await w.consent(browser, url))
        assert b"github is connected" in done.body
        assert w.connections == [asked.elicitation_id]
        assert await w.call() == 200
        assert w.server.registrations[0]["application_type"] == "native"
        # Bob is not Alice.
        await w.asked(BOB)
        assert "caller-token" not in str(w.resource.calls) + str(w.server.forms)
        assert owner_of(ALICE) in {kept.place.owner for kept in w.vault.list()}


async def test_what_was_kept_outlives_the_worker_and_can_be_taken_back(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        spec = OAuthCodeAuth(reach=LOOPBACK)
        w.credentials, other = build_credentials("github", w.resource.url, spec, w.shared, w.client)
        assert await w.call() == 200
        assert len(w.server.registrations) == 1, "a registration is kept too"
        for kept in w.vault.list(owner_of(ALICE)):
            w.vault.delete(kept.place)
        w.ahead_s += 2
        await w.asked()
        other.close()


async def test_pages_cannot_be_framed_kept_or_scripted(tmp_path: Path):
    async with world(tmp_path) as w:
        asked = await w.asked()
        reply = await Browser(w.fetch).open(asked.url)
        fields = dict(reply.headers)
        assert b"default-src 'none'" in fields[b"content-security-policy"]
        assert b"frame-ancestors 'none'" in fields[b"content-security-policy"]
        assert b"script" not in fields[b"content-security-policy"]
        assert fields[b"cache-control"] == b"no-store"
        assert fields[b"referrer-policy"] == b"same-origin"
        assert b"HttpOnly; SameSite=Lax" in fields[b"set-cookie"]
        assert b"<script" not in reply.body


# The confused deputy, and people who are sent links


async def test_a_link_sent_to_somebody_else_connects_nothing(tmp_path: Path):
    """Bob sends his own link to Alice, so that her account would become his."""
    async with world(tmp_path) as w:
        asked = await w.asked(BOB)
        alice = Browser(w.fetch)
        page = (await alice.open(asked.url)).body.decode()
        assert "bob" in page
        for key in ("sk-alice", "", "sk-nobody", "sk-bob\r\nx: y"):
            sent = await alice.submit(asked.url, page, proof=key)
            assert sent.status == 400
            assert b"not that of the caller" in sent.body
        assert ("GET", "/authorize") not in w.server.asked


async def test_an_answer_counts_only_in_the_browser_that_was_sent(tmp_path: Path):
    """Bob begins, agrees at the server, and gives Alice the way back; or has her finish what he began."""
    async with world(tmp_path) as w:
        bob = Browser(w.fetch)
        back = await w.consent(bob, await w.to_server(bob, await w.asked(BOB), "sk-bob"))
        for other in (Browser(w.fetch), Browser(w.fetch)):
            other.cookies = {"heddle-connect": "x" * 43} if other.cookies else other.cookies
            got = await other.open(back)
            assert got.status == 400
            assert b"no connection that this browser began" in got.body
        assert w.server.forms == [], "the code was not redeemed"
        assert (await bob.open(back)).status == 200


async def test_an_answer_is_used_once(tmp_path: Path):
    async with world(tmp_path) as w:
        browser = Browser(w.fetch)
        back = await w.consent(browser, await w.to_server(browser, await w.asked()))
        assert (await browser.open(back)).status == 200
        again = await browser.open(back)
        assert again.status == 400
        assert b"used already" in again.body
        assert len(w.server.forms) == 1


async def test_links_and_answers_end(tmp_path: Path):
    async with world(tmp_path) as w:
        asked, browser = await w.asked(), Browser(w.fetch)
        back = await w.consent(browser, await w.to_server(browser, asked))
        w.ahead_s = 700
        assert b"came too late" in (await browser.open(back)).body
        w.ahead_s = 1000
        assert b"not valid any more" in (await browser.open(asked.url)).body


async def test_forms_from_elsewhere_are_refused(tmp_path: Path):
    async with world(tmp_path) as w:
        asked, browser = await w.asked(), Browser(w.fetch)
        page = (await browser.open(asked.url)).body.decode()
        other = Browser(w.fetch)
        other.cookies = {"heddle-connect": "y" * 43}
        assert b"not of this browser" in (await other.submit(asked.url, page, proof="sk-alice")).body
        for fields in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"origin": "null"}):
            got = await browser.open(asked.url, "POST", b"form=x&proof=sk-alice", **fields)
            assert b"sent from somewhere else" in got.body
        assert (await browser.open(asked.url, "POST", b"form=" + b"x" * 40_000)).status == 400
        assert (await browser.open(asked.url, "POST", b"\xff")).status == 400
        assert (await browser.open(asked.url, "POST", b"form=x")).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/.heddle/connect/",
        "/.heddle/connect/garbage",
        "/.heddle/callback",
        "/.heddle/callback?state=x&state=y",
        "/.heddle/callback?code=%ff",
    ],
)
async def test_garbage_is_told_so(tmp_path: Path, path: str):
    async with world(tmp_path) as w:
        assert (await Browser(w.fetch).open(w.url + path)).status == 400
        assert (await Browser(w.fetch).open(w.url + path, "DELETE")).status == 405


# What an authorization server may not do


async def test_an_answer_in_anothers_name_is_not_redeemed(tmp_path: Path):
    """Mix-up: RFC 9207."""
    async with world(tmp_path, server=AuthorizationServer(iss="https://evil.example")) as w:
        browser = Browser(w.fetch)
        back = await w.consent(browser, await w.to_server(browser, await w.asked()))
        got = await browser.open(back)
        assert b"not come from the authorization server" in got.body
        assert w.server.forms == []


async def test_an_answer_without_the_issuer_it_promised_is_not_redeemed(tmp_path: Path):
    server = AuthorizationServer(iss=False, metadata={"authorization_response_iss_parameter_supported": True})
    async with world(tmp_path, server=server) as w:
        browser = Browser(w.fetch)
        back = await w.consent(browser, await w.to_server(browser, await w.asked()))
        assert b"not come from the authorization server" in (await browser.open(back)).body
        assert w.server.forms == []


async def test_a_server_that_never_names_itself_is_taken(tmp_path: Path):
    async with world(tmp_path, server=AuthorizationServer(iss=False)) as w:
        await w.connect()
        assert await w.call() == 200


async def test_a_refusal_is_told_without_the_servers_words(tmp_path: Path):
    async with world(tmp_path, server=AuthorizationServer(refuse_resource=True)) as w:
        browser = Browser(w.fetch)
        back = await w.consent(browser, await w.to_server(browser, await w.asked()))
        got = await browser.open(f"{back}&error_description=%3Cscript%3EEVIL")
        assert b"did not agree (invalid_target)" in got.body
        assert b"EVIL" not in got.body


async def test_resource_can_be_left_out_for_servers_that_refuse_it(tmp_path: Path):
    spec = OAuthCodeAuth(reach=LOOPBACK, send_resource=False)
    async with world(tmp_path, spec, server=AuthorizationServer(refuse_resource=True)) as w:
        await w.connect()
        assert await w.call() == 200
        assert "resource" not in w.server.forms[0]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"code_challenge_methods_supported": None}, "PKCE"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"issuer": "https://other.example"}, "another issuer"),
        ({"registration_endpoint": None}, "let clients register"),
        ({"authorization_endpoint": None}, "no authorization"),
        ({"token_endpoint": None}, "no token endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "must not have"),
        ({"authorization_endpoint": "javascript://a.example/%0aalert(1)"}, "not https"),
        ({"authorization_endpoint": "https://a.example/x#y"}, "must not have"),
        ({"registration_endpoint": "http://169.254.169.254/register"}, "not https"),
        ({"registration_endpoint": "https://169.254.169.254/register"}, "may not be asked"),
        ({"registration_endpoint": "https://10.0.0.1/register"}, "may not be asked"),
        ({"registration_endpoint": "https://[::ffff:10.0.0.1]/register"}, "may not be asked"),
        ({"registration_endpoint": "https://user:secret@a.example/register"}, "must not have"),
    ],
)
async def test_servers_that_are_not_fit_are_refused(tmp_path: Path, metadata, said: str):
    async with world(tmp_path, server=AuthorizationServer(metadata=metadata)) as w:
        asked, browser = await w.asked(), Browser(w.fetch)
        got = await browser.open(asked.url)
        if got.status == 200:
            got = await browser.submit(asked.url, got.body.decode(), proof="sk-alice")
        assert got.status == 400
        assert said in got.body.decode()
        assert ("GET", "/authorize") not in w.server.asked


async def test_targets_that_speak_for_others_are_refused(tmp_path: Path):
    async with world(tmp_path, resource=Resource(document={"resource": "https://bank.example/mcp"})) as w:
        got = await Browser(w.fetch).open((await w.asked()).url)
        assert b"about another resource" in got.body


@pytest.mark.parametrize(
    ("path", "well_known"),
    [
        ("", "/.well-known/openid-configuration"),
        ("/tenant", "/.well-known/oauth-authorization-server"),
        ("/tenant", "/.well-known/openid-configuration"),
        ("/tenant", "appended"),
    ],
)
async def test_metadata_is_looked_for_in_the_order_that_is_fixed(tmp_path: Path, path: str, well_known: str):
    async with world(tmp_path, server=AuthorizationServer(path=path, well_known=well_known)) as w:
        await w.connect()
        assert await w.call() == 200
        order = [
            f"/.well-known/oauth-authorization-server{path}",
            f"/.well-known/openid-configuration{path}",
            f"{path}/.well-known/openid-configuration",
        ]
        looked = [at for _, at in w.server.asked if "well-known" in at]
        assert looked == order[: len(looked)]


# Life of a token


async def test_a_token_is_renewed_once_however_many_wait(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.ahead_s = 3_590
        w.server.delay_s = 0.05
        other, asker = build_credentials("github", w.resource.url, OAuthCodeAuth(reach=LOOPBACK), w.shared, w.client)
        # The other stands for another process: it shares the vault alone.
        calls = [w.credentials.headers(ALICE, b"") for _ in range(5)] + [other.headers(ALICE, b"") for _ in range(5)]
        fields = await asyncio.gather(*calls)
        asker.close()
        assert len({str(one) for one in fields}) == 1
        assert [form["grant_type"] for form in w.server.forms].count("refresh_token") == 1
        assert await w.call() == 200
        w.ahead_s = 7_190
        assert await w.call() == 200, "the refresh token was rotated, and the new one kept"


async def test_a_refresh_token_that_is_not_replaced_is_kept(tmp_path: Path):
    async with world(tmp_path, server=AuthorizationServer(rotate=False)) as w:
        await w.connect()
        for ahead_s in (3_590, 7_190, 10_790):
            w.ahead_s = ahead_s
            assert await w.call() == 200


async def test_a_revoked_token_is_renewed_and_a_revoked_grant_asks_again(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.server.tokens.clear()
        assert await w.call() == 200
        w.server.tokens.clear()
        w.server.refreshes.clear()
        w.ahead_s = 60
        await w.asked()
        assert w.vault.list(owner_of(ALICE)) == []
        await w.connect()
        assert await w.call() == 200


async def test_a_target_that_refuses_every_token_does_not_go_in_circles(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.resource.judge = lambda given: (401, 'Bearer error="invalid_token"')
        await w.asked()
        renewals = [form for form in w.server.forms if form["grant_type"] == "refresh_token"]
        assert len(renewals) == 1


async def test_stepping_up_keeps_what_was_there_and_ends(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.resource.needs = "tools:read admin"
        asked = await w.asked()
        browser = Browser(w.fetch)
        url = await w.to_server(browser, asked)
        assert query(url)["scope"].split() == ["tools:read", "tools:write", "admin"]
        assert (await browser.open(await w.consent(browser, url))).status == 200
        assert await w.call() == 200
        # Never content: asked three times, then the refusal goes to the caller.
        for number in range(2):
            w.resource.judge = lambda _, n=number: (403, f'Bearer error="insufficient_scope", scope="more:{n}"')
            await w.asked()
        w.resource.judge = lambda _: (403, 'Bearer error="insufficient_scope", scope="more:9"')
        assert await w.call() == 403


async def test_a_403_that_is_no_challenge_is_the_callers(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.resource.judge = lambda _: (403, "")
        assert await w.call() == 403
        w.resource.judge = lambda _: (403, 'Bearer error="insufficient_scope", scope="tools:read"')
        assert await w.call() == 403, "it was granted that"


async def test_another_authorization_server_means_another_registration(tmp_path: Path):
    first, second = AuthorizationServer(), AuthorizationServer()
    async with running(second), world(tmp_path, server=first) as w:
        await w.connect()
        former = w.vault.list(owner_of(ALICE))[0].credential
        w.resource.servers = [second]
        w.ahead_s = 5
        await w.connect()
        assert await w.call() == 200
        assert len(second.registrations) == 1
        assert former.refresh_token not in str(second.forms)
        assert former.client_id in first.clients
        assert [kept.place.issuer for kept in w.vault.list(owner_of(ALICE))] == [second.issuer]


async def test_a_token_is_not_sent_to_a_target_that_moved(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        elsewhere = Resource(servers=[w.server])
        async with running(elsewhere):
            moved, asker = build_credentials("github", elsewhere.url, OAuthCodeAuth(reach=LOOPBACK), w.shared, w.client)
            with pytest.raises(ConsentNeeded):
                await moved.headers(ALICE, b"")
            asker.close()


async def test_a_client_that_the_server_forgot_is_registered_again(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.server.clients.clear()
        w.ahead_s = 3_590
        await w.asked()
        await w.connect()
        assert len(w.server.registrations) == 2
        assert await w.call() == 200


async def test_a_server_that_is_away_is_not_the_persons_fault(tmp_path: Path):
    async with world(tmp_path) as w:
        await w.connect()
        w.ahead_s = 3_590
        w.server.token = lambda form: answer(503, {})
        with pytest.raises(CredentialUnavailable, match="github"):
            await w.call()
        assert w.vault.list(owner_of(ALICE)), "what was kept is not thrown away for it"


async def test_a_configured_client_with_a_secret(tmp_path: Path):
    def spec(server):
        client = OAuthClientSpec(
            issuer=server.issuer, client_id="c:1", client_secret="se:cret", method="client_secret_post"
        )
        return OAuthCodeAuth(client=client, scopes=("tools:read",), reach=LOOPBACK)

    async with world(tmp_path, spec) as w:
        callback = w.shared.site.callback
        w.server.clients["c:1"] = {"secret": "se:cret", "method": "client_secret_post", "redirect_uris": [callback]}
        await w.connect()
        assert await w.call() == 200
        assert w.server.registrations == []


async def test_one_connection_for_all(tmp_path: Path):
    async with world(tmp_path, OAuthCodeAuth(reach=LOOPBACK, shared=True)) as w:
        asked, browser = await w.asked(), Browser(w.fetch)
        assert b"all callers of this gateway" in (await browser.open(asked.url)).body
        assert (await browser.open(await w.consent(browser, await w.to_server(browser, asked)))).status == 200
        assert await w.call(BOB) == 200
        assert await w.call(Principal()) == 200


async def test_nobody_has_no_credential(tmp_path: Path):
    async with world(tmp_path) as w:
        with pytest.raises(CredentialUnavailable, match="not known"):
            await w.call(Principal())


# Keys that people leave


async def test_a_key_of_ones_own(tmp_path: Path):
    spec = UserSecretAuth(header="X-Api-Key", prefix="", description="A personal <token>", ttl_s=100)
    async with world(tmp_path, spec) as w:
        asked, browser = await w.asked(), Browser(w.fetch)
        page = (await browser.open(asked.url)).body.decode()
        assert "A personal &lt;token&gt;" in page
        bad = await browser.submit(asked.url, page, proof="sk-alice", secret="x\r\nhost: evil")
        assert b"printable ASCII" in bad.body
        stolen = await browser.submit(asked.url, page, proof="sk-bob", secret="gh-1")
        assert stolen.status == 400
        done = await browser.submit(asked.url, page, proof="sk-alice", secret=" gh-1 ")
        assert done.status == 200
        assert b"gh-1" not in done.body
        assert await w.credentials.headers(ALICE, b"") == [(b"x-api-key", b"gh-1")]
        await w.asked(BOB)
        w.ahead_s = 200
        await w.asked()
