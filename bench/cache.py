"""What does the exact cache cost? CPU time of a hit and of a miss, beside the same call without a cache.

Owns: the calls, and the clock. Nothing is served: a call goes through the policy alone, in this process, to a handler
that has the answer ready; entries are in files of a temporary folder, as they are on one machine.
Refuses: counting what the rest of the gateway does with a call, which is a question of `chat`.
"""

import asyncio
import gc
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.figures import Options, Result, Target
from heddle.drivers.kv.shared import SharedStores
from heddle.model.call import ModelCall, Usage
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_caching import CacheSpec
from heddle.net.message import Reply
from heddle.pipeline.assembly import Clock
from heddle.policies.cache import build
from heddle.telemetry.metrics import Metrics

CALLS = 500
ROUNDS = 5
LANES = 2
CLAIM_HIT_US = 100.0
CLAIM_MISS_US = 150.0
"""Added to a call that a provider answers, in some hundred milliseconds."""
CALLER = Principal(method="api_key", tenant="t", user="u", agent="a", key_id="k")
_CONTENT = "The quick brown fox jumps over the lazy dog. " * 20


def _body(number: int, streamed: bool) -> bytes:
    messages = [{"role": "user", "content": f"{number}: {_CONTENT}"}]
    return json.dumps({"model": "m", "temperature": 0, "messages": messages, "stream": streamed}).encode()


def _answer() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": _CONTENT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                       "usage": usage}).encode()  # fmt: skip


class _World:
    """A policy in front of an answer."""

    def __init__(self, folder: Path) -> None:
        self._answer = _answer()
        SharedStores(folder, LANES - 1, time.time)("answers")
        tools: Any = SimpleNamespace(
            clock=Clock(time.time, time.monotonic), kv=SharedStores(folder, 0, time.time), metrics=Metrics.in_memory()
        )
        policy = build(Snapshot(version="v", caching=(CacheSpec(name="all"),)), tools)
        assert policy is not None
        self.cached = policy.wrap(self.plain)

    async def plain(self, exchange: Any) -> Reply:
        exchange.usage = Usage(input_tokens=250, output_tokens=200)
        return Reply(200, [], self._answer)

    async def us(self, handler: Callable[[Any], Awaitable[Reply]], first: int, streamed: bool = False) -> float:
        """Microseconds of CPU for one of so many calls, from body `first` on."""
        exchanges = [_exchange(_body(first + number, streamed), streamed) for number in range(CALLS)]
        gc.collect()
        began = time.process_time()
        for exchange in exchanges:
            body = (await handler(exchange)).body
            if not isinstance(body, bytes):
                async for _ in body:
                    pass
        return (time.process_time() - began) / CALLS * 1e6


def _exchange(body: bytes, streamed: bool) -> Any:
    call = ModelCall(
        operation="chat", dialect="openai_chat", model="m", body=body, stream=streamed, entry="m", provider="p",
        upstream_model="m",
    )  # fmt: skip
    fields: dict[bytes, bytes] = {}
    request = SimpleNamespace(header=fields.get, fields=lambda: fields)
    return SimpleNamespace(call=call, principal=CALLER, request=request, usage=None, reason=None, cache="")


async def _measure(world: _World) -> tuple[float, float, float]:
    """Of a miss, a hit, and a hit that is streamed: the quickest of some rounds, less the call itself."""
    await world.us(world.cached, -CALLS)
    plain = min([await world.us(world.plain, 0) for _ in range(ROUNDS)])
    misses = [await world.us(world.cached, number * CALLS) for number in range(ROUNDS)]
    hits = [await world.us(world.cached, number * CALLS) for number in range(ROUNDS)]
    streams = [await world.us(world.cached, number * CALLS, streamed=True) for number in range(ROUNDS)]
    return min(misses) - plain, min(hits) - plain, min(streams) - plain


def run(options: Options) -> Result:
    """The whole question."""
    del options
    with tempfile.TemporaryDirectory() as folder:
        miss_us, hit_us, stream_us = asyncio.run(_measure(_World(Path(folder))))
    result = Result("The exact cache", ["a call of 1 KiB with an answer of 1 KiB", "CPU, µs"])
    result.rows = [
        ["a miss, its answer kept", round(miss_us, 1)],
        ["a hit", round(hit_us, 1)],
        ["a hit, streamed", round(stream_us, 1)],
    ]
    result.notes = ["Added to a call that no caching rule matches; entries in files, two workers' worth of them."]
    result.targets = [
        Target("CPU added by a miss, µs", miss_us, at_most=CLAIM_MISS_US),
        Target("CPU of a hit, µs", hit_us, at_most=CLAIM_HIT_US),
    ]
    return result
