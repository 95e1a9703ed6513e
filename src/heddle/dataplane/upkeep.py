"""What a worker counts now and then instead of with every call: losses, what waits, what is open."""

from heddle.pipeline.assembly import Tools
from heddle.telemetry import names
from heddle.telemetry.metrics import Gauge
from heddle.telemetry.spool import Spool

ORIGINS_EVERY = 20
"""Connections to providers are counted with one look in so many: about once a second."""


class Upkeep:
    """The numbers of one worker that no call brings up to date."""

    __slots__ = ("_held", "_looks", "_lost", "_origins", "_spool", "_tools")

    def __init__(self, tools: Tools, spool: Spool) -> None:
        self._tools = tools
        self._spool = spool
        self._held = tools.metrics.gauge(names.AUDIT_HELD)
        self._lost: dict[str, int] = {}
        self._origins: dict[str, Gauge] = {}
        self._looks = 0

    def look(self) -> None:
        """Bring all of them up to date."""
        self._held.set(self._spool.held + (self._tools.ledger.held if self._tools.ledger is not None else 0))
        self._count_lost()
        if self._looks % ORIGINS_EVERY == 0:
            self._count_origins()
        self._looks += 1

    def _count_lost(self) -> None:
        lost = self._spool.lost
        if self._tools.ledger is not None:
            self._tools.ledger.flush()
            lost = {**lost, "ledger": self._tools.ledger.lost}
        if lost == self._lost:
            return
        for kind, count in lost.items():
            self._tools.metrics.counter(names.RECORDS_LOST, kind=kind).add(count - self._lost.get(kind, 0))
        self._lost = lost

    def _count_origins(self) -> None:
        counts = self._tools.client.connection_counts()
        for owner in counts:
            if owner and owner not in self._origins:
                self._origins[owner] = self._tools.metrics.gauge(names.UPSTREAM_CONNECTIONS, provider=owner)
        for owner, gauge in self._origins.items():
            gauge.set(counts.get(owner, 0))
