"""Does one tool server of five that fails hurt the other four? Killed, hung, slow, lying, and without its memory.

Beside each fault, lists and calls of the other four must all be answered, about as fast as before; and once the fault
is over, the fifth must be back without any caller doing anything but calling.
"""

import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Result, Target
from tests.e2e.mcp_rig import Backend, Caller, backend, tool
from tests.e2e.running import RunningMesh, free_ports, running_mesh
from tests.e2e.servers import Answer, Asked, reply

COUNT = 5
BACK_WITHIN_S = 15.0
CONFIG = """
listeners: [{{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}]
admin: {{{{port: {{admin_port}}}}}}
security: {{{{authentication: {{{{type: api_key, keys: [{{{{key: sk-alice, user: alice}}}}]}}}}}}}}
mcp:
  targets:
{targets}
  servers:
    - {{{{name: default, path: /mcp, targets: [{names}]}}}}
    - {{{{name: strict, path: /mcp/strict, targets: [{names}], on_target_failure: fail}}}}
authorization: {{{{policies: [{{{{name: all, action: allow, resources: ["tool:*"]}}}}]}}}}
"""
_TARGET = '    - {{{{name: t{number}, http: {{{{url: "http://127.0.0.1:{port}/mcp"}}}}, timeouts: {timeouts}}}}}'
_TIMEOUTS = "{{connect: 1s, call: 2s, total: 4s, list: 2s}}"


def _hung(_: Asked) -> Answer:
    def hold(sock: socket.socket) -> None:
        sock.settimeout(60)
        sock.recv(1)

    return hold


def _slow(_: Asked) -> Answer:
    def drip(sock: socket.socket) -> None:
        sock.settimeout(30)
        sock.recv(1)
        sock.sendall(reply(200, b"{}"))

    return drip


FAULTS: dict[str, Callable[[Asked], Answer] | None] = {
    "killed": None,
    "hung": _hung,
    "slow, 30 s": _slow,
    "garbage": lambda _: reply(200, b'{"jsonrpc":"2.0","id":"?","result":[[['),
    "not HTTP": lambda _: b"\0\1\2 garbage \r\n\r\n",
    "closes": lambda _: None,
    "500": lambda _: reply(500, b"<html>"),
    "no session known": lambda _: reply(404, b"{}"),
}
"""How the fifth fails; None is not there at all."""


class Five:
    """Five tool servers on ports of their own, each of which can be taken away and put back."""

    def __init__(self) -> None:
        self.ports = free_ports(COUNT)
        self.servers = [Backend(f"t{n}", modern=n % 2 == 0, tools=[tool("echo")]) for n in range(COUNT)]
        self._stacks = [ExitStack() for _ in range(COUNT)]

    def up(self, number: int) -> None:
        """Put one (back)."""
        self._stacks[number].enter_context(backend(self.servers[number], self.ports[number]))

    def down(self, number: int) -> None:
        """Take one away, and its connections with it."""
        self._stacks[number].close()

    def close(self) -> None:
        """Take all away."""
        for stack in self._stacks:
            stack.close()

    def config(self) -> str:
        """For `running_mesh`."""
        targets = [_TARGET.format(number=n, port=port, timeouts=_TIMEOUTS) for n, port in enumerate(self.ports)]
        return CONFIG.format(targets="\n".join(targets), names=", ".join(f"t{n}" for n in range(COUNT)))


@contextmanager
def five(*absent: int) -> Iterator[Five]:
    """Five servers; those that are `absent` are not there yet."""
    made = Five()
    try:
        for number in set(range(COUNT)) - set(absent):
            made.up(number)
        yield made
    finally:
        made.close()


