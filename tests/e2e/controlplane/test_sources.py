"""Folders and branches in a real control plane: what they may, what others may not, and the webhook."""

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from heddle.controlplane.access.caller import ADMINS
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.process import ControlPlane, Settings
from heddle.controlplane.sources.beside import RESOURCE, Beside
from heddle.controlplane.sources.git import GitSpec
from heddle.controlplane.sources.git_command import parse_place
from heddle.controlplane.sources.run import Specs
from heddle.drivers.documents import Key
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api, path_of
from heddle.model.kinds import Kind
from heddle.net.client import Client
from heddle.wire.kube.status import ApiError

SECRET = "a secret of webhooks"
GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


def kind(resource: str) -> Kind:
    found = served_kinds().resource(resource)
    assert found is not None
    return found


MAPS = kind("configmaps")


class Rig:
    """A control plane with a folder and a branch."""

    def __init__(self, folder: Path) -> None:
        self.conf, self.repository, self.state = folder / "conf", folder / "repo", folder / "state"
        self.conf.mkdir()
        self.repository.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.client = Client()

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run([*GIT, *arguments], cwd=self.repository, env=environ, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, name: str, content: str) -> str:
        (self.repository / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    async def start(self) -> None:
        self.plane = ControlPlane(Settings(state_dir=self.state, port=0, grace_s=0.5))
        spec = GitSpec("repo", parse_place(f"file://{self.repository}#main"), poll_s=3600)
        self.sources = Beside(Specs([self.conf], [spec], SECRET), self.state / "control-plane", self.plane.kinds)
        self.plane.rollbacks[RESOURCE] = self.sources.roll_back
        await self.plane.start(self.sources.routes)
        self.sources.start(self.plane.authority, self.plane.address, self.plane.store)
        async with asyncio.timeout(20):
            await self.sources.brought_in.wait()
        pair = self.plane.authority.issue("ada", [ADMINS], 3600)
        reach = Reach(
            server=f"https://127.0.0.1:{self.plane.address[1]}",
            ca=self.plane.authority.ca_pem.decode(),
            certificate=pair.certificate.decode(),
            key=pair.key.decode(),
        )
        self.api = Api(reach, self.client)

    async def stop(self) -> None:
        self.api.close()
        await self.client.close()
        await self.sources.stop()
        await self.plane.stop()

    def has(self, name: str) -> bool:
        return self.plane.store.get(Key("configmaps", "default", name)) is not None

    async def source(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.api.send("GET", path_of(kind(RESOURCE), "", name))
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():  # noqa: ASYNC110 - what happens is what is looked for
                await asyncio.sleep(0.05)

    def hook(self, body: bytes, signature: str) -> int:
        context = ssl.create_default_context(cadata=self.plane.authority.ca_pem.decode())
        connection = http.client.HTTPSConnection("127.0.0.1", self.plane.address[1], timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request("POST", "/hooks/git", body, {"x-hub-signature-256": f"sha256={signature}"})
            return connection.getresponse().status


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    (made.conf / "a.yaml").write_text(config_map("of-folder"))
    made.commit("a.yaml", config_map("of-branch"))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def config_map(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '1'}}\n---\n"


async def test_what_a_source_declares_nobody_else_writes(rig: Rig):
    assert rig.has("of-folder")
    path = path_of(MAPS, "default", "of-folder")
    for attempt in (
        rig.api.send("DELETE", path),
        rig.api.send("PATCH", path, None, {"data": {"v": "2"}}, {"content-type": "application/merge-patch+json"}),
        rig.api.send("PATCH", path, None, {"metadata": {"annotations": {"heddle.dev/owned-by": None}}},
                     {"content-type": "application/merge-patch+json"}),
        rig.api.apply(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "data": {"v": "2"},
                             "metadata": {"name": "of-folder", "namespace": "default"}}, "ada", force="true"),
        rig.api.apply(MAPS, {"apiVersion": "v1", "kind": "ConfigMap",
                             "metadata": {"name": "mine", "namespace": "default",
                                          "annotations": {"heddle.dev/owned-by": "folder:conf"}}}, "ada"),
    ):  # fmt: skip
        with pytest.raises(ApiError) as refused:
            await attempt
        assert refused.value.code == 409
        assert "folder:conf" in refused.value.message


async def test_pruning_leaves_what_others_made(rig: Rig):
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "default"}}
    await rig.api.apply(MAPS, mine, "ada")
    (rig.conf / "a.yaml").write_text(config_map("another"))
    await rig.until(lambda: rig.has("another") and not rig.has("of-folder"))
    assert rig.has("mine")
    assert rig.has("of-branch")


