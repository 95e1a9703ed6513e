"""What does the store of resources do? Writes by many, one change to a thousand watchers, and what more objects cost.

Owns: the objects, the writers, and the clock. The store runs in this process, above a database on the disk whose every
commit is flushed; PostgreSQL, where it is installed, is one of its own on the same machine.
Refuses: HTTP, schemas and rights, which are the API's.
"""

import asyncio
import gc
import importlib
import itertools
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Options, Result, Target
from heddle.controlplane.store import Store, Watch, seal_of
from heddle.drivers.documents import Author, Documents, Key, Write
from heddle.drivers.documents.postgres import PostgresDocuments
from heddle.drivers.documents.sqlite import SqliteDocuments

WRITERS = 32
WATCHERS = 1_000
ROUNDS = 30
CHANGES = 500
IDLE_S = 2.0
SIZES = (100, 10_000)
CLAIM_CREATES = {"SQLite": 5_000.0, "PostgreSQL": 1_000.0}
CLAIM_WATCHERS_MS = 60.0
CLAIM_GROWTH = 1.5
"""CPU time of a change among 10,000 objects beside one among 100."""
CLAIM_IDLE_PERCENT = 5.0
RESOURCE = "agents.kagent.dev"
AUTHOR = Author("bench", "bench", "create")


def _body(name: str) -> bytes:
    spec = {"type": "Declarative", "description": "x" * 600, "tools": [{"name": f"t{n}"} for n in range(10)]}
    metadata = {"name": name, "namespace": "bench", "uid": "0" * 36, "labels": {"app": name}}
    return msgspec.json.encode(
        {"apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "metadata": metadata, "spec": spec}
    )


def _write(name: str, expected: int | None) -> Write:
    return Write(Key(RESOURCE, "bench", name), _body(name), expected, AUTHOR, time.time())


@asynccontextmanager
async def _store(documents: Documents, folder: Path) -> AsyncIterator[Store]:
    store = Store(documents, seal_of(folder), time.monotonic)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def _creates_per_s(store: Store, seconds: float) -> float:
    numbers, until = itertools.count(), time.perf_counter() + seconds

    async def writer() -> int:
        made = 0
        while time.perf_counter() < until:
            await store.write([_write(f"c{next(numbers)}", 0)])
            made += 1
        return made

    began = time.perf_counter()
    made = await asyncio.gather(*[writer() for _ in range(WRITERS)])
    return sum(made) / (time.perf_counter() - began)


async def _fill(store: Store, count: int) -> None:
    for first in range(len(store), count, 500):
        await store.write([_write(f"n{number:06}", None) for number in range(first, min(first + 500, count))])


async def _change_us(store: Store) -> float:
    """CPU time of one change, both threads: what it costs, whatever else the disk and the cores do."""
    before = time.process_time()
    for number in range(CHANGES):
        await store.write([_write(f"n{number % 100:06}", None)])
    return (time.process_time() - before) / CHANGES * 1e6


async def _until_last_watcher_ms(store: Store) -> tuple[float, float]:
    """From asking for a change until the last watcher has it: median of rounds; and percent of a core while idle."""
    reached = 0
    everybody = asyncio.Event()

    async def read(watch: Watch) -> None:
        nonlocal reached
        async for _ in watch:
            reached += 1
            if reached == WATCHERS:
                everybody.set()

    watches = [store.watch(RESOURCE, None, store.version) for _ in range(WATCHERS)]
    readers = [asyncio.create_task(read(watch)) for watch in watches]
    await asyncio.sleep(0.1)
    took = []
    for _ in range(ROUNDS):
        reached = 0
        everybody.clear()
        began = time.perf_counter()
        await store.write([_write("n000001", None)])
        await everybody.wait()
        took.append(time.perf_counter() - began)
    before = time.process_time()
    await asyncio.sleep(IDLE_S)
    idle = (time.process_time() - before) / IDLE_S * 100
    for watch in watches:
        watch.close()
    await asyncio.gather(*readers)
    return statistics.median(took) * 1e3, idle


async def _kib_per_object(documents: Documents, folder: Path) -> tuple[float, float]:
    """Of objects that were read from the disk: as they are kept, and once each was looked into."""
    gc.collect()
    tracemalloc.start()
    try:
        async with _store(documents, folder) as store:
            found = store.list(RESOURCE)
            # The step of the loop in which they were read still holds what was read.
            await asyncio.sleep(0.1)
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
            assert all(one.object for one in found)
            decoded, _ = tracemalloc.get_traced_memory()
            return kept / len(found) / 1024, decoded / len(found) / 1024
    finally:
        tracemalloc.stop()


@contextmanager
def _postgres() -> Iterator[Any]:
    """A server of its own, or None where there is none. Found by name: the tests are not typed as the bench is."""
    module = importlib.import_module("tests.contract.documents.postgres_server")
    if not module.PostgresServer.found():
        yield None
        return
    server = module.PostgresServer(module.DURABLE)
    try:
        yield server
    finally:
        server.close()


async def _measure(make: Any, folder: Path, seconds: float) -> dict[str, float]:
    """Everything about one database; `make` gives documents on a new one, named by a number."""
    found: dict[str, float] = {}
    async with _store(make(1), folder) as store:
        found["creates/s"] = await _creates_per_s(store, seconds)
    async with _store(make(2), folder) as store:
        for size in SIZES:
            await _fill(store, size)
            found[f"CPU us, {size:,} objects"] = await _change_us(store)
        found["ms to 1,000 watchers"], found["idle %"] = await _until_last_watcher_ms(store)
    found["KiB an object"], found["KiB decoded"] = await _kib_per_object(make(2), folder)
    return found


def run(options: Options) -> Result:
    """Both databases, one after the other."""
    seconds = options.seconds or 3.0
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="heddle-store-") as name, _postgres() as server:
        folder = Path(name)
        measured["SQLite"] = asyncio.run(_measure(lambda n: SqliteDocuments(folder / f"{n}.db"), folder, seconds))
        if server is not None:
            addresses = {number: server.database() for number in (1, 2)}
            measured["PostgreSQL"] = asyncio.run(_measure(lambda n: PostgresDocuments(addresses[n]), folder, seconds))
    result = Result("The store of resources", ["database", *measured["SQLite"]])
    result.rows = [[database, *figures.values()] for database, figures in measured.items()]
    result.notes = [
        f"Objects of {len(_body('n000000')):,} bytes. Creates by {WRITERS} writers at once; CPU is what one"
        " change costs this process; watchers from asking for a change until the last has it; idle is percent of"
        f" a core with {WATCHERS:,} watchers waiting.",
    ]
    small, large = (f"CPU us, {size:,} objects" for size in SIZES)
    for database, figures in measured.items():
        result.targets += [
            Target(f"creates/s on {database}", figures["creates/s"], at_least=CLAIM_CREATES[database]),
            Target(
                f"ms to {WATCHERS:,} watchers on {database}", figures["ms to 1,000 watchers"], at_most=CLAIM_WATCHERS_MS
            ),
            Target(
                f"a change at 10,000 objects beside 100 on {database}",
                figures[large] / figures[small],
                at_most=CLAIM_GROWTH,
            ),
            Target(f"% of a core while idle on {database}", figures["idle %"], at_most=CLAIM_IDLE_PERCENT),
        ]
    return result
