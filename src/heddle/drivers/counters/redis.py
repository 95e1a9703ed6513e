"""Counters in a Redis, exact over all machines that share it.

Owns the two scripts that make a reservation and a settlement each one step, and what is done when Redis cannot be
reached: a reservation fails (whoever asked fails closed), a settlement waits and is sent again. A hold has a lease:
what a dead machine held is given back when its lease is over, and a settlement that comes later still counts.

All keys have one hash tag, so that a script may touch them together; in a cluster they live on one primary. Amounts are
exact up to 2**53, the integers of Lua: nine million dollars in nano-dollars.
*Source:* Redis 7, EVALSHA, "Scripting with Lua" (scripts are atomic; TIME may be used with effects replication).
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from typing import Any

from redis import asyncio as client
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from heddle.drivers.counters import MAX_AMOUNT, Charge, Refusal, Reservation, Tally

_log = logging.getLogger("heddle.counters")

LEASE_S = 900
"""How long a hold lasts without its settlement: longer than any call may take."""
TIMEOUT_S = 1.0
FLUSH_S = 0.005
"""How long a settlement may wait for a reservation that takes it along."""
RETRY_S = 0.5
MAX_WAITING = 100_000
"""Settlements kept while Redis is away; beyond it the oldest are given up, and their holds run out."""
PREFIX = "heddle:{counts}:"

_RESERVE = """
local moment = redis.call('TIME')
local now = moment[1] * 1000 + math.floor(moment[2] / 1000)
local id, lease, settled, held, amounts, left = ARGV[1], tonumber(ARGV[2]), {}, {}, {}, {}
for i = 1, #KEYS do
  local key, at = KEYS[i], 2 + (i - 1) * 5
  local amount, least = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local limit, holds = tonumber(ARGV[at + 3]), ARGV[at + 4] == '1'
  if not settled[key] then
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', key .. ':holds', '-inf', now)) do
      redis.call('ZREM', key .. ':holds', dead)
      redis.call('HINCRBY', key, 'held', '-' .. string.match(dead, '|(%d+)$'))
    end
    settled[key] = tonumber(redis.call('HGET', key, 'settled') or '0')
    held[key] = tonumber(redis.call('HGET', key, 'held') or '0')
  end
  local room = limit - settled[key] - held[key]
  if amount > room and holds and least > 0 and least <= room and amount <= limit then amount = room end
  if amount > room then return {0, i, settled[key], held[key]} end
  amounts[i] = amount
  left[i] = room - amount
  if holds then held[key] = held[key] + amount else settled[key] = settled[key] + amount end
end
local answer = {1}
for i = 1, #KEYS do
  local key, at = KEYS[i], 2 + (i - 1) * 5
  local amount = string.format('%.0f', amounts[i])
  if ARGV[at + 4] == '1' then
    redis.call('HINCRBY', key, 'held', amount)
    redis.call('ZADD', key .. ':holds', now + lease, id .. ':' .. i .. '|' .. amount)
    redis.call('PEXPIRE', key .. ':holds', ARGV[at + 5])
  else
    redis.call('HINCRBY', key, 'settled', amount)
  end
  redis.call('PEXPIRE', key, ARGV[at + 5])
  answer[2 * i] = amounts[i]
  answer[2 * i + 1] = left[i]
end
return answer
"""
_SETTLE = """
local lease = ARGV[1]
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', lease) then return 0 end
for i = 2, #KEYS do
  local key, at = KEYS[i], 1 + (i - 2) * 2
  local hold, used = ARGV[at + 1], ARGV[at + 2]
  if redis.call('ZREM', key .. ':holds', hold) == 1 then
    redis.call('HINCRBY', key, 'held', '-' .. string.match(hold, '|(%d+)$'))
  end
  if used ~= '0' then redis.call('HINCRBY', key, 'settled', used) end
  if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, lease) end
