"""Everything declared, laid out flat: the view that the checks of meaning and the compiler read.

Owns the way back from resources to what they say, each value with its place. It reports what makes resources not fit
together
(a policy with two concerns, parameters of a listener that does not exist); what they mean is for `rules`.
"""

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from heddle.model.config_budgets import Budget, Ledger, Price, State
from heddle.model.config_caching import Cache
from heddle.model.config_guards import Guard
from heddle.model.config_listeners import Admin, Listener, ListenerSettings
from heddle.model.config_llm import Media, ModelEntry, Provider, Retry
from heddle.model.config_mcp import McpServer, McpSessions
from heddle.model.config_mcp_auth import Credentials
from heddle.model.config_mcp_judge import Judge
from heddle.model.config_mcp_targets import McpTarget
from heddle.model.config_observability import Observability
from heddle.model.config_policies import AuthorizationPolicy, RateLimit
from heddle.model.config_security import Authentication
from heddle.model.expand import PROTOCOLS
from heddle.model.kagent import remote_target, started_target
from heddle.model.problem import Place, Report, Source, camel, quote
from heddle.model.resources import Declared
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_gateway import AllowedRoutes, Gateway, GatewayListener, GatewaySpec
from heddle.model.resources_heddle import (
    Backend,
    GatewayParameters,
    GatewayParametersSpec,
    ListenerParameters,
    Model,
    Policy,
    VirtualServer,
)
from heddle.model.resources_mcp import MCPServer, RemoteMCPServer

T = TypeVar("T")
_SHORT_PROTOCOLS = {long: short for short, long in PROTOCOLS.items()} | {"HTTPS": "HTTP"}
_CONCERNS = (
    "authentication", "authorization", "rate_limit", "budget", "guard", "cache", "prices", "retry", "media",
    "observability",
)  # fmt: skip

_NAMED = ("rate_limit", "budget", "guard", "cache")


class Placed(NamedTuple, Generic[T]):
    """A value and where it was written."""

    value: T
    place: Place


class Plan:
    """What was declared, each kind in the order it was written."""

    def __init__(self) -> None:
        self.root = Place(Source(), "")
        """Where to report what is missing altogether."""
        self.listeners: list[Placed[Listener]] = []
        self.admins: list[Placed[Admin]] = []
        self.trust_domains: list[Placed[str]] = []
        self.providers: list[Placed[Provider]] = []
        self.models: list[Placed[ModelEntry]] = []
        self.media: list[Placed[Media]] = []
        """What may be fetched; at most one."""
        self.retries: list[Placed[Retry]] = []
        """What models do that do not say it themselves; at most one."""
        self.authentication: list[Placed[Authentication]] = []
        self.authentication_policies: list[Place] = []
        """Where authentication was declared; more than one is a mistake."""
        self.authorization: list[Placed[AuthorizationPolicy]] = []
        self.limits: list[Placed[RateLimit]] = []
        self.budgets: list[Placed[Budget]] = []
        self.guards: list[Placed[Guard]] = []
        self.caching: list[Placed[Cache]] = []
        self.prices: list[Placed[Price]] = []
        self.ledgers: list[Placed[Ledger]] = []
        self.states: list[Placed[State]] = []
        self.observability: list[Placed[Observability]] = []
        self.targets: list[Placed[McpTarget]] = []
        """Tool servers."""
        self.servers: list[Placed[McpServer]] = []
        """Virtual servers, those that were declared."""
        self.sessions: list[Placed[McpSessions]] = []
        self.credentials: list[Placed[Credentials]] = []
        self.judges: list[Placed[Judge]] = []
        self.secrets: dict[str, SecretResource] = {}
        self.config_maps: dict[str, ConfigMap] = {}


class _Settings(NamedTuple):
    value: ListenerParameters
    place: Place


def gather(declared: Iterable[Declared], report: Report) -> Plan:
    """Lay resources out flat. Reports resources that do not fit together."""
    plan = Plan()
    everything = list(declared)
    parameters = _parameters(everything, plan)
    gateways: dict[str, list[str]] = {}
    for one in everything:
        if isinstance(one.resource, Gateway):
            gateways[one.resource.metadata.name] = [listener.name for listener in one.resource.spec.listeners]
            _gateway(one, one.resource, parameters, plan, report)
    for (_, name), settings in parameters.items():
        report.error(settings.place.at("name"), f"no gateway with these parameters has a listener `{name}`")
    for one in everything:
        if isinstance(one.resource, SecretResource):
            plan.secrets[one.resource.metadata.name] = one.resource
        elif isinstance(one.resource, ConfigMap):
            plan.config_maps[one.resource.metadata.name] = one.resource
    for one in everything:
        _rest(one, gateways, plan, report)
    return plan


