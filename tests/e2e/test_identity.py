"""Who calls: tokens of issuers and clusters, keys in every notation, and what anonymous callers get."""

import base64
import datetime
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Asked, reply, serving

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
NEXT = ECKey.generate_key("P-256", {"kid": "ec-2"})
CLUSTER = RSAKey.generate_key(2048, {"kid": "cluster-1"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})
GATEWAY_TOKEN = "the-gateways-own-account-token"
CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}

HEAD = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers: [{{name: offline, type: scripted}}]
  models:
    - {{name: gpt-4o-mini, provider: offline}}
    - {{name: gpt-5-large, provider: offline}}
observability:
  logging: {{output: [{{type: file, path: access.log}}]}}
"""
CONFIG = (
    HEAD
    + """\
security:
  authentication:
    - type: jwt
      issuers:
        - {{issuer: "https://by-file", audiences: [heddle], jwks: {{file: rsa.json}}, leeway: 0s,
            claims: {{user: email, tenant: org.team, agent: azp}}}}
        - {{issuer: "https://by-url", audiences: [heddle, other], jwks: {{url: "@ISSUER@/keys", refresh: 1s}},
            claims: {{user: sub, tenant: team}}}}
    - type: kubernetes
      issuer: "https://cluster"
      jwks: {{file: cluster.json}}
      audiences: [heddle]
      allowed_namespaces: [dev-team]
    - type: kubernetes
      api_server: "@API@"
      token_file: @FOLDER@/token
      allowed_namespaces: [dev-team, ops]
      audiences: [heddle]
    - type: api_key
      keys:
        - {{key: "${{CI_KEY}}", user: env, tenant: dev-team}}
        - {{key: "file:key.txt", user: file, tenant: dev-team, metadata: {{team: loom}}}}
        - {{key_sha256: @DIGEST@, user: digest, tenant: dev-team}}
        - {{key: sk-old, user: old, tenant: dev-team, expires: "2020-01-01T00:00:00Z"}}
        - {{key: sk-soon, user: soon, tenant: dev-team, expires: "@SOON@"}}
        - {{key: sk-watched, user: watched, tenant: watched-team}}
        - {{key: sk-mini, user: mini, tenant: dev-team, models: ["gpt-4o*"]}}
authorization:
  policies:
    - {{name: dev, match: {{tenant: [dev-team, ops]}}, action: allow}}
    - {{name: watched, match: {{tenant: watched-team}}, action: allow}}
    - {{name: ops-no-big, match: {{tenant: ops}}, resources: ["model:gpt-5-*"], action: deny}}
    - {{name: watch, match: {{user: watched}}, action: deny, mode: audit}}
    - name: loom-no-big
      when: '"team" in principal.claims && principal.claims["team"] == "loom" && call.model == "gpt-5-large"'
      action: deny
