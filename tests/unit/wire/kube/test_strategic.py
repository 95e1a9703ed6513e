import copy
import time

import pytest

from heddle.wire.kube.patch import strategic_patch
from heddle.wire.kube.schema import Structure
from heddle.wire.kube.status import ApiError

TEXT = {"type": "string"}
PORT = {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": TEXT, "name": TEXT}}
STRUCTURE = Structure(
    {
        "type": "object",
        "properties": {
            "data": {"type": "object", "additionalProperties": TEXT},
            "spec": {
                "type": "object",
                "properties": {
                    "ports": {
                        "type": "array",
                        "items": PORT,
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["port", "protocol"],
                        "x-kubernetes-patch-merge-key": "port",
                        "x-kubernetes-patch-strategy": "merge",
                    },
                    "names": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
                    "plain": {"type": "array", "items": TEXT},
                    "selector": {"type": "object", "additionalProperties": TEXT},
                    "strategy": {"type": "object", "properties": {"type": TEXT, "rolling": TEXT}},
                    "whole": {"type": "object", "x-kubernetes-patch-strategy": "replace", "additionalProperties": TEXT},
                },
            },
        },
    }
)


def patched(live, patch):
    before = copy.deepcopy(live)
    made = strategic_patch({"spec": live}, {"spec": patch}, STRUCTURE)["spec"]
    assert live == before
    return made


A, B = {"port": 1, "name": "a"}, {"port": 2, "name": "b"}


@pytest.mark.parametrize(
    ("live", "patch", "expected"),
    [
        ({"ports": [A, B]}, {"ports": [{"port": 2, "name": "c"}]}, {"ports": [A, {"port": 2, "name": "c"}]}),
        ({"ports": [A]}, {"ports": [B]}, {"ports": [A, B]}),
        ({"ports": [A, B]}, {"ports": [{"port": 1, "$patch": "delete"}]}, {"ports": [B]}),
        ({"ports": [A]}, {"ports": [B, {"$patch": "replace"}]}, {"ports": [B]}),
        ({"ports": [A]}, {"ports": [{"port": 1, "name": None}]}, {"ports": [{"port": 1}]}),
        ({"ports": [A]}, {"ports": [{"port": 1, "$patch": "replace", "protocol": "UDP"}]}, {"ports": []}),
        ({"names": ["a", "b"]}, {"names": ["b", "c", "c"]}, {"names": ["a", "b", "c"]}),
        ({"names": ["a", "b"]}, {"$deleteFromPrimitiveList/names": ["a"]}, {"names": ["b"]}),
        ({"plain": ["a"]}, {"plain": ["b"]}, {"plain": ["b"]}),
        ({"plain": ["a"]}, {"plain": None}, {}),
        ({"selector": {"a": "1"}}, {"selector": {"b": "2"}}, {"selector": {"a": "1", "b": "2"}}),
        ({"selector": {"a": "1"}}, {"selector": {"$patch": "replace", "b": "2"}}, {"selector": {"b": "2"}}),
        ({"selector": {"a": "1"}}, {"selector": {"$patch": "delete"}}, {}),
        ({"whole": {"a": "1"}}, {"whole": {"b": "2"}}, {"whole": {"b": "2"}}),
        (
            {"strategy": {"type": "R", "rolling": "x"}},
            {"strategy": {"$retainKeys": ["type"], "type": "C"}},
            {"strategy": {"type": "C"}},
        ),
        (
            {"ports": [A, B]},
            {"$setElementOrder/ports": [{"port": 2}, {"port": 1}], "ports": [{"port": 1, "name": "z"}]},
            {"ports": [B, {"port": 1, "name": "z"}]},
        ),
        (
            {"names": ["a", "x", "b"]},
            {"$setElementOrder/names": ["b", "c", "a"], "names": ["c"]},
            {"names": ["b", "c", "a", "x"]},
        ),
        ({}, {"ports": [{"port": 1, "$patch": "delete"}]}, {"ports": []}),
        ({}, {"selector": {"a": None, "b": "1"}}, {"selector": {"b": "1"}}),
    ],
)
def test_directives(live, patch, expected):
    assert patched(live, patch) == expected


def test_owners_and_finalizers_of_every_object_are_merged():
    live = {"metadata": {"finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "x"}]}}
    patch = {"metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "2"}, {"uid": "1", "$patch": "delete"}]}}
    made = strategic_patch(live, patch, STRUCTURE)
    assert made["metadata"] == {"finalizers": ["a", "b"], "ownerReferences": [{"uid": "2"}]}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"ports": [{"name": "x"}]}, "does not contain declared merge key: port"),
        ({"ports": ["x"]}, "merge key: port"),
        ({"selector": {"$patch": "explode"}}, "replace, delete or merge"),
        ({"$retainKeys": "x"}, "retainKeys"),
        ({"$retainKeys": [{}]}, "retainKeys"),
        ({"$deleteFromPrimitiveList/names": "x"}, "is a list"),
        ({"$setElementOrder/ports": "x"}, "is a list"),
        ({"$setElementOrder/ports": [{"name": "x"}]}, "merge key"),
    ],
)
def test_patches_that_are_none(patch, why):
    with pytest.raises(ApiError, match=why) as refused:
        patched({"ports": [A], "names": ["a"]}, patch)
    assert refused.value.code == 400


def test_a_list_for_an_object():
    with pytest.raises(ApiError, match="is an object"):
        strategic_patch({}, [], STRUCTURE)


@pytest.mark.parametrize(
    "patch",
    [
        {"ports": [{"port": number, "name": "x"} for number in range(20_000)]},
        {"ports": [{"port": number, "$patch": "delete"} for number in range(20_000)]},
        {"$setElementOrder/ports": [{"port": number} for number in range(20_000)]},
        {"$retainKeys": [str(number) for number in range(20_000)]},
    ],
)
def test_long_lists_take_no_longer_than_they_are(patch):
    live = {"ports": [{"port": number} for number in range(20_000)], **{str(number): 1 for number in range(20_000)}}
    began = time.thread_time()
    strategic_patch({"spec": live}, {"spec": patch}, STRUCTURE)
    assert time.thread_time() - began < 2


def test_an_item_may_come_after_its_own_deletion():
    assert patched(
        {"ports": [A]}, {"ports": [{"port": 1, "$patch": "delete"}, {"port": 1}, {"port": 1, "name": "z"}]}
    ) == {"ports": [{"port": 1, "name": "z"}]}


def test_a_patch_that_is_nested_too_deeply():
    patch = {}
    for _ in range(3000):
        patch = {"a": patch}
    with pytest.raises(ApiError, match="levels deep"):
        strategic_patch({}, patch, STRUCTURE)
