"""The directory in the store: each object written when something about it is another than before, and not otherwise.

Owns which objects are looked at again, and how much is written at a time: what gateways say in a second makes one turn,
and an idle mesh none. A gateway that leaves has a while to come back before what it found is said to be away, so that
a restart of the control plane writes nothing. What could not be written is looked at again, as it is by then.
"""

import asyncio
import contextlib
import heapq
import json
import logging
import uuid
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime
from typing import Any

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.compiling.objects import BY_KIND
from heddle.controlplane.directory.claims import Claims
from heddle.controlplane.directory.objects import PART, RESOURCES, Around, judge, named, names_of, resource_of
from heddle.controlplane.directory.placing import Placing, Store
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write
from heddle.wire.found import MAX_TOOLS, Entry, Found, part_of_key

_log = logging.getLogger("heddle.directory")

TURN_S = 1.0
REST_S = 10.0
"""Between two writes of one object: what goes and comes back all the time is written no faster."""
BATCH = 250
"""Most objects that are looked at in a turn."""
HOLD_S = 15.0
"""How long a gateway may be away before what it found is."""
START_S = 30.0
"""After a start: until then gateways come back, and what they find is not away."""
KEEP_S = 7 * 86_400.0
"""How long something is kept whose source is gone."""
MAX_KEPT = 2 * MAX_TOOLS
"""Objects behind one part; beyond that, what is not offered any more goes at once, and nothing is added."""
STATUSES = "gatewaystatuses.heddle.dev"


