"""Roles and bindings: who may what, and nobody anything else."""

import time
from pathlib import Path

import pytest
from tests.unit.controlplane.access.rig import EVERYTHING, Rig, ask, binding, caller, role, rule

from heddle.controlplane.access import Attributes
from heddle.controlplane.access.caller import ANONYMOUS, what_is_refused
from heddle.controlplane.access.rbac import CLUSTER_ROLES, GROUP, ROLE_BINDINGS, Rbac, selects
from heddle.controlplane.access.rules import rules_of
from heddle.drivers.documents import Key

ALICE = caller("alice", "dev")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_nobody_may_anything_before_somebody_says_so(rig: Rig):
    assert not rig.can(ALICE, "get", "agents.kagent.dev", "demo", "a")
    assert not rig.can(caller("root", "system:masters"), "get", "secrets", "demo")
    assert rig.access.authorize(ALICE, ask("get", "secrets")).reason == ""


def test_a_binding_in_a_namespace_holds_there(rig: Rig):
    rig.store.role("reader", [rule("get,list", "agents", "kagent.dev")])
    rig.store.bind("b", "ClusterRole/reader", "User/alice", namespace="demo")
    assert rig.can(ALICE, "get", "agents.kagent.dev", "demo", "a")
    assert not rig.can(ALICE, "get", "agents.kagent.dev", "other", "a")
    assert not rig.can(ALICE, "list", "agents.kagent.dev")
    assert not rig.can(ALICE, "delete", "agents.kagent.dev", "demo", "a")
    assert not rig.can(caller("bob", "dev"), "get", "agents.kagent.dev", "demo", "a")


def test_a_binding_of_the_cluster_holds_everywhere(rig: Rig):
    rig.store.role("reader", [rule("get", "agents", "kagent.dev")])
    rig.store.bind("b", "ClusterRole/reader", "Group/dev")
    decision = rig.access.authorize(ALICE, ask("get", "agents.kagent.dev", "any", "a"))
    assert decision.allowed
    assert decision.reason == 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "dev"'


def test_a_role_is_that_of_the_bindings_namespace(rig: Rig):
    rig.store.role("r", [rule("get", "secrets")], "one")
    rig.store.bind("b", "Role/r", "User/alice", namespace="two")
    assert not rig.can(ALICE, "get", "secrets", "one", "s")
    assert not rig.can(ALICE, "get", "secrets", "two", "s")
    rig.store.role("r", [rule("get", "secrets")], "two")
    assert rig.can(ALICE, "get", "secrets", "two", "s")


def test_a_cluster_binding_of_a_role_gives_nothing(rig: Rig):
    rig.store.role("r", [rule("get", "secrets")], "one")
    rig.store.bind("b", "Role/r", "User/alice")
    assert not rig.can(ALICE, "get", "secrets", "one", "s")


def test_an_account_is_bound_by_namespace_and_name(rig: Rig):
    rig.store.role("r", [rule("get", "configmaps")])
    rig.store.bind("b", "ClusterRole/r", "ServiceAccount/ns1/bot", namespace="demo")
    assert rig.can(caller("system:serviceaccount:ns1:bot"), "get", "configmaps", "demo")
    assert not rig.can(caller("system:serviceaccount:demo:bot"), "get", "configmaps", "demo")
    assert not rig.can(caller("bot"), "get", "configmaps", "demo")


@pytest.mark.parametrize(
    ("resources", "what", "allowed"),
    [
        ("agents", "agents.kagent.dev", True),
        ("agents", "agents.kagent.dev/status", False),
        ("agents/status", "agents.kagent.dev/status", True),
        ("agents/status", "agents.kagent.dev", False),
        ("*/status", "agents.kagent.dev/status", True),
        ("*/status", "agents.kagent.dev", False),
        ("*", "agents.kagent.dev/status", True),
        ("agents/*", "agents.kagent.dev/status", False),
        ("agent*", "agents.kagent.dev", False),
        ("Agents", "agents.kagent.dev", False),
        ("", "agents.kagent.dev", False),
    ],
)
def test_resources_and_subresources(rig: Rig, resources: str, what: str, allowed: bool):
    rig.store.role("r", [rule("get", resources, "kagent.dev")])
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", what, "demo", "a") is allowed


def test_groups_of_the_api_are_told_apart(rig: Rig):
    rig.store.role("r", [rule("get", "events")])
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", "events", "demo")
    assert not rig.can(ALICE, "get", "events.events.k8s.io", "demo")


