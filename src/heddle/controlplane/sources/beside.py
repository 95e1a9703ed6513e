"""The sources of a control plane, in its own process: each with a credential of its own, writing through the API.

Owns those credentials, the Source objects (which nobody writes through the API), and the webhook. It ends with the
process; what the sources declared stays.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import CONTROL_PLANE, SOURCES
from heddle.controlplane.access.defaults import FOLDERS, GITS
from heddle.controlplane.replicas.leading import Lead
from heddle.controlplane.replicas.leases import Leases
from heddle.controlplane.sources import hooks
from heddle.controlplane.sources.git import GitSource
from heddle.controlplane.sources.loop import Source
from heddle.controlplane.sources.ownership import source_user
from heddle.controlplane.sources.record import record_name
from heddle.controlplane.sources.run import Specs, build, run
from heddle.controlplane.sources.sync import Owned
from heddle.controlplane.sources.writer import ApiWriter
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api
from heddle.model.kinds import Kind, Kinds
from heddle.model.resources_source import HEDDLE_VERSION
from heddle.net.client import Client
from heddle.wire.kube.status import ApiError

_log = logging.getLogger("heddle.sources")

CREDENTIAL_S = 7 * 86_400.0
"""How long a source's certificate is good for; a new one is made when half of that is over."""
RESOURCE = "sources.heddle.dev"
MIN_SECRET_CHARS = 16
_GROUPS = {"Folder": FOLDERS, "Git": GITS}
_ATTEMPTS = 5
LOOK_S = 0.5
"""How often one that does not follow a source looks whether another has brought it in."""


class Store(Protocol):
    """What Source objects are written to."""

    def get(self, key: Key) -> Any:
        """The object, or None."""
        ...

    async def write(self, writes: list[Write]) -> Any:
        """All or none. Raises ConflictError, UnavailableError."""
        ...


