"""The index answers what reading the specs one by one answers."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.model.match import MatchIndex, glob_match
from heddle.model.principal import Principal
from heddle.model.snapshot import MatchSpec

_VALUE = st.sampled_from(["", "a", "b", "ab", "ba", "aba", "a.b"])
_PATTERN = st.sampled_from(["", "a", "b", "ab", "*", "a*", "*a", "a*a", "a.b", "*.*"])
_FIELD = st.lists(_PATTERN, max_size=3).map(tuple)
_SPEC = st.builds(MatchSpec, tenants=_FIELD, users=_FIELD, agents=_FIELD, models=_FIELD)
_PRINCIPAL = st.builds(Principal, tenant=_VALUE, user=_VALUE, agent=_VALUE)


def _field_holds(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(glob_match(p, value) for p in patterns)


def _naive(specs: list[MatchSpec], who: Principal, model: str) -> list[int]:
    return [
        number
        for number, spec in enumerate(specs)
        if _field_holds(spec.tenants, who.tenant)
        and _field_holds(spec.users, who.user)
        and _field_holds(spec.agents, who.agent)
        and _field_holds(spec.models, model)
    ]


@settings(max_examples=300)
@given(st.lists(_SPEC, max_size=12), _PRINCIPAL, _VALUE)
def test_index_equals_linear_reading(specs: list[MatchSpec], who: Principal, model: str) -> None:
    index: MatchIndex[int] = MatchIndex()
    for number, spec in enumerate(specs):
        index.add(spec, number)
    assert index.find(who, model) == _naive(specs, who, model)


@settings(max_examples=300)
@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=8))
def test_glob_equals_the_escaped_expression(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert glob_match(pattern, text) is (bool(text) and re.fullmatch(expression, text, re.DOTALL) is not None)
