"""What any store of virtual keys must do: keep what it acknowledged, whatever happens next, and no secret."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from heddle.controlplane.keystore import KeyRecord, KeyStore, SecretRecord
from heddle.model.virtual_keys import KeyStoreError


def record(name: str, /, *digests: str, **said: object) -> KeyRecord:
    secrets = tuple(SecretRecord(sha256=one * 32, hint="wxyz", created_s=1.0) for one in digests)
    return KeyRecord(id=name, said=said, secrets=secrets, created_s=1.0, changed_s=2.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def test_what_was_put_is_there_after_it_was_closed(path: Path):
    store = KeyStore(path)
    one, two = record("key-1", "aa", "bb", metadata={"deep": [1, {"x": None}]}), record("key-2", "cc")
    store.put(two)
    store.put(one)
    store.close()
    assert KeyStore(path).all() == [one, two]


def test_a_key_is_replaced_as_a_whole(path: Path):
    store = KeyStore(path)
    store.put(record("key-1", "aa", "bb"))
    store.put(record("key-1", "bb", "cc", name="new"))
    assert store.all() == [record("key-1", "bb", "cc", name="new")]
    store.put(record("key-2", "aa"))


def test_what_is_removed_frees_its_digests(path: Path):
    store = KeyStore(path)
    store.put(record("key-1", "aa"))
    store.remove("key-1")
    store.remove("never-there")
    assert store.all() == []
    store.put(record("key-2", "aa"))


def test_no_two_keys_have_one_secret(path: Path):
    store = KeyStore(path)
    store.put(record("key-1", "aa"))
    with pytest.raises(KeyStoreError):
        store.put(record("key-2", "bb", "aa"))
    assert store.all() == [record("key-1", "aa")], "nothing of it was written"
    store.put(record("key-2", "bb"))


def test_only_its_owner_reads_it(path: Path):
    previous = os.umask(0)
    try:
        KeyStore(path).put(record("key-1", "aa"))
    finally:
        os.umask(previous)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert "keys.db-wal" in modes
    assert set(modes.values()) == {0o600}


_WRITER = """
import sys
from pathlib import Path
from heddle.controlplane.keystore import KeyRecord, KeyStore, SecretRecord
store = KeyStore(Path(sys.argv[1]))
for number in range(100_000):
    secret = SecretRecord(sha256=f"{number:064x}", hint="wxyz", created_s=1.0)
    store.put(KeyRecord(id=f"key-{number:06}", said={}, secrets=(secret,), created_s=1.0, changed_s=1.0))
    if number % 3 == 2:
        store.remove(f"key-{number - 1:06}")
        print(f"-{number - 1:06}", flush=True)
    print(f"+{number:06}", flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 60])
def test_what_was_acknowledged_outlives_a_kill(path: Path, after: int):
    expected: set[str] = set()
    acknowledged = []
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) == after:
                writer.send_signal(signal.SIGKILL)
    for line in acknowledged:
        expected = expected | {line[1:]} if line[0] == "+" else expected - {line[1:]}
    kept = {one.id.removeprefix("key-") for one in KeyStore(path).all()}
    # One write may have been under way: done, but not said.
    last = int(acknowledged[-1][1:])
    assert expected <= kept | {f"{last:06}"}
    assert {line[1:] for line in acknowledged if line[0] == "-"}.isdisjoint(kept)
    assert kept - expected <= {f"{last + 1:06}", f"{last:06}"}


def test_a_file_that_is_no_store_is_named(path: Path):
    path.write_bytes(b"this is something else" * 100)
    with pytest.raises(KeyStoreError, match=r"keys\.db: .*not a database"):
        KeyStore(path)
    assert path.read_bytes().startswith(b"this is something else"), "it is not ours to repair"


def test_a_later_format_is_left_alone(path: Path):
    KeyStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(KeyStoreError, match="another version"):
        KeyStore(path)


def test_a_link_is_not_followed(path: Path):
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(KeyStoreError):
        KeyStore(path)
    assert not path.with_name("elsewhere").exists()


def test_texts_of_records_show_no_digest():
    text = repr(record("key-1", "aa")) + repr(record("key-1", "aa").secrets)
    assert "aaaa" not in text
