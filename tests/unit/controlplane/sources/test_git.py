"""A branch is what its newest commit says, unless that cannot be had or is not signed."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from tests.unit.controlplane.sources.fakes import FakeWriter, config_map

from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.sources import git_command
from heddle.controlplane.sources.git import GitSource, GitSpec
from heddle.controlplane.sources.git_command import Access, Git, GitError, Place, parse_place
from heddle.controlplane.sources.loop import Follower

ENVIRON = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Repository:
    """Somebody's repository, with a working tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.path), *arguments]
        done = subprocess.run(command, env=ENVIRON | {"HOME": str(self.path)}, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, *arguments: str, **files: str) -> str:
        for name, content in files.items():
            path = self.path / name.replace("__", "/").replace("_yaml", ".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change", *arguments)
        return self.git("rev-parse", "HEAD")


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "theirs")
        self.writer = FakeWriter()
        self.said: list[str] = []

    def follow(self, place: str = "", **more: object) -> Follower:
        at = parse_place(f"file://{self.repository.path}#main{place}")
        self.source = GitSource(GitSpec("conf", at, **more), self.folder / "ours", served_kinds)  # type: ignore[arg-type]
        return Follower(self.source, self.writer, self.said.append, lambda: 1_800_000_000.0)

    @property
    def status(self) -> dict[str, object]:
        return self.writer.records[-1]["status"]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_the_newest_commit_is_what_holds(rig: Rig):
    first = rig.repository.commit(a_yaml=config_map("one"), sub__b_yaml=config_map("below"))
    follower = rig.follow()
    assert await follower.once()
    assert rig.writer.names == {"one"}, "folders are not descended into"
    assert rig.status["commit"] == first
    assert rig.writer.reasons == [f"file://{rig.repository.path}#main at {first}"]
    (rig.repository.path / "a.yaml").unlink()
    second = rig.repository.commit(c_yaml=config_map("two"))
    assert await follower.once()
    assert rig.writer.names == {"two"}
    assert rig.status["commit"] == second


async def test_a_folder_of_a_branch(rig: Rig):
    rig.repository.commit(a_yaml=config_map("one"), sub__b_yaml=config_map("below"))
    assert await rig.follow(":sub").once()
    assert rig.writer.names == {"below"}


async def test_a_fetch_that_fails_keeps_the_last_good(rig: Rig):
    commit = rig.repository.commit(a_yaml=config_map("one"))
    follower = rig.follow()
    await follower.once()
    rig.repository.path.rename(rig.folder / "moved")
    assert not await follower.once()
    assert rig.writer.names == {"one"}
    assert rig.writer.condition("Fetched")["status"] == "False"
    assert rig.status["commit"] == commit


@pytest.mark.parametrize("place", [":nowhere", ":a.yaml", ":empty"])
async def test_a_place_that_holds_nothing(rig: Rig, place: str):
    rig.repository.commit(a_yaml=config_map("one"), empty__readme="no resources")
    assert not await rig.follow(place).once()
    assert rig.writer.objects == {}
    assert rig.writer.condition("Fetched")["status"] == "False"


async def test_a_broken_file_harms_no_other(rig: Rig):
    rig.repository.commit(a_yaml=config_map("one"), b_yaml=config_map("two"))
    follower = rig.follow()
    await follower.once()
    rig.repository.commit(a_yaml="kind: [", b_yaml=config_map("three"))
    assert not await follower.once()
    assert rig.writer.names == {"one", "three"}
    assert rig.status["problems"][0]["file"] == "a.yaml"  # type: ignore[index]


async def test_links_and_submodules_are_not_followed(rig: Rig):
    (rig.repository.path / "link.yaml").symlink_to("/etc/hostname")
    (rig.repository.path / "folder.yaml").symlink_to("/etc")
    rig.repository.commit(a_yaml=config_map("one"))
    rig.repository.git("update-index", "--add", "--cacheinfo", "160000", "1" * 40, "module.yaml")
    rig.repository.git("commit", "--quiet", "-m", "a submodule")
    assert not await rig.follow().once()
    assert rig.writer.names == {"one"}
    assert {one["file"] for one in rig.status["problems"]} == {"link.yaml", "folder.yaml"}  # type: ignore[attr-defined]


async def test_large_files_are_not_read(rig: Rig):
    rig.repository.commit(a_yaml=config_map("one"), b_yaml="#" * (4 * 1024 * 1024 + 1))
    assert not await rig.follow().once()
    assert rig.writer.names == {"one"}


