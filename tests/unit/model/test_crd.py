"""Kinds of CustomResourceDefinitions and back: whole, preferred version first, and refused with the place."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from heddle.controlplane.kinds import served_kinds
from heddle.model.crd import CrdError, crd_of, crds_of, identity, kind_of, kinds_of_crd, priority
from heddle.model.kinds import READ_VERBS
from heddle.model.resources_directory import Tool
from heddle.model.resources_grants import ReferenceGrant

GOLDEN = Path(__file__).parents[2] / "golden" / "kubernetes-api" / "crds.yaml"


def definitions() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(GOLDEN.read_text()))


def test_the_recorded_definitions_are_kinds():
    agents, models = (kinds_of_crd(one)[0] for one in definitions())
    assert (agents.resource, agents.api_version, agents.kind) == ("agents.kagent.dev", "kagent.dev/v1alpha2", "Agent")
    assert (agents.short_names, agents.categories) == (("ag",), ("all", "kagent"))
    assert agents.has_status
    assert agents.namespaced
    assert not agents.builtin
    assert [one.name for one in agents.columns] == ["Type", "Ready", "Replicas", "Age"]
    assert agents.columns[2].priority == 1
    assert agents.schema["properties"]["spec"]["properties"]["replicas"]["maximum"] == 10
    assert models.plural == "modelconfigs"


def test_a_definition_of_a_kind_makes_the_same_kind():
    for crd in definitions():
        kinds = kinds_of_crd(crd)
        assert kinds_of_crd(crd_of(*kinds)) == kinds


def test_every_version_that_is_served_is_a_kind_and_the_preferred_one_is_first():
    crd = definitions()[0]
    (version,) = crd["spec"]["versions"]
    crd["spec"]["versions"] = [
        {**version, "name": name, "storage": name == "v1", "served": name != "v1beta1"}
        for name in ("v1alpha2", "v1beta1", "v1", "v2beta3")
    ]
    assert [one.version for one in kinds_of_crd(crd)] == ["v1", "v2beta3", "v1alpha2"]


def test_versions_are_preferred_as_kubernetes_does():
    right = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted({*right}, key=priority) == right


def test_both_versions_of_a_grant_are_one_definition():
    (grants,) = [one for one in crds_of(served_kinds()) if one["metadata"]["name"].startswith("referencegrants")]
    assert [(one["name"], one["storage"]) for one in grants["spec"]["versions"]] == [("v1", True), ("v1beta1", False)]
    assert "subresources" not in grants["spec"]["versions"][0]


def test_what_is_generated_can_only_be_read():
    assert kind_of(Tool).verbs == READ_VERBS
    assert kind_of(Tool).generated
    assert "create" in kind_of(ReferenceGrant).verbs
    assert identity(ReferenceGrant) == ("gateway.networking.k8s.io/v1", "ReferenceGrant")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("spec", "group"), 5, r"Expected `str`, got `int` - at `\$.spec.group`"),
        (("spec", "scope"), "World", "World"),
        (("spec", "names"), None, "spec.names"),
        (("spec", "versions"), [], "exactly one version marked as storage"),
        (("spec", "names", "plural"), "other", "metadata.name: must be spec.names.plural"),
        (("metadata", "name"), "x", "metadata.name: must be spec.names.plural"),
    ],
)
def test_what_is_no_definition_is_refused_with_its_place(path, value, said):
    crd = definitions()[0]
    at = crd
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(CrdError, match=said):
        kinds_of_crd(crd)


def test_names_cannot_leave_their_path():
    crd = definitions()[0]
    crd["spec"]["group"] = "../x"
    crd["metadata"]["name"] = "agents.../x"
    with pytest.raises(CrdError, match=r"spec\.group: expected a lower-case DNS name"):
        kinds_of_crd(crd)


def test_versions_are_told_apart():
    crd = definitions()[0]
    crd["spec"]["versions"] *= 2
    with pytest.raises(CrdError, match="unique version names"):
        kinds_of_crd(crd)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5) | st.integers(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["apiVersion", "kind", "metadata", "spec", "names", "versions", "name", "schema", "x"]), inner, max_size=4)
), max_leaves=12))  # fmt: skip
def test_garbage_is_refused_and_never_a_crash(value: Any):
    with pytest.raises(CrdError):
        kinds_of_crd(value)


def test_a_definition_is_not_changed_by_reading_it():
    crd = definitions()[0]
    before = copy.deepcopy(crd)
    kinds_of_crd(crd)
    assert crd == before
