"""Records to standard output and to files on this machine.

Owns blocking writes, each in a thread of its own: a terminal that is scrolled back or a full disk stops this sink and
nothing else.
*Source:* write(2); logrotate(8) for files that others rename.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from heddle.drivers.sinks.base import SinkTools
from heddle.model.snapshot import SinkSpec
from heddle.telemetry.segments import LogFile


class StdoutSink:
    """Lines on file descriptor 1, which the supervisor hands down."""

    def __init__(self, spec: SinkSpec, tools: SinkTools, *, fd: int = 1) -> None:  # noqa: ARG002
        self._fd = fd
        self._torn = False

    async def write(self, kind: str, lines: list[bytes]) -> int:  # noqa: ARG002
        """See Sink."""
        await _threaded(lambda: self._put(b"".join(lines)))
        return len(lines)

    async def close(self) -> None:
        """Nothing: the descriptor is not ours."""

    def _put(self, data: bytes) -> None:
        view = memoryview(b"\n" + data if self._torn else data)
        self._torn = True
        while view:
            view = view[os.write(self._fd, view) :]
        self._torn = False


class FileSink:
    """Lines appended to `spec.path`; follows a rename, and rotates by size itself when told to."""

    def __init__(self, spec: SinkSpec, tools: SinkTools, *, max_bytes: int = 0, keep: int = 5) -> None:
        """`max_bytes` of 0 leaves rotation to others; else `path.1` is the newest of `keep` older files."""
        # Relative paths are relative to the state directory, as for the workers' own log file.
        self._path = tools.directory.parent / spec.path
        self._file = LogFile(self._path, time.time)
        self._max_bytes = max_bytes
        self._keep = keep

    async def write(self, kind: str, lines: list[bytes]) -> int:
        """See Sink. Audit records are on the disk, not only in its cache, when it returns."""
        await _threaded(lambda: self._put(kind, lines))
        return len(lines)

    async def close(self) -> None:
        """See Sink."""
        self._file.close()

    def _put(self, kind: str, lines: list[bytes]) -> None:
        if self._max_bytes:
            self._rotate()
        while lines:
            written = self._file.append(lines)
            if not written:
                raise ConnectionError(f"{self._path} cannot be written")
            lines = lines[written:]
        if kind == "audit":
            self._file.sync()

    def _rotate(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size < self._max_bytes:
                return
            for number in range(self._keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number).replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
            self._file.close()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


async def _threaded(work: Callable[[], None]) -> None:
    """Run blocking work in a daemon thread, which cannot hold up the process' end. OSError becomes ConnectionError."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(None)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except ConnectionError as exc:
            error = exc
        except OSError as exc:
            error = ConnectionError(exc.strerror)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, daemon=True, name="sink").start()
    await done
