"""The store above documents: what reads see, what watches get, and what becomes of both when something is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from random import Random

import pytest
from tests.unit.controlplane.store.memory import SEAL, Clock, Log, MemoryDocuments, key, write

from heddle.controlplane.store import Event, KeyedSeal, Store, Watch
from heddle.controlplane.store import store as module
from heddle.controlplane.store.horizon import Horizon
from heddle.drivers.documents import Change, ConflictError, ExpiredError, Key, UnavailableError

AGENTS = "agents.kagent.dev"


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


@pytest.fixture
async def store(documents: MemoryDocuments) -> AsyncIterator[Store]:
    made = Store(documents, SEAL, Clock())
    await made.start()
    yield made
    await made.stop()


def told(event: Event) -> tuple[str, str, int, object, object]:
    """An event in short."""
    previous = event.previous.object["spec"] if event.previous is not None else None
    return event.kind, event.stored.key.name, event.stored.version, event.stored.object["spec"], previous


async def take(watch: Watch, count: int) -> list[tuple[str, str, int, object, object]]:
    async with asyncio.timeout(5):
        return [told(await anext(watch)) for _ in range(count)]


async def quiet(watch: Watch) -> bool:
    """Nothing comes."""
    try:
        async with asyncio.timeout(0.05):
            await anext(watch)
    except TimeoutError:
        return True
    return False


# Reading and writing


async def test_a_write_is_what_the_next_read_sees(store: Store):
    (made,) = await store.write([write("a", "x", 0)])
    assert store.get(key("a")) is made
    assert made.object == {"metadata": {"name": "a", "resourceVersion": "2"}, "spec": "x"}
    assert made.encoded == b'{"metadata":{"name":"a","resourceVersion":"2"},"spec":"x"}'
    assert (made.version, store.version, len(store)) == (2, 2, 1)
    (gone,) = await store.write([write("a", None)])
    assert store.get(key("a")) is None
    assert gone.object == {"metadata": {"name": "a", "resourceVersion": "3"}, "spec": "x"}
    assert (store.version, len(store)) == (3, 0)


async def test_a_version_in_the_body_is_replaced(store: Store):
    sent = write("a")
    body = b'{"spec":1,"metadata":{"resourceVersion":"77","name":"a"}}'
    (made,) = await store.write([type(sent)(sent.key, body, None, sent.author, sent.time_s)])
    assert made.object["metadata"]["resourceVersion"] == "2"


@pytest.mark.parametrize("body", [b"x", b"[]", b"{}", b'{"metadata":1}', b'{"metadata":{"a":}}', b'{"metadata":null}'])
async def test_what_is_no_object_is_refused_before_it_is_written(store: Store, body: bytes):
    sent = write("a")
    with pytest.raises(ValueError, match="no object") as caught:
        await store.write([write("b"), type(sent)(sent.key, body, None, sent.author, sent.time_s)])
    assert caught.value.__cause__ is None
    assert store.version == 1


async def test_batches_are_whole(store: Store):
    with pytest.raises(ConflictError):
        await store.write([write("a"), write("b", 1, 5)])
    assert len(store) == 0
    made = await store.write([write("a", 1), write("a", 2), write("a", None), write("a", 3)])
    assert [(one.version, one.object["spec"]) for one in made] == [(2, "1"), (3, "2"), (4, "2"), (5, "3")]
    assert list(await store.write([])) == []


async def test_lists_are_by_namespace_and_name(store: Store):
    names = [("b", "x"), ("a", "z"), ("a", "b"), ("a-b", "a"), ("", "q"), ("a", "a"), ("a0", "0"), ("a\x01", "0")]
    await store.write([write(key(name, namespace)) for namespace, name in names])
    await store.write([write(key("other", "a", "others.g"))])
    found = [(one.key.namespace, one.key.name) for one in store.list(AGENTS)]
    assert found == sorted(names)
    assert [one.key.name for one in store.list(AGENTS, "a")] == ["a", "b", "z"]
    assert [one.key.name for one in store.list(AGENTS, "")] == ["q"]
    assert list(store.list(AGENTS, "c")) == []
    assert list(store.list("nothing", None)) == []
    before = store.list(AGENTS, "a")
    await store.write([write(key("a", "a"), None), write(key("c", "a"))])
    assert [one.key.name for one in before] == ["a", "b", "z"], "what was handed out does not change"
    assert [one.key.name for one in store.list(AGENTS, "a")] == ["b", "c", "z"]


async def test_nothing_shows_an_object(store: Store):
    await store.write([write(key("s", "shop", "secrets"), "HIDDEN")])
    watch = store.watch("secrets", None, 1)
    event = await anext(watch)
    assert "HIDDEN" not in repr(event) + repr(event.stored) + repr(store.list("secrets"))
    watch.close()


# Watching


async def test_a_watch_gets_what_was_and_what_comes(store: Store):
    await store.write([write("a", 1), write("b", 1)])
    await store.write([write("a", 2)])
    watch = store.watch(AGENTS, None, 2)
    assert await take(watch, 2) == [("ADDED", "b", 3, "1", None), ("MODIFIED", "a", 4, "2", "1")]
    assert await quiet(watch)
    await store.write([write("a", None), write("a", 3)])
    assert await take(watch, 2) == [("DELETED", "a", 5, "2", "2"), ("ADDED", "a", 6, "3", None)]
    watch.close()
    assert [event async for event in watch] == []
    assert store.watches == 0


async def test_a_watch_is_of_its_resource_and_namespace(store: Store):
    every, one, other = (
        store.watch(AGENTS, None, 1),
        store.watch(AGENTS, "shop", 1),
        store.watch("others.g", None, 1),
    )
    await store.write([write(key("a", "shop")), write(key("b", "bank")), write(key("c", "", "others.g"))])
    assert [name for _, name, *_ in await take(every, 2)] == ["a", "b"]
    assert [name for _, name, *_ in await take(one, 1)] == ["a"]
    assert [name for _, name, *_ in await take(other, 1)] == ["c"]
    for watch in (every, one, other):
        assert await quiet(watch)
        watch.close()


async def test_an_event_and_its_encoding_are_one_for_all(store: Store):
    watches = [store.watch(AGENTS, namespace, 1) for namespace in (None, "shop", None)]
    await store.write([write("a")])
    events = [await anext(watch) for watch in watches]
    assert events[0] is events[1] is events[2]
    assert events[0].line is events[1].line
    assert events[0].line == b'{"type":"ADDED","object":' + events[0].stored.encoded + b"}\n"
    late = store.watch(AGENTS, None, 1)
    assert await anext(late) is events[0]
    for watch in (*watches, late):
        watch.close()


async def test_batches_of_a_watch_are_what_is_at_hand(store: Store):
    watch = store.watch(AGENTS, None, 1)
    await store.write([write("a"), write("b")])
    assert [event.stored.key.name for event in await watch.batch()] == ["a", "b"]
    waiting = asyncio.create_task(watch.batch())
    await asyncio.sleep(0)
    await store.write([write("c")])
    assert [event.stored.key.name for event in await waiting] == ["c"]
    watch.close()
    assert await watch.batch() == []


async def test_a_position_says_where_to_resume(store: Store):
    watch = store.watch(AGENTS, "shop", 1)
    await store.write([write("a"), write(key("x", "bank"))])
    assert watch.position == 1, "there is something it has not handed out"
    await anext(watch)
    assert watch.position == 3, "what does not concern it is behind it, too"
    await store.write([write(key("y", "bank"))])
    assert watch.position == 4
    await store.write([write("b")])
    watch.close()
    assert watch.position == 2, "of a watch that ended, what it had handed out"


async def test_a_reader_that_gives_up_and_comes_back_misses_nothing(documents: MemoryDocuments, store: Store):
    for number in range(10):
        await store.write([write(f"n{number}")])
    again = Store(documents, SEAL, Clock())
    await again.start()
    watch, seen = again.watch(AGENTS, None, 3), []
    for attempt in range(60):
        reading = asyncio.ensure_future(anext(watch))
        for _ in range(attempt % 5):
            await asyncio.sleep(0)
        reading.cancel()
        try:
            seen.append((await reading).stored.version)
        except asyncio.CancelledError:
            continue
        if len(seen) == 8:
            break
    assert seen == list(range(4, 12))
    watch.close()
    await again.stop()


async def test_a_watcher_that_is_not_read_is_ended_and_resumes(store: Store):
    slow, quick = store.watch(AGENTS, None, 1), store.watch(AGENTS, None, 1)
    for number in range(30):
        await store.write([write(f"n{number}-{i}") for i in range(50)])
        assert len(await quick.batch()) == 50
    assert slow.lagged
    assert slow.ended
    assert not quick.lagged
    seen = [event.stored.version async for event in slow]
    assert seen == list(range(2, 1_002)), "what it had is whole"
    assert slow.position == 1_001
    assert store.watches == 1
    resumed = store.watch(AGENTS, None, slow.position)
    assert [event.stored.version for event in await resumed.batch()] == list(range(1_002, 1_502))
    for watch in (resumed, quick):
        watch.close()


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_delivered_and_what_is_read_are_one_sequence(store: Store, seed: int):
    """Somebody takes changes as they come, somebody else what was not taken, who is interrupted at times."""
    chance = Random(seed)
    watch, found = store.watch(AGENTS, None, store.version), list[int]()
    reading = False

    def deliver(events: Sequence[Event]) -> bool:
        assert not reading, "whoever reads is past what waits, and would be overtaken"
        if chance.random() < 0.5:
            return False
        found.extend(event.stored.version for event in events)
        return True

    async def read() -> None:
        nonlocal reading
        while True:
            try:
                async with asyncio.timeout(chance.choice((0.001, 1))):
                    events = await watch.batch()
            except TimeoutError:
                assert watch.position == (found[-1] if found else 1)
                continue
            reading = True
            found.extend(event.stored.version for event in events)
            await asyncio.sleep(chance.choice((0, 0.001)))
            reading = False

    watch.deliver = deliver
    reader = asyncio.create_task(read())
    for number in range(60):
        await store.write(
            [write(f"a{number}")] if chance.random() < 0.7 else [write(f"a{number}"), write(f"b{number}")]
        )
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
    for _ in range(5000):
        if found and found[-1] == store.version:
            break
        await asyncio.sleep(0.001)
    reader.cancel()
    assert found == list(range(2, store.version + 1))
    watch.close()


async def test_a_thousand_are_told_in_turns(store: Store):
    taken: list[int] = []
    watches = [store.watch(AGENTS, None, store.version) for _ in range(1000)]
    readers = [asyncio.create_task(watch.batch()) for watch in watches]
    await asyncio.sleep(0)
    for number, watch in enumerate(watches):
        watch.deliver = lambda events, number=number: taken.append(number) or len(events) == 1
    between: list[int] = []
    await store.write([write("a")])
    while len(taken) < len(watches):
        between.append(len(taken))
        await asyncio.sleep(0)
    assert sorted(taken) == list(range(1000))
    assert len(between) >= 3
    assert not any(reader.done() for reader in readers)
    for watch in watches:
        watch.close()
    assert await asyncio.gather(*readers) == [[]] * 1000


async def test_large_objects_end_a_slow_watcher_sooner(store: Store):
    slow = store.watch(AGENTS, None, 1)
    for number in range(8):
        await store.write([write("a", f"{number}" * 4_000_000)])
    assert slow.lagged
    events = await slow.batch()
    assert 1 <= len(events) <= 4
    assert [event.stored.version for event in events] == list(range(2, 2 + len(events)))
    # And what it resumes from is not in memory for ever either.
    resumed = store.watch(AGENTS, None, 1)
    assert (await anext(resumed)).stored.version == 2
    resumed.close()


async def test_stopping_ends_watches(documents: MemoryDocuments):
    store = Store(documents, SEAL, Clock())
    await store.start()
    watch = store.watch(AGENTS, None, 1)
    reading = asyncio.create_task(watch.batch())
    await asyncio.sleep(0)
    await store.stop()
    assert await reading == []
    assert not documents.is_open


# Across restarts


async def test_a_watch_resumes_from_the_log(documents: MemoryDocuments, store: Store):
    await store.write([write("a", 1), write(key("s", "shop", "secrets"), 1)])
    await store.write([write("a", 2), write(key("s", "shop", "secrets"), 2)])
    again = Store(documents, SEAL, Clock())
    await again.start()
    watch, secrets = again.watch(AGENTS, "shop", 1), again.watch("secrets", None, 3)
    await store.write([write("a", None)])
    expected = [("ADDED", "a", 2, "1", None), ("MODIFIED", "a", 4, "2", "1"), ("DELETED", "a", 6, "2", "2")]
    assert await take(watch, 3) == expected
    assert await take(secrets, 1) == [("MODIFIED", "s", 5, "2", "1")]
    for one in (watch, secrets):
        assert await quiet(one)
        one.close()
    await again.stop()


async def test_a_long_past_is_read_in_pages_while_it_goes_on(documents: MemoryDocuments, store: Store):
    for number in range(0, 1_300, 50):
        await store.write([write(f"n{number + i}") for i in range(50)])
    again = Store(documents, SEAL, Clock())
    await again.start()
    watch = again.watch(AGENTS, None, 1)
    seen = [(await anext(watch)).stored.version for _ in range(10)]
    await again.write([write("during")])
    assert documents.reads == 1
    seen += [(await anext(watch)).stored.version for _ in range(1_291)]
    assert seen == list(range(2, 1_303))
    assert await quiet(watch)
    watch.close()
    await again.stop()


async def test_too_old_is_said(documents: MemoryDocuments, store: Store):
    for number in range(5):
        await store.write([write(f"n{number}")])
    documents.log.oldest = 4
    again = Store(documents, SEAL, Clock())
    await again.start()
    watch = again.watch(AGENTS, None, 3)
    with pytest.raises(ExpiredError) as caught:
        await anext(watch)
    assert caught.value.oldest == 4
    assert watch.ended
    assert again.watches == 0
    fine = again.watch(AGENTS, None, 4)
    assert len(await take(fine, 2)) == 2
    fine.close()
    await again.stop()


async def test_from_the_future_of_another_store_is_too_old(store: Store):
    watch = store.watch(AGENTS, None, 1_000)
    with pytest.raises(ExpiredError):
        await watch.batch()


# Replicas


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Store, Store, MemoryDocuments]]:
    """Two stores on one log; the second is told nothing by itself."""
    log = Log()
    first, second = MemoryDocuments(log), MemoryDocuments(log)
    one, two = Store(first, SEAL, Clock()), Store(second, SEAL, Clock())
    await one.start()
    await two.start()
    yield one, two, second
    await one.stop()
    await two.stop()


async def test_fresh_sees_what_another_acknowledged(pair: tuple[Store, Store, MemoryDocuments]):
    one, two, _ = pair
    await one.write([write("a")])
    assert two.get(key("a")) is None
    assert await two.fresh() == 2
    assert two.get(key("a")) is not None


async def test_what_others_write_reaches_watches_once_and_in_order(pair: tuple[Store, Store, MemoryDocuments]):
    one, two, second = pair
    watch = two.watch(AGENTS, None, 1)
    await one.write([write("a", 1)])
    await two.write([write("b", 1)])
    await one.write([write("a", 2)])
    second.nudge()
    second.nudge()
    assert await take(watch, 3) == [
        ("ADDED", "a", 2, "1", None),
        ("ADDED", "b", 3, "1", None),
        ("MODIFIED", "a", 4, "2", "1"),
    ]
    assert await quiet(watch)
    watch.close()


async def test_what_is_told_while_it_is_read_is_told_once(
    pair: tuple[Store, Store, MemoryDocuments], monkeypatch: pytest.MonkeyPatch
):
    one, two, second = pair
    watch = two.watch(AGENTS, None, 1)
    await one.write([write("a")])
    read = second.changes

    async def slow(after: int, limit: int, resource: str = "") -> list[Change]:
        await two._documents.write([write("b"), write("c")])
        found = await read(after, limit, resource)
        for told in second.told:
            told(found[:2])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(second, "changes", slow)
        await two.fresh()
    assert [version for _, _, version, *_ in await take(watch, 3)] == [2, 3, 4]
    assert await quiet(watch)
    assert two.version == 4
    watch.close()


async def test_a_watch_from_a_version_only_another_has_seen(pair: tuple[Store, Store, MemoryDocuments]):
    one, two, _ = pair
    await one.write([write("a"), write("b")])
    watch = two.watch(AGENTS, None, 3)
    await one.write([write("c")])
    waiting = asyncio.create_task(take(watch, 1))
    await asyncio.sleep(0.01)
    assert await waiting == [("ADDED", "c", 4, "1", None)]
    watch.close()


async def test_a_replica_that_was_away_for_too_long_begins_anew(pair: tuple[Store, Store, MemoryDocuments]):
    one, two, second = pair
    await one.write([write("a", 1), write("b", 1)])
    await two.fresh()
    kept = two.get(key("b"))
    watch = two.watch(AGENTS, None, 1)
    await one.write([write("a", None), write("c", 1)])
    second.log.oldest = 5
    assert await two.fresh() == 5
    assert [one.key.name for one in two.list(AGENTS)] == ["b", "c"]
    assert two.get(key("b")) is kept
    assert [event.stored.key.name async for event in watch] == ["a", "b"]
    late = two.watch(AGENTS, None, watch.position)
    with pytest.raises(ExpiredError):
        await anext(late)


async def test_documents_that_are_away(
    pair: tuple[Store, Store, MemoryDocuments], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    one, two, second = pair
    second.away = True
    await one.write([write("a")])
    second.nudge()
    with pytest.raises(UnavailableError):
        await two.fresh()
    with pytest.raises(UnavailableError):
        await two.write([write("b")])
    assert two.version == 1, "what is known can be read"
    await asyncio.sleep(0.05)
    second.away = False
    await asyncio.sleep(0.05)
    assert two.get(key("a")) is not None
    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(complaints) == 1, "once, and not at every try"


async def test_what_was_written_is_so_even_if_others_cannot_be_seen(
    pair: tuple[Store, Store, MemoryDocuments], monkeypatch: pytest.MonkeyPatch
):
    one, two, second = pair
    await one.write([write("a")])

    async def away(*_: object) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(second, "changes", away)
        (made,) = await two.write([write("b", "x")])
    assert (made.version, made.object["spec"]) == (3, "x")
    await two.fresh()
    assert two.get(key("b")) is not None


# Secrets


async def test_secrets_leave_the_process_sealed(documents: MemoryDocuments, store: Store):
    secret = key("s", "shop", "secrets")
    for value in ("HIDDEN-1", "HIDDEN-1", "HIDDEN-2"):
        await store.write([write(secret, value)])
    await store.write([write("open", "VISIBLE")])
    kept = b"".join(row.body or b"" for row in documents.log.rows)
    assert b"HIDDEN" not in kept
    assert b"VISIBLE" in kept
    found = await store.revisions(secret)
    assert [one.body is not None for one in found] == [True, False, False]
    assert b"HIDDEN-2" in (found[0].body or b"")
    assert found[1].sha256 == found[2].sha256 != found[0].sha256
    again = Store(documents, SEAL, Clock())
    await again.start()
    stored = again.get(secret)
    assert stored is not None
    assert stored.object["spec"] == "HIDDEN-2"
    await again.stop()


async def test_with_another_key_it_does_not_start_and_says_why(documents: MemoryDocuments, store: Store):
    await store.write([write(key("s", "shop", "secrets"), "HIDDEN")])
    again = Store(documents, KeyedSeal(("o" * 32,)), Clock())
    with pytest.raises(ValueError, match="secrets shop/s cannot be opened: it was sealed with a key that is not known"):
        await again.start()
    assert not documents.is_open


async def test_a_past_that_cannot_be_opened_is_unavailable(documents: MemoryDocuments, store: Store):
    secret = key("s", "shop", "secrets")
    await store.write([write(secret, "HIDDEN")])
    await store.write([write(secret, None)])
    again = Store(documents, KeyedSeal(("o" * 32,)), Clock())
    await again.start()
    watch = again.watch("secrets", None, 1)
    with pytest.raises(UnavailableError, match="cannot be opened"):
        await anext(watch)
    assert watch.ended
    await again.stop()


async def test_a_secret_given_another_name_does_not_open(documents: MemoryDocuments, store: Store):
    secret, other = key("s", "shop", "secrets"), key("t", "shop", "secrets")
    (made,) = await store.write([write(secret, "HIDDEN")])
    log = documents.log
    moved = log.changes[0]
    log.changes[0] = type(moved)(moved.version, other, moved.body, sealed=True)
    log.versions = {other: made.version}
    with pytest.raises(ValueError, match="moved to another object"):
        await Store(documents, SEAL, Clock()).start()


async def test_a_change_that_cannot_be_opened_stops_no_writer(pair: tuple[Store, Store, MemoryDocuments]):
    one, _, second = pair
    stranger = Store(second, KeyedSeal(("o" * 32,)), Clock())
    await stranger.start()
    await one.write([write(key("s", "shop", "secrets"), "HIDDEN")])
    with pytest.raises(UnavailableError, match="cannot be opened"):
        await stranger.fresh()
    (made,) = await stranger.write([write("b")])
    assert made.version == 3
    await stranger.stop()


# Compaction


async def test_the_past_is_compacted(monkeypatch: pytest.MonkeyPatch, documents: MemoryDocuments):
    monkeypatch.setattr(module, "COMPACT_S", 0.005)
    clock = Clock()
    store = Store(documents, SEAL, clock, Horizon(keep_s=100, keep_changes=5))
    await store.start()
    for number in range(10):
        await store.write([write(f"n{number}")])
    await asyncio.sleep(0.03)
    assert documents.log.oldest == 6, "by number"
    documents.away = True
    clock.now += 101
    await asyncio.sleep(0.03)
    documents.away = False
    await store.write([write("last")])
    await asyncio.sleep(0.03)
    assert documents.log.oldest >= 7
    clock.now += 101
    await asyncio.sleep(0.03)
    assert documents.log.oldest == 12, "by time"
    await store.stop()


def test_the_horizon():
    horizon = Horizon(keep_s=10, keep_changes=100)
    assert horizon.before(0, 5) == 0
    assert horizon.before(9, 7) == 0
    assert horizon.before(10, 8) == 5
    assert horizon.before(11, 8) == 5
    assert horizon.before(12, 300) == 200
    assert horizon.before(19, 301) == 201
    assert horizon.before(60, 301) == 301
    assert horizon.before(61, 3) == 301, "never back"


def test_keys_of_many_resources_leave_nothing():
    from heddle.controlplane.store.shelves import Shelves  # noqa: PLC0415
    from heddle.controlplane.store.stored import Stored  # noqa: PLC0415

    shelves = Shelves()
    for number in range(10):
        shelves.put(Stored(Key(f"r{number}", "", "a"), 1, b'{"metadata":{}}'))
    for number in range(10):
        assert shelves.pop(Key(f"r{number}", "", "a")) is not None
        assert shelves.pop(Key(f"r{number}", "", "a")) is None
    assert not shelves._shelves
