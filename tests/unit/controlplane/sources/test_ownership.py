"""What a source declares is written by that source alone."""

from typing import Any, NamedTuple

import pytest

from heddle.controlplane.sources.ownership import OWNED_BY, check_owner, owner_of, source_user
from heddle.wire.kube.status import ApiError


class Caller(NamedTuple):
    name: str


FOLDER, OTHER, PERSON = Caller(source_user("folder:conf")), Caller(source_user("git:conf")), Caller("ada")


def policy(owner: str | None = None, **more: Any) -> dict[str, Any]:
    annotations = {} if owner is None else {"annotations": {OWNED_BY: owner}}
    return {
        "apiVersion": "heddle.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {"name": "p", "namespace": "default", **annotations},
        **more,
    }


@pytest.mark.parametrize(
    ("caller", "old", "new"),
    [
        (PERSON, None, policy()),
        (PERSON, policy(), policy(spec={})),
        (PERSON, policy(), None),
        (FOLDER, None, policy("folder:conf")),
        (FOLDER, policy(), policy("folder:conf")),
        (FOLDER, policy("folder:conf"), policy("folder:conf", spec={})),
        (FOLDER, policy("folder:conf"), policy()),
        (FOLDER, policy("folder:conf"), None),
        (PERSON, None, {"kind": "X"}),
        (PERSON, None, {"metadata": {"annotations": [OWNED_BY]}}),
    ],
)
def test_passes(caller: Caller, old: dict[str, Any] | None, new: dict[str, Any] | None):
    check_owner(caller, old, new)


@pytest.mark.parametrize("caller", [PERSON, OTHER, Caller("folder:conf"), Caller("system:source:"), Caller("")])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, policy("folder:conf")),
        (policy(), policy("folder:conf")),
        (policy("folder:conf"), policy("folder:conf", spec={})),
        (policy("folder:conf"), policy()),
        (policy("folder:conf"), policy("git:conf")),
        (policy("folder:conf"), None),
    ],
)
def test_nobody_else_writes_sets_changes_removes(
    caller: Caller, old: dict[str, Any] | None, new: dict[str, Any] | None
):
    with pytest.raises(ApiError) as refused:
        check_owner(caller, old, new)
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert 'policies.heddle.dev "p"' in refused.value.message
    assert "folder:conf" in refused.value.message


def test_a_source_cannot_give_its_object_to_another():
    with pytest.raises(ApiError):
        check_owner(FOLDER, policy("folder:conf"), policy("git:conf"))


def test_owner_is_text_or_nobody():
    assert owner_of(policy("folder:conf")) == "folder:conf"
    assert owner_of(policy()) == owner_of(None) == owner_of({"metadata": {"annotations": {OWNED_BY: 5}}}) == ""


@pytest.mark.parametrize(
    ("kind", "plural"), [("Gateway", "gateways"), ("HTTPRoute", "httproutes"), ("Ingress", "ingresses")]
)
def test_the_refusal_names_the_resource(kind: str, plural: str):
    value = {**policy("folder:conf"), "kind": kind}
    with pytest.raises(ApiError, match=rf'{plural}\.heddle\.dev "p"'):
        check_owner(PERSON, value, None)
