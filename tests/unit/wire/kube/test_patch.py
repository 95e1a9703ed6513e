import copy
import time

import pytest

from heddle.wire.kube.patch import json_patch, merge_patch
from heddle.wire.kube.status import ApiError

# Merge patch: the examples of RFC 7396, appendix A, where the target is an object


@pytest.mark.parametrize(
    ("live", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "b"}, {"a": {"c": None, "d": 1}}, {"a": {"d": 1}}),
    ],
)
def test_merge_patches(live, patch, expected):
    before = copy.deepcopy(live)
    assert merge_patch(live, patch) == expected
    assert live == before


@pytest.mark.parametrize("patch", [[], "x", None, 1])
def test_a_merge_patch_is_an_object(patch):
    with pytest.raises(ApiError, match="merge patch is an object") as refused:
        merge_patch({}, patch)
    assert refused.value.code == 400


def test_nothing_is_shared_with_what_was_patched():
    live, patch = {"a": {"b": [1]}}, {"c": {"d": [2]}}
    made = merge_patch(live, patch)
    made["a"]["b"].append(9)
    made["c"]["d"].append(9)
    assert (live, patch) == ({"a": {"b": [1]}}, {"c": {"d": [2]}})


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "patch", [merge_patch, lambda live, deep: json_patch(live, [{"op": "add", "path": "/a", "value": deep}])]
)
def test_a_patch_that_is_nested_too_deeply(patch):
    with pytest.raises(ApiError, match="levels deep"):
        patch({}, nested(5000))


# JSON patch


def done(live, *operations):
    return json_patch(live, [dict(zip(("op", "path", "value"), operation, strict=False)) for operation in operations])


@pytest.mark.parametrize(
    ("live", "operation", "expected"),
    [
        ({"foo": "bar"}, ("add", "/baz", "qux"), {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, ("add", "/foo/1", "qux"), {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, ("add", "/foo/-", ["abc"]), {"foo": ["bar", ["abc"]]}),
        ({"foo": ["bar"]}, ("add", "/foo/1", "x"), {"foo": ["bar", "x"]}),
        ({"foo": "bar"}, ("add", "", {"a": 1}), {"a": 1}),
        ({"baz": "qux", "foo": "bar"}, ("remove", "/baz"), {"foo": "bar"}),
        ({"foo": ["bar", "qux"]}, ("remove", "/foo/1"), {"foo": ["bar"]}),
        ({"baz": "qux"}, ("replace", "/baz", "boo"), {"baz": "boo"}),
        ({"a": [1, 2]}, ("replace", "/a/0", 9), {"a": [9, 2]}),
        ({"a/b": 1, "m~n": 2}, ("replace", "/a~1b", 3), {"a/b": 3, "m~n": 2}),
        ({"m~n": 2}, ("replace", "/m~0n", 3), {"m~n": 3}),
        ({"": 1}, ("replace", "/", 2), {"": 2}),
        ({"a": 1}, ("test", "/a", 1.0), {"a": 1}),
        ({"a": {"b": [1]}}, ("test", "/a", {"b": [1]}), {"a": {"b": [1]}}),
        ({"a": 1}, ("test", "/missing", None), {"a": 1}),
        ({"a": 1}, ("replace", "/a", None), {"a": None}),
    ],
)
def test_operations(live, operation, expected):
    before = copy.deepcopy(live)
    assert done(live, operation) == expected
    assert live == before


def test_moves_and_copies():
    live = {"a": {"x": [1]}, "b": [1, 2, 3]}
    move = [{"op": "move", "from": "/b/0", "path": "/b/2"}, {"op": "copy", "from": "/a", "path": "/c"}]
    made = json_patch(live, [*move, {"op": "add", "path": "/c/x/-", "value": 2}])
    assert made == {"a": {"x": [1]}, "b": [2, 3, 1], "c": {"x": [1, 2]}}


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"op": "test", "path": "/a", "value": 2}, r"operation 0 \(test '/a'\): the value there is not the one"),
        ({"op": "test", "path": "/a", "value": True}, "not the one tested for"),
        ({"op": "remove", "path": "/x"}, "there is nothing there"),
        ({"op": "replace", "path": "/x", "value": 1}, "there is nothing there"),
        ({"op": "add", "path": "/x/y", "value": 1}, "there is nothing there"),
        ({"op": "add", "path": "/a/y", "value": 1}, "nothing that could hold it"),
        ({"op": "add", "path": "/l/9", "value": 1}, "no index 9"),
        ({"op": "add", "path": "/l/01", "value": 1}, "not an index"),
        ({"op": "add", "path": "/l/-1", "value": 1}, "not an index"),
        ({"op": "remove", "path": "/l/-"}, "not an index"),
        ({"op": "add", "path": "/l/" + "9" * 5000, "value": 1}, "not an index"),
        ({"op": "copy", "from": "/x", "path": "/y"}, "there is nothing there"),
        ({"op": "move", "from": "/m", "path": "/m/n"}, "moved into itself"),
        ({"op": "remove", "path": ""}, "leaves no object"),
        ({"op": "replace", "path": "", "value": [1]}, "leaves no object"),
    ],
)
def test_operations_that_fail(operation, why):
    with pytest.raises(ApiError, match=why) as refused:
        json_patch({"a": 1, "l": [], "m": {}}, [operation])
    assert (refused.value.code, refused.value.reason, refused.value.details) == (422, "Invalid", {})


def test_a_failure_says_nothing_of_the_values():
    with pytest.raises(ApiError) as refused:
        done({"password": "hunter2"}, ("test", "/password", "guess"))
    assert "hunter2" not in refused.value.message
    assert "guess" not in refused.value.message


@pytest.mark.parametrize(
    "patch",
    [
        {},
        "x",
        [1],
        [{}],
        [{"op": "grow", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": 1, "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "copy", "path": "/a"}],
        [{"op": "move", "path": "/a", "from": 1}],
    ],
)
def test_what_is_no_json_patch(patch):
    with pytest.raises(ApiError) as refused:
        json_patch({}, patch)
    assert refused.value.code == 400


def test_all_operations_or_none():
    live = {"a": 1}
    with pytest.raises(ApiError):
        done(live, ("replace", "/a", 2), ("test", "/a", 3))
    assert live == {"a": 1}


def test_a_bomb_of_copies_is_refused_early():
    doubling = {"op": "copy", "from": "/a", "path": "/a/-"}
    began = time.perf_counter()
    with pytest.raises(ApiError) as refused:
        json_patch({"a": ["x" * 1000]}, [doubling] * 9000)
    assert refused.value.code in {400, 413}
    assert time.perf_counter() - began < 5


def test_too_many_operations():
    with pytest.raises(ApiError, match="10000, got 10001") as refused:
        json_patch({}, [{"op": "test", "path": "/a", "value": None}] * 10_001)
    assert refused.value.code == 413