"""
)
SOON_S = 6.0


def key_set(*keys: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


class World:
    """The mesh, an issuer whose keys change, and an API server that knows two tokens."""

    def __init__(self) -> None:
        self.published = key_set(EC)
        self.reviews: list[Asked] = []
        self.accounts: dict[str, dict[str, Any]] = {}
        self.api_status = 201
        self.mesh: RunningMesh = None  # type: ignore[assignment]
        self.soon_s = 0.0

    def keys(self, _: Asked) -> bytes:
        return reply(200, self.published.encode())

    def review(self, asked: Asked) -> bytes:
        self.reviews.append(asked)
        spec = json.loads(asked.body)["spec"]
        status = self.accounts.get(spec["token"], {"authenticated": False})
        document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
        return reply(self.api_status, json.dumps(document).encode())

    def call(self, credential: str | None, model: str = "gpt-4o-mini") -> tuple[int, dict[str, Any]]:
        status, _, data = self.mesh.post({**CALL, "model": model}, key=credential)
        return status, json.loads(data)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, world = tmp_path_factory.mktemp("identity"), World()
    (folder / "rsa.json").write_text(key_set(RSA))
    (folder / "cluster.json").write_text(key_set(CLUSTER))
    (folder / "token").write_text(GATEWAY_TOKEN)
    (folder / "key.txt").write_text("sk-from-a-file\n")
    world.soon_s = time.time() + SOON_S
    with serving(world.keys) as issuer, serving(world.review) as api:
        moment = datetime.datetime.fromtimestamp(world.soon_s, datetime.UTC)
        text = CONFIG.replace("@ISSUER@", issuer.url).replace("@API@", api.url).replace("@FOLDER@", str(folder))
        text = text.replace("@DIGEST@", hashlib.sha256(b"sk-by-digest").hexdigest())
        text = text.replace("@SOON@", moment.isoformat().replace("+00:00", "Z"))
        with running_mesh(folder, text, environ={"CI_KEY": "sk-from-env"}) as world.mesh:
            yield world


def token(key: Any = RSA, algorithm: str = "RS256", head: dict[str, Any] | None = None, **claims: Any) -> str:
    """A good token of `https://by-file`, but for what is said otherwise. A claim that is None is left out."""
    said = {
        "iss": "https://by-file", "aud": "heddle", "exp": int(time.time()) + 600, "email": "ann@example.com",
        "org": {"team": "dev-team"}, "azp": "planner", **claims,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": key.kid, **(head or {})}, said, key, algorithms=[algorithm])


def by_url(key: Any = EC, **claims: Any) -> str:
    said = {"iss": "https://by-url", "aud": ["else", "other"], "sub": "eve", "team": "dev-team", **claims}
    return token(key, "ES256", **said)


def account(namespace: str, name: str = "builder", key: Any = CLUSTER, **claims: Any) -> str:
    said = {
        "iss": "https://cluster",
        "sub": f"system:serviceaccount:{namespace}:{name}",
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u-1"}},
        **claims,
    }
    return token(key, "RS256", **said)


def forged(head: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """A token made by hand: unsigned, or with an HMAC."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part(head)}.{part(claims)}"
    mac = hmac.digest(secret, signed.encode(), "sha256") if secret is not None else b""
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("credential", "who"),
    [
        (lambda: token(), ("ann@example.com", "dev-team", "planner", "jwt")),
        (lambda: by_url(), ("eve", "dev-team", None, "jwt")),
        (lambda: account("dev-team"), (None, "dev-team", "builder", "kubernetes")),
        (lambda: "sk-from-env", ("env", "dev-team", None, "api_key")),
        (lambda: "sk-from-a-file", ("file", "dev-team", None, "api_key")),
        (lambda: "sk-by-digest", ("digest", "dev-team", None, "api_key")),
    ],
    ids=["jwks-file", "jwks-url", "cluster-keys", "key-env", "key-file", "key-digest"],
)
def test_every_way_in_says_who_it_is(world, credential, who):
    status, record = world.mesh.recorded(CALL, key=credential())
    assert status == 200
    assert tuple(record.get(name) for name in ("user", "tenant", "agent", "authn")) == who
    if who[2]:
        assert record["workload"] == f"spiffe://heddle.local/ns/dev-team/sa/{who[2]}"


CLAIMS = {"iss": "https://by-file", "aud": "heddle", "exp": 4_000_000_000, "email": "ann@example.com",
          "org": {"team": "dev-team"}, "azp": "planner"}  # fmt: skip
PUBLIC_PEM = RSA.as_pem(private=False)

