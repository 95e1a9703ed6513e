"""Credentials in one SQLite file of the state directory, which all workers of a machine read and write.

Owns durability, and the claims by which one process at a time renews a credential: two that spend one refresh token
make the authorization server revoke both. Secrets are in the file encrypted, places are not: who has connected what
can be listed without a key.

*Source:* SQLite, "Write-Ahead Logging", "PRAGMA data_version" and "PRAGMA secure_delete".
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import time
from typing import Any

import msgspec

from heddle.drivers.vault import Credential, Kept, Place, VaultError
from heddle.drivers.vault.cipher import Cipher, own_key

FILE = "vault.db"
_MIGRATIONS = (
    """
    CREATE TABLE credentials (
        owner TEXT NOT NULL, target TEXT NOT NULL, issuer TEXT NOT NULL,
        changed_s REAL NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (owner, target, issuer)
    ) STRICT;
    CREATE INDEX credentials_by_target ON credentials (target);
    CREATE TABLE claims (
        owner TEXT NOT NULL, target TEXT NOT NULL, issuer TEXT NOT NULL,
        until_s REAL NOT NULL, token TEXT NOT NULL, PRIMARY KEY (owner, target, issuer)
    ) STRICT;
    """,
)
"""One for each version of the schema, in order; their number is its `user_version`."""

_Rows = list[Any]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Credential).decode


class SqliteVault:
    """The file. Its methods may be called from any thread."""

    def __init__(self, directory: Path, keys: Sequence[str] = (), now: Callable[[], float] = time) -> None:
        """Open or make it, with `keys` or one of its own. Raises VaultError."""
        self._lock = threading.Lock()
        self._now = now
        self._own_changes = 0
        path = directory / FILE
        try:
            self._cipher = Cipher([key.encode() for key in keys] or [own_key(directory)])
            # Made here, so that nobody else can read it at any moment; SQLite gives its other files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        except (OSError, sqlite3.Error) as exc:
            raise VaultError(f"{path.name}: {_reason(exc)}") from exc
        try:
            self._prepare()
        except (sqlite3.Error, VaultError) as exc:
            self._db.close()
            raise VaultError(f"{path.name}: {_reason(exc)}") from exc

    def __repr__(self) -> str:
        return "SqliteVault()"

    def _prepare(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        if self._version() < len(_MIGRATIONS):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for number in range(self._version(), len(_MIGRATIONS)):
                    for statement in _MIGRATIONS[number].split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version={number + 1}")
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
        if self._version() > len(_MIGRATIONS):
            raise VaultError(f"it was written by a newer version of Heddle (format {self._version()})")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def get(self, place: Place) -> Credential | None:
        """See `Vault`."""
        rows = self._rows("SELECT sealed FROM credentials WHERE owner = ? AND target = ? AND issuer = ?", _key(place))
        return self._opened(place, rows[0][0]) if rows else None

    def list(self, owner: str = "", target: str = "") -> list[Kept]:
        """See `Vault`."""
        rows = self._rows(
            "SELECT owner, target, issuer, changed_s, sealed FROM credentials"
            " WHERE (?1 = '' OR owner = ?1) AND (?2 = '' OR target = ?2) ORDER BY changed_s DESC, rowid DESC",
            (owner, target),
        )
        return [Kept(place := Place(*row[:3]), self._opened(place, row[4]), row[3]) for row in rows]

    def put(self, place: Place, credential: Credential) -> None:
        """See `Vault`."""
        sealed = self._cipher.encrypt(place, _encode(credential))
        self._write("INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?)", (*_key(place), self._now(), sealed))

    def delete(self, place: Place) -> bool:
        """See `Vault`."""
        return self._write("DELETE FROM credentials WHERE owner = ? AND target = ? AND issuer = ?", _key(place)) > 0

    def purge(self, before_s: float) -> int:
        """See `Vault`."""
        return self._write("DELETE FROM credentials WHERE changed_s < ?", (before_s,))

    def generation(self) -> int:
        """See `Vault`. Other connections' commits are SQLite's to count, ours are not among them."""
        return int(self._rows("PRAGMA data_version")[0][0]) * 2**32 + self._own_changes

    def claim(self, place: Place, ttl_s: float) -> str | None:
        """See `Vault`."""
        token, now_s = secrets.token_hex(8), self._now()
        taken = self._write(
            "INSERT INTO claims VALUES (?, ?, ?, ?, ?) ON CONFLICT (owner, target, issuer) DO UPDATE"
            " SET until_s = excluded.until_s, token = excluded.token WHERE claims.until_s <= ?",
            (*_key(place), now_s + ttl_s, token, now_s),
        )
        return token if taken else None

    def release(self, place: Place, claimed: str) -> None:
        """See `Vault`."""
        sql = "DELETE FROM claims WHERE owner = ? AND target = ? AND issuer = ? AND token = ?"
        self._write(sql, (*_key(place), claimed))

    def close(self) -> None:
        """See `Vault`."""
        with self._lock:
            self._db.close()

    def _opened(self, place: Place, sealed: bytes) -> Credential:
        try:
            return _decode(self._cipher.decrypt(place, sealed))
        except msgspec.DecodeError:
            # Not chained: the original may quote what was decrypted.
            raise VaultError("a stored credential has another form than is known here") from None

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> _Rows:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            raise VaultError(f"the vault cannot be read: {_reason(exc)}") from exc

    def _write(self, sql: str, values: tuple[Any, ...]) -> int:
        try:
            with self._lock:
                changed = self._db.execute(sql, values).rowcount
                self._own_changes += 1
                return changed
        except sqlite3.Error as exc:
            raise VaultError(f"the vault cannot be written: {_reason(exc)}") from exc


def _key(place: Place) -> tuple[str, str, str]:
    return place.owner, place.target, place.issuer


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
