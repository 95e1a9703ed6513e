import pytest

from heddle.wire.kube.schema import ANY, SchemaError, Structure


def structure(**properties):
    return Structure({"type": "object", "properties": properties})


def test_the_metadata_of_every_kind_is_the_same():
    made = Structure({"type": "object", "properties": {"metadata": {"type": "object"}}})
    assert made.properties["metadata"].properties["labels"].additional.type == "string"
    assert made.properties["metadata"].properties["ownerReferences"].keys == ("uid",)


def test_what_no_schema_describes_is_granular_and_open():
    open_map = structure(extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True}).properties["extra"]
    assert open_map.below("anything") is ANY
    assert open_map.relation == "granular"
    assert ANY.below("x") is ANY


def test_a_closed_map_has_no_other_fields():
    assert structure(a={"type": "string"}).below("b") is None


def test_a_type_that_is_not_stated_is_read_from_what_is_below():
    made = structure(m={"properties": {"a": {"type": "string"}}}, l={"items": {"type": "string"}}, x={})
    assert [made.properties[name].form for name in "ml"] == ["map", "list"]
    assert made.properties["x"].deduced


def test_defaults_of_keys_are_known():
    made = structure(
        ports={
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
            },
        }
    )
    assert made.properties["ports"].key_defaults == {"protocol": "TCP"}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "array", "x-kubernetes-list-type": "bag"}, "list-type"),
        ({"type": "array", "x-kubernetes-list-type": "map"}, "map-keys"),
        ({"type": "text"}, "type is 'text'"),
        ({"type": "string", "pattern": "(?<=x)y"}, "pattern"),
        ({"type": "string", "pattern": "x" * 5000}, "pattern"),
        ({"type": "object", "properties": ["a"]}, "malformed"),
        ({"type": "array", "items": [{"type": "string"}]}, "items is one schema"),
        ({"type": "number", "multipleOf": 0}, "multipleOf"),
        ({"type": "object", "required": 3}, "required is a list of names"),
        ({"type": "object", "required": [{}]}, "required is a list of names"),
        ({"type": "integer", "minimum": None}, "minimum is a number"),
        ({"type": "string", "enum": "abc"}, "enum is a list"),
        ({"type": "string", "maxLength": "5"}, "maxLength is a whole number"),
        ({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [[]]}, "list of names"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(schema, why):
    with pytest.raises(SchemaError, match=why):
        structure(spec=schema)


def test_a_schema_nested_without_end_is_refused():
    schema = {"type": "object"}
    for _ in range(300):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(SchemaError, match="nested"):
        Structure(schema)
