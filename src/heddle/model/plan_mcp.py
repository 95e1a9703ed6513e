"""MCP of the plan, as it will be served: virtual servers with the one that nobody declared, and rules with names."""

from collections.abc import Iterator
from typing import NamedTuple

from heddle.model.config_mcp import McpServer
from heddle.model.config_policies import ScopedRule
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place


class Scoped(NamedTuple):
    """A rule of a virtual server or a target."""

    rule: ScopedRule
    name: str
    """Its own, or made of where it stands: `files-2`."""
    level: str
    """`server:NAME` or `target:NAME`."""
    place: Place


def servers_of(plan: Plan) -> list[Placed[McpServer]]:
    """The virtual servers. Where none is declared, `default` offers every target; nothing without target or listener
    of MCP."""
    listeners = [one.place for one in plan.listeners if one.value.protocol == "MCP"]
    if plan.servers or not (plan.targets or listeners):
        return plan.servers
    names = tuple(dict.fromkeys(placed.value.name for placed in plan.targets))
    place = plan.targets[0].place if plan.targets else listeners[0]
    return [Placed(McpServer(name="default", targets=names), place)]


def scoped_rules(plan: Plan) -> Iterator[Scoped]:
    """The rules that stand in virtual servers and targets."""
    for kind, declared in (("server", plan.servers), ("target", plan.targets)):
        for placed in declared:
            name, place = placed.value.name, placed.place
            for index, rule in enumerate(placed.value.authorization):
                at = place.at("authorization", index)
                yield Scoped(rule, rule.name or f"{name}-{index + 1}", f"{kind}:{name}", at)


def serves(server: McpServer, listener: str) -> bool:
    """Whether a virtual server is served on a listener of protocol MCP."""
    return not server.listeners or listener in server.listeners
