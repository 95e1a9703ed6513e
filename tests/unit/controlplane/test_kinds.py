"""What is served, in which order, and that each kind's rules can be run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from heddle.controlplane.expressions import check_rules, compile_rules
from heddle.controlplane.kinds import served_kinds
from heddle.model.kinds import Kind, Kinds
from heddle.model.resources import KINDS as READ_FROM_FILES
from heddle.wire.kube.schema import Structure, default, prune, validate

DATA = Path(__file__).parents[2] / "data"
EVERY = list(served_kinds())


def first(name: str) -> str:
    """The resource a bare name leads kubectl to: groups in the order of discovery, then plurals and short names."""
    for kind in EVERY:
        if name in (kind.plural, kind.singular, *kind.short_names):
            return kind.resource
    raise LookupError(name)


def checked(value: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    kind = served_kinds().of(value["apiVersion"], value["kind"])
    assert kind is not None
    made, shape = copy.deepcopy(value), Structure(kind.schema)
    found: list[Any] = list(prune(made, shape))
    default(made, shape)
    return made, found or validate(made, shape) or check_rules(made, None, kind.schema)


@pytest.mark.parametrize("kind", EVERY, ids=lambda one: f"{one.resource}/{one.version}")
def test_every_kind_can_be_checked(kind: Kind):
    Structure(kind.schema)
    compile_rules(kind.schema)


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("agents", "agents.kagent.dev"),
        ("models", "models.heddle.dev"),
        ("tools", "tools.directory.heddle.dev"),
        ("gateways", "gateways.gateway.networking.k8s.io"),
        ("gws", "gatewaystatuses.heddle.dev"),
        ("mc", "modelconfigs.kagent.dev"),
        ("events", "events"),
        ("ns", "namespaces"),
        ("crds", "customresourcedefinitions.apiextensions.k8s.io"),
        ("refgrant", "referencegrants.gateway.networking.k8s.io"),
    ],
)
def test_a_bare_name_means_what_people_declare(name: str, resource: str):
    assert first(name) == resource


def test_no_name_means_two_kinds_without_a_reason():
    """`events` is one set of objects under two groups, and upstream's own short names are told apart by the group."""
    names: dict[str, set[str]] = {}
    for kind in EVERY:
        for name in (kind.plural, kind.singular, *kind.short_names):
            names.setdefault(name, set()).add(kind.stored_as)
    assert {name: kinds for name, kinds in names.items() if len(kinds) > 1} == {}


def test_no_category_is_a_name():
    """kubectl expands a category for every verb, so one that is a kind's name would delete more than was meant."""
    names = {name for kind in EVERY for name in (kind.plural, kind.singular, *kind.short_names)}
    assert not names & {category for kind in EVERY for category in kind.categories}
    found = {kind.plural for kind in EVERY if "directory" in kind.categories}
    assert found >= {"tools", "discoveredservers", "discoveredmodels", "discoveredagents", "gatewaystatuses"}


def test_every_kind_that_files_declare_is_served():
    assert not [key for key in READ_FROM_FILES if served_kinds().of(*key) is None]


def test_of_several_versions_the_first_is_where_objects_are():
    found = served_kinds().resource("referencegrants.gateway.networking.k8s.io")
    assert found is not None
    assert found.version == "v1"
    assert served_kinds().versions()["gateway.networking.k8s.io"] == ("v1", "v1beta1")


def test_defaults_of_ours_stay_out_of_objects():
    made, wrong = checked(
        {"apiVersion": "heddle.dev/v1alpha1", "kind": "Model", "metadata": {"name": "m"}, "spec": {"name": "m"}}
    )
    assert not wrong
    assert made["spec"] == {"name": "m"}


def test_defaults_of_upstream_are_written():
    route = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "b", "port": 80}]}]}
    made, wrong = checked(
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": route}
    )
    assert not wrong
    (rule,) = made["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert rule["backendRefs"] == [{"group": "", "kind": "Service", "name": "b", "port": 80, "weight": 1}]
    assert made["spec"]["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}]


def test_no_default_keeps_a_wait_from_ending():
    """A zero as `observedGeneration` is never the generation, so `kubectl wait` would not end."""

    def zeros(schema: dict[str, Any]) -> bool:
        below = schema.get("properties", {})
        return "default" in below.get("observedGeneration", {}) or any(zeros(one) for one in below.values())

    assert not [kind.kind for kind in EVERY if zeros(kind.schema)]


def test_the_reference_manifest_is_taken_as_it_stands():
    for value in yaml.safe_load_all((DATA / "agents.yaml").read_text()):
        made, wrong = checked(value)
        assert not wrong
        assert made["spec"].items() >= {key: one for key, one in value["spec"].items() if key != "declarative"}.items()


MINIMAL = """
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: default-model-config, namespace: kagent}
spec:
  {provider: OpenAI, model: gpt-4.1-mini, apiKeySecret: openai-key, apiKeySecretKey: KEY, openAI: {temperature: "0.2"}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: orders-tools, namespace: kagent}
spec: {description: Order lookup tools, url: "http://orders-mcp.shop:8080/mcp"}
---
apiVersion: kagent.dev/v1alpha1
kind: MCPServer
metadata: {name: fetch, namespace: kagent}
spec: {transportType: stdio, stdioTransport: {}, deployment: {cmd: uvx, args: [mcp-server-fetch], port: 3000}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: order-helper, namespace: kagent}
spec:
  type: Declarative
  description: Answers order questions
  declarative:
    runtime: python
    modelConfig: default-model-config
    systemMessage: You help customers with orders.
    tools:
    - type: McpServer
      mcpServer: {apiGroup: kagent.dev, kind: RemoteMCPServer, name: orders-tools,
                  toolNames: [get_order, cancel_order], requireApproval: [cancel_order]}
    - type: Agent
      agent: {name: refund-policy}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: own, namespace: kagent}
spec: {type: BYO, byo: {deployment: {image: registry.example/agent:1}}}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelProviderConfig
metadata: {name: openai, namespace: kagent}
spec: {type: OpenAI, secretRef: {name: openai-key}}
---
apiVersion: v1
kind: Secret
metadata: {name: openai-key, namespace: kagent}
stringData: {OPENAI_API_KEY: x}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r, namespace: kagent, creationTimestamp: null}
rules: null
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: e, namespace: kagent}
eventTime: null
regarding: {kind: Agent, name: order-helper}
reason: Started
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: kagent}
spec: {from: [{group: kagent.dev, kind: Agent, namespace: dev-team}], to: [{group: kagent.dev, kind: ModelConfig}]}
"""


@pytest.mark.parametrize(
    "value", [*yaml.safe_load_all(MINIMAL)], ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_what_people_already_write_is_right(value: dict[str, Any]):
    assert checked(value)[1] == []


def test_kinds_are_found_by_their_path_and_by_their_name():
    kinds = Kinds(EVERY)
    for kind in EVERY:
        assert kinds.at(kind.group, kind.version, kind.plural) is kind
        assert kinds.of(kind.api_version, kind.kind) is kind
