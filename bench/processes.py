"""Starts programs pinned to a core, reads what they cost, and ends them.

Owns: the life of every process of the bench and the arithmetic of /proc.
Refuses: ending anything it did not start.
*Source:* proc(5), `/proc/pid/stat` fields 14 and 15 (utime, stime) and `/proc/pid/status` VmRSS.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GATEWAY_CORE = 0
LOAD_CORE = 1
"""The load generator and the mock share the other core: on two cores there is nowhere else."""


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command held to one core, where the machine has that many and a way to do it."""
    if shutil.which("taskset") is None or core not in os.sched_getaffinity(0):
        return list(command)
    return ["taskset", "-c", str(core), *command]


class Process:
    """A running program and its children. Leaving the `with` block ends all of them."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, core: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.started_s = time.perf_counter()
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                pinned(core, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        """The program's own process; its workers are in `tree`."""
        return self._popen.pid

    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._popen.poll() is None

    def tree(self) -> list[int]:
        """The process and every descendant that lives now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu_s(self) -> dict[int, float]:
        """CPU seconds of each process of the tree since it began."""
        usage = {}
        for pid in self.tree():
            with contextlib.suppress(OSError):
                usage[pid] = sum(map(int, _stat(pid)[11:13])) / TICKS_PER_S
        return usage

    def rss_mb(self) -> dict[int, float]:
        """Resident memory of each process of the tree, in units of 1,048,576 bytes."""
        sizes = {}
        for pid in self.tree():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        sizes[pid] = int(line.split()[1]) / 1024
        return sizes

    def stop(self) -> None:
        """Asks the program to end, then ends what is left of its tree."""
        tree = self.tree()
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(10)
        for pid in tree[1:]:
            _end_orphan(pid)
        if self.alive():
            self._popen.kill()
        self._popen.wait(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _stat(pid: int) -> list[str]:
    """Fields of /proc/pid/stat from the third on: the second, the name in parentheses, may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _end_orphan(pid: int) -> None:
    """Ends a descendant that outlived its parent; its number cannot have been reused within these seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if _stat(pid)[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
