"""Which callers and calls a rule of the snapshot is for. What it means is in `match`."""

import msgspec


class MatchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which callers and calls a rule is for: every given field must match, an empty tuple matches all.

    Values may be globs.
    """

    tenants: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
