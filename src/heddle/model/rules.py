"""Does a well-formed configuration make sense? Names, references, ports, providers, models, outputs.

Owns the checks of meaning that need nothing but the configuration itself; who may do what is in `rules_access`.
All are run, none stops another. Refusing is for what cannot work or is unsafe; what works but is probably not meant
is a warning.
"""

from collections.abc import Iterable

from heddle.model.config_listeners import Admin, Listener
from heddle.model.config_llm import Provider
from heddle.model.config_observability import Elasticsearch, Observability
from heddle.model.formats import is_loopback, split_url
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place, Report, did_you_mean
from heddle.model.snapshot import SERVED_PROTOCOLS

_PUBLIC_BASE_URLS = {"openai": "https://api.openai.com/v1"}


def base_url(provider: Provider) -> str:
    """The base URL that calls go to, without a slash at the end; empty when the type needs none."""
    return (provider.base_url or _PUBLIC_BASE_URLS.get(provider.type, "")).rstrip("/")


def is_served(listener: Listener) -> bool:
    """Whether the listener's protocol is built, so that it is bound."""
    return listener.protocol in SERVED_PROTOCOLS


def check_rules(plan: Plan, provider_types: Iterable[str], report: Report) -> None:
    """Everything in this module."""
    _check_singletons(plan, report)
    _check_listeners(plan, report)
    _check_providers(plan, tuple(provider_types), report)
    for placed in plan.observability:
        _check_observability(placed, report)


def unique(names: Iterable[tuple[str, Place]], what: str, report: Report) -> None:
    """Report names that are given twice."""
    seen: dict[str, Place] = {}
    for name, place in names:
        first = seen.setdefault(name, place)
        if first is not place and name:
            where = f"{first.source.file}:{first.source.line(first.path)}"
            report.error(place.at("name"), f"there is already a {what} `{name}`, at {where}")


def _check_singletons(plan: Plan, report: Report) -> None:
    places = {
        "admin": [placed.place for placed in plan.admins],
        "trust_domain": [placed.place for placed in plan.trust_domains],
        "authentication": plan.authentication_policies,
        "observability": [placed.place for placed in plan.observability],
        "media": [placed.place for placed in plan.media],
        "ledger": [placed.place for placed in plan.ledgers],
        "state": [placed.place for placed in plan.states],
        "retry": [placed.place for placed in plan.retries],
        "mcp.sessions": [placed.place for placed in plan.sessions],
        "mcp.credentials": [placed.place for placed in plan.credentials],
        "mcp.judge": [placed.place for placed in plan.judges],
    }
    for what, found in places.items():
        for place in found[1:]:
            first = found[0]
            where = f"{first.source.file}:{first.source.line(first.path)}"
            report.error(place, f"{what} is already declared, at {where}", "declare it once")


def _check_listeners(plan: Plan, report: Report) -> None:
    unique(((one.value.name, one.place) for one in plan.listeners), "listener", report)
    admin = plan.admins[0] if plan.admins else Placed(Admin(), plan.root)
    taken: list[tuple[str, str, int]] = [("admin", admin.value.address, admin.value.port)]
    for listener, place in plan.listeners:
        for other, address, port in taken:
            if port == listener.port and port and _same_address(address, listener.address):
                report.error(place.at("port"), f"port {port} is already taken by `{other}`")
        taken.append((listener.name, listener.address, listener.port))
        if not is_served(listener):
            report.warning(
                place, f"listener `{listener.name}` is not bound: protocol {listener.protocol} is not active yet"
            )
        for index, network in enumerate(listener.trusted_proxies):
            if network.endswith("/0"):
                report.warning(
                    place.at("trusted_proxies", index), "believes everybody: any caller can claim any address"
                )
    if report.complete and not any(is_served(listener) for listener, _ in plan.listeners):
        report.warning(admin.place, "no listener is served", "add one with `protocol: HTTP` to `listeners`")
    if plan.admins and not is_loopback(admin.value.address):
        report.warning(
            admin.place.at("address"), "the admin credential crosses the network without TLS", "bind 127.0.0.1"
        )


def _same_address(one: str, other: str) -> bool:
    """Whether two sockets on one port would collide; a wildcard address collides with every address."""
    wild = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return one == other or one in wild or other in wild or {one, other} <= {"localhost", "127.0.0.1", "::1"}


def _check_providers(plan: Plan, types: tuple[str, ...], report: Report) -> None:
    unique(((one.value.name, one.place) for one in plan.providers), "provider", report)
    for provider, place in plan.providers:
        if provider.type not in types:
            known = f"known here: {', '.join(types)}"
            report.error(
                place.at("type"),
                f"unknown provider type `{provider.type}`",
                did_you_mean(provider.type, types) or known,
            )
        if provider.api_key and provider.api_key_secret:
            report.error(place.at("api_key_secret"), "give `api_key` or `api_key_secret`, not both")
        url = split_url(base_url(provider))
        if (
            url.scheme == "http"
            and (provider.api_key or provider.api_key_secret)
            and not is_loopback(url.hostname or "")
        ):
            report.warning(
                place.at("base_url"), "the provider's credential crosses the network without TLS", "use https"
            )


def _check_observability(placed: Placed[Observability], report: Report) -> None:
    tracing, logging = placed.value.tracing, placed.value.logging
    if tracing is not None and tracing.enabled and not tracing.endpoint:
        report.warning(placed.place.at("tracing"), "no `endpoint`: no spans are recorded")
    if tracing is not None and tracing.insecure and tracing.endpoint.startswith("https://"):
        report.error(placed.place.at("tracing", "insecure"), "contradicts the https endpoint")
    if logging is None:
        return
    for index, output in enumerate(logging.output):
        place = placed.place.at("logging", "output", index)
        if not isinstance(output, Elasticsearch):
            continue
        if output.api_key and (output.username or output.password):
            report.error(place.at("api_key"), "give `api_key`, or `username` and `password`, not both")
        if bool(output.username) != bool(output.password):
            report.error(place, "`username` and `password` go together")
    if logging.bodies:
        report.warning(placed.place.at("logging", "bodies"), "prompts and completions are written to every output")


def served(plan: Plan, protocol: str) -> list[Placed[Listener]]:
    """The listeners of a protocol, if it is built."""
    return [one for one in plan.listeners if one.value.protocol == protocol and is_served(one.value)]
