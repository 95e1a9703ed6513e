"""Which callers and calls a rule of the snapshot is for. What it means is in `match`."""

import msgspec


class MatchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which callers and calls a rule is for: every given field must match, an empty tuple matches all.

    Values may be globs.
    """

    tenants: tuple[str, ...] = ()
    """Tenants of callers."""
    users: tuple[str, ...] = ()
    """Users behind calls."""
    agents: tuple[str, ...] = ()
    """Agents (workloads) that call."""
    models: tuple[str, ...] = ()
    """Models that are called."""
    servers: tuple[str, ...] = ()
    """Virtual MCP servers."""
    tools: tuple[str, ...] = ()
    """Tools, by the name callers see, or `target/name`."""
    targets: tuple[str, ...] = ()
    """Tool servers behind virtual ones."""
