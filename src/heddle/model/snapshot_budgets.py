"""Budgets, the ledger and the place of counters, compiled: the snapshot's part about spending."""

from typing import Literal

import msgspec

from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_match import MatchSpec


class WindowSpec(msgspec.Struct, frozen=True, kw_only=True):
    """When a balance begins anew."""

    kind: Literal["fixed", "calendar", "sliding"] = "fixed"
    length_s: int = 0
    """Of a fixed or sliding window."""
    period: Literal["", "day", "week", "month", "year"] = ""
    """Of a calendar's."""
    zone: str = "UTC"


class WebhookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where warnings go."""

    url: str
    secret: Secret

    def __repr__(self) -> str:
        return hidden_repr(self)


class BudgetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What may be spent in a window."""

    name: str
    unit: Literal["usd", "tokens"]
    limit: int
    """Nano-dollars, or tokens."""
    window: WindowSpec
    match: MatchSpec = MatchSpec()
    key: tuple[str, ...] = ()
    """Any of `tenant`, `user`, `agent`, `key`, `session`, `model`; each combination has its own balance."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    warn_at: tuple[float, ...] = ()
    """Shares of the limit, ascending."""
    webhook: WebhookSpec | None = None
    on_unknown_price: Literal["refuse", "zero"] = "refuse"


class LedgerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The record of settled calls."""

    enabled: bool = False
    key: Secret = ""
    """Empty uses the one beside the ledger."""
    anchor_every_s: float = 3600.0

    def __repr__(self) -> str:
        return hidden_repr(self)


class StateSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where what changes is kept."""

    counters: str = ""
    """Address of a Redis; empty counts in the state directory."""
    kv: str = ""
    """Address of a Redis; empty keeps values in the state directory."""
    username: str = ""
    password: Secret = ""

    def __repr__(self) -> str:
        return hidden_repr(self)
