"""HTTPRoutes: rules of the snapshot, at the listeners that they are attached to.

Owns attachment (by name, host name, namespace) and the resolution of backends. No listener serves such routes yet, and
their status says so; everything else is as the Gateway API has it, so that they work on the day they are served.
*Source:* Gateway API v1, HTTPRoute, ParentReference, RouteConditionReason.
"""

from typing import Any, NamedTuple

from heddle.controlplane.compiling.conditions import CONTROLLER, Condition, Fault, judged
from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.listeners import CLASS, PROTOCOLS, hostname_of, listener_name
from heddle.controlplane.compiling.objects import BY_KIND, Fact, items, mapping, text
from heddle.controlplane.compiling.references import permitted, refusal
from heddle.controlplane.compiling.selecting import open_to
from heddle.drivers.documents import Key
from heddle.model.config_llm import Provider
from heddle.model.formats import complaint, duration_s
from heddle.model.resources_gateway import Gateway, GatewayListener
from heddle.model.snapshot_routes import RouteBackend, RouteMatch, RouteSpec, ValueMatch

_GROUP = "gateway.networking.k8s.io"
_GATEWAYS = "gateways.gateway.networking.k8s.io"
NOT_SERVED = (
    "its rules are compiled and sent, and no listener serves them yet: listeners serve models and tools by path"
)
_BACKENDS = {"backends.heddle.dev": "target", "models.heddle.dev": "model", "virtualservers.heddle.dev": "server"}
MAX_RULES = 16
"""Of one HTTPRoute, as in the Gateway API."""


class _Parent(NamedTuple):
    """One parentRef."""

    written: dict[str, Any]
    listeners: tuple[str, ...]
    """Those it is attached to, as the snapshot calls them."""
    sections: tuple[str, ...]
    """The same, as the Gateway calls them."""
    gateway: Key
    faults: tuple[Fault, ...]


def compile_route(work: Work) -> Fragment:
    """An HTTPRoute."""
    spec = work.seen.spec
    hostnames = tuple(name for name in map(text, items(spec.get("hostnames"))) if name)
    parents = [found for one in items(spec.get("parentRefs")) if (found := _parent(work, mapping(one), hostnames))]
    listeners = tuple(dict.fromkeys(name for parent in parents for name in parent.listeners))
    gateways = tuple(dict.fromkeys(f"{one.gateway.namespace}/{one.gateway.name}" for one in parents if one.listeners))
    rules = items(spec.get("rules")) or [{}]
    if len(rules) > MAX_RULES:
        work.refused.append(Fault("UnsupportedValue", f"has {len(rules)} rules; at most {MAX_RULES}"))
    for index, rule in enumerate(rules[:MAX_RULES]):
        made = _rule(work, mapping(rule), index, (listeners, hostnames))
        if listeners and not work.refused:
            order = f"{work.seen.order}|{index:04}"
            work.part(f"route/{made.name}", made, order=order, gateways=gateways)
    facts = {
        Fact(("attached", parent.gateway.namespace, parent.gateway.name, section))
        for parent in parents
        for section in parent.sections
    }
    parts = {} if work.refused else work.parts
    return Fragment(parts, None, tuple(sorted(facts)) if not work.refused else (), _status(work, parents))


def _status(work: Work, parents: list[_Parent]) -> dict[str, Any]:
    resolved = judged("ResolvedRefs", work.unresolved)
    said = []
    for parent in parents:
        accepted = judged("Accepted", (*work.refused, *parent.faults))
        programmed = Condition("Programmed", "False", "NotServed", NOT_SERVED)
        if accepted.status != "True":
            programmed = Condition("Programmed", "False", "Invalid", "is not accepted")
        said.append(
            {
                "parentRef": parent.written,
                "controllerName": CONTROLLER,
                "conditions": [accepted, resolved, programmed],
            }
        )
    return {"parents": said}


