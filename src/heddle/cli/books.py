"""The parent's part in spending: balances that were lost, the ledger on the disk, anchors, reports.

Owns what must happen once for all workers and never on the way of a call. The parent has a slot of its own in the table
of counters, behind those of its workers.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

from heddle.drivers.counters import CountersFullError
from heddle.drivers.counters.shared import SharedCounters
from heddle.drivers.ledger import NANO, LedgerError
from heddle.drivers.ledger.chain import segments
from heddle.drivers.ledger.heads import FILE, read_heads
from heddle.drivers.ledger.reading import Reading
from heddle.drivers.ledger.report import Report
from heddle.model.formats import complaint, timestamp_s
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_budgets import BudgetSpec
from heddle.telemetry.lines import timestamp
from heddle.telemetry.records import AuditRecord
from heddle.traffic.balances import Balance, balances, earliest, top_up

SYNC_S = 1.0
"""How much of the ledger a power failure may take: what was written in this time, and while the disk was busy."""


class Books:
    """Everything about spending that the parent does."""

    def __init__(self, state_dir: Path, slot: int, audit: Callable[[AuditRecord], None]) -> None:
        """Raises OSError when the parent's slot in the counters is taken."""
        self._directory = state_dir / "ledger"
        self._counters = SharedCounters(state_dir / "limits.bin", slot)
        self._audit = audit
        self._snapshot: Snapshot | None = None
        self._budgets: tuple[BudgetSpec, ...] = ()
        self.keys: Callable[[], Mapping[str, tuple[BudgetSpec, ...]]] = dict
        """Budgets of virtual keys' own, by the ids of keys; asked when a mesh starts or its budgets change."""
        self._anchored_s = time.monotonic()
        self._synced_s = 0.0
        self._syncing: asyncio.Future[None] | None = None

    async def prepare(self, snapshot: Snapshot) -> str:
        """Before workers run `snapshot`: counts of its budgets that know less than the ledger are topped up.

        What happened in words, empty when nothing did. Counters beyond this machine are not touched: its ledger knows
        of its own calls only.
        """
        budgets, own = snapshot.budgets, self.keys() if self._snapshot is None else {}
        if (
            not (budgets or own)
            or (budgets == self._budgets and not own)
            or snapshot.state.counters
            or not self._directory.is_dir()
        ):
            return ""
        now_s = time.time()
        try:
            known = await asyncio.to_thread(self._balances, budgets, now_s, own)
            lacking = await top_up(self._counters, known, now_s)
        except (OSError, CountersFullError) as exc:
            return f"balances could not be compared with the ledger: {exc}"
        return f"{lacking} balances were behind the ledger, and are rebuilt from it" if lacking else ""

    def follow(self, snapshot: Snapshot) -> None:
        """Workers run `snapshot`."""
        self._snapshot, self._budgets = snapshot, snapshot.budgets

    def _balances(
        self, budgets: tuple[BudgetSpec, ...], now_s: float, own: Mapping[str, tuple[BudgetSpec, ...]]
    ) -> list[Balance]:
        every = [*budgets, *(spec for specs in own.values() for spec in specs)]
        return balances(Reading(self._directory, since_s=earliest(every, now_s)), budgets, now_s, own)

    def tick(self) -> None:
        """Now and then: have the disk keep what was written, off this thread, and anchor the heads."""
        if not self._directory.is_dir():
            return
        now = time.monotonic()
        if now - self._synced_s >= SYNC_S and (self._syncing is None or self._syncing.done()):
            self._synced_s = now
            self._syncing = asyncio.ensure_future(asyncio.to_thread(self._sync))
        if self._snapshot is not None and now - self._anchored_s >= self._snapshot.ledger.anchor_every_s:
            self.anchor()

    def anchor(self) -> None:
        """Write into the audit log how far the ledger reaches: what is shipped from there cannot be put back."""
        self._anchored_s = time.monotonic()
        with contextlib.suppress(OSError, LedgerError):
            heads = read_heads(self._directory)
            if heads:
                text = ", ".join(f"{slot}={head}" for slot, head in heads.items())
                self._audit(AuditRecord(kind="ledger", outcome="anchor", resource="ledger", detail=text))

    def _sync(self) -> None:
        # The data before the heads: a head that knows of more than there is reads like a truncation.
        paths = [files[-1].path for files in segments(self._directory).values()]
        for path in [*paths, self._directory / FILE, self._directory]:
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def usage(self, query: str) -> dict[str, object]:
        """A report, as /usage shows it: `by`, `since`, `until`. Blocks while it reads. Raises ValueError."""
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        unknown = sorted(asked.keys() - {"by", "since", "until"})
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]!r}; known are by, since, until")
        reading = Reading(
            self._directory,
            since_s=_moment(asked.get("since", ""), 0.0),
            until_s=_moment(asked.get("until", ""), float("inf")),
        )
        try:
            report = Report(tuple(name for name in asked.get("by", "model").split(",") if name))
        except KeyError as exc:
            raise ValueError(f"there is no dimension {exc}") from exc
        return report.read(reading).shown()

    def spent(self) -> list[dict[str, object]]:
        """Balances of the current windows, the fullest of each budget first. Blocks while it reads."""
        now_s = time.time()
        known = self._balances(self._budgets, now_s, {}) if self._budgets else []
        return [_shown(spec, [one for one in known if one.scope.spec is spec]) for spec in self._budgets]

    def close(self) -> None:
        """Anchor for the last time and let go."""
        if self._directory.is_dir():
            self._sync()
            self.anchor()
        self._counters.close()


def _moment(text: str, unset: float) -> float:
    if not text:
        return unset
    if complaint("timestamp", text):
        raise ValueError(f"expected a date or a time (RFC 3339), got {text!r}")
    return timestamp_s(text)


def _shown(spec: BudgetSpec, known: list[Balance]) -> dict[str, object]:
    unit = NANO if spec.unit == "usd" else 1
    fullest: dict[int, Balance] = {}
    for one in known:  # of the windows that make up a sliding one, the fullest counts
        if id(one.scope) not in fullest or one.used > fullest[id(one.scope)].used:
            fullest[id(one.scope)] = one
    top = sorted(fullest.values(), key=lambda one: -one.used)
    return {
        "name": spec.name,
        "unit": spec.unit,
        "limit": spec.limit / unit,
        "balances": [
            {"key": one.scope.values, "used": one.used / unit, "resets": timestamp(one.tally.ends_s)}
            for one in top[:100]
        ],
    }
