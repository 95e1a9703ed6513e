"""Does any input crash it, hang it, or make it grow? Hostile requests through real sockets, many at a time.

Every input must be answered, or its connection closed, within five seconds; every answer must be a whole response, an
error in OpenAI's form, and never a 5xx. No worker may end, nothing unexpected may be logged, memory must stay.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import uvloop
from bench.figures import Result, Target
from tests.e2e.running import CONFIG, RunningMesh, rss_mb, running_mesh
from tests.proofs.answers import BadAnswer, statuses
from tests.proofs.inputs import WELL_FRAMED, inputs

ANSWER_S = 5.0
AT_ONCE = 64
LEFT_OPEN = 40
"""One in this many callers does not say that it has finished: then a deadline must end it."""
SEED = 20261121
TEXT = CONFIG.replace(
    "protocol: HTTP}}",
    "protocol: HTTP, limits: {{max_body_bytes: 1000000,\n"
    "     head_timeout: 1500ms, body_timeout: 1500ms, idle_timeout: 1500ms}}}}",
)


@dataclass
class Findings:
    """What came of it."""

    inputs: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    silent: int = 0
    """Closed without an answer: right only where nothing that could be answered was sent."""
    slowest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """Inputs that were treated badly, as (what happened, how it was spoiled, its beginning)."""


async def one(port: int, number: int, way: str, data: bytes, findings: Findings) -> None:
    """Send one input, read until the mesh closes, judge."""
    begun = time.monotonic()
    local = (f"127.0.0.{2 + number % 50}", 0)  # several callers, so that no port is used again too soon
    received = b""
    problem = ""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
            try:
                writer.write(data)
                if number % LEFT_OPEN:
                    with suppress(OSError):
                        writer.write_eof()
                with suppress(ConnectionResetError):
                    while piece := await reader.read(65536):
                        received += piece
            finally:
                writer.close()
    except TimeoutError:
        problem = "neither answered nor closed in time"
    except OSError as exc:
        problem = f"connection failed: {exc}"
    findings.slowest_s = max(findings.slowest_s, time.monotonic() - begun)
    findings.inputs += 1
    if not problem:
        problem = judge(way, data, received, findings)
    if problem:
        findings.wrong.append(f"{problem}; {way}; {data[:300]!r}")


def judge(way: str, data: bytes, received: bytes, findings: Findings) -> str:
    """What is wrong with an answer; empty when nothing is."""
    try:
        found = statuses(received, bodiless=data.lstrip(b"\r\n")[:5] == b"HEAD ")
    except BadAnswer as exc:
        return str(exc)
    findings.answers.update(found)
    if not found:
        findings.silent += 1
    if way in WELL_FRAMED and len(found) != 1:
        return f"answered {len(found)} times"
    if way == "keep" and found != [200]:
        return f"a good request was answered {found}"
    bad = [status for status in found if status >= 500 and status not in (501, 505)]
    return f"answered {bad}" if bad else ""


async def storm(port: int, source: Iterator[tuple[str, bytes]], findings: Findings) -> None:
    """Send all of `source`, AT_ONCE at a time."""

    async def worker() -> None:
        for number, (way, data) in numbered:
            await one(port, number, way, data, findings)

    numbered = enumerate(source, findings.inputs)
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def attack(mesh: RunningMesh, count: int, parts: int = 10, seed: int = SEED) -> tuple[Findings, list[float]]:
    """Send `count` inputs; the findings, and the workers' memory after each part."""
    findings, sizes = Findings(), []
    source = inputs(seed)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for _ in range(parts):
            runner.run(storm(mesh.port, islice(source, count // parts), findings))
            sizes.append(max(rss_mb(pid) for pid in mesh.running()["workers"]))
    return findings, sizes


def trouble(mesh: RunningMesh) -> list[str]:
    """Lines of the log that nothing a caller sends should cause."""
    signs = ("unexpected failure", "Traceback", "could not be recorded", "another starts", "never retrieved")
    return [line for line in mesh.log.splitlines() if any(sign in line for sign in signs)]


def run(folder: Path, count: int) -> Result:
    """The whole proof."""
    with running_mesh(folder, TEXT, workers=2) as mesh:
        first = mesh.running()["workers"]
        begun = time.monotonic()
        findings, sizes = attack(mesh, count)
        took_s = time.monotonic() - begun
        good = sum(
            mesh.post({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})[0] == 200
            for _ in range(10)
        )
        restarts, lines, last = mesh.running()["restarts"], trouble(mesh), mesh.running()["workers"]
    result = Result("Fuzzing through sockets", ["answer", "times"])
    result.rows = [[str(status), times] for status, times in sorted(findings.answers.items())]
    result.rows.append(["closed without an answer", findings.silent])
    result.notes = [
        f"Seed {SEED}, {AT_ONCE} connections at a time, {took_s:.0f} s; two workers, the larger {max(sizes):.0f} MB."
    ]
    result.notes += [f"- {text}" for text in (findings.wrong + lines)[:20]]
    result.targets = [
        Target("inputs", float(findings.inputs), at_least=count // 10 * 10),
        Target("inputs treated badly", float(len(findings.wrong)), at_most=0),
        Target("slowest end of a connection, s", findings.slowest_s, at_most=ANSWER_S),
        Target("workers that ended", float(int(str(restarts)) + (first != last)), at_most=0),
        Target("log lines of trouble", float(len(lines)), at_most=0),
        Target("growth over the second half, MB", sizes[-1] - sizes[len(sizes) // 2 - 1], at_most=2.0),
        Target("good calls answered afterwards, of 10", float(good), at_least=10),
    ]
    return result
