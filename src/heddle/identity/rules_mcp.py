"""Authorization rules for calls to MCP servers: which are about a call, and what they come to.

Owns levels as such calls see them (global, listener, server, target) and what a rule covers. What the truths of rules
come to at one level is the same for every kind of call and is in `rules`.

A call of kind `server` (discovery, lists, completions) names nothing that rules are about. A deny is judged on it as it
stands; beyond that it passes when some call to that server could be allowed, for without it nobody could find out what
is. Lists are judged likewise: what only arguments or the request decide is taken as possible.

*Source:* architecture.md, "Authorization, everywhere the same".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from heddle.identity.context import CALLER, REQUEST
from heddle.identity.kinds import MCP, Kinds, kinds_of_rule
from heddle.identity.rules import REFUSED_BY_NONE, Compile, Pending, Rule, Values, Verdict, judge_level, truth_of
from heddle.identity.subjects import Names, Subject
from heddle.model.match import Globs, MatchIndex
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule
from heddle.model.snapshot_match import MatchSpec

if TYPE_CHECKING:
    from heddle.identity.cel import Expression

_METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}
"""What is done with something that a list offers, by its kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Scoped:
    """A rule, and which MCP calls it is about."""

    place: int
    """Its place in the level."""
    rule: Rule
    kinds: Kinds
    named: bool
    """It gives `resources`: `whole` or `names` must match."""
    whole: Globs
    """Servers that it covers with all that is on them."""
    names: Mapping[str, Names]
    """By kind."""
    servers: Globs | None
    tools: Names | None
    targets: Globs | None

    def covers(self, subject: Subject) -> bool:
        """Whether the rule is about exactly this."""
        if subject.kind not in self.kinds or not self._fits(subject):
            return False
        if self.targets is not None and not self.targets.match(subject.target):
            return False
        if self.tools is not None and not self.tools.match(subject):
            return False
        if not self.named or self.whole.match(subject.server):
            return True
        names = self.names.get(subject.kind)
        return names is not None and names.match(subject)

    def reaches(self, subject: Subject) -> bool:
        """Whether the rule is about some call that can follow one of kind `server`."""
        if not self._fits(subject):
            return False
        if subject.target and self.targets is not None and not self.targets.match(subject.target):
            return False
        return not self.named or bool(self.names) or self.whole.match(subject.server)

    def _fits(self, subject: Subject) -> bool:
        return self.servers is None or self.servers.match(subject.server)


@dataclass(slots=True, eq=False)
class McpLevel:
    """The rules of one level, indexed by caller and name."""

    name: str
    by_name: MatchIndex[Scoped] = field(default_factory=MatchIndex)
    """Holds patterns of names where a rule has no others; finds more than is covered, never less."""
    by_caller: MatchIndex[Scoped] = field(default_factory=MatchIndex)
    variables: set[str] = field(default_factory=set)
    """Everything that the expressions of its rules read."""
    enforced: int = 0
    audited: int = 0

    def add(self, rule: AuthzRule, expression: "Expression | None") -> None:
        """Index `rule`; one for calls to models counts for the level but covers nothing."""
        if rule.mode == "audit":
            self.audited += 1
        else:
            self.enforced += 1
        variables = expression.variables if expression is not None else frozenset()
        kinds = kinds_of_rule(rule, variables) & MCP
        if not kinds:
            return
        self.variables |= variables
        scoped = _scoped(len(self.by_caller), rule, kinds, expression)
        match = rule.match
        caller = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents)
        self.by_caller.add(caller, scoped)
        # The index has one place for names; it calls them models.
        names = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents, models=_indexed(scoped, rule))
        self.by_name.add(names, scoped)

    def candidates(self, principal: Principal, subject: Subject) -> list[Rule]:
        """Rules that are about `subject`, in their order."""
        if subject.template or subject.unclear:
            found = self.by_caller.find(principal, "")
        else:
            by_place = {one.place: one for text in subject.texts() for one in self.by_name.find(principal, text)}
            found = [by_place[place] for place in sorted(by_place)]
        return [one.rule for one in found if one.covers(subject)]


def compile_mcp_levels(rules: Iterable[AuthzRule], compile_text: Compile) -> dict[str, McpLevel]:
    """Levels by name, in the order of their first rule."""
    levels: dict[str, McpLevel] = {}
    for rule in rules:
        levels.setdefault(rule.level, McpLevel(rule.level)).add(rule, compile_text(rule))
    return levels


