"""Gateways: listeners of the snapshot, and the settings of whoever runs them.

Owns what is bound at all. A listener beyond loopback is not, unless callers are authenticated and an authorization
policy that is enforced stands before it: the check of files that refuses to start, made for each listener alone.
*Source:* Gateway API v1, Gateway, ListenerStatus; GatewayConditionType, ListenerConditionType.
"""

from typing import Any, NamedTuple

from heddle.controlplane.compile import compile_listener
from heddle.controlplane.compile_budgets import compile_ledger, compile_state
from heddle.controlplane.compile_mcp import compile_sessions
from heddle.controlplane.compile_mcp_auth import compile_credentials
from heddle.controlplane.compile_mcp_judge import compile_judge
from heddle.controlplane.compiling.conditions import Condition, Fault, judged
from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.listeners import CLASS, PROTOCOLS, hostname_of, listener_name
from heddle.drivers.documents import Key
from heddle.model.config_base import Part
from heddle.model.config_listeners import Listener, ListenerSettings
from heddle.model.formats import is_loopback
from heddle.model.parts import SettingsPart
from heddle.model.plan import Placed, Plan
from heddle.model.resources_gateway import Gateway, GatewayListener
from heddle.model.resources_heddle import GatewayParameters, GatewayParametersSpec
from heddle.model.rules_budgets import check_budgets
from heddle.model.rules_mcp_targets import check_targets
from heddle.model.snapshot import SERVED_PROTOCOLS, AdminSpec

_ROUTES = {"HTTP": "HTTPRoute", "HTTPS": "HTTPRoute", "heddle.dev/MCP": "HTTPRoute"}
"""Protocol of a listener -> the kind of routes that may attach to it."""
LOOPBACK = "127.0.0.1"


class _Verdict(NamedTuple):
    """What is said of one listener."""

    accepted: tuple[Fault, ...] = ()
    conflicted: tuple[Fault, ...] = ()
    resolved: tuple[Fault, ...] = ()


def compile_gateway(work: Work) -> Fragment:
    """A Gateway; one of another class is left alone."""
    gateway: Gateway = work.seen.resource
    if gateway.spec.gateway_class_name != CLASS:
        return Fragment()
    key = work.seen.key
    name = f"{key.namespace}/{key.name}"
    settings, missing = _settings(work, gateway)
    faults = [*_faults(gateway), *missing, *_add_settings(work, settings, name)]
    address = gateway.spec.addresses[0].value if gateway.spec.addresses else LOOPBACK
    statuses: list[dict[str, Any]] = []
    protocols: set[str] = set()
    for index, entry in enumerate(gateway.spec.listeners):
        listener = _listener(work, entry, address, settings)
        verdict = _verdict(work, gateway, index, listener)
        if not any((*verdict, faults)) and listener.protocol in SERVED_PROTOCOLS:
            spec = compile_listener(Placed(listener, work.seen.place.at("listeners", index)))
            # Of two at one port in one process the first is bound: nobody takes that of the root namespace.
            order = f"{int(work.namespace != work.around.root)}|{work.seen.order}|{index:04}"
            work.part(f"listener/{name}/{entry.name}", spec, order=order, gateways=(name,))
            protocols.add(listener.protocol)
        if entry.name not in [one["name"] for one in statuses]:
            statuses.append(_status(work, entry, verdict))
    status: dict[str, Any] = {"conditions": _conditions(faults, statuses), "listeners": statuses}
    if not faults:
        status["addresses"] = [{"type": "IPAddress", "value": address}]
    return Fragment(work.parts if not faults else {}, tuple(sorted(protocols)), (), status)


def compile_parameters(work: Work) -> Fragment:
    """A GatewayParameters; what it says is compiled with each Gateway that names it."""
    return work.done(True)


def _faults(gateway: Gateway) -> list[Fault]:
    spec, found = gateway.spec, []
    if len(spec.addresses) > 1 or any(one.type != "IPAddress" for one in spec.addresses):
        found.append(Fault("UnsupportedAddress", "expected at most one address, of type IPAddress"))
    names = [one.name for one in spec.listeners]
    found += [
        Fault("Invalid", f"there is already a listener `{name}`") for name in sorted({*names}) if names.count(name) > 1
    ]
    return found