def test_names_allow_only_requests_that_name_one(rig: Rig):
    rig.store.role("r", [rule("get,list,watch,create,deletecollection", "secrets", names="one,")])
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", "secrets", "demo", "one")
    assert rig.can(ALICE, "list", "secrets", "demo", "one")
    assert not rig.can(ALICE, "get", "secrets", "demo", "two")
    for verb in ("list", "watch", "create", "deletecollection"):
        assert not rig.can(ALICE, verb, "secrets", "demo"), verb


def test_paths_are_of_the_cluster_and_compared_as_written(rig: Rig):
    paths = [{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]}]
    rig.store.role("r", paths)
    rig.store.bind("in-a-namespace", "ClusterRole/r", "User/bob", namespace="demo")
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", "/metrics")
    assert rig.can(ALICE, "get", "/logs/a/b")
    for path in ("/metrics/", "//metrics", "/Metrics", "/logs", "/logsx", "/%6detrics", "/x/../metrics"):
        assert not rig.can(ALICE, "get", path), path
    assert not rig.can(ALICE, "post", "/metrics")
    assert not rig.can(caller("bob"), "get", "/metrics")
    assert not rig.access.authorize(caller("bob"), Attributes("get", namespace="demo", path="/metrics")).allowed
    assert rig.access.rules_for(caller("bob"), "demo") == []


def test_a_path_that_looks_like_a_resource_is_none(rig: Rig):
    rig.store.role("r", [rule("*", "*", "*")])
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", "secrets", "demo", "s")
    assert not rig.can(ALICE, "get", "/metrics")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version", "/version/"])
def test_what_is_public_is_so_for_anybody_to_read(rig: Rig, path: str):
    assert rig.can(ANONYMOUS, "get", path)
    assert not rig.can(ANONYMOUS, "post", path)


@pytest.mark.parametrize("path", ["", "/", "//healthz", "/healthz//", "/HEALTHZ", "/healthz/x", "/version?x", "/api"])
def test_nothing_else_is(rig: Rig, path: str):
    assert not rig.can(ANONYMOUS, "get", path)


def test_nobody_binds_the_anonymous(rig: Rig):
    rig.store.role("r", EVERYTHING)
    rig.store.bind("b", "ClusterRole/r", "User/system:anonymous", "Group/system:unauthenticated")
    assert not rig.can(ANONYMOUS, "get", "/metrics")
    assert not rig.can(ANONYMOUS, "get", "secrets", "demo")


def test_a_namespace_stands_in_itself(rig: Rig):
    rig.store.role("r", [rule("get,list", "namespaces")])
    rig.store.bind("b", "ClusterRole/r", "User/alice", namespace="demo")
    assert rig.can(ALICE, "get", "namespaces", "", "demo")
    assert not rig.can(ALICE, "get", "namespaces", "", "other")
    assert not rig.can(ALICE, "list", "namespaces")


def test_changes_hold_from_the_next_decision_on(rig: Rig):
    rig.store.role("r", [rule("get", "secrets")])
    rig.store.bind("b", "ClusterRole/r", "User/alice", namespace="demo")
    assert rig.can(ALICE, "get", "secrets", "demo", "s")
    rig.store.role("r", [rule("list", "secrets")])
    assert not rig.can(ALICE, "get", "secrets", "demo", "s")
    assert rig.can(ALICE, "list", "secrets", "demo")
    rig.store.bind("b", "ClusterRole/r", "User/bob", namespace="demo")
    assert not rig.can(ALICE, "list", "secrets", "demo")
    assert rig.can(caller("bob"), "list", "secrets", "demo")
    rig.store.remove(Key(ROLE_BINDINGS, "demo", "b"))
    assert not rig.can(caller("bob"), "list", "secrets", "demo")


def test_a_role_that_goes_takes_its_rights_along(rig: Rig):
    rig.store.role("r", [rule("get", "secrets")])
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert rig.can(ALICE, "get", "secrets", "demo", "s")
    rig.store.remove(Key(CLUSTER_ROLES, "", "r"))
    assert not rig.can(ALICE, "get", "secrets", "demo", "s")


def test_an_aggregated_role_has_what_it_takes_in(rig: Rig):
    takes = {"clusterRoleSelectors": [{"matchLabels": {"to": "top"}}]}
    rig.store.role("top", [rule("get", "configmaps")], aggregationRule=takes)
    rig.store.bind("b", "ClusterRole/top", "User/alice")
    assert rig.can(ALICE, "get", "configmaps", "demo")
    assert not rig.can(ALICE, "get", "secrets", "demo")
    rig.store.role("part", [rule("get", "secrets")], labels={"to": "top"})
    assert rig.can(ALICE, "get", "secrets", "demo")
    rig.store.role("part", [rule("get", "secrets")], labels={"to": "bottom"})
    assert not rig.can(ALICE, "get", "secrets", "demo")
    rig.store.role("part", [rule("get", "secrets")], labels={"to": "top"})
    rig.store.remove(Key(CLUSTER_ROLES, "", "part"))
    assert not rig.can(ALICE, "get", "secrets", "demo")


