"""RBAC: the roles and bindings of the store, compiled so that a decision looks only at what binds the caller.

Owns the index, kept up one object at a time. A decision costs what the caller is bound to, not how many roles there
are. A binding to a role that is not there allows nothing; it does once the role is.

*Source:* rbac.authorization.k8s.io/v1; Kubernetes "Using RBAC Authorization" (aggregated ClusterRoles, subjects).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from heddle.controlplane.access.caller import ACCOUNT, Attributes, Caller, Decision
from heddle.controlplane.access.rules import Rule, rules_of
from heddle.drivers.documents import Key

GROUP = "rbac.authorization.k8s.io"
ROLES = f"roles.{GROUP}"
CLUSTER_ROLES = f"clusterroles.{GROUP}"
ROLE_BINDINGS = f"rolebindings.{GROUP}"
CLUSTER_ROLE_BINDINGS = f"clusterrolebindings.{GROUP}"
RESOURCES = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)

Subject = tuple[str, str]
"""`User` or `Group`, and its name; an account is the user that it is."""
Place = tuple[str, str]
"""Namespace and name; a namespace that is empty is the cluster's."""
Object = dict[str, Any]


class _Role(NamedTuple):
    rules: tuple[Rule, ...]
    labels: dict[str, str]
    selectors: tuple[Object, ...]
    """Of an aggregated role: which others it takes in."""


class _Binding(NamedTuple):
    place: Place
    role: Place
    subjects: tuple[Subject, ...]


class Rbac:
    """The index of all roles and bindings."""

    def __init__(self) -> None:
        self._roles: dict[Place, _Role] = {}
        self._gathering: dict[str, set[str]] = {}
        """Aggregated role -> the roles that it takes in."""
        self._gathered: dict[str, tuple[Rule, ...]] = {}
        """Aggregated role -> all its rules; made when asked for."""
        self._bindings: dict[Place, _Binding] = {}
        self._bound: dict[Subject, dict[str, dict[Place, _Binding]]] = {}
        """Subject -> namespace -> its bindings there."""

    def put(self, key: Key, found: Object) -> None:
        """Take in an object that is new or was changed."""
        place = (key.namespace, key.name)
        if key.resource in {ROLES, CLUSTER_ROLES}:
            self._put_role(place, found)
        else:
            self._unbind(place)
            self._bind(_binding(place, found))

    def remove(self, key: Key) -> None:
        """Forget an object that is gone."""
        place = (key.namespace, key.name)
        if key.resource not in {ROLES, CLUSTER_ROLES}:
            self._unbind(place)
        elif self._roles.pop(place, None) is not None and not key.namespace:
            self._gathering.pop(key.name, None)
            self._gathered.clear()
            for taken in self._gathering.values():
                taken.discard(key.name)

    def decide(self, caller: Caller, asked: Attributes) -> Decision:
        """Whether some binding of the caller allows it."""
        namespace = asked.namespace if asked.resource else ""
        for subject, binding in self._bindings_of(caller, namespace):
            if any(rule.allows(asked) for rule in self.rules(binding.role)):
                return Decision(True, _why(subject, binding))
        return Decision(False)

    def held(self, caller: Caller, namespace: str) -> list[Rule]:
        """All rules that hold for the caller in a namespace; with an empty one, those that hold everywhere."""
        found: dict[Rule, None] = {}
        for _, binding in self._bindings_of(caller, namespace):
            here = binding.place[0]
            # Paths stand in no namespace: what binds in one says nothing of them.
            found |= dict.fromkeys(rule for rule in self.rules(binding.role) if not (here and rule.paths))
        return list(found)

    def rules(self, role: Place) -> tuple[Rule, ...]:
        """The rules of a role, with those that it takes in; none when it is not there."""
        found = self._roles.get(role)
        if found is None:
            return ()
        name = role[1]
        if role[0] or name not in self._gathering:
            return found.rules
        known = self._gathered.get(name)
        if known is None:
            known = self._gathered[name] = tuple(dict.fromkeys(self._gather(name)))
        return known

    def known(self, role: Place) -> bool:
        """Whether there is such a role."""
        return role in self._roles

    def gathers(self, labels: dict[str, str], name: str) -> list[str]:
        """Names of the aggregated roles that take in a ClusterRole with these labels."""
        return sorted(one for one in self._gathering if one != name and self._takes(one, labels))

    def _bindings_of(self, caller: Caller, namespace: str) -> Iterator[tuple[Subject, _Binding]]:
        subjects = (("User", caller.name), *(("Group", group) for group in caller.groups))
        for subject in subjects:
            spaces = self._bound.get(subject)
            if spaces is None:
                continue
            for space in ("", namespace) if namespace else ("",):
                for binding in spaces.get(space, {}).values():
                    yield subject, binding

    def _put_role(self, place: Place, found: Object) -> None:
        role = _role(found)
        self._roles[place] = role
        if place[0]:
            return
        name = place[1]
        self._gathered.clear()
        self._gathering.pop(name, None)
        if role.selectors:
            self._gathering[name] = set()
            for (namespace, other), one in self._roles.items():
                if not namespace and other != name and self._takes(name, one.labels):
                    self._gathering[name].add(other)
        for gathering, taken in self._gathering.items():
            if gathering != name and self._takes(gathering, role.labels):
                taken.add(name)
            else:
                taken.discard(name)

    def _takes(self, gathering: str, labels: dict[str, str]) -> bool:
        return any(selects(selector, labels) for selector in self._roles["", gathering].selectors)

    def _gather(self, name: str) -> Iterator[Rule]:
        pending, seen = [name], {name}
        while pending:
            at = pending.pop()
            role = self._roles.get(("", at))
            if role is not None:
                yield from role.rules
            taken = self._gathering.get(at, set()) - seen
            seen |= taken
            pending.extend(sorted(taken))

    def _bind(self, binding: _Binding | None) -> None:
        if binding is None:
            return
        self._bindings[binding.place] = binding
        for subject in binding.subjects:
            spaces = self._bound.setdefault(subject, {})
            spaces.setdefault(binding.place[0], {})[binding.place] = binding

    def _unbind(self, place: Place) -> None:
        binding = self._bindings.pop(place, None)
        if binding is None:
            return
        for subject in binding.subjects:
            spaces = self._bound[subject]
            del spaces[place[0]][place]
            if not spaces[place[0]]:
                del spaces[place[0]]
            if not spaces:
                del self._bound[subject]


