"""The short form, expanded into resources: a pure function, undone by `plan.gather`.

Owns which resource each section becomes. `a2a` expands to nothing until its kinds exist.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.model.config import Config
from heddle.model.config_budgets import Budget
from heddle.model.config_caching import Cache
from heddle.model.config_guards import Guard
from heddle.model.config_listeners import Listener, ListenerSettings
from heddle.model.config_llm import ModelEntry, Provider
from heddle.model.config_mcp import Mcp, McpServer
from heddle.model.config_mcp_targets import McpTarget
from heddle.model.config_policies import AuthorizationPolicy, RateLimit
from heddle.model.meta import ORDER, ObjectMeta, TargetRef, resource_name
from heddle.model.problem import Source
from heddle.model.resources import Declared
from heddle.model.resources_gateway import (
    GATEWAY_VERSION,
    Gateway,
    GatewayAddress,
    GatewayListener,
    GatewaySpec,
    Infrastructure,
    ParametersRef,
)
from heddle.model.resources_heddle import (
    HEDDLE_VERSION,
    Backend,
    BackendSpec,
    GatewayParameters,
    GatewayParametersSpec,
    ListenerParameters,
    Model,
    Policy,
    PolicySpec,
    VirtualServer,
)

PROTOCOLS = {"HTTP": "HTTP", "MCP": "heddle.dev/MCP", "A2A": "heddle.dev/A2A"}
"""Protocol of the short form -> protocol of a Gateway; `HTTP` with TLS is `HTTPS`."""


def expand(config: Config, source: Source | None = None, name: str = "gateway") -> list[Declared]:
    """The resources that a configuration stands for. `name` prefixes those that have no name of their own."""
    at = source or Source()
    gateways, owners = _gateways(config, at, name)
    return [
        *gateways,
        *_parameters(config, at, name),
        *_backends(config, at),
        *_models(config, at),
        *_tool_servers(config, at),
        *_authentication(config, at, name),
        *_authorization(config, at, owners, name),
        *_limits(config, at),
        *_budgets(config, at),
        *_guards(config, at),
        *_caching(config, at),
        *_prices(config, at, name),
        *_model_settings(config, at, name),
        *_observability(config, at, name),
    ]


def _gateways(config: Config, source: Source, name: str) -> tuple[list[Declared], dict[str, str]]:
    """One gateway per distinct address, and the gateway of each listener."""
    by_address: dict[str, list[tuple[int, Listener]]] = {}
    for index, listener in enumerate(config.listeners):
        by_address.setdefault(listener.address, []).append((index, listener))
    made: list[Declared] = []
    owners: dict[str, str] = {}
    for address, members in by_address.items():
        gateway = name if not made else f"{name}-{len(made) + 1}"
        spec = GatewaySpec(
            addresses=(GatewayAddress(value=address),),
            listeners=tuple(_gateway_listener(listener) for _, listener in members),
            infrastructure=Infrastructure(parameters_ref=ParametersRef(name=name)),
        )
        moved = {f"spec.listeners[{position}]": f"listeners[{index}]" for position, (index, _) in enumerate(members)}
        made.append(
            Declared(
                Gateway(api_version=GATEWAY_VERSION, kind="Gateway", metadata=ObjectMeta(name=gateway), spec=spec),
                source,
                moved,
            )
        )
        owners.update((listener.name, gateway) for _, listener in members)
    return made, owners


def _gateway_listener(listener: Listener) -> GatewayListener:
    protocol = "HTTPS" if listener.tls is not None and listener.protocol == "HTTP" else PROTOCOLS[listener.protocol]
    return GatewayListener(name=listener.name, port=listener.port, protocol=protocol)


def _parameters(config: Config, source: Source, name: str) -> Iterator[Declared]:
    mcp = config.mcp or Mcp()
    given = (config.listeners, config.admin, config.trust_domain, config.ledger, config.state)
    if not any((*given, mcp.sessions, mcp.credentials, mcp.judge)):
        return
    settings = tuple(
        ListenerParameters(name=listener.name, **_fields(listener, ListenerSettings)) for listener in config.listeners
    )
    spec = GatewayParametersSpec(
        trust_domain=config.trust_domain,
        admin=config.admin,
        listeners=settings,
        ledger=config.ledger,
        state=config.state,
        mcp_sessions=mcp.sessions,
        mcp_credentials=mcp.credentials,
        mcp_judge=mcp.judge,
    )
    moved = {f"spec.listeners[{index}]": f"listeners[{index}]" for index in range(len(settings))}
    moved |= {"spec.admin": "admin", "spec.trustDomain": "trust_domain"}
    moved |= {"spec.ledger": "ledger", "spec.state": "state"}
    moved |= {"spec.mcpSessions": "mcp.sessions", "spec.mcpCredentials": "mcp.credentials"}
    moved |= {"spec.mcpJudge": "mcp.judge"}
    yield Declared(
        GatewayParameters(
            api_version=HEDDLE_VERSION, kind="GatewayParameters", metadata=ObjectMeta(name=name), spec=spec
        ),
        source,
        moved,
    )


def _backends(config: Config, source: Source) -> Iterator[Declared]:
    for index, provider in enumerate(config.llm.providers):
        spec = BackendSpec(provider=Provider(**_fields(provider, Provider)))
        resource = Backend(
            api_version=HEDDLE_VERSION,
            kind="Backend",
            metadata=ObjectMeta(name=resource_name(provider.name)),
            spec=spec,
        )
        yield Declared(resource, source, {"spec.provider": f"llm.providers[{index}]"})


def _models(config: Config, source: Source) -> Iterator[Declared]:
    for index, model in enumerate(config.llm.models):
        resource = Model(
            api_version=HEDDLE_VERSION,
            kind="Model",
            metadata=_meta(model.name, index),
            spec=ModelEntry(**_fields(model, ModelEntry)),
        )
        yield Declared(resource, source, {"spec": f"llm.models[{index}]"})


def _tool_servers(config: Config, source: Source) -> Iterator[Declared]:
    if config.mcp is None:
        return
    for index, target in enumerate(config.mcp.targets):
        # Providers are Backends too, and may have the same name.
        meta = ObjectMeta(name=resource_name(f"mcp-{target.name}"))
        spec = BackendSpec(mcp=McpTarget(**_fields(target, McpTarget)))
        backend = Backend(api_version=HEDDLE_VERSION, kind="Backend", metadata=meta, spec=spec)
        yield Declared(backend, source, {"spec.mcp": f"mcp.targets[{index}]"})
    for index, one in enumerate(config.mcp.servers):
        meta = ObjectMeta(name=resource_name(one.name))
        server = McpServer(**_fields(one, McpServer))
        resource = VirtualServer(api_version=HEDDLE_VERSION, kind="VirtualServer", metadata=meta, spec=server)
        yield Declared(resource, source, {"spec": f"mcp.servers[{index}]"})


def _authentication(config: Config, source: Source, name: str) -> Iterator[Declared]:
    if config.security.authentication:
        spec = PolicySpec(authentication=config.security.authentication)
        yield _policy(f"{name}-authentication", spec, source, {"spec.authentication": "security.authentication"})


def _authorization(config: Config, source: Source, owners: dict[str, str], name: str) -> Iterator[Declared]:
    for index, rule in enumerate(config.authorization.policies):
        targets: tuple[TargetRef, ...] = ()
        if rule.listener:
            targets = (TargetRef(name=owners.get(rule.listener, name), section_name=rule.listener),)
        payload = AuthorizationPolicy(**_fields(rule, AuthorizationPolicy))
        spec = PolicySpec(authorization=payload, target_refs=targets)
        moved = {"spec.authorization": f"authorization.policies[{index}]"}
        yield _policy(f"authorization-{rule.name}", spec, source, moved)


def _limits(config: Config, source: Source) -> Iterator[Declared]:
    for index, limit in enumerate(config.rate_limiting):
        spec = PolicySpec(rate_limit=RateLimit(**_fields(limit, RateLimit)))
        yield _policy(f"limit-{limit.name}", spec, source, {"spec.rateLimit": f"rate_limiting[{index}]"})


def _guards(config: Config, source: Source) -> Iterator[Declared]:
    for index, guard in enumerate(config.guards):
        spec = PolicySpec(guard=Guard(**_fields(guard, Guard)))
        yield _policy(f"guard-{guard.name}", spec, source, {"spec.guard": f"guards[{index}]"}, index)


def _caching(config: Config, source: Source) -> Iterator[Declared]:
    for index, rule in enumerate(config.caching):
        spec = PolicySpec(cache=Cache(**_fields(rule, Cache)))
        yield _policy(f"cache-{rule.name}", spec, source, {"spec.cache": f"caching[{index}]"}, index)


def _budgets(config: Config, source: Source) -> Iterator[Declared]:
    for index, budget in enumerate(config.budgets):
        spec = PolicySpec(budget=Budget(**_fields(budget, Budget)))
        yield _policy(f"budget-{budget.name}", spec, source, {"spec.budget": f"budgets[{index}]"})


def _prices(config: Config, source: Source, name: str) -> Iterator[Declared]:
    if config.llm.prices:
        yield _policy(f"{name}-prices", PolicySpec(prices=config.llm.prices), source, {"spec.prices": "llm.prices"})


def _model_settings(config: Config, source: Source, name: str) -> Iterator[Declared]:
    if config.llm.retry is not None:
        spec = PolicySpec(retry=config.llm.retry)
        yield _policy(f"{name}-retry", spec, source, {"spec.retry": "llm.retry"})
    if config.llm.media is not None:
        yield _policy(f"{name}-media", PolicySpec(media=config.llm.media), source, {"spec.media": "llm.media"})


def _observability(config: Config, source: Source, name: str) -> Iterator[Declared]:
    if config.observability is not None:
        spec = PolicySpec(observability=config.observability)
        yield _policy(f"{name}-observability", spec, source, {"spec.observability": "observability"})


def _policy(name: str, spec: PolicySpec, source: Source, moved: dict[str, str], index: int = 0) -> Declared:
    meta = _meta(name, index)
    return Declared(Policy(api_version=HEDDLE_VERSION, kind="Policy", metadata=meta, spec=spec), source, moved)


def _meta(name: str, index: int) -> ObjectMeta:
    """Of the `index`th of several whose order matters: it is kept where objects have no order of their own."""
    return ObjectMeta(name=resource_name(name), annotations={ORDER: str(index)} if index else {})


def _fields(value: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of `value` that a `kind` has."""
    return {name: getattr(value, name) for name in kind.__struct_fields__}
