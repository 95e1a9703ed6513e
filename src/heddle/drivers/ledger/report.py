"""Sums over the ledger: what was used and what it cost, by any of its dimensions.

Owns the dimensions and the columns. Money is summed in whole nano-dollars, so that no order of additions changes it.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from heddle.drivers.ledger import NANO, Entry


def _moment(form: str) -> Callable[[Entry], str]:
    return lambda entry: datetime.fromtimestamp(entry.t, UTC).strftime(form)


def _field(name: str) -> Callable[[Entry], str]:
    return lambda entry: str(getattr(entry, name))


DIMENSIONS: dict[str, Callable[[Entry], str]] = {
    **{name: _field(name) for name in ("tenant", "user", "agent", "key", "session", "model", "upstream", "provider")},
    "operation": _field("operation"),
    **{name: _field(name) for name in ("server", "target", "tool")},
    "month": _moment("%Y-%m"),
    "day": _moment("%Y-%m-%d"),
    "hour": _moment("%Y-%m-%dT%H"),
}
"""Name -> what an entry has there. Times are UTC."""


class Sum(msgspec.Struct):
    """What some calls used."""

    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    nano_usd: int = 0
    unpriced: int = 0
    """Calls without a known price, counted as zero."""
    estimated: int = 0
    """Calls whose provider never said what they used."""

    def add(self, entry: Entry) -> None:
        """One call more."""
        self.calls += 1
        self.input += entry.input
        self.cached += entry.cached
        self.output += entry.output
        self.reasoning += entry.reasoning
        self.nano_usd += entry.nano_usd or 0
        self.unpriced += entry.nano_usd is None
        self.estimated += entry.estimated

    def shown(self) -> dict[str, int | float]:
        """The columns, with dollars for people."""
        fields = msgspec.structs.asdict(self)
        nano = fields.pop("nano_usd")
        return {**fields, "usd": nano / NANO}


class Report:
    """Sums by some dimensions."""

    def __init__(self, by: tuple[str, ...], where: dict[str, str] | None = None) -> None:
        """`where` keeps entries whose dimensions have these values. KeyError for a dimension that there is not."""
        self._by = tuple(DIMENSIONS[name] for name in by)
        self._where = [(DIMENSIONS[name], value) for name, value in (where or {}).items()]
        self.by = by
        self.total = Sum()
        self._sums: dict[tuple[str, ...], Sum] = {}

    def read(self, entries: Iterable[Entry]) -> "Report":
        """Add everything up."""
        for entry in entries:
            if all(of(entry) == value for of, value in self._where):
                self.total.add(entry)
                self._sums.setdefault(tuple(of(entry) for of in self._by), Sum()).add(entry)
        return self

    def rows(self) -> list[tuple[tuple[str, ...], Sum]]:
        """By time where time is the first dimension, else the dearest first."""
        if self.by and self.by[0] in ("month", "day", "hour"):
            return sorted(self._sums.items(), key=lambda row: row[0])
        return sorted(self._sums.items(), key=lambda row: (-row[1].nano_usd, -row[1].input - row[1].output, row[0]))

    def shown(self) -> dict[str, object]:
        """Plain data, ready for JSON."""
        rows = [{**dict(zip(self.by, values, strict=True)), **found.shown()} for values, found in self.rows()]
        return {"by": list(self.by), "rows": rows, "total": self.total.shown()}
