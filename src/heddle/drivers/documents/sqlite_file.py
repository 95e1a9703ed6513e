"""The SQLite file of the documents: schema, statements, and what is read with them. Synchronous.

One table is both the sequence of changes and the history of objects; an object's present version is its last row. Owns
migrations and the check of a file before it is used. A file of a newer program is refused: what it means is not ours
to guess.

*Source:* SQLite, "Write-Ahead Logging", "PRAGMA synchronous", "PRAGMA quick_check", "PRAGMA secure_delete".
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from heddle.drivers.documents import Change, ExpiredError, Key, Retention, Revision
from heddle.drivers.documents.planning import Body, Row, revisions

_MIGRATIONS = (
    """
    CREATE TABLE changes (
        version INTEGER PRIMARY KEY,
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        previous INTEGER NOT NULL, body BLOB, digest TEXT NOT NULL, deleted INTEGER NOT NULL, sealed INTEGER NOT NULL,
        user TEXT NOT NULL, agent TEXT NOT NULL, verb TEXT NOT NULL, why TEXT NOT NULL, time_s REAL NOT NULL
    ) STRICT;
    CREATE INDEX changes_of_object ON changes (resource, namespace, name, version);
    CREATE INDEX deletions ON changes (version) WHERE deleted;
    CREATE TABLE sequence (version INTEGER NOT NULL, oldest INTEGER NOT NULL) STRICT;
    INSERT INTO sequence VALUES (1, 1);
    """,
)
"""One for each version of the schema, in order; their number is its `user_version`."""

_COLUMNS = len(Row._fields)
_MOST_ROWS = 64
"""Of one INSERT. A statement gives up the interpreter's lock, and has to wait for it again beside a busy loop, so few
are faster. One of each length is kept prepared by the connection."""
_KEY = "resource = ? AND namespace = ? AND name = ?"
_LAST = "SELECT max(version) AS version FROM changes GROUP BY resource, namespace, name"


class SqliteFile:
    """A connection, for one thread at a time. Everything raises sqlite3.Error."""

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            self._db.execute("PRAGMA synchronous=FULL")
            # What was replaced is overwritten, not merely unlinked.
            self._db.execute("PRAGMA secure_delete=ON" if writes else "PRAGMA query_only=ON")
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    # Before use

    def prepare(self) -> None:
        """Check the file and bring it to this version. Raises ValueError for one of a newer program."""
        self._db.execute("PRAGMA journal_mode=WAL")
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        if self._format() < len(_MIGRATIONS):
            with self.transaction():
                self._migrate()

    def _format(self) -> int:
        number = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if number > len(_MIGRATIONS):
            raise ValueError(f"it was written by a newer Heddle (format {number}, known is {len(_MIGRATIONS)})")
        return number

    def _migrate(self) -> None:
        # Read again: another process may have come first.
        for number, script in enumerate(_MIGRATIONS[self._format() :], self._format() + 1):
            for statement in script.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={number}")

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def begin(self) -> None:
        """Begin a transaction that `insert` ends."""
        self._db.execute("BEGIN IMMEDIATE")

    def insert(self, rows: Sequence[Row], version: int) -> None:
        """Write rows and the number of the last; not committed."""
        for at in range(0, len(rows), _MOST_ROWS):
            chunk = rows[at : at + _MOST_ROWS]
            self._db.execute(_inserting(len(chunk)), [value for row in chunk for value in row])
        self._db.execute("UPDATE sequence SET version = ?", (version,))

    def commit(self) -> None:
        """Have it on the disk."""
        self._db.execute("COMMIT")

    def compact(self, until: int, retention: Retention) -> None:
        """Forget the order up to `until`, and the history beyond what is kept of the objects changed there."""
        with self.transaction():
            version, oldest = self.sequence()
            until = min(until, version)
            if until <= oldest:
                return
            keys = self._db.execute(
                "SELECT DISTINCT resource, namespace, name FROM changes WHERE version > ? AND version <= ?",
                (oldest, until),
            ).fetchall()
            self._db.executemany(_FORGET, [(*key, *key, retention.revisions - 1, *key, until) for key in keys])
            self._db.executemany(_UNSEAL, [(*key, *key, until) for key in keys])
            self._forget_deleted(until, retention)
            self._db.execute("UPDATE sequence SET oldest = ?", (until,))

    def _forget_deleted(self, until: int, retention: Retention) -> None:
        sql = "SELECT version FROM changes WHERE deleted ORDER BY version DESC LIMIT 1 OFFSET ?"
        row = self._db.execute(sql, (retention.deletions,)).fetchone()
        if row is not None:
            gone = self._db.execute(
                "SELECT resource, namespace, name, version FROM changes WHERE deleted AND version <= ?",
                (min(row[0], until),),
            ).fetchall()
            self._db.executemany(f"DELETE FROM changes WHERE {_KEY} AND version <= ?", gone)  # noqa: S608

    # Reading

    def sequence(self) -> tuple[int, int]:
        """The last version, and the one up to which changes are no longer kept."""
        version, oldest = self._db.execute("SELECT version, oldest FROM sequence").fetchone()
        return version, oldest

    def versions(self) -> dict[Key, int]:
        """Every object there is, and its version."""
        sql = (
            f"SELECT c.resource, c.namespace, c.name, c.version FROM ({_LAST}) AS last"  # noqa: S608
            " JOIN changes c ON c.version = last.version WHERE NOT c.deleted"
        )
        return {Key(*row[:3]): row[3] for row in self._db.execute(sql)}

    def body(self, version: int) -> Body:
        """Body of a version that is an object's last."""
        body, sealed = self._db.execute("SELECT body, sealed FROM changes WHERE version = ?", (version,)).fetchone()
        return Body(body, bool(sealed))

    def snapshot(self) -> tuple[int, list[Change]]:
        """Every object there is, and the version they are at."""
        sql = (
            f"SELECT c.version, c.resource, c.namespace, c.name, c.body, c.previous, c.sealed FROM ({_LAST}) AS last"  # noqa: S608
            " JOIN changes c ON c.version = last.version WHERE NOT c.deleted"
        )
        with self._reading():
            version, _ = self.sequence()
            rows = self._db.execute(sql).fetchall()
        return version, [
            Change(number, Key(*key), body, previous=previous, sealed=bool(sealed))
            for number, *key, body, previous, sealed in rows
        ]

    def changes(self, after: int, limit: int, resource: str) -> list[Change]:
        """Changes in order. Raises ExpiredError."""
        sql = (
            "SELECT c.version, c.resource, c.namespace, c.name, c.body, c.previous, c.deleted, c.sealed, p.body"
            " FROM changes c LEFT JOIN changes p ON p.version = c.previous"
            " WHERE c.version > ?1 AND (?2 = '' OR c.resource = ?2) ORDER BY c.version LIMIT ?3"
        )
        with self._reading():
            _, oldest = self.sequence()
            if after < oldest:
                raise ExpiredError(oldest)
            rows = self._db.execute(sql, (after, resource, limit)).fetchall()
        return [
            Change(version, Key(*key), before if deleted else body, bool(deleted), previous, bool(sealed), before)
            for version, *key, body, previous, deleted, sealed, before in rows
        ]

    def revisions(self, key: Key, limit: int) -> list[Revision]:
        """Versions of an object, the newest first."""
        rows = self._db.execute(
            "SELECT version, body, digest, deleted, sealed, user, agent, verb, why, time_s FROM changes"  # noqa: S608
            f" WHERE {_KEY} ORDER BY version DESC LIMIT ?",
            (*key, limit),
        ).fetchall()
        return revisions(rows)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Several statements that see one state."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")


def make_file(path: Path) -> None:
    """Have the file, readable by its owner alone at every moment; SQLite gives its other files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


@cache
def _inserting(rows: int) -> str:
    return f"INSERT INTO changes VALUES {','.join([_PLACES] * rows)}"  # noqa: S608


_PLACES = f"({','.join('?' * _COLUMNS)})"
_FORGET = (
    f"DELETE FROM changes WHERE {_KEY}"  # noqa: S608
    f" AND version < (SELECT version FROM changes WHERE {_KEY} ORDER BY version DESC LIMIT 1 OFFSET ?)"
    # The last version before those in the sequence is what the first of them replaced.
    f" AND version < (SELECT max(version) FROM changes WHERE {_KEY} AND version <= ?)"
)
_UNSEAL = (
    f"UPDATE changes SET body = NULL WHERE {_KEY} AND sealed"  # noqa: S608
    f" AND version < (SELECT max(version) FROM changes WHERE {_KEY} AND version <= ?)"
)
