"""Any order of writes, watches, restarts and compactions is told as a model tells it, by one store and by two replicas.

The model is a list: the changes that were acknowledged, in the order of their versions.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.contract.documents.postgres_server import PostgresServer

from heddle.controlplane.store import KeyedSeal, Store, Watch
from heddle.drivers.documents import Author, ConflictError, Documents, ExpiredError, Key, Retention, Write
from heddle.drivers.documents.postgres import PostgresDocuments
from heddle.drivers.documents.sqlite import FILE, SqliteDocuments

_T = TypeVar("_T")
RESOURCE = "agents.kagent.dev"
KEYS = [Key(RESOURCE, "n1", "a"), Key(RESOURCE, "n1", "b"), Key(RESOURCE, "n2", "a"), Key("secrets", "n1", "s")]
SEAL = KeyedSeal(("k" * 32,))
FIRST = 1
"""The version of a store in which nothing has happened."""


class Told(NamedTuple):
    """An event, as the model has it."""

    version: int
    kind: str
    key: Key
    value: int
    previous: int | None


class Watched(NamedTuple):
    """A watch, and what it has told so far."""

    at: int
    """Which replica."""
    watch: Watch
    topic: tuple[str, str | None]
    after: int
    seen: list[Told]


class Op(NamedTuple):
    """A write that is asked for."""

    key: Key
    value: int | None
    expect: str


ops = st.builds(
    Op,
    st.sampled_from(KEYS),
    st.none() | st.integers(0, 99),
    st.sampled_from(["any", "any", "current", "none", "stale"]),
)
topics = st.sampled_from([(RESOURCE, None), (RESOURCE, "n1"), (RESOURCE, "n2"), ("secrets", None)])


class Machine(RuleBasedStateMachine):
    """`make` gives documents of what the example has on its disk; `replicas` how many stores are on it at once."""

    def __init__(self, make: Callable[[], Documents], replicas: int, forget: Callable[[], None]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.make, self.forget = make, forget
        self.told: list[Told] = []
        self.oldest = FIRST
        self.watched: list[Watched] = []
        self.stores = [self.run(self.started()) for _ in range(replicas)]

    def run(self, what: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(asyncio.wait_for(what, 5))

    async def started(self) -> Store:
        store = Store(self.make(), SEAL, self.loop.time)
        await store.start()
        return store

    def teardown(self) -> None:
        for one in self.watched:
            one.watch.close()
        for store in self.stores:
            self.run(store.stop())
        self.loop.close()
        self.forget()

    # The model

    @property
    def version(self) -> int:
        return self.told[-1].version if self.told else FIRST

    def state(self) -> dict[Key, Told]:
        found: dict[Key, Told] = {}
        for one in self.told:
            found[one.key] = one
        return {key: one for key, one in found.items() if one.kind != "DELETED"}

    def expected(self, op: Op) -> int | None:
        current = self.state().get(op.key)
        version = current.version if current is not None else 0
        return {"any": None, "current": version, "none": 0, "stale": version + 1}[op.expect]

    def may(self, op: Op, expected: int | None) -> bool:
        current = self.state().get(op.key)
        version = current.version if current is not None else 0
        return (expected is None or expected == version) and not (op.value is None and not version)

    def happened(self, version: int, op: Op) -> None:
        current = self.state().get(op.key)
        before = current.value if current is not None else None
        kind = "DELETED" if op.value is None else "ADDED" if current is None else "MODIFIED"
        value = before if op.value is None else op.value
        assert value is not None
        self.told.append(Told(version, kind, op.key, value, before))

    # What is done

    @rule(at=st.integers(0, 1), batch=st.lists(ops, min_size=1, max_size=4, unique_by=lambda op: op.key))
    def write(self, at: int, batch: list[Op]) -> None:
        store = self.stores[at % len(self.stores)]
        expected = [self.expected(op) for op in batch]
        allowed = all(self.may(op, number) for op, number in zip(batch, expected, strict=True))
        writes = [asked(op, number) for op, number in zip(batch, expected, strict=True)]
        try:
            made = self.run(_list(store.write(writes)))
        except ConflictError:
            assert not allowed
            return
        assert allowed
        start = self.version
        assert [one.version for one in made] == list(range(start + 1, start + 1 + len(batch)))
        for one, op in zip(made, batch, strict=True):
            self.happened(one.version, op)

    @rule(batch=st.lists(st.tuples(st.integers(0, 1), ops), min_size=2, max_size=6))
    def write_at_once(self, batch: list[tuple[int, Op]]) -> None:
        """Whatever order they come in: it is one, and every answer is right in it."""
        expected = [self.expected(op) for _, op in batch]

        async def one(at: int, op: Op, number: int | None) -> int | ConflictError:
            try:
                return (await self.stores[at % len(self.stores)].write([asked(op, number)]))[0].version
            except ConflictError as exc:
                return exc

        async def all_of_them() -> list[int | ConflictError]:
            return await asyncio.gather(*[one(at, op, n) for (at, op), n in zip(batch, expected, strict=True)])

        outcomes = self.run(all_of_them())
        states = [self.state()]
        made = sorted(
            (out, op, n) for out, (_, op), n in zip(outcomes, batch, expected, strict=True) if isinstance(out, int)
        )
        assert [version for version, *_ in made] == list(range(self.version + 1, self.version + 1 + len(made)))
        for version, op, number in made:
            assert self.may(op, number)
            self.happened(version, op)
            states.append(self.state())
        for outcome, (_, op), number in zip(outcomes, batch, expected, strict=True):
            if isinstance(outcome, ConflictError):
                assert any(refuses(state.get(op.key), op, number) for state in states)

    @rule(at=st.integers(0, 1), topic=topics, back=st.integers(0, 30))
    def watch(self, at: int, topic: tuple[str, str | None], back: int) -> None:
        after = max(FIRST, self.version - back)
        at %= len(self.stores)
        self.watched.append(Watched(at, self.stores[at].watch(*topic, after), topic, after, []))

    @rule(topic=topics, number=st.integers(0, 9))
    def watch_ahead(self, topic: tuple[str, str | None], number: int) -> None:
        """From a version that the replica it is asked of has not seen yet."""
        op = Op(KEYS[number % len(KEYS)], number, "any")
        (made,) = self.run(_list(self.stores[0].write([asked(op, None)])))
        self.happened(made.version, op)
        watch = self.stores[-1].watch(*topic, made.version)
        self.watched.append(Watched(len(self.stores) - 1, watch, topic, made.version, []))

    @precondition(lambda self: self.watched)
    @rule(data=st.data(), most=st.integers(1, 10))
    def read(self, data: st.DataObject, most: int) -> None:
        one = data.draw(st.sampled_from(self.watched))
        due = self.due(one)
        try:
            for told in due[len(one.seen) :][:most]:
                one.seen.append(self.run(_next(one.watch)))
                assert one.seen[-1] == told
        except ExpiredError:
            assert one.after < self.oldest
            assert not one.seen
            self.watched.remove(one)

    def due(self, one: Watched) -> list[Told]:
        resource, namespace = one.topic
        return [
            told
            for told in self.told
            if told.version > one.after and told.key.resource == resource and namespace in {None, told.key.namespace}
        ]

    @rule(at=st.integers(0, 1))
    def restart(self, at: int) -> None:
        """Watches deliver what they had, and resume where that ended."""
        at %= len(self.stores)
        self.run(self.stores[at].stop())
        positions: list[tuple[Watched, int]] = []
        for one in [one for one in self.watched if one.at == at]:
            try:
                one.seen.extend(self.run(_rest(one.watch)))
            except Exception:  # what was not in memory cannot be read any more
                positions.append((one, one.watch.position))
                continue
            assert one.seen == self.due(one)[: len(one.seen)]
            positions.append((one, one.watch.position))
        self.stores[at] = self.run(self.started())
        for one, position in positions:
            self.watched.remove(one)
            assert all(told.version <= position or told not in one.seen for told in self.due(one))
            self.watched.append(Watched(at, self.stores[at].watch(*one.topic, position), one.topic, position, []))

    @rule(at=st.integers(0, 1), back=st.integers(0, 10))
    def compact(self, at: int, back: int) -> None:
        before = max(FIRST, self.version - back)
        self.run(self.stores[at % len(self.stores)]._documents.compact(before))
        self.oldest = max(self.oldest, before)

    @rule(which=st.sampled_from(KEYS))
    def look_back(self, which: Key) -> None:
        found = self.run(_list(self.stores[0].revisions(which)))
        mine = [told for told in reversed(self.told) if told.key == which]
        assert [one.version for one in found] == [told.version for told in mine][: len(found)]
        recent = [told for told in mine if told.version > self.oldest]
        assert len(found) >= min(len(recent), RETENTION.revisions)

    @invariant()
    def reads_are_right(self) -> None:
        for store in self.stores:
            self.run(store.fresh())
            assert store.version == self.version
            state = self.state()
            assert len(store) == len(state)
            for resource in (RESOURCE, "secrets"):
                found = [(one.key, one.object["spec"], one.version) for one in store.list(resource)]
                mine = [
                    (key, told.value, told.version) for key, told in sorted(state.items()) if key.resource == resource
                ]
                assert found == mine


RETENTION = Retention(revisions=5, deletions=3)


def refuses(current: Told | None, op: Op, expected: int | None) -> bool:
    version = current.version if current is not None else 0
    return (expected is not None and expected != version) or (op.value is None and not version)


def asked(op: Op, expected: int | None) -> Write:
    body = None if op.value is None else b'{"metadata":{"name":"x"},"spec":%d}' % op.value
    return Write(op.key, body, expected, Author("machine"), 1.0)


async def _list(what: Any) -> list[Any]:
    return list(await what)


async def _next(watch: Watch) -> Told:
    event = await anext(watch)
    stored, previous = event.stored, event.previous
    before = previous.object["spec"] if previous is not None else None
    return Told(stored.version, event.kind, stored.key, stored.object["spec"], before)


async def _rest(watch: Watch) -> list[Told]:
    found: list[Told] = []
    while True:
        try:
            found.append(await _next(watch))
        except StopAsyncIteration:
            return found


HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much]


def test_one_store_on_sqlite() -> None:
    def machine() -> Machine:
        folder = Path(tempfile.mkdtemp(prefix="heddle-machine-"))
        return Machine(lambda: SqliteDocuments(folder / FILE, RETENTION), 1, lambda: shutil.rmtree(folder))

    chosen = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=HEALTH)
    run_state_machine_as_test(machine, settings=chosen)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    if not PostgresServer.found():
        pytest.skip("there is no PostgreSQL here")
    made = PostgresServer()
    yield made
    made.close()


def test_two_replicas_on_postgres(server: PostgresServer) -> None:
    dsn = server.database()

    def forget() -> None:
        server.psql(
            "TRUNCATE heddle_changes; UPDATE heddle_sequence SET version = 1, oldest = 1", dsn.rpartition("/")[2]
        )

    chosen = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=HEALTH)
    run_state_machine_as_test(lambda: Machine(lambda: PostgresDocuments(dsn, RETENTION), 2, forget), settings=chosen)
