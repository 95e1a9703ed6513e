"""Arguments as they are typed, and what the schema makes of them."""

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.cli.mcp_arguments import arguments_json, arguments_of, strings_of

SCHEMA = {
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "deep": {"type": "object"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"type": ["string", "integer"]},
        "free": {},
        "odd": 5,
    }
}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("text=12", "12"), ("text=a=b", "a=b"), ("text=", ""), ("text:=null", None), ("count=12", 12),
        ("deep={\"a\": [1]}", {"a": [1]}), ("maybe=3", 3), ("maybe=null", None), ("either=3", "3"), ("either:=3", 3),
        ("free=3", "3"), ("free:=[1]", [1]), ("odd=x", "x"), ("unknown=true", "true"), ("unknown:=true", True),
    ],
)  # fmt: skip
def test_a_value_is_what_the_schema_says(pair: str, value: Any) -> None:
    (found,) = arguments_of((pair,), SCHEMA).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (("count=many",), "count: expected integer, got 'many'"),
        (("maybe=x",), "expected integer or null"),
        (("free:={",), "free: expected JSON"),
        (("free:={\"a\":1,\"a\":2}",), "free: expected JSON"),
        (("text",), "expected KEY=VALUE or KEY:=JSON"),
        (("=x",), "expected KEY=VALUE"),
        ((":=x",), "expected KEY=VALUE"),
        (("a=1", "a:=2"), "a is given twice"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(pairs: tuple[str, ...], told: str) -> None:
    with pytest.raises(click.UsageError, match=told.replace("{", r"\{")):
        arguments_of(pairs, SCHEMA)


@pytest.mark.parametrize("schema", [None, [], {"properties": []}, {"properties": {"a": {"type": 5, "anyOf": 7}}}])
def test_a_schema_that_is_none_says_nothing(schema: Any) -> None:
    assert arguments_of(("a=1",), schema) == {"a": "1"}


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"a":1,"a":2}', '{"a": NaN}', "[" * 5000])
def test_all_arguments_are_one_object(text: str) -> None:
    with pytest.raises(click.UsageError, match="arguments: "):
        arguments_json(text)
    assert arguments_json('{"a": [1, "\u00e9"]}') == {"a": [1, "\u00e9"]}


def test_arguments_of_prompts_are_texts() -> None:
    assert strings_of(("a=1", "b=true")) == {"a": "1", "b": "true"}


ANY = st.recursive(
    st.none() | st.integers() | st.sampled_from(["integer", "string", "anyOf", "type"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "anyOf", "oneOf", "x"]), inner),
)


@given(st.lists(st.text(max_size=20), max_size=4), ANY)
def test_nothing_that_is_typed_is_a_crash(pairs: list[str], schema: Any) -> None:
    try:
        found = arguments_of(tuple(pairs), {"properties": {"a": schema, "b": {"type": schema}}})
    except click.UsageError:
        return
    assert len(found) == len(pairs)
