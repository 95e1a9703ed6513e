"""References between objects: to what leads a name, may it, and does it go round in a circle?

Owns namespaces: a name is looked for where it is said. What stands in another namespace is used only when a
ReferenceGrant there allows it, and never found silently.
*Source:* Gateway API v1, ReferenceGrant; kagent v1alpha2, AllowedNamespaces.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from heddle.controlplane.compiling.conditions import Fault
from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import RESOURCES, Fact, Seen, global_name, items, mapping, text
from heddle.drivers.documents import Key

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")
MAX_DEPTH = 10
"""Agents that call agents, one below the other, as in kagent."""
MAX_REACHED = 256
"""Agents below one, in all."""


class Reference(NamedTuple):
    """Where a reference leads: `key`, or a fault."""

    key: Key | None = None
    fault: Fault | None = None


def grant_facts(seen: Seen) -> tuple[Fact, ...]:
    """What a ReferenceGrant allows, for those who ask about its namespace."""
    froms = tuple(
        (text(one.get("group")), text(one.get("kind")), text(one.get("namespace")))
        for one in map(mapping, items(seen.spec.get("from")))
    )
    tos = tuple(
        (text(one.get("group")), text(one.get("kind")), text(one.get("name")))
        for one in map(mapping, items(seen.spec.get("to")))
    )
    return (Fact(("grants", seen.key.namespace), (froms, tos)),) if froms and tos else ()


def permitted(lookup: Lookup, who: Key, whom: Key) -> bool:
    """Whether an object may refer to another: in its own namespace, or where a ReferenceGrant allows it."""
    if who.namespace == whom.namespace:
        return True
    wanted_from = (*RESOURCES[who.resource], who.namespace)
    group, kind = RESOURCES[whom.resource]
    for entry in lookup.every(("grants", whom.namespace)):
        froms, tos = entry.value
        if wanted_from in froms and any(to in ((group, kind, ""), (group, kind, whom.name)) for to in tos):
            return True
    return False


def refusal(who: Key, whom: Key) -> Fault:
    """Why a reference is not followed, with the ReferenceGrant that would allow it."""
    from_group, from_kind = RESOURCES[who.resource]
    to_group, to_kind = RESOURCES[whom.resource]
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ReferenceGrant",
        "metadata": {"name": f"{from_kind.lower()}s-from-{who.namespace}", "namespace": whom.namespace},
        "spec": {
            "from": [{"group": from_group, "kind": from_kind, "namespace": who.namespace}],
            "to": [{"group": to_group, "kind": to_kind, "name": whom.name}],
        },
    }
    message = (
        f"{to_kind} `{whom.name}` is in namespace `{whom.namespace}`, and no ReferenceGrant there lets {from_kind}s of "
        f"`{who.namespace}` refer to it; this one would: {_flow(grant)}"
    )
    return Fault("RefNotPermitted", message)


def by_name(lookup: Lookup, who: Key, resource: str, name: str, namespace: str = "") -> Reference:
    """The object of a kind that `who` means by `name`, or `NAMESPACE/NAME`. Without a namespace it is looked for in
    that of `who`, then, for those who are allowed, in others."""
    kind = RESOURCES[resource][1]
    if not namespace and name.count("/") == 1:
        namespace, _, name = name.partition("/")
    if not _PLAIN.match(name) or (namespace and not _PLAIN.match(namespace)):
        return Reference(fault=Fault("RefInvalid", f"{_shown(name)} is no name of a {kind}"))
    here = Key(resource, namespace or who.namespace, name)
    if lookup.object(here) is not None:
        return Reference(here) if permitted(lookup, who, here) else Reference(fault=refusal(who, here))
    if not namespace:
        elsewhere = [entry.key for entry in lookup.every(("named", resource, name))]
        allowed = [key for key in elsewhere if permitted(lookup, who, key)]
        if len(allowed) == 1:
            return Reference(allowed[0])
        if allowed:
            found = ", ".join(f"`{key.namespace}`" for key in allowed)
            return Reference(fault=Fault("RefAmbiguous", f"{kind} `{name}` is in {found}: write NAMESPACE/{name}"))
        if elsewhere:
            return Reference(fault=refusal(who, elsewhere[0]))
    message = f"there is no {kind} `{name}` in namespace `{here.namespace}`"
    return Reference(fault=Fault("RefNotFound", message))


def by_claim(lookup: Lookup, who: Key, what: str, name: str, root: str) -> Reference:
    """The object that is called `name` as a `what` (`provider`, `target`, `server`, `model`) where `who` stands, or
    `NAME.NAMESPACE` of another namespace."""
    entry = lookup.first((what, global_name(who.namespace, name, root)))
    if entry is not None and entry.key.namespace == who.namespace:
        return Reference(entry.key)
    other_name, _, namespace = name.rpartition(".")
    if other_name:
        entry = lookup.first((what, global_name(namespace, other_name, root)))
        if entry is not None and entry.key.namespace == namespace:
            return (
                Reference(entry.key) if permitted(lookup, who, entry.key) else Reference(fault=refusal(who, entry.key))
            )
    message = f"there is no {what} `{name}` in namespace `{who.namespace}`"
    return Reference(fault=Fault("BackendNotFound", message))


def cycle(lookup: Lookup, start: Key, follow: Callable[[Lookup, Key], list[Key]]) -> Fault | None:
    """The shortest way from an object over others back to itself, or one that is too long. `follow` gives those that
    an object leads to. Each is looked at once: what one hostile object costs is bounded."""
    came: dict[Key, Key | None] = {start: None}
    front = [start]
    for depth in range(1, MAX_DEPTH + 1):
        following: list[Key] = []
        for key in front:
            for other in follow(lookup, key):
                if other == start:
                    return Fault("Cycle", f"goes round in a circle: {_path([*_way(came, key), start])}")
                if other in came:
                    continue
                if depth == MAX_DEPTH:
                    return Fault("TooDeep", f"leads deeper than {MAX_DEPTH}: {_path([*_way(came, key), other])}")
                if len(came) >= MAX_REACHED:
                    return Fault("TooMany", f"leads to more than {MAX_REACHED} others")
                came[other] = key
                following.append(other)
        front = following
    return None


def _way(came: dict[Key, Key | None], end: Key) -> list[Key]:
    """From the start to `end`."""
    way: list[Key] = []
    at: Key | None = end
    while at is not None:
        way.append(at)
        at = came[at]
    return way[::-1]


def _path(keys: list[Key]) -> str:
    return " -> ".join(f"{key.namespace}/{key.name}" for key in keys)


def _flow(value: Any) -> str:
    """YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    said = str(value)
    return said if re.match(r"[A-Za-z][A-Za-z0-9./-]*\Z", said) else json.dumps(said)


def _shown(name: str) -> str:
    quoted = json.dumps(name)
    return quoted if len(quoted) <= 60 else f"{quoted[:57]}..."
