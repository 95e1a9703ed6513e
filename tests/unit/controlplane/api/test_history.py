"""Earlier versions: who may see them, who may go back, and what a way back may not go around."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.controlplane.api.rig import CONFIG_MAPS, Rig, running

from heddle.controlplane.sources.ownership import OWNED_BY, check_owner
from heddle.controlplane.sources.rights import rights_needed

ONE = f"{CONFIG_MAPS}/a"
SECRETS = "/api/v1/namespaces/default/secrets"
BACKENDS = "/apis/heddle.dev/v1alpha1/namespaces/default/backends"
MERGE = "application/merge-patch+json"


async def changed(rig: Rig, value: str, path: str = ONE, **headers: str) -> Any:
    return await rig.call("PATCH", path, {"data": {"v": value}}, content_type=MERGE, **headers)


async def made(rig: Rig) -> None:
    assert (await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"v": "1"}})).status == 201


async def test_who_when_with_what_and_why(rig: Rig):
    await made(rig)
    rig.clock.now_s += 60
    answer = await changed(rig, "2", x_user="ada", user_agent="edit/1.0", x_heddle_why="ticket%20%C3%BC%0d%0a4711")
    items = (await rig.call("GET", f"{ONE}/history")).json["items"]
    newest = items[0]
    assert {name: newest[name] for name in ("user", "agent", "verb", "why", "time", "deleted", "statusOnly")} == {
        "user": "ada",
        "agent": "edit",
        "verb": "patch",
        "why": "ticket ü4711",
        "time": "2025-10-09T08:54:20Z",
        "deleted": False,
        "statusOnly": False,
    }
    assert str(newest["version"]) == answer.json["metadata"]["resourceVersion"]
    assert [one["object"]["data"]["v"] for one in items] == ["2", "1"]


async def test_the_way_back_is_a_version_like_any_other(rig: Rig):
    await made(rig)
    await changed(rig, "2")
    back = await rig.call("POST", f"{ONE}/rollback", x_user="ada")
    assert back.json["data"] == {"v": "1"}
    items = (await rig.call("GET", f"{ONE}/history")).json["items"]
    assert (items[0]["verb"], items[0]["user"]) == ("rollback", "ada")
    assert items[0]["why"] == f"rollback to version {items[2]['version']}"
    again = await rig.call("POST", f"{ONE}/rollback", {"toVersion": items[1]["version"]}, x_heddle_why="no")
    assert again.json["data"] == {"v": "2"}
    asked, code, version, _ = rig.audited[-1]
    assert (asked.verb, code) == ("rollback", 200)
    assert str(version) == again.json["metadata"]["resourceVersion"]


async def test_a_dry_run_changes_nothing(rig: Rig):
    await made(rig)
    await changed(rig, "2")
    tried = await rig.call("POST", f"{ONE}/rollback?dryRun=All")
    assert tried.json["data"] == {"v": "1"}
    assert (await rig.call("GET", ONE)).json["data"] == {"v": "2"}


async def test_what_was_deleted_comes_back_as_a_new_object(rig: Rig):
    await made(rig)
    before = (await rig.call("GET", ONE)).json
    await rig.call("DELETE", ONE)
    assert (await rig.call("GET", f"{ONE}/history")).json["items"][0]["deleted"] is True
    back = await rig.call("POST", f"{ONE}/rollback")
    assert back.status == 201
    assert back.json["data"] == before["data"]
    assert back.json["metadata"]["uid"] != before["metadata"]["uid"]


async def test_nothing_earlier(rig: Rig):
    await made(rig)
    refused = await rig.call("POST", f"{ONE}/rollback")
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    assert "no earlier version" in refused.json["message"]
    for name in ("history", "rollback"):
        method = "GET" if name == "history" else "POST"
        assert (await rig.call(method, f"{CONFIG_MAPS}/nobody/{name}")).status == 404
    assert (await rig.call("DELETE", f"{ONE}/history")).status == 405
    assert (await rig.call("GET", f"{ONE}/rollback")).status == 405


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"toVersion": "1"}', b'{"toVersion": 1e99}', b'{"x": 1}', b"\xff", b"[" * 10_000]
)
async def test_a_body_that_is_none(rig: Rig, body: bytes):
    await made(rig)
    assert (await rig.call("POST", f"{ONE}/rollback", body)).status == 400


@pytest.mark.parametrize("version", [-1, 2**62, 3])
async def test_a_version_it_never_had(rig: Rig, version: int):
    await made(rig)
    await changed(rig, "2")
    assert (await rig.call("POST", f"{ONE}/rollback", {"toVersion": version})).status == 404


async def test_seeing_needs_get_and_going_back_needs_update(rig: Rig):
    await made(rig)
    await changed(rig, "2")
    rig.access.denied = {("get", "configmaps")}
    assert (await rig.call("GET", f"{ONE}/history")).status == 403
    rig.access.denied = {("update", "configmaps")}
    assert (await rig.call("GET", f"{ONE}/history")).status == 200
    assert (await rig.call("POST", f"{ONE}/rollback")).status == 403
    await rig.call("DELETE", ONE)
    rig.access.denied = {("create", "configmaps")}
    assert (await rig.call("POST", f"{ONE}/rollback")).status == 403


async def test_secrets_that_were_replaced_are_digests(rig: Rig):
    await rig.call("POST", SECRETS, {"metadata": {"name": "s"}, "stringData": {"k": "hunter2"}})
    await rig.call("PATCH", f"{SECRETS}/s", {"stringData": {"k": "hunter3"}}, content_type=MERGE)
    answer = await rig.call("GET", f"{SECRETS}/s/history")
    assert ["object" in one for one in answer.json["items"]] == [True, False]
    assert b"aHVudGVyMg" not in answer.body
    refused = await rig.call("POST", f"{SECRETS}/s/rollback")
    assert refused.status == 409
    assert "only the digest" in refused.json["message"]


async def test_a_change_of_status_alone_is_said_to_be_one(rig: Rig):
    backend = {"apiVersion": "heddle.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "b"},
               "spec": {"provider": {"type": "scripted"}}}  # fmt: skip
    await rig.call("POST", BACKENDS, backend)
    await rig.call("PATCH", f"{BACKENDS}/b/status", {"status": {"observedGeneration": 1}}, content_type=MERGE)
    items = (await rig.call("GET", f"{BACKENDS}/b/history")).json["items"]
    assert [one["statusOnly"] for one in items] == [True, False]
    assert (await rig.call("POST", f"{BACKENDS}/b/rollback")).status == 409, "that is nothing to go back from"


async def test_ownership_and_rights_hold_on_the_way_back(tmp_path: Path):
    async with running(tmp_path, check_owner=check_owner, rights_needed=rights_needed) as rig:
        await made(rig)
        owned = {"metadata": {"annotations": {OWNED_BY: "folder:x"}}, "data": {"v": "2"}}
        await rig.call("PATCH", ONE, owned, content_type=MERGE, x_user="system:source:folder:x")
        refused = await rig.call("POST", f"{ONE}/rollback", x_user="ada")
        assert refused.status == 409
        assert "folder:x" in refused.json["message"]

        def backend(key: str) -> dict[str, Any]:
            spec = {"provider": {"type": "openai", "apiKey": key}}
            return {"apiVersion": "heddle.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "b"}, "spec": spec}

        await rig.call("POST", BACKENDS, backend("${HOME}"))
        await rig.call("PATCH", f"{BACKENDS}/b", {"spec": backend("plain")["spec"]}, content_type=MERGE)
        rig.access.denied = {("use", "environment")}
        refused = await rig.call("POST", f"{BACKENDS}/b/rollback")
        assert refused.status == 403
        assert "environment" in refused.json["message"]


async def test_generated_kinds_go_back_by_whoever_makes_them(tmp_path: Path):
    async with running(tmp_path) as rig:
        path = "/apis/heddle.dev/v1alpha1/sources/s"
        assert (await rig.call("POST", f"{path}/rollback")).status == 404