async def test_no_hook_filter_or_configuration_of_anybody_runs(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """The repository is somebody else's: nothing in it may run anything here."""
    proof = rig.folder / "ran"
    attributes = "*.yaml filter=evil\n"
    rig.repository.commit(a_yaml=config_map("one"))
    (rig.repository.path / ".gitattributes").write_text(attributes)
    rig.repository.commit()
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        path = rig.repository.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {proof}\n")
        path.chmod(0o700)
    home = rig.folder / "home"
    home.mkdir()
    home.joinpath(".gitconfig").write_text(
        f'[filter "evil"]\nsmudge = touch {proof}\n[core]\nfsmonitor = touch {proof}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {proof}")
    assert await rig.follow().once()
    assert rig.writer.names == {"one"}
    assert not proof.exists()


async def test_a_rollback_holds_until_the_branch_moves_on(rig: Rig):
    first = rig.repository.commit(a_yaml=config_map("one"))
    follower = rig.follow()
    await follower.once()
    with pytest.raises(ValueError, match="was not served before"):
        rig.source.roll_back()
    rig.repository.commit(a_yaml=config_map("two"))
    await follower.once()
    assert rig.source.roll_back() == first
    assert await follower.once()
    assert rig.writer.names == {"one"}
    assert rig.status["commit"] == first
    follower = rig.follow()
    assert await follower.once()
    assert rig.writer.names == {"one"}, "a restart undoes no rollback"
    rig.repository.commit(a_yaml=config_map("three"))
    assert await follower.once()
    assert rig.writer.names == {"three"}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for name in ("ada", "eve"):
        made[name] = tmp_path / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(made[name])]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"ada@example.com {made['ada'].with_suffix('.pub').read_text()}")
    return made | {"allowed": allowed}


async def test_only_commits_of_signers_hold(rig: Rig, keys: dict[str, Path]):
    rig.repository.git("config", "gpg.format", "ssh")
    good = rig.repository.commit(f"-S{keys['ada']}", a_yaml=config_map("one"))
    follower = rig.follow(signers=keys["allowed"])
    assert await follower.once()
    assert rig.writer.names == {"one"}
    for arguments in ((), (f"-S{keys['eve']}",)):
        rig.repository.commit(*arguments, a_yaml=config_map("evil"))
        assert not await follower.once()
        assert rig.writer.names == {"one"}
        assert rig.status["commit"] == good
        assert "is not signed by anyone in" in rig.writer.condition("Fetched")["message"]
    rig.repository.commit(f"-S{keys['ada']}", a_yaml=config_map("two"))
    assert await follower.once()
    assert rig.writer.names == {"two"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://host.example/a/b.git", Place("https://host.example/a/b.git", "main")),
        ("https://host.example:8443/a/b#prod", Place("https://host.example:8443/a/b", "prod")),
        ("https://host.example/a#feature/x:teams/shop/", Place("https://host.example/a", "feature/x", "teams/shop")),
        ("git@host.example:team/conf.git#main", Place("ssh://git@host.example/team/conf.git", "main")),
        ("ssh://git@host.example:2222/conf", Place("ssh://git@host.example:2222/conf", "main")),
        ("/srv/conf#v1.2", Place("file:///srv/conf", "v1.2")),
    ],
)
def test_places(text: str, place: Place):
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "http://host.example/a",
        "git://host.example/a",
        "ftp://host.example/a",
        "ssh://-oProxyCommand=touch/x",
        "-oProxyCommand=x@host:path",
        "git@-oProxyCommand=x:path",
        "https://user:secret@host.example/a",
        "https://host.example/a b",
        "https://host.example/a\n",
        "https://host.example/a#--exec=x",
        "https://host.example/a#-x",
        "https://host.example/a#a..b",
        "https://host.example/a#a@{1}",
        "https://host.example/a#a.lock",
        "https://host.example/a#a/.b",
        "https://host.example/a#main:../x",
        "https://host.example/a#main:a/../../x",
        "https://host.example/a#main:a:b",
        "file://host/path",
    ],
)
def test_places_that_are_refused(text: str):
    with pytest.raises(ValueError) as refused:
        parse_place(text)
    assert "secret" not in str(refused.value)


def answered(environment: dict[str, str], prompt: str) -> bytes:
    command = [environment["GIT_ASKPASS"], prompt]
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


async def test_credentials_are_no_arguments(rig: Rig, tmp_path: Path):
    """Git asks a program, which reads the file; what every user of the machine can see names the file at most."""
    secret = tmp_path / "token"
    secret.write_text("hunter2\n")
    git = Git(tmp_path / "ours", Access(username="bot", password_file=secret))
    await git.prepare()
    environment = git._environment()
    assert "hunter2" not in repr(environment)
    asked = [
        answered(environment, prompt) for prompt in ("Username for 'https://h': ", "Password for 'https://bot@h': ")
    ]
    assert asked == [b"bot\n", b"hunter2\n"]


async def test_a_fetch_that_hangs_or_floods_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nsleep 60\n")
    fake.chmod(0o700)
    git = Git(tmp_path)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_command, "TIMEOUT_S", 0.3)
    with pytest.raises(GitError, match="took longer"):
        await asyncio.wait_for(git.run("fetch"), 5)
    monkeypatch.setattr(git_command, "TIMEOUT_S", 30.0)
    monkeypatch.setattr(git_command, "MAX_PACK_BYTES", 1024 * 1024)
    fake.write_text("#!/bin/sh\nexec head -c 5000000 /dev/zero > big\n")
    with pytest.raises(GitError):
        await asyncio.wait_for(git.run("fetch"), 5)
    assert (tmp_path / "big").stat().st_size <= 1024 * 1024


async def test_what_git_says_shows_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\necho 'fatal: https://bot:hunter2@host/a: no' >&2; printf '\\033[31m' >&2; exit 128\n")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GitError) as refused:
        await Git(tmp_path).run("fetch")
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).isprintable()
