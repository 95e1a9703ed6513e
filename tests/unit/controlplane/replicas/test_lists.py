"""What was revoked at one replica is revoked at all of them."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from heddle.controlplane.access.authority import DENIED_LOOK_S, Authority
from heddle.controlplane.replicas.lists import RESOURCE, Lists
from heddle.controlplane.store import KeyedSeal, Store
from heddle.drivers.documents import Key
from heddle.drivers.documents.sqlite import SqliteDocuments


class Clock:
    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    made = Store(SqliteDocuments(tmp_path / "a.db"), KeyedSeal(["k" * 32]), Clock())
    await made.start()
    yield made
    await made.stop()


async def test_what_one_revokes_the_other_refuses(store: Store, tmp_path: Path):
    clock = Clock()
    one, other = (Authority(tmp_path / name, clock) for name in ("one", "other"))
    replicas = [Lists(store, one.folder), Lists(store, other.folder)]
    one.deny("AB12", "lost laptop")
    other.deny("cd34")
    for lists in (*replicas, *replicas):
        await lists.turn()
    clock.now_s += DENIED_LOOK_S
    for authority in (one, other):
        assert authority.is_denied("ab12")
        assert authority.is_denied("cd34")
        assert not authority.is_denied("ef56")
        assert (authority.folder / "denied").stat().st_mode & 0o777 == 0o600
    before, text = store.version, (one.folder / "denied").read_text()
    for lists in replicas:
        await lists.turn()
    assert (store.version, (one.folder / "denied").read_text()) == (before, text), "nothing is written again"


async def test_a_list_that_was_lost_comes_back(store: Store, tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    lists = Lists(store, authority.folder)
    authority.deny("ab12")
    await lists.turn()
    (authority.folder / "denied").unlink()
    await lists.turn()
    assert "ab12" in (authority.folder / "denied").read_text()


async def test_tokens_that_have_ended_are_forgotten(store: Store, tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    lists = Lists(store, authority.folder)
    now_s = int(time.time())
    (authority.folder / "joined").write_text(f"old {now_s - 9}\nnew {now_s + 900}\n")
    await lists.turn()
    stored = store.get(Key(RESOURCE, "", "joined"))
    assert stored is not None
    assert stored.object["lines"] == [f"new {now_s + 900}"]


async def test_a_link_somewhere_else_is_not_written_through(store: Store, tmp_path: Path):
    one, other = (Authority(tmp_path / name, Clock()) for name in ("one", "other"))
    one.deny("ab12")
    await Lists(store, one.folder).turn()
    victim = tmp_path / "victim"
    os.symlink(victim, other.folder / "denied")
    with pytest.raises(OSError, match="symbolic"):
        await Lists(store, other.folder).turn()
    assert not victim.exists()
