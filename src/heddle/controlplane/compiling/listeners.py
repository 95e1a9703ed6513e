"""Listeners of Gateways by the names that others use, and the names that the snapshot has for them.

Owns these names. A listener of the oldest Gateway of the root namespace that has one so called keeps its plain name;
all others are called `NAMESPACE/GATEWAY/LISTENER`, so that every Gateway can have an `http`.
"""

from typing import NamedTuple

from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import Fact, Seen, items, mapping, text
from heddle.drivers.documents import Key
from heddle.model.resources_gateway import Gateway

CLASS = "heddle"
"""Gateways of other classes are left alone."""
PROTOCOLS = {"HTTP": "HTTP", "HTTPS": "HTTP", "heddle.dev/MCP": "MCP", "heddle.dev/A2A": "A2A"}
"""Protocol of a Gateway's listener -> that of the snapshot; others are none."""


class Attached(NamedTuple):
    """A listener that something stands at."""

    name: str
    """As the snapshot calls it."""
    protocol: str
    gateway: str
    """`namespace/name` of its Gateway."""


def gateway_facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    """The listeners of a Gateway, by name, and the plain names that it would have."""
    gateway = seen.resource
    if not isinstance(gateway, Gateway) or gateway.spec.gateway_class_name != CLASS:
        return ()
    namespace = seen.key.namespace
    facts = []
    for listener in gateway.spec.listeners:
        facts.append(Fact(("listener-named", namespace, listener.name), PROTOCOLS.get(listener.protocol, "")))
        if namespace == root:
            facts.append(Fact(("listener", listener.name)))
    return tuple(facts)


def hostname_of(seen: Seen, listener: str) -> str:
    """A listener's host name as it was written, perhaps with a wildcard; empty is any."""
    written = (mapping(one) for one in items(seen.spec.get("listeners")))
    return next((text(one.get("hostname")) for one in written if one.get("name") == listener), "")


def listener_name(lookup: Lookup, gateway: Key, name: str, root: str) -> str:
    """What the snapshot calls a listener."""
    if gateway.namespace == root:
        first = lookup.first(("listener", name))
        if first is None or first.key == gateway:
            return name
    return f"{gateway.namespace}/{gateway.name}/{name}"


def listeners_named(lookup: Lookup, namespace: str, name: str, root: str) -> list[Attached]:
    """The listeners of a namespace's Gateways that are called `name`."""
    return [
        Attached(listener_name(lookup, entry.key, name, root), entry.value, f"{namespace}/{entry.key.name}")
        for entry in lookup.every(("listener-named", namespace, name))
    ]


def listeners_of(lookup: Lookup, gateway: Key, section: str, root: str) -> list[Attached] | None:
    """The listeners of a Gateway, or the one called `section`; None when there is no such Gateway of ours."""
    seen = lookup.object(gateway)
    found = seen.resource if seen is not None else None
    if not isinstance(found, Gateway) or found.spec.gateway_class_name != CLASS:
        return None
    return [
        Attached(
            listener_name(lookup, gateway, one.name, root),
            PROTOCOLS.get(one.protocol, ""),
            f"{gateway.namespace}/{gateway.name}",
        )
        for one in found.spec.listeners
        if section in ("", one.name)
    ]
