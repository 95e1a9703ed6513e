"""Tool servers and virtual servers, from files to a snapshot."""

from pathlib import Path

import msgspec
import pytest

from heddle.controlplane.describe import describe
from heddle.controlplane.load import Loaded, load
from heddle.model.snapshot import MatchSpec
from heddle.model.snapshot_mcp import (
    ArgumentSpec,
    HttpSpec,
    JudgeSpec,
    McpHealthSpec,
    McpSpec,
    McpTargetSpec,
    McpTimeoutSpec,
    OpenApiSpec,
    ResourceServerSpec,
    SearchSpec,
    SseSpec,
    StdioSpec,
    VersionSpec,
)
from heddle.model.snapshot_mcp_auth import BearerAuth, NoTargetAuth

ROOT = Path(__file__).parents[3]
KEY = "planted-session-key-of-forty-characters!"
SHOP = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "http://127.0.0.1:9303/v1"}]
paths:
  /orders: {get: {operationId: getOrders, responses: {"200": {description: fine}}}}
  /admin: {get: {operationId: admin, responses: {"200": {description: fine}}}}
"""
HEAD = """
listeners: [{name: tools, port: 8081, protocol: MCP}]
security: {authentication: {type: none}}
"""
FULL = (
    HEAD
    + """
mcp:
  sessions: {ttl: 12h, keys: ["${KEY}"], replay_events: 10, replay: 1m}
  targets:
    - name: time
      stdio: {command: [uvx], args: [mcp-server-time],
              env: {TZ: UTC, API_KEY: "${TOKEN}", FROM: "secret:creds/token", OF: "configmap:team/name"},
              pass_env: [PATH], cwd: sub, isolation: shared, max_children: 3, idle: 1m, start_timeout: 9s,
              stop_grace: 1s, memory: 512MiB, cpu: 30s, open_files: 64}
      version: 2025-06-18
      timeouts: {connect: 1s, call: 2s, total: 3s, list: 4s}
      health: {interval: 5s, timeout: 6s, unhealthy_after: 7, healthy_after: 8}
      safety: {pin: manual, poisoning: block, on_change: {wording: allow}, ignore: [hidden-unicode]}
      max_concurrent: 9
      refresh: 10s
      per_caller: true
      authorization: [{action: allow, match: {tenant: red}}]
    - {name: files, http: {url: "http://127.0.0.1:9301/mcp", proxy: "http://p:1", max_connections: 5, ca_file: ca.pem,
                           headers: {x-team: blue, authorization: "Bearer ${TOKEN}", x-file: "file:token"}}}
    - {name: legacy, sse: {url: "http://127.0.0.1:9302/sse"}}
    - {name: shop, openapi: {schema: {file: shop.yaml}, operations: ["get*"], exclude: [x], deprecated: true}}
  servers:
    - name: default
      targets:
        - time
        - name: files
          prefix: fs
          tools:
            - {name: read_file, as: read, title: T, description: D, annotations: {readOnlyHint: true}, timeout: 5s,
               max_concurrent: 2, cost_usd: 0.01, scopes: [read],
               arguments: {path: {default: /data}, mode: {fixed: 5},
                           raw: {hidden: true, default: [1, {a: false}], description: X}}}
            - "list_*"
          hide: [x*]
          prompts: []
          resources: ["file:///data/*"]
          fallbacks: [legacy]
      authorization:
        - {tools: fs__read, match: {user: "*"}, action: allow}
        - {name: named, match: {server: "def*"}, resources: ["resource:file:///*"], action: deny, mode: audit}
      versions: [{name: pay, versions: [{version: "1", target: time, tool: old, weight: 9},
                                        {version: "2", target: files, tool: pay}]}]
      search: {limit: 3}
      title: Everything
      instructions: Be kind.
      listeners: [tools]
      oauth: {authorization_servers: ["https://idp.example"], scopes: [mcp], implied: {admin: [read]}}
      sse: false
    - {name: shop, targets: [shop], search: true, prefix: always, on_target_failure: fail, path: /shop}
"""
)
RESOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: creds}
stringData: {token: planted-secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: team}
data: {name: blue}
"""


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load_text(folder: Path, text: str, **environ: str) -> Loaded:
    return load([write(folder, text)], environ=environ)


