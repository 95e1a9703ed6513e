"""The short form's `caching`: which answers are kept and given again.

*Source:* docs/concepts/caching.md; RFC 9111 section 5.2.1 for `cache-control` of requests.
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Name, Part, Period
from heddle.model.config_policies import Match

CacheKey = Literal["user", "agent", "key"]


class Cache(Part, frozen=True, kw_only=True):
    """Answers that are kept, and given again to the same question. Tenants never share one."""

    name: Name = ""
    """Unique. A Policy resource may leave it to its metadata."""
    match: Match = Match()
    """Callers and calls that it is for; the first rule that matches a call holds. Unset is all."""
    ttl: Period = "1h"
    """How long an answer is kept: at most `30d`."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=8 * 1024 * 1024)] = 256 * 1024
    """Largest answer that is kept."""
    key: CacheKey | tuple[CacheKey, ...] = ()
    """Who has answers of their own besides the tenant: any of user, agent, key. Empty shares them in the tenant;
    callers without a tenant share with nobody."""
    tools: bool = False
    """Also calls with tools: what a model wants called, it may not want a second time."""
    temperature_above_zero: bool = False
    """Also calls whose temperature is above zero or not stated, so that they would get a new answer each time."""


class NamedCache(Cache, frozen=True, kw_only=True):
    """Answers that are kept, and given again to the same question. Tenants never share one."""

    name: Name
    """Unique."""
