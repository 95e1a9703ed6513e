"""The bus of several machines: what has to leave this one goes through a Redis, everything else does not.

Owns what is done when Redis cannot be reached: what should have left is given up, and for a moment nobody asks again.
It is logged once until it answers again. A payload that is large waits in Redis under a name of its own, for a minute,
and only the name is said: subscribers that lag behind with large messages would be cut off. Whoever can write to the
Redis can speak on the bus; it should be nobody else's.

*Source:* Redis commands PUBLISH, SUBSCRIBE, SET (PX), GET; redis.conf, `client-output-buffer-limit pubsub`.
"""

import asyncio
import logging
import os
import struct
from collections.abc import Callable
from typing import Any, Protocol

from redis import asyncio as client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from heddle.drivers.bus import MAX_PAYLOAD_BYTES, Bus, Handler
from heddle.drivers.bus.backlog import Backlog, Losses
from heddle.drivers.bus.memory import ADDRESS
from heddle.drivers.bus.topics import Topics

_log = logging.getLogger("heddle.bus")

CONNECT_TIMEOUT_S = 1.0
TIMEOUT_S = 15.0
"""Longest wait for an answer; large messages are under way for a while, and no call waits for them."""
CLOSE_S = 2.0
"""How long a process that leaves waits for what it has said last to be taken."""
REST_S = 1.0
"""How long nobody asks after a failure."""
PING_S = 15.0
"""A connection on which nothing is said is tried this often."""
GONE_S = 5.0
"""How long an address counts as gone at which nobody listened. Its process may only have lost its connection."""
MAX_GONE = 1024
BATCH = 64
"""Messages that share a round trip."""
WHOLE_BYTES = 256 * 1024
"""Larger payloads are kept for those who listen, for KEEP_MS."""
KEEP_MS = 60_000
CHANNEL = b"heddle:bus"
KEPT = b"heddle:bus:kept:"

_HEAD = struct.Struct("!BBB")
"""Whether the payload is kept elsewhere, length of the speaker's address, length of the topic. Both follow in UTF-8,
and then the payload, or the key under which it is."""
_Saying = tuple[bytes, bytes, bytes, bytes]
"""Channel, head, key under which the payload is kept (or nothing), payload."""


class LocalBus(Bus, Protocol):
    """What delivers on this machine."""

    @property
    def losses(self) -> Losses:
        """What this process has given up."""
        ...

    @property
    def topics(self) -> Topics:
        """Its subscribers."""
        ...