def errors(loaded: Loaded) -> list[str]:
    return [one.line_text() for one in loaded.problems if one.severity == "error"]


def warnings(loaded: Loaded) -> str:
    return "\n".join(one.line_text() for one in loaded.problems if one.severity == "warning")


def mcp(loaded: Loaded) -> McpSpec:
    assert loaded.snapshot is not None, errors(loaded)
    return loaded.snapshot.mcp


@pytest.fixture
def full(tmp_path: Path) -> Loaded:
    write(tmp_path, SHOP, "shop.yaml")
    write(tmp_path, "planted-file\n", "token")
    write(tmp_path, "x", "ca.pem")
    paths = [write(tmp_path, FULL), write(tmp_path, RESOURCES, "more.yaml")]
    return load(paths, environ={"KEY": KEY, "TOKEN": "planted-token"})


def target(loaded: Loaded, name: str) -> McpTargetSpec:
    return next(one for one in mcp(loaded).targets if one.name == name)


def test_a_program(full: Loaded, tmp_path: Path):
    time = target(full, "time")
    assert time.connect == StdioSpec(
        command=("uvx", "mcp-server-time"),
        env={"TZ": "UTC", "API_KEY": "planted-token", "FROM": "planted-secret", "OF": "blue"},
        pass_env=("PATH",),
        cwd=str(tmp_path / "sub"),
        isolation="shared",
        max_children=3,
        idle_s=60,
        start_timeout_s=9,
        stop_grace_s=1,
        memory_bytes=512 * 1024 * 1024,
        cpu_s=30,
        open_files=64,
    )
    assert time.timeouts == McpTimeoutSpec(connect_s=1, call_s=2, total_s=3, list_s=4)
    assert time.health == McpHealthSpec(interval_s=5, timeout_s=6, unhealthy_after=7, healthy_after=8)
    assert (time.safety.pin, time.safety.poisoning, time.safety.ignore) == ("manual", "block", ("hidden-unicode",))
    assert (time.safety.on_change["wording"], time.safety.on_change["schema_widened"]) == ("allow", "quarantine")
    assert (time.version, time.max_concurrent, time.refresh_s, time.per_caller) == ("2025-06-18", 9, 10, True)
    assert time.source.endswith("config.yaml:8")


def test_what_is_reached_over_http(full: Loaded, tmp_path: Path):
    headers = {"x-team": "blue", "authorization": "Bearer planted-token", "x-file": "planted-file"}
    assert target(full, "files").connect == HttpSpec(
        url="http://127.0.0.1:9301/mcp",
        headers=headers,
        ca_file=str(tmp_path / "ca.pem"),
        proxy="http://p:1",
        max_connections=5,
    )
    assert target(full, "legacy").connect == SseSpec(url="http://127.0.0.1:9302/sse")
    shop = target(full, "shop").connect
    assert isinstance(shop, OpenApiSpec)
    assert msgspec.json.decode(shop.document)["info"] == {"title": "Shop", "version": "1"}
    assert (shop.base_url, shop.operations, shop.exclude, shop.deprecated) == (
        "http://127.0.0.1:9303/v1",
        ("get*",),
        ("x",),
        True,
    )
    # Another bundle of certificates is another configuration.
    assert full.snapshot is not None
    assert str(tmp_path / "ca.pem") in full.snapshot.files
    assert tmp_path / "token" in full.files


