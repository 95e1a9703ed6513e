import json

import pytest
from tests.unit.wire.kube.objects import Thing, configuration

from heddle.wire.kube.last_applied import ANNOTATION
from heddle.wire.kube.status import ApiError


def client_side(spec, text=None):
    """An object that kubectl applied on its own side."""
    thing = Thing()
    thing.update("kubectl-client-side-apply", spec, metadata={"name": "t"})
    applied = json.dumps(configuration(spec)) if text is None else text
    annotations = {ANNOTATION: applied}
    thing.update("kubectl-client-side-apply", metadata={**thing.live["metadata"], "annotations": annotations})
    return thing


def test_what_kubectl_applied_itself_is_no_conflict_for_it():
    thing = client_side({"a": "1", "b": "1"}).apply("kubectl", {"a": "2", "b": "1"})
    assert thing.spec["a"] == "2"
    assert "a" in thing.owners["kubectl"]
    assert "a" not in thing.owners["kubectl-client-side-apply"]


def test_but_what_another_changed_since_is():
    thing = client_side({"a": "1", "b": "1"}).update("other", {"a": "1", "b": "changed"})
    with pytest.raises(ApiError, match=r'conflict with "other" using heddle.dev/v1: \.spec\.b') as refused:
        thing.apply("kubectl", {"a": "2", "b": "2"})
    assert len(refused.value.details["causes"]) == 1


def test_only_for_kubectl():
    with pytest.raises(ApiError, match="conflict with"):
        client_side({"a": "1"}).apply("somebody", {"a": "2"})


def test_the_annotation_follows():
    thing = client_side({"a": "1"}).apply("kubectl", {"a": "2"})
    assert json.loads(thing.live["metadata"]["annotations"][ANNOTATION]) == configuration({"a": "2"})


def test_an_annotation_is_not_begun():
    thing = Thing().apply("kubectl", {"a": "1"}, metadata={"annotations": {"x": "y"}})
    assert thing.live["metadata"]["annotations"] == {"x": "y"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "null", "[" * 10_000, '{"spec": []}', '{"spec":{"keyed":[1]}}', "{}" * 200_000]
)
def test_an_annotation_that_is_none_excuses_nothing(text):
    with pytest.raises(ApiError, match="conflict with"):
        client_side({"a": "1"}, text).apply("kubectl", {"a": "2"})


def test_a_configuration_that_is_too_large_is_not_kept():
    thing = client_side({"a": "1"}).apply("kubectl", {"a": "2", "b": "x" * 300_000})
    assert ANNOTATION not in thing.live["metadata"].get("annotations", {})
