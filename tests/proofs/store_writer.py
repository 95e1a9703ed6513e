"""`python -m tests.proofs.store_writer ADDRESS STATE AFTER NAME`: a store that says what it does, until it is killed.

Each line on standard output is one JSON list: ["start", version], ["wrote", writer, version, name, value] for a write
that was acknowledged (a value of null is a deletion), ["event", kind, version, name, value] of one watch that began
after AFTER, ["gap", seconds] when no write was acknowledged for so long.
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

from heddle.controlplane.store import Store, seal_of
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write
from heddle.plugins import load

RESOURCE = "agents.kagent.dev"
WRITERS = 8
OBJECTS = 20


def say(*what: object) -> None:
    """One line, whole, out of the process."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Acknowledged:
    """When a write last was, by whichever writer."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def now(self) -> None:
        before, self._last_s = self._last_s, time.monotonic()
        if self._last_s - before > 0.1:
            say("gap", self._last_s - before)


def body(name: str, value: str) -> bytes:
    return json.dumps({"metadata": {"name": name, "namespace": "proof"}, "spec": value}).encode()


async def writes(store: Store, me: str, writer: int, acknowledged: Acknowledged) -> None:
    """Writes one after the other, and says each when it is acknowledged."""
    rng = random.Random(f"{me}-{writer}-{time.time_ns()}")
    number = 0
    while True:
        name, number = f"n{rng.randrange(OBJECTS)}", number + 1
        value = None if rng.random() < 0.2 else f"{me}-{os.getpid()}-{writer}-{number}"
        now = store.get(Key(RESOURCE, "proof", name))
        expected = rng.choice([None, now.version if now is not None else 0])
        sent = None if value is None else body(name, value)
        try:
            (made,) = await store.write([Write(Key(RESOURCE, "proof", name), sent, expected, Author(me), time.time())])
        except ConflictError:
            # In turn with the others, also where all that is drawn is refused.
            await asyncio.sleep(0)
            continue
        except UnavailableError:
            await asyncio.sleep(0.01)
            continue
        say("wrote", writer, made.version, name, value)
        acknowledged.now()


async def watches(store: Store, after: int) -> None:
    """Says every change after a version."""
    async for event in store.watch(RESOURCE, "proof", after):
        value = None if event.kind == "DELETED" else event.stored.object["spec"]
        say("event", event.kind, event.stored.version, event.stored.key.name, value)


async def main(address: str, state: str, after: int, me: str) -> None:
    """Until it is killed."""
    driver = load("documents", "postgres" if "://" in address else "sqlite")
    store = Store(driver(address if "://" in address else Path(address)), seal_of(Path(state)), time.monotonic)
    await store.start()
    say("start", store.version)
    acknowledged = Acknowledged()
    await asyncio.gather(watches(store, after), *[writes(store, me, writer, acknowledged) for writer in range(WRITERS)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
