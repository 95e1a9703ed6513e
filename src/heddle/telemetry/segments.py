"""Files that lines are appended to: the segments of a spool, and a plain log file that may be rotated by others.

Owns whole lines: a write that stops half-way (a full disk) leaves a fragment, and the next write begins with a newline
so that only the fragment is unreadable. It never raises; it reports how many lines were written.
*Source:* write(2), flock(2), open(2) (O_APPEND, O_NONBLOCK); logrotate(8) ("create" and "copytruncate").
"""

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

SEGMENT_BYTES = 8 * 1024 * 1024
"""Size at which a segment is closed and the next begun."""
MAX_UNREAD_BYTES = 256 * 1024 * 1024
"""Bound on all access and span segments of a state directory; the oldest are deleted beyond it."""
BOUNDED_KINDS = ("access", "spans")

_log = logging.getLogger("heddle.telemetry")


class Appender:
    """An open file and the state of its last line."""

    def __init__(self) -> None:
        self.lost = 0
        """Lines that `write` could not keep."""
        self._fd = -1
        self._torn = False
        self._failing = False

    def write(self, lines: list[bytes]) -> None:
        """Append lines that may be lost."""
        missing = len(lines) - self.append(lines)  # apart: `append` may itself add to what is lost
        self.lost += missing

    def append(self, lines: list[bytes]) -> int:
        """Append lines, each with its newline; the number of those that are wholly written."""
        try:
            self._ready()
            written = self._put(lines)
        except OSError as exc:
            self._complain(exc)
            return 0
        if written == len(lines):
            self._failing = False
        return written

    def close(self) -> None:
        """Give the file up."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def sync(self) -> None:
        """Have the disk keep what was written. Raises OSError; pipes and terminals have nothing to keep."""
        if self._fd >= 0 and stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.fdatasync(self._fd)

    def _ready(self) -> None:
        """Open the file, or another one, when it is time to. Raises OSError."""
        raise NotImplementedError

    def _put(self, lines: list[bytes]) -> int:
        data = b"".join(lines)
        prefix = 1 if self._torn else 0
        try:
            size = os.write(self._fd, b"\n" + data if prefix else data) - prefix
        except OSError as exc:
            self._complain(exc)
            return 0
        if size == len(data):
            self._torn = False
            return len(lines)
        self._complain(OSError(f"only {size} of {len(data)} bytes were written"))
        done = 0
        for line in lines:
            if size < len(line):
                break
            size -= len(line)
            done += 1
        self._torn = size > 0 or (self._torn and size < 0)
        return done

    def _complain(self, exc: OSError) -> None:
        if not self._failing:  # once per outage, not once per call
            self._failing = True
            _log.error("records cannot be written: %s", exc)


class Segments(Appender):
    """The segments of one kind and worker."""

    def __init__(self, directory: Path, kind: str, slot: int) -> None:
        super().__init__()
        self._directory = directory
        self._kind = kind
        self._slot = slot
        self._size = 0

    def append(self, lines: list[bytes]) -> int:
        """See Appender."""
        written = super().append(lines)
        self._size += sum(map(len, lines[:written]))
        return written

    def _ready(self) -> None:
        if self._fd >= 0 and self._size < SEGMENT_BYTES:
            return
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._kind in BOUNDED_KINDS:
            self.lost += _make_room(self._directory)
        self._fd = self._begin()
        self._size = 0
        self._torn = False

    def _begin(self) -> int:
        """Create and lock the next segment."""
        prefix = f"{self._kind}-{self._slot}-"
        taken = [int(path.stem.rpartition("-")[2]) for path in self._directory.glob(f"{prefix}*.jsonl")]
        number = max(taken, default=0)
        while True:
            number += 1
            path = self._directory / f"{prefix}{number:010d}.jsonl"
            with contextlib.suppress(FileExistsError):  # an earlier worker of this slot is still draining
                fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                fcntl.flock(fd, fcntl.LOCK_EX)
                # Between the two lines above the exporter may have found an unlocked, empty segment and removed it.
                if os.fstat(fd).st_nlink:
                    return fd
                os.close(fd)


class LogFile(Appender):
    """A log file of the operator's. It is reopened when it was renamed or removed, looked at once a second."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        super().__init__()
        self._path = path
        self._now = now
        self._looked_s = 0.0

    def _ready(self) -> None:
        now = self._now()
        if self._fd >= 0 and abs(now - self._looked_s) < 1.0:
            return
        self._looked_s = now
        if self._fd >= 0 and self._is_current():
            return
        self.close()
        # O_NONBLOCK: a FIFO that nobody reads must not stop the worker.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._fd = os.open(self._path, flags, 0o640)
        self._torn = False

    def _is_current(self) -> bool:
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return False
        opened = os.fstat(self._fd)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _make_room(directory: Path) -> int:
    """Delete the oldest bounded segments until a new one fits; the lines in them, which is at most what was lost."""
    found = []
    for kind in BOUNDED_KINDS:
        for path in directory.glob(f"{kind}-*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
    found.sort()
    excess = sum(size for _, size, _ in found) + SEGMENT_BYTES - MAX_UNREAD_BYTES
    lost = 0
    for _, size, path in found:
        if excess <= 0:
            break
        lines = _remove(path)
        excess -= size if lines else 0
        lost += lines
    return lost


def _remove(path: Path) -> int:
    """Delete a segment that nobody writes; how many lines it had."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    with open(fd, "rb") as segment:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another worker's current one
            return 0
        lines = segment.read().count(b"\n")
        path.unlink(missing_ok=True)
        return lines