def _parameters(everything: list[Declared], plan: Plan) -> dict[tuple[str, str], _Settings]:
    """Settings of listeners by (name of parameters, name of listener)."""
    found: dict[tuple[str, str], _Settings] = {}
    for one in everything:
        if not isinstance(one.resource, GatewayParameters):
            continue
        spec, name = one.resource.spec, one.resource.metadata.name
        _process(spec, one, plan)
        for index, settings in enumerate(spec.listeners):
            found[name, settings.name] = _Settings(settings, one.place(f"spec.listeners[{index}]"))
    return found


def _process(spec: GatewayParametersSpec, one: Declared, plan: Plan) -> None:
    """What they say of the process."""
    said: tuple[tuple[list[Any], object, str], ...] = (
        (plan.trust_domains, spec.trust_domain or None, "trustDomain"),
        (plan.admins, spec.admin, "admin"),
        (plan.ledgers, spec.ledger, "ledger"),
        (plan.states, spec.state, "state"),
        (plan.sessions, spec.mcp_sessions, "mcpSessions"),
        (plan.credentials, spec.mcp_credentials, "mcpCredentials"),
        (plan.judges, spec.mcp_judge, "mcpJudge"),
    )
    for declared, value, field in said:
        if value is not None:
            declared.append(Placed(value, one.place(f"spec.{field}")))


def _gateway(
    one: Declared, gateway: Gateway, parameters: dict[tuple[str, str], _Settings], plan: Plan, report: Report
) -> None:
    spec = gateway.spec
    if spec.gateway_class_name != "heddle":
        # Gateway API, GatewayClass: a controller leaves gateways of other classes alone.
        report.warning(
            one.place("spec.gatewayClassName"), f"gateways of class `{spec.gateway_class_name}` are left alone"
        )
        return
    _check_served(one, spec, report)
    address = spec.addresses[0].value if spec.addresses else "127.0.0.1"
    infrastructure = spec.infrastructure
    ref = infrastructure.parameters_ref if infrastructure is not None else None
    for index, entry in enumerate(spec.listeners):
        place = one.place(f"spec.listeners[{index}]")
        if entry.protocol not in _SHORT_PROTOCOLS:
            hint = f"known are {', '.join(_SHORT_PROTOCOLS)}"
            report.error(place.at("protocol"), f"{quote(entry.protocol)} is no protocol that is served here", hint)
            continue
        settings = parameters.pop((ref.name, entry.name), None) if ref is not None else None
        own: ListenerSettings = settings.value if settings is not None else ListenerSettings()
        if (entry.protocol == "HTTPS") != (own.tls is not None and entry.protocol in ("HTTP", "HTTPS")):
            report.error(
                place.at("protocol"), "HTTPS and `tls` go together", "give the listener `tls` in its GatewayParameters"
            )
        plan.listeners.append(Placed(_listener(entry, address, own), place))


def _check_served(one: Declared, spec: GatewaySpec, report: Report) -> None:
    """What the Gateway API allows, and a mesh that is set up by files does not have."""
    if len(spec.addresses) > 1:
        report.error(one.place("spec.addresses"), "expected at most 1 item")
    for index, address in enumerate(spec.addresses):
        if address.type != "IPAddress":
            report.error(one.place(f"spec.addresses[{index}].type"), f"expected `IPAddress`, got {quote(address.type)}")
    ref = spec.infrastructure.parameters_ref if spec.infrastructure is not None else None
    if ref is not None and (ref.group, ref.kind) != ("heddle.dev", "GatewayParameters"):
        report.error(one.place("spec.infrastructure.parametersRef"), "expected a GatewayParameters of heddle.dev")
    for index, listener in enumerate(spec.listeners):
        place = one.place(f"spec.listeners[{index}]")
        if listener.tls is not None:
            report.error(place.at("tls"), "is not read here", "give the listener `tls` in its GatewayParameters")
        if listener.allowed_routes != AllowedRoutes():
            report.warning(place.at("allowed_routes"), "is not used: there are no routes of other namespaces here")


def _listener(entry: GatewayListener, address: str, own: ListenerSettings) -> Listener:
    hostnames = (*own.hostnames, entry.hostname) if entry.hostname else own.hostnames
    return Listener(
        name=entry.name,
        address=address,
        port=entry.port,
        protocol=_SHORT_PROTOCOLS[entry.protocol],  # type: ignore[arg-type]
        tls=own.tls,
        trusted_proxies=own.trusted_proxies,
        hostnames=hostnames,
        origins=own.origins,
        limits=own.limits,
    )