def test_aggregated_roles_may_take_in_each_other(rig: Rig):
    for one, other in (("a", "b"), ("b", "a")):
        takes = {"clusterRoleSelectors": [{"matchLabels": {"is": other}}]}
        rig.store.role(one, [rule("get", f"things-{one}")], labels={"is": one}, aggregationRule=takes)
    rig.store.bind("x", "ClusterRole/a", "User/alice")
    assert rig.can(ALICE, "get", "things-a")
    assert rig.can(ALICE, "get", "things-b")


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({}, False),
        ({"matchLabels": {}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["1"]}]}, False),
        ({"matchExpressions": ["a"]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": "a"}, False),
    ],
)
def test_selectors_of_labels(selector: dict[str, object], selected: bool):
    assert selects(selector, {"a": "1"}) is selected


@pytest.mark.parametrize(
    "broken",
    [
        {"rules": "all"},
        {"rules": [None, 1, "x", []]},
        {"rules": [{"verbs": "*", "apiGroups": ["*"], "resources": ["*"]}]},
        {"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": [["*"]]}]},
        {"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "nonResourceURLs": ["*"]}]},
        {"rules": [{"verbs": ["*"], "resources": ["*"]}]},
        {"rules": [{"apiGroups": ["*"], "resources": ["*"]}]},
        {"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": [None]}]},
    ],
)
def test_a_malformed_rule_gives_nothing(rig: Rig, broken: dict[str, object]):
    rig.store.put(CLUSTER_ROLES, {**role("r", []), **broken})
    rig.store.bind("b", "ClusterRole/r", "User/alice")
    assert not rig.can(ALICE, "get", "secrets", "demo", "s")
    assert not rig.can(ALICE, "get", "/metrics")


@pytest.mark.parametrize(
    "broken",
    [
        {"subjects": None},
        {"subjects": "alice"},
        {"subjects": ["alice", None, {"kind": "User"}, {"kind": "user", "name": "alice"}]},
        {"subjects": [{"kind": "User", "name": "alice", "apiGroup": "elsewhere"}]},
        {"subjects": [{"kind": "User", "name": ["alice"]}]},
        {"roleRef": None},
        {"roleRef": {"kind": "ClusterRole", "name": "r", "apiGroup": "elsewhere"}},
        {"roleRef": {"kind": "clusterrole", "name": "r", "apiGroup": GROUP}},
    ],
)
def test_a_malformed_binding_gives_nothing(rig: Rig, broken: dict[str, object]):
    rig.store.role("r", EVERYTHING)
    rig.store.put(ROLE_BINDINGS, {**binding("b", "ClusterRole/r", "User/alice", namespace="demo"), **broken})
    assert not rig.can(ALICE, "get", "secrets", "demo", "s")


def test_rules_about_paths_stand_in_no_role_of_a_namespace():
    assert rules_of(role("r", [{"verbs": ["get"], "nonResourceURLs": ["*"]}], "demo")) == ()


def test_a_refusal_says_who_cannot_do_what():
    asked = ask("list", "agents.kagent.dev", "n")
    said = 'User "alice" cannot list resource "agents" in API group "kagent.dev" in the namespace "n"'
    assert what_is_refused(ALICE, asked) == said
    assert what_is_refused(ALICE, ask("get", "/metrics")) == 'User "alice" cannot get path "/metrics"'


def cost_s(others: int) -> float:
    rbac = Rbac()
    for index in range(others):
        made = role(f"r{index}", [rule("get", f"things{index}")])
        rbac.put(Key(CLUSTER_ROLES, "", f"r{index}"), made)
        bound = binding("b", f"ClusterRole/r{index}", f"User/u{index}", namespace=f"n{index}")
        rbac.put(Key(ROLE_BINDINGS, f"n{index}", "b"), bound)
    asked, best = ask("get", "secrets", "n0", "s"), float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(200):
            rbac.decide(ALICE, asked)
        best = min(best, time.perf_counter() - began)
    return best


def test_a_decision_costs_what_binds_the_caller_and_not_how_many_roles_there_are():
    assert cost_s(5_000) < 5 * cost_s(10)
