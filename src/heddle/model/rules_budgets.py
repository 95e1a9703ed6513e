"""Can budgets be kept as they are written? Limits, windows, warnings; prices; where counters are.

Owns the checks of meaning around spending. What looks like a budget and holds nothing is an error.
"""

from collections.abc import Iterable

from heddle.model.config_base import many
from heddle.model.config_budgets import Budget, Ledger
from heddle.model.formats import complaint, duration_s, is_loopback, split_url
from heddle.model.match import is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place, Report, did_you_mean
from heddle.model.rules import unique

_DAY_S = 86_400
_LONGEST_S = 366 * _DAY_S
_SLIDES = 12
"""Spans that a sliding window is counted in."""


def check_budgets(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    names = [(budget.name, place) for budget, place in plan.budgets]
    unique(names, "budget", report)
    for budget, place in plan.budgets:
        check_budget(budget, place, report)
        _check_warnings(budget, place, report)
        if budget.match.kubernetes is not None and budget.match.tenant:
            report.error(place.at("match", "tenant"), "is the same thing as `kubernetes.namespace`; give one of them")
        keys = many(budget.key)
        if len(set(keys)) != len(keys):
            report.error(place.at("key"), "names the same part twice")
    _check_prices(plan, report)
    for ledger in plan.ledgers:
        _check_ledger(ledger, bool(plan.budgets), report)
    for state, place in plan.states:
        if state.password and not (state.counters or state.kv):
            report.error(place.at("password"), "is for a Redis; give its address in `counters` or `kv`")
        for field in ("counters", "kv"):
            url = getattr(state, field)
            if url.startswith("redis://") and not _is_near(url) and (state.password or field == "kv"):
                what = "the password crosses" if state.password else "answers cross"
                report.warning(place.at(field), f"{what} the network without TLS", "use rediss://")


def check_budget(budget: Budget, place: Place, report: Report) -> None:
    """What every budget must have, a key's own too: one limit, and one window that can be kept."""
    _check_limit(budget, place, report)
    _check_window(budget, place, report)


def _is_near(url: str) -> bool:
    return is_loopback(split_url(url).hostname or "")


def _given(budget: Budget, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(budget, name)]


def _check_limit(budget: Budget, place: Place, report: Report) -> None:
    if any(report.is_broken(place.at(name)) for name in ("limit_usd", "limit_tokens")):
        return
    given = _given(budget, ("limit_usd", "limit_tokens"))
    if len(given) != 1:
        report.error(place, f"give exactly one of `limit_usd` and `limit_tokens`; found {', '.join(given) or 'none'}")
    if budget.limit_tokens and budget.on_unknown_price == "zero":
        report.error(place.at("on_unknown_price"), "is about money; this budget counts tokens", "remove the line")


def _check_window(budget: Budget, place: Place, report: Report) -> None:
    names = ("window", "calendar", "sliding")
    if any(report.is_broken(place.at(name)) for name in names):
        return
    given = _given(budget, names)
    if len(given) != 1:
        found = ", ".join(given) or "none"
        report.error(place, f"give exactly one of `window`, `calendar` and `sliding`; found {found}")
    for name in ("window", "sliding"):
        text = getattr(budget, name)
        if text and not complaint("period", text):
            _check_length(name, duration_s(text), place.at(name), report)


def _check_length(name: str, length_s: float, place: Place, report: Report) -> None:
    if length_s < 1 or length_s != int(length_s):
        report.error(place, "must be whole seconds, at least 1s")
    elif length_s > _LONGEST_S:
        report.error(place, "must be at most 366d")
    elif name == "window" and length_s % _DAY_S and _DAY_S % length_s:
        report.error(place, "must divide a day, or be whole days, to be aligned to UTC", "or write `sliding`")
    elif name == "sliding" and length_s % _SLIDES:
        report.error(place, f"must be a multiple of {_SLIDES}s: it is counted in {_SLIDES} spans")


def _check_warnings(budget: Budget, place: Place, report: Report) -> None:
    webhook = budget.webhook
    if list(budget.warn_at) != sorted(set(budget.warn_at)):
        report.error(place.at("warn_at"), "must ascend, each share once")
    if webhook is None:
        return
    here = place.at("webhook")
    if not budget.warn_at:
        report.error(here, "is never told anything without `warn_at`", "add e.g. `warn_at: [0.8, 1.0]`")
    parts = split_url(webhook.url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        report.error(here.at("url"), "must be https: what is spent by whom crosses the network")


def _check_prices(plan: Plan, report: Report) -> None:
    providers = tuple(placed.value.name for placed in plan.providers)
    wider: list[tuple[str, str]] = []
    for price, place in plan.prices:
        if price.provider and price.provider not in providers:
            hint = did_you_mean(price.provider, providers) or f"declared: {', '.join(providers[:10]) or 'none'}"
            report.error(place.at("provider"), f"there is no provider `{price.provider}`", hint)
        name = price.model.lower()
        for provider, pattern in wider:
            if provider in ("", price.provider) and (pattern == name or _fits_all(pattern, name)):
                report.warning(place, f"`{price.model}` is never reached: `{pattern}` stands before it and fits first")
                break
        wider.append((price.provider, name))


def _fits_all(pattern: str, name: str) -> bool:
    """Whether a pattern `prefix*` fits all that another fits."""
    return is_glob(pattern) and pattern.find("*") == len(pattern) - 1 and name.startswith(pattern[:-1])


def _check_ledger(placed: Placed[Ledger], budgets: bool, report: Report) -> None:
    ledger, place = placed
    if ledger.enabled is False and budgets:
        message = "without the ledger, what was spent is not known any more when the counters are lost"
        report.warning(place.at("enabled"), message)
    if ledger.anchor_every and not complaint("period", ledger.anchor_every) and duration_s(ledger.anchor_every) < 1:
        report.error(place.at("anchor_every"), "must be at least 1s")