class RedisBus:
    """A `Bus` over `local` and a Redis. Addresses and subscriptions are `local`'s, and outlive this object."""

    def __init__(self, local: LocalBus, url: str, username: str = "", password: str = "") -> None:
        """Connects by and by. Needs a running loop."""
        self._local = local
        self.address = local.address
        self._machine = local.address.partition(".")[0]
        self._loop = asyncio.get_running_loop()
        self._redis: Any = client.Redis.from_url(
            url,
            username=username or None,
            password=password or None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_keepalive=True,
            health_check_interval=PING_S,
            # A message is said once: whether the first attempt was heard cannot be known.
            retry=Retry(NoBackoff(), 0),
        )
        self._waiting: Backlog[_Saying] = Backlog(local.losses, "redis")
        self._gone: dict[str, float] = {}
        self._rests_until = 0.0
        self._failing: set[str] = set()
        """Which of `say` and `hear` does not work."""
        self._closed = False
        self._saying: asyncio.Task[None] | None = None
        self._hearing = self._loop.create_task(self._hear())

    @property
    def dropped(self) -> int:
        """See `Bus`."""
        return self._local.dropped

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus`."""
        self._local.publish(topic, payload)
        self._say(CHANNEL, topic, payload)

    def send(self, address: str, topic: str, payload: bytes) -> bool:
        """See `Bus`."""
        found = ADDRESS.fullmatch(address)
        if found is None:
            return False
        if found[1] == self._machine:
            return self._local.send(address, topic, payload)
        now_s = self._loop.time()
        if self._closed or now_s < self._rests_until or now_s < self._gone.get(address, 0.0):
            return False
        self._say(_channel(address), topic, payload)
        return True

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """See `Bus`."""
        return self._local.subscribe(topic, handler)

    async def close(self) -> None:
        """Say what waits, and let go of Redis; `local` goes on."""
        self._closed = True
        ending = {self._hearing}
        if self._saying is not None:
            ending.add(self._saying)
            await asyncio.wait([self._saying], timeout=CLOSE_S)
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        await self._redis.aclose()

    def _say(self, channel: bytes, topic: str, payload: bytes) -> None:
        # Too large for here is too large for `local`, which has counted it.
        name = topic.encode()
        if self._closed or not 0 < len(name) < 256 or len(payload) > MAX_PAYLOAD_BYTES:
            return
        if self._loop.time() < self._rests_until:
            self._local.losses.add("redis cannot be reached")
            return
        key = KEPT + os.urandom(16).hex().encode() if len(payload) > WHOLE_BYTES else b""
        speaker = self.address.encode()
        head = _HEAD.pack(bool(key), len(speaker), len(name)) + speaker + name
        if self._waiting.add((channel, head, key, payload), len(payload)) and self._saying is None:
            self._saying = self._loop.create_task(self._say_all())

    async def _say_all(self) -> None:
        """Say what waits, in its order."""
        try:
            while self._waiting:
                await self._say_some([self._waiting.take() for _ in range(min(BATCH, len(self._waiting)))])
        finally:
            self._saying = None

    async def _say_some(self, batch: list[_Saying]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for channel, head, key, payload in batch:
            if key:
                pipeline.set(key, payload, px=KEEP_MS)
            pipeline.publish(channel, head + (key or payload))
        try:
            answers = await pipeline.execute()
        except (RedisError, OSError) as exc:
            self._failed("say", exc)
            self._local.losses.add("redis cannot be reached", len(batch) + self._waiting.clear())
            return
        self._answered("say")
        # Of a SET it is True.
        heard_by = [answer for answer in answers if answer is not True]
        for (channel, *_), heard in zip(batch, heard_by, strict=True):
            if not heard and channel != CHANNEL:
                self._note_gone(channel)

    def _note_gone(self, channel: bytes) -> None:
        if len(self._gone) >= MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._gone[channel.removeprefix(CHANNEL + b":").decode()] = self._loop.time() + GONE_S

    async def _hear(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANNEL, _channel(self.address))
                    while True:
                        message = await pubsub.get_message(timeout=PING_S)
                        self._answered("hear")
                        if message is not None:
                            await self._heard(message["data"])
            except (RedisError, OSError) as exc:
                self._failed("hear", exc)
                # Others that rest in the pool ended with this one: saying something over them would lose it.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                await asyncio.sleep(REST_S)

    async def _heard(self, data: bytes) -> None:
        """Pass on what another machine says; what is none of our messages is left out."""
        if len(data) < _HEAD.size:
            return
        kept, speaks, named = _HEAD.unpack_from(data)
        body = _HEAD.size + speaks + named
        try:
            speaker, topic = data[_HEAD.size : body - named].decode("ascii"), data[body - named : body].decode()
        except UnicodeDecodeError:
            return
        found = ADDRESS.fullmatch(speaker)
        if found is None or found[1] == self._machine:
            # On this machine it has been heard already.
            return
        self._gone.pop(speaker, None)
        payload = await self._kept(data[body:]) if kept else data[body:]
        if payload is not None and len(payload) <= MAX_PAYLOAD_BYTES:
            self._local.topics.deliver(topic, payload)

    async def _kept(self, key: bytes) -> bytes | None:
        """A payload that was too large to be said."""
        payload: bytes | None = await self._redis.get(key) if key.startswith(KEPT) else None
        if payload is None:
            self._local.losses.add("a large one has waited in redis for too long")
        return payload

    def _failed(self, what: str, error: Exception) -> None:
        self._rests_until = self._loop.time() + REST_S
        known = bool(self._failing)
        self._failing.add(what)
        if not known:
            # The kind only: what Redis says may quote what it was sent.
            _log.warning("redis cannot be reached (%s); other machines hear nothing", type(error).__name__)

    def _answered(self, what: str) -> None:
        if what in self._failing:
            self._failing.remove(what)
            if not self._failing:
                _log.warning("redis answers again")


def _channel(address: str) -> bytes:
    return CHANNEL + b":" + address.encode()
