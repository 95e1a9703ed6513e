"""Values in a Redis, which all machines see that share it.

Owns what is done when Redis cannot be reached: there is nothing then, and for a moment nobody asks again, so that a
dead Redis costs one time-out and not one for every call. It is logged once until it answers again. A space is bounded
by how long its values live and how large one may be; how much there is altogether, `maxmemory` of the Redis says.

*Source:* Redis commands GET, SET (PX), DEL.
"""

import asyncio
import logging
import time
from typing import Any

from redis import asyncio as client
from redis.exceptions import RedisError

from heddle.drivers.kv import KEY_BYTES, MAX_TTL_S, SPACES, Space

_log = logging.getLogger("heddle.kv")

TIMEOUT_S = 0.5
"""Longest wait for an answer. What is kept here is worth less than a call's time."""
REST_S = 1.0
"""How long nobody asks after a failure."""
MAX_CONNECTIONS = 32
MAX_WAITING = 10_000
"""Writes under way; further ones are given up."""
PREFIX = b"heddle:kv:"


class RedisKv:
    """One space."""

    def __init__(self, stores: "RedisStores", name: str, space: Space) -> None:
        self._stores = stores
        self._prefix = PREFIX + name.encode() + b":"
        self._space = space

    async def get(self, key: bytes) -> bytes | None:
        """See `Kv`."""
        value = await self._stores.ask("GET", self._prefix + key)
        return value if isinstance(value, bytes) and len(value) <= self._space.value_bytes else None

    def put(self, key: bytes, value: bytes, ttl_s: float) -> "asyncio.Future[None] | None":
        """See `Kv`."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        if len(value) > self._space.value_bytes:
            return self.delete(key)
        lasts_ms = max(1, int(min(ttl_s, MAX_TTL_S) * 1000))
        return self._stores.tell("SET", self._prefix + key, value, "PX", lasts_ms)

    def delete(self, key: bytes) -> "asyncio.Future[None] | None":
        """See `Kv`."""
        return self._stores.tell("DEL", self._prefix + key)


class RedisStores:
    """All spaces in one Redis; a `Stores`."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        pool = client.BlockingConnectionPool.from_url(
            url,
            username=username or None,
            password=password or None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
        )
        self._redis: Any = client.Redis.from_pool(pool)
        self._writing: set[asyncio.Future[None]] = set()
        self._rests_until = 0.0
        self._failing = False

    def __call__(self, name: str) -> RedisKv:
        """The space called `name`."""
        return RedisKv(self, name, SPACES[name])

    async def ask(self, *command: object) -> object:
        """The answer to a command; None when there is none to be had."""
        if time.monotonic() < self._rests_until:
            return None
        try:
            answer: object = await self._redis.execute_command(*command)
        except (RedisError, OSError) as exc:
            self._failed(exc)
            return None
        if self._failing:
            self._failing = False
            _log.warning("redis answers again")
        return answer

    def tell(self, *command: object) -> "asyncio.Future[None] | None":
        """Send a command whose answer says nothing."""
        if len(self._writing) >= MAX_WAITING:
            return None
        writing: asyncio.Future[None] = asyncio.ensure_future(self._tell(command))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return writing

    async def _tell(self, command: tuple[object, ...]) -> None:
        await self.ask(*command)

    def _failed(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + REST_S
        if not self._failing:
            self._failing = True
            # The kind only: what Redis says may quote what it was sent.
            _log.warning("redis cannot be asked (%s); until it can, nothing is remembered", type(error).__name__)

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        if self._writing:
            await asyncio.wait(set(self._writing), timeout=TIMEOUT_S)
        await self._redis.aclose()
