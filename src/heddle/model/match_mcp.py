"""Which calls to MCP servers a rule is for: the servers, tools and targets that a `MatchSpec` names.

Owns the names that a tool has for patterns: the one callers see, the same without its version, and the stable one. Who
calls is compared by `MatchIndex`, which knows nothing of tools.
"""

from collections.abc import Iterable
from typing import NamedTuple

from heddle.model.match import Globs
from heddle.model.mcp import McpCall
from heddle.model.snapshot_match import MatchSpec


class Subjects(NamedTuple):
    """Servers, tools and targets of one rule; None is all of them."""

    servers: Globs | None
    tools: Globs | None
    targets: Globs | None

    @classmethod
    def of(cls, spec: MatchSpec) -> "Subjects":
        """Those that a spec names."""
        return cls(*(Globs(given) if given else None for given in (spec.servers, spec.tools, spec.targets)))

    def match(self, call: McpCall, names: Iterable[str]) -> bool:
        """Whether the rule is for `call`; `names` are what patterns may call its tool (`tool_names`)."""
        if self.servers is not None and not self.servers.match(call.server):
            return False
        if self.targets is not None and not self.targets.match(call.target):
            return False
        return self.tools is None or (call.kind == "tool" and any(map(self.tools.match, names)))


def tool_names(call: McpCall) -> tuple[str, ...]:
    """What patterns may call the tool of a call; `tool@2` is `tool` too. One empty name for everything else."""
    if call.kind != "tool":
        return ("",)
    return tuple(dict.fromkeys((call.name, call.name.partition("@")[0], call.stable_name)))
