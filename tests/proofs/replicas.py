"""Control planes are killed under writes and watches of real clients, through the HTTP API: is anything lost?

One control plane on SQLite, and one on PostgreSQL, each ended by SIGKILL at a random moment and started again; then two
replicas on one PostgreSQL, of which one after the other is. Four writers (the official `kubernetes` client) and two
watchers (that client's, and lightkube's) go to another server as soon as one fails them, and resume their watches where
they were. Every acknowledged write must be in the database's sequence as it was acknowledged; a watch must have been
told every change once. While there is another replica, writes may be refused for two seconds.
"""

import asyncio
import itertools
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Result, Target
from tests.contract.documents.postgres_server import DURABLE, PostgresServer
from tests.proofs.replicas_rig import LAST, NAMESPACE, Clients, Replica, running

from heddle.controlplane.replicas.keys import make_key_file
from heddle.drivers.documents import Change
from heddle.plugins import load

MAX_RUN_S = 1.5
"""A process is killed within so long after it served, at a random moment."""
Said = tuple[int, str, str | None]
"""Version, name, value; None is a deletion."""


@dataclass
class Told:
    """What was found wrong, by what it is."""

    kills: int = 0
    acknowledged: int = 0
    events: int = 0
    lost: int = 0
    missed: int = 0
    repeated: int = 0
    untrue: int = 0
    unexpected: int = 0
    """Answers that are none of a control plane that is gone."""
    gap_s: float = 0.0
    """Longest time without an acknowledged write."""
    restart_s: float = 0.0
    """Longest time from a start until it served."""

    @property
    def wrong(self) -> int:
        return self.lost + self.missed + self.repeated + self.untrue + self.unexpected


async def _changes(address: str) -> list[Change]:
    """What became of the writers' objects, read from the database."""
    documents = load("documents", "postgres" if "://" in address else "sqlite")
    made = documents(address if "://" in address else Path(address))
    await made.open()
    try:
        found: list[Change] = []
        after = 1
        while page := await made.changes(after, 5_000):
            after = page[-1].version
            found += [one for one in page if one.key[:2] == ("configmaps", NAMESPACE) and one.key.name != LAST]
        return found
    finally:
        await made.close()


def _said(change: Change) -> Said:
    value = None if change.deleted else str(json.loads(change.body).get("data", {}).get("value"))
    return change.version, change.key.name, value


def compare(address: str, clients: Clients, told: Told) -> Told:
    """What clients were told beside what is in the database."""
    log = [_said(one) for one in asyncio.run(_changes(address))]
    told.acknowledged, told.gap_s = clients.count, max(clients.gaps_s, default=0.0)
    for writer in clients.writers:
        told.unexpected += len(writer.unknown)
        for name in {one[0] for one in writer.acknowledged}:
            told.lost += _lost([one for one in writer.acknowledged if one[0] == name], [o for o in log if o[1] == name])
    kinds = {version: value for version, _, value in log}
    for watcher in clients.watchers:
        versions = [version for _, version, _, _ in watcher.events]
        told.events += len(versions)
        told.repeated += len(versions) - len(set(versions)) + sum(a >= b for a, b in itertools.pairwise(versions))
        told.missed += len({version for version, _, _ in log if version > clients.began} - set(versions))
        told.missed += watcher.expired
        for kind, version, _, value in watcher.events:
            wanted = kinds.get(version, "")
            told.untrue += (
                version not in kinds or (wanted is None) != (kind == "DELETED") or wanted not in {None, value}
            )
    return told


def _lost(acknowledged: list[tuple[str, str | None, int | None]], log: list[Said]) -> int:
    """How many acknowledged writes of an object are not in its history, in that order."""
    lost, at = 0, 0
    for _, value, version in acknowledged:
        found = next((n for n in range(at, len(log)) if log[n][2] == value and version in {None, log[n][0]}), None)
        if found is None:
            lost += 1
        else:
            at = found + 1
    return lost


def one_after_the_other(folder: Path, address: str, kills: int) -> Told:
    """One control plane, killed and started again, and again."""
    folder.mkdir()
    told, rng = Told(kills=kills), random.Random(3)
    replica = Replica(folder, "only", address if "://" in address else "")
    with running(replica):
        replica.start().wait()
        with Clients([replica.kubeconfig(folder / "kubeconfig")]) as clients:
            for _ in range(kills):
                time.sleep(rng.random() * MAX_RUN_S)
                replica.kill()
                _started(replica, told)
            time.sleep(0.5)
        assert replica.stop() == 0
    return compare(address or str(replica.state / "control-plane" / "resources.db"), clients, told)


def one_of_two(folder: Path, address: str, kills: int) -> Told:
    """Two replicas on a database, of which one after the other is killed and started again."""
    folder.mkdir()
    told, rng = Told(kills=kills), random.Random(5)
    make_key_file(folder / "key")
    replicas = [Replica(folder, name, address, folder / "key") for name in "ab"]
    with running(*replicas):
        # At the same time, on an empty database.
        for one in replicas:
            one.start()
        for one in replicas:
            one.wait()
        with Clients([one.kubeconfig(folder / f"{one.port}.kubeconfig") for one in replicas]) as clients:
            for number in range(kills):
                time.sleep(rng.random() * MAX_RUN_S)
                replicas[number % 2].kill()
                _started(replicas[number % 2], told)
            time.sleep(0.5)
        for one in replicas:
            assert one.stop() == 0
    return compare(address, clients, told)


def _started(replica: Replica, told: Told) -> None:
    began_s = time.monotonic()
    replica.start().wait()
    told.restart_s = max(told.restart_s, time.monotonic() - began_s)


def run(folder: Path, kills: int) -> Result:
    """So many kills of each kind."""
    columns = ["control plane", "kills", "acknowledged", "events", "lost", "missed", "repeated", "untrue"]
    columns += ["unexpected answers", "s without a write", "s to start again"]
    result = Result("Control planes that are killed under writes and watches", columns)
    server = PostgresServer(DURABLE)
    try:
        found = {
            "one, on SQLite": one_after_the_other(folder / "sqlite", "", kills),
            "one, on PostgreSQL": one_after_the_other(folder / "postgres", server.database(), kills),
            "two, on PostgreSQL": one_of_two(folder / "two", server.database(), kills),
        }
    finally:
        server.close()
    for name, told in found.items():
        row: list[Any] = [
            name,
            told.kills,
            told.acknowledged,
            told.events,
            told.lost,
            told.missed,
            told.repeated,
            told.untrue,
        ]
        result.rows.append([*row, told.unexpected, round(told.gap_s, 2), round(told.restart_s, 2)])
        result.targets.append(Target(f"anything wrong with {name}", float(told.wrong), at_most=0))
        result.targets.append(Target(f"writes acknowledged by {name}", float(told.acknowledged), at_least=10 * kills))
    gap_s = found["two, on PostgreSQL"].gap_s
    result.targets.append(Target("s without an acknowledged write while the other replica is there", gap_s, at_most=2))
    result.notes = [
        "Lost: acknowledged writes that are not in the database as they were acknowledged. Missed and repeated: changes"
        " that a watch was not told, or was told twice or out of order. Untrue: events other than the database has. The"
        " control planes are whole processes, TLS, roles and gateways' socket included; of two, both begin at the"
        " same moment on an empty database, and take their keys from there.",
    ]
    return result
