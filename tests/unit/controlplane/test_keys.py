"""The life of a virtual key: what is kept, what workers are told and when, what people are shown."""

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from heddle.controlplane import keys as module
from heddle.controlplane.keys import PREFIX, Keys
from heddle.controlplane.keystore import KeyStore
from heddle.model.snapshot import ApiKeyAuthn, KeySpec, Snapshot
from heddle.model.snapshot_budgets import WindowSpec
from heddle.model.virtual_keys import KeyRefusedError, KeyStoreError, UnknownKeyError, VirtualKey

OPEN = Snapshot(version="v", authentication=(ApiKeyAuthn(virtual=True),))


class World:
    def __init__(self, folder: Path) -> None:
        self.store = KeyStore(folder / "keys.db")
        self.told: list[tuple[tuple[VirtualKey, ...], tuple[str, ...]]] = []
        self.keys = Keys(self.store, self.publish)
        self.keys.follow(OPEN)
        self.on_disk: list[list[str]] = []

    async def publish(self, changed: Iterable[VirtualKey], gone: Iterable[str]) -> None:
        self.on_disk.append([record.id for record in self.store.all()])
        self.told.append((tuple(changed), tuple(gone)))

    def again(self) -> Keys:
        """What a restarted mesh knows."""
        return Keys(self.store, self.publish)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


SAID: dict[str, Any] = {
    "name": "ci",
    "user": "ann",
    "tenant": "dev",
    "agent": "bot",
    "models": ["gpt-*"],
    "expires": "2099-01-31",
    "metadata": {"team": "a"},
    "limits": [{"limit": 60, "window": "1m"}, {"limit": 1000, "window": "1h", "limit_by": "tokens"}],
    "budgets": [
        {"limit_usd": 20, "calendar": {"period": "month", "zone": "Europe/Berlin"}},
        {"limit_tokens": 500, "sliding": "24h"},
    ],
}


async def test_a_key_is_on_the_disk_before_workers_know_it_and_they_know_it_before_it_is_told(world: World):
    made = await world.keys.create(SAID)
    assert world.on_disk == [[made["id"]]]
    ((key,), gone) = world.told[0]
    assert gone == ()
    assert (key.id, key.user, key.tenant, key.agent, key.models) == (made["id"], "ann", "dev", "bot", ("gpt-*",))
    assert [secret.digest for secret in key.secrets] == [digest(made["secret"])]
    assert [(one.name, one.limit, one.window_s, one.limit_by, one.key) for one in key.limits] == [
        ("key:requests/1m", 60, 60, "requests", ("key",)),
        ("key:tokens/1h", 1000, 3600, "tokens", ("key",)),
    ]
    money, tokens = key.budgets
    assert (money.limit, money.unit, money.window.zone) == (20 * 10**9, "usd", "Europe/Berlin")
    assert (tokens.limit, tokens.unit, tokens.window) == (500, "tokens", WindowSpec(kind="sliding", length_s=86_400))


async def test_a_secret_is_long_told_once_and_nowhere_kept(world: World, tmp_path: Path):
    made = await world.keys.create(SAID)
    secret = made["secret"]
    assert secret.startswith(PREFIX)
    assert len(secret.removeprefix(PREFIX)) == 43, "256 bits, six to a character"
    shown = world.keys.show(made["id"])
    assert "secret" not in shown
    assert shown["secrets"][0]["hint"] == f"sk-hd-…{secret[-4:]}"
    assert secret.encode() not in everything_in(tmp_path)
    assert secret not in repr((world.told, shown, world.keys.list({})))


async def test_a_restarted_mesh_knows_every_key(world: World):
    made = [await world.keys.create({**SAID, "name": f"n{number}"}) for number in range(3)]
    await world.keys.revoke(made[1]["id"])
    again = world.again()
    assert sorted(again.compiled(), key=lambda key: key.id) == sorted(world.keys.compiled(), key=lambda key: key.id)
    assert [one["name"] for one in again.list({})] == ["n0", "n2"]


