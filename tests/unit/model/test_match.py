"""The meaning of a match: globs, missing fields, order, and cost."""

import time

import pytest

from heddle.model.match import MAX_EXPANSION, Globs, MatchIndex, about_models, about_tools, glob_match
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import MatchSpec


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("gpt-4", "gpt-4", True),
        ("gpt-4", "gpt-4o", False),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-", True),
        ("gpt-*", "GPT-4", False),
        ("*", "anything", True),
        ("*", "", False),
        ("", "", False),
        ("*-mini", "gpt-4o-mini", True),
        ("*-mini", "gpt-4o-mini-x", False),
        ("a*b*c", "abc", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("a*a", "a", False),
        ("**", "x", True),
        ("a.c", "abc", False),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("team", "team\n", False),
    ],
)
def test_glob(pattern: str, text: str, expected: bool) -> None:
    assert glob_match(pattern, text) is expected
    assert Globs([pattern]).match(text) is expected


def test_glob_time_is_linear() -> None:
    """The classical exponential case of a backtracking matcher, at a size that only a linear one finishes."""
    started = time.perf_counter()
    assert not glob_match("*a" * 2_000 + "b", "a" * 50_000)
    assert time.perf_counter() - started < 1.0


def test_every_given_field_must_match() -> None:
    index: MatchIndex[str] = MatchIndex()
    index.add(MatchSpec(tenants=("dev",), users=("alice",)), "both")
    assert index.find(Principal(tenant="dev", user="alice"), "m") == ["both"]
    assert index.find(Principal(tenant="dev", user="bob"), "m") == []
    assert index.find(Principal(tenant="ops", user="alice"), "m") == []


def test_declaration_order_over_all_shapes() -> None:
    index: MatchIndex[int] = MatchIndex()
    specs = [
        MatchSpec(users=("alice",)),
        MatchSpec(),
        MatchSpec(tenants=("d*",)),
        MatchSpec(tenants=("dev",), models=("gpt-*",)),
        MatchSpec(agents=("planner",)),
    ]
    for number, spec in enumerate(specs):
        index.add(spec, number)
    assert index.find(Principal(tenant="dev", user="alice", agent="planner"), "gpt-4") == [0, 1, 2, 3, 4]
    assert index.find(Principal(tenant="dev"), "gpt-4") == [1, 2, 3]


def test_a_missing_field_matches_only_specs_that_do_not_name_it() -> None:
    index: MatchIndex[str] = MatchIndex()
    index.add(MatchSpec(), "all")
    for spec in (MatchSpec(tenants=("*",)), MatchSpec(users=("*",)), MatchSpec(agents=("",)), MatchSpec(models=("*",))):
        index.add(spec, "some")
    assert index.find(ANONYMOUS, "") == ["all"]


@pytest.mark.parametrize("tenant", ["prodXteam", "PROD.team", "prod.team ", "prod.tea", "prod.team2", "prod"])
def test_tenants_are_compared_exactly(tenant: str) -> None:
    """CVE-2026-39350: a dot in a name was a wildcard."""
    index: MatchIndex[str] = MatchIndex()
    index.add(MatchSpec(tenants=("prod.team",)), "yes")
    assert index.find(Principal(tenant=tenant), "m") == []
    assert index.find(Principal(tenant="prod.team"), "m") == ["yes"]


def test_a_huge_product_is_not_expanded() -> None:
    index: MatchIndex[str] = MatchIndex()
    many = tuple(f"v{n}" for n in range(MAX_EXPANSION))
    index.add(MatchSpec(tenants=many, users=many, agents=many), "big")
    assert sum(len(g.entries) for g in index._groups.values()) <= MAX_EXPANSION
    assert index.find(Principal(tenant="v1", user="v2", agent="v3"), "m") == ["big"]
    assert index.find(Principal(tenant="v1", user="x", agent="v3"), "m") == []


def test_repeated_values_answer_once() -> None:
    index: MatchIndex[str] = MatchIndex()
    index.add(MatchSpec(tenants=("a", "a")), "one")
    assert index.find(Principal(tenant="a"), "m") == ["one"]


@pytest.mark.parametrize(
    ("spec", "models", "tools"),
    [
        (MatchSpec(), False, False),
        (MatchSpec(tenants=("t",), users=("u",), agents=("a",)), False, False),
        (MatchSpec(models=("m",)), True, False),
        (MatchSpec(servers=("s",)), False, True),
        (MatchSpec(tools=("t",)), False, True),
        (MatchSpec(targets=("t",)), False, True),
        (MatchSpec(models=("m",), tools=("t",)), True, True),
    ],
)
def test_what_a_spec_is_about(spec: MatchSpec, models: bool, tools: bool):
    assert (about_models(spec), about_tools(spec)) == (models, tools)
