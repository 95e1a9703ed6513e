"""What the SQLite file promises beyond the contract: whose it is, what is not a file of ours, disks that fail."""

import asyncio
import contextlib
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.documents.drivers import Told, eventually, key, opened, write

from heddle.drivers.documents import Retention, UnavailableError
from heddle.drivers.documents import sqlite as driver
from heddle.drivers.documents.sqlite import FILE, SqliteDocuments
from heddle.drivers.documents.sqlite_file import SqliteFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE


def content_of(path: Path) -> bytes:
    return path.read_bytes()


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def unwritable(directory: Path) -> Iterator[None]:
    """We may not write in it; root may write everywhere, and is nobody for a while."""
    mode = directory.stat().st_mode
    directory.chmod(0o500)
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(mode)


async def test_the_files_are_their_owners(path: Path):
    async with opened(SqliteDocuments(path)) as documents:
        await documents.write([write()])
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file
        assert path.parent.stat().st_mode & 0o077 == 0


async def test_a_newer_file_is_refused_and_left_alone(path: Path):
    async with opened(SqliteDocuments(path)):
        pass
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    before = content_of(path)
    with pytest.raises(ValueError, match=r"resources\.db: it was written by a newer Heddle \(format 99, known is 1\)"):
        await SqliteDocuments(path).open()
    assert content_of(path) == before


@pytest.mark.parametrize("damage", ["middle", "head", "text"])
async def test_a_damaged_file_is_refused(path: Path, damage: str):
    async with opened(SqliteDocuments(path)) as documents:
        await documents.write([write(f"n{number}", b'"%d"' % number * 500) for number in range(50)])
    content = bytearray(content_of(path))
    at = {"middle": 3 * 4096, "head": 0, "text": 0}[damage]
    content[at : at + 4096] = b"\x5a" * 4096 if damage != "text" else b"kind: Agent\n" * 341
    await asyncio.to_thread(path.write_bytes, content)
    with pytest.raises(ValueError, match=r"resources\.db: it is damaged"):
        await SqliteDocuments(path).open()


async def test_one_process_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "LOCK_WAIT_S", 0.05)
    async with opened(SqliteDocuments(path)):
        with pytest.raises(UnavailableError, match="another process uses it"):
            await SqliteDocuments(path).open()
    async with opened(SqliteDocuments(path)) as documents:
        await documents.write([write()])


async def test_the_next_process_waits_for_the_one_before(path: Path):
    first = SqliteDocuments(path)
    await first.open()
    opening = asyncio.create_task(SqliteDocuments.open(second := SqliteDocuments(path)))
    await asyncio.sleep(0.05)
    assert not opening.done()
    await first.close()
    await opening
    await second.close()


async def test_a_full_disk_refuses_and_recovers(path: Path):
    async with opened(SqliteDocuments(path)) as documents:
        (made,) = await documents.write([write()])
        with full_disk(200_000):
            writes = [documents.write([write(f"n{number}", b"x" * 10_000)]) for number in range(40)]
            outcomes = [await asyncio.gather(one, return_exceptions=True) for one in writes]
            assert any(isinstance(one, UnavailableError) for (one,) in outcomes)
            assert "a" in [one.key.name for one in (await documents.snapshot())[1]]
            with pytest.raises(UnavailableError):
                await documents.write([write("big", b"x" * 300_000)])
        known, objects = await documents.snapshot()
        (again,) = await documents.write([write("again")])
        assert again.version == known + 1
        assert await documents.latest() == again.version
        names = [one.key.name for one in await documents.changes(made.version - 1, 100)]
        assert names == [*[one.key.name for one in sorted(objects, key=lambda one: one.version)], "again"]


async def test_what_cannot_be_written_is_unavailable_until_it_can(path: Path):
    path.parent.mkdir()
    with unwritable(path.parent), pytest.raises(UnavailableError, match="cannot be opened: Permission denied"):
        await SqliteDocuments(path).open()
    async with opened(SqliteDocuments(path)) as documents:
        await documents.write([write()])


async def test_a_lost_connection_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    async with opened(SqliteDocuments(path)) as documents:
        (made,) = await documents.write([write()])

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("attempt to write a readonly database")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteFile, "insert", refuse)
            with pytest.raises(UnavailableError, match=r"readonly database$") as caught:
                await documents.write([write("b")])
            assert not caught.value.unknown
        assert (await documents.write([write("b")]))[0].version == made.version + 1


async def test_a_commit_that_failed_may_have_happened_and_is_told_then(path: Path, monkeypatch: pytest.MonkeyPatch):
    async with opened(SqliteDocuments(path)) as documents:
        told, start = Told(documents), await documents.latest()
        commit = SqliteFile.commit

        def commit_and_fail(self: SqliteFile) -> None:
            commit(self)
            raise sqlite3.OperationalError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteFile, "commit", commit_and_fail)
            with pytest.raises(UnavailableError, match="is not known") as caught:
                await documents.write([write()])
            assert caught.value.unknown
        await eventually(lambda: told.nudges == 1)
        assert await documents.latest() == start + 1
        (next_,) = await documents.write([write("b", expected=0)])
        assert [one.version for one in await documents.changes(start, 10)] == [start + 1, next_.version]


async def test_no_error_leaves_writers_waiting(path: Path, monkeypatch: pytest.MonkeyPatch):
    async with opened(SqliteDocuments(path)) as documents:
        with monkeypatch.context() as patch:
            patch.setattr(SqliteFile, "begin", lambda _: 1 // 0)
            with pytest.raises(UnavailableError):
                await documents.write([write()])
        assert await documents.write([write()])


async def test_what_was_sealed_and_replaced_is_not_in_the_file(path: Path):
    secret = key("s", "secrets")
    async with opened(SqliteDocuments(path, Retention())) as documents:
        for number in range(5):
            await documents.write([write(secret, b"MARK-%d" % number * 300, sealed=True, digest="d")])
        await documents.write([write("a", b"plain")])
        await documents.compact(await documents.latest())
    content = content_of(path)
    assert b"MARK-4" in content
    assert not [number for number in range(4) if b"MARK-%d" % number in content]


async def test_a_compaction_lets_writers_pass(path: Path):
    async with opened(SqliteDocuments(path, Retention(revisions=1))) as documents:
        for _ in range(6):
            await documents.write([write(f"n{number}") for number in range(1_000)])
        compacting = asyncio.create_task(documents.compact(await documents.latest()))
        written = 0
        while not compacting.done():
            await documents.write([write("beside")])
            written += 1
        assert written > 2
        assert len(await documents.revisions(key("n5"))) == 1
