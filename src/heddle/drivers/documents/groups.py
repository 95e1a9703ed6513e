"""Writers that wait together for one commit, and how each learns what became of its changes.

Owns the passing on only: which group is written when, and how, is each driver's own matter.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from heddle.drivers.documents import Change, ConflictError, UnavailableError, Write
from heddle.drivers.documents.planning import Plan

MAX_GROUP = 512
"""Batches of one transaction."""
COMPACT_STEP = 1_000
"""Changes that are compacted in one transaction, so that writes get their turn."""

_T = TypeVar("_T")
Outcome = list[Change] | ConflictError


class Batch(NamedTuple):
    """What one writer wants written, whole or not at all, and where it waits for it."""

    writes: Sequence[Write]
    done: asyncio.Future[list[Change]]


def planned(plan: Plan, batches: Sequence[Batch]) -> list[Outcome]:
    """What becomes of each when the plan is written."""
    return [_planned(plan, batch.writes) for batch in batches]


def _planned(plan: Plan, writes: Sequence[Write]) -> Outcome:
    try:
        return plan.add(writes)
    except ConflictError as exc:
        return exc


def changes_of(outcomes: Sequence[Outcome]) -> list[Change]:
    """What was written, in order."""
    return [change for outcome in outcomes if isinstance(outcome, list) for change in outcome]


def answer(batches: Sequence[Batch], outcomes: Sequence[Outcome]) -> None:
    """Tell each writer what became of its changes."""
    for batch, outcome in zip(batches, outcomes, strict=True):
        if isinstance(outcome, list):
            settle(batch.done, outcome)
        else:
            refuse(batch.done, outcome)


def fail(batches: Sequence[Batch], why: str, unknown: bool) -> None:
    """Tell each writer that it could not be written."""
    for batch in batches:
        refuse(batch.done, UnavailableError(why, unknown=unknown))


def settle(done: asyncio.Future[_T], value: _T) -> None:
    """Answer whoever still waits."""
    if not done.done():
        done.set_result(value)


def refuse(done: asyncio.Future[_T], error: Exception) -> None:
    """Raise it where somebody still waits."""
    if not done.done():
        done.set_exception(error)
