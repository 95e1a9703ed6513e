"""What the store acknowledged decides from the next question on: no right is believed a moment longer."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.controlplane.access.rig import ask, binding, caller, role, rule

from heddle.controlplane.access import Access
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.defaults import install
from heddle.controlplane.access.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.store import Store, seal_of
from heddle.drivers.documents import Author, Key, Write
from heddle.drivers.documents.sqlite import SqliteDocuments

ALICE = caller("alice")
ASKED = ask("get", "secrets", "demo", "s")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(SqliteDocuments(tmp_path / "resources.db"), seal_of(tmp_path), time.monotonic)
    await made.start()
    yield made
    await made.stop()


async def put(store: Store, resource: str, value: dict[str, Any] | None, name: str = "x") -> None:
    body = None if value is None else msgspec.json.encode(value)
    await store.write([Write(Key(resource, "", name), body, None, Author("test"), 0.0)])


async def test_a_write_that_returned_is_what_decides(store: Store, tmp_path: Path):
    access = Access(store, Authority(tmp_path, time.time))
    for _ in range(20):
        assert not access.authorize(ALICE, ASKED).allowed
        await put(store, CLUSTER_ROLES, role("x", [rule("get", "secrets")]))
        await put(store, CLUSTER_ROLE_BINDINGS, binding("x", "ClusterRole/x", "User/alice"))
        assert access.authorize(ALICE, ASKED).allowed
        await put(store, CLUSTER_ROLE_BINDINGS, None)


async def test_what_was_there_before_is_known(store: Store, tmp_path: Path):
    await install(store, served_kinds(), time.time())
    access = Access(store, Authority(tmp_path, time.time))
    assert access.authorize(caller("a", "heddle:admins"), ASKED).allowed


async def test_after_changes_were_passed_over_all_is_read_anew(store: Store, tmp_path: Path):
    access = Access(store, Authority(tmp_path, time.time))
    await put(store, CLUSTER_ROLES, role("x", [rule("get", "secrets")]))
    await put(store, CLUSTER_ROLE_BINDINGS, binding("x", "ClusterRole/x", "User/alice"))
    assert access.authorize(ALICE, ASKED).allowed
    unheard = store._hub._followers.pop(CLUSTER_ROLE_BINDINGS)
    await put(store, CLUSTER_ROLE_BINDINGS, None)
    store._hub._followers[CLUSTER_ROLE_BINDINGS] = unheard
    store._hub.reset()
    assert not access.authorize(ALICE, ASKED).allowed


async def test_other_writes_cost_the_index_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    access = Access(store, Authority(tmp_path, time.time))
    assert not access.authorize(ALICE, ASKED).allowed
    monkeypatch.setattr(store, "list", None)
    await put(store, "configmaps", {"metadata": {"name": "x"}})
    assert not access.authorize(ALICE, ASKED).allowed
