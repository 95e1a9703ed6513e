"""The order of targets: conditions, priorities, weights, and those that cool down."""

from collections import Counter
from random import Random

import pytest

from heddle.model.call import Target
from heddle.model.snapshot import ModelSpec, RetrySpec, TargetSpec
from heddle.traffic.health import Health
from heddle.traffic.targets import MAX_REMEMBERED, Chooser, Option, TargetSet, places


def target(name: str) -> Target:
    return Target(provider=name, model="m")


def order(options: list[Option[str]], context: str = "", health: Health | None = None, seed: int = 1) -> list[str]:
    targets = TargetSet(options, health or Health(), Random(seed).random)
    return [one.provider for one in targets.order(context, 0.0)]


def test_lower_priorities_come_first_whatever_their_weight():
    options = [Option(target("b"), 100, 1, None), Option(target("a"), 1, 0, None)]
    assert all(order(options, seed=seed) == ["a", "b"] for seed in range(20))


def test_a_target_whose_condition_fails_is_left_out():
    options = [Option(target("a"), 1, 0, lambda who: who == "gold"), Option(target("b"), 1, 1, None)]
    assert order(options, "gold") == ["a", "b"]
    assert order(options, "tin") == ["b"]
    assert order(options[:1], "tin") == []


def test_weights_share_out_the_first_place():
    options = [Option(target("a"), 80, 0, None), Option(target("b"), 15, 0, None), Option(target("c"), 5, 0, None)]
    targets = TargetSet(options, Health(), Random(7).random)
    first = Counter(targets.order("", 0.0)[0].provider for _ in range(20_000))
    assert first["a"] / 20_000 == pytest.approx(0.80, abs=0.015)
    assert first["b"] / 20_000 == pytest.approx(0.15, abs=0.015)
    assert first["c"] / 20_000 == pytest.approx(0.05, abs=0.015)


def test_weight_zero_stands_by_only():
    options = [Option(target("a"), 0, 0, None), Option(target("b"), 1, 0, None)]
    assert all(order(options, seed=seed) == ["b", "a"] for seed in range(50))


def test_those_that_cool_down_come_last_of_all():
    health = Health()
    health.refused(target("a").key, 0.0, 10.0)
    options = [Option(target("a"), 1, 0, None), Option(target("b"), 1, 9, None)]
    assert order(options, health=health) == ["b", "a"]


def model(**fields: object) -> ModelSpec:
    return ModelSpec(name="smart-*", **fields)  # type: ignore[arg-type]


def chooser(*models: ModelSpec) -> Chooser[str]:
    def condition(spec: TargetSpec, _: ModelSpec):
        return (lambda context: context == spec.when) if spec.when else None

    return Chooser(models, condition, lambda: 0.0, Random(1).random)


def test_a_target_without_a_name_keeps_the_callers():
    places_ = (TargetSpec(provider="a"), TargetSpec(provider="b", model="fixed", priority=1))
    found = chooser(model(targets=places_)).order("smart-*", "smart-7", "")
    assert [(one.provider, one.model) for one in found] == [("a", "smart-7"), ("b", "fixed")]


def test_a_targets_model_is_spelled_as_its_provider_knows_it():
    spelling = {"a": lambda name: name.removeprefix("models/")}
    models = (model(targets=(TargetSpec(provider="a"), TargetSpec(provider="b", priority=1))),)
    chosen = Chooser(models, lambda spec, of: None, lambda: 0.0, Random(1).random, spelling)
    assert [one.model for one in chosen.order("smart-*", "models/x", "")] == ["x", "models/x"]


def test_conditions_are_asked_each_time():
    chosen = chooser(model(targets=(TargetSpec(provider="a", when="x"), TargetSpec(provider="b", priority=1))))
    assert len(chosen.order("smart-*", "smart-1", "x")) == 2
    assert len(chosen.order("smart-*", "smart-1", "y")) == 1


def test_names_under_a_pattern_are_kept_within_a_bound():
    chosen = chooser(model(targets=(TargetSpec(provider="a"),)))
    for number in range(MAX_REMEMBERED + 5):
        chosen.order("smart-*", f"smart-{number}", "")
    assert len(chosen._sets) == MAX_REMEMBERED


def test_a_model_with_one_place_has_targets_only_if_it_is_tried_again():
    assert places(model(provider="a")) == ()
    again = model(provider="a", model="m", retry=RetrySpec(same_target=True))
    assert places(again) == (TargetSpec(provider="a", model="m"),)
    assert places(model(provider="a", retry=RetrySpec(same_target=True, attempts=1))) == ()
