"""The keys that seal: one file in the state directory, shared by all processes of a machine, with a new key each day.

Owns the file: who makes it, who adds a key, when the oldest is dropped. Whoever comes first does each, under a lock,
and everybody else finds the result; a file has its name only once it is whole and on the disk. A file that others can
read, that is no file, or that is damaged is refused, never replaced: with it every sealed value would be void.

*Source:* rename(2), flock(2), open(2) (O_NOFOLLOW).
"""

import contextlib
import fcntl
import math
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KEY_BYTES = 32
MAX_FILE_BYTES = 1024 * 1024
"""Ten thousand keys. What is larger was not written here."""
LOCK_WAIT_S = 5.0
"""How long a first start waits for another process that makes the first key this very moment."""


class SealKeysError(ValueError):
    """The file cannot be used; the message says why and quotes nothing of it."""


class SealKey(NamedTuple):
    """One key."""

    since_s: float
    """Unix time from which it sealed; it does so until the next one's."""
    secret: bytes

    def __repr__(self) -> str:
        return f"SealKey(since_s={self.since_s})"


class SealKeys:
    """The file at `path`. A key seals for `rotate_s` seconds, and opens for `keep_s` after that."""

    def __init__(self, path: Path, rotate_s: float, keep_s: float) -> None:
        """Touches nothing."""
        self._path, self._rotate_s, self._keep_s = path, rotate_s, keep_s
        self._seen = (0, 0, 0)
        """Inode, time of change (ns) and size of what was read last."""

    def load(self, now_s: float) -> tuple[SealKey, ...]:
        """All keys, the one that seals last; makes the first, and the next when it is time for it.

        Raises OSError, and SealKeysError for a file that cannot be trusted.
        """
        keys = self._read()
        if not self.is_due(keys, now_s):
            return keys
        try:
            with self._locked(0.0 if keys else LOCK_WAIT_S):
                keys = self._read()
                return self._add(keys, now_s) if self.is_due(keys, now_s) else keys
        except BlockingIOError:
            if not keys:
                raise
            # Another process adds one. Until that is done the former still seals.
            return keys

    def is_due(self, keys: tuple[SealKey, ...], now_s: float) -> bool:
        """Whether the last of `keys` has sealed for long enough; one from the future was dated by a wrong clock."""
        return not keys or not 0 <= now_s - keys[-1].since_s < self._rotate_s

    def changed(self) -> bool:
        """Whether the file is another than the one that was read last; one system call."""
        try:
            return _identity(self._path.lstat()) != self._seen
        except OSError:
            # Keys that are in use stay in use.
            return False

    def _read(self) -> tuple[SealKey, ...]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return ()
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
                raise SealKeysError(f"{self._path.name} must be a file that only its owner can read (chmod 600)")
            if found.st_size > MAX_FILE_BYTES:
                raise SealKeysError(f"{self._path.name} is larger than any file of keys")
            keys = tuple(self._key(line) for line in file.read(MAX_FILE_BYTES).splitlines())
        if not keys:
            raise SealKeysError(f"{self._path.name} is empty; {_REMEDY}")
        self._seen = _identity(found)
        return keys

    def _key(self, line: bytes) -> SealKey:
        since, _, secret = line.partition(b" ")
        try:
            key = SealKey(float(since), bytes.fromhex(secret.decode("ascii")))
        except ValueError:
            key = SealKey(math.nan, b"")
        if len(key.secret) != KEY_BYTES or not math.isfinite(key.since_s):
            raise SealKeysError(f"{self._path.name} is damaged; {_REMEDY}")
        return key

    def _add(self, keys: tuple[SealKey, ...], now_s: float) -> tuple[SealKey, ...]:
        """`keys` with a new one, without those that nothing can need any more, on the disk."""
        grown = (*keys, SealKey(now_s, os.urandom(KEY_BYTES)))
        # A key was in use until the next one's beginning.
        kept = [key for key, after in zip(keys, grown[1:], strict=True) if now_s - after.since_s <= self._keep_s]
        self._write((*kept, grown[-1]))
        return self._read()

    def _write(self, keys: tuple[SealKey, ...]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        # Left behind by who was killed over it: we hold the lock.
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(b"%.6f %s\n" % (key.since_s, key.secret.hex().encode()) for key in keys))
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _locked(self, wait_s: float) -> Iterator[None]:
        """Alone among all processes. Raises BlockingIOError when another is for longer than `wait_s`."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor, time.monotonic() + wait_s)
            yield
        finally:
            os.close(descriptor)


_REMEDY = "remove it to begin anew: what was sealed, such as sessions, is void then"


def _lock(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.005)
        else:
            return


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
