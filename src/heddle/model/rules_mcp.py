"""Does the MCP part of a configuration make sense, and let in whom it means to? Listeners, rules, matches, limits.

Owns the checks of meaning around access to tools; targets and virtual servers have their own modules. All of them are
run from here.
*Source:* architecture.md, "Authorization, everywhere the same" for how levels combine.
"""

from collections.abc import Iterator
from typing import NamedTuple

from heddle.model.config_base import many
from heddle.model.config_policies import AuthorizationPolicy, Match, RateLimit
from heddle.model.formats import complaint
from heddle.model.match import TOOL_KEYS, about_models, about_tools, glob_match, is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.plan_mcp import Scoped, scoped_rules, servers_of, serves
from heddle.model.problem import Place, Report, did_you_mean
from heddle.model.reach import Callers
from heddle.model.rules import served
from heddle.model.rules_access import check_match, check_resource
from heddle.model.rules_mcp_servers import check_servers
from heddle.model.rules_mcp_targets import check_targets

_ALLOW_TOOLS = (
    "add an allow, such as {name: tools, match: {tenant: T}, resources: ['server:*', 'tool:*'], action: allow}"
)
_SCOPED_RESOURCES = ("tool", "prompt", "resource")


class _Names(NamedTuple):
    """What can be named."""

    server: tuple[str, ...]
    target: tuple[str, ...]


def check_mcp(plan: Plan, report: Report) -> None:
    """Everything about MCP."""
    check_targets(plan, report)
    check_servers(plan, report)
    _check_listeners(plan, report)
    check_scoped_rules(plan, report)
    _check_levels(plan, report)
    check_policies(plan, report)


def check_policies(plan: Plan, report: Report) -> None:
    """What models, rules, limits, budgets, guards and caching say of calls of tools."""
    names = _Names(
        server=tuple(server.name for server, _ in servers_of(plan)),
        target=tuple(target.name for target, _ in plan.targets),
    )
    for match, place in _matches(plan):
        if match.server or match.tool or match.target:
            _check_subjects(match, place, names, report)
    _check_resources(plan, report)
    for limit, place in plan.limits:
        _check_limit(limit, place, report)
    for model, place in plan.models:
        if model.access is not None and about_tools(model.access.spec()):
            report.error(place.at("access"), "can match nobody: a call of a model names no server, tool or target")
    for rule, place in plan.caching:
        if about_tools(rule.match.spec()):
            report.error(place.at("match"), "can match nothing: only answers of models are kept")


def _check_listeners(plan: Plan, report: Report) -> None:
    """Listeners without servers, servers without listeners."""
    listeners = [one for one in plan.listeners if one.value.protocol == "MCP"]
    servers = servers_of(plan)
    if servers and not listeners and report.complete:
        hint = "add one to `listeners`, e.g. {name: mcp, port: 8081, protocol: MCP}"
        report.warning(servers[0].place, "no listener is of protocol MCP: nobody can reach a tool", hint)
    for listener, place in listeners:
        if not any(serves(server, listener.name) for server, _ in servers) and report.complete:
            report.warning(place, f"no virtual server is served on listener `{listener.name}`")


def check_scoped_rules(plan: Plan, report: Report) -> None:
    """The rules of virtual servers and targets."""
    names: dict[str, Place] = {rule.name: place for rule, place in plan.authorization}
    callers = Callers(entry for entry, _ in plan.authentication)
    deciding: dict[str, list[Scoped]] = {}
    for one in scoped_rules(plan):
        first = names.setdefault(one.name, one.place)
        if first is not one.place:
            where = f"{first.source.file}:{first.source.line(first.path)}"
            report.error(one.place.at("name"), f"there is already a policy `{one.name}`, at {where}", "name this one")
        _check_scoped_rule(one, callers if plan.authentication and report.complete else None, report)
        if one.rule.mode == "enforce":
            deciding.setdefault(one.level, []).append(one)
    for level, rules in deciding.items():
        if all(one.rule.action == "deny" for one in rules):
            message = f"{level.replace(':', ' `')}` holds only denies, so it refuses every call"
            report.warning(rules[0].place, message, "add an allow beside them")


