"""Which of several replicas does what only one may: the holder of a Lease in the store that all of them share.

Owns the Lease (`coordination.k8s.io/v1`, in `kube-system`), its renewal, and the ending of what runs under it. Clocks
of different machines are never compared: who waits takes the lease once it has not seen it move for as long as it is
good for, and the holder stops a second before anybody could have, counted from before it last asked for it, also where
the database is away or the process was stopped meanwhile. A replica that ends as it is asked to lets go of it.

*Source:* Kubernetes concepts, "Leases"; client-go, tools/leaderelection (package documentation: clock skew).
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write

_log = logging.getLogger("heddle.replicas")

RESOURCE = "leases.coordination.k8s.io"
NAMESPACE = "kube-system"
LEASE_S = 4.0
"""Who has not seen the lease move for so long takes it."""
HOLD_S = 3.0
"""So long after it began to ask for it, the holder does what it may."""
RENEW_S = 1.0
LOOK_S = 0.25
"""How often one that waits looks whether the lease is over."""
AGAIN_S = 1.0
"""After a failure of what runs under it."""

Work = Callable[[], Awaitable[None]]


class Lead(Protocol):
    """Runs what only one replica may run."""

    @property
    def leads(self) -> bool:
        """Whether this replica may, at this moment."""
        ...

    async def run(self, work: Work) -> None:
        """Have `work` done while this replica may, from the beginning each time; until cancelled."""
        ...


class Alone:
    """For who shares the store with nobody."""

    leads = True

    async def run(self, work: Work) -> None:
        """See `Lead`."""
        while True:
            await _survived(work)


class Store(Protocol):
    """Where the lease is."""

    def get(self, key: Key) -> Any:
        """The object, or None."""
        ...

    async def write(self, writes: Sequence[Write]) -> Sequence[Any]:
        """All or none. Raises ConflictError, UnavailableError."""
        ...

    async def fresh(self) -> int:
        """See what others wrote. Raises UnavailableError."""
        ...


class Leading:
    """One lease. See `Lead`."""

    def __init__(self, store: Store, name: str, holder: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`holder` names this replica for people; `clock` is monotonic, in seconds. Touches nothing."""
        self._store, self._clock = store, clock
        self._key = Key(RESOURCE, NAMESPACE, name)
        # Of two processes that one machine starts one after the other, the second must not take itself for the first.
        self.holder = f"{holder}_{uuid.uuid4().hex[:8]}"
        self._until_s = 0.0
        self._seen: object = None
        self._seen_s = 0.0
        self._gained = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """See `Lead`."""
        return self._clock() < self._until_s

    def start(self) -> None:
        """Try to have it, from now on."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let go of it, so that another takes it at once. What runs under it must have ended."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        stored = self._store.get(self._key)
        self._until_s = 0.0
        if stored is not None and self._holder(stored) == self.holder:
            with contextlib.suppress(ConflictError, UnavailableError, TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._write(stored, "")

    async def run(self, work: Work) -> None:
        """See `Lead`."""
        while True:
            await self._gained.wait()
            running = asyncio.ensure_future(_survived(work))
            try:
                while self.leads and not running.done():
                    await asyncio.wait({running}, timeout=max(self._until_s - self._clock(), 0.01))
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            if not self.leads:
                self._gained.clear()

    async def _keep(self) -> None:
        while True:
            led = self.leads
            with contextlib.suppress(UnavailableError):
                try:
                    await self.turn()
                except ConflictError:
                    await self._store.fresh()
            if self.leads:
                self._gained.set()
            if led != self.leads:
                _log.info("%s %s %s", self.holder, "leads" if self.leads else "leads no longer", self._key.name)
            await asyncio.sleep(RENEW_S if self.leads else LOOK_S)

    async def turn(self) -> None:
        """Renew it, or take it where it is to be had. Raises ConflictError, UnavailableError."""
        stored, begun_s = self._store.get(self._key), self._clock()
        if stored is None or stored.version != self._seen:
            self._seen, self._seen_s = stored.version if stored is not None else None, begun_s
        holder = self._holder(stored)
        if holder in {"", self.holder} or begun_s - self._seen_s >= LEASE_S:
            await self._write(stored, self.holder)
            self._until_s = begun_s + HOLD_S

    def _holder(self, stored: Any) -> str:
        return str((stored.object.get("spec") or {}).get("holderIdentity") or "") if stored is not None else ""

    async def _write(self, stored: Any, holder: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (stored.object.get("spec") or {}) if stored is not None else {}
        spec = {**before, "holderIdentity": holder, "leaseDurationSeconds": int(LEASE_S), "renewTime": now}
        if before.get("holderIdentity") != holder and holder:
            spec |= {"acquireTime": now, "leaseTransitions": int(before.get("leaseTransitions") or 0) + bool(before)}
        if stored is not None:
            meta = {name: one for name, one in stored.object["metadata"].items() if name != "resourceVersion"}
        else:
            meta = {"name": self._key.name, "namespace": NAMESPACE, "uid": str(uuid.uuid4())}
            meta["creationTimestamp"] = now[:19] + "Z"
        made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        expected = stored.version if stored is not None else 0
        author = Author(CONTROL_PLANE.name, "replicas", "update" if expected else "create")
        await self._store.write([Write(self._key, msgspec.json.encode(made), expected, author, time.time())])


async def _survived(work: Work) -> None:
    """Do it once; a failure that nobody foresaw is logged, and waited after."""
    try:
        await work()
    except Exception:
        _log.exception("what only one replica does failed, and begins again")
        await asyncio.sleep(AGAIN_S)
