"""Arguments that are repeated as fields."""

from typing import Any

import pytest

from heddle.wire.mcp.params import MARK, MAX_DEPTH, contradiction, fields_of, marked


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


REGION = schema(region={"type": "string", MARK: "Region"})


def test_properties_are_marked_at_any_depth_that_names_reach() -> None:
    nested = schema(at={"type": "object", "properties": {"zone": {"type": "integer", MARK: "Zone"}}})
    assert marked(REGION) == {("region",): b"mcp-param-region"}
    assert marked(nested) == {("at", "zone"): b"mcp-param-zone"}
    assert fields_of(marked(nested), {"at": {"zone": 7}}) == [(b"mcp-param-zone", b"7")]
    assert fields_of(marked(nested), {"at": 5}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        [],
        {"properties": 5},
        schema(a=5),
        schema(a={"type": "string", MARK: "bad name"}),
        schema(a={"type": "string", MARK: "a\r\nb"}),
        schema(a={"type": "string", MARK: ""}),
        schema(a={"type": "string", MARK: 5}),
        schema(a={"type": "array", MARK: "A"}),
        schema(a={"type": "string", MARK: "Same"}, b={"type": "string", MARK: "same"}),
    ],
    ids=repr,
)
def test_a_schema_that_marks_wrongly_marks_nothing(wrong: Any) -> None:
    assert marked(wrong) == {}


def test_a_schema_is_not_followed_without_end() -> None:
    deep: dict[str, Any] = {"type": "string", MARK: "Deep"}
    for _ in range(MAX_DEPTH + 5):
        deep = schema(a=deep)
    assert marked(deep) == {}


@pytest.mark.parametrize(
    ("arguments", "given", "wrong"),
    [
        ({"region": "eu"}, {b"mcp-param-region": b"eu"}, ""),
        ({}, {}, ""),
        ({"region": "schön"}, {b"mcp-param-region": b"=?base64?c2Now7Zu?="}, ""),
        ({"region": "eu"}, {b"mcp-param-region": b"us"}, "mcp-param-region"),
        ({"region": "eu"}, {}, "mcp-param-region"),
        ({}, {b"mcp-param-region": b"eu"}, "mcp-param-region"),
        ({"region": ["eu"]}, {b"mcp-param-region": b"eu"}, "mcp-param-region"),
        ({"region": True}, {b"mcp-param-region": b"True"}, "mcp-param-region"),
        ({"region": "eu"}, {b"mcp-param-region": b"=?base64?!?="}, "mcp-param-region"),
    ],
)
def test_a_field_must_say_what_its_argument_says(arguments: Any, given: Any, wrong: str) -> None:
    assert contradiction(marked(REGION), arguments, given) == wrong


def test_a_number_that_cannot_be_written_is_no_field() -> None:
    assert fields_of({("n",): b"mcp-param-n"}, {"n": 10**400}) == []
    assert fields_of({("n",): b"mcp-param-n"}, {"n": False}) == [(b"mcp-param-n", b"false")]
