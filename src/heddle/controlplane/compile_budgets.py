"""Spending, compiled: budgets in whole nano-dollars or tokens, the ledger's key, the place of counters, prices.

Owns the units: dollars become nano-dollars here and nowhere else.
"""

import re
from zoneinfo import ZoneInfo

import msgspec

from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_base import many
from heddle.model.config_budgets import Budget, Price
from heddle.model.formats import duration_s
from heddle.model.match import is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.prices import ModelPrice, PriceClause, PriceTable, Rate
from heddle.model.problem import Place, Report
from heddle.model.snapshot_budgets import BudgetSpec, LedgerSpec, StateSpec, WebhookSpec, WindowSpec

NANO = 1_000_000_000
_MIN_SECRET = 16


def compile_budgets(plan: Plan, secrets: Secrets, report: Report) -> tuple[BudgetSpec, ...]:
    """All budgets. Reports secrets that cannot be had, and time zones that this machine does not know."""
    return tuple(_budget(placed, secrets, report) for placed in plan.budgets)


def compile_ledger(plan: Plan, secrets: Secrets, report: Report) -> LedgerSpec:
    """The ledger: kept when it is asked for, or when there are budgets and nobody says otherwise."""
    if not plan.ledgers:
        return LedgerSpec(enabled=bool(plan.budgets))
    ledger, place = plan.ledgers[0]
    return LedgerSpec(
        enabled=bool(plan.budgets) if ledger.enabled is None else ledger.enabled,
        key=_secret(ledger.key, place.at("key"), secrets, report),
        anchor_every_s=duration_s(ledger.anchor_every),
    )


def compile_state(plan: Plan, secrets: Secrets, report: Report) -> StateSpec:
    """Where limits and budgets are counted, and what workers remember for each other."""
    if not plan.states:
        return StateSpec()
    state, place = plan.states[0]
    password = ""
    try:
        password = secrets.resolve(state.password, place.source.folder) if state.password else ""
    except SecretError as exc:
        report.error(place.at("password"), str(exc))
    return StateSpec(counters=state.counters, kv=state.kv, username=state.username, password=password)


def with_prices(table: PriceTable, provider: str, prices: list[Placed[Price]]) -> PriceTable:
    """A provider's prices, with those of the configuration before them."""
    own = tuple(_price(price) for price, _ in prices if price.provider in ("", provider))
    return msgspec.structs.replace(table, models=(*own, *table.models)) if own else table


def _budget(placed: Placed[Budget], secrets: Secrets, report: Report) -> BudgetSpec:
    budget, place = placed
    webhook = budget.webhook
    return BudgetSpec(
        name=budget.name,
        unit="usd" if budget.limit_usd is not None else "tokens",
        limit=budget.limit_tokens or round((budget.limit_usd or 0) * NANO),
        window=compile_window(budget, place, report),
        match=budget.match.spec(),
        key=many(budget.key),
        reserve=budget.reserve,
        warn_at=budget.warn_at,
        webhook=None
        if webhook is None
        else WebhookSpec(
            url=webhook.url, secret=_secret(webhook.secret, place.at("webhook", "secret"), secrets, report)
        ),
        on_unknown_price=budget.on_unknown_price,
    )


def compile_window(budget: Budget, place: Place, report: Report) -> WindowSpec:
    """The window of a checked budget. Reports a time zone that this machine does not know."""
    if budget.calendar is not None:
        zone = budget.calendar.zone
        try:
            ZoneInfo(zone)
        except (ValueError, OSError):
            # Also IsADirectoryError, for names such as `Europe`; ZoneInfoNotFoundError is a KeyError.
            report.error(place.at("calendar", "zone"), f"this machine knows no time zone `{zone}`")
        except KeyError:
            report.error(place.at("calendar", "zone"), f"this machine knows no time zone `{zone}`")
        return WindowSpec(kind="calendar", period=budget.calendar.period, zone=zone)
    if budget.sliding:
        return WindowSpec(kind="sliding", length_s=int(duration_s(budget.sliding)))
    return WindowSpec(kind="fixed", length_s=int(duration_s(budget.window)))


def _secret(text: str, place: Place, secrets: Secrets, report: Report) -> str:
    """A secret that something is sealed or signed with: one that is missing or short is an error."""
    if not text:
        return ""
    try:
        secret = secrets.resolve(text, place.source.folder)
    except SecretError as exc:
        report.error(place, str(exc))
        return ""
    if len(secret) < _MIN_SECRET:
        report.error(place, f"the secret is too short: at least {_MIN_SECRET} characters")
    return secret


def _price(price: Price) -> ModelPrice:
    name = price.model.lower()
    clauses: tuple[PriceClause, ...] = ()
    if is_glob(name):
        text = ".*".join(re.escape(part) for part in name.split("*"))
        clauses = (PriceClause(kind="regex", text=rf"\A{text}\Z"),)
    return ModelPrice(
        model=name,
        clauses=clauses,
        input=_rate(price.input),
        output=_rate(price.output),
        cache_read=_rate(price.cache_read),
        cache_write=_rate(price.cache_write),
        reasoning=_rate(price.reasoning),
        usd_per_call=price.per_call,
    )


def _rate(usd: float | None) -> Rate | None:
    return None if usd is None else Rate(base_usd_per_mtok=usd)
