"""A gateway tells its control plane what it found: what changed, when it changed, in pieces of a bounded size.

Owns the pace. Everything is told once for each connection; from then on only what differs from what was told, every
two seconds at most, and so much at a time that updates and verdicts on the same connection do not wait for it. While
nothing changes nothing is said, and nothing is read but the age of one file.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec

from heddle.model.match import is_glob
from heddle.model.snapshot import Snapshot
from heddle.wire.delta import FromGateway
from heddle.wire.found import MAX_ENTRIES, MAX_FRAME_BYTES, MAX_NAME_CHARS, Entry, Found, FoundModel, key_of

FILE = "found.bin"
"""Name of the file in the state directory."""
LOOK_S = 2.0
MAX_FRAMES = 20
"""Told in one go; about a million bytes."""
MAX_FILE_BYTES = 512 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class Connection(Protocol):
    """Where it is told."""

    async def send(self, message: FromGateway) -> None:
        """Say something. Raises ReachError."""
        ...


class Telling:
    """What was found, as the parent of the workers knows it."""

    def __init__(self, path: Path, running: Callable[[], Snapshot | None]) -> None:
        """`path` is the file that a worker writes (`finding`); `running` is what the workers run."""
        self._path = path
        self._running = running
        self._read_at: tuple[int, int] | None = None
        self._found: list[Entry] = []
        self._known: dict[str, Entry] = {}
        self._known_of: Snapshot | None = None

    def forget(self) -> None:
        """What an earlier run found is not what this one does; the worker writes it anew."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    async def tell(self, connection: Connection) -> None:
        """Tell it, until cancelled. Raises ReachError."""
        told: dict[str, Entry] = {}
        done: dict[str, Entry] | None = None
        whole = False
        # After a restart of the control plane all its gateways are here at once.
        await asyncio.sleep(random.uniform(0.0, LOOK_S))  # noqa: S311 - nothing secret
        while True:
            now = await self.now()
            if now is not done:
                pending = list(islice(changes(told, now), MAX_FRAMES + 1))
                for message in pending[:MAX_FRAMES]:
                    await connection.send(message)
                    told.update((key_of(one), one) for one in message.changed)
                    for key in message.removed:
                        told.pop(key, None)
                done = now if len(pending) <= MAX_FRAMES else None
            if done is not None and not whole and self._running() is not None:
                await connection.send(Found(whole=True))
                whole = True
            await asyncio.sleep(LOOK_S)

    async def now(self) -> dict[str, Entry]:
        """What is known, by key; the same object while it is the same."""
        running = self._running()
        if await self._read() or running is not self._known_of:
            self._known = _of(running, self._found)
            self._known_of = running
        return self._known

    async def _read(self) -> bool:
        """Read the file if it is another one; whether it was."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        at = status.st_mtime_ns, status.st_ino
        if at == self._read_at or status.st_size > MAX_FILE_BYTES:
            return False
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
            found: list[Entry] = await asyncio.to_thread(_decode, data)
        except (OSError, msgspec.DecodeError):
            # It is of another version, or is being replaced: it is read when it is another one.
            found = []
        self._read_at = at
        self._found = found
        return True


def _of(running: Snapshot | None, found: list[Entry]) -> dict[str, Entry]:
    """Those that are about what runs: workers may know of a change a moment before or after we do."""
    if running is None:
        return {}
    targets = {one.name for one in running.mcp.targets}
    known = (one for one in found if not isinstance(one, FoundModel) and one.target in targets)
    return {key_of(one): one for one in (*known, *models(running))}


def models(snapshot: Snapshot) -> Iterator[FoundModel]:
    """The models that calls lead to, by their names at their providers."""
    names: dict[tuple[str, str], None] = {}
    for model in snapshot.models:
        if model.targets:
            names |= dict.fromkeys((target.provider, target.model or model.name) for target in model.targets)
        else:
            names[model.provider, model.model or model.name] = None
    for provider, name in list(names)[: MAX_ENTRIES // 2]:
        if provider and name.isprintable() and not is_glob(name) and max(len(provider), len(name)) <= MAX_NAME_CHARS:
            yield FoundModel(provider=provider, model=name)


def changes(told: dict[str, Entry], now: dict[str, Entry]) -> Iterator[Found]:
    """What leads from what was told to what is so, in messages; servers after their tools."""
    removed = [key for key in told if key not in now]
    for first in range(0, len(removed), 100):
        yield Found(removed=tuple(removed[first : first + 100]))
    fresh = (one for key, one in now.items() if told.get(key) != one)
    yield from _packed(sorted(fresh, key=lambda one: one.__struct_config__.tag == "server"))


def _packed(entries: Iterable[Entry]) -> Iterator[Found]:
    gathered: list[Entry] = []
    size = 0
    for one in entries:
        bytes_ = len(_encode(one))
        if gathered and size + bytes_ > MAX_FRAME_BYTES:
            yield Found(changed=tuple(gathered))
            gathered, size = [], 0
        gathered.append(one)
        size += bytes_
    if gathered:
        yield Found(changed=tuple(gathered))