def _parent(work: Work, ref: dict[str, Any], hostnames: tuple[str, ...]) -> _Parent | None:
    """A parentRef, tried; None for what is nothing of ours."""
    group, kind = text(ref.get("group")) or _GROUP, text(ref.get("kind")) or "Gateway"
    key = Key(_GATEWAYS, text(ref.get("namespace")) or work.namespace, text(ref.get("name")))
    if (group, kind) != (_GROUP, "Gateway"):
        return None
    seen = work.lookup.object(key)
    gateway = seen.resource if seen is not None else None
    if isinstance(gateway, Gateway) and gateway.spec.gateway_class_name != CLASS:
        return None
    if not isinstance(gateway, Gateway):
        what = "is not accepted" if seen is not None else "is not there"
        fault = Fault("NoMatchingParent", f"Gateway {key.namespace}/{key.name} {what}")
        return _Parent(ref, (), (), key, (fault,))
    section, port = text(ref.get("sectionName")), ref.get("port")
    named = [one for one in gateway.spec.listeners if section in ("", one.name) and port in (None, one.port)]
    refused = _refused(work, key, named, hostnames)
    if refused is not None:
        return _Parent(ref, (), (), key, (refused,))
    fitting = [one for one in named if _fits(work, key, one, hostnames)]
    names = tuple(listener_name(work.lookup, key, one.name, work.around.root) for one in fitting)
    return _Parent(ref, names, tuple(one.name for one in fitting), key, ())


def _refused(work: Work, gateway: Key, named: list[GatewayListener], hostnames: tuple[str, ...]) -> Fault | None:
    """Why no listener takes the route."""
    where = f"Gateway {gateway.namespace}/{gateway.name}"
    if not named:
        return Fault("NoMatchingParent", f"{where} has no such listener")
    allowed = [one for one in named if _allows(work, gateway, one)]
    if not allowed:
        said = f"no listener of {where} allows HTTPRoutes of namespace `{work.namespace}`"
        return Fault("NotAllowedByListeners", said)
    if not any(_meets_one(work, gateway, one, hostnames) for one in allowed):
        said = f"no listener of {where} is for any of {', '.join(hostnames)}"
        return Fault("NoMatchingListenerHostname", said)
    return None


def _fits(work: Work, gateway: Key, listener: GatewayListener, hostnames: tuple[str, ...]) -> bool:
    return _allows(work, gateway, listener) and _meets_one(work, gateway, listener, hostnames)


def _allows(work: Work, gateway: Key, listener: GatewayListener) -> bool:
    """Whether a listener takes routes of this kind and namespace."""
    seen = work.lookup.object(gateway)
    written = [mapping(one) for one in items(seen.spec.get("listeners"))] if seen is not None else []
    said = next((mapping(one.get("allowedRoutes")) for one in written if one.get("name") == listener.name), {})
    kinds = [text(mapping(one).get("kind")) for one in items(said.get("kinds"))]
    if listener.protocol not in PROTOCOLS or (kinds and "HTTPRoute" not in kinds):
        return False
    return open_to(work.lookup, mapping(said.get("namespaces")), gateway.namespace, work.namespace)


def _meets_one(work: Work, gateway: Key, listener: GatewayListener, hostnames: tuple[str, ...]) -> bool:
    seen = work.lookup.object(gateway)
    return seen is not None and _meet(hostname_of(seen, listener.name), hostnames)


def _meet(listener: str, hostnames: tuple[str, ...]) -> bool:
    """Whether a listener's host name and a route's have one in common; none said is any."""
    return not listener or not hostnames or any(_meets(listener.lower(), name.lower()) for name in hostnames)


def _meets(one: str, other: str) -> bool:
    """Gateway API: `*.example.com` is any name below it, over several labels too, and not `example.com`."""
    if one.startswith("*.") and other.startswith("*."):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    if one.startswith("*."):
        return other.endswith(one[1:])
    return one.endswith(other[1:]) if other.startswith("*.") else one == other