class Beside:
    """The sources of one control plane."""

    def __init__(self, specs: Specs, folder: Path, kinds: Kinds) -> None:
        """`folder` is the control plane's own. Raises ValueError for two sources of one name."""
        self._kinds = kinds
        self._secret = specs.hook_secret
        self.sources = build(specs, folder, lambda: kinds)
        self._client = Client()
        self._running: asyncio.Task[None] | None = None
        self._among: Replicas | None = None
        self.brought_in = asyncio.Event()
        """Every source was brought in once, as far as it went."""

    @property
    def routes(self) -> list[BaseRoute]:
        """What is served beside the API."""
        return [Route(hooks.PATH, self._hook, methods=["POST"])] if self._secret else []

    def start(self, authority: Authority, address: tuple[str, int], store: Store, leases: Leases | None = None) -> None:
        """Follow the sources, from now on, those of which this replica has the lease; the API is served at
        `address`."""
        host, port = address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where it is reached
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

        def writer(source: Source) -> _Renewed:
            return _Renewed(lambda: self._writer(source, authority, server, store))

        self._among = Replicas(store, leases) if leases is not None else None
        self._running = asyncio.create_task(run(self.sources, writer, _log.info, self.brought_in.set, self._among))

    async def stop(self) -> None:
        """Stop following. Harmless before `start`."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await self._client.close()

    async def roll_back(self, name: str, earlier: Mapping[str, Any] | None) -> dict[str, Any]:
        """Have a branch stay at an earlier commit, that of an earlier version of its Source object or the one before.

        Raises ApiError.
        """
        source = next((one for one in self.sources if record_name(one.name) == name), None)
        if not isinstance(source, GitSource):
            why = "only Git branches go back; a folder is what its files say"
            raise ApiError(409, "Conflict", f'sources.heddle.dev "{name}" cannot be rolled back: {why}')
        if self._among is not None and not self._among.lead(source).leads:
            why = f"another replica follows it; ask the holder of Lease kube-system/{lease_of(source)}"
            raise ApiError(409, "Conflict", f'sources.heddle.dev "{name}" cannot be rolled back here: {why}')
        try:
            commit = source.roll_back(str(((earlier or {}).get("status") or {}).get("commit") or ""))
        except ValueError as exc:
            raise ApiError(409, "Conflict", f'sources.heddle.dev "{name}" cannot be rolled back: {exc}') from exc
        head = {"apiVersion": HEDDLE_VERSION, "kind": "Source", "metadata": {"name": name}}
        return {**head, "spec": {"type": "Git", "place": source.place}, "status": {"commit": commit}}

    def _writer(self, source: Source, authority: Authority, server: str, store: Store) -> "_Writer":
        groups = [SOURCES, _GROUPS[source.kind]]
        pair = authority.issue(source_user(source.name), groups, CREDENTIAL_S)
        reach = Reach(
            server=server,
            ca=authority.ca_pem.decode(),
            certificate=pair.certificate.decode(),
            key=pair.key.decode(),
        )
        return _Writer(source.name, Api(reach, self._client), lambda: self._kinds, store)

    async def _hook(self, request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if not declared.isdecimal() or int(declared) > hooks.MAX_BODY_BYTES:
            return Response(status_code=413)
        try:
            async with asyncio.timeout(10):
                body = await request.body()
        except TimeoutError:
            return Response(status_code=408)
        branches = [source for source in self.sources if isinstance(source, GitSource)]
        return Response(status_code=hooks.hook(request.headers, body, self._secret, branches))


class Replicas:
    """See `sources.run.Among`."""

    def __init__(self, store: Store, leases: Leases) -> None:
        self._store, self._leases = store, leases

    def lead(self, source: Source) -> Lead:
        """See `Among`."""
        return self._leases.of(lease_of(source))

    async def brought(self, source: Source) -> None:
        """See `Among`: its Source object is there."""
        key = Key(RESOURCE, "", record_name(source.name))
        while True:
            if not self._leases.is_alone and self._store.get(key) is not None:
                return
            await asyncio.sleep(LOOK_S)


def lease_of(source: Source) -> str:
    """Name of the Lease of whoever follows a source."""
    return f"heddle-source-{record_name(source.name)}"


class _Writer(ApiWriter):
    """Writes Source objects straight to the store: they are generated."""

    def __init__(self, source: str, api: Api, kinds: Callable[[], Kinds], store: Store) -> None:
        super().__init__(source, api, kinds)
        self._store = store

    async def record(self, value: Mapping[str, Any]) -> None:
        """Write the Source object. Raises ConnectionError when the store is away."""
        key = Key(RESOURCE, "", value["metadata"]["name"])
        for _ in range(_ATTEMPTS):
            stored = self._store.get(key)
            made, expected = _whole(value, stored), stored.version if stored is not None else 0
            author = Author(CONTROL_PLANE.name, "sources", "update" if expected else "create")
            try:
                await self._store.write([Write(key, msgspec.json.encode(made), expected, author, time.time())])
            except ConflictError:
                continue
            except UnavailableError as exc:
                raise ConnectionError(str(exc)) from exc
            return


def _whole(value: Mapping[str, Any], stored: Any) -> dict[str, Any]:
    """The object with what a server adds."""
    if stored is not None:
        meta = {name: part for name, part in stored.object["metadata"].items() if name != "resourceVersion"}
    else:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = {**value["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": now, "generation": 1}
    return {**value, "metadata": meta}


class _Renewed:
    """A writer that is made anew before its credential ends. See `sync.Writer`."""

    def __init__(self, make: Callable[[], _Writer]) -> None:
        self._make = make
        self._writer: _Writer | None = None
        self._until_s = 0.0

    def _now(self) -> _Writer:
        if self._writer is None or time.monotonic() > self._until_s:
            if self._writer is not None:
                self._writer.close()
            self._writer, self._until_s = self._make(), time.monotonic() + CREDENTIAL_S / 2
        return self._writer

    async def apply(self, kind: Kind, value: Mapping[str, Any], why: str) -> None:
        """See Writer."""
        await self._now().apply(kind, value, why)

    async def delete(self, kind: Kind, key: Key, why: str) -> None:
        """See Writer."""
        await self._now().delete(kind, key, why)

    async def owned(self) -> list[Owned]:
        """See Writer."""
        return await self._now().owned()

    async def record(self, value: Mapping[str, Any]) -> None:
        """See Writer."""
        await self._now().record(value)


def read_hook_secret(path: Path) -> str:
    """The secret of webhooks. Raises ValueError for one that anybody could guess, OSError."""
    try:
        secret = path.read_text().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text") from None
    if len(secret) < MIN_SECRET_CHARS or len(set(secret)) == 1:
        raise ValueError(f"{path}: a secret of webhooks has at least {MIN_SECRET_CHARS} characters, not all the same")
    return secret