def role_of(binding: Object, namespace: str) -> Place | None:
    """The role that a binding names; None when it names none."""
    ref = binding.get("roleRef")
    if not isinstance(ref, dict):
        return None
    kind, name = ref.get("kind"), ref.get("name")
    if ref.get("apiGroup", GROUP) not in ("", GROUP) or not isinstance(name, str) or not name:
        return None
    if kind == "ClusterRole":
        return ("", name)
    return (namespace, name) if kind == "Role" and namespace else None


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector takes in what has these labels; a malformed one, and an empty one, takes in nothing."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not isinstance(wanted, dict) or not isinstance(expressions, list) or not (wanted or expressions):
        return False
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        isinstance(one, dict) and _holds(one, labels) for one in expressions
    )


def _holds(expression: Object, labels: dict[str, str]) -> bool:
    name, operator, values = expression.get("key"), str(expression.get("operator")), expression.get("values") or []
    if not isinstance(name, str) or not isinstance(values, list):
        return False
    if operator in {"Exists", "DoesNotExist"}:
        return (name in labels) == (operator == "Exists")
    among = labels.get(name) in values
    return (operator == "In" and among) or (operator == "NotIn" and not among)


def _role(found: Object) -> _Role:
    metadata = found.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    rule = found.get("aggregationRule")
    selectors = rule.get("clusterRoleSelectors") if isinstance(rule, dict) else None
    usable = tuple(one for one in selectors if isinstance(one, dict)) if isinstance(selectors, list) else ()
    return _Role(rules_of(found), labels if isinstance(labels, dict) else {}, usable)


def _binding(place: Place, found: Object) -> _Binding | None:
    role, listed = role_of(found, place[0]), found.get("subjects")
    if role is None or not isinstance(listed, list):
        return None
    subjects = (_subject(one, place[0]) for one in listed if isinstance(one, dict))
    return _Binding(place, role, tuple(dict.fromkeys(one for one in subjects if one is not None)))


def _subject(found: Object, namespace: str) -> Subject | None:
    kind, name, group = found.get("kind"), found.get("name"), found.get("apiGroup", "")
    if not isinstance(name, str) or not name:
        return None
    if kind == "ServiceAccount" and group == "":
        within = found.get("namespace") or namespace
        return ("User", f"{ACCOUNT}{within}:{name}") if within and isinstance(within, str) else None
    return (kind, name) if kind in ("User", "Group") and group in ("", GROUP) else None


def _why(subject: Subject, binding: _Binding) -> str:
    namespace, name = binding.place
    kind, at = ("RoleBinding", f"{namespace}/{name}") if namespace else ("ClusterRoleBinding", name)
    role_kind = "Role" if binding.role[0] else "ClusterRole"
    return f'RBAC: allowed by {kind} "{at}" of {role_kind} "{binding.role[1]}" to {subject[0]} "{subject[1]}"'
