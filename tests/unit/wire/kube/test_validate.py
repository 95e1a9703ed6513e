import time

import pytest

from heddle.wire.kube.schema import Structure, validate


def causes(schema, value):
    structure = Structure({"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}})
    return [(cause.field, cause.reason, cause.message) for cause in validate({"spec": {"x": value}}, structure)]


INVALID, KIND = "FieldValueInvalid", "FieldValueTypeInvalid"


@pytest.mark.parametrize(
    ("schema", "value", "reason", "message"),
    [
        ({"type": "integer"}, "x", KIND, 'Invalid value: "string": spec.x in body must be of type integer: "string"'),
        ({"type": "string"}, 1, KIND, 'Invalid value: "integer": spec.x in body must be of type string: "integer"'),
        ({"type": "boolean"}, 1, KIND, 'Invalid value: "integer": spec.x in body must be of type boolean: "integer"'),
        (
            {"type": "integer"},
            True,
            KIND,
            'Invalid value: "boolean": spec.x in body must be of type integer: "boolean"',
        ),
        ({"type": "integer"}, 1.5, KIND, 'Invalid value: "number": spec.x in body must be of type integer: "number"'),
        ({"type": "object"}, [], KIND, 'Invalid value: "array": spec.x in body must be of type object: "array"'),
        ({"type": "array"}, None, KIND, 'Invalid value: "null": spec.x in body must be of type array: "null"'),
        (
            {"x-kubernetes-int-or-string": True},
            [],
            KIND,
            'Invalid value: "array": spec.x in body must be of type integer,string: "array"',
        ),
        (
            {"type": "string", "enum": ["a", "b"]},
            "c",
            "FieldValueNotSupported",
            'Unsupported value: "c": supported values: "a", "b"',
        ),
        (
            {"type": "integer", "maximum": 10},
            99,
            INVALID,
            "Invalid value: 99: spec.x in body should be less than or equal to 10",
        ),
        (
            {"type": "integer", "minimum": 1},
            0,
            INVALID,
            "Invalid value: 0: spec.x in body should be greater than or equal to 1",
        ),
        (
            {"type": "number", "maximum": 2147483647.0},
            2**31,
            INVALID,
            "Invalid value: 2147483648: spec.x in body should be less than or equal to 2147483647",
        ),
        (
            {"type": "number", "minimum": 1, "exclusiveMinimum": True},
            1,
            INVALID,
            "Invalid value: 1: spec.x in body should be greater than 1",
        ),
        (
            {"type": "integer", "multipleOf": 5},
            7,
            INVALID,
            "Invalid value: 7: spec.x in body should be a multiple of 5",
        ),
        (
            {"type": "string", "minLength": 1},
            "",
            INVALID,
            'Invalid value: "": spec.x in body should be at least 1 chars long',
        ),
        ({"type": "string", "maxLength": 3}, "abcd", "FieldValueTooLong", "Too long: may not be more than 3 bytes"),
        ({"type": "string", "maxLength": 1}, "ab", "FieldValueTooLong", "Too long: may not be more than 1 byte"),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            "A",
            INVALID,
            "Invalid value: \"A\": spec.x in body should match '^[a-z]+$'",
        ),
        (
            {"type": "array", "minItems": 2},
            [1],
            INVALID,
            "Invalid value: 1: spec.x in body should have at least 2 items",
        ),
        ({"type": "array", "maxItems": 1}, [1, 2], "FieldValueTooMany", "Too many: 2: must have at most 1 item"),
        (
            {"type": "object", "maxProperties": 0},
            {"a": 1},
            "FieldValueTooMany",
            "Too many: 1: must have at most 0 items",
        ),
        (
            {"type": "object", "minProperties": 1},
            {},
            INVALID,
            "Invalid value: 0: spec.x in body should have at least 1 properties",
        ),
        (
            {"type": "string", "format": "date-time"},
            "x",
            KIND,
            'Invalid value: "x": spec.x in body must be of type date-time: "x"',
        ),
        (
            {"anyOf": [{"type": "string"}, {"minimum": 5}]},
            1,
            INVALID,
            'Invalid value: "": "spec.x" must validate at least one schema (anyOf)',
        ),
        (
            {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            INVALID,
            'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
        ),
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {},
            INVALID,
            'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found none valid',
        ),
        (
            {"allOf": [{"minimum": 1}, {"maximum": 2}]},
            3,
            INVALID,
            'Invalid value: "": "spec.x" must validate all the schemas (allOf)',
        ),
        ({"not": {"enum": [1]}}, 1, INVALID, 'Invalid value: "": "spec.x" must not validate the schema (not)'),
    ],
)
def test_in_the_words_of_a_real_api_server(schema, value, reason, message):
    assert causes(schema, value) == [("spec.x", reason, message)]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 3),
        ({"type": "string", "nullable": True}, None),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "5%"),
        ({"type": "string", "enum": ["a"]}, "a"),
        ({"type": "string", "format": "unheard-of"}, "x"),
        ({"type": "string", "maxLength": 3}, "äöü"),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 1),
        ({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}, ["a", "b"]),
    ],
)
def test_what_is_right_is_not_complained_of(schema, value):
    assert causes(schema, value) == []


def test_the_place_is_named():
    schema = {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "additionalProperties": {"type": "string"}},
    }
    assert [cause[:2] for cause in causes(schema, [{"name": "a"}, {"other": 1}])] == [
        ("spec.x[1].name", "FieldValueRequired"),
        ("spec.x[1].other", KIND),
    ]


def test_items_that_are_there_twice():
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]}
    found = causes(keyed, [{"a": 1, "b": 2, "c": 3}, {"b": 2, "a": 1}, {"a": 1}])
    assert found == [("spec.x[1]", "FieldValueDuplicate", 'Duplicate value: {"a":1,"b":2}')]
    as_set = {"type": "array", "x-kubernetes-list-type": "set"}
    assert causes(as_set, ["a", "b", "a"]) == [("spec.x[2]", "FieldValueDuplicate", 'Duplicate value: "a"')]


def test_causes_are_bounded():
    assert len(causes({"type": "array", "items": {"type": "string"}}, list(range(100_000)))) == 64


def test_values_are_not_repeated_at_length():
    (cause,) = causes({"type": "string", "enum": ["a"]}, "x" * 100_000)
    assert len(cause[2]) < 400


def test_a_secret_is_not_repeated():
    (cause,) = causes({"type": "string", "format": "byte"}, "hunter2!")
    assert "hunter2" not in cause[2]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "(.*)*x"])
def test_no_pattern_is_slow(pattern):
    began = time.perf_counter()
    assert causes({"type": "string", "pattern": pattern}, "a" * 50_000 + "!")
    assert time.perf_counter() - began < 2
