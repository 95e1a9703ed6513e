"""Authorization rules, compiled: which apply to a caller and a model, and what they come to.

Owns the semantics of levels. At each level that has any rule: a matching deny refuses; otherwise one must allow, so a
level of denies alone refuses everything else too. An expression that errs is false in an allow and true in a deny. A
call is judged under each name of its model, the one the caller wrote and the one it resolves to, and must pass under
both; an expression reads the name under judgement as `call.model`, so that no alias leads around a rule.

What a caller and a model already decide is decided once (`Judgement`); only expressions over the request are left to be
evaluated per call.

*Source:* architecture.md, "Authorization, everywhere the same".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from heddle.identity.context import CALLER
from heddle.identity.errors import EvaluationError
from heddle.identity.kinds import kinds_of_rule
from heddle.model.match import Globs, MatchIndex, glob_match, globs_overlap, is_glob
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule
from heddle.model.snapshot_match import MatchSpec

if TYPE_CHECKING:
    from heddle.identity.cel import Expression

Values = Mapping[str, Any]
"""Values of expression variables by name; a missing one is not known yet, or not at all."""
Compile = Callable[[AuthzRule], "Expression | None"]
Truth = Literal["true", "false", "open"]
"""`open`: it depends on the request."""

_KIND = "model:"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One policy of one level."""

    name: str
    allows: bool
    audit: bool
    expression: "Expression | None"
    models: tuple[tuple[str, ...], ...]
    """Each group is a list of globs, one of which must match; empty groups are left out."""

    def holds(self, values: Values) -> bool:
        """Whether the expression is true; erring counts against the caller."""
        if self.expression is None:
            return True
        try:
            return self.expression.evaluate(values)
        except EvaluationError:
            return not self.allows


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """What is left of one level under one name when only the request can decide it."""

    name: str
    """The model name under judgement."""
    denies: tuple[Rule, ...]
    allows: tuple[Rule, ...]
    """Asked only when `allowed` is None."""
    allowed: str | None
    """The rule that allows in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The outcome under one set of rules, as far as it is known."""

    refused: bool = False
    policy: str = ""
    """What decided; empty when nothing allowed."""
    pending: tuple[Pending, ...] = ()


REFUSED_BY_NONE = Verdict(refused=True)


@dataclass(slots=True, eq=False)
class Level:
    """The rules of one level, indexed by caller and model."""

    name: str
    index: MatchIndex[Rule] = field(default_factory=MatchIndex)
    by_caller: MatchIndex[Rule] = field(default_factory=MatchIndex)
    """The same without models, for lists, where a model may itself be a pattern."""
    variables: set[str] = field(default_factory=set)
    """Everything that the expressions of its rules for models read."""
    enforced: int = 0
    audited: int = 0

    def add(self, rule: AuthzRule, expression: "Expression | None") -> None:
        """Index `rule`; one for other kinds of calls counts for the level but matches no model."""
        if rule.mode == "audit":
            self.audited += 1
        else:
            self.enforced += 1
        variables = expression.variables if expression is not None else frozenset()
        if "model" not in kinds_of_rule(rule, variables):
            return
        self.variables |= variables
        resources = tuple(r.removeprefix(_KIND) for r in rule.resources if r.startswith(_KIND))
        groups = tuple(g for g in (resources, rule.match.models) if g and "*" not in g)
        made = Rule(rule.name, rule.action == "allow", rule.mode == "audit", expression, groups)
        match = rule.match
        caller = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents)
        self.by_caller.add(caller, made)
        # Only one list of models can be part of the key; a second one is compared afterwards.
        indexed = groups[0] if groups else ()
        spec = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents, models=indexed)
        self.index.add(spec, made)

    def candidates(self, principal: Principal, model: str) -> list[Rule]:
        """Rules whose `match` and `resources` hold for a call to `model`."""
        found = self.index.find(principal, model)
        return [rule for rule in found if len(rule.models) < 2 or Globs(rule.models[1]).match(model)]

    def candidates_for_pattern(self, principal: Principal, pattern: str) -> list[Rule]:
        """Rules that bear on a listed pattern: allows that some name of it can match, denies that cover all of it."""
        compare = {True: globs_overlap, False: glob_match}
        found = self.by_caller.find(principal, pattern)
        return [r for r in found if all(any(compare[r.allows](p, pattern) for p in group) for group in r.models)]


