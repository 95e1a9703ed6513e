"""What every vault promises. A new driver adds itself to `DRIVERS` and has to pass all of it."""

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heddle.drivers.vault import Credential, Place, Vault, VaultError
from heddle.drivers.vault.cipher import Cipher, own_key
from heddle.drivers.vault.memory import MemoryVault
from heddle.drivers.vault.sqlite import FILE, SqliteVault

ALICE = Place("a1" * 16, "github", "https://as.example")
BOB = Place("b0" * 16, "github", "https://as.example")
SECRET = "at-SECRET-1"
REFRESH = "rt-SECRET-2"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


DRIVERS: dict[str, Callable[[Path, Clock], Vault]] = {
    "memory": lambda _, clock: MemoryVault(clock),
    "sqlite": lambda directory, clock: SqliteVault(directory, (), clock),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=sorted(DRIVERS))
def vault(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Vault]:
    made = DRIVERS[request.param](tmp_path, clock)
    yield made
    made.close()


def credential(token: str = SECRET) -> Credential:
    return Credential(
        access_token=token, refresh_token=REFRESH, expires_s=12.5, scopes=("a", "b"), client_id="c", label="alice"
    )


def test_what_was_put_is_there_and_only_there(vault: Vault):
    assert vault.get(ALICE) is None
    vault.put(ALICE, credential())
    assert vault.get(ALICE) == credential()
    assert vault.get(BOB) is None
    assert vault.get(Place(ALICE.owner, "gitlab", ALICE.issuer)) is None
    assert vault.get(Place(ALICE.owner, ALICE.target, "https://other.example")) is None


def test_the_latest_holds_and_goes(vault: Vault):
    vault.put(ALICE, credential())
    vault.put(ALICE, credential("second"))
    found = vault.get(ALICE)
    assert found is not None
    assert found.access_token == "second"
    assert vault.delete(ALICE) is True
    assert vault.delete(ALICE) is False
    assert vault.get(ALICE) is None


def test_listing(vault: Vault):
    other = Place(ALICE.owner, "gitlab", "")
    for place in (ALICE, BOB, other):
        vault.put(place, credential())
    assert [kept.place for kept in vault.list()] == [other, BOB, ALICE]
    assert [kept.place for kept in vault.list(owner=ALICE.owner)] == [other, ALICE]
    assert [kept.place for kept in vault.list(target="github")] == [BOB, ALICE]
    assert [kept.place for kept in vault.list(ALICE.owner, "github")] == [ALICE]
    vault.put(ALICE, credential())
    assert vault.list()[0].place == ALICE


def test_old_ones_are_purged(vault: Vault, clock: Clock):
    vault.put(ALICE, credential())
    clock.now += 100
    vault.put(BOB, credential())
    assert vault.purge(clock.now - 50) == 1
    assert [kept.place for kept in vault.list()] == [BOB]


def test_changes_show_in_the_generation(vault: Vault):
    seen = {vault.generation()}
    assert vault.generation() in seen
    vault.put(ALICE, credential())
    assert vault.generation() not in seen
    seen.add(vault.generation())
    vault.delete(ALICE)
    assert vault.generation() not in seen


def test_one_claim_at_a_time(vault: Vault, clock: Clock):
    first = vault.claim(ALICE, 10)
    assert first is not None
    assert vault.claim(ALICE, 10) is None
    assert vault.claim(BOB, 10) is not None
    clock.now += 11
    second = vault.claim(ALICE, 10)
    assert second is not None
    vault.release(ALICE, first)
    assert vault.claim(ALICE, 10) is None, "a claim that has ended cannot end another's"
    vault.release(ALICE, second)
    assert vault.claim(ALICE, 10) is not None


def test_nothing_shows_a_secret(vault: Vault):
    vault.put(ALICE, credential())
    for shown in (repr(vault), repr(vault.get(ALICE)), repr(vault.list()), str(vault.list()[0])):
        assert "SECRET" not in shown


# The file


def test_the_files_hold_no_secret_and_are_their_owners(tmp_path: Path):
    vault = SqliteVault(tmp_path)
    vault.put(ALICE, credential())
    files = list(tmp_path.iterdir())
    assert {file.name for file in files} >= {"vault.db", "vault.key"}
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file
        assert b"SECRET" not in file.read_bytes(), file
    vault.close()


def test_it_outlives_its_process_and_is_seen_by_others(tmp_path: Path):
    one, two = SqliteVault(tmp_path), SqliteVault(tmp_path)
    before = two.generation()
    one.put(ALICE, credential())
    assert two.generation() != before
    assert two.get(ALICE) == credential()
    one.close()
    two.close()
    again = SqliteVault(tmp_path)
    assert again.get(ALICE) == credential()
    again.close()


def test_a_row_given_to_another_owner_does_not_open(tmp_path: Path):
    vault = SqliteVault(tmp_path)
    vault.put(ALICE, credential())
    vault.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE credentials SET owner = ?", (BOB.owner,))
    db.close()
    vault = SqliteVault(tmp_path)
    with pytest.raises(VaultError, match="damaged or moved"):
        vault.get(BOB)
    vault.close()


def test_another_key_opens_nothing_and_an_older_one_still_does(tmp_path: Path):
    old, new = "o" * 32, "n" * 32
    vault = SqliteVault(tmp_path, (old,))
    vault.put(ALICE, credential())
    vault.close()
    vault = SqliteVault(tmp_path, (new,))
    with pytest.raises(VaultError, match="not known here"):
        vault.get(ALICE)
    vault.close()
    vault = SqliteVault(tmp_path, (new, old))
    assert vault.get(ALICE) == credential()
    vault.put(BOB, credential())
    vault.close()
    vault = SqliteVault(tmp_path, (new,))
    assert vault.get(BOB) == credential()
    vault.close()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    own_key(tmp_path)
    (tmp_path / "vault.key").chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        SqliteVault(tmp_path)


@pytest.mark.parametrize("keys", [[], [b"short"], [b"x" * 32, b""]])
def test_weak_keys_are_refused(keys: list[bytes]):
    with pytest.raises(VaultError, match="32 characters"):
        Cipher(keys)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + b"\0" * 60, b"\x01" + b"\0" * 60])
def test_garbage_is_refused(sealed: bytes):
    with pytest.raises(VaultError):
        Cipher([b"x" * 32]).decrypt(ALICE, sealed)


def test_a_newer_file_is_refused(tmp_path: Path):
    SqliteVault(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(VaultError, match="newer version"):
        SqliteVault(tmp_path)


def _claim(directory: Path, won: "multiprocessing.Queue[bool]", begin: "multiprocessing.synchronize.Event") -> None:
    vault = SqliteVault(directory)
    begin.wait(20)
    won.put(vault.claim(ALICE, 60) is not None)
    vault.close()


def test_of_several_processes_one_has_the_claim(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    won, begin = context.Queue(), context.Event()
    processes = [context.Process(target=_claim, args=(tmp_path, won, begin)) for _ in range(3)]
    for process in processes:
        process.start()
    begin.set()
    results = [won.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    won.close()
    won.join_thread()
    assert sorted(results) == [False, False, True]
