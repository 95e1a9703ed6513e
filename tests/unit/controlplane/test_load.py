"""From files to a snapshot."""

import os
import time
from pathlib import Path

import pytest

from heddle.controlplane.load import Loaded, load
from heddle.model.config_llm import Timeouts
from heddle.model.snapshot import (
    ApiKeyAuthn,
    JwtAuthn,
    KubernetesAuthn,
    ListenerLimits,
    MatchSpec,
    SinkSpec,
    TimeoutSpec,
    TlsSpec,
)

ROOT = Path(__file__).parents[3]
KEY_SHA = "a" * 64
MINIMAL = """
listeners: [{name: llm, port: 8080}]
llm: {providers: [{name: p, type: scripted}]}
security: {authentication: {type: none}}
"""
FULL = """
trust_domain: mesh.example
listeners:
  - name: llm
    address: 0.0.0.0
    port: 8443
    tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem}
    trusted_proxies: [10.0.0.0/8]
    hostnames: [llm.example.com]
    origins: ["https://app.example.com"]
    limits: {max_connections: 10, max_connections_per_address: 5, head_timeout: 1s, body_timeout: 2m, idle_timeout: 3s,
             write_timeout: 4s, max_body_bytes: 1000}
admin: {address: 127.0.0.1, port: 0}
llm:
  providers:
    - name: up
      type: openai
      base_url: "https://models.example.com/v1/"
      api_key: "${KEY}"
      timeouts: {connect: 1s, first_byte: 2s, idle: 0s, total: 1h30m}
      proxy: "http://proxy:3128"
      ca_file: ca.pem
      max_connections: 7
      options: {project: x}
    - {name: offline, type: scripted, options: {tokens_per_s: 40}}
  models:
    - {name: "claude-*", provider: offline}
    - {name: gpt, provider: up, model: gpt-real, max_output_tokens: 100}
security:
  authentication:
    - type: api_key
      keys:
        - {key: "${KEY}", user: u, tenant: t, agent: a, models: ["gpt-*"],
           expires: "2100-01-01T00:00:00+01:00", metadata: {a: [1]}}
    - type: jwt
      issuers:
        - {issuer: "https://idp", audiences: [mesh],
           jwks: {url: "https://idp/jwks", refresh: 1m}, algorithms: [ES256],
           claims: {user: email, tenant: org.id, agent: azp}, leeway: 5s}
    - {type: kubernetes, allowed_namespaces: [t], audiences: [mesh],
       api_server: "https://k8s/", token_file: tok, ca_file: ca.pem}
authorization:
  policies:
    - {name: all, match: {tenant: [t, "u*"], user: u, agent: a, model: gpt}, resources: ["model:*"],
       action: allow, mode: enforce}
    - {name: late, when: 'principal.user == "u"', action: deny, mode: audit, listener: llm}
rate_limiting:
  - {name: l, match: {kubernetes: {namespace: t}}, key: [user, model], limit: 5,
     window: 7d, limit_by: tokens, reserve: estimate}
observability:
  tracing: {enabled: true, exporter: otlp, endpoint: "collector:4318", headers: {authorization: "Bearer ${KEY}"},
            sample_ratio: 0.5,
            propagation: [b3]}
  logging:
    bodies: true
    output:
      - {type: file, path: access.log}
      - {type: elasticsearch, endpoint: "https://es:9200", index: i, username: u, password: "${KEY}", ca_file: ca.pem}
"""


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load_text(folder: Path, text: str, **environ: str) -> Loaded:
    return load([write(folder, text)], environ=environ)


def errors(loaded: Loaded) -> list[str]:
    return [one.line_text() for one in loaded.problems if one.severity == "error"]


@pytest.fixture
def full(tmp_path: Path) -> Loaded:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        write(tmp_path, "x", name)
    return load_text(tmp_path, FULL, KEY="s3cret")


def test_everything_can_be_set(full: Loaded, tmp_path: Path):
    assert errors(full) == []
    snapshot = full.snapshot
    assert snapshot is not None
    (listener,) = snapshot.listeners
    assert listener.tls == TlsSpec(
        cert_file=str(tmp_path / "cert.pem"),
        key_file=str(tmp_path / "key.pem"),
        client_ca_file=str(tmp_path / "ca.pem"),
    )
    assert listener.limits == ListenerLimits(
        max_connections=10,
        max_connections_per_address=5,
        head_timeout_s=1,
        body_timeout_s=120,
        idle_timeout_s=3,
        write_timeout_s=4,
        max_body_bytes=1000,
    )
    assert (listener.trusted_proxies, listener.hostnames) == (("10.0.0.0/8",), ("llm.example.com",))
    assert listener.origins == ("https://app.example.com",)
    assert (snapshot.trust_domain, snapshot.admin.port) == ("mesh.example", 0)


