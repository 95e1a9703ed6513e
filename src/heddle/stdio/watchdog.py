"""The parent of one tool server: ends it, and everything it ever started, when the stdio host is gone.

Run by path with `python -I -S`, so it imports nothing of ours and starts in a few milliseconds:
`watchdog.py CONTROL_FD`, with the server's standard streams as its own. It owns the life of one process tree:
starting the server under its limits, passing signals on, and leaving nobody behind. Server and host talk over the
pipes directly; not a byte passes through here.

The order arrives as one line of JSON on the control socket (it may hold secrets, so it is in no argument and no
environment); afterwards one letter each: `T` terminate, `K` kill. The end of the socket means that the host is dead.
Answers are lines of JSON: `{"pid": 1}` or `{"failed": "exec", "errno": 2}`, and in the end `{"exit": 0}`.

Whoever kills this process: the server dies with it (PR_SET_PDEATHSIG, Linux), and what the server started becomes
the host's to kill, which is a subreaper too. Where there is no prctl (macOS) the process group is what is ended.

*Source:* prctl(2), PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG; proc(5), /proc/pid/stat; setsid(2).
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

LINUX = sys.platform == "linux"
TERM_GRACE_S = 0.3
"""What the server gets between SIGTERM and SIGKILL when the host has died; all must be over in two seconds."""
SWEEP_S = 1.5
"""How long is tried to kill what keeps forking."""

_PDEATHSIG, _SUBREAPER = 1, 36


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; nothing where there is no such thing."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """From now on what descends from this process and loses its parent becomes its child."""
    prctl(_SUBREAPER, 1)


def processes() -> dict[int, tuple[int, bool]]:
    """Every process with its parent, and whether it has ended already; empty where there is no /proc."""
    found = {}
    for name in os.listdir("/proc") if LINUX else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split(None, 2)[:2]
            except (OSError, ValueError):
                continue
            found[int(name)] = (int(parent), state in {b"Z", b"X"})
    return found


def descendants(root: int, table: dict[int, tuple[int, bool]], spared: "frozenset[int]" = frozenset()) -> list[int]:
    """Living processes of `table` below `root`, without it, and without `spared` and what is below those."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, unseen = [], [root]
    while unseen:
        below = [pid for pid in children.pop(unseen.pop(), ()) if pid not in spared]
        found += [pid for pid in below if not table[pid][1]]
        unseen += below
    return found


def signal_to(pid: int, number: int) -> None:
    """Send a signal to whoever may have ended by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class Watchdog:
    """One server and its tree."""

    def __init__(self, control: int) -> None:
        self._control = control
        self._server = 0
        self._status: int | None = None
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)

    def run(self) -> None:
        """Start the server, and see it through to its end."""
        order = self._order()
        if order is None:
            return
        failed = self._start(order)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)  # the host must see the end of a stream when the server closes it
        self._say(failed or {"pid": self._server})
        if not failed:
            self._watch()
        self._sweep()
        self._say({"exit": self._status})

    def _order(self) -> dict[str, Any] | None:
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = os.read(self._control, 65536)
            if not piece:
                return None
            line += piece
        order: dict[str, Any] = json.loads(line)
        return order

    def _say(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # nobody is left to listen
            os.write(self._control, json.dumps(answer).encode() + b"\n")

    def _start(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """None when the server runs, or what failed."""
        failure, told = os.pipe()
        parent = os.getpid()
        self._server = os.fork()
        if self._server == 0:
            _become_server(order, parent, told)
        os.close(told)
        report = os.read(failure, 100)
        os.close(failure)
        if not report:
            return None
        where, _, number = report.decode().partition(" ")
        return {"failed": where, "errno": int(number)}

    def _watch(self) -> None:
        """Until the server has ended, or must."""
        while self._status is None:
            ready = select.select([self._control, self._wake], [], [])[0]
            if self._wake in ready:
                self._reap()
            if self._control in ready and not self._obey():
                return

    def _obey(self) -> bool:
        """Do what the host says; False when it is time to end everything."""
        try:
            said = os.read(self._control, 64)
        except OSError:
            said = b""
        if b"K" in said:
            return False
        self._terminate()
        if said:
            return True
        deadline_s = time.monotonic() + TERM_GRACE_S
        while self._status is None and time.monotonic() < deadline_s:
            select.select([self._wake], [], [], 0.05)
            self._reap()
        return False

    def _terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._server, signal.SIGTERM)

    def _reap(self) -> None:
        """Take note of who has ended; as subreaper this process is everybody's parent in the end."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 1024)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._server:
                self._status = os.waitstatus_to_exitcode(status)

    def _sweep(self) -> None:
        """Kill all that is left: the group, then whoever left the group, then whom those forked meanwhile."""
        deadline_s = time.monotonic() + SWEEP_S
        while True:
            if self._status is None or not LINUX:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._server, signal.SIGKILL)
            left = descendants(os.getpid(), processes())
            for pid in left:
                signal_to(pid, signal.SIGKILL)
            self._reap()
            if (not left and self._status is not None) or time.monotonic() > deadline_s:
                return
            time.sleep(0.005)


def _become_server(order: dict[str, Any], parent: int, told: int) -> None:
    """Between fork and exec. Tells on `told`, which exec closes, what went wrong."""
    where = "start"
    try:
        os.setsid()
        prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died before the line above
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        where = "limits"
        for name, most in order["limits"].items():
            resource.setrlimit(getattr(resource, name), tuple(most))
        where = "cwd"
        os.chdir(order["cwd"])
        where = "exec"
        os.execvpe(order["command"][0], order["command"], order["env"])  # noqa: S606 that is the point
    except BaseException as exc:
        os.write(told, f"{where} {getattr(exc, 'errno', 0) or 0}".encode())
    finally:
        os._exit(127)


def main() -> None:
    """`watchdog.py CONTROL_FD`."""
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    become_subreaper()
    Watchdog(control).run()


if __name__ == "__main__":
    main()
