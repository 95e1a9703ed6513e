"""Tokens through the policy, against a JWKS address and an API server on real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from heddle.model.snapshot import (
    ApiKeyAuthn,
    ClaimNames,
    IssuerSpec,
    JwksSpec,
    JwtAuthn,
    KeySpec,
    KubernetesAuthn,
    Snapshot,
)
from heddle.pipeline.errors import Reason
from heddle.policies import authn

KEY = ECKey.generate_key("P-256", {"kid": "k1"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})
OWN_TOKEN = "gateway-account-token"


class FakeServer:
    """Speaks enough HTTP/1.1 to answer one document or TokenReviews, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.answer: Any = JWKS
        self.headers = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                self.requests.append((first, fields, body))
                answer = self.answer(body) if callable(self.answer) else self.answer
                payload = answer if isinstance(answer, bytes) else answer.encode()
                out = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(payload)}\r\n{self.headers}\r\n"
                writer.write(out.encode() + payload)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    made = FakeServer()
    await made.start()
    yield made
    await made.stop()


def token(worker: Any, **claims: Any) -> bytes:
    body = {"iss": "https://issuer", "aud": "heddle", "sub": "alice", "exp": worker.time_s + 300, **claims}
    return jwt.encode({"alg": "ES256", "kid": "k1"}, body, KEY, algorithms=["ES256"]).encode()


def bearer(value: bytes) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + value)


def issuer(**jwks: Any) -> IssuerSpec:
    return IssuerSpec(
        issuer="https://issuer",
        audiences=("heddle",),
        jwks=JwksSpec(**jwks),
        claims=ClaimNames(user="sub", tenant="org.team"),
    )


def build(worker: Any, *entries: Any) -> Any:
    return authn.build(Snapshot(version="v", authentication=entries), worker.tools)


# JWT


@pytest.mark.parametrize("where", ["inline", "file", "url"])
async def test_a_token_by_keys_from(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, tmp_path: Path, where: str
) -> None:
    document = tmp_path / "jwks.json"
    document.write_text(JWKS)
    source = {"inline": JWKS, "file": str(document), "url": f"{server.url}/keys?v=1"}[where]
    checks = build(worker, JwtAuthn(issuers=(issuer(**{where: source}),)))
    value = token(worker, org={"team": "dev"})
    for _ in range(3):
        exchange = make_exchange(bearer(value))
        assert await run(checks, exchange) is None
        assert (exchange.principal.user, exchange.principal.tenant) == ("alice", "dev")
    assert [first for first, _, _ in server.requests] == (["GET /keys?v=1 HTTP/1.1"] if where == "url" else [])


async def test_a_token_that_shares_a_prefix_is_another_token(worker: Any, make_exchange: Any, run: Any) -> None:
    """CVE-2026-35030: a cache keyed on the first characters of a token."""
    checks = build(worker, JwtAuthn(issuers=(issuer(inline=JWKS),)))
    value = token(worker, org={"team": "dev"})
    assert await run(checks, make_exchange(bearer(value))) is None
    for forged in (value[:-2] + b"AA", value[:40] + value[40:].swapcase(), value[:-1]):
        error = await run(checks, make_exchange(bearer(forged)))
        assert error.reason is Reason.UNAUTHENTICATED
        assert value[:20].decode() not in error.detail + repr(worker.records)


async def test_a_remembered_token_still_expires(worker: Any, make_exchange: Any, run: Any) -> None:
    checks = build(worker, JwtAuthn(issuers=(issuer(inline=JWKS),)))
    value = token(worker, org={"team": "dev"})
    assert await run(checks, make_exchange(bearer(value))) is None
    worker.time_s += 331
    assert (await run(checks, make_exchange(bearer(value)))).detail == "The token has expired."