def test_providers_and_models(full: Loaded, tmp_path: Path):
    assert full.snapshot is not None
    up, offline = full.snapshot.providers
    assert (up.base_url, up.credential, up.credential_error) == ("https://models.example.com/v1", "s3cret", "")
    assert up.timeouts == TimeoutSpec(connect_s=1, first_byte_s=2, idle_s=0, total_s=5400)
    assert (up.proxy, up.max_connections) == ("http://proxy:3128", 7)
    assert up.ca_file == str(tmp_path / "ca.pem")
    assert up.options == {"project": "x"}
    assert offline.options == {"tokens_per_s": 40}
    # Exact names stand before patterns, whatever the order they were written in.
    assert [(one.name, one.model, one.max_output_tokens) for one in full.snapshot.models] == [
        ("gpt", "gpt-real", 100),
        ("claude-*", "", 0),
    ]


def test_authentication(full: Loaded, tmp_path: Path):
    assert full.snapshot is not None
    keys, jwt, kubernetes = full.snapshot.authentication
    assert isinstance(keys, ApiKeyAuthn)
    assert isinstance(jwt, JwtAuthn)
    assert isinstance(kubernetes, KubernetesAuthn)
    (key,) = keys.keys
    assert key.sha256 == "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"
    assert (key.user, key.tenant, key.agent, key.models) == ("u", "t", "a", ("gpt-*",))
    assert key.expires_at_s == 4102441200
    assert key.metadata == {"a": [1]}
    (issuer,) = jwt.issuers
    assert (issuer.issuer, issuer.audiences, issuer.algorithms) == ("https://idp", ("mesh",), ("ES256",))
    assert (issuer.jwks.url, issuer.jwks.refresh_s, issuer.leeway_s) == ("https://idp/jwks", 60, 5)
    assert (issuer.claims.user, issuer.claims.tenant, issuer.claims.agent) == ("email", "org.id", "azp")
    assert (kubernetes.allowed_namespaces, kubernetes.api_server) == (("t",), "https://k8s")
    assert kubernetes.token_file == str(tmp_path / "tok")


def test_policies_and_limits(full: Loaded, tmp_path: Path):
    assert full.snapshot is not None
    allow, deny = full.snapshot.authorization
    assert allow.match == MatchSpec(tenants=("t", "u*"), users=("u",), agents=("a",), models=("gpt",))
    assert (allow.level, allow.resources, allow.action) == ("global", ("model:*",), "allow")
    assert (deny.level, deny.mode, deny.when) == ("listener:llm", "audit", 'principal.user == "u"')
    line = 1 + FULL[: FULL.index("{name: late")].count("\n")
    assert deny.source == f"{tmp_path / 'config.yaml'}:{line}"
    (limit,) = full.snapshot.limits
    assert (limit.limit, limit.window_s, limit.limit_by, limit.reserve) == (5, 604_800, "tokens", "estimate")
    assert (limit.key, limit.match.tenants) == (("user", "model"), ("t",))


def test_observability(full: Loaded, tmp_path: Path):
    assert full.snapshot is not None
    tracing, logging = full.snapshot.observability.tracing, full.snapshot.observability.logging
    assert (tracing.enabled, tracing.protocol, tracing.endpoint, tracing.insecure) == (
        True,
        "http",
        "collector:4318",
        True,
    )
    assert tracing.headers == {"authorization": "Bearer s3cret"}
    assert (tracing.sample_ratio, tracing.propagation) == (0.5, ("b3",))
    assert logging.bodies
    assert logging.sinks == (
        SinkSpec(type="file", path="access.log"),
        SinkSpec(
            type="elasticsearch",
            endpoint="https://es:9200",
            index="i",
            username="u",
            password="s3cret",
            ca_file=str(tmp_path / "ca.pem"),
        ),
    )


@pytest.mark.parametrize(
    ("endpoint", "protocol", "insecure"),
    [
        ("c:4317", "grpc", True),
        ("c:4318", "http", True),
        ("https://c/v1/traces", "http", False),
        ("https://c:4317", "grpc", False),
        ("http://c:1234/", "grpc", True),
    ],
)
def test_how_spans_are_shipped(tmp_path: Path, endpoint: str, protocol: str, insecure: bool):
    loaded = load_text(tmp_path, MINIMAL + f"observability: {{tracing: {{endpoint: '{endpoint}'}}}}\n")
    assert loaded.snapshot is not None
    tracing = loaded.snapshot.observability.tracing
    assert (tracing.protocol, tracing.insecure) == (protocol, insecure)