def known_values(principal: Principal, call: McpCall, subject: Subject, *, listing: bool) -> dict[str, Any]:
    """Values of variables that the caller and the names in a call decide; of what is empty, nothing is known.

    A tool of several versions is judged by its name alone: which of them is meant, stable names tell.
    """
    values = {name: read(principal) for name, read in CALLER.items()}
    values |= {"call.kind": call.kind, "call.server": call.server}
    method = _METHODS.get(call.kind, "") if listing else call.method
    for name, value in (("target", call.target), ("version", call.version), ("method", method)):
        if value:
            values[f"call.{name}"] = value
    if call.kind == "tool":
        values["call.tool"] = subject.seen[-1]
        if call.target_name:
            values["call.target_tool"] = call.target_name
    elif call.kind == "prompt":
        values["call.prompt"] = call.name
    elif call.kind == "resource" and not subject.template:
        values["call.resource"] = call.name
    return values


def judge_mcp(
    levels: Iterable[McpLevel], principal: Principal, subject: Subject, known: Values, *, audit: bool
) -> Verdict:
    """The verdict over all `levels`, open where an expression reads what is not among `known`.

    With `audit`, rules in audit mode count like all others.
    """
    pending: list[Pending] = []
    policy = ""
    for level in levels:
        if not (level.enforced or (audit and level.audited)):
            continue
        if subject.kind == "server":
            verdict = _judge_server(level, principal, subject, known, audit=audit)
        else:
            rules = [rule for rule in level.candidates(principal, subject) if audit or not rule.audit]
            verdict = judge_level(rules, known, "")
        if verdict.refused:
            return verdict
        policy = verdict.policy or policy
        pending += verdict.pending
    return Verdict(policy=policy, pending=tuple(pending))


def _judge_server(level: McpLevel, principal: Principal, subject: Subject, known: Values, *, audit: bool) -> Verdict:
    rules = [one for one in level.by_caller.find(principal, "") if audit or not one.rule.audit]
    decidable = known.keys() | REQUEST.keys()
    denies: list[Rule] = []
    for one in rules:
        rule = one.rule
        if rule.allows or not one.covers(subject):
            continue
        truth = truth_of(rule, known)
        if truth == "true":
            return Verdict(refused=True, policy=rule.name)
        if truth == "open" and rule.expression is not None and rule.expression.variables <= decidable:
            denies.append(rule)
    # Of the calls that can follow, no more is known than who makes them, and to which server.
    common = {name: known[name] for name in (*CALLER, "call.server", "call.target") if name in known}
    for one in rules:
        if one.rule.allows and one.reaches(subject) and truth_of(one.rule, common) != "false":
            allowed = one.rule.name
            return Verdict(pending=(Pending("", tuple(denies), (), allowed),)) if denies else Verdict(policy=allowed)
    return REFUSED_BY_NONE


def _scoped(place: int, rule: AuthzRule, kinds: Kinds, expression: "Expression | None") -> Scoped:
    wide = rule.action == "deny"
    named: dict[str, list[str]] = {}
    for resource in rule.resources:
        kind, _, pattern = resource.partition(":")
        named.setdefault(kind, []).append(pattern)
    match = rule.match
    return Scoped(
        place=place,
        rule=Rule(rule.name, not wide, rule.mode == "audit", expression, ()),
        kinds=kinds,
        named=bool(rule.resources),
        whole=Globs(named.pop("server", ())),
        names={kind: Names(kind, tuple(found), wide=wide) for kind, found in named.items() if kind in kinds},
        servers=Globs(match.servers) if match.servers else None,
        tools=Names("tool", match.tools, wide=wide) if match.tools else None,
        targets=Globs(match.targets) if match.targets else None,
    )


def _indexed(scoped: Scoped, rule: AuthzRule) -> tuple[str, ...]:
    """Patterns one of which must match some form of a name; empty where that is not so."""
    if scoped.named and not any(resource.startswith("server:") for resource in rule.resources):
        patterns = tuple(pattern for names in scoped.names.values() for pattern in names.patterns)
    else:
        patterns = scoped.tools.patterns if scoped.tools is not None else ()
    return () if "*" in patterns else patterns
