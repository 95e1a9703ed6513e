"""Where a control plane's audit records go: the spool of its state directory, beside those of the gateway.

Owns the spool and its upkeep. A record is in a file before its request is answered, survives the process, and is
carried to the configured sinks by the exporter; without a sink it waits there. While the disk refuses, records are kept
in memory, and `degraded` says so.
"""

import asyncio
import contextlib
from pathlib import Path

from heddle.controlplane.access.audit import Audit
from heddle.model.snapshot import ObservabilitySpec
from heddle.telemetry.spool import Spool

SLOT = 2_000
"""Under which a control plane writes: no worker has it, nor the parent of workers."""
FLUSH_S = 0.25
"""How soon refusals that were counted are written, after the second they were counted in."""


class Trail:
    """The audit records of one control plane."""

    def __init__(self, state_dir: Path) -> None:
        """Raises OSError when nothing can be written there."""
        directory = state_dir / "spool"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._spool = Spool(directory, SLOT)
        self._spool.configure(ObservabilitySpec())
        self.audit = Audit(self._spool.audit)

    @property
    def degraded(self) -> bool:
        """Records wait in memory because they cannot be written."""
        return self._spool.degraded

    async def keep(self) -> None:
        """Write what was counted, and try again what could not be written, until cancelled; then write all and end."""
        with contextlib.closing(self._spool):
            while True:
                await asyncio.sleep(FLUSH_S)
                self._spool.flush()
