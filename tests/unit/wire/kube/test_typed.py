"""What applies do not reach: lists in which an item is there twice, and values that no schema has judged."""

import pytest
from tests.unit.wire.kube.objects import STRUCTURE

from heddle.wire.kube.typed import compare, fields_of, merge


def object_of(spec):
    return {"spec": spec}


TWICE = [{"name": "x", "value": "1"}, {"name": "x", "value": "2"}]


def test_an_item_that_is_there_twice_is_owned_as_a_whole():
    fields = fields_of(object_of({"keyed": [*TWICE, {"name": "y"}]}), STRUCTURE)
    assert fields["f:spec"]["f:keyed"] == {'k:{"name":"x"}': {}, 'k:{"name":"y"}': {".": {}, "f:name": {}}}


@pytest.mark.parametrize(
    ("old", "new", "changed", "removed"),
    [
        (TWICE, TWICE, {}, {}),
        (TWICE, TWICE[:1], {"f:spec": {"f:keyed": {'k:{"name":"x"}': {}}}}, {}),
        (TWICE, [], {}, {"f:spec": {"f:keyed": {'k:{"name":"x"}': {}}}}),
        (TWICE[:1], TWICE, {"f:spec": {"f:keyed": {'k:{"name":"x"}': {}}}}, {}),
    ],
)
def test_differences_of_items_that_are_there_twice(old, new, changed, removed):
    assert compare(object_of({"keyed": old}), object_of({"keyed": list(new)}), STRUCTURE) == (changed, removed)


def test_of_an_item_that_is_there_twice_nothing_is_kept():
    made = merge(object_of({"keyed": TWICE}), object_of({"keyed": [{"name": "x", "kind": "Z"}]}), STRUCTURE)
    assert made["spec"]["keyed"] == [{"name": "x", "kind": "Z"}]


def test_items_without_a_key_do_not_count():
    old, new = object_of({"keyed": [{"value": "1"}]}), object_of({"keyed": [{"value": "2"}]})
    assert compare(old, new, STRUCTURE) == ({}, {})


@pytest.mark.parametrize("odd", ["x", 1, None, [1], {"a": 1}])
@pytest.mark.parametrize("field", ["a", "keyed", "map", "inner", "list", "atom"])
def test_values_of_another_form_are_one_field(field, odd):
    changed, removed = compare(object_of({}), object_of({field: odd}), STRUCTURE)
    assert f"f:{field}" in changed["f:spec"]
    assert removed == {}


def test_an_unchanged_part_is_shared():
    old = object_of({"inner": {"x": "1"}, "set": ["a", "b"]})
    made = merge(old, object_of({"a": "1", "set": ["a", "b"]}), STRUCTURE)
    assert made["spec"]["inner"] is old["spec"]["inner"]
    assert made["spec"]["set"] is old["spec"]["set"]
    assert merge(old, object_of({"set": ["a"]}), STRUCTURE) is old


def test_null_onto_a_map_leaves_it():
    """As structured-merge-diff has it: null is an empty map, and an empty map adds nothing."""
    old = object_of({"inner": {"x": "1"}})
    assert merge(old, object_of({"inner": None}), STRUCTURE) is old
