"""The whole control plane in one process: the resource API, the sources that it follows, and the gateways it serves.

Owns their order: the store and the API first, then the sources, and gateways once every source was brought in, so that
no gateway is sent a state from which something is missing that merely had not been read yet.
`python -m heddle.controlplane.whole` runs it; as a child of a mesh it ends with its parent.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from heddle.controlplane import tuning
from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.access.certificates import CertificateError
from heddle.controlplane.compiling import RESOURCES
from heddle.controlplane.directory import KEEP_S, Directory
from heddle.controlplane.distribution import reporting
from heddle.controlplane.distribution.listening import PORT, Listening
from heddle.controlplane.distribution.running import Gateways
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.process import DEFAULT_PORT, FOLDER, ControlPlane, Settings
from heddle.controlplane.replicas.database import add_arguments, database_of
from heddle.controlplane.sources import options
from heddle.controlplane.sources.beside import RESOURCE, Beside
from heddle.controlplane.sources.cluster import ClusterStore
from heddle.controlplane.sources.run import Specs
from heddle.drivers.documents import UnavailableError
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api
from heddle.net.client import Client

_log = logging.getLogger("heddle.controlplane")


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """How a whole control plane runs."""

    api: Settings
    gateways: Listening
    sources: Specs = Specs()
    """Folders and branches to follow."""
    keep_found_s: float = KEEP_S
    """How long something that was found stays in the directory once what declared it is gone."""
    cluster: Reach | None = None
    """The Kubernetes API server that takes the place of the store and the API."""


async def run(whole: Whole, ended: asyncio.Event) -> int:
    """Serve until `ended`. Returns the exit status."""
    try:
        if whole.cluster is not None:
            await _of_cluster(whole, whole.cluster, ended)
        else:
            await _of_store(whole, ended)
    except (AuthorityError, CertificateError, UnavailableError, OSError, ValueError) as exc:
        _log.error("the control plane cannot start: %s", exc)
        return 1
    return 0


async def _of_store(whole: Whole, ended: asyncio.Event) -> None:
    """Serve the API, and gateways with what is stored."""
    plane = ControlPlane(whole.api)
    state = whole.api.state_dir
    sources: Beside | None = None
    gateways: Gateways | None = None
    try:
        sources = Beside(whole.sources, state / FOLDER, plane.kinds)
        plane.rollbacks[RESOURCE] = sources.roll_back
        await plane.start(sources.routes)
        sources.start(plane.authority, plane.address, plane.store, plane.leases)
        if await _unless(ended, sources.brought_in):
            gateways = Gateways(plane.store, plane.authority, state, whole.gateways, plane.leases.house)
            # Paths in what came by the API mean this folder; those of files were made absolute when they were read.
            folders = whole.sources.folders
            await gateways.start(os.environ, str(folders[0]) if folders else "")
            gateways.join(Directory(plane.store, gateways.makers, time.time, whole.keep_found_s))
            tuning.settle()
            _log.info("gateways are served on %s:%d", *gateways.address)
            await ended.wait()
    finally:
        if gateways is not None:
            await gateways.stop()
        if sources is not None:
            await sources.stop()
        await plane.stop()


async def _of_cluster(whole: Whole, reach: Reach, ended: asyncio.Event) -> None:
    """Serve gateways with what a cluster declares."""
    state, client = whole.api.state_dir, Client()
    store: ClusterStore | None = None
    gateways: Gateways | None = None
    try:
        authority = Authority(state, time.time)
        store = ClusterStore(Api(reach, client), served_kinds(), (*RESOURCES, reporting.RESOURCE))
        read = asyncio.Event()
        reading = asyncio.create_task(store.start())
        reading.add_done_callback(lambda _: read.set())
        _log.info("resources are those of %s", reach.server)
        if await _unless(ended, read):
            reading.result()
            gateways = Gateways(store, authority, state, whole.gateways)
            await gateways.start(os.environ, str(state))
            _log.info("gateways are served on %s:%d", *gateways.address)
            await ended.wait()
    finally:
        if gateways is not None:
            await gateways.stop()
        if store is not None:
            await store.stop()
        await client.close()


async def _unless(ended: asyncio.Event, awaited: asyncio.Event) -> bool:
    """Wait for the second event; False when the first came."""
    tasks = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(awaited.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return not ended.is_set()


async def _serve(whole: Whole, *, child: bool) -> int:
    """Until SIGTERM or SIGINT; of a child also until its parent is gone, whatever became of it."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if child:
        os.set_blocking(0, False)
        loop.add_reader(0, _parent_said, ended)
    return await run(whole, ended)


def _parent_said(ended: asyncio.Event) -> None:
    with contextlib.suppress(BlockingIOError):
        if not os.read(0, 4096):
            asyncio.get_running_loop().remove_reader(0)
            ended.set()


def _given(arguments: Sequence[str] | None) -> tuple[Whole, bool]:
    parser = argparse.ArgumentParser(prog="heddle-control-plane", description="The control plane of a mesh.")
    parser.add_argument("--state", type=Path, required=True, help="state directory")
    parser.add_argument("--host", default="127.0.0.1", help="address that the API is served on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="its port; 0 is any")
    parser.add_argument("--gateways-host", default="127.0.0.1", help="address that gateways are served on")
    parser.add_argument("--gateways-port", type=int, default=PORT, help="its port; 0 is any")
    parser.add_argument("--name", action="append", default=[], help="name or address for its certificate; repeatable")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds that requests under way get at the end")
    parser.add_argument("--keep-found", type=float, default=KEEP_S, help="seconds that what is not declared stays")
    parser.add_argument("--child", action="store_true", help="end when standard input closes")
    options.add_arguments(parser)
    add_arguments(parser)
    given = parser.parse_args(arguments)
    try:
        sources, cluster = options.specs_of(given), options.reach_of(given)
        database = database_of(given, os.environ)
        if database.is_shared and cluster is not None:
            raise ValueError("resources are in a cluster or in a database, not in both")
    except (ValueError, OSError) as exc:
        parser.error(str(exc))
    names = tuple(given.name)
    about = {"names": names, "grace_s": given.grace, "database": database}
    api = Settings(state_dir=given.state, host=given.host, port=given.port, **about)
    listening = Listening(address=given.gateways_host, port=given.gateways_port, hosts=names)
    return Whole(
        api=api, gateways=listening, sources=sources, keep_found_s=given.keep_found, cluster=cluster
    ), given.child


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the process."""
    tuning.tune()
    whole, child = _given(arguments)
    level = logging.WARNING if child else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    # What is wrong in a folder is for whoever edits it, also in the terminal of a mesh.
    logging.getLogger("heddle.sources").setLevel(logging.INFO)
    os.umask(0o077)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(uvloop.run(_serve(whole, child=child)))


if __name__ == "__main__":
    main()
