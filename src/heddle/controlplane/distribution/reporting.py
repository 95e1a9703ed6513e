"""The roll as objects of the resource API: a GatewayStatus for each gateway, written when it says something new.

Owns how often: who came, left or rejected something is written within a second; who merely runs the next version, once
in half a minute, so that a thousand gateways and a change a second are some thirty writes a second and none while
nothing happens. What cannot be written is tried again with what is so by then.

Each object says which replica the gateway is connected to. A replica that was killed could not say goodbye for its
gateways: it does so after its next start, for those that have not come back within a minute. Refuses to touch what
another replica has written of a gateway that went there.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.distribution.roll import GatewayRecord, Roll
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write

_log = logging.getLogger("heddle.distribution")

RESOURCE = "gatewaystatuses.heddle.dev"
TURN_S = 1.0
QUIET_S = 30.0
"""Between two writes of one gateway's version, when nothing else changed."""
BEHIND_S = 5.0
"""How long a gateway may take for a version before it is said to be behind."""
BATCH = 250
"""Most objects that are written at a time."""
DEFAULT_NAMESPACE = "default"
REPLICA = "heddle.dev/connected-to"
"""Annotation: the replica that wrote it."""
RETURN_S = 60.0
"""How long after a start the gateways of the time before have to come back."""


class _Stored(Protocol):
    @property
    def version(self) -> int: ...

    @property
    def object(self) -> dict[str, Any]: ...


class Store(Protocol):
    """What is written to."""

    def get(self, key: Key) -> _Stored | None:
        """The object, or None."""
        ...

    def list(self, resource: str, namespace: str | None = None) -> Sequence[_Stored]:
        """All of a kind."""
        ...

    async def write(self, writes: Sequence[Write]) -> object:
        """All or none. Raises ConflictError, UnavailableError."""
        ...


class Reporting:
    """Follows a roll, and writes what is new on it."""

    def __init__(self, roll: Roll, store: Store, replica: str, now: Callable[[], float]) -> None:
        """`replica` is this one's name, the same after a restart; `now` is Unix time in seconds."""
        self._roll = roll
        self._replica = replica
        self._store = store
        self._now = now
        self._unwritten: dict[str, float] = {}
        """Name -> Unix time from which it is to be written."""
        self._written: dict[str, tuple[float, GatewayRecord]] = {}
        """Name -> when, and as what."""
        self._news = asyncio.Event()
        roll.on_change(self._changed)

    def _changed(self, record: GatewayRecord) -> None:
        self._unwritten[record.name] = self._due_s(record)
        self._news.set()

    def _due_s(self, record: GatewayRecord) -> float:
        """When it is to be written: at once, or when it has been behind, or was written last, for some time."""
        written_s, written = self._written.get(record.name, (0.0, None))
        if written is None or _urgent(written) != _urgent(record) or record.current > written.current:
            return 0.0
        return self._now() + BEHIND_S if written.current > record.current else written_s + QUIET_S

    async def run(self) -> None:
        """Write, until cancelled."""
        asyncio.get_running_loop().call_later(RETURN_S, self.miss)
        while True:
            await self._news.wait()
            await asyncio.sleep(TURN_S)
            await self.turn()

    def miss(self) -> None:
        """Those that were connected here when this replica ended, and have not come back, are away."""
        for stored in self._store.list(RESOURCE):
            metadata, status = stored.object["metadata"], stored.object.get("status", {})
            mine = metadata.get("annotations", {}).get(REPLICA) == self._replica
            if mine and status.get("connected") and self._roll.get(metadata["name"]) is None:
                gateway = f"{metadata['namespace']}/{status.get('gateway', '')}"
                self._roll.missed(GatewayRecord(name=metadata["name"], gateway=gateway))

    async def turn(self) -> None:
        """Write what is due, up to a number."""
        now_s = self._now()
        due = [name for name, due_s in self._unwritten.items() if due_s <= now_s][:BATCH]
        records = [record for name in due if (record := self._roll.get(name)) is not None]
        for name in due:
            del self._unwritten[name]
        writes = [write for record in records if (write := self._write(record, now_s)) is not None]
        try:
            if writes:
                await self._store.write(writes)
        except (ConflictError, UnavailableError) as exc:
            _log.warning("what gateways run was not written, and is tried again: %s", exc)
            self._unwritten |= dict.fromkeys(due, now_s)
        else:
            for record in records:
                self._written[record.name] = (now_s, record)
        if not self._unwritten:
            self._news.clear()

    def _write(self, record: GatewayRecord, now_s: float) -> Write | None:
        key = Key(RESOURCE, _namespace(record), record.name)
        stored = self._store.get(key)
        if stored is not None and not record.connected and self._is_elsewhere(stored.object):
            return None
        made = _object(record, stored.object if stored is not None else None, now_s)
        made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), REPLICA: self._replica}
        if stored is not None and stored.object.get("status") == made["status"]:
            return None
        body = json.dumps(made, separators=(",", ":")).encode()
        author = Author(CONTROL_PLANE.name, "distribution", "update" if stored is not None else "create")
        return Write(key, body, stored.version if stored is not None else 0, author, now_s)

    def _is_elsewhere(self, stored: dict[str, Any]) -> bool:
        """Whether another replica has since been connected to."""
        return bool(stored["metadata"].get("annotations", {}).get(REPLICA) != self._replica)


def _urgent(record: GatewayRecord) -> tuple[object, ...]:
    """What of it is told at once when it changes."""
    return record.connected, record.error, record.address, record.program, bool(record.runs.digest)


def _namespace(record: GatewayRecord) -> str:
    namespace, slash, _ = record.gateway.partition("/")
    return namespace if slash else DEFAULT_NAMESPACE


def _object(record: GatewayRecord, before: dict[str, Any] | None, now_s: float) -> dict[str, Any]:
    metadata = dict(before["metadata"]) if before is not None else _new_metadata(record, now_s)
    metadata.pop("resourceVersion", None)
    status: dict[str, Any] = {
        "gateway": record.gateway.rpartition("/")[2],
        "connected": record.connected,
        "sentVersion": record.wanted.short,
        "version": record.runs.short,
        "current": record.current,
    }
    if record.address or before is None:
        status |= {
            "address": record.address,
            "software": record.program,
            "lastSeen": _time(max(record.since_s, record.runs_since_s)),
        }
    else:
        # Missed after a restart: where it was and when it was seen is known from before.
        status = {**before["status"], **status, "version": before["status"].get("version", "")}
    if record.runs.digest:
        status["appliedAt"] = _time(record.runs_since_s)
    if record.error:
        status["rejected"] = {"version": record.wanted.short, "path": record.error_path, "message": record.error}
    return {"apiVersion": "heddle.dev/v1alpha1", "kind": "GatewayStatus", "metadata": metadata, "status": status}


def _new_metadata(record: GatewayRecord, now_s: float) -> dict[str, Any]:
    return {
        "name": record.name,
        "namespace": _namespace(record),
        "uid": str(uuid.uuid4()),
        "creationTimestamp": _time(now_s),
    }


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
