"""How a worker speaks with the others: sockets of this machine, and a Redis beside them where machines share one.

Owns when the bus is opened, with the first snapshot that has a listener whose calls need it, and the change of its
Redis. The address and the subscriptions of a worker stay what they are for as long as it lives.
"""

import asyncio
from typing import Any

from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_budgets import StateSpec
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names

SPOKEN_FOR = frozenset({"MCP"})
"""Protocols of listeners whose workers have something to say to each other."""


def has_to_speak(snapshot: Snapshot) -> bool:
    """Whether any of its listeners serves what takes more than one worker."""
    return any(listener.protocol in SPOKEN_FOR for listener in snapshot.listeners)


class Speaking:
    """The bus of one worker, by configuration."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._local: Any = None
        self._at = ("", "", "")
        self._remote: Any = None
        self._closing: asyncio.Future[None] | None = None
        self._counted = 0

    def follow(self, snapshot: Snapshot) -> None:
        """Use what the configuration says. Raises OSError when the folder of sockets cannot be used, and ValueError
        when a driver is not installed."""
        if self._local is None:
            if not has_to_speak(snapshot):
                return
            self._local = self._tools.bus = _listen(self._tools)
        self._connect(snapshot.state)

    def _connect(self, spec: StateSpec) -> None:
        at = (spec.kv, spec.username, spec.password) if spec.kv else ("", "", "")
        if at == self._at:
            return
        remote = _open(self._local, *at) if spec.kv else None
        former, self._remote, self._at = self._remote, remote, at
        self._tools.bus = self._local if remote is None else remote
        if former is not None:
            # Run when the snapshot that used it has no calls left.
            self._tools.closers.append(lambda: self._close_later(former))

    def _close_later(self, former: Any) -> None:
        self._closing = asyncio.ensure_future(former.close())

    def count(self) -> None:
        """Add to the metrics what was given up since the last time."""
        dropped = self._tools.bus.dropped
        if dropped != self._counted:
            self._tools.metrics.counter(names.BUS_DROPPED).add(dropped - self._counted)
            self._counted = dropped

    async def close(self) -> None:
        """Say what waits, and leave."""
        if self._remote is not None:
            await self._remote.close()
        if self._local is not None:
            self._local.close()


def _listen(tools: Tools) -> Any:
    from heddle.drivers.bus.unix import UnixBus  # noqa: PLC0415 - most workers need none

    return UnixBus(tools.state_dir / "bus")


def _open(local: Any, url: str, username: str, password: str) -> Any:
    try:
        from heddle.drivers.bus.redis import RedisBus  # noqa: PLC0415 - an extra that few install
    except ImportError as exc:
        raise ValueError("`state.kv` needs the extra `redis`: pip install 'heddle-mesh[redis]'") from exc
    return RedisBus(local, url, username, password)