def test_a_virtual_server(full: Loaded):
    default, shop = mcp(full).servers
    assert (default.path, shop.path) == ("/mcp", "/shop")
    time, files = default.targets
    assert (time.target, time.prefix, time.tools, time.prompts) == ("time", None, None, None)
    assert (files.prefix, files.hide, files.prompts) == ("fs", ("x*",), ())
    assert (files.resources, files.fallbacks) == (("file:///data/*",), ("legacy",))
    assert files.tools is not None
    read, lists = files.tools
    assert (read.name, read.alias, read.title, read.description) == ("read_file", "read", "T", "D")
    assert (read.annotations, read.scopes, read.cost_usd) == ({"readOnlyHint": True}, ("read",), 0.01)
    assert (read.timeout_s, read.max_concurrent) == (5, 2)
    assert read.arguments == {
        "path": ArgumentSpec(default='"/data"'),
        "mode": ArgumentSpec(fixed="5"),
        "raw": ArgumentSpec(default='[1,{"a":false}]', hidden=True, description="X"),
    }
    assert lists.name == "list_*"
    assert default.versions[0].versions == (
        VersionSpec(version="1", target="time", tool="old", weight=9),
        VersionSpec(version="2", target="files", tool="pay", weight=1),
    )
    assert (default.search, shop.search) == (SearchSpec(limit=3), SearchSpec())
    assert (default.title, default.instructions, default.listeners, default.sse) == (
        "Everything",
        "Be kind.",
        ("tools",),
        False,
    )
    assert default.oauth == ResourceServerSpec(
        authorization_servers=("https://idp.example",), scopes=("mcp",), implied={"admin": ("read",)}
    )
    assert (shop.prefix, shop.on_target_failure, shop.sse, shop.instructions) == ("always", "fail", True, None)


def test_rules_stand_at_the_level_they_were_written_at(full: Loaded):
    assert full.snapshot is not None
    first, named, time = full.snapshot.authorization
    assert (first.name, first.level, first.resources) == ("default-1", "server:default", ("tool:fs__read",))
    assert first.match == MatchSpec(users=("*",))
    assert (named.name, named.mode, named.resources) == ("named", "audit", ("resource:file:///*",))
    assert named.match == MatchSpec(servers=("def*",))
    assert (time.name, time.level, time.action) == ("time-1", "target:time", "allow")
    assert first.source.endswith("config.yaml:42")


def test_sessions(full: Loaded):
    sessions = mcp(full).sessions
    assert (sessions.ttl_s, sessions.keys, sessions.replay_events, sessions.replay_s) == (43_200, (KEY,), 10, 60)


def test_no_rendering_shows_a_secret(full: Loaded):
    assert full.snapshot is not None
    assert msgspec.json.encode(full.snapshot).decode().count("planted") == 5
    shown = describe(full.snapshot)
    for text in (
        msgspec.json.encode(shown).decode(),
        repr(full.snapshot),
        repr(full.resources),
        "\n".join(one.line_text() for one in full.problems),
    ):
        assert "planted" not in text
    assert shown["mcp"]["targets"][1]["connect"]["headers"]["x-team"] == "***"
    assert shown["mcp"]["targets"][3]["connect"]["document"].endswith("characters")
    assert shown["mcp"]["targets"][0]["connect"]["command"] == ["uvx", "mcp-server-time"]


def test_without_servers_one_offers_every_target(tmp_path: Path):
    text = HEAD + "mcp: {targets: [{name: a, stdio: {command: x}}, {name: b, http: {url: 'http://127.0.0.1:1/mcp'}}]}\n"
    (server,) = mcp(load_text(tmp_path, text)).servers
    assert (server.name, server.path) == ("default", "/mcp")
    assert [part.target for part in server.targets] == ["a", "b"]


def test_a_listener_alone_serves_an_empty_server(tmp_path: Path):
    loaded = load_text(tmp_path, HEAD)
    (server,) = mcp(loaded).servers
    assert (server.name, server.targets) == ("default", ())
    assert "offers nothing" in warnings(loaded)


def test_without_mcp_there_is_none(tmp_path: Path):
    text = "listeners: [{name: llm, port: 8080}]\nsecurity: {authentication: {type: none}}\n"
    assert mcp(load_text(tmp_path, text)) == McpSpec()


def test_a_header_that_cannot_be_had_closes_one_target(tmp_path: Path):
    text = (
        HEAD
        + """
mcp:
  targets:
    - {name: a, http: {url: "http://127.0.0.1:1/mcp", headers: {authorization: "Bearer ${MISSING}"}}}
    - {name: b, http: {url: "http://127.0.0.1:2/mcp"}}
"""
    )
    loaded = load_text(tmp_path, text)
    assert target(loaded, "a").credential_error == "environment variable MISSING is not set"
    assert target(loaded, "b").credential_error == ""
    assert "calls to `a` will be refused" in warnings(loaded)
    assert target(load_text(tmp_path, text, MISSING="x"), "a").credential_error == ""


