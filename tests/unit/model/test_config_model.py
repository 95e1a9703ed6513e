"""Expansion and its way back, reachability, formats, paths, documentation."""

import importlib
import pkgutil

import msgspec
import pytest

import heddle.model
from heddle.model.check import check
from heddle.model.config import Config
from heddle.model.config_policies import KubernetesMatch, Match
from heddle.model.config_security import ApiKey, Claims, Issuer, Jwks, Jwt, Key, Kubernetes, Nobody
from heddle.model.expand import expand
from heddle.model.explain import UnknownFieldError, find
from heddle.model.fielddocs import class_doc, field_docs, fields_of
from heddle.model.formats import FORMS, complaint, duration_s, timestamp_s
from heddle.model.meta import resource_name
from heddle.model.plan import gather
from heddle.model.problem import Place, Report, Source, camel, child, parent, quote, snake
from heddle.model.reach import Callers
from heddle.model.reading import Reading
from heddle.model.resources import KINDS
from heddle.model.schema import json_schema, kinds

VALUE = {
    "trust_domain": "mesh.example",
    "listeners": [
        {"name": "a", "address": "127.0.0.1", "port": 1, "limits": {"max_connections": 5}},
        {"name": "b", "address": "::1", "port": 2, "protocol": "MCP", "hostnames": ["x"]},
        {"name": "c", "address": "127.0.0.1", "port": 3, "tls": {"cert_file": "c", "key_file": "k"}},
    ],
    "admin": {"port": 4},
    "llm": {
        "providers": [{"name": "P_1", "type": "scripted", "timeouts": {"idle": "1s"}}],
        "models": [{"name": "claude-*", "provider": "P_1"}, {"name": "Org/Model", "provider": "P_1"}],
    },
    "security": {"authentication": [{"type": "none"}, {"type": "api_key", "keys": [{"key": "k"}]}]},
    "authorization": {
        "policies": [{"name": "same", "action": "allow", "listener": "b"}, {"name": "x", "action": "deny"}]
    },
    "rate_limiting": [{"name": "same", "limit": 1, "window": "1m", "key": "user"}],
    "observability": {"tracing": {"endpoint": "c:4317"}},
    "mcp": {
        "targets": [
            {"name": "P_1", "stdio": {"command": ["x"], "env": {"A_b": "${C}"}}, "authorization": [{"action": "deny"}]},
            {"name": "web", "http": {"url": "https://x/mcp", "headers": {"x-a": "b"}}, "timeouts": {"call": "1s"}},
        ],
        "servers": [
            {
                "name": "default",
                "targets": ["P_1", {"name": "web", "tools": ["a", {"name": "b", "as": "c"}], "prompts": []}],
                "search": {"limit": 3},
                "versions": [{"name": "pay", "versions": [{"version": "1", "target": "web", "tool": "p"}]}],
            },
            {"name": "other", "search": True},
        ],
        "sessions": {"ttl": "1h"},
    },
}


def read(value: object) -> tuple[Config, Report, Source]:
    report, source = Report(), Source("c.yaml")
    config = check(value, Config, Reading(report, source))
    assert config is not None
    return config, report, source


def test_what_expands_comes_back_the_same():
    config, report, source = read(VALUE)
    plan = gather(expand(config, source), report)
    assert report.problems == []
    assert sorted(one.value.name for one in plan.listeners) == ["a", "b", "c"]
    by_name = {one.value.name: one for one in plan.listeners}
    assert [by_name[one.name].value for one in config.listeners] == list(config.listeners)
    assert [msgspec.structs.asdict(one.value) for one in plan.providers] == [
        msgspec.structs.asdict(one) for one in config.llm.providers
    ]
    assert [msgspec.structs.asdict(one.value) for one in plan.models] == [
        msgspec.structs.asdict(one) for one in config.llm.models
    ]
    assert tuple(one.value for one in plan.authentication) == config.security.authentication
    assert [msgspec.structs.asdict(one.value) for one in plan.authorization] == [
        msgspec.structs.asdict(one) for one in config.authorization.policies
    ]
    assert [one.value.name for one in plan.limits] == ["same"]
    assert [one.value for one in plan.observability] == [config.observability]
    assert (plan.admins[0].value.port, plan.trust_domains[0].value) == (4, "mesh.example")
    assert config.mcp is not None
    assert [msgspec.structs.asdict(one.value) for one in plan.targets] == [
        msgspec.structs.asdict(one) for one in config.mcp.targets
    ]
    assert [msgspec.structs.asdict(one.value) for one in plan.servers] == [
        msgspec.structs.asdict(one) for one in config.mcp.servers
    ]
    assert [one.value for one in plan.sessions] == [config.mcp.sessions]