@dataclass
class Load:
    """Lists and calls of the other four, and how long each took."""

    callers: list[Caller]
    took_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self, rounds: int) -> "Load":
        """So many rounds of a list and four calls, by each caller."""
        for number in range(rounds):
            for caller in self.callers:
                self._one(caller, "tools/list", {})
                for target in range(1, COUNT):
                    self._one(caller, "tools/call", {"name": f"t{target}__echo", "arguments": {"n": number}})
        return self

    def _one(self, caller: Caller, method: str, params: Any) -> None:
        begun_s = time.perf_counter()
        got = caller.ask(method, params)
        self.took_s.append(time.perf_counter() - begun_s)
        if got.status != 200 or "result" not in got.last or got.last["result"].get("isError"):
            self.failures.append(f"{method} {params}: {got.status} {got.body[:200]!r}")
        elif method == "tools/list":
            missing = {f"t{n}__echo" for n in range(1, COUNT)} - {one["name"] for one in got.result["tools"]}
            self.failures += [f"not listed: {missing}"] if missing else []

    @property
    def p99_ms(self) -> float:
        """99 of 100 took no longer."""
        return statistics.quantiles(self.took_s, n=100, method="inclusive")[98] * 1000


def both(mesh: RunningMesh) -> list[Caller]:
    """A caller of each era."""
    return [Caller(mesh.port), Caller(mesh.port).begin()]


@dataclass
class Seen:
    """One fault, and what became of it."""

    before: Load
    beside: Load
    refused: int
    """Calls of the failing server that failed, as they should."""
    back_s: float
    """From the end of the fault to its first good answer; infinite when there was none in time."""


def suffer(five: Five, mesh: RunningMesh, how: str, rounds: int) -> Seen:
    """One fault of the first of five, from its beginning to its end."""
    callers = both(mesh)
    before = Load(callers).run(rounds)
    fault = FAULTS[how]
    if fault is None:
        five.down(0)
    five.servers[0].fault = fault
    stop = threading.Event()
    refused: list[str] = []

    def call() -> None:
        while not stop.is_set():
            got = Caller(mesh.port).call("t0__echo")
            refused.append("error" if "error" in got.last else "answered")
            stop.wait(0.02)  # what fails at once must not become a flood

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    time.sleep(0.2)
    beside = Load(callers).run(rounds)
    stop.set()
    calling.join(20)
    five.servers[0].fault = None
    if fault is None:
        five.up(0)
    return Seen(before, beside, refused.count("error"), _back_s(callers))


def _back_s(callers: list[Caller]) -> float:
    begun_s = time.monotonic()
    waiting = list(callers)
    while waiting and time.monotonic() < begun_s + BACK_WITHIN_S:
        waiting = [caller for caller in waiting if "result" not in caller.call("t0__echo").last]
        time.sleep(0.05)
    return float("inf") if waiting else time.monotonic() - begun_s


def run(folder: Path, rounds: int) -> Result:
    """Every fault in turn, on one mesh."""
    title = ["fault", "lists and calls beside it", "failed", "p99 before, ms", "p99 beside, ms", "back after, s"]
    result = Result("One tool server of five fails", title)
    seen: dict[str, Seen] = {}
    with five() as servers, running_mesh(folder, servers.config()) as mesh:
        Load(both(mesh)).run(max(2, rounds // 5))
        for how in FAULTS:
            seen[how] = suffer(servers, mesh, how, rounds)
        restarts = int(str(mesh.running()["restarts"]))
    result.rows = [
        [how, len(one.beside.took_s), len(one.beside.failures), one.before.p99_ms, one.beside.p99_ms, one.back_s]
        for how, one in seen.items()
    ]
    failures = [failure for one in seen.values() for failure in (*one.before.failures, *one.beside.failures)]
    result.notes = [
        "One worker; targets of both eras in turn; a caller of each era, beside one who calls the failing server.",
        "Callers, servers and the mesh share the machine.",
        json.dumps(failures[:3]) if failures else "No call of the others failed.",
    ]
    ratios = [one.beside.p99_ms / max(one.before.p99_ms, 10.0) for one in seen.values()]
    result.targets = [
        Target("failed lists and calls of the others", float(len(failures)), at_most=0),
        Target("p99 beside a fault to p99 before (from 10 ms on), at worst", max(ratios), at_most=2.0),
        Target("back after the fault, s, at worst", max(one.back_s for one in seen.values()), at_most=BACK_WITHIN_S),
        Target(
            "faults in which calls of the failing server failed",
            float(sum(one.refused > 0 for one in seen.values())),
            at_least=len(FAULTS),
        ),
        Target("workers that ended", float(restarts), at_most=0),
    ]
    return result
