"""Watches and pages: nothing missed, nothing twice, and an end that clients understand."""

from typing import Any

import pytest
from tests.unit.controlplane.api.rig import CONFIG_MAPS, Rig

from heddle.controlplane.api import paging, watching
from heddle.controlplane.api.limits import Watches
from heddle.wire.kube.status import ApiError

MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def make(rig: Rig, name: str, **labels: str) -> Any:
    return (await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}})).json


async def test_a_watch_tells_every_change_once(rig: Rig):
    await make(rig, "a")
    async with rig.watch(f"{CONFIG_MAPS}?watch=true") as lines:
        assert [(await lines.next())["type"], lines.status] == ["ADDED", 200]
        await make(rig, "b")
        await rig.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "y"}}, content_type=MERGE)
        await rig.call("DELETE", f"{CONFIG_MAPS}/b")
        told = [await lines.next() for _ in range(3)]
        names = [(one["type"], one["object"]["metadata"]["name"]) for one in told]
        assert names == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in told]
        assert versions == sorted(versions)
        assert await lines.quiet()


async def test_the_beginning_comes_in_pieces_however_large_objects_are(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    for name in "abcde":
        await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": {"x": "y" * 600}})
    monkeypatch.setattr(watching, "_BATCH_BYTES", 1_500)
    async with rig.watch(f"{CONFIG_MAPS}?watch=true") as lines:
        assert [(await lines.next())["object"]["metadata"]["name"] for _ in "abcde"] == list("abcde")
        assert max(lines.sizes) < 3_000
        assert len([one for one in lines.sizes if one]) == 3


@pytest.mark.parametrize("spelt", ["true", "True", "1", "t"])
async def test_true_is_spelt_in_many_ways(rig: Rig, spelt: str):
    assert (await rig.call("GET", f"{CONFIG_MAPS}?watch={spelt}&timeoutSeconds=1")).body == b""


async def test_a_watch_goes_on_from_a_version(rig: Rig):
    version = (await make(rig, "a"))["metadata"]["resourceVersion"]
    await make(rig, "b")
    async with rig.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={version}") as lines:
        assert (await lines.next())["object"]["metadata"]["name"] == "b"
        assert await lines.quiet()


async def test_leaving_a_selection_is_a_deletion_of_what_was_there(rig: Rig):
    async with rig.watch(f"{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx") as lines:
        await make(rig, "a", app="y")
        assert await lines.quiet()
        for value, kind in (("x", "ADDED"), ("z", "DELETED"), ("x", "ADDED")):
            patch = {"metadata": {"labels": {"app": value}}}
            changed = (await rig.call("PATCH", f"{CONFIG_MAPS}/a", patch, content_type=MERGE)).json
            event = await lines.next()
            assert event["type"] == kind
            assert event["object"]["metadata"]["labels"] == {"app": "x"}
            assert event["object"]["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
        await rig.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"q": "r"}}, content_type=MERGE)
        assert (await lines.next())["type"] == "MODIFIED"
        await rig.call("DELETE", f"{CONFIG_MAPS}/a")
        assert (await lines.next())["type"] == "DELETED"


@pytest.mark.parametrize(
    "path", ["{0}?watch=1&fieldSelector=metadata.name%3Da", "/api/v1/watch/namespaces/default/configmaps/a"]
)
async def test_one_object_is_watched_by_name(rig: Rig, path: str):
    async with rig.watch(path.format(CONFIG_MAPS)) as lines:
        await make(rig, "b")
        await make(rig, "a")
        assert (await lines.next())["object"]["metadata"]["name"] == "a"
        assert await lines.quiet()


async def test_the_end_of_the_beginning_is_told(rig: Rig):
    await make(rig, "a")
    path = f"{CONFIG_MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with rig.watch(path) as lines:
        assert (await lines.next())["type"] == "ADDED"
        mark = await lines.next()
        assert mark["type"] == "BOOKMARK"
        meta = mark["object"]["metadata"]
        assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert meta["resourceVersion"] == str(rig.store.version)
        assert (mark["object"]["kind"], mark["object"]["apiVersion"]) == ("ConfigMap", "v1")
        await make(rig, "b")
        assert (await lines.next())["type"] == "ADDED"


@pytest.mark.parametrize(
    "query",
    [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan&resourceVersion=1",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
    ],
)
async def test_options_that_contradict_are_refused(rig: Rig, query: str):
    assert (await rig.call("GET", f"{CONFIG_MAPS}?watch=1&{query}")).status == 422