async def test_both_secrets_are_good_while_they_overlap_and_the_id_stays(world: World):
    made = await world.keys.create(SAID)
    rotated = await world.keys.rotate(made["id"], "2h")
    assert rotated["id"] == made["id"]
    assert rotated["secret"] != made["secret"]
    ((key,), _) = world.told[-1]
    former, current = key.secrets
    assert (former.digest, current.digest, current.until_s) == (digest(made["secret"]), digest(rotated["secret"]), 0.0)
    assert abs(former.until_s - (world.keys._records[key.id].changed_s + 7200)) < 1
    assert key.limits == world.told[0][0][0].limits


async def test_without_overlap_the_former_secret_is_forgotten(world: World):
    made = await world.keys.create(SAID)
    await world.keys.rotate(made["id"], "90d")
    rotated = await world.keys.rotate(made["id"], "0")
    ((key,), _) = world.told[-1]
    assert [secret.digest for secret in key.secrets] == [digest(rotated["secret"])]


async def test_a_later_rotation_never_lengthens_a_secrets_life(world: World):
    made = await world.keys.create(SAID)
    await world.keys.rotate(made["id"], "1h")
    until_s = world.told[-1][0][0].secrets[0].until_s
    await world.keys.rotate(made["id"], "24h")
    assert world.told[-1][0][0].secrets[0].until_s == until_s


async def test_secrets_of_one_key_are_bounded(world: World):
    made = await world.keys.create(SAID)
    for _ in range(module.MAX_SECRETS - 1):
        await world.keys.rotate(made["id"], "1h")
    with pytest.raises(KeyRefusedError, match="still good"):
        await world.keys.rotate(made["id"], "1h")
    await world.keys.rotate(made["id"], "0")


@pytest.mark.parametrize("overlap", ["-1h", "soon", "", "91d", "1"])
async def test_an_overlap_that_cannot_be_is_refused(world: World, overlap: str):
    made = await world.keys.create({})
    with pytest.raises(KeyRefusedError, match="overlap"):
        await world.keys.rotate(made["id"], overlap)


async def test_a_change_says_what_changes(world: World):
    made = await world.keys.create(SAID)
    shown = await world.keys.update(made["id"], {"disabled": True, "models": None, "metadata": {"team": None, "x": 1}})
    assert (shown["disabled"], shown["metadata"], shown["name"]) == (True, {"x": 1}, "ci")
    assert "models" not in shown
    ((key,), _) = world.told[-1]
    assert key.disabled
    assert key.models is None
    assert world.again().show(made["id"]) == shown


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"tenant": "a b"}, "tenant: "),
        ({"nmae": "x"}, "nmae: unknown field (did you mean `name`?)"),
        ({"limits": [{"limit": 0, "window": "1m"}]}, "limits[0].limit: "),
        ({"limits": [{"limit": 1, "window": "7m"}]}, "limits[0].window: must divide a day"),
        ({"limits": [{"limit": 1, "window": "1m"}, {"limit": 2, "window": "1m"}]}, "limits[1]: counts the same"),
        ({"limits": [{"limit": 1, "window": "1m"}] * 17}, "limits: expected at most 16"),
        ({"budgets": [{"limit_usd": 1}]}, "exactly one of `window`, `calendar` and `sliding`"),
        ({"budgets": [{"limit_usd": 1, "limit_tokens": 1, "window": "24h"}]}, "exactly one of `limit_usd`"),
        (
            {"budgets": [{"limit_usd": 1, "calendar": {"period": "month", "zone": "Mars/Base"}}]},
            "time zone `Mars/Base`",
        ),
        ({"budgets": [{"limit_tokens": 1, "window": "24h", "webhook": {}}]}, "unknown field"),
        ({"expires": "soon"}, "expires: "),
        ({"metadata": {"x": "y" * 20_000}}, "metadata: is larger"),
        ({"models": "gpt"}, "models: "),
        ({"user": None}, "user: "),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(world: World, said: dict[str, Any], complaint: str):
    with pytest.raises(KeyRefusedError) as refused:
        await world.keys.create(said)
    assert complaint in str(refused.value)
    assert world.told == []
    assert world.again().list({}) == []
    made = await world.keys.create(SAID)
    if None not in said.values():
        with pytest.raises(KeyRefusedError):
            await world.keys.update(made["id"], said)
        assert world.again().show(made["id"]) == world.keys.show(made["id"])