def test_a_target_has_a_credential_of_its_own(tmp_path: Path):
    text = (
        HEAD
        + """
mcp:
  credentials: {client_name: Us, keep: 1d}
  targets:
    - {name: a, http: {url: "https://a.example/mcp"}, auth: {type: bearer, token: "${TOKEN}"}}
    - {name: b, http: {url: "https://b.example/mcp"}}
"""
    )
    loaded = load_text(tmp_path, text, TOKEN="planted")
    assert target(loaded, "a").auth == BearerAuth(credential="planted")
    assert target(loaded, "b").auth == NoTargetAuth()
    assert (mcp(loaded).credentials.client_name, mcp(loaded).credentials.keep_s) == ("Us", 86_400)
    assert "planted" not in repr(loaded)
    missing = target(load_text(tmp_path, text), "a").auth
    assert isinstance(missing, BearerAuth)
    assert "TOKEN is not set" in missing.credential_error


def test_what_authorization_servers_are_trusted_by_is_part_of_the_version(tmp_path: Path):
    write(tmp_path, "one", "ca.pem")
    text = (
        HEAD
        + """
mcp:
  targets:
    - name: a
      http: {url: "https://a.example/mcp"}
      auth: {type: client_credentials, reach: {ca_file: ca.pem},
             client: {issuer: "https://idp.example", client_id: us, client_secret: "${TOKEN}"}}
"""
    )
    first = load_text(tmp_path, text, TOKEN="t").snapshot
    write(tmp_path, "another", "ca.pem")
    second = load_text(tmp_path, text, TOKEN="t").snapshot
    assert first is not None
    assert second is not None
    assert first.version != second.version


@pytest.mark.parametrize("name", ["../../etc", "..", "a/../b", "a/.hidden", "", "a\0b", "a/b/c"])
def test_names_of_secrets_lead_nowhere_else(tmp_path: Path, name: str):
    (tmp_path / "etc").write_text("planted")
    value = msgspec.json.encode(f"secret:{name}/api-key").decode().replace("\\u0000", "\\0")
    loaded = load_text(
        tmp_path, HEAD + f"mcp: {{targets: [{{name: a, stdio: {{command: x, env: {{A: {value}}}}}}}]}}\n"
    )
    (one,) = mcp(loaded).targets
    assert isinstance(one.connect, StdioSpec)
    assert one.connect.env in ({}, {"A": "secret:/api-key"})
    assert one.credential_error or not name


def test_a_value_cannot_bring_a_field_of_its_own(tmp_path: Path):
    text = (
        HEAD
        + "mcp: {targets: [{name: a, http: {url: 'http://127.0.0.1:1/mcp', headers: {x-a: \"a\\r\\nhost: b\"}}}]}\n"
    )
    loaded = load_text(tmp_path, text)
    assert target(loaded, "a").credential_error == "the secret is unusable"


KAGENT = """
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: orders, namespace: kagent}
spec:
  url: "http://127.0.0.1:8080/mcp"
  headersFrom: [{name: authorization, valueFrom: {type: Secret, name: creds, key: token}}, {name: x-team, value: blue}]
  sseReadTimeout: 5m
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: old}
spec: {url: "http://127.0.0.1:8081/sse", protocol: SSE, timeout: 7s}
---
apiVersion: kagent.dev/v1alpha1
kind: MCPServer
metadata: {name: fetch}
spec:
  deployment: {cmd: uvx, args: [mcp-server-fetch], env: {token: own}, secretRefs: [{name: creds}],
               configMapRefs: [{name: team}]}
  timeout: 9s
---
"""


def test_servers_of_kagent_are_targets(tmp_path: Path):
    loaded = load([write(tmp_path, HEAD), write(tmp_path, KAGENT + RESOURCES, "kagent.yaml")], environ={})
    orders, old, fetch = mcp(loaded).targets
    assert orders.connect == HttpSpec(
        url="http://127.0.0.1:8080/mcp", headers={"authorization": "planted-secret", "x-team": "blue"}
    )
    assert (orders.timeouts.call_s, orders.timeouts.list_s) == (300, 30)
    assert old.connect == SseSpec(url="http://127.0.0.1:8081/sse")
    assert old.timeouts.call_s == 7
    assert fetch.connect == StdioSpec(command=("uvx", "mcp-server-fetch"), env={"name": "blue", "token": "own"})
    assert fetch.timeouts.call_s == 9
    assert [part.target for part in mcp(loaded).servers[0].targets] == ["orders", "old", "fetch"]