async def test_bookmarks_say_how_far_a_quiet_watch_is(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "BOOKMARK_S", 0.05)
    async with rig.watch(
        f"{CONFIG_MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={rig.store.version}"
    ) as lines:
        await rig.call("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
        version = str(rig.store.version)
        marks = [await lines.next() for _ in range(3)]
        assert {one["type"] for one in marks} == {"BOOKMARK"}
        assert marks[-1]["object"]["metadata"]["resourceVersion"] == version


async def test_a_watch_ends_when_it_said_it_would(rig: Rig):
    answer = await rig.call("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_version_that_is_no_more_is_an_event(rig: Rig):
    await make(rig, "a")
    async with rig.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion=99999999") as lines:
        event = await lines.next()
        assert (lines.status, event["type"]) == (200, "ERROR")
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_only_the_first_table_has_columns(rig: Rig):
    await make(rig, "a")
    async with rig.watch(f"{CONFIG_MAPS}?watch=1", accept=TABLE) as lines:
        first = (await lines.next())["object"]
        assert [one["name"] for one in first["columnDefinitions"]] == ["Name", "Data", "Age"]
        await make(rig, "b")
        second = (await lines.next())["object"]
        assert second["columnDefinitions"] is None
        assert second["rows"][0]["cells"][0] == "b"


async def test_a_list_and_a_watch_are_one_sequence(rig: Rig):
    await make(rig, "a")
    version = (await rig.call("GET", CONFIG_MAPS)).json["metadata"]["resourceVersion"]
    await make(rig, "b")
    async with rig.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={version}") as lines:
        assert (await lines.next())["object"]["metadata"]["name"] == "b"


def test_one_caller_cannot_take_all_watches():
    watches = Watches(per_caller=2, most=3)
    watches.enter("a")
    watches.enter("a")
    with pytest.raises(ApiError) as refused:
        watches.enter("a")
    assert (refused.value.code, refused.value.reason) == (429, "TooManyRequests")
    watches.enter("b")
    with pytest.raises(ApiError):
        watches.enter("c")


async def test_watches_end_with_the_server(rig: Rig):
    async with rig.watch(f"{CONFIG_MAPS}?watch=1") as lines:
        await lines.quiet()
        assert len(rig.api.watches) == 1
        rig.api.watches.close()
        await lines.quiet()
        assert lines.ended
        assert len(rig.api.watches) == 0
    assert (await rig.call("GET", f"{CONFIG_MAPS}?watch=1")).status == 503


# Pages


async def test_pages_are_of_one_snapshot(rig: Rig):
    for name in "abcde":
        await make(rig, name)
    first = (await rig.call("GET", f"{CONFIG_MAPS}?limit=2")).json
    assert first["metadata"]["remainingItemCount"] == 3
    await make(rig, "aa")
    await rig.call("DELETE", f"{CONFIG_MAPS}/d")
    names, token = [one["metadata"]["name"] for one in first["items"]], first["metadata"]["continue"]
    while token:
        page = (await rig.call("GET", f"{CONFIG_MAPS}?limit=2&continue={token}")).json
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [one["metadata"]["name"] for one in page["items"]]
        token = page["metadata"]["continue"]
    assert names == list("abcde")


async def test_a_list_goes_on_where_its_snapshot_was_dropped(rig: Rig):
    for name in "abcde":
        await make(rig, name)
    first = (await rig.call("GET", f"{CONFIG_MAPS}?limit=2")).json["metadata"]
    for number in range(paging.KEPT_SNAPSHOTS):
        await make(rig, f"z{number}")
        await rig.call("GET", f"{CONFIG_MAPS}?limit=1&labelSelector=!x")
    await rig.call("DELETE", f"{CONFIG_MAPS}/d")
    rest = (await rig.call("GET", f"{CONFIG_MAPS}?limit=2&continue={first['continue']}")).json
    assert [one["metadata"]["name"] for one in rest["items"]] == ["c", "e"]
    assert rest["metadata"]["resourceVersion"] == first["resourceVersion"]


async def test_a_snapshot_ends(rig: Rig):
    for name in "abc":
        await make(rig, name)
    token = (await rig.call("GET", f"{CONFIG_MAPS}?limit=1")).json["metadata"]["continue"]
    rig.clock.now_s += paging.KEPT_S + 1
    gone = await rig.call("GET", f"{CONFIG_MAPS}?limit=1&continue={token}")
    assert (gone.status, gone.json["reason"]) == (410, "Expired")


async def test_a_token_is_of_use_for_its_own_list_only(rig: Rig):
    for name in "abc":
        await make(rig, name)
    token = (await rig.call("GET", f"{CONFIG_MAPS}?limit=1")).json["metadata"]["continue"]
    for path in (
        "/api/v1/namespaces/kube-system/configmaps?",
        "/api/v1/namespaces/default/secrets?",
        f"{CONFIG_MAPS}?labelSelector=a%3Db&",
    ):
        assert (await rig.call("GET", f"{path}limit=1&continue={token}")).status == 400, path


async def test_snapshots_are_bounded():
    kept = paging.Snapshots()
    for number in range(paging.KEPT_SNAPSHOTS + 1):
        kept.keep("x", number, [], 0.0)
    assert kept.find("x", 0, 0.0) is None
    assert kept.find("x", 1, 0.0) is not None
