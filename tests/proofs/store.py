"""Does the store keep what it acknowledged? Its process is killed while it writes, again and again, on both databases.

Every acknowledged write must be in the sequence afterwards, with the version and the content it was acknowledged with;
versions must be consecutive, in the order of commits; a watch that resumes where the killed process' watch ended must
be told every change once. On PostgreSQL a second replica goes on beside the one that is killed: it must see the same,
and never refuse a write for longer than two seconds, also when the database itself is ended and recovers.
"""

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Result, Target
from tests.contract.documents.postgres_server import DURABLE, PostgresServer
from tests.proofs.store_writer import OBJECTS

from heddle.drivers.documents import Change
from heddle.plugins import load

FIRST = 1
"""The version of a store in which nothing has happened."""
MAX_RUN_S = 0.4
"""A process is killed within so long after its first word, at a random moment."""


@dataclass
class Heard:
    """What the processes of one replica said, one after the other."""

    wrote: list[list[Any]] = field(default_factory=list)
    events: list[list[Any]] = field(default_factory=list)
    backwards: int = 0
    """Writes of one writer with a lower version than the write before."""
    gaps_s: list[float] = field(default_factory=list)
    """Times without an acknowledged write."""

    @property
    def after(self) -> int:
        """Where its watch resumes."""
        return int(self.events[-1][1]) if self.events else FIRST