async def test_a_conflict_with_somebody_is_told_and_not_forced(rig: Rig):
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"v": "mine"}}
    await rig.api.apply(MAPS, {**mine, "metadata": {"name": "mine", "namespace": "default"}}, "ada")
    (rig.conf / "b.yaml").write_text(config_map("mine"))
    problems: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while not problems:
            await asyncio.sleep(0.1)
            problems = (await rig.source("folder-conf"))["status"].get("problems", [])
    assert 'conflict with "ada"' in problems[0]["message"]
    assert problems[0]["line"] == 4
    live = await rig.api.send("GET", path_of(MAPS, "default", "mine"))
    assert live["data"] == {"v": "mine"}


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("provider: {type: openai, apiKey: '${HOME}'}", "environment"),
        ("provider: {type: openai, apiKey: 'file:/etc/passwd'}", "files"),
        ("provider: {type: openai, baseUrl: 'http://169.254.169.254/v1'}", "privatenetworks"),
        ("mcp: {stdio: {command: [id]}}", "commands"),
    ],
)
async def test_a_branch_may_not_use_the_machine(rig: Rig, spec: str, right: str):
    document = f"apiVersion: heddle.dev/v1alpha1\nkind: Backend\nmetadata: {{name: b}}\nspec: {{{spec}}}\n"
    rig.commit("b.yaml", document + "---\n" + config_map("beside-it"))
    rig.sources.sources[1].poke()  # type: ignore[attr-defined]
    await rig.until(lambda: rig.has("beside-it"))
    problems: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while not problems:
            await asyncio.sleep(0.05)
            problems = (await rig.source("git-repo"))["status"].get("problems", [])
    assert f'"{right}"' in problems[0]["message"]
    assert rig.plane.store.get(Key("backends.heddle.dev", "default", "b")) is None


async def test_a_folder_may(rig: Rig):
    document = "apiVersion: heddle.dev/v1alpha1\nkind: Backend\nmetadata: {name: b}\n"
    (rig.conf / "b.yaml").write_text(f"{document}spec: {{provider: {{type: openai, apiKey: '${{HOME}}'}}}}\n")
    await rig.until(lambda: rig.plane.store.get(Key("backends.heddle.dev", "default", "b")) is not None)


async def test_a_webhook_makes_it_look_now_if_it_is_signed(rig: Rig):
    commit = rig.commit("b.yaml", config_map("newer"))
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert await asyncio.to_thread(rig.hook, body + b" ", good) == 403
    assert await asyncio.to_thread(rig.hook, b"x" * (1024 * 1024 + 1), good) == 413
    await asyncio.sleep(0.3)
    assert not rig.has("newer")
    assert await asyncio.to_thread(rig.hook, body, good) == 202
    await rig.until(lambda: rig.has("newer"))
    history = await rig.api.send("GET", path_of(MAPS, "default", "newer", "history"))
    newest = history["items"][0]
    assert newest["user"] == "system:source:git:repo"
    assert newest["why"].endswith(f"at {commit}")


async def test_a_branch_is_rolled_back_to_the_commit_before(rig: Rig):
    rig.commit("a.yaml", config_map("worse"))
    rig.sources.sources[1].poke()  # type: ignore[attr-defined]
    await rig.until(lambda: rig.has("worse"))
    newest = rig.git("rev-parse", "HEAD")
    key = Key(RESOURCE, "", "git-repo")
    await rig.until(lambda: rig.plane.store.get(key).object["status"]["commit"] == newest)  # type: ignore[union-attr]
    made = await rig.api.send("POST", path_of(kind(RESOURCE), "", "git-repo", "rollback"), None, {})
    assert made["status"]["commit"] == rig.git("rev-parse", "HEAD~1")
    await rig.until(lambda: rig.has("of-branch") and not rig.has("worse"))
    with pytest.raises(ApiError, match="only Git branches go back"):
        await rig.api.send("POST", path_of(kind(RESOURCE), "", "folder-conf", "rollback"), None, {})
