"""What workers remember for each other for a while: values by key, each with an end, in bounded spaces.

A space forgets what is oldest when it is full, and may forget anything sooner: whoever keeps something here can do
without it, or refuses what it cannot check. Values are opaque; whether one can still be read is its reader's question.

Promise of every driver: what `get` returns was put under exactly this key, whole, by `put`, and has not ended. A store
that cannot be reached, or that is damaged, has nothing.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

KEY_BYTES = 32
"""Keys are digests (SHA-256)."""

MAX_TTL_S = 366 * 86_400.0

MIB = 1024 * 1024


class Space(NamedTuple):
    """Bounds of a space: on one machine for each worker, in memory for each process."""

    entries: int
    bytes: int
    value_bytes: int
    """Largest value that is kept."""


SPACES = {
    "answers": Space(entries=16_384, bytes=128 * MIB, value_bytes=8 * MIB),
    "thinking": Space(entries=65_536, bytes=64 * MIB, value_bytes=MIB),
    "owners": Space(entries=262_144, bytes=64 * MIB, value_bytes=4096),
    "mcp_sessions": Space(entries=131_072, bytes=64 * MIB, value_bytes=64 * 1024),
    "mcp_replay": Space(entries=65_536, bytes=128 * MIB, value_bytes=8 * MIB),
    "mcp_tasks": Space(entries=131_072, bytes=32 * MIB, value_bytes=4096),
    "mcp_oauth": Space(entries=16_384, bytes=16 * MIB, value_bytes=16 * 1024),
}
"""Cached answers; proofs of thinking that a dialect has no place for; owners of what a vendor keeps. Of MCP: what
changed about sessions since their tokens were made, events of streams that can be resumed, owners of tasks,
authorization flows under way.

On one machine a space costs no memory: files grow as they are written to. A worker reads its index, 40 bytes for each
entry, once when it opens the space.
"""


class Kv(Protocol):
    """One space."""

    async def get(self, key: bytes) -> bytes | None:
        """The value, or None. Never raises for what is wrong with the store."""
        ...

    def put(self, key: bytes, value: bytes, ttl_s: float) -> "asyncio.Future[None] | None":
        """Keep `value` for `ttl_s` seconds in place of what was there; too large a one is not kept.

        Others have it when what is returned is done (None: at once); nobody needs to wait for it. Never raises.
        """
        ...

    def delete(self, key: bytes) -> "asyncio.Future[None] | None":
        """Forget it; done as with `put`."""
        ...


Stores = Callable[[str], Kv]
"""From the name of a space (a key of `SPACES`) to the space; asked once by each who keeps something."""