def _rest(one: Declared, gateways: dict[str, list[str]], plan: Plan, report: Report) -> None:
    resource = one.resource
    if isinstance(resource, Backend):
        _backend(one, resource, plan, report)
    elif isinstance(resource, Model):
        plan.models.append(Placed(_named(resource.spec, resource.metadata.name), one.place("spec")))
    elif isinstance(resource, VirtualServer):
        plan.servers.append(Placed(_named(resource.spec, resource.metadata.name), one.place("spec")))
    elif isinstance(resource, RemoteMCPServer):
        place = one.place("spec")
        plan.targets.append(Placed(remote_target(resource, place, report), place))
    elif isinstance(resource, MCPServer):
        place = one.place("spec")
        target = started_target(resource, place, (plan.secrets, plan.config_maps), report)
        if target is not None:
            plan.targets.append(Placed(target, place))
    elif isinstance(resource, Policy):
        _policy(one, resource, gateways, plan, report)


def _backend(one: Declared, backend: Backend, plan: Plan, report: Report) -> None:
    spec, name = backend.spec, backend.metadata.name
    if (spec.provider is None) == (spec.mcp is None):
        report.error(one.place("spec"), "expected exactly one of provider, mcp")
    elif spec.provider is not None:
        plan.providers.append(Placed(_named(spec.provider, name), one.place("spec.provider")))
    elif spec.mcp is not None:
        plan.targets.append(Placed(_named(spec.mcp, name), one.place("spec.mcp")))


def _policy(one: Declared, policy: Policy, gateways: dict[str, list[str]], plan: Plan, report: Report) -> None:
    spec, name = policy.spec, policy.metadata.name
    given = [concern for concern in _CONCERNS if getattr(spec, concern) is not None]
    if len(given) != 1:
        found = ", ".join(map(camel, given)) or "none"
        wanted = ", ".join(map(camel, _CONCERNS))
        report.error(one.place("spec"), f"expected exactly one of {wanted}; found {found}")
        return
    if spec.authorization is not None:
        _authorization(one, policy, _named(spec.authorization, name), gateways, (plan, report))
        return
    if spec.target_refs:
        report.error(one.place("spec.targetRefs"), "only authorization can be attached to a listener", "remove it")
    if spec.authentication is not None:
        _authentication(one, spec.authentication, plan)
    if spec.prices is not None:
        place = one.place("spec.prices")
        plan.prices.extend(Placed(price, place.at(index)) for index, price in enumerate(spec.prices))
    plain: dict[str, list[Placed[Any]]] = {
        "rate_limit": plan.limits, "budget": plan.budgets, "guard": plan.guards, "cache": plan.caching,
        "retry": plan.retries, "media": plan.media, "observability": plan.observability,
    }  # fmt: skip
    for concern, found_so_far in plain.items():
        value = getattr(spec, concern)
        if value is not None:
            value = _named(value, name) if concern in _NAMED else value
            found_so_far.append(Placed(value, one.place(f"spec.{camel(concern)}")))


def _authentication(one: Declared, entries: Authentication | tuple[Authentication, ...], plan: Plan) -> None:
    place = one.place("spec.authentication")
    plan.authentication_policies.append(place)
    if isinstance(entries, tuple):
        plan.authentication.extend(Placed(entry, place.at(index)) for index, entry in enumerate(entries))
    else:
        plan.authentication.append(Placed(entries, place))


def _authorization(
    one: Declared, policy: Policy, rule: AuthorizationPolicy, gateways: dict[str, list[str]], out: tuple[Plan, Report]
) -> None:
    """A rule attached to a gateway stands at the level of each of its listeners."""
    plan, report = out
    place = one.place("spec.authorization")
    levels = [rule.listener]
    if policy.spec.target_refs and not one.moved:
        levels = []
        for index, target in enumerate(policy.spec.target_refs):
            known = gateways.get(target.name)
            if known is None:
                report.error(one.place(f"spec.targetRefs[{index}]").at("name"), f"there is no Gateway `{target.name}`")
            else:
                levels.extend([target.section_name] if target.section_name else known)
    plan.authorization.extend(
        Placed(rule if level == rule.listener else msgspec.structs.replace(rule, listener=level), place)
        for level in levels
    )


N = TypeVar("N", Provider, ModelEntry, McpTarget, McpServer, AuthorizationPolicy, RateLimit, Budget, Guard, Cache)


def _named(value: N, name: str) -> N:
    """With the resource's name, unless it has one of its own."""
    return value if value.name else msgspec.structs.replace(value, name=name)
