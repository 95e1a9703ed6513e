"""Everything about gateways that a control-plane process runs, as one thing to start and to stop.

Owns the order: what is in the store is compiled before the first gateway is answered, so that none is ever sent an
empty state because nothing had been read yet. Whoever has sources starts this once each was brought in.
"""

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from heddle.controlplane.access.authority import Authority
from heddle.controlplane.compiling import Compiler, Surroundings
from heddle.controlplane.distribution.compiled import Compiled, Store
from heddle.controlplane.distribution.hub import Hub
from heddle.controlplane.distribution.joining import Joining
from heddle.controlplane.distribution.listening import Distribution, Listening, serve
from heddle.controlplane.distribution.reporting import Reporting
from heddle.controlplane.prices import price_table
from heddle.controlplane.replicas.leading import Lead
from heddle.drivers.documents import Key

_log = logging.getLogger("heddle.distribution")

ROOT = "default"
"""Namespace whose policies hold for the whole mesh."""


class Beside(Protocol):
    """What hears what gateways say."""

    def join(self, hub: Hub) -> None:
        """Hear its gateways."""
        ...

    async def run(self) -> None:
        """Work, until cancelled."""
        ...


class Gateways:
    """What serves gateways with the state of a store."""

    def __init__(
        self, store: Store, authority: Authority, state_dir: Path, listening: Listening, lead: Lead | None = None
    ) -> None:
        """`lead` says whether conditions are this replica's to write; None is always."""
        self._lead = lead
        self._store = store
        self._authority = authority
        self._state_dir = state_dir
        self._listening = listening
        self._tasks: list[asyncio.Task[None]] = []
        self.makers: Callable[[str], Sequence[Key]]
        """The objects that a part was made of. Set by `start`."""
        self.distribution: Distribution | None = None
        """Set by `start`."""

    @property
    def address(self) -> tuple[str, int]:
        """Where gateways are served."""
        assert self.distribution is not None
        return self.distribution.address

    async def start(self, environ: Mapping[str, str] | None = None, folder: str = "") -> None:
        """Compile and serve. `environ` and `folder` are what `${NAME}` and relative paths mean; the folder is absolute.

        Raises OSError, AuthorityError.
        """
        around = Surroundings(
            environ=os.environ if environ is None else environ,
            folder=folder or os.getcwd(),
            prices=price_table,
            now_s=time.time,
            root=ROOT,
        )
        compiled = Compiled(self._store, Compiler(around), time.time, self._lead)
        joining = Joining(self._state_dir, self._authority)
        self.distribution = distribution = await serve(compiled, self._authority, joining, self._listening)
        compiled.changed = distribution.changed
        self.makers = compiled.makers
        replica = f"{socket.gethostname()}:{distribution.address[1]}"
        reporting = Reporting(distribution.roll, self._store, replica, time.time)
        self._tasks = [asyncio.create_task(_surviving(run)) for run in (compiled.run, reporting.run)]
        await _long_lived(distribution)

    def join(self, beside: Beside) -> None:
        """Run something that hears what gateways say, until `stop`. Call it once gateways are served."""
        assert self.distribution is not None
        beside.join(self.distribution.hub)
        self._tasks.append(asyncio.create_task(_surviving(beside.run)))

    async def stop(self) -> None:
        """Gateways run on with what they have. Harmless before `start`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.distribution is not None:
            await self.distribution.close()


async def _long_lived(distribution: Distribution) -> None:
    """Once everything is compiled, keep the collector from walking it again and again: that would be pauses of tenths
    of a second, in which a thousand gateways wait."""
    for _ in range(1_000):
        if distribution.hub.states.published:
            break
        await asyncio.sleep(0.01)
    gc.set_threshold(20_000, 20, 20)
    gc.collect()
    gc.freeze()


async def _surviving(run: Callable[[], Awaitable[None]]) -> None:
    """A failure that nobody foresaw ends nothing: it is logged, and begun again."""
    while True:
        try:
            await run()
        except Exception:
            _log.exception("something about gateways failed, and begins again")
            await asyncio.sleep(1.0)