def _rule(work: Work, rule: dict[str, Any], index: int, at: tuple[tuple[str, ...], tuple[str, ...]]) -> RouteSpec:
    key, timeouts = work.seen.key, mapping(rule.get("timeouts"))
    return RouteSpec(
        name=f"{key.namespace}/{key.name}#{index}",
        listeners=at[0],
        hostnames=at[1],
        matches=tuple(_match(work, mapping(one)) for one in items(rule.get("matches"))) or (RouteMatch(),),
        backends=tuple(_backend(work, mapping(one)) for one in items(rule.get("backendRefs"))),
        filters=tuple(map(mapping, items(rule.get("filters")))),
        request_s=_seconds(work, timeouts.get("request")),
        backend_request_s=_seconds(work, timeouts.get("backendRequest")),
        retry=mapping(rule.get("retry")),
        session=mapping(rule.get("sessionPersistence")),
    )


def _seconds(work: Work, written: Any) -> float:
    if written is None:
        return 0.0
    if complaint("duration", text(written)):
        work.refused.append(Fault("UnsupportedValue", "timeouts: expected a duration such as 10s"))
        return 0.0
    return duration_s(text(written))


def _match(work: Work, match: dict[str, Any]) -> RouteMatch:
    path = mapping(match.get("path"))
    kind: Any = text(path.get("type")) or "PathPrefix"
    if kind not in ("Exact", "PathPrefix", "RegularExpression"):
        work.refused.append(Fault("UnsupportedValue", "matches: expected a path of type Exact or PathPrefix"))
        kind = "Exact"
    return RouteMatch(
        path=text(path.get("value")) or "/",
        path_kind=kind,
        method=text(match.get("method")),
        headers=_values(match.get("headers")),
        query=_values(match.get("queryParams")),
    )


def _values(written: Any) -> tuple[ValueMatch, ...]:
    return tuple(
        ValueMatch(
            name=text(one.get("name")),
            value=text(one.get("value")),
            kind="RegularExpression" if one.get("type") == "RegularExpression" else "Exact",
        )
        for one in map(mapping, items(written))
    )


def _backend(work: Work, ref: dict[str, Any]) -> RouteBackend:
    weight = ref.get("weight", 1)
    weight = weight if isinstance(weight, int) and 0 <= weight <= 1_000_000 else 1
    port = ref.get("port")
    kind: Any
    kind, name = _resolved(work, ref)
    return RouteBackend(
        kind=kind,
        name=name,
        port=port if isinstance(port, int) and 0 < port < 65536 else 0,
        weight=weight,
        filters=tuple(map(mapping, items(ref.get("filters")))),
    )


def _resolved(work: Work, ref: dict[str, Any]) -> tuple[str, str]:
    """What kind of backend a backendRef is, and what the snapshot calls it."""
    kind = (text(ref.get("group")), text(ref.get("kind")) or "Service")
    resource = BY_KIND.get(kind, "")
    name = text(ref.get("name"))
    key = Key(resource, text(ref.get("namespace")) or work.namespace, name)
    if resource != "services" and resource not in _BACKENDS:
        said = f"{kind[1]}{f' of {kind[0]}' if kind[0] else ''} cannot be a backend"
        return _invalid(work, Fault("InvalidKind", said))
    if not permitted(work.lookup, work.seen.key, key):
        return _invalid(work, refusal(work.seen.key, key))
    if resource == "services":
        if work.lookup.object(key) is None:
            return _invalid(work, Fault("BackendNotFound", f"there is no Service {key.namespace}/{name}"))
        return "service", f"{name}.{key.namespace}"
    outcome = work.lookup.outcome(key)
    if outcome is None:
        why = "is not accepted" if work.lookup.object(key) is not None else "is not there"
        return _invalid(work, Fault("BackendNotFound", f"{kind[1]} {key.namespace}/{name} {why}"))
    if isinstance(outcome, Provider):
        return "provider", outcome.name
    return _BACKENDS[resource], outcome if isinstance(outcome, str) else text(getattr(outcome, "name", ""))


def _invalid(work: Work, fault: Fault) -> tuple[str, str]:
    work.unresolved.append(fault)
    return "invalid", ""
