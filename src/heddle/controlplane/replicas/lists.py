"""Lists that every replica must have: which credentials were revoked, which tokens of gateways were used.

Owns that what is added to the file of one replica, by whichever program, is in the files of all of them a second later.
Nothing is ever taken off a list here, but for tokens that have ended: of two replicas, one must not forget what the
other was told. While the database is away, each has what it had.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from heddle.controlplane.access.authority import DENIED_FILE
from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.distribution.joining import USED_FILE
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write

_log = logging.getLogger("heddle.replicas")

RESOURCE = "lists.replicas.heddle.dev"
"""Served by no kind."""
LOOK_S = 0.5
FILES = (DENIED_FILE, USED_FILE)


class Store(Protocol):
    """Where the lists meet."""

    def get(self, key: Key) -> Any:
        """The object, or None."""
        ...

    async def write(self, writes: Sequence[Write]) -> Sequence[Any]:
        """All or none. Raises ConflictError, UnavailableError."""
        ...

    async def fresh(self) -> int:
        """See what others wrote. Raises UnavailableError."""
        ...


class Lists:
    """The lists of one replica."""

    def __init__(self, store: Store, folder: Path) -> None:
        """`folder` is the control plane's."""
        self._store, self._folder = store, folder

    async def run(self) -> None:
        """Keep them alike, until cancelled."""
        complained = False
        while True:
            try:
                await self.turn()
                complained = False
            except ConflictError:
                with contextlib.suppress(UnavailableError):
                    await self._store.fresh()
            except (UnavailableError, OSError) as exc:
                if not complained:
                    _log.warning("what is revoked is not told to other replicas now: %s", exc)
                complained = True
            await asyncio.sleep(LOOK_S)

    async def turn(self) -> None:
        """Add to each what only the other has. Raises ConflictError, UnavailableError, OSError."""
        for name in FILES:
            path, key = self._folder / name, Key(RESOURCE, "", name)
            stored = self._store.get(key)
            there = _by_id(stored.object.get("lines", []) if stored is not None else [])
            here = _by_id(await asyncio.to_thread(_read, path))
            news = [line for one, line in there.items() if one not in here]
            if news:
                await asyncio.to_thread(_append, path, news)
            if here.keys() - there.keys():
                await self._write(key, {**there, **here}, stored.version if stored is not None else 0)

    async def _write(self, key: Key, lines: Mapping[str, str], expected: int) -> None:
        made = {"metadata": {"name": key.name}, "lines": list(lines.values())}
        author = Author(CONTROL_PLANE.name, "replicas", "update" if expected else "create")
        await self._store.write([Write(key, msgspec.json.encode(made), expected, author, time.time())])


def _by_id(lines: Sequence[str]) -> dict[str, str]:
    """Lines by their first word, without those whose second says that they have ended."""
    found = {}
    for line in lines:
        words = line.partition("#")[0].split()
        if words and not (len(words) == 2 and words[1].isdecimal() and int(words[1]) < time.time()):
            found[words[0].lower()] = line
    return found


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []


def _append(path: Path, lines: Sequence[str]) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode("ascii", "replace"))
        file.flush()
        os.fsync(file.fileno())
