"""The index of roles and bindings says what an evaluator says that reads all of them anew for each question.

Roles and bindings come, change and go in any order, well-formed and not; the questions are of the same few words, so
that they meet.
"""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.controlplane.access.caller import ACCOUNT, Attributes, Caller
from heddle.controlplane.access.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLE_BINDINGS,
    ROLES,
    Rbac,
)
from heddle.controlplane.access.rules import Rule, TooBroadError, missing, rules_of
from heddle.drivers.documents import Key

Object = dict[str, Any]
NAMES = st.sampled_from(["a", "b", "c"])
NAMESPACES = st.sampled_from(["n1", "n2"])
VERBS = st.sampled_from(["get", "list", "update"])
GROUPS = st.sampled_from(["", "g"])
RESOURCES = st.sampled_from(["x", "y", "x/status", "y/status", "*/status"])
LABELS = st.sampled_from(["l", "m"])
PATHS = st.sampled_from(["/a", "/a/b", "/b"])


def some(words: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(words | st.just("*"), max_size=3)


RULES = st.one_of(
    st.fixed_dictionaries(
        {"verbs": some(VERBS), "apiGroups": some(GROUPS), "resources": some(RESOURCES)},
        optional={"resourceNames": st.lists(NAMES, max_size=2)},
    ),
    st.fixed_dictionaries({"verbs": some(VERBS), "nonResourceURLs": st.lists(PATHS | st.sampled_from(["*", "/a/*"]))}),
    st.fixed_dictionaries({"verbs": st.just("get")}),
    st.none(),
)
SUBJECTS = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["User", "Group"]), "name": NAMES, "apiGroup": st.just(GROUP)}),
    st.fixed_dictionaries({"kind": st.just("ServiceAccount"), "name": NAMES}, optional={"namespace": NAMESPACES}),
    st.fixed_dictionaries({"kind": st.just("User"), "name": st.just(7)}),
)
REFS = st.fixed_dictionaries({"kind": st.sampled_from(["Role", "ClusterRole", "Pod"]), "name": NAMES})


