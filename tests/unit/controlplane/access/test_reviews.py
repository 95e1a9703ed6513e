"""Reviews: the answers are those of the decisions."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.controlplane.access.rig import EVERYTHING, Rig, caller, rule

from heddle.controlplane.access import Caller
from heddle.controlplane.access.reviews import reviews
from heddle.controlplane.access.tokens import AUDIENCE
from heddle.wire.kube.status import ApiError

ALICE = caller("alice", "dev")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.store.role("reader", [rule("get", "agents", "kagent.dev")])
    made.store.bind("b", "ClusterRole/reader", "Group/dev", namespace="demo")
    made.store.role("pages", [{"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}])
    made.store.bind("p", "ClusterRole/pages", "User/alice")
    return made


async def ask(rig: Rig, kind: str, spec: Any, who: Caller = ALICE, namespace: str = "") -> dict[str, Any]:
    body = {"kind": kind} if spec is None else {"kind": kind, "spec": spec}
    (review,) = [one for name, one in reviews(rig.access).items() if name.startswith(f"{kind.lower()}s.")]
    answer = await review(who, body, namespace)
    assert answer["kind"] == kind
    assert answer["apiVersion"] in {"authorization.k8s.io/v1", "authentication.k8s.io/v1"}
    return answer


def agent(verb: str, namespace: str) -> dict[str, Any]:
    return {"resourceAttributes": {"verb": verb, "group": "kagent.dev", "resource": "agents", "namespace": namespace}}


async def test_may_i(rig: Rig):
    answer = await ask(rig, "SelfSubjectAccessReview", agent("get", "demo"))
    assert answer["spec"] == agent("get", "demo")
    assert answer["status"]["allowed"] is True
    assert "RoleBinding" in answer["status"]["reason"]
    for other in (agent("get", "other"), agent("delete", "demo"), agent("get", "")):
        assert (await ask(rig, "SelfSubjectAccessReview", other))["status"] == {"allowed": False}


async def test_may_i_read_a_path(rig: Rig):
    for path, allowed in (("/logs/x", True), ("/metrics", False)):
        spec = {"nonResourceAttributes": {"verb": "get", "path": path}}
        assert (await ask(rig, "SelfSubjectAccessReview", spec))["status"]["allowed"] is allowed


async def test_may_somebody_else(rig: Rig):
    spec = {**agent("get", "demo"), "user": "bob", "groups": ["dev"]}
    assert (await ask(rig, "SubjectAccessReview", spec, caller("nobody")))["status"]["allowed"] is True
    spec = {**agent("get", "demo"), "user": "bob"}
    assert (await ask(rig, "SubjectAccessReview", spec))["status"]["allowed"] is False


async def test_a_group_alone_is_not_yet_authenticated(rig: Rig):
    rig.store.role("all", EVERYTHING)
    rig.store.bind("all", "ClusterRole/all", "Group/system:authenticated")
    for subject, allowed in (({"groups": ["g"]}, False), ({"user": "u"}, True)):
        spec = {**agent("delete", "demo"), **subject}
        assert (await ask(rig, "SubjectAccessReview", spec))["status"]["allowed"] is allowed


async def test_a_local_review_is_about_its_namespace(rig: Rig):
    spec = {**agent("get", "demo"), "user": "bob", "groups": ["dev"]}
    assert (await ask(rig, "LocalSubjectAccessReview", spec, namespace="demo"))["status"]["allowed"] is True
    for elsewhere in ("other", ""):
        with pytest.raises(ApiError) as caught:
            await ask(rig, "LocalSubjectAccessReview", spec, namespace=elsewhere)
        assert caught.value.code == 422


async def test_what_may_i(rig: Rig):
    status = (await ask(rig, "SelfSubjectRulesReview", {"namespace": "demo"}))["status"]
    assert status == {
        "resourceRules": [{"verbs": ["get"], "apiGroups": ["kagent.dev"], "resources": ["agents"]}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}],
        "incomplete": False,
    }
    assert (await ask(rig, "SelfSubjectRulesReview", {"namespace": "other"}))["status"]["resourceRules"] == []


async def test_who_am_i(rig: Rig):
    who = Caller("alice", ("dev",), "u-1", {"heddle.dev/credential": ("certificate:ab",)})
    answer = await ask(rig, "SelfSubjectReview", None, who)
    assert answer["status"]["userInfo"] == {
        "username": "alice",
        "groups": ["dev"],
        "uid": "u-1",
        "extra": {"heddle.dev/credential": ["certificate:ab"]},
    }


async def test_whose_token_is_it(rig: Rig):
    token, _ = rig.access.local_tokens.for_user("bob", ["ops"], 600)
    answer = await ask(rig, "TokenReview", {"token": token, "audiences": [AUDIENCE, "other"]})
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["user"]["username"] == "bob"
    assert answer["status"]["audiences"] == [AUDIENCE]
    assert token not in str(answer)


@pytest.mark.parametrize("spec", [{"token": "x"}, {"token": "a.b.c"}, {"token": "\u00e4" * 10}])
async def test_a_token_that_proves_nothing_is_nobodys(rig: Rig, spec: dict[str, Any]):
    assert (await ask(rig, "TokenReview", spec))["status"] == {"authenticated": False, "user": {}}


async def test_a_token_is_nobodys_for_another_audience(rig: Rig):
    token, _ = rig.access.local_tokens.for_user("bob", [], 600)
    answer = await ask(rig, "TokenReview", {"token": token, "audiences": ["other"]})
    assert answer["status"]["authenticated"] is False


async def test_a_token_of_an_account(rig: Rig):
    rig.store.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "demo", "uid": "u"}})
    asked = {"metadata": {"name": "bot"}, "spec": {"expirationSeconds": 600}}
    answer = await reviews(rig.access)["serviceaccounts/token"](ALICE, asked, "demo")
    found = await rig.access.review_token(answer["status"]["token"])
    assert found is not None
    assert found.name == "system:serviceaccount:demo:bot"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("SelfSubjectAccessReview", None),
        ("SelfSubjectAccessReview", {}),
        ("SelfSubjectAccessReview", "x"),
        ("SelfSubjectAccessReview", {"resourceAttributes": []}),
        ("SelfSubjectAccessReview", {"resourceAttributes": {"verb": 1}}),
        ("SelfSubjectAccessReview", {"resourceAttributes": {}, "nonResourceAttributes": {}}),
        ("SubjectAccessReview", agent("get", "demo")),
        ("SubjectAccessReview", {**agent("get", "demo"), "user": ["a"]}),
        ("SelfSubjectRulesReview", {}),
        ("TokenReview", {}),
        ("TokenReview", {"token": 1}),
    ],
)
async def test_a_review_of_nothing_is_refused(rig: Rig, kind: str, spec: Any):
    with pytest.raises(ApiError) as caught:
        await ask(rig, kind, spec)
    assert caught.value.code in {400, 422}
