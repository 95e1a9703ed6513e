"""Does a budget hold, and does the ledger know all of it? 200 callers on 2 workers, kills, and every way to cheat.

Money is reserved by upper bounds, so no budget may be passed by anything, whoever races. Every answer that a caller has
is compared with the ledger's entry of the same trace, while workers are killed. Then the ledger is tampered with, in a
copy: each way must be found by `verify`.
"""

import concurrent.futures
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Result, Target
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh
from tests.proofs.kills import whole

from heddle.drivers.ledger import Entry, keys
from heddle.drivers.ledger.chain import Seal, line, segments
from heddle.drivers.ledger.heads import FILE, Head, Heads
from heddle.drivers.ledger.reading import Reading
from heddle.drivers.ledger.verify import verify

CALLERS = 200
LIMIT_USD = 0.01
TEXT = (
    CONFIG
    + f"""\
budgets:
  - {{{{name: crowd, match: {{{{user: bob}}}}, limit_usd: {LIMIT_USD}, calendar: {{{{period: month}}}}}}}}
  - {{{{name: roomy, key: [tenant, user, agent], limit_usd: 100000, sliding: 24h}}}}
"""
)
CALL = {"model": "gpt-4o-mini", "max_tokens": 40, "messages": [{"role": "user", "content": "hi"}]}


def entries(mesh: RunningMesh, user: str) -> list[Entry]:
    """What the ledger has of a user."""
    return [one for one in Reading(mesh.state / "ledger") if one.user == user]


def crowd(mesh: RunningMesh) -> tuple[int, int]:
    """All callers at once, again and again, until the budget is spent: answered and refused calls."""
    barrier = threading.Barrier(CALLERS)

    def one(_: int) -> tuple[int, int]:
        answered, refused = 0, 0
        barrier.wait(60)
        while refused < 3:
            status, _, data = mesh.post(CALL, key="sk-bob-456")
            answered += status == 200
            refused += status == 429 and b"held by calls under way" not in data
        return answered, refused

    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        counts = list(pool.map(one, range(CALLERS)))
    return sum(one for one, _ in counts), sum(one for _, one in counts)


