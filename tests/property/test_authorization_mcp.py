"""Rules about MCP calls decide what reading them one by one decides; no spelling leads around one."""

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.identity.cel import compile_expression
from heddle.identity.errors import EvaluationError
from heddle.identity.judge_mcp import McpDecision
from heddle.identity.kinds import kinds_of_rule
from heddle.identity.paths import under
from heddle.identity.rules import settle
from heddle.identity.rules_mcp import compile_mcp_levels, judge_mcp, known_values
from heddle.identity.subjects import readings, subject_of
from heddle.model.match import glob_match
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule, MatchSpec

MCP = {"tool", "prompt", "resource", "server"}

# What an expression reads, and what it comes to for a call.
EXPRESSIONS: dict[str, Any] = {
    "": (set(), lambda who, call: True),
    'principal.user == "a"': (MCP | {"model"}, lambda who, call: who.user == "a"),
    'call.tool == "a" && call.arguments.n < 2': (
        {"tool"},
        lambda who, call: call.name == "a" and _small(call.arguments),
    ),
    'call.arguments.n < 2 || principal.user == "b"': (
        {"tool", "prompt"},
        lambda who, call: who.user == "b" or _small(call.arguments),
    ),
    'call.target_tool != "a"': ({"tool"}, lambda who, call: call.target_name != "a"),
    'call.prompt == "a"': ({"prompt"}, lambda who, call: call.name == "a"),
    'call.resource == "a"': ({"resource"}, lambda who, call: call.name == "a"),
    'call.model == "a"': ({"model"}, None),
    'call.method == "tools/call"': (MCP, lambda who, call: call.method == "tools/call"),
    'call.kind == "tool"': (MCP | {"model"}, lambda who, call: call.kind == "tool"),
    'call.target == "t"': (MCP, lambda who, call: call.target == "t"),
    'call.server == "s"': (MCP, lambda who, call: call.server == "s"),
}
COMPILED = {text: compile_expression(text) for text in EXPRESSIONS if text}


class _Errs(Exception):
    pass


def _small(arguments: dict[str, Any]) -> bool:
    if "n" not in arguments:
        raise _Errs
    return bool(arguments["n"] < 2)


_NAME = st.sampled_from(["a", "ab", "b", "a.b"])
_GLOB = st.sampled_from(["*", "a", "a*", "*b", "ab", "t/*", "t/a", "u/*b", "*/a"])
_GLOBS = st.lists(_GLOB, max_size=2).map(tuple)
_WHERE = st.lists(st.sampled_from(["s", "t", "*", "x"]), max_size=1).map(tuple)
_RESOURCE = st.builds("{}:{}".format, st.sampled_from(["model", "tool", "tool", "prompt", "resource"]), _GLOB)
_RESOURCES = st.lists(st.one_of(_RESOURCE, st.sampled_from(["server:s", "server:x"])), max_size=2).map(tuple)
_MATCH = st.builds(
    MatchSpec, users=st.sampled_from([(), (), ("a",), ("*",)]), models=st.sampled_from([(), (), (), ("*",)]),
    tools=st.one_of(st.just(()), _GLOBS), servers=_WHERE, targets=_WHERE,
)  # fmt: skip
_RULE = st.builds(
    AuthzRule,
    name=_NAME,
    action=st.sampled_from(["allow", "allow", "deny"]),
    level=st.sampled_from(["global", "global", "server:s", "target:t"]),
    match=_MATCH,
    resources=_RESOURCES,
    when=st.sampled_from(["", "", "", *EXPRESSIONS]),
    mode=st.sampled_from(["enforce", "enforce", "enforce", "audit"]),
)
_WHO = st.builds(Principal, user=st.sampled_from(["", "a", "b"]))
_METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}
_ARGUMENTS = st.sampled_from([{}, {"n": 1}, {"n": 5}, {"m": 1}])


@st.composite
def _calls(draw: st.DrawFn) -> McpCall:
    kind = draw(st.sampled_from(["tool", "tool", "prompt", "resource"]))
    return McpCall(
        method=_METHODS[kind], server=draw(st.sampled_from(["s", "x"])), version="2025-11-25", kind=kind,
        name=draw(_NAME), target=draw(st.sampled_from(["t", "u"])), target_name=draw(_NAME),
        arguments=draw(_ARGUMENTS),
    )  # fmt: skip


