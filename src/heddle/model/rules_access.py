"""Does a configuration let in whom it means to? Authentication, authorization, limits.

Owns the checks of meaning around access. The unsafe is refused: anonymous callers or missing
policies beyond loopback, tokens that nobody validates, keys fetched over plain HTTP.
"""

from heddle.model.config_base import many
from heddle.model.config_budgets import Budget
from heddle.model.config_listeners import Listener
from heddle.model.config_policies import AuthorizationPolicy, Match, RateLimit
from heddle.model.config_security import ApiKey, Jwks, Jwt, Key, Kubernetes, Nobody
from heddle.model.formats import complaint, duration_s, is_loopback, split_url, timestamp_s
from heddle.model.match import is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.plan_mcp import servers_of, serves
from heddle.model.problem import Place, Report, did_you_mean, quote
from heddle.model.reach import Callers, covers, listed
from heddle.model.rules import is_served, unique

_DAY_S = 86_400
_COMMON_WINDOWS_S = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(3600 * hours for hours in (1, 2, 3, 4, 6, 8, 12, 24)),
)
_SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""What `printf %s "$KEY" | sha256sum` prints when the variable is not set."""
_RESOURCES = ("model", "server", "tool", "prompt", "resource")
_LATER_RESOURCES = ("agent",)
_ALLOW_EXAMPLE = "add an allow, such as {name: all, match: {tenant: T}, resources: ['model:*'], action: allow}"


def check_access(plan: Plan, now_s: float, report: Report) -> None:
    """Everything in this module. `now_s` is the Unix time that expiry is compared with."""
    _check_authentication(plan, now_s, report)
    _check_exposure(plan, report)
    _check_authorization(plan, report)
    _check_limits(plan, report)
    _check_reach(plan, report)


def _check_authentication(plan: Plan, now_s: float, report: Report) -> None:
    seen: dict[str, Place] = {}
    for entry, place in plan.authentication:
        if isinstance(entry, ApiKey):
            _check_keys(entry, place, now_s, report, seen)
        elif isinstance(entry, Jwt):
            for index, issuer in enumerate(entry.issuers):
                _check_jwks(issuer.jwks, place.at("issuers", index, "jwks"), report)
        elif isinstance(entry, Kubernetes):
            _check_kubernetes(entry, place, report)


def _check_keys(entry: ApiKey, place: Place, now_s: float, report: Report, seen: dict[str, Place]) -> None:
    """`seen` holds the keys met so far, of any entry."""
    if not entry.keys and entry.virtual is False:
        report.warning(place, "no `keys`, and no virtual ones: nobody can authenticate with one")
    for index, key in enumerate(entry.keys):
        here = place.at("keys", index)
        _check_key(key, here, now_s, report)
        secret = key.key or key.key_sha256.lower()
        first = seen.setdefault(secret, here) if secret else here
        if first is not here:
            report.error(here, f"the same key as on line {first.source.line(first.path)}; who calls would be ambiguous")
            report.mark_broken(here)


def _check_key(key: Key, place: Place, now_s: float, report: Report) -> None:
    broken = report.is_broken(place.at("key")) or report.is_broken(place.at("key_sha256"))
    if bool(key.key) == bool(key.key_sha256) and not broken:
        report.error(place, "give `key` or `key_sha256`, exactly one")
    if key.key_sha256.lower() == _SHA256_OF_NOTHING:
        hint = "the variable was not set when it was computed"
        report.error(place.at("key_sha256"), "is the digest of an empty key, which every caller has", hint)
    if key.expires and not complaint("timestamp", key.expires) and timestamp_s(key.expires) <= now_s:
        report.warning(place.at("expires"), f"this key expired at {key.expires}")


def _check_jwks(jwks: Jwks, place: Place, report: Report) -> None:
    given = [name for name in ("file", "url", "inline") if getattr(jwks, name)]
    if len(given) != 1:
        report.error(place, f"give exactly one of `file`, `url` and `inline`; found {', '.join(given) or 'none'}")
    if jwks.url:
        _check_trusted_url(
            jwks.url, place.at("url"), "whoever changes the keys on the way can forge every token", report
        )


def _check_trusted_url(url: str, place: Place, why: str, report: Report) -> None:
    parts = split_url(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        report.error(place, f"must be https: {why}")


def _check_kubernetes(entry: Kubernetes, place: Place, report: Report) -> None:
    if not entry.service_account_validation:
        report.error(place.at("service_account_validation"), "tokens are always validated", "remove the line")
    if entry.allowed_namespaces == ():
        report.warning(place.at("allowed_namespaces"), "is empty: nobody can authenticate this way")
    if bool(entry.issuer) != (entry.jwks is not None):
        report.error(place, "`issuer` and `jwks` go together: both verify tokens locally, neither asks the API server")
    if entry.issuer and not entry.audiences:
        report.error(
            place.at("audiences"),
            "is required for local verification: a token made for another service must not open this one",
        )
    if entry.jwks is not None:
        _check_jwks(entry.jwks, place.at("jwks"), report)
    if entry.api_server:
        _check_trusted_url(entry.api_server, place.at("api_server"), "tokens and answers cross the network", report)


def _check_exposure(plan: Plan, report: Report) -> None:
    """What beyond loopback everybody could use."""
    for listener, place in plan.listeners:
        if not is_served(listener):
            continue
        if not plan.authentication_policies:
            hint = "add `security.authentication`, e.g. {type: api_key, keys: [{key: '${KEY}', user: me}]}"
            report.missing(place, f"listener `{listener.name}` has no authentication: nobody could call", hint)
        elif listener.address and not is_loopback(listener.address):
            _check_open_listener(plan, listener, place, report)


def _check_open_listener(plan: Plan, listener: Listener, place: Place, report: Report) -> None:
    for entry, at in plan.authentication:
        if isinstance(entry, Nobody):
            message = f"`none` lets anybody use listener `{listener.name}` on {listener.address}"
            report.error(at, message, "bind 127.0.0.1, or authenticate callers")
    rules = (rule for rule, _ in plan.authorization if rule.mode == "enforce")
    if any(rule.listener in ("", listener.name) for rule in rules):
        return
    message = f"listener `{listener.name}` on {listener.address} has no authorization policy that is enforced"
    if listener.protocol != "MCP":
        report.missing(place, message, _ALLOW_EXAMPLE)
        return
    servers = [server for server, _ in servers_of(plan) if serves(server, listener.name)]
    open_to_all = [one.name for one in servers if not any(rule.mode == "enforce" for rule in one.authorization)]
    if open_to_all or not servers:
        names = (
            f", and none stands in virtual server {listed([f'`{one}`' for one in open_to_all], last='or')}"
            if servers
            else ""
        )
        report.missing(place, message + names, _ALLOW_EXAMPLE.replace("model:", "tool:"))


def _check_authorization(plan: Plan, report: Report) -> None:
    # A rule attached to a gateway is in the plan once per listener, at one place.
    rules = {place: rule for rule, place in plan.authorization}
    unique(((rule.name, place) for place, rule in rules.items()), "policy", report)
    listeners = tuple(listener.name for listener, _ in plan.listeners)
    for rule, place in plan.authorization:
        if rule.listener and rule.listener not in listeners:
            hint = did_you_mean(rule.listener, listeners)
            report.error(place.at("listener"), f"there is no listener `{rule.listener}`", hint)
    for place, rule in rules.items():
        check_match(rule.match, place.at("match"), report)
        for index, resource in enumerate(rule.resources):
            check_resource(resource, place.at("resources", index), report)
    _check_deny_only(plan, report)


def check_resource(text: str, place: Place, report: Report, kinds: tuple[str, ...] = _RESOURCES) -> None:
    """Report what no rule can be about; `kinds` are those that are known where it stands."""
    kind, colon, name = text.partition(":")
    known = [f"`{one}:{'URI' if one == 'resource' else 'NAME'}`" for one in kinds]
    if kind in _LATER_RESOURCES and colon:
        # Not a warning: a rule whose resources were left out would be about everything.
        report.error(place, f"resources of kind `{kind}` are not active yet", f"known are {listed(known)}")
    elif kind not in kinds or not colon:
        hint = did_you_mean(kind, kinds) or ("" if colon else f"write `{kinds[0]}:{text}`")
        report.error(place, f"expected {listed(known, last='or')}, got {quote(text)}", hint)
    elif complaint("pattern", name):
        report.error(place, f"after `{kind}:`, {complaint('pattern', name)}")


def check_match(match: Match, place: Place, report: Report) -> None:
    """Report a match that says the same thing twice."""
    if match.kubernetes is not None and match.tenant:
        report.error(place.at("tenant"), "is the same thing as `kubernetes.namespace`; give one of them")


def _check_deny_only(plan: Plan, report: Report) -> None:
    """A level without an allow refuses everything; said once, at its first rule."""
    levels: dict[str, list[Placed[AuthorizationPolicy]]] = {}
    for placed in plan.authorization:
        if placed.value.mode == "enforce":
            levels.setdefault(placed.value.listener, []).append(placed)
    for level, rules in levels.items():
        if all(rule.action == "deny" for rule, _ in rules):
            where = f"listener `{level}`" if level else "the global level"
            report.warning(
                rules[0].place, f"{where} holds only denies, so it refuses every call", "add an allow beside them"
            )


def _check_limits(plan: Plan, report: Report) -> None:
    unique(((limit.name, place) for limit, place in plan.limits), "limit", report)
    for limit, place in plan.limits:
        check_match(limit.match, place.at("match"), report)
        if not complaint("period", limit.window) and limit.window:
            check_limit_window(limit, place.at("window"), report)
        keys = many(limit.key)
        if len(set(keys)) != len(keys):
            report.error(place.at("key"), "names the same part twice")


def check_limit_window(limit: RateLimit, place: Place, report: Report) -> None:
    """Report a window that no limit can have; its form was checked before.

    Windows begin at multiples of their length since 1970-01-01; only these lengths begin where people expect it.
    """
    window_s = duration_s(limit.window)
    if window_s < 1 or window_s != int(window_s):
        report.error(place, "must be whole seconds, at least 1s")
    elif window_s > 366 * _DAY_S:
        report.error(place, "must be at most 366d")
    elif window_s % _DAY_S and _DAY_S % window_s:
        nearest = min(_COMMON_WINDOWS_S, key=lambda common: abs(common - window_s))
        hint = f"the nearest is {_duration_text(nearest)}" if window_s < _DAY_S else "write whole days"
        report.error(place, "must divide a day, or be whole days, to be aligned to UTC", hint)


def _duration_text(seconds: int) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _check_reach(plan: Plan, report: Report) -> None:
    """Rules that are for nobody, and callers that no rule is for."""
    if not plan.authentication or not report.complete:
        return
    callers = Callers(entry for entry, _ in plan.authentication)
    for rule, place in {place: (rule, place) for rule, place in plan.authorization}.values():
        _check_reachable("policy", rule, place, callers, report)
    for limit, place in plan.limits:
        _check_reachable("limit", limit, place, callers, report)
    for budget, place in plan.budgets:
        _check_reachable("budget", budget, place, callers, report)
    _check_left_out(plan, callers, report)


def _check_reachable(
    what: str, rule: AuthorizationPolicy | RateLimit | Budget, place: Place, callers: Callers, report: Report
) -> None:
    if not callers.can_match(rule.match):
        message, hint = callers.explain(rule.match)
        report.warning(place.at("match"), f"{what} `{rule.name}` {message}", hint)


def _check_left_out(plan: Plan, callers: Callers, report: Report) -> None:
    allows = [
        rule.match.tenants() for rule, _ in plan.authorization if rule.action == "allow" and rule.mode == "enforce"
    ]
    tenants = callers.tenants()
    if not plan.authorization or not tenants or not all(allows):
        return
    named = {pattern for patterns in allows for pattern in patterns}
    patterns = tuple(pattern for pattern in named if is_glob(pattern))
    left_out = [tenant for tenant in tenants if tenant not in named and not (patterns and covers(patterns, tenant))]
    if left_out:
        message = f"{listed(left_out)} may authenticate, but no policy allows them anything: every call is refused"
        report.warning(plan.authentication_policies[0], message, "name them in an allow policy")
