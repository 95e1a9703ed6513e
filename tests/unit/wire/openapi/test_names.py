"""Names: what clients accept, apart from each other, and the same whatever stands around them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.openapi.names import MAX_ARGUMENT_NAME, argument_name, fitted, tool_names


@pytest.mark.parametrize(
    ("given", "expected"),
    [("getPet", "getPet"), ("pets/get-by.id", "pets_get-by_id"), ("__a__", "a"), ("é", ""), ("a" * 64, "a" * 64)],
)
def test_fitted(given, expected):
    assert fitted(given) == expected


def test_long_names_stay_apart():
    one, other = fitted("a" * 70 + "b"), fitted("a" * 70 + "c")
    assert one != other
    assert len(one) == len(other) == 64


def test_names_that_two_want():
    given = [("list", "get", "/a"), ("list", "get", "/b"), ("one", "get", "/c"), ("", "get", "/one")]
    assert tool_names(given) == ["list_get_a", "list_get_b", "one", "get_one"]
    assert tool_names(given[::-1]) == tool_names(given)[::-1], "order decides nothing"


def test_names_that_are_wanted_twice_over():
    found = tool_names([("x", "get", "/a-b"), ("x", "get", "/a.b"), ("x", "get", "/a_b"), ("x_get_a_b", "put", "/c")])
    assert len(set(found)) == 4
    assert found[0] == "x_get_a-b"


PATHS = st.text("/ab-._{}é", min_size=1, max_size=80)


@given(
    st.lists(
        st.tuples(st.text("ab./é", max_size=70), st.sampled_from(["get", "put"]), PATHS),
        unique_by=lambda o: o[1:],
        max_size=12,
    )
)
def test_names_are_always_accepted(operations):
    found = tool_names(operations)
    assert len(set(found)) == len(operations)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in found)


def test_names_of_arguments():
    taken = []
    for wire, location in [
        ("id", "path"),
        ("id", "query"),
        ("query_id", "query"),
        ("ids[]", "query"),
        ("_page", "query"),
        ("[]", "header"),
        ("[]", "header"),
    ]:
        taken.append(argument_name(wire, location, taken))
    assert taken == ["id", "query_id", "query_query_id", "ids", "_page", "header", "header_header"]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=80), st.sampled_from(["query", "body"])), max_size=20))
def test_arguments_are_always_apart(wanted):
    taken = []
    for wire, location in wanted:
        taken.append(argument_name(wire, location, taken))
    assert len(set(taken)) == len(taken)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) and len(name) <= MAX_ARGUMENT_NAME for name in taken)