def _any(globs: tuple[str, ...], *texts: str) -> bool:
    return not globs or any(glob_match(g, text) for g in globs for text in texts)


def _kinds(rule: AuthzRule) -> set[str]:
    kinds = set(EXPRESSIONS[rule.when][0]) or {"model", *MCP}
    if rule.resources:
        named = {r.partition(":")[0] for r in rule.resources}
        kinds &= (named - {"server"}) | (MCP if "server" in named else set())
    if rule.match.models:
        kinds &= {"model"}
    if rule.match.tools:
        kinds &= {"tool"}
    if rule.match.servers or rule.match.targets or rule.level != "global":
        kinds &= MCP
    return kinds


def _names(rule: AuthzRule, globs: tuple[str, ...], call: McpCall) -> bool:
    """Whether one of `globs` names the call: an allow takes a slash for a stable name, and only that."""
    if call.kind == "resource":
        return _any(globs, call.name, call.target_name)
    if rule.action == "deny":
        return _any(globs, call.name, call.stable_name)
    return any(glob_match(g, call.stable_name if "/" in g else call.name) for g in globs)


def _about(rule: AuthzRule, who: Principal, call: McpCall) -> bool:
    match = rule.match
    if call.kind not in _kinds(rule):
        return False
    if not (_any(match.users, who.user) and _any(match.servers, call.server) and _any(match.targets, call.target)):
        return False
    if match.tools and not _names(rule, match.tools, call):
        return False
    named = [r.partition(":") for r in rule.resources]
    if any(kind == "server" and glob_match(g, call.server) for kind, _, g in named):
        return True
    own = tuple(g for kind, _, g in named if kind == call.kind)
    return not rule.resources or (bool(own) and _names(rule, own, call))


def _holds(rule: AuthzRule, who: Principal, call: McpCall) -> bool:
    try:
        return bool(EXPRESSIONS[rule.when][1](who, call))
    except _Errs:
        return rule.action == "deny"


def _naive(rules: list[AuthzRule], who: Principal, call: McpCall, audit: bool) -> bool:
    counted = [rule for rule in rules if audit or rule.mode == "enforce"]
    for level in {"global", f"server:{call.server}", f"target:{call.target}"} & {rule.level for rule in counted}:
        at = [rule for rule in counted if rule.level == level and _about(rule, who, call) and _holds(rule, who, call)]
        actions = {rule.action for rule in at}
        if "deny" in actions or "allow" not in actions:
            return False
    return True


@dataclass
class _Asked:
    """As much of an exchange as expressions about arguments read."""

    mcp: McpCall


def _levels(rules: list[AuthzRule], call: McpCall) -> list[Any]:
    levels = compile_mcp_levels(rules, lambda rule: COMPILED.get(rule.when))
    return [levels[name] for name in ("global", f"server:{call.server}", f"target:{call.target}") if name in levels]


def _judged(rules: list[AuthzRule], who: Principal, call: McpCall, audit: bool) -> bool:
    subject = subject_of(call)
    known = known_values(who, call, subject, listing=False)
    verdict = judge_mcp(_levels(rules, call), who, subject, known, audit=audit)
    outcome, _ = McpDecision(who, known, verdict, None).outcome(_Asked(call), lambda: 0.0)  # type: ignore[arg-type]
    return not outcome.refused


def _listed(rules: list[AuthzRule], who: Principal, call: McpCall) -> bool:
    subject = subject_of(call, listing=True)
    known = known_values(who, call, subject, listing=True)
    return not judge_mcp(_levels(rules, call), who, subject, known, audit=False).refused


def _server(call: McpCall) -> McpCall:
    return McpCall(method="tools/list", server=call.server, version=call.version)


@settings(max_examples=1500, deadline=None)
@given(st.lists(_RULE, max_size=7), _WHO, _calls(), st.booleans())
def test_judgement_equals_linear_reading(rules: list[AuthzRule], who: Principal, call: McpCall, audit: bool) -> None:
    for rule in rules:
        assert kinds_of_rule(rule, COMPILED[rule.when].variables if rule.when else ()) == _kinds(rule)
    assert _judged(rules, who, call, audit) is _naive(rules, who, call, audit)


