"""Costs: tiers, missing rates, and usage that makes no sense."""

import pytest

from heddle.model.call import Units, Usage
from heddle.model.prices import ModelPrice, PriceClause, PriceTable, Rate
from heddle.telemetry import cost
from heddle.telemetry.cost import Pricer


def _pricer(*models: ModelPrice) -> Pricer:
    return Pricer({"p": PriceTable(models=models)})


FLAT = ModelPrice(model="flat", input=Rate(base_usd_per_mtok=2.0), output=Rate(base_usd_per_mtok=8.0))


def test_tokens_without_a_rate_of_their_own_cost_like_input_and_output() -> None:
    usage = Usage(
        input_tokens=1_000_000,
        cached_input_tokens=400_000,
        cache_write_tokens=100_000,
        output_tokens=1_000_000,
        reasoning_tokens=5,
    )
    assert _pricer(FLAT).cost("p", "flat", usage) == pytest.approx(10.0)


def test_a_tier_holds_for_all_tokens_of_the_call() -> None:
    tiered = ModelPrice(
        model="tiered",
        input=Rate(base_usd_per_mtok=1.0, tiers=((200_001, 2.0), (500_001, 3.0))),
        output=Rate(base_usd_per_mtok=10.0, tiers=((200_001, 20.0),)),
    )
    pricer = _pricer(tiered)
    for size, expected in ((200_000, 0.2 + 1), (200_001, 0.400002 + 2), (500_001, 1.500003 + 2)):
        usage = Usage(input_tokens=size, output_tokens=100_000)
        assert pricer.cost("p", "tiered", usage) == pytest.approx(expected)


def test_an_unknown_model_has_no_cost_rather_than_none_to_pay() -> None:
    pricer = _pricer(FLAT)
    assert pricer.cost("p", "other", Usage(input_tokens=9)) is None
    assert pricer.cost("nobody", "flat", Usage(input_tokens=9)) is None
    assert pricer.cost("p", "flat", Usage()) == 0.0


@pytest.mark.parametrize(
    "usage",
    [Usage(input_tokens=10, cached_input_tokens=10_000_000), Usage(output_tokens=1, reasoning_tokens=9_000_000)],
)
def test_parts_larger_than_their_whole_never_make_a_call_cheaper_than_nothing(usage: Usage) -> None:
    assert (_pricer(FLAT).cost("p", "flat", usage) or 0.0) > 0


def test_clauses_match_in_lower_case_and_the_first_model_wins() -> None:
    kinds = {"equals": "abc", "starts_with": "ab", "ends_with": "bc", "contains": "b", "regex": "^a.c$"}
    for kind, text in kinds.items():
        model = ModelPrice(model="m", clauses=(PriceClause(kind=kind, text=text),), input=Rate(base_usd_per_mtok=1.0))
        other = ModelPrice(model="abc", input=Rate(base_usd_per_mtok=7.0))
        pricer = _pricer(model, other)
        assert pricer.cost("p", "ABC", Usage(input_tokens=1_000_000)) == 1.0, kind
        assert pricer.cost("p", "xyz", Usage(input_tokens=1_000_000)) is None, kind


def test_a_clause_of_unknown_kind_is_refused_at_build_time() -> None:
    with pytest.raises(ValueError, match="sounds_like"):
        _pricer(ModelPrice(model="m", clauses=(PriceClause(kind="sounds_like", text="x"),)))


def test_names_that_callers_invent_do_not_grow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_MAX_CACHED", 10)
    pricer = _pricer(FLAT)
    for number in range(100):
        pricer.cost("p", f"name-{number}", Usage())
    pricer.cost("p", "x" * 100_000, Usage())
    assert len(pricer._found) == 10
    assert all(len(name) < 300 for _, name in pricer._found)


def test_ten_thousand_models_are_looked_up_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache smaller than what is in use costs a search with every call, and nobody sees why."""
    pricer = _pricer(ModelPrice(model="m", clauses=(PriceClause(kind="starts_with", text="m"),), usd_per_call=1.0))
    searched: list[str] = []
    first = cost._first

    def counting(rows: list[object], name: str) -> object:
        searched.append(name)
        return first(rows, name)  # type: ignore[arg-type]

    monkeypatch.setattr(cost, "_first", counting)
    for _ in range(2):
        for number in range(10_000):
            assert pricer.cost("p", f"m{number}", Usage()) == 1.0
    assert len(searched) == 10_000


def test_a_charge_per_call_is_added_once() -> None:
    model = ModelPrice(model="m", usd_per_call=0.005, input=Rate(base_usd_per_mtok=1.0))
    assert _pricer(model).cost("p", "m", Usage(input_tokens=1_000)) == pytest.approx(0.006)


IMAGES = ModelPrice(
    model="images",
    input=Rate(base_usd_per_mtok=5.0),
    output=Rate(base_usd_per_mtok=10.0),
    units={"input_image": 8e-6, "output_image": 32e-6},
)
SPEECH = ModelPrice(model="speech", units={"character": 15e-6})
SOUND = ModelPrice(model="sound", units={"audio_s": 0.36 / 3600})


def test_tokens_of_pictures_have_a_price_of_their_own() -> None:
    usage = Usage(input_tokens=50, output_tokens=300, units=Units(input_image_tokens=40, output_image_tokens=200))
    expected = (10 * 5 + 40 * 8 + 100 * 10 + 200 * 32) / 1e6
    assert _pricer(IMAGES).cost("p", "images", usage) == pytest.approx(expected)
    assert _pricer(FLAT).cost("p", "flat", usage) == pytest.approx((50 * 2 + 300 * 8) / 1e6)


def test_characters_and_seconds_cost_what_they_cost() -> None:
    pricer = _pricer(SPEECH, SOUND)
    assert pricer.cost("p", "speech", Usage(output_tokens=9, estimated=True), 1_000) == pytest.approx(0.015)
    assert pricer.cost("p", "sound", Usage(units=Units(audio_s=1800))) == pytest.approx(0.18)


def test_what_nobody_measured_has_no_price_rather_than_none_to_pay() -> None:
    pricer = _pricer(SPEECH, SOUND)
    assert pricer.cost("p", "sound", Usage(output_tokens=9, estimated=True)) is None
    assert pricer.cost("p", "speech", Usage(output_tokens=9)) is None


def test_at_most_all_of_it_is_of_the_dearest_kind() -> None:
    pricer = _pricer(IMAGES, SPEECH, SOUND)
    assert pricer.most("p", "images", 100, 1000) == pytest.approx((100 * 8 + 1000 * 32) / 1e6)
    assert pricer.most("p", "speech", 100, 1000) == pytest.approx(100 * 15e-6)
    assert pricer.most("p", "sound", 100, 1000) is None
