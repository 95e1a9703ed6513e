"""Watchdogs, and those they could not take along: nobody stays behind.

Owns the list of this process's own children. The host is a subreaper: when a watchdog is killed, what its server
started becomes a child of the host, and whoever is a child without being a watchdog has lost its own parent. Starting
is synchronous, so that no child is ever unknown.

*Source:* prctl(2), PR_SET_CHILD_SUBREAPER.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time

from heddle.stdio.watchdog import become_subreaper, descendants, processes, signal_to

LOOKS_S = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0, 1.5)
"""When is looked after a watchdog has died: its server dies at the same moment, and hands over its children later."""

_NEEDED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Without which some interpreters do not start."""

_watchdogs: dict[int, subprocess.Popen[bytes]] = {}
_looking: set[asyncio.Task[None]] = set()
_adopting = False


def adopt() -> None:
    """From now on whoever is left behind comes to this process, which must have no children but those of `start`."""
    global _adopting  # noqa: PLW0603 it is a property of the process, as what it is about
    become_subreaper()
    _adopting = True


def start(command: list[str], control: int) -> subprocess.Popen[bytes]:
    """Start a watchdog that inherits `control`; its standard streams are pipes. Raises OSError."""
    pipe = subprocess.PIPE
    env = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    popen = subprocess.Popen(  # noqa: S603 the command is this interpreter and a file of ours
        command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, pass_fds=[control], env=env, start_new_session=True
    )
    _watchdogs[popen.pid] = popen
    return popen


async def collect(popen: subprocess.Popen[bytes], within_s: float) -> None:
    """Wait for a watchdog whose control socket has closed. One that was killed leaves others to be killed here."""
    deadline_s = time.monotonic() + within_s
    while popen.poll() is None:
        if time.monotonic() > deadline_s:
            popen.kill()
        await asyncio.sleep(0.002)
    _watchdogs.pop(popen.pid, None)
    if _adopting and popen.returncode != 0:
        task = asyncio.ensure_future(_look())
        _looking.add(task)
        task.add_done_callback(_looking.discard)


async def _look() -> None:
    """Kill and collect whoever was left behind."""
    begun_s = time.monotonic()
    for at_s in LOOKS_S:
        await asyncio.sleep(max(0.0, begun_s + at_s - time.monotonic()))
        sweep()


def sweep() -> int:
    """Kill everything below this process that is below no watchdog, and collect who has ended; how many there were."""
    table, own = processes(), os.getpid()
    left = descendants(own, table, frozenset(_watchdogs))
    for pid in left:
        signal_to(pid, signal.SIGKILL)
    for pid, (parent, _) in table.items():
        if parent == own and pid not in _watchdogs:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return len(left)
