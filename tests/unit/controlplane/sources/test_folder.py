"""A folder is what its files say, and what they said last while they cannot be read."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.controlplane.sources.fakes import FakeWriter, config_map

from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.sources.declared import DECLARED_IN
from heddle.controlplane.sources.folder import Folder
from heddle.controlplane.sources.loop import Follower
from heddle.controlplane.sources.ownership import OWNED_BY
from heddle.wire.kube.status import ApiError, Cause, invalid


class Rig:
    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path = path
        self.writer = FakeWriter()
        self.said: list[str] = []
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is remembered but what is in the store."""
        self.follower = Follower(
            Folder("conf", self.path, served_kinds), self.writer, self.said.append, lambda: 1_800_000_000.0
        )

    def put(self, name: str, *documents: str) -> None:
        fresh = self.path / f".{name}.tmp"
        fresh.write_text("---\n".join(documents))
        fresh.replace(self.path / name)

    async def once(self) -> bool:
        self.writer.applied.clear()
        self.writer.deleted.clear()
        return await self.follower.once()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "conf")


async def test_documents_become_objects_of_the_source(rig: Rig):
    rig.put("a.yaml", config_map("one"), config_map("two", namespace="shop"))
    assert await rig.once()
    (_, value) = rig.writer.objects["configmaps", "default", "one"]
    assert value["metadata"] == {
        "name": "one",
        "namespace": "default",
        "annotations": {OWNED_BY: "folder:conf", DECLARED_IN: "a.yaml"},
    }
    assert ("configmaps", "shop", "two") in rig.writer.objects
    assert rig.writer.condition("Ready")["status"] == "True"
    assert rig.writer.records[-1]["metadata"]["name"] == "folder-conf"
    assert rig.writer.records[-1]["status"]["objects"] == 2


async def test_what_is_unchanged_is_not_written_again(rig: Rig):
    rig.put("a.yaml", config_map("one"), config_map("two"))
    await rig.once()
    rig.put("a.yaml", config_map("one"), config_map("two", "new"))
    await rig.once()
    assert rig.writer.applied == ["two"]
    records = len(rig.writer.records)
    await rig.once()
    assert rig.writer.applied == []
    assert len(rig.writer.records) == records, "a record that says nothing new would start others"