async def test_an_unknown_id_is_told_apart(world: World):
    for ask in (world.keys.update("key-x", {}), world.keys.rotate("key-x", "0"), world.keys.revoke("key-x")):
        with pytest.raises(UnknownKeyError):
            await ask
    with pytest.raises(UnknownKeyError):
        world.keys.show("key-x")


async def test_a_revoked_key_is_gone_everywhere(world: World):
    made = await world.keys.create(SAID)
    await world.keys.revoke(made["id"])
    assert world.told[-1] == ((), (made["id"],))
    assert world.on_disk[-1] == []
    assert list(world.keys.compiled()) == []


async def test_nothing_changes_when_the_disk_fails(world: World, monkeypatch: pytest.MonkeyPatch):
    made = await world.keys.create(SAID)

    def fail(*_: object) -> None:
        raise KeyStoreError("the keys cannot be written: disk I/O error")

    monkeypatch.setattr(world.store, "put", fail)
    monkeypatch.setattr(world.store, "remove", fail)
    before = world.keys.list({}), len(world.told)
    for ask in (world.keys.create({}), world.keys.rotate(made["id"], "0"), world.keys.revoke(made["id"])):
        with pytest.raises(KeyStoreError):
            await ask
    assert (world.keys.list({}), len(world.told)) == before


async def test_a_change_is_finished_when_whoever_asked_is_gone(world: World, monkeypatch: pytest.MonkeyPatch):
    made = await world.keys.create(SAID)
    reached = asyncio.Event()
    told = world.publish

    async def slow(changed: Iterable[VirtualKey], gone: Iterable[str]) -> None:
        reached.set()
        await asyncio.sleep(0.01)
        await told(changed, gone)

    monkeypatch.setattr(world.keys, "_publish", slow)
    asking = asyncio.ensure_future(world.keys.revoke(made["id"]))
    await reached.wait()
    asking.cancel()
    await world.keys.create({})  # waits for its turn
    assert world.told[-2] == ((), (made["id"],))


async def test_where_the_configuration_accepts_none_none_are_made(world: World):
    world.keys.follow(Snapshot(version="v", authentication=(ApiKeyAuthn(virtual=False),)))
    with pytest.raises(KeyRefusedError, match=r"security\.authentication"):
        await world.keys.create(SAID)


async def test_a_configured_key_cannot_be_a_virtual_one_too(world: World):
    made = await world.keys.create(SAID)
    same = KeySpec(sha256=digest(made["secret"]).hex())
    clash = world.keys.clash(Snapshot(version="v", authentication=(ApiKeyAuthn(keys=(same,), virtual=True),)))
    assert made["id"] in clash
    assert same.sha256 not in clash
    assert world.keys.clash(OPEN) == ""


async def test_keys_are_selected_by_whose_they_are(world: World):
    await world.keys.create({"tenant": "dev", "user": "ann"})
    await world.keys.create({"tenant": "dev"})
    assert len(world.keys.list({"tenant": "dev"})) == 2
    assert len(world.keys.list({"tenant": "dev", "user": "ann"})) == 1
    assert len(world.keys.list({"user": ""})) == 1
    assert world.keys.list({"tenant": "d"}) == []


async def test_concurrent_changes_of_one_key_lose_none(world: World):
    made = await world.keys.create({})
    await asyncio.gather(*(world.keys.update(made["id"], {"metadata": {f"k{n}": n}}) for n in range(20)))
    assert len(world.keys.show(made["id"])["metadata"]) == 20
