"""Incremental equals full: whatever was created, changed and deleted before, the same objects come to the same."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.controlplane.objects import ENVIRONMENT, SECRET, crowds, histories

from heddle.controlplane.compiling import Compiler, Published, Surroundings
from heddle.drivers.documents import Key
from heddle.model.assembly import Assembly, assemble
from heddle.model.prices import ModelPrice, PriceTable, Rate

PRICES = PriceTable(models=(ModelPrice(model="gpt", input=Rate(base_usd_per_mtok=1.0)),))
AROUND = Surroundings(
    ENVIRONMENT, ".", lambda kind, _: PRICES if kind == "openai" else PriceTable(), lambda: 1.8e9, "default"
)
NOW_S = 1_800_000_000.0
Objects = dict[Key, dict[str, Any]]


def afresh(objects: Objects) -> Compiler:
    compiler = Compiler(AROUND)
    for key, raw in objects.items():
        compiler.change(key, raw)
    compiler.settle()
    return compiler


def bodies(parts: dict[str, Published]) -> dict[str, bytes]:
    return {name: part.body for name, part in parts.items()}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories(), st.integers(0, 2**30))
def test_incremental_equals_full(history: list[tuple[Key, dict[str, Any] | None]], settled: int) -> None:
    """Bit n of `settled`: whether all is settled after the nth step."""
    compiler, objects, assembly = Compiler(AROUND), Objects(), Assembly()
    statuses: dict[Key, dict[str, Any]] = {}
    for step, (key, raw) in enumerate(history):
        compiler.change(key, raw)
        objects.pop(key, None)
        statuses.pop(key, None) if raw is None else None
        if raw is not None:
            objects[key] = raw
        if settled >> step & 1 or step == len(history) - 1:
            delta = compiler.settle()
            assembly.apply({**bodies(delta.changed), **dict.fromkeys(delta.removed)})
            statuses.update(compiler.conditions(NOW_S))
            statuses = {one: status for one, status in statuses.items() if one in objects}
    full = afresh(objects)
    assert compiler.full() == full.full()
    expected = dict(full.conditions(NOW_S))
    assert {key: status for key, status in statuses.items() if key in expected} == expected
    whole = bodies(full.full())
    assert assembly.snapshot("v") == assemble(whole, "v")
    assert_no_secret(whole)


def assert_no_secret(parts: dict[str, bytes]) -> None:
    hidden = [SECRET.encode(), ENVIRONMENT["KEY"].encode()]
    for name, body in parts.items():
        if not name.startswith("secret/"):
            assert not any(text in body for text in hidden), name


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_objects_come_does_not_matter(
    steps: list[tuple[Key, dict[str, Any] | None]], rnd: Any
) -> None:
    objects = {key: raw for key, raw in steps if raw is not None}
    shuffled = list(objects.items())
    rnd.shuffle(shuffled)
    assert afresh(objects).full() == afresh(dict(shuffled)).full()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories(20))
def test_settling_twice_changes_nothing_and_a_status_that_was_written_is_not_written_again(
    steps: list[tuple[Key, dict[str, Any] | None]],
) -> None:
    compiler = afresh({key: raw for key, raw in steps if raw is not None})
    objects = {key: raw for key, raw in steps if raw is not None}
    for key, status in compiler.conditions(NOW_S):
        compiler.change(key, {**objects[key], "status": msgspec.msgpack.decode(msgspec.msgpack.encode(status))})
    before = compiler.compiled
    delta = compiler.settle()
    assert (delta.changed, delta.removed, compiler.compiled) == ({}, [], before)
    assert compiler.conditions(NOW_S + 60) == []


@pytest.mark.parametrize("seed", range(12))
def test_incremental_equals_full_in_a_crowd(seed: int) -> None:
    random, objects = Random(seed), crowds(seed)
    compiler, assembly = afresh(objects), Assembly()
    assembly.apply(bodies(compiler.full()))
    others = crowds(seed + 1_000)
    for _ in range(15):
        for key in random.sample(sorted(objects), 10):
            compiler.change(key, None)
            del objects[key]
        for key in random.sample(sorted(others), 15):
            objects[key] = others[key]
            compiler.change(key, others[key])
        delta = compiler.settle()
        assembly.apply({**bodies(delta.changed), **dict.fromkeys(delta.removed)})
    full = afresh(objects)
    assert compiler.full() == full.full()
    assert assembly.snapshot("v") == assemble(bodies(full.full()), "v")
    said = dict(compiler.conditions(NOW_S))
    assert said == dict(full.conditions(NOW_S))
    assert_no_secret(bodies(full.full()))
