"""The store, compiled: what changes there becomes what gateways are sent, and what they say becomes conditions there.

Owns the following of the store (each kind that is compiled, from one version on, nothing twice) and the writing of
statuses, which is given up for nothing but a newer status: an object that somebody else writes at the same moment is
read again. What gateways say is read in the store, too, where every replica writes it of its own: all replicas come to
the same conditions. A rejection is told of the objects that the rejected part was made of.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.compiling import RESOURCES, Compiler, Programmed
from heddle.controlplane.distribution.reporting import RESOURCE as STATUSES
from heddle.controlplane.distribution.states import Settled
from heddle.controlplane.distribution.views import EVERYTHING, Part
from heddle.controlplane.replicas.leading import Alone, Lead
from heddle.drivers.documents import Author, ConflictError, ExpiredError, Key, UnavailableError, Write

_log = logging.getLogger("heddle.distribution")

GATEWAYS = "gateways.gateway.networking.k8s.io"
BATCH = 200
"""Most statuses that are written at a time, of which each may fail without the others."""
SAY_S = 0.05
"""Between two writes of statuses."""
RETRY_S = 0.5


class _Stored(Protocol):
    @property
    def key(self) -> Key: ...

    @property
    def version(self) -> int: ...

    @property
    def object(self) -> dict[str, Any]: ...


class _Watch(Protocol):
    def __aiter__(self) -> AsyncIterator[Any]: ...

    def close(self) -> None: ...


class Store(Protocol):
    """What is compiled, and where statuses are written."""

    @property
    def version(self) -> int:
        """Of the last change that reads see."""
        ...

    def get(self, key: Key) -> _Stored | None:
        """The object, or None."""
        ...

    def list(self, resource: str, namespace: str | None = None) -> Sequence[_Stored]:
        """All of a kind."""
        ...

    async def write(self, writes: Sequence[Write]) -> object:
        """All or none. Raises ConflictError, UnavailableError."""
        ...

    def watch(self, resource: str, namespace: str | None, after: int) -> _Watch:
        """Changes after a version."""
        ...


class Compiled:
    """A `Source` for `serve`."""

    def __init__(self, store: Store, compiler: Compiler, now: Callable[[], float], lead: Lead | None = None) -> None:
        """`now` is Unix time in seconds; while `lead` says that it is another replica's to write, nothing is. Reads
        everything there is."""
        self._store = store
        self._lead = lead or Alone()
        self._compiler = compiler
        self._now = now
        self._first = True
        self._unsaid: dict[Key, dict[str, Any]] = {}
        """Statuses to be written."""
        self._to_say = asyncio.Event()
        self._blamed: dict[Key, tuple[Key, ...]] = {}
        """GatewayStatus -> the objects that it was last said to reject something of."""
        self.changed: Callable[[], None] = lambda: None
        """Called when `settle` may find something; `Distribution.changed`."""
        self._followed = (*RESOURCES, STATUSES)
        self._positions = dict.fromkeys(self._followed, store.version)
        for resource in self._followed:
            self._read(resource)

    @property
    def lineage(self) -> str:
        """Which store it is: the uid of a namespace that is made once and never deleted, as of Kubernetes' clusters."""
        for name in ("kube-system", "default"):
            stored = self._store.get(Key("namespaces", "", name))
            if stored is not None:
                return str(stored.object.get("metadata", {}).get("uid", ""))[:64]
        return ""

    def makers(self, part: str) -> Sequence[Key]:
        """The objects that a part was made of."""
        return self._compiler.makers(part)

    async def settle(self) -> Settled | None:
        """Compile what changed."""
        version = self._store.version
        delta = self._compiler.settle()
        said = self._compiler.conditions(self._now())
        if said:
            self._unsaid.update(said)
            self._to_say.set()
        if not self._first and not delta.changed and not delta.removed:
            return None
        self._first = False
        changed: dict[str, Part | None] = {name: Part(*published) for name, published in delta.changed.items()}
        return Settled(version, changed | dict.fromkeys(delta.removed))

    def _change(self, key: Key, value: dict[str, Any] | None) -> None:
        if key.resource == STATUSES:
            self._heard(key, (value or {}).get("status", {}))
        else:
            self._compiler.change(key, value)

    def _heard(self, key: Key, status: dict[str, Any]) -> None:
        """What a gateway runs or rejects has changed."""
        rejected = status.get("rejected") or {}
        path, said = str(rejected.get("path", "")), f"gateway {key.name}: {rejected.get('message', '')}"[:1024]
        served = self._served(key, str(status.get("gateway", "")))
        blamed = (self._compiler.makers(path) or tuple(served)) if rejected else ()
        for before in self._blamed.pop(key, ()):
            if before not in blamed:
                self._compiler.programmed(before, None)
        if blamed:
            self._blamed[key] = blamed
            self._verdict(blamed, Programmed(False, "Rejected", said))
        runs = status.get("version", "")
        if status.get("connected") and runs and (not rejected or runs == status.get("sentVersion")):
            self._verdict([one for one in served if one not in blamed], Programmed(True, "Programmed"))

    def _verdict(self, keys: Sequence[Key], verdict: Programmed) -> None:
        for key in keys:
            self._compiler.programmed(key, verdict)

    def _served(self, status: Key, gateway: str) -> Sequence[Key]:
        if gateway == EVERYTHING:
            return [stored.key for stored in self._store.list(GATEWAYS)]
        return [Key(GATEWAYS, status.namespace, gateway)]

    async def run(self) -> None:
        """Follow the store and write statuses, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for resource in self._followed:
                tasks.create_task(self._follow(resource))
            # What was not said while another replica was to say it, is looked at again then.
            tasks.create_task(self._lead.run(self._say))

    def _read(self, resource: str) -> set[Key]:
        found = set()
        for stored in self._store.list(resource):
            self._change(stored.key, stored.object)
            found.add(stored.key)
        return found

    async def _follow(self, resource: str) -> None:
        known = {stored.key for stored in self._store.list(resource)}
        while True:
            watch = self._store.watch(resource, None, self._positions[resource])
            try:
                async for event in watch:
                    stored = event.stored
                    gone = event.kind == "DELETED"
                    (known.discard if gone else known.add)(stored.key)
                    self._change(stored.key, None if gone else stored.object)
                    self._positions[resource] = stored.version
                    self.changed()
            except ExpiredError:
                # We were too slow for too long: read it all again, and what is no more is gone.
                self._positions[resource] = self._store.version
                now = self._read(resource)
                for key in known - now:
                    self._change(key, None)
                known = now
                self.changed()
            except UnavailableError as exc:
                _log.warning("%s cannot be followed, trying again: %s", resource, exc)
            finally:
                watch.close()
            await asyncio.sleep(RETRY_S)

    async def _say(self) -> None:
        """Write statuses, until cancelled."""
        while True:
            await self._to_say.wait()
            said = list(self._unsaid.items())[:BATCH]
            # Each by itself: what somebody else changes meanwhile must not hold up the others, of which a busy store
            # always has some. They share a commit all the same.
            await asyncio.gather(*(self._say_one(key, status) for key, status in said))
            if not self._unsaid:
                self._to_say.clear()
            await asyncio.sleep(SAY_S)

    async def _say_one(self, key: Key, status: dict[str, Any]) -> None:
        write = self._write(key, status)
        if write is not None:
            try:
                await self._store.write([write])
            except (ConflictError, UnavailableError):
                # Looked at again when the others had their turn: what changed it is seen by then.
                self._unsaid[key] = self._unsaid.pop(key, status)
                return
        if self._unsaid.get(key) is status:
            del self._unsaid[key]

    def _write(self, key: Key, status: dict[str, Any]) -> Write | None:
        stored = self._store.get(key)
        # Another replica may have said the same, at another moment.
        if stored is None or _timeless(stored.object.get("status")) == _timeless(status):
            return None
        metadata = {name: value for name, value in stored.object["metadata"].items() if name != "resourceVersion"}
        body = msgspec.json.encode({**stored.object, "metadata": metadata, "status": status})
        return Write(key, body, stored.version, Author(CONTROL_PLANE.name, "compiler", "update"), self._now())


def _timeless(value: Any) -> Any:
    """A status without when its conditions came to be so."""
    if isinstance(value, dict):
        return {name: _timeless(one) for name, one in value.items() if name != "lastTransitionTime"}
    return [_timeless(one) for one in value] if isinstance(value, list) else value
