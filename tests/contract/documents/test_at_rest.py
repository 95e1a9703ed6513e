"""What somebody finds who has the disk: of Secrets nothing in clear, in whichever file, nor in any log."""

import base64
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.documents.drivers import ALICE
from tests.contract.documents.postgres_server import PostgresServer

from heddle.controlplane.store import Store, seal_of
from heddle.drivers.documents import ConflictError, Documents, Key, Write
from heddle.drivers.documents.postgres import PostgresDocuments
from heddle.drivers.documents.sqlite import FILE, SqliteDocuments

SECRET = Key("secrets", "shop", "token")
MARK = "correct-horse-battery-staple"
ENCODED = base64.b64encode(MARK.encode()).decode()


def write(value: str | None, expected: int | None = None) -> Write:
    body = None
    if value is not None:
        body = b'{"metadata":{"name":"token"},"data":{"a":"%b"},"stringData":{"a":"%b"}}' % (
            base64.b64encode(value.encode()),
            value.encode(),
        )
    return Write(SECRET, body, expected, ALICE, 1.0)


async def live(documents: Documents, state: Path, look: Callable[[], None]) -> None:
    """All that may happen to a Secret; `look` is called while it is there, and when it is no more."""
    store = Store(documents, seal_of(state), lambda: 0.0)
    await store.start()
    for number in range(4):
        await store.write([write(f"{MARK}-{number}")])
    with pytest.raises(ConflictError):
        await store.write([write(f"{MARK}-refused", 1)])
    look()
    await store.write([write(None), write(f"{MARK}-again", 0)])
    await documents.compact(store.version)
    assert [one.body is not None for one in await store.revisions(SECRET)] == [True] + [False] * 5
    look()
    await store.write([write(None)])
    await store.stop()
    look()


def clear_in(content: bytes) -> bool:
    return MARK.encode() in content or ENCODED[:-4].encode() in content


async def test_the_files_of_sqlite(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    seen: set[str] = set()

    def look() -> None:
        for file in tmp_path.iterdir():
            seen.add(file.name)
            content = file.read_bytes()
            assert not clear_in(content), file

    await live(SqliteDocuments(tmp_path / FILE), tmp_path, look)
    assert {FILE, f"{FILE}-wal", "store.key"} <= seen
    assert not clear_in(caplog.text.encode())


async def test_the_files_of_postgres(postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)

    def look() -> None:
        postgres.psql("CHECKPOINT")
        for mark in (MARK, ENCODED[:-4]):
            found = subprocess.run(
                ["grep", "-rl", mark, str(postgres.directory)], check=False, capture_output=True, text=True
            )
            assert found.stdout == ""
            assert found.returncode == 1

    await live(PostgresDocuments(postgres.database()), tmp_path, look)
    assert not clear_in(caplog.text.encode())


def test_looking_finds_what_is_in_clear(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"\0" + MARK.encode())
    assert clear_in((tmp_path / "x").read_bytes())
    assert clear_in(base64.b64encode(MARK.encode() + b"-0"))