@st.composite
def changes(draw: st.DrawFn) -> tuple[Key, Object | None]:
    resource = draw(st.sampled_from([ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS]))
    namespace = draw(NAMESPACES) if resource in {ROLES, ROLE_BINDINGS} else ""
    key = Key(resource, namespace, draw(NAMES))
    if draw(st.integers(0, 4)) == 0:
        return key, None
    labels = dict.fromkeys(draw(st.lists(LABELS, max_size=2)), "")
    made: Object = {"metadata": {"name": key.name, "namespace": namespace, "labels": labels}}
    if resource in {ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS}:
        return key, made | {"roleRef": draw(REFS), "subjects": draw(st.lists(SUBJECTS, max_size=3))}
    made |= {"kind": "Role" if namespace else "ClusterRole", "rules": draw(st.lists(RULES, max_size=3))}
    if not namespace and draw(st.booleans()):
        taken = draw(st.lists(LABELS, max_size=2))
        made["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {one: ""}} for one in taken]}
    return key, made


QUESTIONS = st.one_of(
    st.builds(
        Attributes,
        VERBS,
        GROUPS,
        st.sampled_from(["x", "y"]),
        st.sampled_from(["", "status"]),
        NAMESPACES | st.just(""),
        NAMES | st.just(""),
    ),
    st.builds(lambda verb, path: Attributes(verb, path=path), VERBS, PATHS | st.sampled_from(["/a/", "//a", "/A"])),
)
CALLERS = st.builds(
    lambda name, groups: Caller(name, tuple(groups)),
    NAMES | st.builds(lambda namespace, name: f"{ACCOUNT}{namespace}:{name}", NAMESPACES, NAMES),
    st.lists(NAMES, max_size=2),
)


# The evaluator that reads everything


def naive(objects: dict[Key, Object], caller: Caller, asked: Attributes) -> bool:
    return any(
        _naive_rule(rule, asked) for rule in _naive_rules(objects, caller, asked.namespace if asked.resource else "")
    )


def _naive_rules(objects: dict[Key, Object], caller: Caller, namespace: str) -> list[Object]:
    found: list[Object] = []
    for key, value in objects.items():
        if key.resource not in {ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS} or key.namespace not in {"", namespace}:
            continue
        if not any(_naive_subject(one, caller, key.namespace) for one in value["subjects"]):
            continue
        ref = value["roleRef"]
        if ref["kind"] == "ClusterRole":
            found += _naive_role(objects, ref["name"], set())
        elif ref["kind"] == "Role" and key.namespace:
            found += objects.get(Key(ROLES, key.namespace, ref["name"]), {}).get("rules", [])
    return found


def _naive_role(objects: dict[Key, Object], name: str, seen: set[str]) -> list[Object]:
    role = objects.get(Key(CLUSTER_ROLES, "", name))
    if role is None or name in seen:
        return []
    seen.add(name)
    found = list(role["rules"])
    for selector in role.get("aggregationRule", {}).get("clusterRoleSelectors", []):
        for key, other in objects.items():
            if key.resource == CLUSTER_ROLES and selector["matchLabels"].items() <= other["metadata"]["labels"].items():
                found += _naive_role(objects, key.name, seen)
    return found


def _naive_subject(subject: Object, caller: Caller, namespace: str) -> bool:
    name = subject["name"]
    if subject["kind"] == "Group":
        return name in caller.groups
    if subject["kind"] == "ServiceAccount":
        name = f"{ACCOUNT}{subject.get('namespace', namespace)}:{name}"
    return name == caller.name


def _naive_rule(rule: Object | None, asked: Attributes) -> bool:
    if rule is None or not isinstance(rule["verbs"], list):
        return False
    if asked.verb not in rule["verbs"] and "*" not in rule["verbs"]:
        return False
    if not asked.resource:
        paths = rule.get("nonResourceURLs", [])
        return any(path in {"*", asked.path} or (path == "/a/*" and asked.path.startswith("/a/")) for path in paths)
    if asked.group not in rule.get("apiGroups", []) and "*" not in rule.get("apiGroups", []):
        return False
    names = rule.get("resourceNames")
    if names and asked.name not in names:
        return False
    wanted = {asked.resource, "*"}
    if asked.subresource:
        wanted = {f"{asked.resource}/{asked.subresource}", f"*/{asked.subresource}", "*"}
    return bool(wanted & set(rule.get("resources", [])))


@settings(max_examples=400, deadline=None)
@given(st.lists(changes(), max_size=25), CALLERS, st.lists(QUESTIONS, min_size=1, max_size=20))
def test_the_index_says_what_the_evaluator_says(
    made: list[tuple[Key, Object | None]], caller: Caller, questions: list[Attributes]
):
    rbac, objects = Rbac(), dict[Key, Object]()
    for key, value in made:
        if value is None:
            objects.pop(key, None)
            rbac.remove(key)
        else:
            objects[key] = value
            rbac.put(key, value)
    for asked in questions:
        assert rbac.decide(caller, asked).allowed is naive(objects, caller, asked), asked


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, max_size=3), st.lists(RULES, max_size=3), QUESTIONS)
def test_whoever_holds_all_that_is_given_is_allowed_all_that_it_allows(
    given_rules: list[Any], held_rules: list[Any], asked: Attributes
):
    granted = rules_of({"kind": "ClusterRole", "rules": given_rules})
    held = rules_of({"kind": "ClusterRole", "rules": held_rules})
    if not missing(granted, held) and any(rule.allows(asked) for rule in granted):
        assert any(rule.allows(asked) for rule in held), asked


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, max_size=4))
def test_everybody_holds_what_they_hold(rules: list[Any]):
    held = rules_of({"kind": "ClusterRole", "rules": rules})
    assert missing(held, held) == []
    everything = (Rule(frozenset("*"), frozenset("*"), frozenset("*")), Rule(frozenset("*"), paths=frozenset("*")))
    assert missing(held, everything) == []


WORDS = ("rules", "verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs", "kind", "name", "roleRef")
WORDS += ("subjects", "namespace", "aggregationRule", "clusterRoleSelectors", "matchLabels", "matchExpressions", "key")
WORDS += ("operator", "values", "metadata", "labels")
GARBAGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([*WORDS, "ClusterRole", "Role", "User", "*", "x", "In"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(GARBAGE)
def test_whatever_is_stored_is_read_without_a_crash(value: Any):
    rbac = Rbac()
    fields = ("rules", "subjects", "roleRef", "aggregationRule", "metadata")
    found = value if isinstance(value, dict) else dict.fromkeys(fields, value)
    for resource, namespace in ((ROLES, "n1"), (CLUSTER_ROLES, ""), (ROLE_BINDINGS, "n1"), (CLUSTER_ROLE_BINDINGS, "")):
        rbac.put(Key(resource, namespace, "a"), found)
        rbac.put(Key(resource, namespace, "b"), {"metadata": {"labels": {"x": "x"}}})
    with contextlib.suppress(TooBroadError):
        missing(rules_of(found), ())
    rbac.decide(Caller("a"), Attributes("get", "", "x", "", "n1", "a"))