BAD = {
    "another audience": lambda: token(aud="elsewhere"),
    "audience by prefix": lambda: token(aud="heddle2"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://by-fil"),
    "no issuer": lambda: token(iss=None),
    "the other issuer's key": lambda: token(EC, "ES256"),
    "expired": lambda: token(exp=int(time.time()) - 1),
    "no expiry": lambda: token(exp=None),
    "expiry that is text": lambda: token(exp="4000000000"),
    "not yet valid": lambda: token(nbf=int(time.time()) + 600),
    "a stranger's key with our kid": lambda: token(STRANGER),
    "a kid nobody has": lambda: token(head={"kid": "nope"}),
    "an algorithm that is not listed": lambda: token(algorithm="RS512"),
    "a critical extension": lambda: token(head={"crit": ["b64"], "b64": True}),
    "a key it brought along": lambda: token(STRANGER, head={"jwk": STRANGER.as_dict(private=False)}),
    "none": lambda: forged({"alg": "none", "typ": "JWT"}, CLAIMS, None),
    "None": lambda: forged({"alg": "None", "kid": "rsa-1"}, CLAIMS, None),
    "HS256 with the public key as secret": lambda: forged({"alg": "HS256", "kid": "rsa-1"}, CLAIMS, PUBLIC_PEM),
    "HS256 with an empty secret": lambda: forged({"alg": "HS256", "kid": "rsa-1"}, CLAIMS, b"\0"),
    "RS256 said, HMAC signed": lambda: forged({"alg": "RS256", "kid": "rsa-1"}, CLAIMS, PUBLIC_PEM),
    "no user": lambda: token(email=None),
    "a user that is not text": lambda: token(email=["root"]),
    "a changed payload": lambda: ".".join(
        (token().split(".")[0], token(email="root@example.com").split(".")[1], token().split(".")[2])
    ),
    "a signature cut short": lambda: token()[:-4],
    "service account of an unknown issuer": lambda: account("dev-team", iss="https://cluster2", exp=1),
    "service account with a stranger's key": lambda: account("dev-team", key=STRANGER),
    "not a service account": lambda: account("dev-team", sub="alice", **{"kubernetes.io": None}),
    "claims that contradict the subject": lambda: account("dev-team", sub="system:serviceaccount:ops:builder"),
    "an expired key": lambda: "sk-old",
    "an unknown key": lambda: "sk-unknown",
    "the digest instead of the key": lambda: hashlib.sha256(b"sk-by-digest").hexdigest(),
    "no credential": lambda: None,
}


@pytest.mark.parametrize("made", BAD.values(), ids=BAD.keys())
def test_what_proves_nothing_is_refused(world, made):
    status, _, data = world.mesh.post(CALL, key=made())
    assert status == 401, data
    error = json.loads(data)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_api_key"


def test_a_refusal_says_how_to_authenticate(world):
    assert world.mesh.post(CALL, key=None)[1]["www-authenticate"] == "Bearer"
    assert "invalid_token" in world.mesh.post(CALL, key="wrong")[1]["www-authenticate"]


def test_a_namespace_that_is_not_allowed_is_told_so(world):
    status, answer = world.call(account("kube-system"))
    assert status == 403
    assert "kube-system" in answer["error"]["message"]


def test_an_issuer_changes_its_keys(world):
    assert world.call(by_url())[0] == 200
    assert world.call(by_url(NEXT))[0] == 401
    world.published = key_set(NEXT)
    eventually(lambda: world.call(by_url(NEXT))[0] == 200)
    assert world.call(by_url())[0] == 401, "the old key is withdrawn, also for tokens that were proven before"
    world.published = key_set(EC)
    eventually(lambda: world.call(by_url())[0] == 200)


def test_a_key_file_is_replaced_while_it_runs(world):
    document = world.mesh.config.parent / "rsa.json"
    other = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    document.write_text(key_set(RSA, other))
    eventually(lambda: world.call(token(other))[0] == 200)
    assert world.call(token())[0] == 200
    document.write_text(key_set(RSA))
    eventually(lambda: world.call(token(other))[0] == 401)


def reviewed(namespace: str, name: str = "runner", **status: Any) -> dict[str, Any]:
    user = {"username": f"system:serviceaccount:{namespace}:{name}", "uid": "u-7", "groups": ["system:authenticated"]}
    return {"authenticated": True, "user": user, "audiences": ["heddle"], **status}


def test_the_api_server_is_asked_about_tokens_of_no_known_issuer(world):
    good = account("ops", "runner", iss="https://kubernetes.default.svc")
    elsewhere = account("ops", "walker", iss="https://kubernetes.default.svc")
    closed = account("kube-system", iss="https://kubernetes.default.svc")
    unknown = account("dev-team", iss="https://kubernetes.default.svc")
    world.accounts = {
        good: reviewed("ops"),
        elsewhere: reviewed("ops", "walker", audiences=["api"]),
        closed: reviewed("kube-system"),
    }
    world.reviews.clear()
    status, record = world.mesh.recorded(CALL, key=good)
    assert (status, record["tenant"], record["agent"], record["authn"]) == (200, "ops", "runner", "kubernetes")
    asked = world.reviews[0]
    assert (asked.method, asked.target) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
    assert asked.header("authorization") == f"Bearer {GATEWAY_TOKEN}"
    assert json.loads(asked.body)["spec"] == {"token": good, "audiences": ["heddle"]}
    assert world.call(good, "gpt-5-large")[0] == 403, "the policy of its namespace"
    assert len(world.reviews) == 1, "a good word is remembered"
    assert world.call(elsewhere)[0] == 401
    assert world.call(unknown)[0] == 401
    assert world.call(closed)[0] == 403
    world.accounts = {}
    assert world.call(good)[0] == 200


def test_an_api_server_that_fails_is_no_verdict(world):
    world.api_status = 500
    try:
        status, answer = world.call(account("ops", iss="https://kubernetes.default.svc", jti="x"))
    finally:
        world.api_status = 201
    assert status == 503
    assert answer["error"]["code"] == "identity_unavailable"


def test_a_key_ends_at_its_time(world):
    if time.time() < world.soon_s - 0.5:
        assert world.call("sk-soon")[0] == 200
    eventually(lambda: world.call("sk-soon")[0] == 401, SOON_S + 2)
    assert time.time() >= world.soon_s
    assert "expired" in world.call("sk-soon")[1]["error"]["message"]


def test_a_rule_in_audit_mode_writes_down_and_lets_pass(world):
    assert world.call("sk-watched")[0] == 200
    # The parent's metrics and the spool both know.
    assert world.mesh.metric("heddle_authz_decisions_total", policy="watch", mode="audit") >= 1

    def written() -> bool:
        return any(record["outcome"] == "would_deny" for record in world.mesh.audits())

    eventually(written)
    record = next(record for record in world.mesh.audits() if record["outcome"] == "would_deny")
    assert (record["audit"], record["policy"], record["user"]) == ("authz", "watch", "watched")


def test_metadata_reaches_expressions(world):
    assert world.call("sk-from-a-file", "gpt-4o-mini")[0] == 200
    assert world.call("sk-from-a-file", "gpt-5-large")[0] == 403
    assert world.call("sk-from-env", "gpt-5-large")[0] == 200


@pytest.mark.parametrize(
    ("credential", "listed"),
    [
        ("sk-from-env", {"gpt-4o-mini", "gpt-5-large"}),
        ("sk-from-a-file", {"gpt-4o-mini"}),
        ("sk-mini", {"gpt-4o-mini"}),
        ("sk-watched", {"gpt-4o-mini", "gpt-5-large"}),
    ],
)
def test_models_are_listed_for_the_caller(world, credential, listed):
    status, data = request(world.mesh, "GET", "/v1/models", credential)
    assert status == 200
    assert {model["id"] for model in json.loads(data)["data"]} == listed
    for name in ("gpt-4o-mini", "gpt-5-large"):
        assert request(world.mesh, "GET", f"/v1/models/{name}", credential)[0] == (200 if name in listed else 404)


def request(mesh: RunningMesh, method: str, path: str, credential: str | None) -> tuple[int, bytes]:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close"]
    lines += [f"authorization: Bearer {credential}"] if credential else []
    head, _, data = mesh.raw(("\r\n".join(lines) + "\r\n\r\n").encode()).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), data