def test_the_reference_file_loads_as_it_stands():
    path = ROOT / "examples" / "reference" / "gateway.yaml"
    loaded = load([path], environ={})
    assert errors(loaded) == []
    assert loaded.snapshot is not None
    assert "listener a2a (A2A)" in loaded.inactive
    text = "\n".join(one.line_text() for one in loaded.problems)
    assert "gateway.yaml:32: warning: authorization.policies[0].match: policy `prod-policy` can match nobody" in text
    assert "never as `production` (did you mean `prod-team`?)" in text
    assert "ai-agents, dev-team and prod-team may authenticate, but no policy allows them anything" in text


def test_a_missing_credential_loads_and_says_why(tmp_path: Path):
    text = MINIMAL.replace("type: scripted", "type: openai, api_key_secret: cred")
    loaded = load_text(tmp_path, text)
    assert loaded.snapshot is not None
    (provider,) = loaded.snapshot.providers
    assert provider.base_url == "https://api.openai.com/v1"
    assert provider.credential_error == "secret `cred` was not found"
    assert [one.severity for one in loaded.problems] == ["warning"]
    again = load_text(tmp_path, text, HEDDLE_SECRET_CRED="found")
    assert again.snapshot is not None
    assert again.snapshot.providers[0].credential == "found"


def test_a_missing_key_is_an_error(tmp_path: Path):
    text = MINIMAL.replace("{type: none}", "{type: api_key, keys: [{key: '${GONE}'}]}")
    loaded = load_text(tmp_path, text)
    assert loaded.snapshot is None
    assert "environment variable GONE is not set" in errors(loaded)[0]


def test_the_same_key_in_two_notations_is_refused(tmp_path: Path):
    text = MINIMAL.replace("{type: none}", "{type: api_key, keys: [{key: '${A}'}, {key: '${B}'}]}")
    loaded = load_text(tmp_path, text, A="same", B="same")
    assert loaded.snapshot is None
    assert "same key" in errors(loaded)[0]


def test_version_follows_the_contents(tmp_path: Path):
    def version(text: str, **environ: str) -> str:
        snapshot = load_text(tmp_path, text, **environ).snapshot
        assert snapshot is not None
        return snapshot.version

    text = MINIMAL.replace("type: scripted", "type: openai, api_key: '${K}'")
    first = version(text, K="a")
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert version(text + "\n# a comment\n", K="a") == first
    assert version(text, K="b") != first
    assert version(text.replace("8080", "8081"), K="a") != first


def test_version_follows_the_contents_of_files_that_gateways_read(tmp_path: Path):
    names = ("cert.pem", "key.pem", "callers.pem", "provider.pem", "cluster.pem")
    for name in names:
        (tmp_path / name).write_text("first")
    (tmp_path / "c.yaml").write_text("""
listeners:
  - {name: l, port: 1, tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: callers.pem}}
llm: {providers: [{name: p, type: openai, ca_file: provider.pem}]}
security: {authentication: {type: kubernetes, api_server: "https://api.example", ca_file: cluster.pem}}
""")

    def version() -> str:
        snapshot = load([tmp_path / "c.yaml"], environ={}, now_s=0).snapshot
        assert snapshot is not None
        return snapshot.version

    seen = {version()}
    for name in names:
        (tmp_path / name).write_text("second")
        seen.add(version())
    assert len(seen) == len(names) + 1
    assert version() in seen, "what did not change is the same version"


def test_folders_and_several_files_are_taken_together(tmp_path: Path):
    write(tmp_path, "listeners: [{name: llm, port: 8080}]", "b.yaml")
    write(tmp_path, "llm: {providers: [{name: p, type: scripted}]}", "a.yml")
    write(tmp_path, "broken: [", ".hidden.yaml")
    write(tmp_path, "broken: [", "notes.txt")
    other = tmp_path / "other"
    other.mkdir()
    extra = write(other, "security: {authentication: {type: none}}\nadmin: {port: 0}")
    loaded = load([tmp_path, extra], environ={})
    assert errors(loaded) == []
    assert list(loaded.files) == [tmp_path / "a.yml", tmp_path / "b.yaml", extra]
    twice = load([tmp_path, extra, write(other, "admin: {port: 1}", "second.yaml")], environ={})
    assert "admin is already declared" in errors(twice)[0]


def test_one_file_named_twice_is_read_once(tmp_path: Path):
    path = write(tmp_path, MINIMAL)
    assert load([path, path, tmp_path], environ={}).snapshot is not None