async def test_a_key_file_is_read_again_when_it_changes(
    worker: Any, make_exchange: Any, run: Any, tmp_path: Path
) -> None:
    document = tmp_path / "jwks.json"
    document.write_text(JWKS)
    checks = build(worker, JwtAuthn(issuers=(issuer(file=str(document)),)))
    value = token(worker, org={"team": "dev"})
    assert await run(checks, make_exchange(bearer(value))) is None
    other = ECKey.generate_key("P-256", {"kid": "k1"})
    replacement = tmp_path / "new.json"
    replacement.write_text(json.dumps({"keys": [other.as_dict(private=False)]}))
    replacement.replace(document)
    worker.time_s += 2
    await run(checks, make_exchange(bearer(value)))  # notices
    for _ in range(3):
        await asyncio.sleep(0)
    assert (await run(checks, make_exchange(bearer(value)))).reason is Reason.UNAUTHENTICATED


async def test_a_token_never_causes_a_request_elsewhere(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer
) -> None:
    """CVE-2026-41413: server-side request forgery through an address in the token."""
    checks = build(worker, JwtAuthn(issuers=(issuer(inline=JWKS),)))
    claims = {"iss": server.url, "aud": "heddle", "sub": "x", "exp": worker.time_s + 60, "jwks_uri": server.url}
    value = jwt.encode({"alg": "ES256", "kid": "k1"}, claims, KEY, algorithms=["ES256"]).encode()
    assert (await run(checks, make_exchange(bearer(value)))).detail == "The token's issuer is not accepted."
    assert server.requests == []


@pytest.mark.parametrize("redirect", [301, 302, 307, 308])
async def test_redirects_are_not_followed(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, redirect: int
) -> None:
    server.status = redirect
    server.headers = f"location: {server.url}/elsewhere\r\n"
    checks = build(worker, JwtAuthn(issuers=(issuer(url=f"{server.url}/keys"),)))
    error = await run(checks, make_exchange(bearer(token(worker))))
    assert error.reason is Reason.IDENTITY_UNAVAILABLE
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", ["{}", "no json", b"x" * 300_000, ""])
async def test_bad_key_documents_are_not_available_keys(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, answer: Any
) -> None:
    server.answer = answer
    checks = build(worker, JwtAuthn(issuers=(issuer(url=f"{server.url}/keys"),)))
    error = await run(checks, make_exchange(bearer(token(worker))))
    assert error.reason is Reason.IDENTITY_UNAVAILABLE
    assert dict(error.headers) == {}
    assert [r.outcome for r in worker.records] == ["error"]


@pytest.mark.parametrize(
    "spec",
    [
        {"url": "http://example.org/keys"},
        {"url": "ftp://127.0.0.1/keys"},
        {"url": "https://user:pw@example.org/keys"},
        {"url": "http://127.0.0.1.example.org/keys"},
        {"url": "https://example.org/keys", "inline": "{}"},
        {},
    ],
)
async def test_unfit_sources_are_refused_when_built(worker: Any, spec: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"URL|exactly one"):
        build(worker, JwtAuthn(issuers=(issuer(**spec),)))


async def test_an_issuer_stands_only_once(worker: Any) -> None:
    with pytest.raises(ValueError, match="listed twice"):
        build(worker, JwtAuthn(issuers=(issuer(inline=JWKS), issuer(inline=JWKS))))


async def test_each_credential_goes_to_who_can_judge_it(worker: Any, make_exchange: Any, run: Any) -> None:
    digest = "c1ca23e2ab4cef85a4b5c2a3a7f0c0e4a54ecb6a8b3b0a66bb4c2c2a5a3b4f00"
    keys = ApiKeyAuthn(keys=(KeySpec(sha256=digest, user="bob"),))
    checks = build(worker, keys, JwtAuthn(issuers=(issuer(inline=JWKS),)))
    expected = {
        token(worker, org={"team": "dev"}): None,
        token(worker): "missing or not a name",
        token(worker, iss="https://other", org={"team": "dev"}): "issuer is not accepted",
        b"sk-plain": "Incorrect API key",
        b"a.b.c": "Incorrect API key",
    }
    for credential, said in expected.items():
        error = await run(checks, make_exchange(bearer(credential)))
        assert (error is None) if said is None else said in error.detail


# Kubernetes