class Load:
    """Calls whose answers are remembered by their trace."""

    def __init__(self, mesh: RunningMesh) -> None:
        self._mesh = mesh
        self._stop = threading.Event()
        self.answered: dict[str, int] = {}
        self.failed = 0

    def _run(self, stream: bool) -> None:
        body = {**CALL, "stream": True, "stream_options": {"include_usage": True}} if stream else CALL
        while not self._stop.is_set():
            trace = secrets.token_hex(16)
            try:
                status, _, data = self._mesh.post(body, traceparent=f"00-{trace}-00f067aa0ba902b7-00")
            except (OSError, http.client.HTTPException):
                self.failed += 1
                continue
            if status == 200 and (not stream or data.rstrip().endswith(b"[DONE]")):
                self.answered[trace] = _total(data)

    def during(self, work: Callable[[], None]) -> None:
        """Call for as long as `work` takes."""
        threads = [threading.Thread(target=self._run, args=(bool(number % 2),)) for number in range(8)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def _total(data: bytes) -> int:
    if data.startswith(b"{"):
        return int(json.loads(data)["usage"]["total_tokens"])
    said = [json.loads(one[6:]) for one in data.splitlines() if one.startswith(b"data: {")]
    return int(next(one["usage"]["total_tokens"] for one in said[::-1] if one.get("usage")))


def kill_workers(mesh: RunningMesh, times: int) -> None:
    """Kill a worker, wait until another serves in its place, again."""
    rng = random.Random(7)
    for _ in range(times):
        time.sleep(0.3)
        pid = rng.choice(mesh.running()["workers"])
        os.kill(pid, signal.SIGKILL)
        eventually(lambda gone=pid: whole(mesh) and gone not in mesh.running()["workers"], 20)


def _flip(directory: Path, rng: random.Random) -> None:
    path = rng.choice([name.path for files in segments(directory).values() for name in files])
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _rewrite(directory: Path, rng: random.Random, change: Callable[[list[bytes]], None]) -> None:
    files = rng.choice(list(segments(directory).values()))
    lines = files[-1].path.read_bytes().splitlines(keepends=True)
    if len(lines) < 4:
        lines = files[0].path.read_bytes().splitlines(keepends=True)
        change(lines)
        files[0].path.write_bytes(b"".join(lines))
        return
    change(lines)
    files[-1].path.write_bytes(b"".join(lines))


def _truncate(directory: Path, rng: random.Random) -> None:
    files = rng.choice(list(segments(directory).values()))[-1]
    data = files.path.read_bytes()
    files.path.write_bytes(data[: rng.randrange(data.index(b"\n") + 1, len(data) - 1)])


def _swap(directory: Path, rng: random.Random) -> None:
    def change(lines: list[bytes]) -> None:
        one, other = rng.sample(range(1, len(lines)), 2)
        lines[one], lines[other] = lines[other], lines[one]

    _rewrite(directory, rng, change)


def _remove_line(directory: Path, rng: random.Random) -> None:
    _rewrite(directory, rng, lambda lines: lines.pop(rng.randrange(1, len(lines))) and None)


def _remove_segment(directory: Path, rng: random.Random) -> None:
    rng.choice([name.path for files in segments(directory).values() for name in files]).unlink()


def _forge(directory: Path, rng: random.Random) -> None:
    """The whole last segment anew, with cheaper prices, another key, and a head that fits."""
    slot, files = rng.choice(list(segments(directory).items()))
    forged = Seal(rng.randbytes(32))
    opening, *rest = [one.partition(b" ")[2] for one in files[-1].path.read_bytes().splitlines()]
    state = forged.open_segment(opening)
    made = [line(state, opening)]
    for payload in rest:
        changed = payload.replace(b'"nano_usd":', b'"nano_usd":1')
        state = forged(state + changed)
        made.append(line(state, changed))
    files[-1].path.write_bytes(b"".join(made))
    heads = Heads(directory)
    head = heads.read(slot)
    assert head is not None
    heads.write(slot, Head(head.entries, head.segment, state[:16], state[16:]))
    heads.close()


def _remove_heads(directory: Path, rng: random.Random) -> None:
    del rng
    (directory / FILE).unlink()


WAYS: dict[str, Callable[[Path, random.Random], None]] = {
    "a flipped bit": _flip,
    "a truncation": _truncate,
    "a reordering": _swap,
    "an entry taken out": _remove_line,
    "a segment taken out": _remove_segment,
    "a chain computed anew without the key": _forge,
    "the heads taken away": _remove_heads,
}


def tamper(directory: Path, folder: Path, seal: Seal, times: int) -> dict[str, int]:
    """How often each way was found."""
    found = dict.fromkeys(WAYS, 0)
    rng = random.Random(11)
    for way, cheat in WAYS.items():
        for _ in range(times):
            copy = folder / "copy"
            shutil.copytree(directory, copy)
            cheat(copy, rng)
            found[way] += not verify(copy, [seal]).sound
            shutil.rmtree(copy)
    return found


def run(folder: Path, size: int) -> Result:
    """`size` kills under load, and as many times each way to cheat."""
    with running_mesh(folder / "mesh", TEXT, workers=2) as mesh:
        answered, refused = crowd(mesh)
        spent = sum(one.nano_usd or 0 for one in entries(mesh, "bob")) / 1e9
        known = len(entries(mesh, "bob"))
        load = Load(mesh)
        load.during(lambda: kill_workers(mesh, size))
        kept = {one.trace: one.input + one.output for one in entries(mesh, "alice")}
        state = mesh.state
        running = verify(state / "ledger", [keys.prepare(state / "ledger")])
    seal = keys.prepare(state / "ledger")
    stopped = verify(state / "ledger", [seal])
    found = tamper(state / "ledger", folder, seal, size)
    lost = [trace for trace, tokens in load.answered.items() if kept.get(trace) != tokens]
    result = Result("Budgets and the ledger", ["what", "times", "found"])
    result.rows = [[way, size, count] for way, count in found.items()]
    result.notes = [
        f"{CALLERS} callers at once on 2 workers: {answered:,} answers and {refused} refusals; "
        f"${spent:.6f} of ${LIMIT_USD} were spent.",
        f"{size} kills -9 under load: {len(load.answered):,} answers, {load.failed} failed calls, "
        f"{len(kept):,} entries in the ledger.",
    ]
    result.notes += [f"{one.place}: {one.what}" for one in (*running.findings, *stopped.findings)]
    result.targets = [
        Target("share of the budget that was spent", spent / LIMIT_USD, at_most=1),
        Target("share of the budget that could be used", spent / LIMIT_USD, at_least=0.95),
        Target("answers of the crowd that the ledger does not have", float(abs(answered - known)), at_most=0),
        Target("answers under kills that the ledger does not have", float(len(lost)), at_most=0),
        Target("findings in what nobody touched", float(len(running.findings) + len(stopped.findings)), at_most=0),
        Target("ways to cheat that were not found", float(size * len(WAYS) - sum(found.values())), at_most=0),
    ]
    return result
