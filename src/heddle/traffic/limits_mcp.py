"""Which limits count calls to MCP servers, and under which keys.

Owns what of MCP is a call (of a tool, of a prompt, reading a resource; lists are none), and whose name a count bears: a
tool's stable one, so that neither renaming it nor offering it twice gives callers a fresh count.

*Source:* Model Context Protocol 2026-07-28, "Tools", "Prompts", "Resources".
"""

from collections.abc import Iterable
from typing import NamedTuple

from heddle.model.match import TOOL_KEYS, MatchIndex, about_models, about_tools
from heddle.model.match_mcp import Subjects, tool_names
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec
from heddle.model.snapshot_match import MatchSpec

COUNTED = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Methods that limits count."""


class _Limit(NamedTuple):
    number: int
    spec: LimitSpec
    subjects: Subjects


class McpLimits:
    """The limits of a snapshot that count calls to MCP servers, by caller and tool."""

    __slots__ = ("_index",)

    def __init__(self, limits: Iterable[LimitSpec]) -> None:
        self._index: MatchIndex[_Limit] = MatchIndex()
        for number, spec in enumerate(limits):
            if counts_mcp(spec):
                match = spec.match
                # The index has one place for names; it calls them models.
                tools = () if "*" in match.tools else match.tools
                key = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents, models=tools)
                self._index.add(key, _Limit(number, spec, Subjects.of(match)))

    def find(self, principal: Principal, call: McpCall) -> list[tuple[int, LimitSpec]]:
        """Limits that count `call`, with their numbers, in order."""
        names = tool_names(call)
        found = {one.number: one for name in names for one in self._index.find(principal, name)}
        return [(number, one.spec) for number, one in sorted(found.items()) if one.subjects.match(call, names)]


def counts_models(spec: LimitSpec) -> bool:
    """Whether a limit counts calls to models: it names nothing that only MCP calls have."""
    return not about_tools(spec.match) and TOOL_KEYS.isdisjoint(spec.key)


def counts_mcp(spec: LimitSpec) -> bool:
    """Whether a limit counts MCP calls: it counts calls, and names nothing that only those to models have."""
    return spec.limit_by == "requests" and not about_models(spec.match) and "model" not in spec.key


def key_values(principal: Principal, call: McpCall) -> dict[str, str]:
    """Values of the parts that the key of such a limit can have."""
    # URIs are the caller's own invention: one count for each would be no limit.
    tool = call.stable_name or call.name if call.kind == "tool" else f"{call.kind}:{call.target}"
    return {
        "tenant": principal.tenant,
        "user": principal.user,
        "agent": principal.agent,
        "key": principal.key_id,
        "server": call.server,
        "tool": tool,
    }
