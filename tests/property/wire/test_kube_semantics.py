"""Laws of patches, schemas, field sets and server-side apply, on whatever Hypothesis comes up with."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.wire.kube.objects import SCHEMA, STRUCTURE, VERSION, configuration, edit

from heddle.wire.kube.apply import apply, track
from heddle.wire.kube.fieldsets import difference, intersection, parse, union
from heddle.wire.kube.patch import json_patch, merge_patch, strategic_patch
from heddle.wire.kube.schema import SchemaError, Structure, default, prune, validate
from heddle.wire.kube.selectors import parse_fields, parse_labels
from heddle.wire.kube.status import ApiError
from heddle.wire.kube.typed import compare, fields_of
from heddle.wire.kube.values import same

texts = st.text(max_size=4) | st.sampled_from(["a", "b", "name", "x", "-", "0", "~1", "$patch", "\ud800", "\0"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
documents = st.recursive(
    scalars, lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4), max_leaves=12
)
objects = st.dictionaries(texts, documents, max_size=4)

words = st.sampled_from(["p", "q", "r", "s"])
items = st.fixed_dictionaries({"name": words}, optional={"kind": words, "value": words})
specs = st.fixed_dictionaries(
    {},
    optional={
        "a": words,
        "b": words,
        "count": st.integers(0, 9),
        "keyed": st.lists(items, max_size=4, unique_by=lambda item: item["name"]),
        "ports": st.lists(
            st.fixed_dictionaries({"port": st.integers(1, 3)}, optional={"protocol": words, "name": words}),
            max_size=3,
            unique_by=lambda item: (item["port"], item.get("protocol", "TCP")),
        ),
        "set": st.lists(words, max_size=4, unique=True),
        "list": st.lists(words, max_size=3),
        "map": st.dictionaries(words, words, max_size=3),
        "atom": st.dictionaries(words, words, max_size=3),
        "open": st.dictionaries(words, documents, max_size=3),
        "inner": st.fixed_dictionaries({}, optional={"x": words, "y": words}),
    },
)
steps = words.map("f:{}".format) | words.map('v:"{}"'.format) | words.map('k:{{"name":"{}"}}'.format) | st.just("i:3")
nodes = st.recursive(st.just({}), lambda below: st.dictionaries(steps | st.just("."), below, max_size=4), max_leaves=10)
fieldsets = st.dictionaries(steps, nodes, max_size=4).map(parse)

writes = st.tuples(st.sampled_from(["al", "bo", "up-al", "up-bo"]), specs, st.booleans())


def law(*strategies, **named):
    """It holds for all of these, however busy the machine is."""
    return lambda test: settings(max_examples=150, deadline=None)(given(*strategies, **named)(test))


def outcome(write, *arguments, **options):
    """What came of it: the result, or the status of the refusal."""
    try:
        return write(*arguments, **options)
    except ApiError as refused:
        return refused.code


# Patches


@law(objects, objects)
def test_a_merge_patch_twice_is_the_same_as_once(live, patch):
    once = merge_patch(live, patch)
    assert merge_patch(once, patch) == once


@law(objects)
def test_a_merge_patch_onto_nothing_has_no_nulls_of_its_own_maps(patch):
    made = merge_patch({}, patch)

    def nulls(value):
        return isinstance(value, dict) and any(item is None or nulls(item) for item in value.values())

    assert not nulls(made)
    assert merge_patch(made, {}) == made


@law(objects, objects)
def test_a_json_patch_that_replaces_everything(live, other):
    assert json_patch(live, [{"op": "replace", "path": "", "value": other}]) == other
    assert json_patch(live, [{"op": "test", "path": "", "value": live}]) == live


operations = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
        "path": st.lists(texts, max_size=3).map(lambda p: "".join(f"/{s}" for s in p)),
    },
    optional={"value": documents, "from": st.lists(texts, max_size=3).map(lambda p: "".join(f"/{s}" for s in p))},
)


@law(objects, st.lists(operations, max_size=6) | documents)
def test_any_json_patch_is_done_or_refused(live, patch):
    before = copy.deepcopy(live)
    made = outcome(json_patch, live, patch)
    assert isinstance(made, dict) or made in {400, 413, 422}
    assert live == before


@law(objects, documents)
def test_any_strategic_patch_is_done_or_refused(live, patch):
    before = copy.deepcopy(live)
    made = outcome(strategic_patch, {"spec": live}, {"spec": patch}, STRUCTURE)
    assert isinstance(made, dict) or made == 400
    assert live == before


# Schemas


@law(specs | objects)
def test_what_is_pruned_and_defaulted_is_so_for_good(spec):
    value = configuration(copy.deepcopy(spec))
    prune(value, STRUCTURE)
    default(value, STRUCTURE)
    settled = copy.deepcopy(value)
    assert prune(value, STRUCTURE) == []
    default(value, STRUCTURE)
    assert value == settled


@law(specs)
def test_specs_of_the_kind_are_valid(spec):
    value = configuration(copy.deepcopy(spec))
    default(value, STRUCTURE)
    assert validate(value, STRUCTURE) == []


@law(documents)
def test_any_value_is_judged(value):
    for one in (value, {"spec": value}, {"metadata": value}, {"spec": {"keyed": value, "set": value, "map": value}}):
        held = copy.deepcopy(one)
        prune(held, STRUCTURE)
        default(held, STRUCTURE)
        assert all(cause.reason.startswith("FieldValue") for cause in validate(held, STRUCTURE))


schema_words = st.sampled_from(
    (
        *(
            "type",
            "properties",
            "items",
            "enum",
            "minimum",
            "pattern",
            "required",
            "oneOf",
            "not",
            "format",
            "multipleOf",
        ),
        *("additionalProperties", "maxLength", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "default"),
    )
)
schemas = st.recursive(
    scalars | st.sampled_from(["object", "array", "string", "map"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(schema_words | words, below, max_size=4),
    max_leaves=12,
)


@law(st.dictionaries(schema_words, schemas, max_size=4), documents)
def test_any_schema_is_followed_or_refused(schema, value):
    try:
        structure = Structure({"type": "object", "properties": {"spec": schema}})
    except SchemaError:
        return
    validate({"spec": value}, structure)


# Field sets


@law(fieldsets, fieldsets)
def test_the_algebra_of_sets(one, other):
    both = union(one, other)
    assert both == union(other, one)
    assert union(one, one) == one
    assert union(difference(one, other), intersection(one, other)) == one
    assert difference(both, other) == difference(one, other)
    assert intersection(one, other) == intersection(other, one)
    assert intersection(difference(one, other), other) == {}


@law(fieldsets)
def test_what_is_written_is_read_as_it_was(fields):
    assert parse(json.loads(json.dumps(fields))) == fields


@law(specs)
def test_the_fields_of_an_object_are_those_it_has_over_an_empty_one(spec):
    """Every field of an applied object is one that an update to it would have added."""
    value = {"spec": spec}
    added, removed = compare({}, value, STRUCTURE)
    assert removed == {}
    assert difference(fields_of(value, STRUCTURE), added) == {}


@law(specs, specs)
def test_there_and_back(one, other):
    changed, removed = compare({"spec": one}, {"spec": other}, STRUCTURE)
    again, gone = compare({"spec": other}, {"spec": one}, STRUCTURE)
    assert (changed == {} and removed == {}) == (again == {} and gone == {})


# Server-side apply


def written(live, write, at):
    manager, spec, force = write
    if not manager.startswith("up-"):
        return apply(live, configuration(spec), edit(manager, at=at), STRUCTURE, force=force)
    new = configuration(copy.deepcopy(spec))
    default(new, STRUCTURE)
    owners = track(live, new, edit(manager, "Update", at), STRUCTURE)
    return {**new, "metadata": {**new["metadata"], "managedFields": owners}} if owners else new


@law(st.lists(writes, min_size=1, max_size=6))
def test_any_writes_by_any_writers(history):
    live = None
    for at, write in enumerate(history):
        kept = copy.deepcopy(live)
        made = outcome(written, live, write, at)
        assert live == kept
        if isinstance(made, int):
            assert (made, write[2]) == (409, False)
            continue
        live = made
        if not write[0].startswith("up-"):
            holds(live["spec"], write[1])
            again = written(live, write, at + 100)
            assert again is live or emptied(write[1]), "applied twice, nothing changes"
            live = again
            assert written(live, write, at + 200) is live
        assert validate(live, STRUCTURE) == []


def emptied(applied):
    """A list that is said to be empty is taken away first where it was not, and there from the second time on."""
    return any(applied.get(field) == [] for field in ("keyed", "ports", "set"))


def holds(spec, applied):
    """What was applied is what there is, beside what others have."""
    for field in ("a", "b", "count", "list", "atom"):
        if field in applied:
            assert same(spec[field], applied[field])
    assert set(applied.get("set", ())) <= set(spec.get("set", ()))
    assert set(applied.get("map", {}).items()) <= set(spec.get("map", {}).items())
    held = {item["name"]: item for item in spec.get("keyed", ())}
    for item in applied.get("keyed", ()):
        assert item.items() <= held[item["name"]].items()


@law(specs)
def test_one_applier_alone_gets_what_it_says(spec):
    live = apply(None, configuration(spec), edit("al"), STRUCTURE, force=False)
    live = apply(live, configuration({}), edit("al", at=1), STRUCTURE, force=False)
    assert {field: value for field, value in live["spec"].items() if value} == {"count": 1}


@law(documents)
def test_any_configuration_is_applied_or_refused(value):
    for config in (value, configuration(value), {"apiVersion": VERSION, "kind": "T", "metadata": value}):
        made = outcome(apply, None, config, edit("al"), STRUCTURE, force=False)
        assert isinstance(made, dict) or made == 400


@law(documents, documents)
def test_any_update_is_tracked(one, other):
    for old, new in ((None, {"spec": one}), ({"spec": one}, {"spec": other}), ({"metadata": one}, {"metadata": other})):
        assert isinstance(track(old, new, edit("up", "Update"), Structure(SCHEMA)), list)


# Selectors


@pytest.mark.parametrize("parse_selector", [parse_labels, parse_fields])
@law(text=st.text(alphabet="ab=!(),><in \\/.-\0ä", max_size=20))
def test_any_selector_is_read_or_refused(parse_selector, text):
    made = outcome(parse_selector, text)
    assert isinstance(made, tuple) or made == 400
