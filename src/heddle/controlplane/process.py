"""The control-plane process: the store, the resource API on its socket, and what keeps objects in order behind it.

Owns the order of starting and stopping. At the end it takes no new connections, lets what is under way finish, ends
watches so that their clients go elsewhere, and closes the store last. `python -m heddle.controlplane.process` runs it.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop
from starlette.routing import BaseRoute

from heddle.controlplane import tuning
from heddle.controlplane.access.access import Access
from heddle.controlplane.access.audit import Audit
from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.access.certificates import CertificateError
from heddle.controlplane.access.defaults import install
from heddle.controlplane.access.issuers import add_issuers
from heddle.controlplane.access.reviews import reviews
from heddle.controlplane.access.tls import ServerTls
from heddle.controlplane.access.trail import Trail
from heddle.controlplane.api import serving
from heddle.controlplane.api.application import ResourceApi, build
from heddle.controlplane.api.housekeeping import Housekeeping
from heddle.controlplane.api.parts import Hooks, Rollback
from heddle.controlplane.api.reviews import review_kinds
from heddle.controlplane.directory import searching
from heddle.controlplane.expressions import check_rules
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.openapi import Described
from heddle.controlplane.replicas.database import Database, add_arguments, database_of
from heddle.controlplane.replicas.keys import share
from heddle.controlplane.replicas.leases import Leases
from heddle.controlplane.replicas.lists import Lists
from heddle.controlplane.sources.ownership import check_owner
from heddle.controlplane.sources.rights import rights_needed
from heddle.controlplane.store import Store, seal_of
from heddle.drivers.documents import Documents, UnavailableError
from heddle.model.kinds import Kinds

_log = logging.getLogger("heddle.controlplane")

FOLDER = "control-plane"
DATABASE = "resources.db"
DEFAULT_PORT = 9443


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """How a control plane runs."""

    state_dir: Path
    """Where its files are, in `control-plane/`."""
    host: str = "127.0.0.1"
    """Address it listens on."""
    port: int = DEFAULT_PORT
    """0 takes a free one."""
    names: tuple[str, ...] = ()
    """Names and addresses in its certificate, besides this machine's own."""
    grace_s: float = 10.0
    """How long requests under way may take at the end."""
    database: Database = Database()
    """Where resources are kept."""


class ControlPlane:
    """A control plane in this event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        documents: Documents | None = None,
        kinds: Kinds | None = None,
        audit: Audit | None = None,
    ) -> None:
        """`documents` is where resources are kept; without it, what the settings say. `audit` keeps records;
        without it, the spool of the state directory."""
        self._settings = settings
        self.kinds = kinds or Kinds([*served_kinds(), *review_kinds()])
        self._documents = documents
        self._audit = audit
        self._trail: Trail | None = None
        self.rollbacks: dict[str, Rollback] = {}
        """How objects go back that another part of the control plane makes; to be filled before the start."""
        self._ready = False
        self._tasks: list[asyncio.Task[None]] = []
        self._server: serving.ApiServer | None = None

    async def start(self, routes: Sequence[BaseRoute] = ()) -> None:
        """Serve; `routes` are what other parts serve beside the API.

        Raises AuthorityError, CertificateError, UnavailableError, OSError (the address) and ValueError (the store, the
        file of issuers).
        """
        settings = self._settings
        folder = settings.state_dir / FOLDER
        documents = self._documents or settings.database.documents(folder / DATABASE)
        if settings.database.is_shared:
            await share(settings.database.documents(folder / DATABASE), folder, settings.database.keys)
        self.authority = Authority(settings.state_dir, time.time)
        tls = ServerTls(self.authority, settings.names, time.time)
        if self._audit is None:
            self._trail = Trail(settings.state_dir)
            self._audit = self._trail.audit
        self.store = Store(documents, seal_of(folder), time.monotonic, settings.database.horizon)
        sock = _listen(settings.host, settings.port)
        try:
            await self.store.start()
            await install(self.store, self.kinds, time.time())
            self.access = Access(self.store, self.authority)
            add_issuers(folder, self.access.tokens)
            application = build(self.store, self.kinds, self.access, self._hooks(), routes)
        except BaseException:
            sock.close()
            raise
        self.api: ResourceApi = application.state.api
        self.address: tuple[str, int] = sock.getsockname()[:2]
        """Where it listens."""
        holder = f"{socket.gethostname()}:{self.address[1]}"
        self.leases = Leases(self.store, holder, shared=settings.database.is_shared)
        self.housekeeping = Housekeeping(self.api.core, self.leases.house)
        await self.housekeeping.start()
        self._server = serving.ApiServer(application, tls.context, settings.grace_s)
        await self._server.start(sock)
        self._tasks = [asyncio.create_task(tls.keep())]
        if settings.database.is_shared:
            self._tasks.append(asyncio.create_task(Lists(self.store, folder).run()))
        if self._trail is not None:
            self._tasks.append(asyncio.create_task(self._trail.keep()))
        self._ready = True

    async def stop(self) -> None:
        """End: watches first, then requests, then the store. Harmless before `start` is through."""
        self._ready = False
        if self._server is not None:
            self.api.watches.close()
            await self._server.stop()
            await self.housekeeping.stop()
            await self.leases.stop()
            await self.store.stop()
            self.access.tokens.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ready(self) -> dict[str, bool]:
        """Named checks of `/readyz`."""
        kept = self._trail is None or not self._trail.degraded
        return {"ping": True, "started": self._ready, "audit": kept}

    def _hooks(self) -> Hooks:
        assert self._audit is not None
        return Hooks(
            check_owner=check_owner,
            rights_needed=rights_needed,
            check_rules=check_rules,
            virtual=reviews(self.access),
            audit=self._audit.request,
            openapi=Described(Kinds(kind for kind in self.kinds if "get" in kind.verbs)),
            clock=time.time,
            ready=self.ready,
            pages={searching.PATH: searching.page(searching.Searching(self.store), self.access.authorize)},
            rollbacks=self.rollbacks,
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=4096)
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise OSError(f"the API cannot listen on {host}:{port}: {why}; `--api HOST:PORT` says where else") from exc
    sock.setblocking(False)
    return sock


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status."""
    plane = ControlPlane(settings)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await plane.start()
    except (AuthorityError, CertificateError, UnavailableError, OSError, ValueError) as exc:
        _log.error("the control plane cannot start: %s", exc)
        return 1
    tuning.settle()
    host, port = plane.address
    _log.info("the resource API is served on https://%s:%d", f"[{host}]" if ":" in host else host, port)
    try:
        await ended.wait()
    finally:
        await plane.stop()
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the process."""
    tuning.tune()
    parser = argparse.ArgumentParser(prog="heddle-control-plane", description="The control plane of a mesh.")
    parser.add_argument("--state", type=Path, required=True, help="state directory")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 is any")
    parser.add_argument("--name", action="append", default=[], help="name or address for its certificate; repeatable")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds that requests under way get at the end")
    add_arguments(parser)
    given = parser.parse_args(arguments)
    try:
        database = database_of(given, os.environ)
    except (ValueError, OSError) as exc:
        parser.error(str(exc))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings(
        state_dir=given.state,
        host=given.host,
        port=given.port,
        names=tuple(given.name),
        grace_s=given.grace,
        database=database,
    )
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(uvloop.run(run(settings)))


if __name__ == "__main__":
    main()