def account(worker: Any, namespace: str = "dev-team", name: str = "planner", **claims: Any) -> bytes:
    subject = f"system:serviceaccount:{namespace}:{name}"
    bound = {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u-1"}}
    return token(worker, **{"sub": subject, "kubernetes.io": bound, **claims})


def reviewed(**status: Any) -> Any:
    """An API server that knows every token as dev-team/planner, unless told otherwise."""
    user = {"username": "system:serviceaccount:dev-team:planner", "uid": "u-1", "groups": ["system:authenticated"]}

    def answer(body: bytes) -> str:
        review = json.loads(body)
        assert (review["apiVersion"], review["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
        return json.dumps(
            {**review, "status": {"authenticated": True, "user": user, "audiences": ["heddle"], **status}}
        )

    return answer


@pytest.fixture
def in_cluster(server: FakeServer, tmp_path: Path) -> dict[str, Any]:
    server.status = 201
    server.answer = reviewed()
    own = tmp_path / "token"
    own.write_text(OWN_TOKEN + "\n")
    return {
        "api_server": server.url,
        "token_file": str(own),
        "ca_file": str(tmp_path / "none"),
        "audiences": ("heddle",),
    }


async def test_locally_verified_accounts(worker: Any, make_exchange: Any, run: Any) -> None:
    entry = KubernetesAuthn(issuer=issuer(inline=JWKS), allowed_namespaces=("dev-team",))
    checks = build(worker, entry)
    exchange = make_exchange(bearer(account(worker)))
    assert await run(checks, exchange) is None
    who = exchange.principal
    assert (who.tenant, who.agent, who.user, who.method) == ("dev-team", "planner", "", "kubernetes")
    assert who.workload == "spiffe://heddle.local/ns/dev-team/sa/planner"
    error = await run(checks, make_exchange(bearer(account(worker, "other-team"))))
    assert error.reason is Reason.FORBIDDEN
    assert "`other-team`" in error.detail


@pytest.mark.parametrize(
    ("claims", "passes"),
    [
        ({"kubernetes.io": None}, True),
        ({"kubernetes.io": None, "sub": "alice"}, False),
        ({"kubernetes.io": None, "sub": "system:serviceaccount:a:b:c"}, False),
        ({"kubernetes.io": None, "sub": "system:serviceaccount::b"}, False),
        ({"sub": "system:serviceaccount:prod:admin"}, False),
        ({"kubernetes.io": {"namespace": ["a"], "serviceaccount": {"name": "b"}}}, False),
        ({"kubernetes.io": {"namespace": "dev-team"}}, False),
    ],
)
async def test_what_names_a_service_account(
    worker: Any, make_exchange: Any, run: Any, claims: dict[str, Any], passes: bool
) -> None:
    checks = build(worker, KubernetesAuthn(issuer=issuer(inline=JWKS)))
    error = await run(checks, make_exchange(bearer(account(worker, **claims))))
    assert (error is None) is passes


async def test_a_reviewed_account(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, in_cluster: dict[str, Any]
) -> None:
    checks = build(worker, KubernetesAuthn(**in_cluster, allowed_namespaces=("dev-team",)))
    value = account(worker)
    for _ in range(5):
        exchange = make_exchange(bearer(value))
        assert await run(checks, exchange) is None
    assert exchange.principal.workload == "spiffe://heddle.local/ns/dev-team/sa/planner"
    assert len(server.requests) == 1
    first, fields, body = server.requests[0]
    assert first == "POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1"
    assert fields["authorization"] == f"Bearer {OWN_TOKEN}"
    assert json.loads(body)["spec"] == {"token": value.decode(), "audiences": ["heddle"]}
    worker.time_s += 60
    assert await run(checks, make_exchange(bearer(value))) is None
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ({"authenticated": False, "error": "secret internals"}, Reason.UNAUTHENTICATED, "not accepted by the cluster"),
        ({"audiences": []}, Reason.UNAUTHENTICATED, "another audience"),
        ({"audiences": ["https://kubernetes.default.svc"]}, Reason.UNAUTHENTICATED, "another audience"),
        ({"user": {"username": "system:admin"}}, Reason.UNAUTHENTICATED, "not that of a service account"),
        ({"user": {"username": "system:serviceaccount:prod:x"}}, Reason.FORBIDDEN, "`prod`"),
    ],
)
async def test_what_the_api_server_says_is_what_counts(
    worker: Any,
    make_exchange: Any,
    run: Any,
    server: FakeServer,
    in_cluster: Any,
    status: Any,
    reason: Reason,
    said: str,
) -> None:
    server.answer = reviewed(**status)
    checks = build(worker, KubernetesAuthn(**in_cluster, allowed_namespaces=("dev-team",)))
    error = await run(checks, make_exchange(bearer(account(worker))))
    assert error.reason is reason
    assert said in error.detail
    assert "secret" not in error.detail


async def test_an_unproven_namespace_is_not_answered(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, in_cluster: Any
) -> None:
    """Whoever forges tokens must not learn from the answers which namespaces are allowed."""
    server.answer = reviewed(authenticated=False)
    checks = build(worker, KubernetesAuthn(**in_cluster, allowed_namespaces=("dev-team",)))
    answers = [await run(checks, make_exchange(bearer(account(worker, ns)))) for ns in ("dev-team", "prod")]
    assert answers[0].detail == answers[1].detail


@pytest.mark.parametrize("claims", [{"exp": 1.0}, {"exp": "x"}, {"sub": "alice", "kubernetes.io": None}])
async def test_tokens_that_cannot_be_good_cost_no_review(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, in_cluster: Any, claims: Any
) -> None:
    checks = build(worker, KubernetesAuthn(**in_cluster))
    assert (await run(checks, make_exchange(bearer(account(worker, **claims))))).reason is Reason.UNAUTHENTICATED
    assert (await run(checks, make_exchange(bearer(b"opaque")))).reason is Reason.UNAUTHENTICATED
    assert server.requests == []


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_an_api_server_that_fails_is_not_the_callers_fault(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, in_cluster: Any, status: int
) -> None:
    server.status = status
    checks = build(worker, KubernetesAuthn(**in_cluster))
    error = await run(checks, make_exchange(bearer(account(worker))))
    assert error.reason is Reason.IDENTITY_UNAVAILABLE
    assert str(status) in worker.records[0].detail
    server.status = 201
    assert await run(checks, make_exchange(bearer(account(worker)))) is None


@pytest.mark.parametrize("change", [{"api_server": "http://127.0.0.1:1"}, {"token_file": "/nonexistent"}])
async def test_an_api_server_out_of_reach(
    worker: Any, make_exchange: Any, run: Any, in_cluster: Any, change: dict[str, str]
) -> None:
    checks = build(worker, KubernetesAuthn(**{**in_cluster, **change}))
    error = await run(checks, make_exchange(bearer(account(worker))))
    assert error.reason is Reason.IDENTITY_UNAVAILABLE


async def test_the_gateways_own_token_is_read_again(
    worker: Any, make_exchange: Any, run: Any, server: FakeServer, in_cluster: Any, tmp_path: Path
) -> None:
    checks = build(worker, KubernetesAuthn(**in_cluster))
    await run(checks, make_exchange(bearer(account(worker))))
    (tmp_path / "token").write_text("rotated-token-x")
    await run(checks, make_exchange(bearer(account(worker, jti="2"))))
    assert [f["authorization"] for _, f, _ in server.requests] == [f"Bearer {OWN_TOKEN}", "Bearer rotated-token-x"]


async def test_a_network_api_server_needs_tls(worker: Any, in_cluster: Any) -> None:
    with pytest.raises(ValueError, match="https"):
        build(worker, KubernetesAuthn(**{**in_cluster, "api_server": "http://10.0.0.1:6443"}))


async def test_outside_a_cluster_nobody_can_be_asked(
    worker: Any, make_exchange: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference configuration loads anywhere; its calls are told what is the matter, and the operator why."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    checks = build(worker, KubernetesAuthn(allowed_namespaces=("dev-team",)))
    assert (await run(checks, make_exchange(bearer(account(worker))))).reason is Reason.IDENTITY_UNAVAILABLE
    assert "api_server" in worker.records[0].detail


async def test_inside_a_cluster_the_environment_names_the_api_server(
    worker: Any, make_exchange: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    checks = build(worker, KubernetesAuthn(token_file=__file__))
    assert (await run(checks, make_exchange(bearer(account(worker))))).reason is Reason.IDENTITY_UNAVAILABLE
    assert "could not be asked" in worker.records[0].detail
