"""A virtual key as people write it, to the admin API and through `heddle keys`.

Owns its fields; limits and budgets are those of the configuration, without `match` and `key`, because they are for this
key alone.

*Source:* issue 3, "Budgets".
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.model.config_base import Identity, Part, Pattern, Period, Segment, Timestamp
from heddle.model.config_budgets import Calendar, Usd

MAX_ITEMS = 16
"""Most limits, and most budgets, of one key: every call is counted in each."""
MAX_MODELS = 256
MAX_METADATA_BYTES = 16 * 1024
"""Of the metadata as JSON: every worker keeps it in memory."""


class KeyLimit(Part, frozen=True, kw_only=True):
    """A limit of this key, over a fixed, UTC-aligned window."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    """Most requests or tokens in one window."""
    window: Period
    """Length of the window: a divisor of a day (`1m`, `15m`, `1h`, `24h`) or whole days (`7d`)."""
    limit_by: Literal["requests", "tokens"] = "requests"
    """What is counted; tokens are input plus output."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    """What a token limit holds before the call, as in `rate_limiting`."""


class KeyBudget(Part, frozen=True, kw_only=True):
    """What this key may spend in a window."""

    limit_usd: Usd | None = None
    """Most US dollars in one window. Give this or `limit_tokens`."""
    limit_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    """Most tokens, input plus output, in one window."""
    window: Period = ""
    """A window of fixed length, aligned to UTC. Give this, `calendar` or `sliding`."""
    calendar: Calendar | None = None
    """A day, week, month or year of the calendar."""
    sliding: Period = ""
    """In no span of this length is more spent."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    """What is held before the call, as in `budgets`."""
    on_unknown_price: Literal["refuse", "zero"] = "refuse"
    """Calls to a model without a known price: refused, or counted as zero."""


class KeyRequest(Part, frozen=True, kw_only=True):
    """Everything that can be said of a key, when it is made and later."""

    name: Identity = ""
    """What people call it; need not be unique."""
    user: Identity = ""
    """Who calls with it."""
    tenant: Segment = ""
    """Tenant (namespace) of the caller."""
    agent: Segment = ""
    """Agent (workload) that calls."""
    models: Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=MAX_MODELS)] | None = None
    """Models it may name. Unset sets no bound; `[]` allows none."""
    expires: Timestamp = ""
    """Time from which it is refused. Unset never expires."""
    disabled: bool = False
    """Refuse it for now."""
    metadata: Annotated[dict[str, Any], msgspec.Meta(extra={"secret": True})] = msgspec.field(default_factory=dict)
    """Anything; policies read it as `principal.claims`."""
    limits: Annotated[tuple[KeyLimit, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """What it may call, besides what the configuration says."""
    budgets: Annotated[tuple[KeyBudget, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """What it may spend, besides what the configuration says."""