def test_the_same_in_resources(full: Loaded, tmp_path: Path):
    """What the short form expands to, written down and read back, is the same snapshot."""
    folder = tmp_path / "resources"
    folder.mkdir()
    for name in ("shop.yaml", "token", "ca.pem"):
        (tmp_path / name).rename(folder / name)
    for index, resource in enumerate(full.resources):
        encoded = msgspec.json.encode(resource).decode()
        write(folder, encoded, f"{index:02}.yml")
    (folder / "shop.yaml").rename(folder / "shop.json")
    for path in folder.glob("*.yml"):
        path.write_text(path.read_text().replace("shop.yaml", "shop.json"))
    again = load([folder], environ={"KEY": KEY, "TOKEN": "planted-token"})

    def without_places(spec: McpSpec) -> str:
        text = msgspec.json.encode(spec, order="deterministic").decode().replace(str(folder), str(tmp_path))
        value = msgspec.json.decode(text)
        for one in (*value["targets"], *value["servers"]):
            del one["source"]
        return msgspec.json.encode(value, order="deterministic").decode()

    assert without_places(mcp(again)) == without_places(mcp(full))
    assert again.snapshot is not None
    assert full.snapshot is not None
    assert {one.name for one in again.snapshot.authorization} == {one.name for one in full.snapshot.authorization}


JUDGE = HEAD + "mcp: {judge: {url: %s, model: m%s}}\n"


def test_a_judge(tmp_path: Path):
    url = '"http://127.0.0.1:8080/v1/chat/completions"'
    more = (
        ", api_key: '${KEY}', parameters: {temperature: 0}, overrules: none, on_error: rules, timeout: 5s, "
        "max_concurrent: 2, max_per_hour: 9"
    )
    judge = mcp(load_text(tmp_path, JUDGE % (url, more), KEY=KEY)).judge
    assert judge == JudgeSpec(
        url="http://127.0.0.1:8080/v1/chat/completions",
        model="m",
        credential=KEY,
        parameters={"temperature": 0},
        overrules="none",
        on_error="rules",
        timeout_s=5.0,
        max_concurrent=2,
        max_per_hour=9,
    )
    assert KEY not in repr(judge)
    assert mcp(load_text(tmp_path, HEAD)).judge is None


def test_a_judge_whose_key_cannot_be_had_is_not_asked(tmp_path: Path):
    loaded = load_text(tmp_path, JUDGE % ('"https://judge.example/v1"', ", api_key: '${NOWHERE}'"))
    judge = mcp(loaded).judge
    assert judge is not None
    assert judge.credential == ""
    assert "NOWHERE" in judge.credential_error
    assert "the judge will not be asked" in warnings(loaded)


@pytest.mark.parametrize(
    ("url", "more", "place"),
    [
        ('"ftp://judge.example"', "", "mcp.judge.url"),
        ('"https://judge.example/ü"', "", "mcp.judge.url"),
        ('"https://judge.example/v1"', ", parameters: {model: other}", "mcp.judge.parameters.model"),
        ('"https://judge.example/v1"', ", overrules: some", "mcp.judge.overrules"),
        ('"https://judge.example/v1"', ", max_per_hour: 0", "mcp.judge.max_per_hour"),
    ],
)
def test_what_a_judge_cannot_be(tmp_path: Path, url: str, more: str, place: str):
    assert place in "\n".join(errors(load_text(tmp_path, JUDGE % (url, more))))


def test_a_judges_key_in_the_clear_is_warned_of(tmp_path: Path):
    loaded = load_text(tmp_path, JUDGE % ('"http://judge.example/v1"', ", api_key: '${KEY}'"), KEY=KEY)
    assert "the judge's credential crosses the network without TLS" in warnings(loaded)
