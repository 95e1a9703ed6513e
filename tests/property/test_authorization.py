"""Compiled policies decide what reading them one by one decides; garbage for credentials is refused, never a crash."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.identity.rules import Verdict, compile_levels, judge, settle
from heddle.identity.shape import peek
from heddle.model.match import glob_match, globs_overlap
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule, MatchSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.policies import authn

_NAME = st.sampled_from(["a", "ab", "b", "a.b"])
_GLOB = st.sampled_from(["*", "a", "a*", "*b", "ab", "a.b"])
_GLOBS = st.lists(_GLOB, max_size=2).map(tuple)
_RESOURCES = st.lists(st.builds("{}{}".format, st.sampled_from(["model:", "model:", "tool:"]), _GLOB), max_size=2)
_RULE = st.builds(
    AuthzRule,
    name=_NAME,
    action=st.sampled_from(["allow", "allow", "deny"]),
    level=st.sampled_from(["global", "listener:llm"]),
    match=st.builds(MatchSpec, tenants=_GLOBS, users=_GLOBS, models=_GLOBS),
    resources=_RESOURCES.map(tuple),
    mode=st.sampled_from(["enforce", "enforce", "audit"]),
)
_WHO = st.builds(Principal, tenant=st.one_of(st.just(""), _NAME), user=st.one_of(st.just(""), _NAME))


def _any(globs: tuple[str, ...], text: str) -> bool:
    return not globs or any(glob_match(g, text) for g in globs)


def _applies(rule: AuthzRule, who: Principal, model: str) -> bool:
    match = rule.match
    own = tuple(r.removeprefix("model:") for r in rule.resources if r.startswith("model:"))
    if rule.resources and not own:
        return False
    asked = ((match.tenants, who.tenant), (match.users, who.user), (match.models, model), (own, model))
    return all(_any(globs, text) for globs, text in asked)


def _naive(rules: list[AuthzRule], who: Principal, names: list[str], audit: bool) -> bool:
    counted = [rule for rule in rules if audit or rule.mode == "enforce"]
    for level in {rule.level for rule in counted}:
        for name in names:
            hits = [r.action for r in counted if r.level == level and _applies(r, who, name)]
            if "deny" in hits or "allow" not in hits:
                return False
    return True


@settings(max_examples=400)
@given(st.lists(_RULE, max_size=10), _WHO, st.lists(_NAME, min_size=1, max_size=2), st.booleans())
def test_levels_equal_linear_reading(rules: list[AuthzRule], who: Principal, names: list[str], audit: bool) -> None:
    levels = compile_levels(rules, lambda _: None)
    verdict = judge(levels.values(), who, names, {}, audit=audit)
    assert isinstance(settle(verdict, lambda _: {}), Verdict)
    assert (not verdict.refused) is _naive(rules, who, names, audit)


@settings(max_examples=300)
@given(st.text("ab*", max_size=5), st.text("ab*", max_size=5), st.text("ab", min_size=1, max_size=5))
def test_patterns_that_share_a_name_overlap(one: str, other: str, name: str) -> None:
    if glob_match(one, name) and glob_match(other, name):
        assert globs_overlap(one, other)
    assert globs_overlap(one, other) is globs_overlap(other, one)
    assert globs_overlap(one, name) is (glob_match(one, name))


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.from_regex(rb"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]*")))
def test_no_credential_crashes_the_look_at_its_shape(credential: bytes) -> None:
    peek(credential)


_FIELD = st.tuples(
    st.sampled_from([b"authorization", b"x-api-key", b"api-key", b"host"]),
    st.one_of(st.binary(max_size=20), st.sampled_from([b"Bearer a", b"bearer b", b"Bearer", b"Basic a", b"a"])),
)


@settings(max_examples=300)
@given(st.lists(_FIELD, max_size=5))
def test_both_ways_of_finding_a_credential_agree(fields: list[tuple[bytes, bytes]]) -> None:
    request = Request("GET", "/", "", fields, Body.of(b""), Peer("127.0.0.1", 1, False))
    assert _outcome(lambda: authn.presented(request)) == _outcome(lambda: authn._sought(fields))


def _outcome(find: Callable[[], bytes]) -> bytes | str:
    try:
        return find()
    except authn._Refused as refused:
        return refused.cause