class Replica:
    """A process that writes, and a thread that hears it out."""

    def __init__(self, address: str, state: Path, name: str, heard: Heard) -> None:
        self.heard, self.started = heard, threading.Event()
        command = [sys.executable, "-m", "tests.proofs.store_writer", address, str(state), str(heard.after), name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        last: dict[int, int] = {}
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                break
            kind, *rest = json.loads(line)
            if kind == "wrote":
                self.heard.backwards += rest[1] <= last.get(rest[0], 0)
                last[rest[0]] = rest[1]
                self.heard.wrote.append(rest[1:])
            elif kind == "event":
                self.heard.events.append(rest)
            elif kind == "gap":
                self.heard.gaps_s.append(rest[0])
            else:
                self.started.set()

    def kill(self) -> None:
        """Kill it, and hear what it had said."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Told:
    """What was found wrong, by what it is."""

    acknowledged: int = 0
    lost: int = 0
    gaps: int = 0
    backwards: int = 0
    missed: int = 0
    repeated: int = 0
    untrue: int = 0
    """Events that the sequence does not have, or has otherwise; and objects that are not as the sequence left them."""


def kill_again_and_again(address: str, state: Path, heard: Heard, kills: int) -> None:
    """One process after the other, each killed at a random moment of its writing."""
    rng = random.Random(7)
    for number in range(kills):
        replica = Replica(address, state, "killed", heard)
        try:
            if not replica.started.wait(30):
                raise AssertionError(f"process {number} did not start")
            time.sleep(rng.random() * MAX_RUN_S)
        finally:
            replica.kill()


async def _log(address: str) -> tuple[list[Change], list[Change]]:
    """The sequence and the objects, read after everything."""
    driver = load("documents", "postgres" if "://" in address else "sqlite")
    documents = driver(address if "://" in address else Path(address))
    await documents.open()
    try:
        log: list[Change] = []
        while page := await documents.changes(log[-1].version if log else FIRST, 5_000):
            log += page
        return log, (await documents.snapshot())[1]
    finally:
        await documents.close()


def said(change: Change) -> list[Any]:
    """A change as the processes say it."""
    return [change.version, change.key.name, None if change.deleted else json.loads(change.body)["spec"]]


def compare(address: str, heard: list[Heard]) -> Told:
    """What every replica said beside what is in the database."""
    log, objects = asyncio.run(_log(address))
    found = {change.version: said(change) for change in log}
    kinds = {one.version: "DELETED" if one.deleted else "MODIFIED" if one.previous else "ADDED" for one in log}
    told = Told(backwards=sum(one.backwards for one in heard))
    told.gaps = sum(after.version != before.version + 1 for before, after in itertools.pairwise(log))
    for one in heard:
        told.acknowledged += len(one.wrote)
        told.lost += sum(found.get(wrote[0]) != wrote for wrote in one.wrote)
        versions = [event[1] for event in one.events]
        told.repeated += len(versions) - len(set(versions))
        told.untrue += sum(
            found.get(version) != rest or kinds.get(version) != kind
            for kind, *rest in one.events
            for version in rest[:1]
        )
        told.missed += len(set(range(FIRST + 1, max(versions, default=FIRST) + 1)) - set(versions))
    last: dict[str, int] = {}
    for change in log:
        last[change.key.name] = 0 if change.deleted else change.version
    told.untrue += {name: version for name, version in last.items() if version} != {
        one.key.name: one.version for one in objects
    }
    return told


def on_sqlite(folder: Path, kills: int) -> Told:
    """One store on a file."""
    heard, address = Heard(), str(folder / "resources.db")
    kill_again_and_again(address, folder, heard, kills)
    return compare(address, [heard])


@dataclass
class Beside:
    """How the replica fared that was not killed: the longest it had no write acknowledged."""

    while_killed_s: float = 0.0
    while_ended_s: float = 0.0
    """While the database itself was away."""
    away_s: float = 0.0
    """How long that was at most, until it answered again."""


def on_postgres(folder: Path, kills: int, ends: int) -> tuple[Told, Beside]:
    """Two stores on a database, of which one is killed; then the database itself is ended now and then."""
    server = PostgresServer(DURABLE)
    try:
        address = server.database()
        heard, beside, found = Heard(), Heard(), Beside()
        survivor = Replica(address, folder, "beside", beside)
        try:
            assert survivor.started.wait(30)
            kill_again_and_again(address, folder, heard, kills)
            found.while_killed_s = max(beside.gaps_s, default=0.0)
            beside.gaps_s.clear()
            for _ in range(ends):
                began = time.monotonic()
                server.stop(signal.SIGQUIT)
                server.start()
                found.away_s = max(found.away_s, time.monotonic() - began)
                time.sleep(3)
            found.while_ended_s = max(beside.gaps_s, default=0.0)
        finally:
            survivor.kill()
        return compare(address, [heard, beside]), found
    finally:
        server.close()


def run(folder: Path, kills: int) -> Result:
    """The whole proof: so many kills on each database."""
    ends = max(1, kills // 20)
    result = Result(
        "What the store keeps when its process is killed",
        ["database", "kills", "acknowledged", "lost", "gaps", "out of order", "missed", "repeated", "untrue"],
    )
    rows: list[list[Any]] = []
    sqlite = on_sqlite(folder, kills)
    postgres, beside = on_postgres(folder, kills, ends)
    for name, told in (("SQLite", sqlite), ("PostgreSQL", postgres)):
        wrong = [told.lost, told.gaps, told.backwards, told.missed, told.repeated, told.untrue]
        rows.append([name, kills, told.acknowledged, *wrong])
        result.targets.append(Target(f"anything wrong on {name}", float(sum(wrong)), at_most=0))
        result.targets.append(Target(f"writes acknowledged on {name}", float(told.acknowledged), at_least=10 * kills))
    result.rows = rows
    result.notes = [
        "Lost: acknowledged writes that are not in the sequence as they were acknowledged. Missed and repeated: changes"
        " that a watch, resumed in each new process where the last one ended, was not told, or was told twice. Untrue:"
        " events other than what the sequence has, and objects other than what it leaves.",
        f"Eight writers in each process, on {OBJECTS} objects; every commit is flushed to the disk. On PostgreSQL two"
        " replicas write at the same time, and one is killed.",
        f"PostgreSQL itself was ended {ends} times (SIGQUIT: it recovers from its log) and was away for at most"
        f" {beside.away_s:.1f} s; the other replica had no write acknowledged for {beside.while_ended_s:.1f} s.",
    ]
    late = max(0.0, beside.while_ended_s - beside.away_s)
    result.targets += [
        Target("s that the other replica had no write acknowledged", beside.while_killed_s, at_most=2),
        Target("s that it needed after the database was back", late, at_most=2),
    ]
    return result
