"""Documents in a PostgreSQL database, for a control plane of several replicas.

Owns the connections: one that writes, which puts everything that waits into one transaction; one that listens for what
the others wrote; a few that read. A connection that is lost in the middle of a commit leaves it unknown whether that
happened, and the error says so; before it, nothing was written. Whatever is lost is made again. Where the database is,
and how it is to be trusted, is the DSN's to say (`sslmode`, `sslrootcert`, `target_session_attrs`, several hosts).

*Source:* PostgreSQL 15, "Connection URIs", "LISTEN", "Client Connection Defaults".
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from heddle.drivers.documents import Change, Key, Retention, Revision, UnavailableError, Write
from heddle.drivers.documents import postgres_sql as sql
from heddle.drivers.documents.groups import (
    COMPACT_STEP,
    MAX_GROUP,
    Batch,
    Outcome,
    answer,
    changes_of,
    fail,
    planned,
)
from heddle.drivers.documents.planning import Plan, check, revisions
from heddle.drivers.documents.postgres_link import CONNECT_S, Link, reason

_log = logging.getLogger("heddle.documents")

PATIENCE_S = 2.0
"""For so long a write waits for a database that is away, before it is refused."""
PING_S = 5.0
"""How often the connection that listens is tried: one that is dead says nothing."""
RETRY_S = 0.1
READERS = 4

_T = TypeVar("_T")
_Read = Callable[[Any], Awaitable[_T]]


class PostgresDocuments:
    """The database of a DSN. See `Documents`."""

    def __init__(self, dsn: str, retention: Retention = Retention(), patience_s: float = PATIENCE_S) -> None:  # noqa: B008 - frozen
        """Touches nothing. Raises ValueError where the extra is not installed."""
        self._link = Link(dsn)
        self._retention, self._patience_s = retention, patience_s
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._told: list[Callable[[Sequence[Change]], None]] = []
        self._writer: Any = None
        self._readers: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._curious: list[asyncio.Future[int]] = []
        self._asking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"PostgresDocuments({self._link!r})"

    # Opening and closing

    async def open(self) -> None:
        """See `Documents`."""
        try:
            await self._migrate()
            self._readers = await self._link.pool(READERS)
        except self._link.errors as exc:
            raise UnavailableError(f"PostgreSQL cannot be used: {reason(exc)}") from exc
        self._tasks = [asyncio.create_task(self._write_all()), asyncio.create_task(self._listen())]

    async def _migrate(self) -> None:
        connection = await self._link.connect(CONNECT_S)
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", sql.MIGRATING)
                if not await connection.fetchval(sql.HAS_FORMAT):
                    await connection.execute(sql.MAKE_FORMAT)
                done = await connection.fetchval(sql.FORMAT)
                if done > len(sql.MIGRATIONS):
                    known = len(sql.MIGRATIONS)
                    raise ValueError(f"the database was written by a newer Heddle (format {done}, known is {known})")
                for number, script in enumerate(sql.MIGRATIONS[done:], done + 1):
                    await connection.execute(script)
                    await connection.execute(sql.SET_FORMAT, number)
        finally:
            await self._link.end(connection)

    async def close(self) -> None:
        """See `Documents`."""
        if self._tasks:
            writing, listening = self._tasks
            self._tasks = []
            self._queue.put_nowait(None)
            listening.cancel()
            await asyncio.gather(writing, listening, return_exceptions=True)
        await self._link.end(self._writer)
        await self._link.end(self._readers)
        self._writer = self._readers = None

    # Writing

    def on_change(self, told: Callable[[Sequence[Change]], None]) -> None:
        """See `Documents`."""
        self._told.append(told)

    async def write(self, writes: Sequence[Write]) -> list[Change]:
        """See `Documents`."""
        check(writes)
        self._require_open()
        done: asyncio.Future[list[Change]] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(Batch(writes, done))
        return await done

    def _require_open(self) -> None:
        if not self._tasks:
            raise UnavailableError("PostgreSQL is not connected")

    async def _write_all(self) -> None:
        """Commit what waits, in one transaction at a time; whoever comes meanwhile is in the next."""
        ending = False
        while not ending:
            taken = [await self._queue.get()]
            while len(taken) < MAX_GROUP and not self._queue.empty():
                taken.append(self._queue.get_nowait())
            ending = None in taken
            # Who gave up before anything was sent has written nothing.
            batches = [batch for batch in taken if batch is not None and not batch.done.done()]
            try:
                await self._commit(batches)
            except Exception:
                # No error is known that ends here; if there is one, others must not wait for ever.
                _log.exception("a group of writes failed")
                await self._lose_writer()
                fail(batches, "PostgreSQL cannot be written", unknown=True)

    async def _commit(self, batches: list[Batch]) -> None:
        # A connection that was lost while nobody wrote shows now. Nothing was written: another is tried.
        if not batches:
            return
        for last in (False, True):
            plan: Plan | None = None
            try:
                connection = await self._writing()
                plan, outcomes = await self._stage(connection, batches)
                await connection.execute(sql.COMMIT)
            except self._link.errors as exc:
                await self._lose_writer()
                unknown = plan is not None and bool(plan.rows)
                if last or unknown:
                    fail(batches, f"PostgreSQL cannot be written: {reason(exc)}", unknown)
                    self._tell(())
                    return
            else:
                changes = changes_of(outcomes)
                if changes:
                    self._tell(changes)
                answer(batches, outcomes)
                return

    async def _stage(self, connection: Any, batches: list[Batch]) -> tuple[Plan, list[Outcome]]:
        """Everything but the commit."""
        await connection.execute(sql.BEGIN)
        # From here on nobody else writes, and whoever did has committed.
        version = await connection.fetchval(sql.LOCK)
        found = await connection.fetch(sql.HEADS, *sql.wanted(batch.writes for batch in batches))
        versions, bodies = sql.heads(found)
        plan = Plan(version, versions, bodies.__getitem__)
        outcomes = planned(plan, batches)
        if plan.rows:
            await connection.fetchval(sql.INSERT, *sql.columns(plan.rows), plan.version)
        return plan, outcomes

    async def _writing(self) -> Any:
        """The connection that writes, made again where it was lost, for as long as patience lasts."""
        if self._writer is not None and not self._writer.is_closed():
            return self._writer
        now = asyncio.get_running_loop().time
        until = now() + self._patience_s
        while True:
            try:
                self._writer = await self._link.connect(max(until - now(), RETRY_S), writes=True)
            except self._link.errors:
                if now() + RETRY_S > until:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return self._writer

    async def _lose_writer(self) -> None:
        lost, self._writer = self._writer, None
        if lost is not None:
            # Not closed in good order: a transaction may be open, and the answer may never come.
            lost.terminate()

    def _tell(self, changes: Sequence[Change]) -> None:
        for told in self._told:
            told(changes)

    # Listening

    async def _listen(self) -> None:
        """Say that there may be changes whenever somebody else committed some."""
        while True:
            connection = None
            try:
                connection = await self._link.connect(CONNECT_S)
                await self._listen_on(connection)
            except self._link.errors:
                await asyncio.sleep(RETRY_S)
            finally:
                if connection is not None:
                    connection.terminate()

    async def _listen_on(self, connection: Any) -> None:
        """Until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(sql.CHANNEL, self._heard)
        # Nobody told us what happened while we were not listening.
        self._tell(())
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_S):
                    await lost.wait()
            if not lost.is_set():
                await connection.execute("SELECT 1", timeout=PING_S)

    def _heard(self, _connection: Any, pid: int, _channel: str, _version: object) -> None:
        if self._writer is None or self._writer.is_closed() or pid != self._writer.get_server_pid():
            self._tell(())

    # Reading

    async def latest(self) -> int:
        """See `Documents`. Those who ask at the same time share one question that begins after they asked."""
        self._require_open()
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._curious.append(answered)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await answered

    async def _ask(self) -> None:
        while self._curious:
            asked, self._curious = self._curious, []
            try:
                latest = await self._read(lambda connection: connection.fetchval(sql.LATEST))
            except UnavailableError as exc:
                for one in asked:
                    if not one.done():
                        one.set_exception(UnavailableError(str(exc)))
            else:
                for one in asked:
                    if not one.done():
                        one.set_result(latest)

    async def snapshot(self) -> tuple[int, list[Change]]:
        """See `Documents`."""

        async def read(connection: Any) -> tuple[int, list[Change]]:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                version = await connection.fetchval(sql.LATEST)
                return version, sql.snapshot(await connection.fetch(sql.SNAPSHOT))

        return await self._read(read)

    async def changes(self, after: int, limit: int, resource: str = "") -> list[Change]:
        """See `Documents`."""
        found = await self._read(lambda connection: connection.fetch(sql.CHANGES, after, resource, limit))
        return sql.changes(found, after)

    async def revisions(self, key: Key) -> list[Revision]:
        """See `Documents`."""
        limit = self._retention.revisions
        return revisions(await self._read(lambda connection: connection.fetch(sql.REVISIONS, *key, limit)))

    async def _read(self, read: _Read[_T]) -> _T:
        self._require_open()
        # The first connection may have been lost while nobody used it.
        for last in (False, True):
            try:
                async with self._readers.acquire(timeout=CONNECT_S) as connection:
                    return await read(connection)
            except self._link.errors as exc:
                if last:
                    raise UnavailableError(f"PostgreSQL cannot be read: {reason(exc)}") from exc
        raise AssertionError

    # Compacting

    async def compact(self, before: int) -> None:
        """See `Documents`. Of several replicas one does it, the others leave it to that one."""
        more = True
        while more:
            more = await self._read(lambda connection: self._compact(connection, before))

    async def _compact(self, connection: Any, before: int) -> bool:
        """A step of it; whether there are more."""
        async with connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", sql.COMPACTING):
                return False
            version, oldest = await connection.fetchrow(sql.SEQUENCE)
            before = min(before, version)
            if before <= oldest:
                return False
            until = min(oldest + COMPACT_STEP, before)
            await connection.execute(sql.FORGET, oldest, until, self._retention.revisions - 1)
            await connection.execute(sql.UNSEAL, oldest, until)
            await connection.execute(sql.FORGET_DELETED, until, self._retention.deletions)
            # Last, since it keeps writers waiting.
            await connection.execute(sql.SET_OLDEST, until)
            return bool(until < before)