@settings(max_examples=600, deadline=None)
@given(st.lists(_RULE, max_size=7), _WHO, _calls(), st.lists(_ARGUMENTS, min_size=1, max_size=4))
def test_lists_hide_nothing_that_some_call_may(
    rules: list[AuthzRule], who: Principal, call: McpCall, tried: list[dict[str, Any]]
) -> None:
    """And a server answers whoever may call something on it, as long as no deny is for the asking itself."""
    outcomes = []
    for arguments in tried:
        call.arguments = arguments
        outcomes.append(_judged(rules, who, call, audit=False))
    if any(outcomes):
        assert _listed(rules, who, call)
        denies = [rule for rule in rules if rule.action == "deny" and "server" in _kinds(rule)]
        assert denies or _judged(rules, who, _server(call), audit=False)
    readers = [rule for rule in rules if "call.arguments" in rule.when]
    if not readers:
        assert _listed(rules, who, call) is outcomes[0]


_PIECE = st.sampled_from(["..", ".", "%2e%2e", "%2E.", "%252e%252e", "a", "data", "", "..%2f..", "\\..\\..", "DATA"])


def _escapes(path: str) -> bool:
    """Whether a reader that decodes up to three times and resolves dots ends outside of /data."""
    for times, separators, keep in product(range(4), ("/", "/\\"), (True, False)):
        read = path
        for _ in range(times):
            read = unquote(read)
        segments: list[str] = []
        for segment in re.split(f"[{re.escape(separators)}]", read)[1:]:
            if segment == "..":
                del segments[-1:]
            elif segment != "." and (segment or keep):
                segments.append(segment)
        # `//data` is `/data` to whoever opens files, and leads nowhere else.
        if [segment for segment in segments if segment][:1] != ["data"]:
            return True
    return False


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECE, max_size=6).map(lambda pieces: "/data/" + "/".join(pieces)))
def test_no_path_leads_out_of_what_is_allowed(path: str) -> None:
    call = McpCall(
        method="resources/read", server="s", version="v", kind="resource", name=f"x+file://{path}", target="t",
        target_name=f"file://{path}",
    )  # fmt: skip
    rules = [AuthzRule(name="r", action="allow", resources=("resource:file:///data/*",))]
    passes = _judged(rules, Principal(), call, audit=False)
    assert not (passes and _escapes(path))
    denied = [
        AuthzRule(name="all", action="allow"),
        AuthzRule(name="r", action="deny", resources=("resource:file:///data/*",)),
    ]
    assert not _judged(denied, Principal(), call, audit=False)
    try:
        inside = under(path, "/data")
    except ValueError:
        inside = False
    rules = [AuthzRule(name="r", action="allow", when='under(call.arguments.path, "/data")')]
    call = McpCall(
        method="tools/call", server="s", version="v", kind="tool", name="n", target="t", target_name="n",
        arguments={"path": path},
    )  # fmt: skip
    expression = compile_expression(rules[0].when)
    levels = compile_mcp_levels(rules, lambda _: expression).values()
    known = known_values(Principal(), call, subject_of(call), listing=False)
    verdict = judge_mcp(levels, Principal(), subject_of(call), known, audit=False)
    settled = settle(verdict, lambda _: {**known, "call.arguments": call.arguments})
    assert settled.refused is not inside
    assert not (inside and _escapes(path))


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=40))
def test_any_text_can_be_read_as_a_uri(uri: str) -> None:
    forms = readings(uri)
    assert (forms[:1] == (uri,)) or not forms
    assert len(forms) <= 20


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(st.text(max_size=3), below, max_size=4)),
    max_leaves=12,
)
_READ = [
    compile_expression(text)
    for text in (
        "size(call.arguments) > 1",
        'call.arguments.exists(k, call.arguments[k] == "x")',
        'call.arguments.a.b == "c"',
        'under(call.arguments.a, "/data")',
        "call.arguments.a in [1, 2]",
    )
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "\0", "é"]), _JSON, max_size=4), st.sampled_from(_READ))
def test_no_arguments_make_an_expression_do_anything_but_answer_or_err(arguments: Any, expression: Any) -> None:
    with suppress(EvaluationError):
        assert expression.evaluate({"call.arguments": arguments}) in {True, False}
