"""Authorization rules as parts, and what an invalid one becomes.

Owns failing closed. A rule that cannot be compiled is replaced by one that denies everything at its level, so that a
mistake in a deny opens nothing and a mistake in an allow does not leave its level without rules. The last version that
was right is not kept: what a gateway runs would then depend on the past, and two control planes could disagree.
"""

from collections.abc import Iterable

from heddle.controlplane.compile_mcp import compile_mcp_rules
from heddle.controlplane.compiling.fragment import Work
from heddle.controlplane.compiling.objects import Fact
from heddle.model.plan import Plan
from heddle.model.rules_mcp import check_scoped_rules
from heddle.model.snapshot import AuthzRule


def denial(name: str, level: str, source: str) -> AuthzRule:
    """What stands for a rule that cannot be compiled."""
    return AuthzRule(name=name, action="deny", level=level, source=source)


def scoped_parts(work: Work, plan: Plan) -> None:
    """The rules of the one target or virtual server of a plan, checked, each as a part."""
    check_scoped_rules(plan, work.report)
    for index, rule in enumerate(compile_mcp_rules(plan)):
        work.part(f"rule/{rule.level}/{index}", rule, order=f"{work.seen.order}|{index:04}", protocols=("MCP",))


def rule_parts(work: Work, rules: Iterable[AuthzRule], gateways: tuple[str, ...]) -> tuple[Fact, ...]:
    """The rules of a Policy, each as a part, or denials in their place; their levels, as facts."""
    facts: dict[str, Fact] = {}
    namespace, name = work.seen.key[1:]
    invalid = bool(work.faults)
    for index, rule in enumerate(rules):
        if rule.mode != "enforce" and invalid:
            continue
        made = denial(rule.name, rule.level, rule.source) if invalid else rule
        order = f"{work.seen.order}|{index:04}"
        work.part(f"rule/policy/{namespace}/{name}/{index}", made, order=order, gateways=gateways)
        if rule.mode == "enforce":
            facts[rule.level] = Fact(("enforced", rule.level))
    return tuple(facts.values())