def compile_levels(
    rules: Iterable[AuthzRule], compile_text: Callable[[AuthzRule], "Expression | None"]
) -> dict[str, Level]:
    """Levels by name, in the order of their first rule."""
    levels: dict[str, Level] = {}
    for rule in rules:
        levels.setdefault(rule.level, Level(rule.level)).add(rule, compile_text(rule))
    return levels


def judge(
    levels: Iterable[Level],
    principal: Principal,
    names: Iterable[str],
    known: Values,
    *,
    audit: bool,
    listing: bool = False,
) -> Verdict:
    """The verdict over all `levels` and `names`, open where an expression reads what is not among `known`.

    `known` holds `call.*` without `call.model`. With `audit`, rules in audit mode count like all
    others. With `listing`, a name may be a listed pattern; then what reads `call.model` stays open. The name of a
    call is never read as a pattern: whoever could write one would be judged by what it overlaps, not by what it is.
    """
    pending: list[Pending] = []
    policy = ""
    for name in names:
        values = {**{n: read(principal) for n, read in CALLER.items()}, **known}
        pattern = listing and is_glob(name)
        if not pattern:
            values["call.model"] = name
        for level in levels:
            if not (level.enforced or (audit and level.audited)):
                continue
            find = level.candidates_for_pattern if pattern else level.candidates
            rules = [rule for rule in find(principal, name) if audit or not rule.audit]
            verdict = judge_level(rules, values, name)
            if verdict.refused:
                return verdict
            policy = verdict.policy or policy
            pending += verdict.pending
    return Verdict(policy=policy, pending=tuple(pending))


def settle(verdict: Verdict, values: Callable[[str], Values]) -> Verdict:
    """What a verdict comes to for one request; `values` gives everything known when a name is judged."""
    if verdict.refused:
        return verdict
    policy = verdict.policy
    for open_level in verdict.pending:
        all_values = values(open_level.name)
        for rule in open_level.denies:
            if rule.holds(all_values):
                return Verdict(refused=True, policy=rule.name)
        allowed = open_level.allowed
        if allowed is None:
            allowed = next((r.name for r in open_level.allows if r.holds(all_values)), None)
        if allowed is None:
            return REFUSED_BY_NONE
        policy = allowed
    return Verdict(policy=policy)


def judge_level(rules: Iterable[Rule], values: Values, name: str) -> Verdict:
    """The verdict of those rules of one level that are about a call, open where `values` do not decide it."""
    denies: list[Rule] = []
    allows: list[Rule] = []
    allowed: str | None = None
    for rule in rules:
        truth = truth_of(rule, values)
        if truth == "true" and not rule.allows:
            return Verdict(refused=True, policy=rule.name)
        if truth == "true":
            allowed = rule.name if allowed is None else allowed
        elif truth == "open":
            (allows if rule.allows else denies).append(rule)
    if allowed is None and not allows:
        return REFUSED_BY_NONE
    if allowed is not None and not denies:
        return Verdict(policy=allowed)
    return Verdict(pending=(Pending(name, tuple(denies), tuple(allows), allowed),))


def truth_of(rule: Rule, values: Values) -> Truth:
    """What a rule's expression comes to as far as `values` tell.

    One that reads more may be decided all the same: `call.tool == "a" && under(call.arguments.path, "/b")` is false for
    every other tool. A variable without a value errs, and only `false && error` and the like do not.
    """
    if rule.expression is None or rule.expression.variables <= values.keys():
        return "true" if rule.holds(values) else "false"
    try:
        return "true" if rule.expression.evaluate(values) else "false"
    except EvaluationError:
        return "open"
