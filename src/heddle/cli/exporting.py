"""What carries records out of the state directory, from the mesh's point of view.

`heddle up` runs the exporter as a process of its own and tells it through a pipe; `heddle gateway` leaves what
`heddle exporter` needs in a file.
"""

import asyncio
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from heddle.cli.state import OBSERVABILITY_FILE, write_private
from heddle.dataplane.supervisor import child_environment
from heddle.model.snapshot import ObservabilitySpec
from heddle.telemetry.spool import direct_file

GRACE_S = 8.0
"""How long the exporter may go on delivering when the mesh ends; what is left waits in the spool."""


class Export(Protocol):
    """Follows the configuration of a mesh."""

    async def apply(self, observability: ObservabilitySpec) -> None:
        """Make it follow a configuration. Raises OSError when it cannot be told."""
        ...

    async def revive(self) -> None:
        """Called twice a second: whatever died starts again."""
        ...

    async def stop(self) -> None:
        """Let it deliver what is there, then end it."""
        ...

    def hurry(self) -> None:
        """While stopping: do not wait any longer."""
        ...


class ExporterProcess:
    """The process that ships records; started with the first configuration that gives it something to do."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._process: asyncio.subprocess.Process | None = None
        self._sent: ObservabilitySpec | None = None
        # Credentials of an earlier `heddle gateway` here.
        (state_dir / OBSERVABILITY_FILE).unlink(missing_ok=True)

    async def apply(self, observability: ObservabilitySpec) -> None:
        """Make it follow a configuration."""
        alive = self._process is not None and self._process.returncode is None
        if alive and observability == self._sent:
            return
        if not alive:
            if not needs_exporter(observability, self._state_dir / "spool"):
                return
            self._process = await self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(observability) + b"\n")
        self._sent = observability

    async def revive(self) -> None:
        """Start it again if it died: it continues where it was."""
        if self._process is not None and self._process.returncode is not None and self._sent is not None:
            await self.apply(self._sent)

    async def _start(self) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "heddle.dataplane.exporter", "--state", str(self._state_dir), "--config", "0"]
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, start_new_session=True, env=child_environment()
        )

    async def stop(self) -> None:
        """Let it deliver what is there, then end it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            self.hurry()
            await process.wait()

    def hurry(self) -> None:
        """End it now. What it has not delivered waits in the spool, audit records included."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


class ExporterFile:
    """What an exporter that runs elsewhere reads."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / OBSERVABILITY_FILE

    async def apply(self, observability: ObservabilitySpec) -> None:
        """Leave it in the state directory."""
        write_private(self._path, msgspec.json.encode(observability))

    async def revive(self) -> None:
        """Nothing here dies."""

    async def stop(self) -> None:
        """The exporter goes on with what is in the spool."""

    def hurry(self) -> None:
        """There is nothing to wait for."""


def needs_exporter(observability: ObservabilitySpec, spool: Path) -> bool:
    """Whether anything must be carried out of the state directory.

    A single log file is written by the workers themselves; what an earlier run spooled, for other sinks or for none,
    is carried there all the same.
    """
    logging, tracing = observability.logging, observability.tracing
    if tracing.enabled and tracing.endpoint:
        return True
    if not logging.enabled or not logging.sinks:
        return False
    return not direct_file(logging) or any(segment.stat().st_size for segment in spool.glob("*.jsonl"))