async def test_pruning_takes_only_its_own(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    rig.put("b.yaml", config_map("two"))
    await rig.once()
    (rig.path / "b.yaml").unlink()
    await rig.once()
    assert rig.writer.deleted == ["two"]
    assert rig.writer.names == {"one"}


async def test_a_broken_file_keeps_its_last_good_version_and_harms_no_other(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    rig.put("b.yaml", config_map("two"))
    await rig.once()
    rig.put("a.yaml", config_map("one"), "kind: [\n")
    rig.put("b.yaml", config_map("three"))
    assert not await rig.once()
    assert rig.writer.names == {"one", "three"}
    ready = rig.writer.condition("Ready")
    assert ready["status"] == "False"
    assert f"{rig.path}/a.yaml:" in ready["message"]


async def test_after_a_restart_a_broken_file_loses_nothing_either(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    rig.put("b.yaml", config_map("two"))
    await rig.once()
    rig.put("a.yaml", "kind: [\n")
    (rig.path / "b.yaml").unlink()
    rig.restart()
    assert not await rig.once()
    assert rig.writer.names == {"one"}


@pytest.mark.parametrize("gone", ["folder", "files"])
async def test_a_folder_that_is_gone_or_emptied_loses_nothing(rig: Rig, gone: str):
    rig.put("a.yaml", config_map("one"))
    await rig.once()
    (rig.path / "a.yaml").unlink()
    if gone == "folder":
        rig.path.rmdir()
    assert not await rig.once()
    assert rig.writer.names == {"one"}
    assert rig.writer.condition("Fetched")["status"] == "False"
    assert rig.writer.records[-1]["status"]["objects"] == 1


async def test_what_the_api_refuses_is_told_with_its_line_and_tried_again(rig: Rig):
    def refuse(value: Mapping[str, Any]) -> None:
        if value["metadata"]["name"] == "bad":
            raise invalid("", "ConfigMap", "bad", [Cause("FieldValueInvalid", "is no good", "data.v")])

    rig.put("a.yaml", config_map("bad"), config_map("good"))
    rig.writer.refuse = refuse
    assert not await rig.once()
    assert rig.writer.names == {"good"}
    (problem,) = rig.writer.records[-1]["status"]["problems"]
    assert (problem["file"], problem["line"], problem["path"]) == (f"{rig.path}/a.yaml", 5, "data.v")
    rig.writer.refuse = lambda value: None
    assert await rig.once()
    assert rig.writer.names == {"good", "bad"}


async def test_an_object_that_is_refused_later_is_not_pruned(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    await rig.once()

    def refuse(value: Mapping[str, Any]) -> None:
        raise ApiError(409, "Conflict", "no")

    rig.writer.refuse = refuse
    rig.put("a.yaml", config_map("one", "new"))
    await rig.once()
    assert rig.writer.names == {"one"}


async def test_two_declarations_of_one_object(rig: Rig):
    rig.put("a.yaml", config_map("one", "first"))
    rig.put("b.yaml", config_map("one", "second"))
    assert not await rig.once()
    assert rig.writer.objects["configmaps", "default", "one"][1]["data"] == {"v": "first"}
    assert f"already a ConfigMap `one`, at {rig.path}/a.yaml:1" in rig.said[-1]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("just text", "expected a mapping"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "needs a name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [a]}\n", "needs a name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: x}\n", "`annotations` a mapping"),
        ("apiVersion: v1\nkind: ConfigMapp\nmetadata: {name: a}\n", "did you mean `ConfigMap of v1`?"),
        ("apiVersion: [1]\nkind: {}\n", "unknown resource"),
        ("apiVersion: heddle.dev/v1alpha1\nkind: Source\nmetadata: {name: a}\n", "nobody declares it"),
        (config_map("a", annotations=f"{{{OWNED_BY}: 'git:x'}}"), "is set by the source itself"),
        ("a: &a [x,x]\nb: [*a,*a]\n", "aliases"),
        ("apiVersion: v1\nkind: List\nitems: 5\n", "expected a list of objects"),
        ("listeners: 5\n", "listeners"),
    ],
)
async def test_what_no_source_may_declare(rig: Rig, document: str, says: str):
    rig.put("good.yaml", config_map("good"))
    rig.put("bad.yaml", document)
    assert not await rig.once()
    assert rig.writer.names == {"good"}
    assert any(says in text and f"{rig.path}/bad.yaml" in text for text in rig.said)


async def test_links_lead_nowhere_outside(rig: Rig, tmp_path: Path):
    outside = tmp_path / "outside.yaml"
    outside.write_text(config_map("stolen"))
    rig.put("a.yaml", config_map("one"))
    (rig.path / "b.yaml").symlink_to(outside)
    (rig.path / "c.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (rig.path / ".data").mkdir()
    (rig.path / ".data" / "d.yaml").write_text(config_map("mounted"))
    (rig.path / "d.yaml").symlink_to(".data/d.yaml")
    assert not await rig.once()
    assert rig.writer.names == {"one", "mounted"}
    assert any("leads out of the folder" in text for text in rig.said)


async def test_pipes_and_large_files_are_refused(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    os.mkfifo(rig.path / "b.yaml")
    (rig.path / "c.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    (rig.path / "d.yaml").write_bytes(b"\xff\xfe\xff")
    assert not await asyncio.wait_for(rig.once(), 5)
    assert rig.writer.names == {"one"}
    assert len(rig.writer.records[-1]["status"]["problems"]) == 3


async def test_the_short_form_and_relative_files(rig: Rig):
    rig.put("config.yaml", "llm: {providers: [{name: p, type: openai, api_key: 'file:key.txt'}]}\n")
    rig.put(
        "b.yaml",
        "apiVersion: heddle.dev/v1alpha1\nkind: Backend\nmetadata: {name: q}\n"
        "spec: {provider: {type: openai, apiKey: 'file:key.txt', caFile: ca.pem}}\n",
    )
    assert await rig.once()
    for name in ("p", "q"):
        provider = rig.writer.objects["backends.heddle.dev", "default", name][1]["spec"]["provider"]
        assert provider["apiKey"] == f"file:{rig.path}/key.txt"
    assert provider["caFile"] == f"{rig.path}/ca.pem"


async def test_namespaces_and_secrets_come_first(rig: Rig):
    rig.put(
        "a.yaml",
        "apiVersion: heddle.dev/v1alpha1\nkind: Backend\nmetadata: {name: b}\nspec: {provider: {type: openai}}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n",
    )
    await rig.once()
    assert rig.writer.applied == ["n", "s", "b"]


async def test_an_api_that_is_away_ends_nothing(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    rig.writer.broken = ConnectionError("away")
    assert not await rig.once()
    assert not await rig.once()
    assert [text for text in rig.said if "away" in text] == ["folder:conf: the resource API cannot be written: away"], (
        "told once"
    )
    rig.writer.broken = None
    assert await rig.once()
    assert rig.writer.names == {"one"}


async def test_it_follows_changes_by_itself(rig: Rig):
    rig.put("a.yaml", config_map("one"))
    task = asyncio.create_task(rig.follower.run())
    try:
        async with asyncio.timeout(10):
            await rig.follower.first()
            rig.put("a.yaml", config_map("two"))
            while rig.writer.names != {"two"}:  # noqa: ASYNC110 - what happens is what is looked for
                await asyncio.sleep(0.05)
            records = len(rig.writer.records)
            await asyncio.sleep(1)
            assert len(rig.writer.records) == records, "what it writes must not start it again"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_namespace_that_nobody_declares_is_made_once_and_left_behind(rig: Rig):
    rig.put("a.yaml", config_map("one", namespace="shop"), config_map("two", namespace="shop"), config_map("three"))
    rig.put("b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: own}\n", config_map("four", namespace="own"))
    await rig.once()
    assert rig.writer.namespaces == ["shop"]
    rig.put("a.yaml", config_map("one", "w", namespace="shop"))
    await rig.once()
    (rig.path / "a.yaml").unlink()
    await rig.once()
    assert rig.writer.namespaces == ["shop"]
    assert "shop" not in rig.writer.deleted


async def test_who_may_make_no_namespace_is_told_at_the_object(rig: Rig):
    def refuse(value: Mapping[str, Any]) -> None:
        if "shop" in (value["metadata"]["name"], value["metadata"].get("namespace")):
            raise ApiError(403, "Forbidden", 'namespaces "shop" not found')

    rig.writer.refuse = refuse
    rig.put("a.yaml", config_map("one", namespace="shop"), config_map("two"))
    await rig.once()
    assert rig.writer.names == {"two"}
    (problem,) = rig.writer.records[-1]["status"]["problems"]
    assert 'namespaces "shop" not found' in str(problem)
