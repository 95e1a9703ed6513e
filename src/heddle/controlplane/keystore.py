"""Where virtual keys are kept: one SQLite file in the state directory, written by the parent of all workers alone.

Owns durability. A change that `put` or `remove` returned from survives a kill and a power failure: every transaction is
forced to the disk (WAL, `synchronous=FULL`). Secrets are in it as digests; whoever reads the file cannot call with it.

*Source:* SQLite, "Write-Ahead Logging" and "PRAGMA synchronous".
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec

from heddle.model.config_base import Sha256
from heddle.model.redact import hidden_repr
from heddle.model.virtual_keys import KeyStoreError

FILE = "keys.db"
_SCHEMA = """
CREATE TABLE keys (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE digests (sha256 TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE) STRICT;
CREATE INDEX digests_by_key ON digests (key);
"""
_VERSION = 1
"""Of the schema, as `user_version`."""


class SecretRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One secret of a key."""

    sha256: Sha256
    hint: str
    """Its last four characters, by which people tell their secrets apart."""
    created_s: float
    until_s: float = 0.0
    """Unix time from which it is refused; 0 never."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as it is kept."""

    id: str
    said: dict[str, Any]
    """What was asked for: the fields of a checked `KeyRequest` that were given."""
    secrets: tuple[SecretRecord, ...]
    """The current one last."""
    created_s: float
    changed_s: float

    def __repr__(self) -> str:
        return f"KeyRecord({self.id})"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeyRecord).decode


class KeyStore:
    """The file. Its methods block on the disk and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises KeyStoreError."""
        self._lock = threading.Lock()
        try:
            # Made here, so that nobody else can read it at any moment; SQLite gives its other files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        except (OSError, sqlite3.Error) as exc:
            raise KeyStoreError(f"{path.name}: {_reason(exc)}") from exc
        try:
            self._prepare()
        except (sqlite3.Error, KeyStoreError) as exc:
            self._db.close()
            raise KeyStoreError(f"{path.name}: {_reason(exc)}") from exc

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.execute("PRAGMA secure_delete=ON")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise KeyStoreError(f"it was written by another version of Heddle (format {version}, known is {_VERSION})")

    def all(self) -> list[KeyRecord]:
        """Every key, in the order of their ids. Raises KeyStoreError."""
        try:
            with self._lock:
                rows = self._db.execute("SELECT record FROM keys ORDER BY id").fetchall()
            return [_decode(row) for (row,) in rows]
        except (sqlite3.Error, msgspec.DecodeError) as exc:
            raise KeyStoreError(f"the keys cannot be read: {_reason(exc)}") from exc

    def put(self, record: KeyRecord) -> None:
        """Add a key, or replace the one of the same id; it is on the disk when this returns. Raises KeyStoreError, and
        then nothing was changed: for a digest that is another key's, too."""
        digests = [(secret.sha256, record.id) for secret in record.secrets]
        with self._lock:
            self._write(
                ("INSERT INTO keys VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
                 [(record.id, _encode(record))]),
                ("DELETE FROM digests WHERE key = ?", [(record.id,)]),
                ("INSERT INTO digests VALUES (?, ?)", digests),
            )  # fmt: skip

    def remove(self, name: str) -> None:
        """Forget a key, on the disk too when this returns. Raises KeyStoreError."""
        with self._lock:
            self._write(("DELETE FROM keys WHERE id = ?", [(name,)]))

    def _write(self, *statements: tuple[str, list[Any]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                self._db.executemany(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise KeyStoreError(f"the keys cannot be written: {_reason(exc)}") from exc

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
