"""Rules about tools beside rules about models: neither is taken for the other."""

from heddle.identity.rules import compile_levels, judge
from heddle.model.principal import ANONYMOUS
from heddle.model.snapshot import AuthzRule, MatchSpec


def refused(*rules: AuthzRule) -> bool:
    levels = compile_levels(rules, lambda _: None)
    return judge(levels.values(), ANONYMOUS, ["gpt"], {}, audit=False).refused


def test_an_allow_for_a_tool_allows_no_model():
    for match in (MatchSpec(tools=("*",)), MatchSpec(servers=("*",)), MatchSpec(targets=("*",))):
        assert refused(AuthzRule(name="a", action="allow", match=match))


def test_a_deny_for_a_tool_denies_no_model():
    allow = AuthzRule(name="all", action="allow")
    assert not refused(allow, AuthzRule(name="d", action="deny", match=MatchSpec(tools=("*",))))
    assert refused(allow, AuthzRule(name="d", action="deny"))
