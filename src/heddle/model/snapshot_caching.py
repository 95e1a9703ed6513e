"""Caching of the snapshot: which answers are kept, for whom, for how long."""

import msgspec

from heddle.model.snapshot_match import MatchSpec


class CacheSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; the first that matches a call is the call's."""

    name: str
    match: MatchSpec = MatchSpec()
    ttl_s: float = 3600.0
    max_bytes: int = 256 * 1024
    """Largest answer that is kept."""
    key: tuple[str, ...] = ()
    """Any of `user`, `agent`, `key`: who has entries of their own, besides the tenant."""
    tools: bool = False
    """Also calls with tools."""
    temperature_above_zero: bool = False
    """Also calls whose answer differs from time to time."""
