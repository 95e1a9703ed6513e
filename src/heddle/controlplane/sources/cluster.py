"""A cluster in place of our own store: what is compiled is read from it, and conditions are written back to it.

Owns the mirror of the cluster in memory, numbered in the order in which changes came, and what of a write goes to the
cluster: the status, by server-side apply on its subresource, and records of our own. Everything else is the cluster's.
*Source:* Kubernetes API concepts, "Server-Side Apply", status subresource; API conventions, "Spec and Status".
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Self

import msgspec

from heddle.controlplane.sources.kubernetes import Cluster, key_of
from heddle.controlplane.sources.rights import COMMANDS, ENVIRONMENT, FILES, rights_needed
from heddle.drivers.documents import ConflictError, ExpiredError, Key, UnavailableError, Write
from heddle.drivers.kube.client import Api
from heddle.model.kinds import Kind, Kinds
from heddle.wire.kube.status import ApiError

_log = logging.getLogger("heddle.cluster")

OWNER = "heddle"
"""Field manager of what is written."""
KEPT_EVENTS = 10_000
"""Changes of a kind that are remembered; who is further behind reads everything again."""
AT_ONCE = 8
"""Writes that are under way; an API server gives each client its share, and refuses more."""
LINEAGE = "namespaces"
_OURS = "heddle.dev"
CLOSED = (ENVIRONMENT, FILES, COMMANDS)
"""What objects of a cluster may not use: nobody here knows whether their writer may use this machine."""


class Mirrored:
    """An object of the cluster."""

    __slots__ = ("key", "object", "version")

    def __init__(self, key: Key, version: int, value: dict[str, Any]) -> None:
        self.key = key
        self.version = version
        """Our own number, in the order of arrival."""
        self.object = value
        """As the cluster has it; nobody changes it."""

    def __repr__(self) -> str:
        return f"Mirrored({self.key!r}@{self.version})"


class Change:
    """A change of an object."""

    __slots__ = ("kind", "previous", "stored")

    def __init__(self, kind: str, stored: Mirrored, previous: Mirrored | None) -> None:
        self.kind = kind
        """`ADDED`, `MODIFIED` or `DELETED`."""
        self.stored = stored
        self.previous = previous


class ClusterStore:
    """What `distribution.compiled.Store` asks for, over a cluster."""

    def __init__(self, api: Api, kinds: Kinds, resources: Sequence[str]) -> None:
        """`resources` are followed; namespaces are, in any case: they tell which cluster it is."""
        self._api = api
        self._kinds = kinds
        self._version = 0
        self._objects: dict[str, dict[Key, Mirrored]] = {}
        self._past: dict[str, deque[Change]] = {}
        self._news: dict[str, asyncio.Event] = {}
        wanted = [kind for name in dict.fromkeys((LINEAGE, *resources)) if (kind := kinds.resource(name)) is not None]
        for kind in wanted:
            self._objects[kind.resource] = {}
            self._past[kind.resource] = deque(maxlen=KEPT_EVENTS)
            self._news[kind.resource] = asyncio.Event()
        self._cluster = Cluster(api, wanted, self, _log.warning)
        self._task: asyncio.Task[None] | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        """Follow the cluster; returns once every kind was read."""
        self._task = asyncio.create_task(self._cluster.run())
        await self._cluster.listed()

    async def stop(self) -> None:
        """Stop following."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for saying in tuple(self._saying):
            saying.cancel()
        self._api.close()

    # Reading

    @property
    def version(self) -> int:
        """Of the last change that came."""
        return self._version

    def get(self, key: Key) -> Mirrored | None:
        """The object, or None."""
        return self._objects.get(key.resource, {}).get(key)

    def list(self, resource: str, namespace: str | None = None) -> Sequence[Mirrored]:
        """All of a kind, or of a namespace, by namespace and name."""
        found = self._objects.get(resource, {})
        return [found[key] for key in sorted(found) if namespace is None or key.namespace == namespace]

    def watch(self, resource: str, namespace: str | None, after: int) -> "Following":
        """Changes after a version."""
        return Following(self, (resource, namespace), after)

    async def after(self, resource: str, version: int) -> Sequence[Change]:
        """Changes of a kind after a version, as soon as there are any. Raises ExpiredError."""
        past = self._past.get(resource)
        if past is None:
            return await asyncio.Future()  # what is not followed never changes
        while True:
            if len(past) == KEPT_EVENTS and past[0].stored.version > version + 1:
                raise ExpiredError(past[0].stored.version - 1)
            found = list(takewhile(lambda change: change.stored.version > version, reversed(past)))
            if found:
                return found[::-1]
            news = self._news[resource]
            news.clear()
            await news.wait()

    # What the cluster says

    def replace(self, kind: Kind, objects: Iterable[Mapping[str, Any]]) -> None:
        """This is all there is of a kind."""
        known = self._objects[kind.resource]
        now = {key_of(kind, value): value for value in objects}
        for key in [key for key in known if key not in now]:
            self._tell("DELETED", kind, key, known[key].object)
        for value in now.values():
            self.put(kind, value)

    def put(self, kind: Kind, value: Mapping[str, Any]) -> None:
        """An object is new, or changed; one that is seen again is neither."""
        key = key_of(kind, value)
        closed = next((need for need in rights_needed(value, None) if need.resource in CLOSED), None)
        if closed is not None:
            self.drop(kind, value)
            self._refuse(kind, value, f"{closed.path}: {closed.why}; resources of a cluster may not use that")
            return
        before = self._objects[kind.resource].get(key)
        if before is not None and _revision(before.object) == _revision(value):
            return
        self._tell("ADDED" if before is None else "MODIFIED", kind, key, dict(value))

    def drop(self, kind: Kind, value: Mapping[str, Any]) -> None:
        """An object is gone."""
        key = key_of(kind, value)
        before = self._objects[kind.resource].get(key)
        if before is not None:
            self._tell("DELETED", kind, key, before.object)

    def _refuse(self, kind: Kind, value: Mapping[str, Any], why: str) -> None:
        """Say on an object why it is left out, unless that stands there already."""
        meta, state = value["metadata"], value.get("status") or {}
        _log.warning("%s %s/%s is left out: %s", kind.kind, meta.get("namespace", ""), meta["name"], why)
        said = [one for one in state.get("conditions") or () if one.get("type") == "Accepted"]
        if not kind.has_status or any(one.get("message") == why for one in said):
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "Accepted", "status": "False", "reason": "NotPermitted", "message": why}
        task = asyncio.ensure_future(
            self._put(kind, {"metadata": meta, "status": {"conditions": [condition | {"lastTransitionTime": now}]}})
        )
        self._saying.add(task)
        task.add_done_callback(self._said)

    def _said(self, task: asyncio.Task[None]) -> None:
        self._saying.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a refusal could not be written: %s", task.exception())

    def _tell(self, what: str, kind: Kind, key: Key, value: dict[str, Any]) -> None:
        self._version += 1
        objects = self._objects[kind.resource]
        before = objects.get(key)
        made = Mirrored(key, self._version, value)
        if what == "DELETED":
            del objects[key]
        else:
            objects[key] = made
        self._past[kind.resource].append(Change(what, made, before))
        self._news[kind.resource].set()

    # Writing

    async def write(self, writes: Sequence[Write]) -> None:
        """Write statuses, and records of our own kinds. Raises ConflictError for what has changed meanwhile (nothing
        is written then), UnavailableError when the cluster is away."""
        for write in writes:
            known = self.get(write.key)
            current = known.version if known is not None else 0
            if write.expected is not None and write.expected != current and write.key.resource in self._objects:
                raise ConflictError(write.key, current)
        for write in writes:
            kind = self._kinds.resource(write.key.resource)
            if kind is not None and write.body is not None:
                async with self._room:
                    await self._put(kind, msgspec.json.decode(write.body))

    async def _put(self, kind: Kind, value: dict[str, Any]) -> None:
        meta = value["metadata"]
        place = {name: meta[name] for name in ("name", "namespace") if meta.get(name)}
        head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": place}
        try:
            if kind.generated and kind.group == _OURS:
                rest = {name: part for name, part in value.items() if name not in ("metadata", "status")}
                await self._api.apply(kind, {**rest, **head}, OWNER, force="true")
            if "status" in value:
                status = {**head, "status": value["status"]}
                await self._api.apply(kind, status, OWNER, subresource="status", force="true")
        except ApiError as exc:
            if exc.code in (404, 409) or exc.code >= 500 or exc.code == 429:
                _unwritten(kind, meta, exc)
                if exc.code not in (404, 409):
                    raise UnavailableError(exc.message) from exc
                return
            _unwritten(kind, meta, exc)
        except (ConnectionError, TimeoutError) as exc:
            raise UnavailableError(str(exc)) from exc


class Following:
    """Changes of a kind, or of a namespace of it."""

    def __init__(self, store: ClusterStore, topic: tuple[str, str | None], after: int) -> None:
        self._store = store
        self._resource, self._namespace = topic
        self._after = after
        self._ready: deque[Change] = deque()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._closed:
            if not self._ready:
                self._ready.extend(await self._store.after(self._resource, self._after))
            change = self._ready.popleft()
            self._after = change.stored.version
            if self._namespace is None or change.stored.key.namespace == self._namespace:
                return change
        raise StopAsyncIteration

    def close(self) -> None:
        """No more are wanted."""
        self._closed = True


def _revision(value: Mapping[str, Any]) -> object:
    meta = value.get("metadata") or {}
    return meta.get("uid"), meta.get("resourceVersion")


def _unwritten(kind: Kind, meta: Mapping[str, Any], error: ApiError) -> None:
    _log.warning("%s %s/%s: status not written: %s", kind.kind, meta.get("namespace", ""), meta["name"], error.message)
