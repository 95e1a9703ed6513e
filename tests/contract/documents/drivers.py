"""What a test of documents needs: writes in a line, and every driver by its name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from heddle.drivers.documents import Author, Change, Documents, Key, Retention, Write

ALICE = Author("alice", "kubectl", "create", "because")
KEEP = Retention(revisions=3, deletions=2)


def key(name: str = "a", resource: str = "agents.kagent.dev", namespace: str = "shop") -> Key:
    return Key(resource, namespace, name)


def write(name: str | Key = "a", body: bytes | None = b"{}", expected: int | None = None, **more: object) -> Write:
    where = name if isinstance(name, Key) else key(name)
    return Write(where, body, expected, ALICE, 1_700_000_000.5, **more)  # type: ignore[arg-type]


class Told:
    """Remembers what a driver told."""

    def __init__(self, documents: Documents) -> None:
        self.changes: list[Change] = []
        self.nudges = 0
        documents.on_change(self)

    def __call__(self, changes: Sequence[Change]) -> None:
        self.changes += changes
        self.nudges += not changes


Open = Callable[[], Documents]
"""Another object on the same documents."""


@contextlib.asynccontextmanager
async def opened(documents: Documents) -> AsyncIterator[Documents]:
    await documents.open()
    try:
        yield documents
    finally:
        await documents.close()


async def eventually(check: Callable[[], bool], within_s: float = 5.0) -> None:
    until = asyncio.get_running_loop().time() + within_s
    while not check():
        assert asyncio.get_running_loop().time() < until, "it did not happen"
        await asyncio.sleep(0.005)
