"""Nobody gives what they do not have: attempts to become more than one is, each refused, beside what is allowed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.controlplane.access.rig import EVERYTHING, NOW_S, Rig, binding, caller, role, rule

from heddle.controlplane.access import Attributes, Caller
from heddle.controlplane.access.caller import ADMINS, EDITORS, VIEWERS
from heddle.controlplane.access.defaults import install
from heddle.controlplane.access.rbac import GROUP
from heddle.controlplane.kinds import served_kinds
from heddle.drivers.documents import Write
from heddle.wire.kube.status import ApiError

Object = dict[str, Any]

MALLORY = caller("mallory", "dev")
"""Administrator of the namespace `demo`, and allowed to write every role and binding anywhere: the right to write one
is not the right to give what is in it."""
OWNER = caller("owner", ADMINS)
AGENTS = rule("get,list,update", "agents", "kagent.dev")
AUTOUPDATED = "rbac.authorization.k8s.io/aggregate-to-view"


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.store.write = writer(made)  # type: ignore[attr-defined]
    await install(made.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    store = made.store
    store.role("rbac-writer", [rule("*", "roles,rolebindings,clusterroles,clusterrolebindings", GROUP)])
    # The verb `*` has escalate and bind in it: writers of roles are given verbs by name.
    verbs = "get,list,watch,create,update,patch,delete"
    store.role("rbac-writer", [rule(verbs, "roles,rolebindings,clusterroles,clusterrolebindings", GROUP)])
    store.bind("writers", "ClusterRole/rbac-writer", "User/mallory")
    store.bind("demo-admin", "ClusterRole/admin", "User/mallory", namespace="demo")
    store.role("agents", [AGENTS])
    store.bind("agents-everywhere", "ClusterRole/agents", "User/mallory")
    store.role("one-secret", [rule("get", "secrets", names="mine")], "demo")
    store.role("one-secret", [rule("get", "secrets", names="mine")], "third")
    store.bind("one-secret", "Role/one-secret", "User/mallory", namespace="third")
    store.role("statuses", [rule("update", "*/status", "heddle.dev")])
    store.bind("statuses", "ClusterRole/statuses", "User/mallory")
    store.role("pages", [{"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}])
    store.bind("pages", "ClusterRole/pages", "User/mallory")
    store.role("pages-in-demo", [{"verbs": ["get"], "nonResourceURLs": ["/debug/*"]}])
    store.bind("pages-in-demo", "ClusterRole/pages-in-demo", "User/mallory", namespace="demo")
    return made


def writer(made: Rig) -> Any:
    async def write(writes: list[Write]) -> None:
        for one in writes:
            assert one.body is not None
            made.store.put(one.key.resource, json.loads(one.body))

    return write


def attempt(rig: Rig, who: Caller, verb: str, new: Object, old: Object | None = None) -> None:
    """As the API server asks about a write, whichever way it came."""
    meta = new["metadata"]
    resource = {"Role": "roles", "ClusterRole": "clusterroles", "RoleBinding": "rolebindings"}.get(
        new["kind"], "clusterrolebindings"
    )
    name = "" if verb == "create" else meta["name"]
    asked = Attributes(verb, GROUP, resource, "", meta.get("namespace", ""), name)
    assert rig.access.authorize(who, asked).allowed, "the right to write is not what is tried here"
    rig.access.admit(who, asked, old, new)


class Attempt(NamedTuple):
    what: str
    new: Object
    old: Object | None = None
    code: int = 403


def crb(to: str, *subjects: str) -> Object:
    return binding("x", to, *subjects or ("User/mallory",))


def rb(to: str, *subjects: str, namespace: str = "demo") -> Object:
    return binding("x", to, *subjects or ("User/mallory",), namespace=namespace)


def cr(*rules: Object, **more: Any) -> Object:
    return role("x", list(rules), **more)


def r(*rules: Object, namespace: str = "demo") -> Object:
    return role("x", list(rules), namespace)


USE = rule("use", "environment", "heddle.dev")
PATHS = {"verbs": ["get"], "nonResourceURLs": ["*"]}
TAKES_ALL = {"clusterRoleSelectors": [{"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}]}


def many(letter: str) -> str:
    return ",".join(f"{letter}{number}" for number in range(200))


ATTEMPTS = [
    Attempt("bind cluster-admin", crb("ClusterRole/cluster-admin")),
    Attempt("bind cluster-admin in a namespace", rb("ClusterRole/cluster-admin")),
    Attempt("bind cluster-admin to another", crb("ClusterRole/cluster-admin", "User/accomplice")),
    Attempt("bind cluster-admin to a group", crb("ClusterRole/cluster-admin", "Group/dev")),
    Attempt("bind cluster-admin to everybody", crb("ClusterRole/cluster-admin", "Group/system:authenticated")),
    Attempt("bind cluster-admin to an account", rb("ClusterRole/cluster-admin", "ServiceAccount/demo/default")),
    Attempt("bind admin of one namespace everywhere", crb("ClusterRole/admin")),
    Attempt("bind admin in another namespace", rb("ClusterRole/admin", namespace="other")),
    Attempt("bind edit in another namespace", rb("ClusterRole/edit", namespace="other")),
    Attempt("bind view everywhere", crb("ClusterRole/view")),
    Attempt("bind the rights of Git sources", crb("ClusterRole/system:sources:git")),
    Attempt("bind a role that is not there yet", crb("ClusterRole/not-there-yet")),
    Attempt("bind a role of the namespace that is not there yet", rb("Role/not-there-yet")),
    Attempt("bind a Role in the whole cluster", crb("Role/one-secret")),
    Attempt("bind what is no role", rb("Secret/x")),
    Attempt("bind a role of no name", {**crb("ClusterRole/"), "roleRef": {"kind": "ClusterRole", "name": ""}}),
    Attempt("bind a roleRef that is a list", {**crb("ClusterRole/view"), "roleRef": ["cluster-admin"]}),
    Attempt("bind without a roleRef", {**crb("ClusterRole/view"), "roleRef": None}),
    Attempt("give system:masters something", crb("ClusterRole/agents", "Group/system:masters")),
    Attempt("turn one's binding to cluster-admin", crb("ClusterRole/cluster-admin"), crb("ClusterRole/agents"), 422),
    Attempt("turn a Role to a ClusterRole of its name", rb("ClusterRole/admin"), rb("Role/admin"), 422),
    Attempt(
        "add oneself to a binding of others",
        crb("ClusterRole/cluster-admin", f"Group/{ADMINS}", "User/mallory"),
        crb("ClusterRole/cluster-admin", f"Group/{ADMINS}"),
    ),
    Attempt(
        "add oneself to the viewers",
        crb("ClusterRole/view", f"Group/{VIEWERS}", "User/mallory"),
        crb("ClusterRole/view", f"Group/{VIEWERS}"),
    ),
    Attempt("write a role that may everything", cr(*EVERYTHING)),
    Attempt("write a role that may everything in the namespace", r(rule("*", "*", "*"))),
    Attempt("every verb on what one may read", cr(rule("*", "agents", "kagent.dev"))),
    Attempt("a verb one does not have", cr(rule("get,delete", "agents", "kagent.dev"))),
    Attempt("every resource of a group", cr(rule("get", "*", "kagent.dev"))),
    Attempt("every group", cr(rule("get", "agents", "*"))),
    Attempt("another group of that name", cr(rule("get", "agents", ""))),
    Attempt("a subresource one does not have", cr(rule("get", "agents/status", "kagent.dev"))),
    Attempt("every subresource of that name", cr(rule("update", "*/status", "*"))),
    Attempt("a resource that only looks like a subresource one has", cr(rule("update", "status", "heddle.dev"))),
    Attempt("the resource below a subresource", cr(rule("update", "backends", "heddle.dev"))),
    Attempt("secrets everywhere, as one has them in the namespace", cr(rule("get", "secrets"))),
    Attempt("secrets of another namespace", r(rule("get", "secrets"), namespace="other")),
    Attempt("one secret of another namespace", r(rule("get", "secrets", names="mine"), namespace="other")),
    Attempt("every secret where one has one", r(rule("get", "secrets"), namespace="third")),
    Attempt("another secret beside one's own", r(rule("get", "secrets", names="mine,theirs"), namespace="third")),
    Attempt("secrets of an empty name", r(rule("get", "secrets", names=","), namespace="third")),
    Attempt("the verb escalate", cr(rule("escalate", "clusterroles", GROUP))),
    Attempt("the verb bind", r(rule("bind", "roles", GROUP))),
    Attempt("the verb bind for one role", cr(rule("bind", "clusterroles", GROUP, names="cluster-admin"))),
    Attempt("to use the environment", r(rule("use", "environment,files", "heddle.dev"))),
    Attempt("to run commands", r(rule("use", "commands", "heddle.dev"))),
    Attempt("every verb in the namespace, of which `use` is one", r(rule("*", "*", "heddle.dev"))),
    Attempt("every path", cr(PATHS)),
    Attempt("a path beside one's own", cr({"verbs": ["get"], "nonResourceURLs": ["/log*"]})),
    Attempt("another method for one's path", cr({"verbs": ["post"], "nonResourceURLs": ["/logs/*"]})),
    Attempt("a path that was bound in a namespace only", cr({"verbs": ["get"], "nonResourceURLs": ["/debug/x"]})),
    Attempt("take in other roles", cr(AGENTS, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})),
    Attempt("take in all other roles", cr(aggregationRule=TAKES_ALL)),
    Attempt("begin to take in others", cr(AGENTS, aggregationRule=TAKES_ALL), cr(AGENTS)),
    Attempt("take in nothing, yet", cr(aggregationRule={"clusterRoleSelectors": []})),
    Attempt("be taken in by `view` with what one lacks", cr(rule("get", "secrets"), labels={AUTOUPDATED: "true"})),
    Attempt(
        "have an existing role taken in by one's own",
        cr(rule("get", "secrets"), labels={AUTOUPDATED: "true"}),
        cr(rule("get", "secrets")),
    ),
    Attempt("add to a role that one holds", cr(AGENTS, rule("delete", "agents", "kagent.dev")), cr(AGENTS)),
    Attempt("widen a role by dropping its names", r(USE), r({**USE, "resourceNames": ["x"]})),
    Attempt("more combinations than anybody compares", cr(rule(many("v"), many("r"), many("g")))),
]


@pytest.mark.parametrize("verb", ["create", "update", "patch"])
@pytest.mark.parametrize("tried", ATTEMPTS, ids=[one.what for one in ATTEMPTS])
def test_an_attempt_to_become_more_is_refused(rig: Rig, tried: Attempt, verb: str):
    if (verb == "create") != (tried.old is None) and tried.old is not None:
        verb = "update"
    with pytest.raises(ApiError) as caught:
        attempt(rig, MALLORY, verb, tried.new, tried.old)
    assert caught.value.code == tried.code
    assert "x" in caught.value.message


def test_there_are_enough_of_them():
    assert len(ATTEMPTS) >= 40


ALLOWED = [
    ("give what one has", cr(AGENTS), None),
    ("give part of it", cr(rule("get", "agents", "kagent.dev", "one")), None),
    ("bind a role one has all of", crb("ClusterRole/agents", "User/friend"), None),
    ("bind admin where one is one", rb("ClusterRole/admin", "User/friend"), None),
    ("bind edit there", rb("ClusterRole/edit", "User/friend"), None),
    ("a role of the namespace with what one has there", r(rule("get,delete", "secrets")), None),
    ("one secret of many", r(rule("get", "secrets", names="mine")), None),
    ("a subresource by its name, held by every name", cr(rule("update", "backends/status", "heddle.dev")), None),
    ("a path below one's own", cr({"verbs": ["get"], "nonResourceURLs": ["/logs/a/*"]}), None),
    ("bind paths in a namespace, where they mean nothing", rb("ClusterRole/pages"), None),
    ("a role that gives nothing", cr(), None),
    ("change the labels of what one has", cr(AGENTS, labels={"a": "b"}), cr(AGENTS)),
    ("annotate a role that one lacks", {**cr(*EVERYTHING), "x": 1}, cr(*EVERYTHING)),
    ("annotate a binding one could not make", {**crb("ClusterRole/edit"), "x": 1}, crb("ClusterRole/edit")),
]


@pytest.mark.parametrize(("what", "new", "old"), ALLOWED, ids=[one[0] for one in ALLOWED])
def test_what_one_has_may_be_given(rig: Rig, what: str, new: Object, old: Object | None):
    attempt(rig, MALLORY, "create" if old is None else "update", new, old)


NOBODY = {
    "bind a Role in the whole cluster",
    "bind what is no role",
    "bind a role of no name",
    "bind a roleRef that is a list",
    "bind without a roleRef",
    "give system:masters something",
}
"""Attempts that are no question of who tries."""


@pytest.mark.parametrize("tried", [one for one in ATTEMPTS if one.code == 403], ids=lambda one: one.what)
def test_whoever_has_everything_may_give_it(rig: Rig, tried: Attempt):
    if tried.what in NOBODY:
        with pytest.raises(ApiError):
            attempt(rig, OWNER, "create", tried.new)
    else:
        attempt(rig, OWNER, "create" if tried.old is None else "update", tried.new, tried.old)


def test_the_verb_bind_lets_bind_that_role_and_no_other(rig: Rig):
    rig.store.role("binder", [rule("bind", "clusterroles", GROUP, names="view")])
    rig.store.bind("binder", "ClusterRole/binder", "User/mallory")
    attempt(rig, MALLORY, "create", crb("ClusterRole/view"))
    with pytest.raises(ApiError):
        attempt(rig, MALLORY, "create", crb("ClusterRole/edit"))


def test_the_verb_escalate_lets_write_that_role_and_no_other(rig: Rig):
    rig.store.role("raiser", [rule("escalate", "clusterroles", GROUP, names="x")])
    rig.store.bind("raiser", "ClusterRole/raiser", "User/mallory")
    attempt(rig, MALLORY, "update", cr(*EVERYTHING), cr())
    with pytest.raises(ApiError):
        attempt(rig, MALLORY, "update", role("y", EVERYTHING), role("y", []))


def test_taking_rights_away_needs_none(rig: Rig):
    asked = Attributes("delete", GROUP, "clusterrolebindings", "", "", "cluster-admin")
    rig.access.admit(MALLORY, asked, crb("ClusterRole/cluster-admin"), None)


@pytest.mark.parametrize(
    "who", [caller("e", EDITORS), caller("v", VIEWERS), caller("g", "system:gateways"), caller("n")]
)
@pytest.mark.parametrize("resource", ["roles", "rolebindings", "clusterroles", "clusterrolebindings"])
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
def test_nobody_else_writes_roles_at_all(rig: Rig, who: Caller, resource: str, verb: str):
    assert not rig.access.authorize(who, Attributes(verb, GROUP, resource, "", "demo", "x")).allowed
    assert not rig.access.authorize(who, Attributes(verb, GROUP, resource, "status", "demo", "x")).allowed


def test_a_refusal_says_what_is_lacking(rig: Rig):
    with pytest.raises(ApiError) as caught:
        attempt(rig, MALLORY, "create", cr(rule("delete", "agents", "kagent.dev")))
    assert caught.value.message == (
        'clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "mallory" '
        "(groups=['dev', 'system:authenticated']) is attempting to grant permissions not currently held: "
        'delete agents in API group "kagent.dev"'
    )
