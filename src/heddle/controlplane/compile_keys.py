"""A virtual key, from what people write to what gateways run.

Owns the checks of meaning that the configuration's own rules do not have, and the names of a key's own limits and
budgets: made of what they count and how long, so that a changed number goes on counting where it was.
"""

from typing import Any

import msgspec

from heddle.controlplane.compile_budgets import compile_window
from heddle.controlplane.keystore import KeyRecord
from heddle.drivers.ledger import NANO
from heddle.model.check import check
from heddle.model.config_budgets import Budget
from heddle.model.config_keys import MAX_METADATA_BYTES, KeyBudget, KeyLimit, KeyRequest
from heddle.model.config_policies import RateLimit
from heddle.model.formats import duration_s, timestamp_s
from heddle.model.problem import Place, Problem, Report, Source
from heddle.model.reading import Reading
from heddle.model.rules_access import check_limit_window
from heddle.model.rules_budgets import check_budget
from heddle.model.snapshot import LimitSpec
from heddle.model.snapshot_budgets import BudgetSpec
from heddle.model.virtual_keys import KeyRefusedError, KeySecret, VirtualKey


def compile_key(record: KeyRecord) -> VirtualKey:
    """What gateways are told of a key. Raises KeyRefusedError with everything that is wrong with what was said."""
    report, place = Report(), Place(Source(), "")
    request = check(record.said, KeyRequest, Reading(report, place.source)) or KeyRequest()
    if len(msgspec.json.encode(request.metadata)) > MAX_METADATA_BYTES:
        report.error(place.at("metadata"), f"is larger than {MAX_METADATA_BYTES} bytes as JSON")
    limits = tuple(_limit(limit, place.at("limits", at), report) for at, limit in enumerate(request.limits))
    budgets = tuple(_budget(budget, place.at("budgets", at), report) for at, budget in enumerate(request.budgets))
    _check_distinct("limits", [limit.name for limit in limits], place, report)
    _check_distinct("budgets", [budget.name for budget in budgets], place, report)
    if report.failed:
        errors = [_line(one) for one in report.problems if one.severity == "error"]
        raise KeyRefusedError(f"a key cannot be like this: {'; '.join(errors)}")
    return VirtualKey(
        id=record.id,
        secrets=tuple(KeySecret(bytes.fromhex(secret.sha256), secret.until_s) for secret in record.secrets),
        user=request.user,
        tenant=request.tenant,
        agent=request.agent,
        models=request.models,
        expires_at_s=timestamp_s(request.expires) if request.expires else 0.0,
        disabled=request.disabled,
        metadata=request.metadata,
        limits=limits,
        budgets=budgets,
    )


def _limit(limit: KeyLimit, place: Place, report: Report) -> LimitSpec:
    shared: dict[str, Any] = msgspec.structs.asdict(limit)
    if not report.is_broken(place.at("window")):
        check_limit_window(RateLimit(**shared), place.at("window"), report)
    return LimitSpec(
        name=f"key:{limit.limit_by}/{limit.window}",
        limit=limit.limit,
        window_s=int(duration_s(limit.window)),
        limit_by=limit.limit_by,
        key=("key",),
        reserve=limit.reserve,
    )


def _budget(budget: KeyBudget, place: Place, report: Report) -> BudgetSpec:
    shared: dict[str, Any] = msgspec.structs.asdict(budget)
    same = Budget(**shared)
    check_budget(same, place, report)
    unit = "usd" if budget.limit_usd is not None else "tokens"
    calendar = budget.calendar
    length = budget.window or (f"sliding {budget.sliding}" if budget.sliding else "")
    return BudgetSpec(
        name=f"key:{unit}/{f'{calendar.period} {calendar.zone}' if calendar is not None else length}",
        unit="usd" if budget.limit_usd is not None else "tokens",
        limit=budget.limit_tokens or round((budget.limit_usd or 0) * NANO),
        window=compile_window(same, place, report),
        key=("key",),
        reserve=budget.reserve,
        on_unknown_price=budget.on_unknown_price,
    )


def _check_distinct(field: str, names: list[str], place: Place, report: Report) -> None:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            report.error(place.at(field, index), f"counts the same in the same window as {field}[{first}]")


def _line(problem: Problem) -> str:
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"{text} ({problem.hint})" if problem.hint else text