def test_every_value_keeps_its_place():
    config, report, source = read(VALUE)
    plan = gather(expand(config, source), report)
    places = {one.value.name: one.place.path for one in plan.listeners}
    assert places == {"a": "listeners[0]", "b": "listeners[1]", "c": "listeners[2]"}
    assert plan.models[1].place.at("max_output_tokens").path == "llm.models[1].max_output_tokens"
    assert plan.authentication[1].place.at("keys", 0).path == "security.authentication[1].keys[0]"
    assert plan.authorization[1].place.path == "authorization.policies[1]"
    assert plan.limits[0].place.path == "rate_limiting[0]"
    assert plan.targets[1].place.at("http", "url").path == "mcp.targets[1].http.url"
    assert plan.servers[0].place.at("targets", 1, "tools", 1, "as").path == "mcp.servers[0].targets[1].tools[1].as"
    assert plan.sessions[0].place.path == "mcp.sessions"


def test_resources_have_names_that_a_cluster_takes():
    declared = expand(read(VALUE)[0])
    names = [(one.resource.kind, one.resource.metadata.name) for one in declared]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and "*" not in name and "/" not in name for _, name in names)
    assert [name for kind, name in names if kind == "Gateway"] == ["gateway", "gateway-2"]
    assert resource_name("gpt-4o") == "gpt-4o"
    assert resource_name("A") != resource_name("a")
    assert resource_name("*").startswith("x-")


def test_resources_are_written_and_read_back():
    """As JSON in Kubernetes' spelling: what the resource API will serve."""
    for one in expand(read(VALUE)[0]):
        encoded = msgspec.json.encode(one.resource)
        value = msgspec.json.decode(encoded)
        assert set(value) == {"apiVersion", "kind", "metadata", "spec"}
        report = Report()
        kind = KINDS[value["apiVersion"], value["kind"]]
        assert check(value, kind, Reading(report, Source(camel=True))) == one.resource
        assert report.problems == []
        assert msgspec.json.decode(encoded, type=type(one.resource)) == one.resource


def key(**fields: str) -> Key:
    return Key(key="k", **fields)


KEYS = ApiKey(keys=(key(tenant="red", user="ann"), key(tenant="blue", user="bob", agent="x")))


@pytest.mark.parametrize(
    ("entries", "match", "possible"),
    [
        ([KEYS], Match(), True),
        ([KEYS], Match(tenant="red"), True),
        ([KEYS], Match(tenant="red", user="bob"), False),
        ([KEYS], Match(tenant=("green", "blue"), user="bob", agent="x"), True),
        ([KEYS], Match(tenant="r*"), True),
        ([KEYS], Match(tenant="g*"), False),
        ([KEYS], Match(agent="*"), True),
        ([ApiKey(keys=(key(user="ann"),))], Match(agent="*"), False),
        ([ApiKey(virtual=False)], Match(), False),
        ([ApiKey()], Match(agent="anything"), True),
        ([ApiKey(keys=(key(user="ann"),), virtual=True)], Match(agent="anything"), True),
        ([KEYS, Kubernetes(allowed_namespaces=("green",))], Match(tenant="green", agent="anything"), True),
        ([Kubernetes(allowed_namespaces=("green",))], Match(kubernetes=KubernetesMatch(namespace="red")), False),
        ([Kubernetes(allowed_namespaces=("team-*",))], Match(tenant="red"), True),
        ([Kubernetes()], Match(tenant="red"), True),
        ([Nobody()], Match(user="ann"), False),
        ([Nobody()], Match(), True),
        ([Jwt(issuers=(Issuer(issuer="i", audiences=("a",), jwks=Jwks()),))], Match(user="ann"), True),
        ([Jwt(issuers=(Issuer(issuer="i", audiences=("a",), jwks=Jwks()),))], Match(tenant="red"), False),
        (
            [Jwt(issuers=(Issuer(issuer="i", audiences=("a",), jwks=Jwks(), claims=Claims(tenant="t")),))],
            Match(tenant="r"),
            True,
        ),
    ],
)
def test_who_can_match(entries: list[object], match: Match, possible: bool):
    callers = Callers(entries)  # type: ignore[arg-type]
    assert callers.can_match(match) is possible
    if not possible:
        assert "nobody" in callers.explain(match)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("1m30s", 90), ("24h", 86_400), ("7d", 604_800), ("500ms", 0.5), ("0", 0), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: float):
    assert complaint("duration", text) == ""
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "1 s", "-1s", "s", "1y", "1s ", "1S", "1h30", "9" * 20 + "s", "1s\n", "٣s"])
def test_no_durations(text: str):
    assert complaint("duration", text)


