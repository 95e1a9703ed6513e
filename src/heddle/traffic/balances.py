"""Balances out of the ledger: what the current windows must hold at least.

Owns the sums, by the same keys and windows that the policy reserves in, and topping up counters that know of less.
Counters are settled before an entry is written, so counters that know of less than the ledger have lost something:
their file, a power failure's last second, the time before a budget was declared. Topping up twice changes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from heddle.drivers.counters import MAX_AMOUNT, Charge, Counters, Refusal, Reservation, Tally
from heddle.drivers.ledger import Entry
from heddle.model.principal import Principal
from heddle.model.snapshot_budgets import BudgetSpec
from heddle.traffic.spending import Caller, Scope, Scopes


class Balance(NamedTuple):
    """What the ledger knows of one count."""

    scope: Scope
    tally: Tally
    """In its current window."""
    used: int


def earliest(budgets: Iterable[BudgetSpec], now_s: float) -> float:
    """Unix time at which the longest current window began; `now_s` without budgets."""
    starts = [now_s]
    for spec in budgets:
        for tally in Scope(spec, dict.fromkeys(spec.key, "")).tallies:
            tally.enter(now_s)
            starts.append(tally.starts_s)
    return min(starts)


def balances(
    entries: Iterable[Entry],
    budgets: tuple[BudgetSpec, ...],
    now_s: float,
    own: Mapping[str, tuple[BudgetSpec, ...]],
) -> list[Balance]:
    """The sums of all balances that were used in their current windows; `own` has keys' own budgets, by their ids."""
    scopes = Scopes(budgets)
    found: dict[int, tuple[Scope, Tally, int]] = {}
    for entry in entries:
        if entry.tool:
            continue  # budgets are of models: what tools cost was never taken from one
        principal = Principal(tenant=entry.tenant, user=entry.user, agent=entry.agent, key_id=entry.key,
                              budgets=own.get(entry.key, ()))  # fmt: skip
        names = tuple(name for name in (entry.model, entry.upstream) if name)
        for scope in scopes.find(Caller(principal, names or ("",), entry.session)):
            amount = (entry.nano_usd or 0) if scope.spec.unit == "usd" else entry.input + entry.output
            for tally in scope.tallies:
                if not tally.ends_s:
                    tally.enter(now_s)
                if tally.starts_s <= entry.t - entry.took < tally.ends_s:
                    used = found[id(tally)][2] if id(tally) in found else 0
                    found[id(tally)] = (scope, tally, used + amount)
    return [Balance(scope, tally, used) for scope, tally, used in found.values()]


async def top_up(counters: Counters, known: list[Balance], now_s: float) -> int:
    """Add to counts what they lack; how many lacked something. Raises what counting raises."""
    lacking = 0
    for balance in known:
        missing = balance.used - await _settled(counters, balance.tally, now_s)
        if missing > 0:
            lacking += 1
            await _add(counters, balance.tally, missing, now_s)
    return lacking


async def _settled(counters: Counters, tally: Tally, now_s: float) -> int:
    """More than the limit is refused outright, and the refusal tells what was settled."""
    outcome = await counters.reserve([Charge(tally, tally.limit + 1, 0, True)], now_s)
    assert isinstance(outcome, Refusal)
    return outcome.settled


async def _add(counters: Counters, tally: Tally, amount: int, now_s: float) -> None:
    while amount > 0:
        outcome = await counters.reserve([Charge(tally, 1, 0, True)], now_s)
        if not isinstance(outcome, Reservation):
            return  # full already: nothing more is let through
        part = min(amount, MAX_AMOUNT)
        counters.settle(outcome, [part])
        amount -= part
