"""A Kubernetes API server followed: everything of the kinds that count, listed once and watched from then on.

Owns when it is listed again (410, and only then or for a kind that was not there), the waiting between attempts, and
that an error of one kind never ends another. What was seen last stays while the server is away.
*Source:* Kubernetes API concepts, "Efficient detection of changes", "410 Gone responses", watch bookmarks.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from heddle.drivers.documents import Key
from heddle.drivers.kube.client import Api
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError

RETRY_S = 0.5
"""Before the first new attempt; doubles, and is spread so that many do not come at once."""
MAX_RETRY_S = 30.0
ABSENT_S = 60.0
"""Between two looks for a kind that the server does not serve: its definition may be installed later."""
SETTLED_S = 10.0
"""A watch that lasted so long was a good one: the next wait is short again."""


class Mirror(Protocol):
    """What is told what the server has."""

    def replace(self, kind: Kind, objects: Iterable[Mapping[str, Any]]) -> None:
        """This is all there is of a kind."""
        ...

    def put(self, kind: Kind, value: Mapping[str, Any]) -> None:
        """An object is new, or changed."""
        ...

    def drop(self, kind: Kind, value: Mapping[str, Any]) -> None:
        """An object is gone."""
        ...


class Reflector:
    """Follows one kind."""

    def __init__(self, api: Api, kind: Kind, mirror: Mirror, report: Callable[[str], None]) -> None:
        self._api = api
        self._kind = kind
        self._mirror = mirror
        self._report = report
        self._version = ""
        self._wait_s = RETRY_S
        self._told = ""
        self.listed = asyncio.Event()
        """It was listed once, or the server does not serve it."""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            begun_s = time.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._told = ""
                pause_s = 0.0
            except ApiError as exc:
                pause_s = self._refused(exc)
            except (ConnectionError, TimeoutError, OSError) as exc:
                self._say(f"{self._kind.resource}: {exc}")
                pause_s = self._next_wait()
            if time.monotonic() - begun_s > SETTLED_S:
                self._wait_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def _list(self) -> None:
        listed = await self._api.list(self._kind)
        self._mirror.replace(self._kind, listed.items)
        self._version = listed.version
        self._told = ""
        self.listed.set()

    async def _watch(self) -> None:
        """Until the server ends it, which it does every few minutes."""
        kind = self._kind
        async for event in self._api.watch(kind, self._version):
            value, what = event["object"], event.get("type")
            if what in ("ADDED", "MODIFIED"):
                self._mirror.put(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **value})
            elif what == "DELETED":
                self._mirror.drop(kind, value)
            version = (value.get("metadata") or {}).get("resourceVersion")
            if version:
                self._version = str(version)

    def _refused(self, error: ApiError) -> float:
        """How long to wait after a refusal."""
        if error.code == 410:
            # Too old: list again, at once the first time.
            self._version = ""
            wait_s, self._wait_s = (
                (0.0 if self._wait_s == RETRY_S else self._wait_s),
                min(self._wait_s * 2, MAX_RETRY_S),
            )
            return wait_s
        if error.code == 404:
            self._version = ""
            self._say(f"{self._kind.resource}: the server does not serve it")
            self._mirror.replace(self._kind, ())
            self.listed.set()
            return ABSENT_S
        self._say(f"{self._kind.resource}: {error.message}")
        after = (error.details or {}).get("retryAfterSeconds")
        return max(self._next_wait(), float(after) if isinstance(after, int | float) else 0.0)

    def _next_wait(self) -> float:
        wait_s, self._wait_s = self._wait_s, min(self._wait_s * 2, MAX_RETRY_S)
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, protects nothing

    def _say(self, text: str) -> None:
        """Once, and not again for every attempt."""
        if text != self._told:
            self._report(text)
            self._told = text


class Cluster:
    """Follows all kinds of a server."""

    def __init__(self, api: Api, kinds: Iterable[Kind], mirror: Mirror, report: Callable[[str], None]) -> None:
        self._reflectors = [Reflector(api, kind, mirror, report) for kind in kinds]

    async def listed(self) -> None:
        """Wait until every kind was listed once."""
        for reflector in self._reflectors:
            await reflector.listed.wait()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())


def key_of(kind: Kind, value: Mapping[str, Any]) -> Key:
    """Where an object of a server stands."""
    meta = value.get("metadata") or {}
    return Key(kind.resource, str(meta.get("namespace") or "") if kind.namespaced else "", str(meta.get("name") or ""))