class Recording:
    """Keeps the store as gateways find things."""

    def __init__(
        self, store: Store, makers: Callable[[str], Iterable[Key]], now: Callable[[], float], keep_s: float = KEEP_S
    ) -> None:
        """`makers` gives the objects that a part was made of; `now` is Unix time in seconds."""
        self.claims = Claims()
        self._store = store
        self._makers = makers
        self._now = now
        self._keep_s = keep_s
        self._due: dict[str, float] = {}
        """Key of an entry -> Unix time from which it is looked at."""
        self._order: list[tuple[float, str]] = []
        self._rests: dict[str, float] = {}
        """Key of an entry that was written -> Unix time from which it may be again."""
        self._news = asyncio.Event()
        self._present: dict[Key, bool] = {}
        """GatewayStatus -> whether it says that its gateway is connected."""
        self._connected: dict[str, int] = {}
        """Name of a gateway -> how many of them do."""
        self._held: dict[str, float] = {}
        """Gateways that are away -> Unix time from which what they found is."""
        self._settled_s = now() + START_S
        self._placing = Placing(store)
        for resource in RESOURCES:
            store.follow(resource, self._object_changed)
        for resource in sorted(set(BY_KIND.values())):
            store.follow(resource, self._source_changed)
        store.follow(STATUSES, self._status_changed)
        self._reload()

    # What happens

    def hear(self, gateway: str, sent: Container[str], message: Found) -> None:
        """A gateway that was sent these parts says what it found."""
        for key in self.claims.hear(gateway, sent, message):
            self._touch(key)
        if message.whole:
            for key in self._placing.spoken_by(gateway):
                self._touch(key)

    def leave(self, gateway: str) -> None:
        """A gateway's connection ended."""
        said = self.claims.leave(gateway)
        self._hold(gateway)
        for key in said:
            self._look(key, HOLD_S)

    def _hold(self, gateway: str) -> None:
        """A gateway is away; what it found is once it has been for a while."""
        now_s = self._now()
        self._held = {name: until_s for name, until_s in self._held.items() if until_s > now_s}
        self._held[gateway] = now_s + HOLD_S
        for key in self._placing.spoken_by(gateway):
            self._look(key, HOLD_S)

    def _touch(self, key: str) -> None:
        """Look at it, and at what stands behind it."""
        self._look(key, 0.0)
        if part_of_key(key) == key:
            for other in self._placing.behind(key):
                self._look(other, 0.0)

    def _look(self, key: str, wait_s: float) -> None:
        due_s = self._now() + wait_s
        if due_s < self._due.get(key, float("inf")):
            self._due[key] = due_s
            heapq.heappush(self._order, (due_s, key))
            self._news.set()

    def _reload(self) -> None:
        self._placing.reload()
        self._present.clear()
        self._connected.clear()
        for one in self._store.list(STATUSES):
            self._note(one.key, connected=_connected(one.object))
        for key in self._placing.entries():
            self._look(key, START_S)

    def _object_changed(self, event: Any) -> None:
        if event is None:
            self._reload()
            return
        key = self._placing.follow(event)
        # Somebody else wrote it, another replica perhaps: it is looked at whether it is so.
        if key is not None and self.claims.of(key):
            self._look(key, TURN_S)

    def _source_changed(self, event: Any) -> None:
        if event is not None and event.kind != "MODIFIED":
            for key in self._placing.declared_by(event.stored.key):
                self._look(key, 0.0)

    def _status_changed(self, event: Any) -> None:
        if event is None:
            return
        key, before = event.stored.key, self._present.get(event.stored.key)
        now = event.kind != "DELETED" and _connected(event.stored.object)
        self._note(key, connected=now)
        if before and not now:
            self._hold(key.name)

    def _note(self, status: Key, *, connected: bool) -> None:
        """What a GatewayStatus says, False for one that is gone."""
        change = connected - self._present.pop(status, False)
        if connected:
            self._present[status] = True
        self._connected[status.name] = self._connected.get(status.name, 0) + change
        if not self._connected[status.name]:
            del self._connected[status.name]

    # What is made of it

    async def run(self) -> None:
        """Write what is to be written, until cancelled."""
        while True:
            wait_s = self._order[0][0] - self._now() if self._order else None
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s is None else max(wait_s, 0.0)):
                    await self._news.wait()
            await asyncio.sleep(TURN_S)
            await self.turn()

    async def turn(self) -> None:
        """Write what is due, up to a number."""
        now_s = self._now()
        due: list[str] = []
        while self._order and self._order[0][0] <= now_s and len(due) < BATCH:
            due_s, key = heapq.heappop(self._order)
            if self._due.get(key) == due_s:
                del self._due[key]
                due.append(key)
        self._rests = {key: until_s for key, until_s in self._rests.items() if until_s > now_s}
        for key in (key for key in due if key in self._rests):
            self._look(key, self._rests[key] - now_s)
        due = [key for key in due if key not in self._rests]
        writes = {key: write for key in due if (write := self._judged(key, now_s)) is not None}
        try:
            if writes:
                await self._store.write(list(writes.values()))
                self._rests |= dict.fromkeys(writes, now_s + REST_S)
        except (ConflictError, UnavailableError) as exc:
            _log.warning("what gateways found was not written, and is tried again: %s", exc)
            for key in due:
                self._look(key, TURN_S)

    def _judged(self, key: str, now_s: float) -> Write | None:
        try:
            return self._write(key, now_s)
        except Exception:  # one object that cannot be understood must not hold up all others
            _log.exception("an object of the directory stays as it is: %r", self._placing.place(key))
            return None

    def _write(self, key: str, now_s: float) -> Write | None:
        place = self._placing.place(key)
        stored = self._store.get(place) if place is not None else None
        claims = self.claims.of(key)
        source = self._source(key, stored, next(iter(claims.values()), None))
        if source is None and stored is None:
            return None
        made = judge(stored.object if stored is not None else None, claims, self._around(key, stored, source, now_s))
        if stored is None:
            return self._create(key, made, claims, source, now_s) if made is not None and source is not None else None
        gone = made is None or self._is_too_much(key, made)
        since_s = _gone_since(made) if made is not None else None
        if since_s is not None:
            self._look(key, max(since_s + self._keep_s - now_s, TURN_S))
        if made is stored.object and not gone:
            return None
        author = Author(CONTROL_PLANE.name, "directory", "delete" if gone else "update")
        return Write(stored.key, None if gone or made is None else _body(made), stored.version, author, now_s)

    def _create(self, key: str, made: dict[str, Any], claims: Any, source: Any, now_s: float) -> Write | None:
        entry = next(iter(claims.values()))
        names = names_of(entry, source.key.namespace)
        free = [Key(resource_of(entry), source.key.namespace, name) for name in names]
        place = next((one for one in free if self._placing.is_free(key, one)), None)
        if place is None or self._placing.number_behind(part_of_key(key)) >= MAX_KEPT:
            return None
        self._placing.take(key, place)
        shown = {name: source.object.get(name, "") for name in ("apiVersion", "kind")}
        shown |= {"name": source.key.name, "namespace": source.key.namespace}
        value = named(made, place, part_of_key(key), shown, str(uuid.uuid4()))
        author = Author(CONTROL_PLANE.name, "directory", "create")
        return Write(place, _body(value), 0, author, now_s)

    def _source(self, key: str, stored: Any, entry: Entry | None) -> Any:
        """The object that led to it; None when there is none any more."""
        if stored is not None:
            declared = self._placing.source_of(stored.object)
            return self._store.get(declared) if declared is not None else None
        made_of = next(iter(self._makers(part_of_key(key))), None) if entry is not None else None
        return self._store.get(made_of) if made_of is not None else None

    def _around(self, key: str, stored: Any, source: Any, now_s: float) -> Around:
        since = _gone_since(stored.object) if stored is not None and source is None else None
        return Around(
            now=_time(now_s),
            declared=source is not None,
            present=self._is_present,
            server=lambda gateway: self.claims.server(gateway, key),
            whole=self.claims.is_whole,
            waited=since is not None and now_s - since >= self._keep_s,
        )

    def _is_present(self, gateway: str) -> bool:
        if gateway in self._connected or self.claims.knows(gateway):
            return True
        return self._now() < max(self._held.get(gateway, 0.0), self._settled_s)

    def _is_too_much(self, key: str, made: dict[str, Any]) -> bool:
        if made["status"]["conditions"][0]["reason"] != "NotOffered":
            return False
        return self._placing.number_behind(part_of_key(key)) > MAX_KEPT


def _connected(status: dict[str, Any]) -> bool:
    return bool((status.get("status") or {}).get("connected"))


def _gone_since(value: dict[str, Any]) -> float | None:
    """Since when its source is known to be gone."""
    for one in (value.get("status") or {}).get("conditions", ()):
        if one["type"] == "Available" and one["reason"] == "SourceGone":
            return datetime.fromisoformat(one["lastTransitionTime"]).timestamp()
    return None


def _body(value: dict[str, Any]) -> bytes:
    metadata = {name: part for name, part in value["metadata"].items() if name != "resourceVersion"}
    return json.dumps({**value, "metadata": metadata}, separators=(",", ":")).encode()


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["PART", "Recording"]
