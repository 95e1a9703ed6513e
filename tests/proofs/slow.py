"""Do callers who stall hurt the others? Slow heads, slow bodies and slow readers by the thousand, beside normal calls.

Every stalled connection must be closed within 15 seconds of its deadline, the normal calls must all be answered, about
as fast as before, and memory must stay.
"""

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Result, Target
from tests.e2e.running import CONFIG, RunningMesh, rss_mb, running_mesh
from tests.proofs.callers import CALL, Callers
from tests.proofs.inputs import request

CLOSED_WITHIN_S = 15.0
DRIP_S = 0.5
ESTABLISHED = "01"
LIMITS = "protocol: HTTP,\n     limits: {{head_timeout: @s, body_timeout: @s, write_timeout: @s}}}}"
LONG = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "[[length 1500]]"}]}
BEGINNINGS = {
    "slow head": b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
    "slow body": request(json.dumps(CALL).encode()).replace(b"content-length: ", b"content-length: 1")[:-30],
    "slow read": request(json.dumps(LONG).encode()),
}
SOURCES = {"slow head": "127.0.0.2", "slow body": "127.0.0.3", "slow read": "127.0.0.4"}


@dataclass
class Stalled:
    """One caller that stalls."""

    kind: str
    sock: socket.socket
    begun_s: float
    name: tuple[str, int]
    closed_s: float = 0.0
    """When the mesh was seen to have closed it; 0 while it has not."""

    def drip(self) -> None:
        """A little more of what it does slowly."""
        with suppress(OSError):
            if self.kind == "slow read":
                self.sock.recv(1)
            else:
                self.sock.send(b"a")


def held_open(port: int) -> tuple[set[tuple[str, int]], int]:
    """The callers whose connections the mesh still holds, and the bytes that the system keeps for those it has closed.

    Read from the system's table: a caller who does not read cannot see that it was closed.
    """
    callers, left = set(), 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) != port:
            continue
        address, _, number = remote.partition(":")
        if state == ESTABLISHED:
            callers.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(number, 16)))
        elif state != "0A":
            left += int(queues.partition(":")[0], 16)
    return callers, left


def stall(port: int, kind: str) -> Stalled:
    """Begin one."""
    sock = socket.socket()
    # A small window, so that a slow reader is noticed after kilobytes.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((SOURCES[kind], 0))
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sock.sendall(BEGINNINGS[kind])
    sock.setblocking(False)
    return Stalled(kind, sock, time.monotonic(), sock.getsockname())


@dataclass
class Siege:
    """Stalled callers of every kind, watched until the last is closed."""

    mesh: RunningMesh
    each: int
    timeout_s: float
    pace: float
    """Connections opened in a second, at most."""
    stalled: list[Stalled] = field(default_factory=list)
    peak_mb: float = 0.0
    open_at_once: int = 0
    kernel_mb: float = 0.0
    """Most that the system kept for connections the mesh had closed."""

    def run(self) -> None:
        """Open them all, drip, and watch."""
        pids = self.mesh.running()["workers"]
        begun_s = time.monotonic()
        for number in range(self.each):
            time.sleep(max(0.0, begun_s + 3 * number / self.pace - time.monotonic()))
            self.stalled += [stall(self.mesh.port, kind) for kind in BEGINNINGS]
        waiting, dripped_s = list(self.stalled), 0.0
        limit_s = time.monotonic() + self.timeout_s + CLOSED_WITHIN_S + 5
        while waiting and time.monotonic() < limit_s:
            now_s = time.monotonic()
            callers, left = held_open(self.mesh.port)
            for one in waiting:
                one.closed_s = 0.0 if one.name in callers else now_s
            waiting = [one for one in waiting if not one.closed_s]
            self.kernel_mb = max(self.kernel_mb, left / 1e6)
            self.open_at_once = max(self.open_at_once, len(waiting))
            if now_s - dripped_s >= DRIP_S:
                dripped_s = now_s
                for one in waiting:
                    one.drip()
            self.peak_mb = max(self.peak_mb, *(rss_mb(pid) for pid in pids))
            time.sleep(0.1)
        for one in self.stalled:
            one.sock.close()

    def late_s(self, kind: str) -> float:
        """How long after its deadline the last of a kind was closed; infinite when one never was."""
        ends = [
            one.closed_s - one.begun_s - self.timeout_s if one.closed_s else float("inf")
            for one in self.stalled
            if one.kind == kind
        ]
        return max(ends)


def run(folder: Path, each: int, timeout_s: float = 10.0, pace: float = 600.0) -> Result:
    """The whole proof: twice `each` stalled callers of each kind, under deadlines of `timeout_s`."""
    text = CONFIG.replace("protocol: HTTP}}", LIMITS.replace("@", f"{timeout_s:g}"))
    with running_mesh(folder, text) as mesh:
        (pid,) = mesh.running()["workers"]
        before = Callers(mesh.port)
        before.during(3.0)
        first_mb = rss_mb(pid)
        siege, again, beside = (
            Siege(mesh, each, timeout_s, pace),
            Siege(mesh, each, timeout_s, pace),
            Callers(mesh.port),
        )
        beside.during(None, threading.Thread(target=lambda: (siege.run(), again.run())))
        after = Callers(mesh.port)
        after.during(2.0)
        restarts = int(str(mesh.running()["restarts"]))
    result = Result("Slow callers", ["kind", "connections", "last closed, s after its deadline"])
    result.rows = [[kind, 2 * each, max(siege.late_s(kind), again.late_s(kind))] for kind in BEGINNINGS]
    late_s = max(one.late_s(kind) for one in (siege, again) for kind in BEGINNINGS)
    result.notes = [
        "A slow reader's time counts from its connection, and so includes what it took to fill its buffers.",
        f"One worker; deadlines of {timeout_s:g} s; twice {siege.open_at_once} stalled at once beside four callers.",
        f"p99 of the normal calls: {before.p99_ms:.1f} ms before, {beside.p99_ms:.1f} ms beside them "
        f"({len(beside.latencies_s)} calls), {after.p99_ms:.1f} ms afterwards.",
        f"Memory of the worker: {first_mb:.0f} MB before, {siege.peak_mb:.0f} MB at most, {again.peak_mb:.0f} MB the "
        f"second time. The system kept {siege.kernel_mb:.1f} MB for connections that were closed unread.",
    ]
    result.notes += beside.errors[:5]
    result.targets = [
        Target("stalled at once, share", siege.open_at_once / (3 * each), at_least=0.9),
        Target("last closed, s after its deadline", late_s, at_most=CLOSED_WITHIN_S),
        Target("errors of normal calls", float(len(before.errors + beside.errors + after.errors)), at_most=0),
        Target("p99 of normal calls, ms", beside.p99_ms, at_most=max(250.0, 5 * before.p99_ms)),
        Target("memory for each stalled caller, KB", (siege.peak_mb - first_mb) * 1024 / (3 * each), at_most=300),
        Target(
            "growth from the first time to the second, MB",
            again.peak_mb - siege.peak_mb,
            at_most=max(5.0, 0.08 * siege.peak_mb),
        ),
        Target("workers that ended", float(restarts), at_most=0),
    ]
    return result