def test_files_that_are_watched_include_those_that_are_missing(tmp_path: Path):
    loaded = load_text(tmp_path, MINIMAL.replace("type: scripted", "type: openai, api_key: 'file:key'"))
    assert tmp_path / "key" in loaded.files


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"- a\n", b"text\n", b"\xff\xfe\x00", b"a: 1\n" * 900_000]
)
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes):
    (tmp_path / "c.yaml").write_bytes(content)
    loaded = load([tmp_path / "c.yaml"], environ={})
    assert loaded.snapshot is None
    assert len(errors(loaded)) == 1


def test_paths_that_lead_nowhere(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gone.yaml", tmp_path / "pipe.yaml", tmp_path / "empty", Path("\0")):
        assert errors(load([path], environ={})), path


def test_resources_and_short_form_mix(tmp_path: Path):
    resources = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, creationTimestamp: null}
spec:
  gatewayClassName: heddle
  addresses: [{value: 127.0.0.1}]
  listeners: [{name: llm, port: 8080, protocol: HTTP, hostname: llm.local}, {name: two, port: 8081, protocol: HTTPS}]
  infrastructure: {parametersRef: {name: params}}
---
apiVersion: heddle.dev/v1alpha1
kind: GatewayParameters
metadata: {name: params}
spec: {listeners: [{name: two, tls: {certFile: cert.pem, keyFile: cert.pem}, limits: {maxBodyBytes: 5}}]}
---
apiVersion: heddle.dev/v1alpha1
kind: Policy
metadata: {name: may}
spec:
  targetRefs: [{name: edge}]
  authorization: {action: allow}
---
apiVersion: heddle.dev/v1alpha1
kind: Backend
metadata: {name: p}
spec: {provider: {type: openai, apiKeySecret: cred}}
---
apiVersion: v1
kind: Secret
metadata: {name: cred}
stringData: {api-key: s3cret}
---
apiVersion: other.example/v1
kind: Deployment
metadata: {name: x}
"""
    write(tmp_path, "x", "cert.pem")
    short = write(tmp_path, "security: {authentication: {type: none}}\n", "short.yaml")
    path = write(tmp_path, resources, "resources.yaml")
    assert "unknown resource Deployment of other.example/v1" in errors(load([path, short], environ={}))[0]
    write(tmp_path, resources.rpartition("---")[0], "resources.yaml")
    loaded = load([path, short], environ={})
    assert errors(loaded) == []
    snapshot = loaded.snapshot
    assert snapshot is not None
    assert snapshot.listeners[0].hostnames == ("llm.local",)
    assert snapshot.listeners[1].tls is not None
    assert snapshot.listeners[1].limits.max_body_bytes == 5
    assert [(one.name, one.level) for one in snapshot.authorization] == [
        ("may", "listener:llm"),
        ("may", "listener:two"),
    ]
    assert (snapshot.providers[0].name, snapshot.providers[0].credential) == ("p", "s3cret")
    assert "holds a secret" not in str(loaded.problems)


def test_a_resource_declared_twice(tmp_path: Path):
    one = "apiVersion: heddle.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {name: NAME, provider: p}\n"
    text = f"{one.replace('NAME', 'a')}---\n{one.replace('NAME', 'b')}"
    loaded = load([write(tmp_path, text), write(tmp_path, MINIMAL, "short.yaml")], environ={})
    assert [line.partition(": error: ")[2] for line in errors(loaded)] == [
        f"metadata.name: there is already a Model `m`, at {tmp_path / 'config.yaml'}:3"
    ]


def test_defaults_of_both_planes_agree(tmp_path: Path):
    """What the short form documents as a default is what the snapshot's structs say too."""
    loaded = load_text(tmp_path, MINIMAL)
    assert loaded.snapshot is not None
    assert loaded.snapshot.listeners[0].limits == ListenerLimits()
    assert loaded.snapshot.providers[0].timeouts == TimeoutSpec()
    assert Timeouts().total == "10m"


def test_ten_thousand_of_everything(tmp_path: Path):
    n = 10_000
    lines = ["listeners: [{name: llm, port: 8080}]", "llm:", "  providers: [{name: p, type: scripted}]", "  models:"]
    lines += [f"    - {{name: model-{i}, provider: p}}" for i in range(n)]
    lines += ["security: {authentication: {type: api_key, keys: ["]
    lines += [f"  {{key_sha256: a{i:063x}, user: u{i}, tenant: t{i % 100}, agent: a}}," for i in range(n)]
    lines += ["]}}", "authorization:", "  policies:"]
    lines += [f"    - {{name: p{i}, match: {{tenant: t{i % 100}, user: 'u{i}*'}}, action: allow}}" for i in range(n)]
    path = write(tmp_path, "\n".join(lines))
    started = time.process_time()
    loaded = load([path], environ={})
    assert loaded.snapshot is not None
    assert len(loaded.snapshot.authorization) == n
    assert time.process_time() - started < 8
