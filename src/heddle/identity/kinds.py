"""Which kinds of calls a rule can be about: to models, tools, prompts, resources, or to a server as such.

Owns what each variable, resource and match says of the kind. A rule that names what only one kind of call has does not
apply to the others: neither allows nor denies them.

*Source:* architecture.md, "Authorization, everywhere the same".
"""

from collections.abc import Iterable, Mapping

from heddle.model.match import about_models, about_tools
from heddle.model.snapshot import AuthzRule

Kinds = frozenset[str]

MODEL: Kinds = frozenset({"model"})
TOOL: Kinds = frozenset({"tool"})
MCP: Kinds = frozenset({"tool", "prompt", "resource", "server"})
"""Everything that is asked of an MCP server; `server` is what names none of the others."""
ALL: Kinds = MODEL | MCP

NO_KIND = "`match`, `resources`, `when` and where it stands are of different kinds of calls, so no call can meet it"
"""What is wrong with a rule that applies to none."""

_OF_VARIABLE: Mapping[str, Kinds] = {
    "call.operation": MODEL,
    "call.model": MODEL,
    "call.resolved_model": MODEL,
    "call.provider": MODEL,
    "call.stream": MODEL,
    "call.max_output_tokens": MODEL,
    "call.input_tokens": MODEL,
    "call.dialect": MODEL,
    "call.tool": TOOL,
    "call.target_tool": TOOL,
    "call.prompt": frozenset({"prompt"}),
    "call.resource": frozenset({"resource"}),
    "call.arguments": frozenset({"tool", "prompt"}),
    "call.server": MCP,
    "call.target": MCP,
    "call.method": MCP,
    "call.version": MCP,
}
"""Variables that not every call has; all others say nothing of the kind."""
RESOURCES: Mapping[str, Kinds] = {
    "model": MODEL,
    "tool": TOOL,
    "prompt": frozenset({"prompt"}),
    "resource": frozenset({"resource"}),
    "server": MCP,
}
"""Kinds of calls that a resource is about, by what stands before its colon."""


def kinds_of_variables(variables: Iterable[str]) -> Kinds:
    """Kinds of calls that have all of `variables`; empty when no call does."""
    kinds = ALL
    for name in variables:
        kinds &= _OF_VARIABLE.get(name, ALL)
    return kinds


def kinds_of_rule(rule: AuthzRule, variables: Iterable[str]) -> Kinds:
    """Kinds of calls that `rule` applies to, when its expression reads `variables`; empty when to none."""
    kinds = kinds_of_variables(variables)
    if rule.resources:
        named = [RESOURCES.get(resource.partition(":")[0], frozenset()) for resource in rule.resources]
        kinds &= frozenset().union(*named)
    if about_models(rule.match):
        kinds &= MODEL
    if about_tools(rule.match):
        kinds &= MCP
    if rule.level.startswith(("server:", "target:")):
        kinds &= MCP  # no other call ever comes there
    return kinds & TOOL if rule.match.tools else kinds


def conflict(variables: Iterable[str]) -> str:
    """Why no call has all of `variables`, for whoever wrote them; empty when some call does."""
    told = sorted(name for name in variables if name in _OF_VARIABLE)
    if kinds_of_variables(told):
        return ""
    listed = ", ".join(f"`{name}` is of {_listed(_OF_VARIABLE[name])}" for name in told)
    return f"no call has all that it reads ({listed}); write one rule for each kind of call"


def _listed(kinds: Kinds) -> str:
    return "MCP calls" if kinds == MCP else " and ".join(f"{kind}s" for kind in sorted(kinds))