end
return 1
"""
_RESERVE_SHA, _SETTLE_SHA = (hashlib.sha1(text.encode()).hexdigest() for text in (_RESERVE, _SETTLE))  # noqa: S324
_Hold = tuple[str, str, str]
"""Name of the reservation, key of the count, member of its holds."""
_Command = tuple[str, list[str], list[object]]
"""Script, keys, arguments."""


class RedisCounters:
    """A `Counters` over one Redis. Errors are ConnectionError and TimeoutError."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        self._redis: Any = client.Redis.from_url(
            url,
            username=username or None,
            password=password or None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
        self._prefix = os.urandom(6).hex()
        self._serial = 0
        self._held: dict[int, _Hold] = {}
        self._places = 0
        self._waiting: list[_Command] = []
        self._flushing: asyncio.Task[None] | None = None
        self.lost = 0
        """Settlements given up; what they were about was held until its lease ended."""

    async def close(self) -> None:
        """Send what waits, and let go."""
        if self._flushing is not None:
            self._flushing.cancel()
        if self._waiting:
            try:
                await self._send([])
            except OSError as exc:
                _log.error("%d settlements are lost: %s", len(self._waiting), exc)
        await self._redis.aclose()

    async def reserve(self, charges: Sequence[Charge], now_s: float) -> Reservation | Refusal:
        """See `Counters`. Raises ConnectionError, TimeoutError; what may have been held then is given back."""
        self._serial += 1
        name = f"{self._prefix}-{self._serial:x}"
        keys: list[str] = []
        arguments: list[object] = [name, int(LEASE_S * 1000)]
        for charge in charges:
            tally = charge.tally
            tally.enter(now_s)
            keys.append(_key(tally))
            expires_ms = int((tally.ends_s - now_s + LEASE_S) * 1000)
            arguments += [charge.amount, charge.least, tally.limit, int(charge.holds), expires_ms]
        try:
            answer = (await self._send([(_RESERVE_SHA, keys, arguments)]))[-1]
        except OSError:
            # It may have been done all the same. (What was lowered meanwhile has another name, and its lease ends.)
            named = enumerate(zip(keys, charges, strict=True), 1)
            holds = [(key, f"{name}:{index}|{charge.amount}") for index, (key, charge) in named if charge.holds]
            self._settle(name, holds, [0] * len(holds))
            raise
        if not answer[0]:
            _, index, settled, held = answer
            charge = charges[index - 1]
            return Refusal(charge, settled, held, charge.tally.ends_s)
        return self._reserved(name, keys, charges, answer)

    def _reserved(self, name: str, keys: list[str], charges: Sequence[Charge], answer: list[int]) -> Reservation:
        granted: list[int] = []
        places: list[int] = []
        for index, charge in enumerate(charges, 1):
            charge.amount = answer[2 * index - 1]
            if charge.holds:
                granted.append(charge.amount)
                self._places += 1
                self._held[self._places] = (name, keys[index - 1], f"{name}:{index}|{charge.amount}")
                places.append(self._places)
        return Reservation([answer[2 * index] for index in range(1, len(charges) + 1)], granted, places)

    def settle(self, reservation: Reservation, amounts: Sequence[int]) -> None:
        """See `Counters`. It is on its way when this returns, before any later reservation of this worker."""
        found = [self._held.pop(place) for place in reservation.places]
        if found:
            holds = [(key, hold) for _, key, hold in found]
            self._settle(found[0][0], holds, [max(0, min(amount, MAX_AMOUNT)) for amount in amounts])
        reservation.granted = reservation.places = ()

    def release(self, reservation: Reservation) -> None:
        """See `Counters`."""
        self.settle(reservation, [0] * len(reservation.granted))

    def try_add(self, tally: Tally, amount: int, now_s: float, holds: bool) -> int:
        """Nothing can be added without waiting: ask `reserve`."""
        del tally, amount, now_s, holds
        return -1

    def settle_one(self, place: int, granted: int, used: int) -> None:
        """Never asked for: `try_add` holds nothing. Raises ValueError."""
        raise ValueError(f"nothing is held at {place}: {granted} granted, {used} used")

    def _settle(self, name: str, holds: list[tuple[str, str]], amounts: list[int]) -> None:
        arguments: list[object] = [int(LEASE_S * 1000)]
        for (_, hold), amount in zip(holds, amounts, strict=False):
            arguments += [hold, amount]
        if not holds:
            return
        self._waiting.append((_SETTLE_SHA, [f"{PREFIX}done:{name}", *(key for key, _ in holds)], arguments))
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[0]
            self.lost += 1
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        pause_s = FLUSH_S
        while self._waiting:
            await asyncio.sleep(pause_s)
            try:
                if self._waiting:
                    await self._send([])
                pause_s = FLUSH_S
            except OSError as exc:
                if pause_s < RETRY_S:
                    _log.warning("settlements wait for Redis: %s", exc)
                pause_s = RETRY_S

    async def _send(self, commands: list[_Command]) -> list[Any]:
        """What waits, then `commands`, in one round trip. A settlement may be sent twice: it counts once."""
        waiting, self._waiting = self._waiting, []
        try:
            return (await self._run([*waiting, *commands]))[len(waiting) :]
        except BaseException:
            self._waiting = waiting + self._waiting
            raise

    async def _run(self, commands: list[_Command]) -> list[Any]:
        try:
            answers = await self._pipeline(commands)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                for text in (_RESERVE, _SETTLE):
                    await self._redis.script_load(text)
                answers = await self._pipeline(commands)
        except (RedisTimeout, TimeoutError) as exc:
            raise TimeoutError("Redis does not answer in time") from exc
        except (RedisError, OSError) as exc:
            raise ConnectionError(f"Redis cannot be reached: {type(exc).__name__}") from exc
        for answer in answers:
            if isinstance(answer, RedisError):
                raise ConnectionError(f"Redis refuses: {answer}")
        return answers

    async def _pipeline(self, commands: list[_Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for script, keys, arguments in commands:
            pipeline.evalsha(script, len(keys), *keys, *arguments)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _key(tally: Tally) -> str:
    """A count's key. The `repr` of a tuple of strings and numbers is injective; names of callers stay out of Redis."""
    identity = (tally.name, tally.unit, tally.window_s, tally.starts_s, tally.values)
    return PREFIX + hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest()
