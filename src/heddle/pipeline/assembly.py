"""What plug-ins are given when they are built: the tools of one worker process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heddle.drivers.bus import Bus
from heddle.drivers.bus.memory import MemoryBus
from heddle.drivers.counters import Counters
from heddle.drivers.kv import Stores
from heddle.drivers.kv.memory import MemoryStores
from heddle.drivers.ledger.writer import Ledger
from heddle.drivers.sealing import Sealing
from heddle.model.snapshot_guards import GuardSpec
from heddle.net.client import Client
from heddle.pipeline.guarding import GuardSet
from heddle.pipeline.keyring import Keyring
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks, injectable so that tests own time."""

    now: Callable[[], float]
    """Unix time in seconds."""
    monotonic: Callable[[], float]
    """Seconds from an arbitrary start, never backwards."""


def _no_guards(specs: Sequence[GuardSpec], tools: "Tools") -> GuardSet:
    del specs, tools
    raise ValueError("this process has no guards")


@dataclass(slots=True)
class Tools:
    """Shared by all routes of a worker; lives longer than a snapshot."""

    clock: Clock
    client: Client
    metrics: Metrics
    counters: Counters
    audit: Callable[[AuditRecord], None]
    """Writes an audit record durably before it returns (microseconds, no await)."""
    state_dir: Path
    ledger: Ledger | None = None
    """Where settled calls are entered; None where there is no such place."""
    slot: int = 0
    """Number of this worker, 0-based."""
    guards: Callable[[Sequence[GuardSpec], "Tools"], GuardSet] = _no_guards
    """Builds the guards of a snapshot."""
    kv: Stores = field(default_factory=MemoryStores)
    """Spaces in which workers remember for each other."""
    bus: Bus = field(default_factory=MemoryBus)
    """What workers say to each other. Its address and subscriptions stay when configuration replaces it."""
    sealing: Sealing = field(default_factory=Sealing)
    """Seals what strangers carry for us. By default with a key of this object alone, which no other worker knows."""
    keyring: Keyring = field(default_factory=Keyring)
    """Keys that were made at run time."""
    closers: list[Callable[[], None]] = field(default_factory=list)
    """Run when the snapshot that asked for them is dropped (background refreshes, say)."""
    lasting: dict[str, Any] = field(default_factory=dict)
    """What outlives snapshots, by who made it: calls that wait for their callers, say."""
