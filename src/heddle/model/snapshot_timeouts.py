"""Deadlines of the snapshot, for whatever is called upstream."""

import msgspec


class TimeoutSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines of an upstream call, in seconds; 0 turns one off."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 60.0
    """Longest silence inside an answer."""
    total_s: float = 600.0
