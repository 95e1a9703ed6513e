"""What is there from the first start, what it gives, and what a restart changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.controlplane.access.rig import NOW_S, MemoryStore, Rig, caller, rule

from heddle.controlplane.access.caller import ADMINS, EDITORS, VIEWERS
from heddle.controlplane.access.defaults import AUTOUPDATE, defaults, install
from heddle.controlplane.access.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP
from heddle.controlplane.api.reviews import review_kinds
from heddle.controlplane.kinds import served_kinds
from heddle.drivers.documents import ConflictError, Key, Write
from heddle.model.kinds import Kinds

OWNER, EDITOR, VIEWER = caller("o", ADMINS), caller("e", EDITORS), caller("v", VIEWERS)


class WritingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.conflicts = 0
        self.writes: list[Write] = []

    async def write(self, writes: Any) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError(writes[0].key, 7)
        for one in writes:
            found = self.get(one.key)
            assert one.expected == (found.version if found else 0)
            self.put(one.key.resource, json.loads(one.body))
            self.writes.append(one)

    async def fresh(self) -> int:
        return 7


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path, WritingStore())
    await install(made.store, Kinds([*served_kinds(), *review_kinds()]), NOW_S)
    return made


def test_administrators_may_everything(rig: Rig):
    assert rig.can(OWNER, "delete", "secrets", "any", "s")
    assert rig.can(OWNER, "use", "environment.heddle.dev", "any")
    assert rig.can(OWNER, "post", "/any")


def test_editors_write_what_stands_in_a_namespace_and_no_roles(rig: Rig):
    for what in ("backends.heddle.dev", "remotemcpservers.kagent.dev", "configmaps", "secrets"):
        for verb in ("get", "list", "create", "update", "patch", "delete"):
            assert rig.can(EDITOR, verb, what, "any", "x"), (verb, what)
    assert not rig.can(EDITOR, "get", f"clusterroles.{GROUP}", "", "view")
    assert not rig.can(EDITOR, "create", "namespaces")
    assert not rig.can(EDITOR, "create", "serviceaccounts/token", "any", "x")
    assert not rig.can(EDITOR, "update", "backends.heddle.dev/status", "any", "x")
    assert not rig.can(EDITOR, "create", "localsubjectaccessreviews.authorization.k8s.io", "any")
    for resource in ("environment", "files", "commands", "privatenetworks"):
        assert not rig.can(EDITOR, "use", f"{resource}.heddle.dev", "any"), resource


def test_viewers_read_all_but_secrets_and_roles(rig: Rig):
    for kind in [*served_kinds(), *review_kinds()]:
        what = kind.resource
        seen = kind.resource != "secrets" and kind.group != GROUP and "get" in kind.verbs
        for verb in ("get", "list", "watch"):
            assert rig.can(VIEWER, verb, what, "any", "x") is seen, (verb, what)
        for verb in ("create", "update", "patch", "delete", "deletecollection"):
            own = verb == "create" and what.startswith("selfsubject")
            assert rig.can(VIEWER, verb, what, "any", "x") is own, (verb, what)


def test_whoever_is_authenticated_may_find_out_what_there_is(rig: Rig):
    anybody = caller("anybody")
    for path in ("/api", "/api/v1", "/apis", "/apis/kagent.dev/v1alpha2", "/openapi/v3", "/openapi/v2"):
        assert rig.can(anybody, "get", path), path
        assert not rig.can(anybody, "post", path), path
    assert rig.can(anybody, "create", "selfsubjectaccessreviews.authorization.k8s.io")
    assert not rig.can(anybody, "create", "subjectaccessreviews.authorization.k8s.io")
    assert not rig.can(anybody, "create", "tokenreviews.authentication.k8s.io")
    assert not rig.can(anybody, "list", "namespaces")


def test_gateways_read_nothing_by_the_api(rig: Rig):
    gateway = caller("system:gateway:g", "system:gateways")
    for kind in served_kinds():
        assert not rig.can(gateway, "get", kind.resource, "any", "x")
    assert rig.can(gateway, "create", "events", "any")


def test_a_folder_is_its_owner_and_git_is_not(rig: Rig):
    folder = caller("system:source:folder:conf", "system:sources:folder")
    git = caller("system:source:git:repo", "system:sources:git")
    assert rig.can(folder, "use", "environment.heddle.dev", "any")
    assert rig.can(git, "update", "backends.heddle.dev", "any", "x")
    assert rig.can(git, "create", "namespaces")
    assert not rig.can(git, "use", "environment.heddle.dev", "any")
    assert not rig.can(git, "create", f"clusterrolebindings.{GROUP}")


async def test_a_second_start_changes_nothing(rig: Rig):
    before = len(rig.store.writes)  # type: ignore[attr-defined]
    await install(rig.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    assert len(rig.store.writes) == before  # type: ignore[attr-defined]


async def test_a_start_makes_what_is_missing(rig: Rig):
    rig.store.remove(Key(CLUSTER_ROLE_BINDINGS, "", "cluster-admin"))
    assert not rig.can(OWNER, "get", "secrets", "demo")
    await install(rig.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    assert rig.can(OWNER, "get", "secrets", "demo")


def edited(rig: Rig, resource: str, name: str, annotation: str | None = None, **fields: Any) -> None:
    found = rig.store.get(Key(resource, "", name))
    assert found is not None
    meta = dict(found.object["metadata"])
    if annotation is not None:
        meta["annotations"] = {AUTOUPDATE: annotation}
    rig.store.put(resource, {**found.object, "metadata": meta, **fields})


async def test_a_start_adds_and_takes_nothing_away(rig: Rig):
    edited(rig, CLUSTER_ROLES, "view", rules=[rule("get", "pods")])
    await install(rig.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    assert rig.can(VIEWER, "get", "pods", "demo", "x")
    assert rig.can(VIEWER, "get", "backends.heddle.dev", "demo", "x")


async def test_what_says_otherwise_is_its_owners(rig: Rig):
    edited(rig, CLUSTER_ROLES, "view", "false", rules=[])
    edited(rig, CLUSTER_ROLE_BINDINGS, "heddle:editors", "false", subjects=[])
    await install(rig.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    assert not rig.can(VIEWER, "get", "backends.heddle.dev", "demo", "x")
    assert not rig.can(EDITOR, "get", "backends.heddle.dev", "demo", "x")


async def test_a_binding_that_was_turned_to_another_role_stays_so(rig: Rig):
    other = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}
    edited(rig, CLUSTER_ROLE_BINDINGS, "heddle:editors", roleRef=other, subjects=[])
    await install(rig.store, served_kinds(), NOW_S)  # type: ignore[arg-type]
    assert not rig.can(EDITOR, "get", "backends.heddle.dev", "demo", "x")


async def test_two_control_planes_start_at_once():
    store = WritingStore()
    store.conflicts = 2
    await install(store, served_kinds(), NOW_S)
    assert len(store.objects) == len(defaults(served_kinds()))
    store = WritingStore()
    store.conflicts = 100
    with pytest.raises(ConflictError):
        await install(store, served_kinds(), NOW_S)


async def test_whoever_adds_kinds_adds_them_to_the_roles_there_are(rig: Rig):
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rig.store.role("widgets", [rule("get", "widgets", "example.com")], labels=labels)
    assert rig.can(VIEWER, "get", "widgets.example.com", "demo", "x")
    assert rig.can(EDITOR, "get", "widgets.example.com", "demo", "x")
    labels = {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}
    rig.store.role("widgets", [rule("update", "widgets", "example.com")], labels=labels)
    assert rig.can(EDITOR, "update", "widgets.example.com", "demo", "x")
    assert not rig.can(VIEWER, "update", "widgets.example.com", "demo", "x")