def _check_scoped_rule(one: Scoped, callers: Callers | None, report: Report) -> None:
    rule, place = one.rule, one.place
    check_match(rule.match, place.at("match"), report)
    if rule.match.model:
        report.error(place.at("match", "model"), "can match nothing: a call of a tool has no model")
    kind, _, name = one.level.partition(":")
    named = many(rule.match.server if kind == "server" else rule.match.target)
    if named and not any(glob_match(pattern, name) for pattern in named):
        report.error(place.at("match", kind), f"can match nothing: the rule stands in {kind} `{name}`")
    for index, resource in enumerate(rule.resources):
        check_resource(resource, place.at("resources", index), report, _SCOPED_RESOURCES)
    for name in many(rule.tools):
        if complaint("pattern", name):
            report.error(place.at("tools"), complaint("pattern", name))
    if callers is not None and not callers.can_match(rule.match):
        message, hint = callers.explain(rule.match)
        report.warning(place.at("match"), f"policy `{one.name}` {message}", hint)


def _check_levels(plan: Plan, report: Report) -> None:
    """A level whose rules are all about models refuses every tool, and the other way round."""
    tools = [one.value.name for one in plan.listeners if one.value.protocol == "MCP"]
    models = [one.value.name for one in served(plan, "HTTP")]
    levels: dict[str, list[Placed[AuthorizationPolicy]]] = {}
    for placed in plan.authorization:
        if placed.value.mode == "enforce":
            levels.setdefault(placed.value.listener, []).append(placed)
    for level, rules in levels.items():
        allows = [rule for rule, _ in rules if rule.action == "allow"]
        if not allows or not report.complete:
            continue
        where = f"listener `{level}`" if level else "the global level"
        if plan.targets and tools and level in ("", *tools) and not any(map(_allows_tools, allows)):
            report.warning(
                rules[0].place, f"no allow of {where} is about tools: every tool call is refused", _ALLOW_TOOLS
            )
        if plan.providers and level in ("", *models) and models and not any(map(_allows_models, allows)):
            report.warning(rules[0].place, f"no allow of {where} is about models: every model call is refused")


def _allows_tools(rule: AuthorizationPolicy) -> bool:
    kinds = {resource.partition(":")[0] for resource in rule.resources}
    return not about_models(rule.match.spec()) and kinds != {"model"}


def _allows_models(rule: AuthorizationPolicy) -> bool:
    kinds = {resource.partition(":")[0] for resource in rule.resources}
    return not about_tools(rule.match.spec()) and (not kinds or "model" in kinds)


def _matches(plan: Plan) -> Iterator[tuple[Match, Place]]:
    """Every match that may name servers, tools and targets."""
    rules = {place: rule.match for rule, place in plan.authorization}
    yield from ((match, place.at("match")) for place, match in rules.items())
    for declared in (plan.limits, plan.budgets, plan.guards):
        for value, place in declared:
            yield value.match, place.at("match")
    for one in scoped_rules(plan):
        yield one.rule.match, one.place.at("match")


def _check_subjects(match: Match, place: Place, names: _Names, report: Report) -> None:
    if match.model:
        report.error(place.at("model"), "can match nothing: a call of a model names no server, tool or target")
    for field, given, known in (("server", match.server, names.server), ("target", match.target, names.target)):
        for name in many(given):
            if not is_glob(name) and name not in known and report.complete:
                what = "virtual server" if field == "server" else "target"
                report.warning(place.at(field), f"there is no {what} `{name}`", did_you_mean(name, known))
    for name in many(match.tool):
        _check_stable(name, place.at("tool"), names.target, report)


def _check_stable(name: str, place: Place, targets: tuple[str, ...], report: Report) -> None:
    """A tool's stable name, `target/name`, has a target."""
    target, slash, _ = name.partition("/")
    if slash and not is_glob(target) and target not in targets and report.complete:
        report.warning(place, f"there is no target `{target}`", did_you_mean(target, targets))


def _check_resources(plan: Plan, report: Report) -> None:
    """Stable names in `resources` of rules."""
    targets = tuple(target.name for target, _ in plan.targets)
    rules = {place: rule.resources for rule, place in plan.authorization}
    rules |= {one.place: one.rule.about() for one in scoped_rules(plan)}
    for place, resources in rules.items():
        for resource in resources:
            kind, _, name = resource.partition(":")
            if kind in ("tool", "prompt"):
                _check_stable(name, place.at("resources"), targets, report)


def _check_limit(limit: RateLimit, place: Place, report: Report) -> None:
    keys = {*many(limit.key)}
    spec = limit.match.spec()
    of_tools = about_tools(spec) or bool(keys & TOOL_KEYS)
    if of_tools and limit.limit_by == "tokens":
        report.error(place.at("limit_by"), "calls of tools have no tokens", "write `requests`")
    if of_tools and ("model" in keys or about_models(spec)):
        report.error(place.at("key"), "can match nothing: a call of a model names no server or tool")
