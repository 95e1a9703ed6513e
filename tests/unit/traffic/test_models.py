"""Names to models: precedence, refusals, and a cost that does not grow with the table."""

import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.model.match import glob_match
from heddle.model.snapshot import ModelSpec, ProviderSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.traffic.models import MAX_REMEMBERED, MAX_REMEMBERED_CHARS, ModelTable

P = ProviderSpec(name="p", type="scripted")
Q = ProviderSpec(name="q", type="scripted")


def table(*names):
    return ModelTable(tuple(ModelSpec(name=name, provider="p") for name in names), (P, Q))


def test_an_exact_name_wins_over_an_earlier_pattern():
    found = table("*", "gpt-*", "gpt-4o").resolve("gpt-4o")
    assert (found.entry, found.provider, found.upstream_model, found.max_output_tokens) == ("gpt-4o", "p", "", 0)


@pytest.mark.parametrize(
    ("names", "asked", "entry"),
    [
        (("gpt-*", "gpt-4*"), "gpt-4o", "gpt-*"),
        (("gpt-4*", "gpt-*"), "gpt-4o", "gpt-4*"),
        (("gpt-4*", "gpt-*"), "gpt-3", "gpt-*"),
        (("*-mini", "gpt-*"), "gpt-4o-mini", "*-mini"),
        (("gpt-*", "*-mini"), "gpt-4o-mini", "gpt-*"),
        (("gpt-*", "*-mini"), "o3-mini", "*-mini"),
        (("a*c*e", "a*"), "abcde", "a*c*e"),
        (("a.c",), "a.c", "a.c"),
        (("*",), "anything", "*"),
        (("gpt-*",), "gpt-", "gpt-*"),
    ],
)
def test_the_first_declared_pattern_wins(names, asked, entry):
    models = table(*names)
    assert models.resolve(asked).entry == entry
    assert models.resolve(asked).entry == entry  # and again, when it is remembered


@pytest.mark.parametrize("name", ["gpt", "Gpt-4", "xgpt-4", "abc"])
def test_an_unknown_model_in_the_words_of_openai(name):
    with pytest.raises(CallError) as caught:
        table("gpt-*", "a.c").resolve(name)
    assert caught.value.reason is Reason.MODEL_NOT_FOUND
    assert caught.value.param == "model"
    assert caught.value.detail == f"The model `{name}` does not exist or you do not have access to it."


def test_without_models_any_name_goes_to_the_sole_provider():
    models = ModelTable((), (P,))
    assert models.resolve("whatever").entry == "*"
    assert models.resolve("whatever").provider == "p"
    assert [model.entry for model in models.listed()] == ["*"]


def test_without_models_and_with_several_providers_none_is_chosen():
    with pytest.raises(CallError):
        ModelTable((), (P, Q)).resolve("x")


def test_a_model_of_no_provider_cannot_be_built():
    with pytest.raises(ValueError, match="no provider 'missing'"):
        ModelTable((ModelSpec(name="m", provider="missing"),), (P,))


def test_renamed_models_and_their_bounds():
    spec = ModelSpec(name="fast", provider="q", model="gpt-4o-mini", max_output_tokens=100)
    found = ModelTable((spec,), (P, Q)).resolve("fast")
    assert (found.provider, found.upstream_model, found.max_output_tokens) == ("q", "gpt-4o-mini", 100)


def test_callers_cannot_fill_the_memory_with_names():
    models = table("*-mini", "a*")
    for number in range(MAX_REMEMBERED + 500):
        models.resolve(f"a{number}")
    assert len(models._remembered) == MAX_REMEMBERED


NAME = st.text(alphabet="ab*", min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(NAME, max_size=6), st.text(alphabet="ab", min_size=1, max_size=6))
def test_the_index_agrees_with_looking_at_one_after_the_other(names, asked):
    naive = asked if asked in names else next((name for name in names if glob_match(name, asked)), None)
    try:
        found = table(*names).resolve(asked).entry
    except CallError:
        found = None
    assert found == naive


def test_ten_thousand_patterns_cost_what_ten_do():
    def cost(count):
        models = table(*(f"model-{number:05}-*" for number in range(count)))
        names = [f"model-{number:05}-x" for number in range(0, count, max(1, count // 10))]
        resolve = models.resolve
        return min(timeit.repeat(lambda: [resolve(name) for name in names[:10]], number=200, repeat=5))

    assert cost(10_000) < 4 * cost(10)


def test_long_names_are_searched_for_and_not_kept():
    found = table("a*z")
    for number in range(100):
        name = f"a{number}" + "x" * 8_000 + "z"
        assert found.resolve(name).entry == "a*z"
    assert not found._remembered
    found.resolve("a" + "x" * (MAX_REMEMBERED_CHARS - 2) + "z")
    assert len(found._remembered) == 1
