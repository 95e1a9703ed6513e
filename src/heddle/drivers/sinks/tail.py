"""Reading the spool: which lines a sink has yet to get, and when a segment can go.

Owns the cursors: one file per sink, replaced atomically and synced, so that after kill -9 a sink gets at most some
lines again and never misses one. A segment whose lock is free is complete; its last line, if cut off, is a fragment.
*Source:* `telemetry.segments` for the form of the spool; rename(2), fsync(2).
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

BATCH_BYTES = 1024 * 1024
KINDS = ("audit", "access", "spans")
"""In the order in which they are shipped."""

_positions = msgspec.json.Decoder(dict[str, int]).decode


class _AnyObject(msgspec.Struct):
    """Accepts every JSON object, and checks its syntax."""


_object = msgspec.json.Decoder(_AnyObject).decode


class Batch(NamedTuple):
    """Lines of one segment, each with its newline, and how far they reach."""

    kind: str
    segment: str
    lines: list[bytes]
    end: int


class Cursor:
    """How far one sink has got in each segment."""

    def __init__(self, path: Path) -> None:
        """Continue from the file at `path`; without a readable one, from the beginning."""
        self._path = path
        self.positions: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            self.positions = _positions(path.read_bytes())

    def advance(self, segment: str, end: int) -> None:
        """Note that everything before `end` was delivered. Durable on return; raises OSError."""
        self.positions[segment] = end
        self._save()

    def forget(self, existing: set[str]) -> None:
        """Drop the positions in segments that are gone."""
        gone = self.positions.keys() - existing
        for name in gone:
            del self.positions[name]
        if gone:
            self._save()

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(fresh, "wb") as file:
            file.write(msgspec.json.encode(self.positions))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


class Spooled:
    """The segments in a spool directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def segments(self, kind: str) -> list[Path]:
        """Segments of one kind, oldest first by worker."""
        return sorted(self._directory.glob(f"{kind}-*.jsonl"))

    def next(self, cursor: Cursor, kinds: tuple[str, ...]) -> Batch | None:
        """Lines that the sink has not got yet, or None. Fragments that a full disk left are left out."""
        for kind in kinds:
            for path in self.segments(kind):
                batch = self._read(kind, path, cursor.positions.get(path.name, 0))
                if batch is not None:
                    return batch
        return None

    def remove(self, path: Path, cursors: list[Cursor]) -> bool:
        """Delete a segment that is complete and that every cursor is done with."""
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as file:
            # Held until it is gone: a worker that has just created it finds out when it gets the lock.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(file.fileno()).st_size
            if all(cursor.positions.get(path.name, 0) >= size for cursor in cursors):
                path.unlink()
                return True
        return False

    def _read(self, kind: str, path: Path, start: int) -> Batch | None:
        try:
            file = open(path, "rb")  # noqa: SIM115  # closed by the `with` below; only its absence is expected
        except FileNotFoundError:  # deleted to keep the spool's bound
            return None
        with file:
            if os.fstat(file.fileno()).st_size <= start:
                return None
            # Before reading: what is complete now cannot grow between the read and the look.
            complete = _is_complete(file.fileno())
            if kind == "audit":
                os.fdatasync(file.fileno())
            data = os.pread(file.fileno(), BATCH_BYTES, start)
            if b"\n" not in data and len(data) == BATCH_BYTES:  # one record with bodies may be larger
                data = os.pread(file.fileno(), 64 * BATCH_BYTES, start)
            at_end = complete and start + len(data) >= os.fstat(file.fileno()).st_size
        used = len(data) if at_end else data.rfind(b"\n") + 1
        if not used:
            return None
        lines = [line + b"\n" for line in data[:used].split(b"\n") if line and _is_whole(line)]
        return Batch(kind, path.name, lines, start + used)


def _is_complete(fd: int) -> bool:
    """True when no worker writes the segment any more, i.e. when its lock can be had."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True


def _is_whole(line: bytes) -> bool:
    try:
        _object(line)
    except msgspec.DecodeError:
        return False
    return True
