"""The short form's `budgets`, `ledger`, `state` and `llm.prices`: what may be spent, what was, and at which price.

*Source:* Standard Webhooks 1.0 for how warnings are signed; IANA time zone database for names of zones.
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Name, Part, Pattern, Period, Secret, Url
from heddle.model.config_policies import Match

BudgetKey = Literal["tenant", "user", "agent", "key", "session", "model"]
Usd = Annotated[float, msgspec.Meta(ge=0.000001, le=1e9)]
UsdPerMillion = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
RedisUrl = Annotated[str, msgspec.Meta(description="redis or rediss URL", extra={"form": "redis"})]
Zone = Annotated[str, msgspec.Meta(description="time zone, e.g. `Europe/Berlin`", max_length=64)]


class Calendar(Part, frozen=True, kw_only=True):
    """A window that begins when the calendar's does."""

    period: Literal["day", "week", "month", "year"]
    """What begins anew. Weeks begin on Monday."""
    zone: Zone = "UTC"
    """Time zone whose midnight counts, by its name in the IANA database."""


class Webhook(Part, frozen=True, kw_only=True):
    """Where warnings are sent, off the way of any call."""

    url: Url
    """Receives a POST with JSON: https, or http to this machine. It may come more than once; `webhook-id` is the same
    then."""
    secret: Secret
    """Signs it (HMAC-SHA256, as Standard Webhooks says): `whsec_` and base64, or any text of at least 16
    characters."""


class Budget(Part, frozen=True, kw_only=True):
    """What may be spent in a window. Every budget that matches a call must have room for it."""

    name: Name = ""
    """Unique; a refused caller is told it. A Policy resource may leave it to its metadata."""
    match: Match = Match()
    """Callers and calls that it is for. Unset is all."""
    key: BudgetKey | tuple[BudgetKey, ...] = ()
    """What has a balance of its own: any of tenant, user, agent, key, session, model. Empty is one for all that
    match."""
    limit_usd: Usd | None = None
    """Most US dollars in one window. Give this or `limit_tokens`."""
    limit_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    """Most tokens, input plus output, in one window."""
    window: Period = ""
    """A window of fixed length, aligned to UTC: `1h`, `24h`, `7d`. Give this, `calendar` or `sliding`."""
    calendar: Calendar | None = None
    """A day, week, month or year of the calendar."""
    sliding: Period = ""
    """In no span of this length is more spent: `24h`, `7d`. What was spent is forgotten up to a twelfth of it late."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    """What is held before the call: `upper_bound` never passes the limit where calls or models say how much output
    there can be; `estimate` (learned) admits more calls at once. A stream that outgrows what it holds gets more, or
    is ended."""
    warn_at: tuple[Share, ...] = ()
    """Shares of the limit, such as `[0.8, 1.0]`, at which the webhook is told, once per window and key."""
    webhook: Webhook | None = None
    """Who is told. Without it, warnings are audit records only."""
    on_unknown_price: Literal["refuse", "zero"] = "refuse"
    """Calls to a model without a known price: refused, or counted as zero and marked so in the ledger. Prices can be
    given in `llm.prices`."""


class NamedBudget(Budget, frozen=True, kw_only=True):
    """What may be spent in a window. Every budget that matches a call must have room for it."""

    name: Name
    """Unique; a refused caller is told it."""


class Ledger(Part, frozen=True, kw_only=True):
    """The record of what every settled call used and cost, in the state directory."""

    enabled: bool | None = None
    """Keep it. Unset keeps it when there are budgets."""
    key: Secret = ""
    """Seals entries: `${ENV}` or `file:path`, at least 16 characters. Unset makes one, beside the ledger; then those
    who can write to the state directory could forge it."""
    anchor_every: Period = "1h"
    """How often an audit record says how far the ledger reaches, so that nobody can put an earlier copy back."""


class State(Part, frozen=True, kw_only=True):
    """Where what changes is kept."""

    counters: RedisUrl = ""
    """Redis where limits and budgets are counted, exact over all machines that share it: `redis://host:6379/0`, or
    `rediss://` with TLS. Unset counts in the state directory, exact on this machine."""
    kv: RedisUrl = ""
    """Redis for what workers remember for each other: cached answers, proofs of thinking, owners of what vendors keep,
    changes of MCP sessions. Workers of several machines speak to each other over it, too. Unset keeps everything in
    the state directory, for this machine's workers."""
    username: Annotated[str, msgspec.Meta(max_length=256)] = ""
    """User of either Redis. Unset is its default user."""
    password: Secret = ""
    """Password of that user."""


class Price(Part, frozen=True, kw_only=True):
    """What a model costs, in US dollars per million tokens. Stands before the prices that Heddle knows."""

    model: Pattern
    """Name of the model as the provider knows it, or a pattern. Upper and lower case are one."""
    provider: Name = ""
    """Name of the provider. Unset is every one."""
    input: UsdPerMillion
    """Input tokens."""
    output: UsdPerMillion
    """Output tokens; 0 for models that have none."""
    cache_read: UsdPerMillion | None = None
    """Input read from the provider's cache. Unset is as input."""
    cache_write: UsdPerMillion | None = None
    """Input written to it. Unset is as input."""
    reasoning: UsdPerMillion | None = None
    """Output spent on reasoning. Unset is as output."""
    per_call: UsdPerMillion = 0.0
    """US dollars for each call, besides its tokens."""
