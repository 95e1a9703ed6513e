"""Where a worker keeps what workers remember for each other: files of this machine, or a Redis that machines share.

Owns the change from one to the other with a snapshot. Calls under way remember where they began.
"""

import asyncio
from typing import Any

from heddle.drivers.kv.shared import SharedStores
from heddle.model.snapshot_budgets import StateSpec
from heddle.pipeline.assembly import Tools


class Keeping:
    """The stores of one worker, by configuration."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._local = SharedStores(tools.state_dir / "kv", tools.slot, tools.clock.now)
        self._at = ("", "", "")
        self._remote: Any = None
        self._closing: asyncio.Future[None] | None = None
        tools.kv = self._local

    def follow(self, spec: StateSpec) -> None:
        """Use what the configuration says. Raises ValueError when the driver is not installed."""
        at = (spec.kv, spec.username, spec.password) if spec.kv else ("", "", "")
        if at == self._at:
            return
        remote = _open(*at) if spec.kv else None
        former, self._remote, self._at = self._remote, remote, at
        self._tools.kv = self._local if remote is None else remote
        if former is not None:
            # Run when the snapshot that used it has no calls left.
            self._tools.closers.append(lambda: self._close_later(former))

    def _close_later(self, former: Any) -> None:
        self._closing = asyncio.ensure_future(former.close())

    async def close(self) -> None:
        """Finish what is being written, and let go of all files."""
        if self._remote is not None:
            await self._remote.close()
        self._local.close()


def _open(url: str, username: str, password: str) -> Any:
    try:
        from heddle.drivers.kv.redis import RedisStores  # noqa: PLC0415 - an extra that few install
    except ImportError as exc:
        raise ValueError("`state.kv` needs the extra `redis`: pip install 'heddle-mesh[redis]'") from exc
    return RedisStores(url, username, password)
