import pytest

from heddle.wire.kube.schema import Structure, default, drop_empty_metadata, prune

TEXT = {"type": "string"}
SPEC = {
    "type": "object",
    "properties": {
        "mode": {"type": "string", "default": "auto"},
        "maybe": {"type": "string", "nullable": True, "default": "x"},
        "plain": TEXT,
        "tools": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": TEXT, "kind": {"type": "string", "default": "K"}}},
        },
        "limits": {"type": "object", "default": {"cpu": 1}, "properties": {"cpu": {"type": "integer"}}},
        "byName": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": TEXT}}},
        "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": TEXT}},
        "port": {"x-kubernetes-int-or-string": True},
        "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": TEXT}},
    },
}
STRUCTURE = Structure({"type": "object", "properties": {"spec": SPEC}})


def defaulted(spec):
    value = {"spec": spec}
    default(value, STRUCTURE)
    return value["spec"]


def test_what_is_absent_is_filled_in():
    assert defaulted({"tools": [{"name": "a"}]}) == {
        "mode": "auto",
        "maybe": "x",
        "limits": {"cpu": 1},
        "tools": [{"name": "a", "kind": "K"}],
    }


@pytest.mark.parametrize(
    ("spec", "field", "expected"),
    [
        ({"mode": None}, "mode", "auto"),
        ({"maybe": None}, "maybe", None),
        ({"plain": None}, "plain", "gone"),
        ({"byName": {"x": None}}, "byName", {}),
        ({"extra": {"z": None}}, "extra", {"z": None}),
    ],
)
def test_a_null_is_a_value_only_where_the_schema_says_so(spec, field, expected):
    assert defaulted(spec).get(field, "gone") == expected


def test_a_default_is_never_shared_between_objects():
    one, other = defaulted({}), defaulted({})
    one["limits"]["cpu"] = 2
    assert other["limits"] == {"cpu": 1}


def pruned(spec):
    value = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": spec}
    return prune(value, STRUCTURE), value["spec"]


def test_what_nobody_declared_goes_and_is_named():
    removed, spec = pruned({"foo": 1, "tools": [{"name": "a"}, {"y": 1}], "byName": {"x": {"b": 1}}, "plain": "p"})
    assert removed == ["spec.byName.x.b", "spec.foo", "spec.tools[1].y"]
    assert spec == {"tools": [{"name": "a"}, {}], "byName": {"x": {}}, "plain": "p"}


def test_open_fields_keep_everything():
    assert pruned({"extra": {"a": "1", "z": {"deep": [{}]}}}) == ([], {"extra": {"a": "1", "z": {"deep": [{}]}}})


def test_an_embedded_object_keeps_what_every_object_has():
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "odd": 1}, "spec": "s", "more": 1}
    removed, spec = pruned({"template": template})
    assert removed == ["spec.template.metadata.odd", "spec.template.more"]
    assert spec["template"] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": "s"}


def test_unknown_metadata_is_named_too():
    value = {"metadata": {"name": "n", "lables": {}}}
    assert prune(value, STRUCTURE) == ["metadata.lables"]


def test_not_everything_of_a_flood_is_named_but_all_of_it_goes():
    removed, spec = pruned({f"x{n}": n for n in range(1000)})
    assert len(removed) == 64
    assert spec == {}


@pytest.mark.parametrize("spec", [None, 1, "x", [], True])
def test_values_of_another_form_are_left_to_validation(spec):
    assert pruned(spec) == ([], spec)


def test_empty_metadata_is_dropped_as_stored():
    value = {"metadata": {"labels": {}, "annotations": {"a": ""}, "finalizers": [], "name": ""}}
    drop_empty_metadata(value)
    assert value == {"metadata": {"annotations": {"a": ""}, "name": ""}}