@pytest.mark.parametrize("fields", [{"x_api_key": "sk-from-env"}, {"api_key": "sk-from-env"}])
def test_other_headers_carry_keys_too(world, fields):
    assert world.mesh.post(CALL, key=None, **fields)[0] == 200


def test_two_credentials_are_one_too_many(world):
    assert world.mesh.post(CALL, key="sk-from-env", x_api_key="sk-from-env2")[0] in (400, 401)


# Nobody in particular


NONE = HEAD + "security:\n  authentication: {{type: none}}\n"


def test_without_authentication_loopback_serves_everybody_and_says_so(new_mesh):
    mesh = new_mesh(NONE).start()
    assert mesh.post(CALL, key=None)[0] == 200
    assert mesh.post(CALL, key="whatever")[0] == 200
    assert "no authentication" in mesh.log


@pytest.mark.parametrize("address", ["0.0.0.0", "'::'"])
def test_without_authentication_other_addresses_are_refused(new_mesh, address):
    with pytest.raises(AssertionError, match="ended with 1") as refused:
        new_mesh(NONE.replace("127.0.0.1, port: {port}", f"{address}, port: {{port}}")).start()
    assert "(bind 127.0.0.1, or authenticate callers)" in str(refused.value)


def test_without_policies_other_addresses_are_refused(new_mesh):
    text = HEAD.replace("127.0.0.1, port: {port}", "0.0.0.0, port: {port}")
    keys = "security: {{authentication: {{type: api_key, keys: [{{key: sk-1, tenant: t}}]}}}}\n"
    with pytest.raises(AssertionError, match="ended with 1") as refused:
        new_mesh(text + keys).start()
    assert "polic" in str(refused.value)


def test_beside_keys_callers_without_one_are_anonymous_but_a_wrong_one_is_wrong(new_mesh):
    mesh = new_mesh(
        HEAD
        + """\
security:
  authentication:
    - {{type: api_key, keys: [{{key: sk-1, user: ann, tenant: t}}]}}
    - {{type: none}}
authorization:
  policies:
    - {{name: known, match: {{tenant: t}}, action: allow}}
    - {{name: anybody, resources: ["model:gpt-4o-mini"], action: allow}}
"""
    ).start()
    assert mesh.post(CALL, key=None)[0] == 200
    assert mesh.post({**CALL, "model": "gpt-5-large"}, key=None)[0] == 403
    assert mesh.post({**CALL, "model": "gpt-5-large"}, key="sk-1")[0] == 200
    assert mesh.post(CALL, key="sk-2")[0] == 401