def test_times():
    assert timestamp_s("2027-01-31") == timestamp_s("2027-01-31T00:00:00Z") == 1_801_353_600
    assert timestamp_s("2027-01-31 01:00:00+01:00") == 1_801_353_600
    assert complaint("timestamp", "31.1.2027")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "text", ["", "\0", "\n", "a\nb", " ", "x" * 100_000, "é", "[", "http://[", "http://[::1", "//", "٣"]
)
def test_forms_never_raise(form: str, text: str):
    assert isinstance(complaint(form, text), str)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("network", ["10.0.0.0/8", "::/0", "192.0.2.1"], ["10.0.0.1/8", "10/8", "x"]),
        ("origin", ["https://a.b", "http://localhost:3000"], ["https://a.b/", "a.b", "https://a.b/x", "null", "*"]),
        ("hostname", ["a.b", "localhost", "127.0.0.1"], ["a:1", "http://a", "*.a", "a/b"]),
        ("endpoint", ["c:4317", "[::1]:4317", "https://c/v1"], ["c", "c:", "c:99999", "c:1/x", "u@c:1"]),
        ("pattern", ["gpt-4o", "*", "claude-*", "org/m:1"], ["", "a b", "a?", "[a]"]),
        ("trust_domain", ["a.b", "mesh_1"], ["A", "a/b", ""]),
        ("size", ["1B", "512MiB", "2GiB"], ["", "0B", "1", "1MB", "1.5GiB", "9999999B", "1 B", "٣B"]),
        ("tool_name", ["a", "fs__read", "A-1", "x" * 64], ["", "a.b", "a:b", "x" * 65, "a b", "é"]),
        ("prefix", ["", "fs", "a_b-c", "x" * 32], ["_a", "a_", "a.b", "x" * 33]),
        (
            "server_path",
            ["/mcp", "/mcp/a.b", "/a/b/c"],
            ["", "/", "mcp", "/mcp/", "//a", "/a/../b", "/.well-known", "/a?b"],
        ),
        ("sha256", ["aB" * 32], ["a" * 63, "g" * 64]),
    ],
)
def test_forms(form: str, good: list[str], bad: list[str]):
    assert [text for text in good if complaint(form, text)] == []
    assert [text for text in bad if not complaint(form, text)] == []


def test_paths():
    assert child("", "a") == "a"
    assert child("a[0]", "b-c") == "a[0].b-c"
    assert child("a", "x.y") == 'a["x.y"]'
    for path in ("a.b", "a[0]", 'a["x.y"]', 'a["x[0"]'):
        assert parent(path) == "a"
    assert parent("a") == ""
    assert (camel("limit_by"), snake("limitBy"), camel("limit")) == ("limitBy", "limit_by", "limit")
    assert Source(lines={"": 1, "a": 2}).line("a.b[3].c") == 2
    assert Place(Source(camel=True), "spec").at("rate_limit", 0, "limit_by").path == "spec.rateLimit[0].limitBy"


def test_quoted_values_cannot_write_to_the_terminal():
    assert "\x1b" not in quote("\x1b[31mred")
    assert len(quote("x" * 1000)) == 60


def structs() -> list[type[msgspec.Struct]]:
    found = []
    for module in pkgutil.iter_modules(heddle.model.__path__):
        if module.name.startswith(("config", "resources", "meta")):
            loaded = importlib.import_module(f"heddle.model.{module.name}")
            found += [one for one in vars(loaded).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return found


def test_every_field_is_documented():
    assert len(structs()) > 30
    for cls in structs():
        docs = field_docs(cls)
        assert [name for name in cls.__struct_fields__ if len(docs.get(name, "")) < 5] == [], cls
        assert class_doc(cls), cls


def test_every_field_can_be_explained():
    def walk(path: str, depth: int) -> int:
        found, count = find(path), 1
        for section in found.sections:
            for view in fields_of(section):
                if depth:
                    count += walk(f"{path}.{view.name}" if path else view.name, depth - 1)
        return count

    assert walk("", 6) > 100
    assert find("rate_limiting[3].limit_by").views[0][1].choices == ("requests", "tokens")
    assert find("Policy.spec.rateLimit.limitBy").path == "Policy.spec.rateLimit.limitBy"
    with pytest.raises(UnknownFieldError, match="did you mean `limit_by`"):
        find("rate_limiting.limitby")
    with pytest.raises(UnknownFieldError, match="has no fields"):
        find("trust_domain.x")


@pytest.mark.parametrize("kind", kinds())
def test_schemas_describe_every_property(kind: str):
    schema = json_schema(kind)
    definitions = [schema, *schema["$defs"].values()]
    for one in definitions:
        assert one["additionalProperties"] is False
        for name, prop in one["properties"].items():
            assert prop.get("description") or "const" in prop, name
    references = msgspec.json.encode(schema).decode().split('"$ref":"#/$defs/')[1:]
    assert {text.partition('"')[0] for text in references} <= set(schema["$defs"])
