"""Documents in one SQLite file, for a control plane of one process.

Owns the writer: one thread, which commits everything that waits in one transaction (WAL, `synchronous=FULL`), so that
many writers share one flush of the disk. A disk that is full, read-only or away refuses writes, and the first that
succeeds again ends that; nothing has to be restarted. A second process on the file is refused.

*Source:* SQLite, "Write-Ahead Logging"; flock(2).
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from heddle.drivers.documents import Change, Key, Retention, Revision, UnavailableError, Write
from heddle.drivers.documents.groups import (
    COMPACT_STEP,
    MAX_GROUP,
    Batch,
    Outcome,
    answer,
    changes_of,
    fail,
    planned,
    refuse,
    settle,
)
from heddle.drivers.documents.planning import Plan, check
from heddle.drivers.documents.sqlite_file import SqliteFile, make_file

_log = logging.getLogger("heddle.documents")

FILE = "resources.db"
LOCK_WAIT_S = 5.0
"""How long the process before us may take to end."""

_T = TypeVar("_T")


class _Job(NamedTuple):
    """Something else for the writer's thread."""

    run: Callable[[SqliteFile], None]
    done: asyncio.Future[None]


class SqliteDocuments:
    """The file at `path`. See `Documents`."""

    def __init__(self, path: Path, retention: Retention = Retention()) -> None:  # noqa: B008 - frozen
        """Touches nothing."""
        self._path, self._retention = path, retention
        self._queue: queue.SimpleQueue[Batch | _Job | None] = queue.SimpleQueue()
        self._told: list[Callable[[Sequence[Change]], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="documents-reader")
        self._reader: SqliteFile | None = None
        self._lock = -1
        self._latest = 0
        # The writer's own
        self._file: SqliteFile | None = None
        self._version = 0
        self._versions: dict[Key, int] = {}

    def __repr__(self) -> str:
        return f"SqliteDocuments({str(self._path)!r})"

    # Opening and closing

    async def open(self) -> None:
        """See `Documents`."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.run_in_executor(self._readers, self._open)
        except (OSError, sqlite3.OperationalError) as exc:
            self._unlock()
            raise UnavailableError(f"{self._path.name} cannot be opened: {_reason(exc)}") from exc
        except (ValueError, sqlite3.DatabaseError) as exc:
            self._unlock()
            what = "" if isinstance(exc, ValueError) else "it is damaged, put a copy in its place: "
            raise ValueError(f"{self._path.name}: {what}{exc}") from exc
        self._latest = self._version
        self._thread = threading.Thread(target=self._run, name="documents-writer", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        make_file(self._path)
        self._lock = _locked(self._path.with_name(f"{self._path.name}.lock"), time.monotonic() + LOCK_WAIT_S)
        self._connected(check=True)

    async def close(self) -> None:
        """See `Documents`."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(self._readers, self._thread.join)
            self._thread = None
        self._readers.shutdown()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # Writing

    def on_change(self, told: Callable[[Sequence[Change]], None]) -> None:
        """See `Documents`."""
        self._told.append(told)

    async def write(self, writes: Sequence[Write]) -> list[Change]:
        """See `Documents`."""
        check(writes)
        done: asyncio.Future[list[Change]] = self._running().create_future()
        self._queue.put(Batch(writes, done))
        return await done

    async def compact(self, before: int) -> None:
        """See `Documents`."""
        oldest = (await self._read(SqliteFile.sequence))[1]
        before = min(before, self._latest)
        while oldest < before:
            oldest = min(oldest + COMPACT_STEP, before)
            done: asyncio.Future[None] = self._running().create_future()
            self._queue.put(_Job(partial(SqliteFile.compact, until=oldest, retention=self._retention), done))
            await done

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._thread is None:
            raise UnavailableError(f"{self._path.name} is not open")
        return self._loop

    # The writer's thread

    def _run(self) -> None:
        open_ = True
        while open_:
            taken = self._take()
            batches = [one for one in taken if isinstance(one, Batch)]
            try:
                self._commit(batches)
            except Exception:
                # No error is known that ends here; if there is one, others must not wait for ever.
                _log.exception("a group of writes failed")
                self._disconnect()
                self._answer(partial(fail, batches, f"{self._path.name} cannot be written", True))
            for job in [one for one in taken if isinstance(one, _Job)]:
                self._work(job)
            open_ = None not in taken
        self._disconnect()

    def _take(self) -> list[Batch | _Job | None]:
        """What waits, or what comes first: whoever waits while the disk is flushed is in the next transaction."""
        taken = [self._queue.get()]
        with contextlib.suppress(queue.Empty):
            while len(taken) < MAX_GROUP:
                taken.append(self._queue.get_nowait())
        return taken

    def _commit(self, batches: list[Batch]) -> None:
        if not batches:
            return
        committing = False
        try:
            file = self._connected()
            plan = Plan(self._version, self._versions, file.body)
            outcomes = planned(plan, batches)
            if plan.rows:
                file.begin()
                file.insert(plan.rows, plan.version)
                committing = True
                file.commit()
        except (sqlite3.Error, OSError) as exc:
            self._disconnect()
            self._answer(partial(fail, batches, f"{self._path.name} cannot be written: {_reason(exc)}", committing))
            if committing:
                # It may be in the file nevertheless.
                with contextlib.suppress(sqlite3.Error, OSError):
                    self._connected()
            return
        self._version = plan.version
        for key, version in plan.heads.items():
            if version:
                self._versions[key] = version
            else:
                self._versions.pop(key, None)
        self._answer(partial(self._deliver, batches, outcomes))

    def _work(self, job: _Job) -> None:
        try:
            job.run(self._connected())
        except (sqlite3.Error, OSError) as exc:
            self._disconnect()
            failed = UnavailableError(f"{self._path.name} cannot be written: {_reason(exc)}")
            self._answer(partial(refuse, job.done, failed))
        else:
            self._answer(partial(settle, job.done, None))

    def _connected(self, *, check: bool = False) -> SqliteFile:
        """The connection; a new one begins with what is in the file, whatever became of the one before."""
        if self._file is not None:
            return self._file
        file = SqliteFile(self._path, writes=True)
        try:
            if check:
                file.prepare()
            version, versions = file.sequence()[0], file.versions()
        except BaseException:
            file.close()
            raise
        surprised = version != self._version and not check
        self._file, self._version, self._versions = file, version, versions
        if surprised:
            self._answer(partial(self._look_again, version))
        return file

    def _disconnect(self) -> None:
        if self._file is not None:
            with contextlib.suppress(sqlite3.Error):
                self._file.close()
            self._file = None

    def _answer(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    # Back in the event loop

    def _deliver(self, batches: Sequence[Batch], outcomes: Sequence[Outcome]) -> None:
        changes = changes_of(outcomes)
        if changes:
            self._latest = changes[-1].version
            self._tell(changes)
        answer(batches, outcomes)

    def _look_again(self, version: int) -> None:
        self._latest = max(self._latest, version)
        self._tell(())

    def _tell(self, changes: Sequence[Change]) -> None:
        for told in self._told:
            told(changes)

    # Reading

    async def latest(self) -> int:
        """See `Documents`. Nobody else writes the file."""
        return self._latest

    async def snapshot(self) -> tuple[int, list[Change]]:
        """See `Documents`."""
        version, changes = await self._read(SqliteFile.snapshot)
        self._latest = max(self._latest, version)
        return version, changes

    async def changes(self, after: int, limit: int, resource: str = "") -> list[Change]:
        """See `Documents`."""
        return await self._read(partial(SqliteFile.changes, after=after, limit=limit, resource=resource))

    async def revisions(self, key: Key) -> list[Revision]:
        """See `Documents`."""
        return await self._read(partial(SqliteFile.revisions, key=key, limit=self._retention.revisions))

    async def _read(self, read: Callable[[SqliteFile], _T]) -> _T:
        return await self._running().run_in_executor(self._readers, self._with_reader, read)

    def _with_reader(self, read: Callable[[SqliteFile], _T]) -> _T:
        try:
            if self._reader is None:
                self._reader = SqliteFile(self._path, writes=False)
            return read(self._reader)
        except (sqlite3.Error, OSError) as exc:
            if self._reader is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._reader.close()
            self._reader = None
            raise UnavailableError(f"{self._path.name} cannot be read: {_reason(exc)}") from exc


def _locked(path: Path, until: float) -> int:
    """The file that says whose the documents are, locked. Raises BlockingIOError when somebody else keeps it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(descriptor)
                raise BlockingIOError("another process uses it") from None
            time.sleep(0.02)
        else:
            return descriptor


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