def _settings(work: Work, gateway: Gateway) -> tuple[GatewayParametersSpec | None, list[Fault]]:
    """The GatewayParameters that a Gateway names; they stand in its own namespace."""
    infrastructure = gateway.spec.infrastructure
    ref = infrastructure.parameters_ref if infrastructure is not None else None
    if ref is None:
        return None, []
    if (ref.group, ref.kind) != ("heddle.dev", "GatewayParameters"):
        return None, [Fault("InvalidParameters", "parametersRef: expected a GatewayParameters of heddle.dev")]
    seen = work.lookup.object(Key("gatewayparameters.heddle.dev", work.namespace, ref.name))
    found = seen.resource if seen is not None else None
    if isinstance(found, GatewayParameters):
        return found.spec, []
    why = "is not accepted" if seen is not None else "is not there"
    return None, [Fault("InvalidParameters", f"GatewayParameters {work.namespace}/{ref.name} {why}")]


def _listener(work: Work, entry: GatewayListener, address: str, settings: GatewayParametersSpec | None) -> Listener:
    said = settings.listeners if settings is not None else ()
    own: ListenerSettings = next((one for one in said if one.name == entry.name), ListenerSettings())
    return Listener(
        name=listener_name(work.lookup, work.seen.key, entry.name, work.around.root),
        address=address,
        port=entry.port,
        protocol=PROTOCOLS.get(entry.protocol, "HTTP"),  # type: ignore[arg-type] # others are refused by `_verdict`
        tls=own.tls,
        trusted_proxies=own.trusted_proxies,
        hostnames=(*own.hostnames, entry.hostname) if entry.hostname else own.hostnames,
        origins=own.origins,
        limits=own.limits,
    )


def _verdict(work: Work, gateway: Gateway, index: int, listener: Listener) -> _Verdict:
    entry = gateway.spec.listeners[index]
    before = gateway.spec.listeners[:index]
    hostname = hostname_of(work.seen, entry.name)
    if hostname.startswith("*."):
        said = f"host name {hostname}: wildcards are not served; name the hosts in the listener's GatewayParameters"
        return _Verdict(accepted=(Fault("UnsupportedValue", said),))
    if entry.protocol not in PROTOCOLS:
        said = f"protocol {entry.protocol} is not served; known are {', '.join(PROTOCOLS)}"
        return _Verdict(accepted=(Fault("UnsupportedProtocol", said),))
    taken = [one.name for one in before if one.port == entry.port]
    if taken and entry.port:
        said = f"port {entry.port} is `{taken[0]}`'s: a port has one listener here; state all host names at that one"
        return _Verdict(conflicted=(Fault("PortConflict", said),))
    if listener.protocol not in SERVED_PROTOCOLS:
        return _Verdict(accepted=(Fault("UnsupportedProtocol", f"{listener.protocol} is not active yet"),))
    return _Verdict(accepted=tuple(_exposed(work, listener)), resolved=tuple(_tls(entry, listener)))


def _tls(entry: GatewayListener, listener: Listener) -> list[Fault]:
    tls: Part | None = getattr(entry, "tls", None)
    if tls is not None:
        said = "certificateRefs are not read yet: name the files in the listener's GatewayParameters, `tls`"
        return [Fault("InvalidCertificateRef", said)]
    if (entry.protocol == "HTTPS") != (listener.tls is not None and entry.protocol in ("HTTP", "HTTPS")):
        return [Fault("InvalidCertificateRef", "HTTPS and `tls` in its GatewayParameters go together")]
    return []


def _exposed(work: Work, listener: Listener) -> list[Fault]:
    """Why a listener may not be bound where it is asked for. Without authentication it is not even on loopback."""
    first = work.lookup.first(("concern", "authentication"))
    callers = work.lookup.outcome(first.key) if first is not None else None
    if not callers:
        said = "nobody is authenticated: add a Policy with `authentication` in the root namespace"
        return [Fault("NotProtected", f"is not bound on {listener.address}: {said}")]
    if work.namespace != work.around.root and not work.lookup.any(("enforced", "global")):
        # Everybody's models and tools can be called there, and Policies at other Gateways do not stand before it.
        said = (
            f"Gateways outside of namespace `{work.around.root}` need an authorization there that is enforced for the "
            "whole mesh (no `targetRefs`, no `listener`); their own holds beside it"
        )
        return [Fault("NotProtected", f"is not bound on {listener.address}: {said}")]
    if is_loopback(listener.address):
        return []
    if "none" in callers:
        said = "authentication `none` lets anybody in: bind 127.0.0.1, or authenticate callers"
        return [Fault("NotProtected", f"is not bound on {listener.address}: {said}")]
    if work.lookup.any(("enforced", "global")) or work.lookup.any(("enforced", f"listener:{listener.name}")):
        return []
    # Without a VirtualServer of the root namespace there is one of all its tools, which has no rules.
    ruled = work.lookup.any(("servers-of", work.around.root)) and not work.lookup.any(("open-servers",))
    if listener.protocol == "MCP" and ruled and work.lookup.any(("servers",)):
        return []
    said = "no authorization policy that is enforced stands before it"
    return [Fault("NotProtected", f"is not bound on {listener.address}: {said}")]


