"""Documents in memory, for tests of what stands above them: replicas share a `Log`; what fails can be told to."""

import asyncio
from collections.abc import Callable, Sequence

from heddle.controlplane.store import KeyedSeal
from heddle.drivers.documents import Author, Change, ExpiredError, Key, Revision, UnavailableError, Write
from heddle.drivers.documents.planning import Body, Plan, Row, check, revisions

ALICE = Author("alice", "kubectl", "create", "because")
SEAL = KeyedSeal(("k" * 32,))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Log:
    """What is on the disk."""

    def __init__(self) -> None:
        self.version = self.oldest = 1
        self.rows: list[Row] = []
        self.versions: dict[Key, int] = {}
        self.changes: list[Change] = []


class MemoryDocuments:
    """A replica's view of a `Log`. See `Documents`."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log or Log()
        self.away = False
        self.told: list[Callable[[Sequence[Change]], None]] = []
        self.reads = 0
        self.is_open = False

    async def open(self) -> None:
        self._check()
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    def _check(self) -> None:
        if self.away:
            raise UnavailableError("it is away")

    def on_change(self, told: Callable[[Sequence[Change]], None]) -> None:
        self.told.append(told)

    def nudge(self) -> None:
        for told in self.told:
            told(())

    async def write(self, writes: Sequence[Write]) -> list[Change]:
        self._check()
        check(writes)
        log = self.log
        plan = Plan(log.version, log.versions, lambda version: _body(log, version))
        made = plan.add(writes)
        log.version = plan.version
        log.rows += plan.rows
        for key, version in plan.heads.items():
            log.versions[key] = version
        log.versions = {key: version for key, version in log.versions.items() if version}
        log.changes += made
        for told in self.told:
            told(made)
        await asyncio.sleep(0)
        return made

    async def snapshot(self) -> tuple[int, list[Change]]:
        self._check()
        heads = set(self.log.versions.values())
        return self.log.version, [change for change in self.log.changes if change.version in heads]

    async def changes(self, after: int, limit: int, resource: str = "") -> list[Change]:
        self.reads += 1
        await asyncio.sleep(0)
        self._check()
        if after < self.log.oldest:
            raise ExpiredError(self.log.oldest)
        found = [one for one in self.log.changes if one.version > after and resource in {"", one.key.resource}]
        bodies = {one.version: one.body for one in self.log.changes}
        return [
            Change(one.version, one.key, one.body, one.deleted, one.previous, one.sealed, bodies.get(one.previous))
            for one in found[:limit]
        ]

    async def latest(self) -> int:
        self._check()
        return self.log.version

    async def revisions(self, key: Key) -> list[Revision]:
        self._check()
        rows = [row for row in reversed(self.log.rows) if Key(*row[1:4]) == key]
        return revisions([(row[0], *row[5:]) for row in rows])

    async def compact(self, before: int) -> None:
        self._check()
        self.log.oldest = max(self.log.oldest, min(before, self.log.version))


def _body(log: Log, version: int) -> Body:
    change = next(one for one in log.changes if one.version == version)
    return Body(change.body, change.sealed)


def key(name: str = "a", namespace: str = "shop", resource: str = "agents.kagent.dev") -> Key:
    return Key(resource, namespace, name)


def write(where: str | Key = "a", value: object = 1, expected: int | None = None) -> Write:
    """An object with a value; None deletes it."""
    at = where if isinstance(where, Key) else key(where)
    body = None
    if value is not None:
        body = b'{"metadata":{"name":"%b"},"spec":"%b"}' % (at.name.encode(), str(value).encode())
    return Write(at, body, expected, ALICE, 1_700_000_000.0)
