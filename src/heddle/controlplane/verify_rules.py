"""Checks that some call can meet each authorization rule.

A rule about tools whose expression reads `call.model` applies to nothing. An allow like it locks everybody out, and a
deny denies nothing without saying so; both are errors.
"""

import importlib
from collections.abc import Iterator
from functools import cache

from heddle.identity.kinds import NO_KIND, RESOURCES, kinds_of_rule
from heddle.model.plan import Plan
from heddle.model.plan_mcp import scoped_rules
from heddle.model.problem import Place, Report
from heddle.model.snapshot import AuthzRule


def verify_kinds(plan: Plan, report: Report) -> None:
    """Report rules that no call can meet. What is wrong with an expression or a resource is reported elsewhere."""
    read = cache(_variables)
    for place, rule in {place: rule for rule, place in _rules(plan)}.items():
        known = all(resource.partition(":")[0] in RESOURCES for resource in rule.resources)
        if known and not kinds_of_rule(rule, read(rule.when)):
            report.error(place, NO_KIND, "write one rule for each kind")


def _rules(plan: Plan) -> Iterator[tuple[AuthzRule, Place]]:
    for rule, place in plan.authorization:
        made = AuthzRule(
            name=rule.name, action=rule.action, match=rule.match.spec(), resources=rule.resources, when=rule.when
        )
        yield made, place
    for one in scoped_rules(plan):
        scoped = one.rule
        made = AuthzRule(
            name=one.name,
            action=scoped.action,
            level=one.level,
            match=scoped.match.spec(),
            resources=scoped.about(),
            when=scoped.when,
        )
        yield made, one.place


def _variables(text: str) -> frozenset[str]:
    if not text:
        return frozenset()
    cel = importlib.import_module("heddle.identity.cel")
    try:
        variables: frozenset[str] = cel.compile_expression(text).variables
    except cel.ExpressionError:
        return frozenset()
    return variables