def _status(work: Work, entry: GatewayListener, verdict: _Verdict) -> dict[str, Any]:
    key = work.seen.key
    routes = work.lookup.count(("attached", key.namespace, key.name, entry.name))
    accepted = judged("Accepted", (*verdict.accepted, *verdict.conflicted))
    resolved = judged("ResolvedRefs", verdict.resolved)
    good = accepted.status == resolved.status == "True"
    conflicted = Condition("Conflicted", "False", "NoConflicts")
    if verdict.conflicted:
        conflicted = Condition("Conflicted", "True", *verdict.conflicted[0])
    kind = _ROUTES.get(entry.protocol)
    return {
        "name": entry.name,
        "attachedRoutes": routes,
        "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": kind}] if kind else [],
        "conditions": [accepted, resolved, conflicted, _programmed(good)],
    }


def _programmed(good: bool) -> Condition:
    if good:
        return Condition("Programmed", "Unknown", "Pending", "compiled; no gateway has said yet that it runs this")
    return Condition("Programmed", "False", "Invalid", "is not served")


def _conditions(faults: list[Fault], statuses: list[dict[str, Any]]) -> list[Condition]:
    bad = [
        one["name"] for one in statuses if any(c.status == "False" and c.type == "Accepted" for c in one["conditions"])
    ]
    accepted = judged("Accepted", faults)
    if bad and accepted.status == "True":
        # Gateway API: a Gateway is accepted when at least one listener is; the reason says that not all are.
        some = len(bad) < len(statuses)
        names = ", ".join(f"`{name}`" for name in bad)
        accepted = Condition("Accepted", "True" if some else "False", "ListenersNotValid", f"not served: {names}")
    return [accepted, _programmed(accepted.status == "True")]


def _add_settings(work: Work, spec: GatewayParametersSpec | None, gateway: str) -> list[Fault]:
    """The part of a Gateway's settings; what is wrong with them keeps it from being accepted."""
    if spec is None:
        return []
    plan, place = Plan(), work.seen.place
    plan.ledgers = [Placed(one, place) for one in (spec.ledger,) if one is not None]
    plan.states = [Placed(one, place) for one in (spec.state,) if one is not None]
    plan.sessions = [Placed(one, place) for one in (spec.mcp_sessions,) if one is not None]
    plan.credentials = [Placed(one, place) for one in (spec.mcp_credentials,) if one is not None]
    plan.judges = [Placed(one, place) for one in (spec.mcp_judge,) if one is not None]
    values, report = work.values, work.report
    check_budgets(plan, report)
    check_targets(plan, report)
    part = SettingsPart(
        trust_domain=spec.trust_domain,
        admin=AdminSpec(address=spec.admin.address, port=spec.admin.port) if spec.admin is not None else None,
        ledger=compile_ledger(plan, values, report) if plan.ledgers else None,
        ledger_enabled=spec.ledger.enabled if spec.ledger is not None else None,
        state=compile_state(plan, values, report) if plan.states else None,
        sessions=compile_sessions(plan.sessions[0], values, report) if plan.sessions else None,
        credentials=compile_credentials(plan.credentials[0], values, report) if plan.credentials else None,
        judge=compile_judge(plan.judges[0], values, report) if plan.judges else None,
    )
    name = f"settings/{gateway}"
    work.part(name, part, gateways=(gateway,))
    # They hold for a process: what a namespace says of its own Gateway must not hold for everybody else's.
    work.parts[name] = work.parts[name]._replace(alone=work.namespace != work.around.root)
    return [Fault("InvalidParameters", f"its GatewayParameters: {one.message}") for one in work.faults]
