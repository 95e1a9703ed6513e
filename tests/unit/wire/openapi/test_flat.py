"""The shape of values, as schemas tell it."""

import pytest

from heddle.wire.openapi.flat import Flat, as_object, flatten, shapes_of

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "shapes"),
    [
        ({}, {"plain", "array"}),
        ({"not": {}}, {"plain", "array"}),
        ({"type": "null"}, {"plain", "array"}),
        (STRING, {"plain"}),
        ({"type": ["integer", "null"]}, {"plain"}),
        ({"type": ["object", "array"]}, {"object", "array"}),
        ({"properties": {}}, {"object"}),
        ({"additionalProperties": False}, {"object"}),
        ({"items": {"type": "object"}}, {"array"}),
        ({"enum": [{}]}, {"plain"}),
        ({"const": 1}, {"plain"}),
        (
            {"anyOf": [STRING, {"oneOf": [{"type": "array"}, {"allOf": [{"type": "object"}]}]}]},
            {"plain", "array", "object"},
        ),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, {"object"}),
        ({"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}}, {"plain", "array"}),
    ],
)
def test_shapes(schema, shapes):
    assert shapes_of(schema) == shapes


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": ["object", "null"], "properties": {"a": {}}},
        {"type": "array", "properties": {"a": {}}},
        {"properties": {"a": {}}, "additionalProperties": {}},
        {"properties": {"a": {}}, "minProperties": 1},
        {"properties": {"a": {}}, "oneOf": [{}]},
        {"allOf": [{"$ref": "#/$defs/A"}]},
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"a": STRING}}]},
        {"allOf": [{"properties": {"a": {}}}, {"type": "string"}]},
    ],
)
def test_what_is_more_than_its_properties(schema):
    assert flatten(schema) is None


def test_properties_of_all_of():
    members = [
        {"properties": {"a": STRING}, "required": ["a", "gone"]},
        {"allOf": [{"properties": {"b": {}}}]},
        {"required": ["b"]},
    ]
    assert flatten({"allOf": members, "description": "x"}) == Flat({"a": STRING, "b": {}}, frozenset({"a", "b"}))
    same = {"properties": {"a": STRING}, "allOf": [{"properties": {"a": STRING}}]}
    assert flatten(same) == Flat({"a": STRING}, frozenset())


@pytest.mark.parametrize(
    "schema", [{}, {"type": "array"}, {"type": ["object", "null"]}, {"allOf": [STRING]}, {"allOf": [{}]}]
)
def test_what_need_not_be_an_object(schema):
    assert as_object(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"a": {}}},
        {"allOf": [{}, {"type": "object"}]},
        {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"type": "object"}}},
    ],
)
def test_what_must_be_an_object(schema):
    assert as_object(schema) == {"type": "object", **schema}
