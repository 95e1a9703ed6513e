"""The plan, compiled into the snapshot that gateways run.

Owns the translation: durations become seconds, files absolute paths, keys digests, names of secrets secrets. What
cannot be
had is reported, with its place; a provider's missing credential is no error, calls to that provider are answered 503.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from heddle.controlplane.compile_authn import compile_authentication
from heddle.controlplane.compile_budgets import compile_budgets, compile_ledger, compile_state, with_prices
from heddle.controlplane.compile_caching import compile_caching
from heddle.controlplane.compile_guards import compile_guards
from heddle.controlplane.compile_mcp import compile_mcp, compile_mcp_rules
from heddle.controlplane.compile_observability import compile_observability
from heddle.controlplane.paths import absolute, said_at
from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_base import many
from heddle.model.config_listeners import Limits, Listener
from heddle.model.config_llm import Media, ModelEntry, Provider, Retry, Timeouts
from heddle.model.config_policies import AuthorizationPolicy, RateLimit
from heddle.model.formats import duration_s
from heddle.model.match import is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.prices import PriceTable
from heddle.model.problem import Place, Report
from heddle.model.rules import base_url
from heddle.model.snapshot import (
    AdminSpec,
    AuthzRule,
    KubernetesAuthn,
    LimitSpec,
    ListenerLimits,
    ListenerSpec,
    MediaSpec,
    ModelSpec,
    ProviderSpec,
    RetrySpec,
    Snapshot,
    TargetSpec,
    TimeoutSpec,
    TlsSpec,
)
from heddle.model.snapshot_mcp import StdioSpec
from heddle.model.snapshot_mcp_auth import ClientCredentialsAuth, IdJagAuth, OAuthCodeAuth, TokenExchangeAuth

AskedFor = OAuthCodeAuth | ClientCredentialsAuth | TokenExchangeAuth | IdJagAuth
"""Credentials that are had from a server."""
PriceSource = Callable[[str, str], PriceTable]
"""(type of provider, base URL) -> its prices; an unknown one has an empty table."""


def compile_snapshot(plan: Plan, secrets: Secrets, report: Report, prices: PriceSource) -> Snapshot:
    """The snapshot of a plan. Secrets that cannot be had are reported.

    Of a plan with errors it is worth nothing, but is made all the same, for what is reported on the way.
    """
    admin = plan.admins[0].value if plan.admins else None
    trust_domain = plan.trust_domains[0].value if plan.trust_domains else "heddle.local"
    providers = tuple(compile_provider(placed, secrets, report) for placed in plan.providers)
    snapshot = Snapshot(
        version="",
        trust_domain=trust_domain,
        listeners=tuple(compile_listener(placed) for placed in plan.listeners),
        admin=AdminSpec(address=admin.address, port=admin.port) if admin is not None else AdminSpec(),
        providers=providers,
        media=compile_media(plan.media[0].value) if plan.media else MediaSpec(),
        models=_models(plan, providers),
        authentication=compile_authentication(plan.authentication, secrets, report),
        authorization=(*(compile_rule(placed) for placed in plan.authorization), *compile_mcp_rules(plan)),
        limits=tuple(compile_limit(placed.value) for placed in plan.limits),
        budgets=compile_budgets(plan, secrets, report),
        guards=compile_guards(plan, secrets, report),
        caching=compile_caching(plan),
        ledger=compile_ledger(plan, secrets, report),
        state=compile_state(plan, secrets, report),
        mcp=compile_mcp(plan, secrets, report),
        observability=compile_observability(plan.observability, secrets, report),
        prices={one.name: table for one in providers if (table := _price_table(one, plan, prices)).models},
    )
    snapshot = msgspec.structs.replace(snapshot, files=_digests(snapshot))
    return msgspec.structs.replace(snapshot, version=version(snapshot))


def _price_table(provider: ProviderSpec, plan: Plan, prices: PriceSource) -> PriceTable:
    return with_prices(prices(provider.type, provider.base_url), provider.name, plan.prices)


def _digests(snapshot: Snapshot) -> dict[str, str]:
    """What makes a change inside of a file a change of the snapshot, where gateways read the file themselves."""
    named = [one.ca_file for one in snapshot.providers]
    named += [one.connect.ca_file for one in snapshot.mcp.targets if not isinstance(one.connect, StdioSpec)]
    named += [one.auth.reach.ca_file for one in snapshot.mcp.targets if isinstance(one.auth, AskedFor)]
    for listener in snapshot.listeners:
        if listener.tls is not None:
            named += [listener.tls.cert_file, listener.tls.key_file, listener.tls.client_ca_file]
    named += [entry.ca_file for entry in snapshot.authentication if isinstance(entry, KubernetesAuthn)]
    return {path: _digest(Path(path)) for path in sorted(set(named)) if path}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def version(snapshot: Snapshot) -> str:
    """Digest of the contents, 16 hex digits: secrets count, the order of mappings does not."""
    return hashlib.sha256(msgspec.json.encode(snapshot, order="deterministic")).hexdigest()[:16]


def compile_listener(placed: Placed[Listener]) -> ListenerSpec:
    """A listener, its files by absolute path."""
    listener, place = placed
    folder, tls = place.source.folder, listener.tls
    return ListenerSpec(
        name=listener.name,
        address=listener.address,
        port=listener.port,
        protocol=listener.protocol,
        tls=None
        if tls is None
        else TlsSpec(
            cert_file=absolute(folder, tls.cert_file),
            key_file=absolute(folder, tls.key_file),
            client_ca_file=absolute(folder, tls.client_ca_file),
        ),
        trusted_proxies=listener.trusted_proxies,
        hostnames=listener.hostnames,
        origins=listener.origins,
        limits=_limits(listener.limits),
    )


def _limits(limits: Limits) -> ListenerLimits:
    return ListenerLimits(
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        head_timeout_s=duration_s(limits.head_timeout),
        body_timeout_s=duration_s(limits.body_timeout),
        idle_timeout_s=duration_s(limits.idle_timeout),
        write_timeout_s=duration_s(limits.write_timeout),
        max_body_bytes=limits.max_body_bytes,
    )


def compile_provider(placed: Placed[Provider], secrets: Secrets, report: Report) -> ProviderSpec:
    """A provider. A credential that cannot be had is reported, and said in the spec."""
    provider, place = placed
    credential, error = _credential(provider, place, secrets, report)
    return ProviderSpec(
        name=provider.name,
        type=provider.type,
        base_url=base_url(provider),
        credential=credential,
        credential_error=error,
        timeouts=_timeouts(provider.timeouts),
        proxy=provider.proxy,
        ca_file=absolute(place.source.folder, provider.ca_file),
        max_connections=provider.max_connections,
        options=provider.options,
    )


def _credential(provider: Provider, place: Place, secrets: Secrets, report: Report) -> tuple[str, str]:
    """The credential, or why there is none in words for callers; both empty when none is asked for."""
    folder, field = place.source.folder, "api_key" if provider.api_key else "api_key_secret"
    try:
        if provider.api_key:
            return secrets.resolve(provider.api_key, folder), ""
        if provider.api_key_secret:
            return secrets.named(provider.api_key_secret, folder), ""
    except SecretError as exc:
        report.warning(place.at(field), f"{exc}; calls to `{provider.name}` will be answered 503")
        return "", exc.public
    return "", ""


def _timeouts(timeouts: Timeouts) -> TimeoutSpec:
    return TimeoutSpec(
        connect_s=duration_s(timeouts.connect),
        first_byte_s=duration_s(timeouts.first_byte),
        idle_s=duration_s(timeouts.idle),
        total_s=duration_s(timeouts.total),
    )


def _models(plan: Plan, providers: tuple[ProviderSpec, ...]) -> tuple[ModelSpec, ...]:
    """Exact names first, then patterns, each as declared: resolution takes the first that fits."""
    sole = providers[0].name if len(providers) == 1 else ""
    usual = plan.retries[0].value if plan.retries else Retry()
    ordered = sorted(plan.models, key=lambda placed: is_glob(placed.value.name))
    return tuple(compile_model(placed, sole, usual) for placed in ordered)


def compile_model(placed: Placed[ModelEntry], sole: str, usual: Retry) -> ModelSpec:
    """A model; `sole` is the provider of one that names none, `usual` what holds where it says nothing of retries."""
    model, place = placed
    return ModelSpec(
        name=model.name,
        provider="" if model.targets else model.provider or sole,
        model=model.model,
        max_output_tokens=model.max_output_tokens,
        targets=tuple(
            TargetSpec(
                provider=target.provider or sole,
                model=target.model,
                weight=target.weight,
                priority=target.priority,
                when=target.when,
                first_token_s=duration_s(target.first_token),
            )
            for target in model.targets
        ),
        aliases=model.aliases,
        access=model.access.spec() if model.access is not None else None,
        retry=_retry(model.retry or usual),
        defaults=model.defaults,
        overrides=model.overrides,
        system=model.prompt.system if model.prompt is not None else "",
        source=said_at(place),
    )


def compile_media(media: Media) -> MediaSpec:
    """What may be fetched."""
    return MediaSpec(
        hosts=media.fetch,
        networks=media.private_networks,
        max_bytes=media.max_bytes,
        timeout_s=duration_s(media.timeout),
    )


def _retry(retry: Retry) -> RetrySpec:
    return RetrySpec(
        attempts=retry.attempts,
        same_target=retry.same_target,
        budget=retry.budget,
        cooldown_s=duration_s(retry.cooldown),
        cooldown_after=retry.cooldown_after,
    )


def compile_rule(placed: Placed[AuthorizationPolicy]) -> AuthzRule:
    """A rule of the global level, or of a listener's."""
    rule, place = placed
    return AuthzRule(
        name=rule.name,
        action=rule.action,
        level=f"listener:{rule.listener}" if rule.listener else "global",
        match=rule.match.spec(),
        resources=rule.resources,
        when=rule.when,
        mode=rule.mode,
        source=said_at(place),
    )


def compile_limit(limit: RateLimit) -> LimitSpec:
    """A limit."""
    return LimitSpec(
        name=limit.name,
        limit=limit.limit,
        window_s=int(duration_s(limit.window)),
        limit_by=limit.limit_by,
        match=limit.match.spec(),
        key=many(limit.key),
        reserve=limit.reserve,
    )
