"""What does kill -9 cost? Workers, exporters and whole meshes are killed under load, again and again.

A killed worker may fail the calls it had and nothing else: one for each caller at most. A limit must know every call
that was answered, and none twice; it may also count those that died on the way. Whatever was killed comes back.
"""

import os
import random
import signal
import threading
import time
from pathlib import Path

from bench.figures import Result, Target
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh
from tests.proofs.callers import CALL, Callers

LIMIT = 10_000_000
THREADS = 8
TEXT = (
    CONFIG
    + f"""\
rate_limiting:
  - {{{{name: all, limit: {LIMIT}, window: 24h}}}}
observability:
  logging: {{{{output: [{{{{type: file, path: access.log}}}}, {{{{type: file, path: copy.log}}}}]}}}}
"""
)


def used(mesh: RunningMesh) -> int:
    """What the limit says was used before this question."""
    status, headers, data = mesh.post(CALL)
    assert status == 200, data
    return LIMIT - int(headers["x-ratelimit-remaining-requests"]) - 1


def whole(mesh: RunningMesh) -> bool:
    """Every worker is there and serves."""
    try:
        return mesh.get("/readyz")[0] == 200 and len(mesh.running()["workers"]) == mesh.workers
    except OSError:
        return False


def exporters(mesh: RunningMesh) -> list[int]:
    """Process ids of the exporter of this mesh."""
    assert mesh.process is not None
    children = Path(f"/proc/{mesh.process.pid}/task/{mesh.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"dataplane.exporter" in command_of(pid)]


def command_of(pid: str) -> bytes:
    """How a process was started; empty when it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def kill_one(mesh: RunningMesh, pid: int) -> None:
    """Kill a process of the mesh, and wait until the mesh is whole again."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: whole(mesh) and pid not in (*mesh.running()["workers"], *exporters(mesh)), 20)


def kill_all(mesh: RunningMesh) -> None:
    """Kill the parent, and start another in its place."""
    mesh.kill()
    mesh.start()


def loop(mesh: RunningMesh, kills: int, pause_s: float, failures: list[str]) -> None:
    """Kill workers, and the exporter now and then."""
    rng = random.Random(7)
    try:
        for number in range(kills):
            time.sleep(pause_s)
            kill_one(mesh, rng.choice(mesh.running()["workers"]))
            if number % 5 == 4:
                for pid in exporters(mesh):
                    kill_one(mesh, pid)
    except (AssertionError, OSError) as exc:
        failures.append(repr(exc))


def run(folder: Path, kills: int, pause_s: float = 0.5) -> Result:
    """The whole proof."""
    failures: list[str] = []
    with running_mesh(folder, TEXT, workers=2) as mesh:
        callers = Callers(mesh.port, threads=THREADS, pause_s=0.001)
        callers.during(None, threading.Thread(target=loop, args=(mesh, kills, pause_s, failures)))
        counted, restarts = used(mesh), int(str(mesh.running()["restarts"]))
        alone = Callers(mesh.port, threads=THREADS, pause_s=0.001)
        alone.during(None, threading.Thread(target=lambda: (time.sleep(0.5), kill_all(mesh), time.sleep(0.5))))
        counted_again = used(mesh)
        eventually(lambda: len(mesh.records("copy.log")) >= callers.answered, 30)
        records = {str(one["trace_id"]) for one in mesh.records("copy.log")}
    answered, failed = callers.answered, len(callers.errors)
    result = Result("Kill -9 under load", ["killed", "times", "calls answered", "calls failed"])
    result.rows = [["a worker of two", kills, answered, failed], ["the parent", 1, alone.answered, len(alone.errors)]]
    result.notes = [
        f"{THREADS} callers without pause; p99 {callers.p99_ms:.1f} ms.",
        f"The limit counted {counted} of {answered} answered and {failed} failed calls.",
        f"{len(records)} access records were shipped; a killed worker loses the last 50 ms.",
    ]
    result.notes += failures
    result.targets = [
        Target("workers replaced", float(restarts), at_least=kills),
        Target("failed calls for each kill", failed / kills, at_most=THREADS),
        Target("answered calls that the limit forgot", float(max(0, answered - counted)), at_most=0),
        Target("calls it counted beyond answered and failed", float(max(0, counted - answered - failed)), at_most=0),
        Target("what a killed parent forgot", float(max(0, counted + 1 + alone.answered - counted_again)), at_most=0),
        Target("failures to recover", float(len(failures)), at_most=0),
    ]
    return result
