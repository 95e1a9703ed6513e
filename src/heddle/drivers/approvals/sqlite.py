"""Approvals in one SQLite file of the state directory, written by the workers, the control plane and the terminal.

Owns durability and the schema. Every write is one transaction that begins by taking the write lock, so that two
processes that see a server for the first time cannot both pin; it is on the disk when the method returns (WAL,
`synchronous=FULL`). A file from a newer version of Heddle is refused: what it means is not ours to guess.

*Source:* SQLite, "Write-Ahead Logging", "PRAGMA synchronous", "Partial Indexes".
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec

from heddle.drivers.approvals import (
    FIRST_USE,
    HISTORY,
    MAX_DEFINITIONS,
    MAX_JUDGEMENTS,
    MAX_TARGET_BYTES,
    ApprovalsError,
    ApprovalsFullError,
    Judgement,
    Key,
    Pending,
    Proposal,
    Record,
    State,
    UnknownDefinitionError,
    Version,
)

MIGRATIONS = (
    """
    CREATE TABLE definitions (
        target TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
        content BLOB NOT NULL, state TEXT NOT NULL, seen_s REAL NOT NULL,
        decided_s REAL NOT NULL DEFAULT 0, decided_by TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '', change TEXT NOT NULL DEFAULT '', notes BLOB NOT NULL DEFAULT x'5b5d',
        PRIMARY KEY (target, kind, name, digest)
    ) STRICT;
    CREATE UNIQUE INDEX one_approved ON definitions (target, kind, name) WHERE state = 'approved';
    CREATE UNIQUE INDEX one_pending ON definitions (target, kind, name) WHERE state = 'pending';
    CREATE TABLE sets (target TEXT PRIMARY KEY, digest TEXT NOT NULL, at_s REAL NOT NULL) STRICT;
    CREATE TABLE generation (n INTEGER NOT NULL) STRICT;
    INSERT INTO generation VALUES (1);
    """,
    """
    CREATE TABLE judgements (
        question TEXT PRIMARY KEY, asks INTEGER NOT NULL DEFAULT 0, harmful INTEGER,
        reason TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', at_s REAL NOT NULL
    ) STRICT;
    CREATE INDEX judged_when ON judgements (at_s);
    """,
    """
    CREATE TABLE begun (
        target TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (target, kind, name)
    ) STRICT;
    """,
)
"""From each version of the schema to the next; `user_version` says how many have been done."""
_BUSY_S = 5.0
_DAY_S = 86_400.0
_ONE = "target = ? AND kind = ? AND name = ?"
_notes = msgspec.json.Decoder(tuple[str, ...]).decode


class SqliteApprovals:
    """See `Approvals`. One connection, which threads take turns on; a process that forks opens its own."""

    def __init__(self, path: Path | str, now: Callable[[], float] = time.time) -> None:
        """Open or make the file, and bring it to this version. Raises ApprovalsError."""
        self._now, self._lock = now, threading.Lock()
        self._name = Path(path).name
        with self._told("cannot be opened"):
            if str(path) != ":memory:":
                # Made here, so that nobody else can read it at any moment; SQLite gives its other files the same mode.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
        try:
            self._prepare()
        except ApprovalsError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            if isinstance(exc, ApprovalsError):
                raise
            reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
            raise ApprovalsError(f"{self._name} {what}: {reason}") from exc

    def _prepare(self) -> None:
        with self._told("cannot be opened"):
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            if self._version() == len(MIGRATIONS):
                return
            self._db.execute("BEGIN EXCLUSIVE")
            try:
                self._migrate(self._version())
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise ApprovalsError(
                f"{self._name} was written by a newer Heddle (format {version}, known is {len(MIGRATIONS)})"
            )
        return int(version)

    def _migrate(self, done: int) -> None:
        for number, script in enumerate(MIGRATIONS[done:], done + 1):
            for statement in script.split(";"):
                if statement.strip():
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={number}")

    # Reading

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock, self._told("cannot be read"):
            return self._db.execute(sql, values).fetchall()

    def approved(self, target: str) -> dict[Key, Record]:
        """See `Approvals`."""
        rows = self._rows(
            "SELECT kind, name, content, digest, decided_s, decided_by FROM definitions"
            " WHERE target = ? AND state = 'approved'",
            target,
        )
        return {(row[0], row[1]): Record(*row) for row in rows}

    def decided(self, target: str) -> Mapping[tuple[str, str, str], State]:
        """See `Approvals`."""
        rows = self._rows("SELECT kind, name, digest, state FROM definitions WHERE target = ?", target)
        return {(kind, name, digest): state for kind, name, digest, state in rows}

    def approved_set(self, target: str) -> str | None:
        """See `Approvals`."""
        rows = self._rows("SELECT digest FROM sets WHERE target = ?", target)
        return rows[0][0] if rows else None

    def pending(self, target: str | None = None) -> list[Pending]:
        """See `Approvals`."""
        rows = self._rows(
            "SELECT p.target, p.kind, p.name, p.content, p.digest, p.reason, p.change, p.notes, p.seen_s,"
            " a.content, a.digest, a.decided_s, a.decided_by FROM definitions p LEFT JOIN definitions a"
            " ON a.target = p.target AND a.kind = p.kind AND a.name = p.name AND a.state = 'approved'"
            " WHERE p.state = 'pending' AND (? IS NULL OR p.target = ?) ORDER BY p.target, p.kind, p.name",
            target,
            target,
        )
        return [
            Pending(
                row[0],
                Proposal(row[1], row[2], row[3], row[4], row[5], row[6], _notes(row[7])),
                row[8],
                None if row[9] is None else Record(row[1], row[2], *row[9:]),
            )
            for row in rows
        ]

    def history(self, target: str, kind: str | None = None, name: str | None = None) -> list[Version]:
        """See `Approvals`."""
        rows = self._rows(
            "SELECT kind, name, digest, content, state, seen_s, decided_s, decided_by FROM definitions"
            " WHERE target = ?1 AND kind = coalesce(?2, kind) AND name = coalesce(?3, name)"
            " ORDER BY seen_s DESC, rowid DESC",
            target,
            kind,
            name,
        )
        return [Version(*row) for row in rows]

    def content(self, target: str, digest: str) -> bytes | None:
        """See `Approvals`."""
        rows = self._rows("SELECT content FROM definitions WHERE target = ? AND digest = ? LIMIT 1", target, digest)
        return rows[0][0] if rows else None

    def generation(self) -> int:
        """See `Approvals`."""
        return int(self._rows("SELECT n FROM generation")[0][0])

    def judgements(self, questions: Iterable[str]) -> dict[str, Judgement]:
        """See `Approvals`."""
        rows = self._rows(
            "SELECT question, harmful, reason, model, at_s FROM judgements JOIN json_each(?) ON question = value"
            " WHERE harmful IS NOT NULL",
            json.dumps(list(questions)),
        )
        return {row[0]: Judgement(bool(row[1]), *row[2:]) for row in rows}

    # Writing

    @contextmanager
    def _writing(self, *, decides: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing when what is inside raises."""
        with self._lock, self._told("cannot be written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                if decides:
                    self._db.execute("UPDATE generation SET n = n + 1")
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def pin(self, target: str, definitions: Sequence[Proposal], set_digest: str, by: str = FIRST_USE) -> None:
        """See `Approvals`."""
        now = self._now()
        with self._writing() as db:
            for one in definitions:
                db.execute(
                    "INSERT INTO definitions"
                    " (target, kind, name, digest, content, state, seen_s, decided_s, decided_by)"
                    " SELECT ?1, ?2, ?3, ?4, ?5, 'approved', ?6, ?6, ?7"
                    " WHERE NOT EXISTS (SELECT 1 FROM definitions"
                    " WHERE target = ?1 AND kind = ?2 AND name = ?3 AND (state = 'approved' OR"
                    " (digest = ?4 AND state = 'rejected'))) ON CONFLICT DO UPDATE SET state = 'approved',"
                    " decided_s = ?6, decided_by = ?7",
                    (target, one.kind, one.name, one.digest, one.content, now, by),
                )
            if set_digest:
                db.execute(
                    "INSERT INTO sets VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET digest = ?2, at_s = ?3",
                    (target, set_digest, now),
                )
                db.execute("DELETE FROM begun WHERE target = ?", (target,))
            self._bound(db, target)

    def propose(self, target: str, proposals: Iterable[Proposal]) -> None:
        """See `Approvals`."""
        with self._writing() as db:
            for one in proposals:
                self._propose(db, target, one)
            self._bound(db, target)

    def _propose(self, db: sqlite3.Connection, target: str, one: Proposal) -> None:
        key = (target, one.kind, one.name)
        decided = db.execute(
            f"SELECT 1 FROM definitions WHERE {_ONE} AND digest = ? AND state IN ('approved', 'rejected')",  # noqa: S608
            (*key, one.digest),
        )
        if decided.fetchone():
            return
        db.execute(
            f"UPDATE definitions SET state = 'seen' WHERE {_ONE} AND state = 'pending' AND digest <> ?",  # noqa: S608
            (*key, one.digest),
        )
        db.execute(
            "INSERT INTO definitions (target, kind, name, digest, content, state, seen_s, reason, change, notes)"
            " VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = 'pending',"
            " seen_s = CASE state WHEN 'pending' THEN seen_s ELSE excluded.seen_s END,"
            " reason = excluded.reason, change = excluded.change, notes = excluded.notes",
            (*key, one.digest, one.content, self._now(), one.reason, one.change, msgspec.json.encode(one.notes)),
        )
        db.execute(
            f"DELETE FROM definitions WHERE {_ONE} AND state = 'seen' AND rowid NOT IN (SELECT rowid FROM definitions"  # noqa: S608
            f" WHERE {_ONE} AND state = 'seen' ORDER BY seen_s DESC, rowid DESC LIMIT {HISTORY})",
            (*key, *key),
        )

    def _bound(self, db: sqlite3.Connection, target: str) -> None:
        count, size = db.execute(
            "SELECT count(*), coalesce(sum(length(content)), 0) FROM definitions WHERE target = ?", (target,)
        ).fetchone()
        if count > MAX_DEFINITIONS or size > MAX_TARGET_BYTES:
            raise ApprovalsFullError(f"{self._name} keeps {MAX_DEFINITIONS} definitions for {target}, and no more")

    def begin(self, target: str, versions: Iterable[tuple[str, str, str]]) -> None:
        """See `Approvals`."""
        with self._writing(decides=False) as db:
            begun = db.execute("INSERT INTO sets VALUES (?, '', ?) ON CONFLICT DO NOTHING", (target, self._now()))
            if begun.rowcount:
                rows = [(target, *version) for version in islice(versions, MAX_DEFINITIONS)]
                db.executemany("INSERT INTO begun VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    def begun(self, target: str) -> frozenset[tuple[str, str, str]]:
        """See `Approvals`."""
        return frozenset(map(tuple, self._rows("SELECT kind, name, digest FROM begun WHERE target = ?", target)))

    def withdraw(self, target: str, keys: Iterable[Key]) -> None:
        """See `Approvals`."""
        with self._writing() as db:
            db.executemany(
                f"UPDATE definitions SET state = 'seen' WHERE {_ONE} AND state = 'pending'",  # noqa: S608
                [(target, *key) for key in keys],
            )

    def approve(self, target: str, kind: str, name: str, digest: str, by: str) -> Record:
        """See `Approvals`."""
        self._decide((target, kind, name, digest), "approved", by)
        return self.approved(target)[kind, name]

    def reject(self, target: str, kind: str, name: str, digest: str, by: str) -> None:
        """See `Approvals`."""
        self._decide((target, kind, name, digest), "rejected", by)

    def _decide(self, version: tuple[str, str, str, str], state: State, by: str) -> None:
        with self._writing() as db:
            if not db.execute(f"SELECT 1 FROM definitions WHERE {_ONE} AND digest = ?", version).fetchone():  # noqa: S608
                target, kind, name, digest = version
                raise UnknownDefinitionError(f"{target} never offered a {kind} {name!r} with the digest {digest[:12]}")
            if state == "approved":
                db.execute(
                    f"UPDATE definitions SET state = 'seen' WHERE {_ONE} AND state = 'approved'",  # noqa: S608
                    version[:3],
                )
            db.execute(
                f"UPDATE definitions SET state = ?, decided_s = ?, decided_by = ? WHERE {_ONE} AND digest = ?",  # noqa: S608
                (state, self._now(), by, *version),
            )

    def claim(self, question: str, pid: int, for_s: float) -> bool:
        """See `Approvals`."""
        now = self._now()
        with self._writing(decides=False) as db:
            # A row without an answer is a claim, and `at_s` is when it ends.
            found = db.execute("SELECT asks, harmful, at_s FROM judgements WHERE question = ?", (question,)).fetchone()
            if found is not None:
                asks, harmful, ends_s = found
                others = asks != pid and _runs(asks)
                # The clock may have been set back since: nobody claims for longer than a day.
                if harmful is not None or (others and now < ends_s <= now + _DAY_S):
                    return False
            db.execute(
                "INSERT INTO judgements (question, asks, at_s) VALUES (?1, ?2, ?3)"
                " ON CONFLICT DO UPDATE SET asks = ?2, at_s = ?3",
                (question, pid, now + for_s),
            )
            return True

    def unclaim(self, question: str, pid: int) -> None:
        """See `Approvals`."""
        with self._writing(decides=False) as db:
            db.execute("DELETE FROM judgements WHERE question = ? AND asks = ? AND harmful IS NULL", (question, pid))

    def judge(self, question: str, judgement: Judgement) -> None:
        """See `Approvals`."""
        values = (question, int(judgement.harmful), judgement.reason, judgement.model, self._now())
        with self._writing(decides=False) as db:
            db.execute(
                "INSERT INTO judgements (question, harmful, reason, model, at_s) VALUES (?1, ?2, ?3, ?4, ?5)"
                " ON CONFLICT DO UPDATE SET"
                " harmful = ?2, reason = ?3, model = ?4, at_s = ?5",
                values,
            )
            db.execute(
                "DELETE FROM judgements WHERE rowid IN"
                " (SELECT rowid FROM judgements ORDER BY at_s DESC LIMIT -1 OFFSET ?)",
                (MAX_JUDGEMENTS,),
            )

    def forget(self, target: str) -> None:
        """See `Approvals`."""
        with self._writing() as db:
            db.execute("DELETE FROM definitions WHERE target = ?", (target,))
            db.execute("DELETE FROM sets WHERE target = ?", (target,))
            db.execute("DELETE FROM begun WHERE target = ?", (target,))

    def close(self) -> None:
        """See `Approvals`."""
        with self._lock:
            self._db.close()


def _runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
