"""What the control plane does of its own accord behind the API.

Owns the namespaces that every client expects, and the tasks that follow the store: collecting, emptying, forgetting.
After a restart, and when the store tells that changes were missed, everything is looked at once again. Of several
replicas one does it.
"""

import asyncio
import contextlib
import logging
from typing import Any

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.api import builtin, definitions, expiring, metadata
from heddle.controlplane.api.answer import encode
from heddle.controlplane.api.collecting import Collector
from heddle.controlplane.api.core import NAMESPACES, Core
from heddle.controlplane.api.deleting import KEPT_NAMESPACES
from heddle.controlplane.api.emptying import Emptier
from heddle.controlplane.api.parts import Event
from heddle.controlplane.replicas.leading import Alone, Lead
from heddle.drivers.documents import Author, ConflictError, ExpiredError, Key, UnavailableError, Write

_log = logging.getLogger("heddle.controlplane")

EXPIRE_S = 60.0
"""How often Events are looked through."""
RETRY_S = 1.0
"""How soon is tried again what the store could not do."""
_MAX_WAITING = 100_000
"""Events of the store that wait to be looked at; beyond, everything is looked at instead."""


class Housekeeping:
    """Everything that runs beside requests."""

    def __init__(self, core: Core, lead: Lead | None = None) -> None:
        """`lead` says when it is this replica's to do; None is always."""
        self._core, self._lead = core, lead or Alone()
        self._tasks: list[asyncio.Task[None]] = []
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_MAX_WAITING)
        """None wakes who waits, because everything is to be looked at."""
        self._again = asyncio.Event()

    async def start(self) -> None:
        """Begin. Raises UnavailableError."""
        await make_namespaces(self._core)
        await definitions.install(self._core)
        self._tasks = [asyncio.create_task(self._lead.run(self._run))]

    async def _run(self) -> None:
        """Keep things in order, until cancelled."""
        resources = sorted({kind.stored_as for kind in self._core.kinds if "create" in kind.verbs})
        self._events = asyncio.Queue(_MAX_WAITING)
        # Everything from now on; what was before is looked at once.
        after = self._core.store.version
        async with asyncio.TaskGroup() as tasks:
            for resource in resources:
                tasks.create_task(self._follow(resource, after))
            tasks.create_task(self._expire())
            tasks.create_task(self._keep(resources))

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _follow(self, resource: str, after: int) -> None:
        """Queue every change of a kind."""
        while True:
            watch = self._core.store.watch(resource, None, after)
            try:
                while batch := await watch.batch():
                    for event in batch:
                        self._put(event)
                    after = watch.position
            except ExpiredError:
                self._again.set()
                self._put(None)
            except UnavailableError as exc:
                _log.warning("%s cannot be followed now: %s", resource, exc)
            finally:
                watch.close()
            after = self._core.store.version if self._again.is_set() else after
            await asyncio.sleep(RETRY_S)

    def _put(self, event: Event | None) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._again.set()

    async def _keep(self, resources: list[str]) -> None:
        """Look at everything, then at every change."""
        while True:
            self._again.clear()
            collector, emptier = Collector(self._core), Emptier(self._core)
            try:
                await self._look_at_all(resources, collector, emptier)
                while not self._again.is_set():
                    event = await self._events.get()
                    if event is not None:
                        await collector.happened(event)
                        await emptier.happened(event)
            except UnavailableError as exc:
                _log.warning("collecting waits for the store: %s", exc)
            except Exception:
                # One object that cannot be handled must not end collecting for all.
                _log.exception("collecting begins again")
            await asyncio.sleep(RETRY_S)

    async def _look_at_all(self, resources: list[str], collector: Collector, emptier: Emptier) -> None:
        found = [one for resource in resources for one in self._core.store.list(resource, None)]
        for one in found:
            collector.learn(one.key, one.object)
        for one in found:
            await collector.look(one.key, one.object)
            await emptier.look(one.key, one.object)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_S)
            with contextlib.suppress(UnavailableError):
                await expiring.forget(self._core)


async def make_namespaces(core: Core) -> None:
    """Have the namespaces that are always there. Raises UnavailableError."""
    kind = core.kinds.resource(NAMESPACES)
    if kind is None:
        return
    for name in sorted(KEPT_NAMESPACES):
        if core.namespace(name) is not None:
            continue
        now_s = core.hooks.clock()
        meta: dict[str, Any] = {"name": name, "uid": metadata.new_uid()}
        meta["creationTimestamp"] = metadata.timestamp(now_s)
        value = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        builtin.complete(kind, value, None)
        author = Author(CONTROL_PLANE.name, "", "create")
        # Another control plane on the same database may be as quick.
        with contextlib.suppress(ConflictError):
            await core.store.write([Write(Key(NAMESPACES, "", name), encode(value), 0, author, now_s)])
