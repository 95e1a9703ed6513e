"""Which counters a worker uses: its machine's table, or a Redis that several machines share.

Owns the change from one to the other with a snapshot. Calls under way settle where they reserved.
"""

import asyncio
from typing import Any

from heddle.drivers.counters import Counters
from heddle.model.snapshot_budgets import StateSpec
from heddle.pipeline.assembly import Tools


class Counting:
    """The counters of one worker, by configuration."""

    def __init__(self, local: Counters) -> None:
        self._local = local
        self._spec = StateSpec()
        self._remote: Any = None
        self._closing: asyncio.Future[None] | None = None

    def follow(self, spec: StateSpec, tools: Tools) -> None:
        """Use what the configuration says. Raises ValueError when the driver is not installed."""
        if spec == self._spec:
            return
        remote = _open(spec) if spec.counters else None
        former, self._remote, self._spec = self._remote, remote, spec
        tools.counters = self._local if remote is None else remote
        if former is not None:
            # Run when the snapshot that used it has no calls left.
            tools.closers.append(lambda: self._close_later(former))

    def _close_later(self, former: Any) -> None:
        self._closing = asyncio.ensure_future(former.close())

    async def close(self) -> None:
        """Send what was settled last."""
        if self._remote is not None:
            await self._remote.close()


def _open(spec: StateSpec) -> Counters:
    try:
        from heddle.drivers.counters.redis import RedisCounters  # noqa: PLC0415 - an extra that few install
    except ImportError as exc:
        raise ValueError("`state.counters` needs the extra `redis`: pip install 'heddle-mesh[redis]'") from exc
    return RedisCounters(spec.counters, spec.username, spec.password)
