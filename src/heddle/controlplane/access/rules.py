"""What one rule of a role allows, and whether rules allow all that another does. Pure.

Owns the meaning of `*`, subresources, names and paths. A rule that is not as it should be allows nothing.

*Source:* rbac.authorization.k8s.io/v1 PolicyRule; Kubernetes "Using RBAC Authorization", "Privilege escalation
prevention and bootstrapping".
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import msgspec

from heddle.controlplane.access.caller import Attributes, full_resource

MAX_ATOMS = 10_000
"""Combinations of verb, group, resource and name that are compared when somebody grants them; no role in use comes
near, and comparing them takes time."""

MAX_MISSING = 20
"""After so many nobody needs to know more."""


class Rule(msgspec.Struct, frozen=True):
    """A PolicyRule, either about resources or about paths."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    """`agents`, `agents/status`, `*/status`, `*`."""
    names: frozenset[str] = frozenset()
    """Empty is every name, and requests without one."""
    paths: frozenset[str] = frozenset()
    """`/healthz`, `/apis/*`, `*`."""

    def allows(self, asked: Attributes) -> bool:
        """Whether a request is one of those that the rule is about."""
        if asked.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not asked.resource:
            return any(_path_within(asked.path, path) for path in self.paths)
        if asked.group not in self.groups and "*" not in self.groups:
            return False
        if self.names and (not asked.name or asked.name not in self.names):
            return False
        return self._about(full_resource(asked), asked.subresource)

    def _about(self, resource: str, subresource: str) -> bool:
        mine = self.resources
        return resource in mine or "*" in mine or (bool(subresource) and f"*/{subresource}" in mine)

    def covers(self, atom: "Rule") -> bool:
        """Whether it allows all that `atom`, which has one of each, does."""
        if not _holds(self.verbs, atom.verbs):
            return False
        if atom.paths:
            (path,) = atom.paths
            return any(_path_within(path, mine) for mine in self.paths)
        (resource,) = atom.resources
        _, _, subresource = resource.partition("/")
        if not _holds(self.groups, atom.groups) or not self._about(resource, subresource):
            return False
        return not self.names or (bool(atom.names) and atom.names <= self.names)


class TooBroadError(ValueError):
    """Rules with more combinations than are compared."""


EVERYTHING = (
    Rule(frozenset("*"), frozenset("*"), frozenset("*")),
    Rule(frozenset("*"), paths=frozenset("*")),
)
"""What somebody must hold who decides about rights that are not written down yet."""


def rules_of(role: dict[str, Any]) -> tuple[Rule, ...]:
    """The rules of a Role or ClusterRole; one that is malformed is left out, and so allows nothing."""
    found = role.get("rules")
    if not isinstance(found, list):
        return ()
    cluster = role.get("kind") != "Role"
    made = (_rule(one, cluster) for one in found if isinstance(one, dict))
    return tuple(one for one in made if one is not None)


def missing(granted: Sequence[Rule], held: Sequence[Rule]) -> list[Rule]:
    """What of `granted` is not held, in single combinations, the first few. Raises TooBroadError."""
    found = []
    count = 0
    for rule in granted:
        if rule in held:
            continue
        for atom in _atoms(rule):
            count += 1
            if count > MAX_ATOMS:
                raise TooBroadError("the rules have too many combinations to compare; split the role")
            if not any(one.covers(atom) for one in held):
                found.append(atom)
                if len(found) == MAX_MISSING:
                    return found
    return found


def as_policy_rule(rule: Rule) -> dict[str, Any]:
    """The rule as a review answers it."""
    if rule.paths:
        return {"verbs": sorted(rule.verbs), "nonResourceURLs": sorted(rule.paths)}
    made: dict[str, Any] = {"verbs": sorted(rule.verbs)}
    made |= {"apiGroups": sorted(rule.groups), "resources": sorted(rule.resources)}
    return made | {"resourceNames": sorted(rule.names)} if rule.names else made


def said(rule: Rule) -> str:
    """The rule in one line, for a refusal."""
    if rule.paths:
        return f"{_listed(rule.verbs)} path {_listed(rule.paths)}"
    named = f" named {_listed(rule.names)}" if rule.names else ""
    return f'{_listed(rule.verbs)} {_listed(rule.resources)} in API group "{_listed(rule.groups)}"{named}'


def _rule(found: dict[str, Any], cluster: bool) -> Rule | None:
    parts = [_texts(found.get(name)) for name in _FIELDS]
    if any(part is None for part in parts):
        return None
    verbs, groups, resources, names, paths = (part or frozenset() for part in parts)
    if paths and (not cluster or groups or resources or names):
        return None
    return Rule(verbs, groups, resources, names, paths)


_FIELDS = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")


def _texts(value: object) -> frozenset[str] | None:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return frozenset(value)


def _atoms(rule: Rule) -> Iterator[Rule]:
    if rule.paths:
        for verb, path in product(sorted(rule.verbs), sorted(rule.paths)):
            yield Rule(frozenset({verb}), paths=frozenset({path}))
        return
    names = [frozenset({name}) for name in sorted(rule.names)] or [frozenset[str]()]
    for verb, group, resource, name in product(sorted(rule.verbs), sorted(rule.groups), sorted(rule.resources), names):
        yield Rule(frozenset({verb}), frozenset({group}), frozenset({resource}), name)


def _holds(mine: frozenset[str], wanted: frozenset[str]) -> bool:
    return "*" in mine or wanted <= mine


def _path_within(path: str, pattern: str) -> bool:
    if pattern in {"*", path}:
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])


def _listed(words: Iterable[str]) -> str:
    return ",".join(sorted(words))
