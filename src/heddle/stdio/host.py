"""The process: `python -m heddle.stdio --socket PATH --state DIR --control FD`.

Started by the mesh with an inherited control socket, over which it learns what to run. It is alone in the world: it
serves one Unix socket, keeps children, and ends with its mesh. Killed, it leaves nobody: every child has a watchdog
that notices.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import uvloop

from heddle.model.snapshot import ListenerLimits, ListenerSpec
from heddle.net.server import HttpServer
from heddle.net.unixsocket import bind_private
from heddle.stdio import orphans
from heddle.stdio.bridge import Bridge, answer_error
from heddle.stdio.child import MAX_LINE_BYTES
from heddle.stdio.control import Channel, Configure, Configured, Drain
from heddle.stdio.target import Target

SWEEP_S = 1.0
"""How often is looked for idle children."""
CONNECTIONS = 10_000
_LIMITS = ListenerLimits(
    max_connections=CONNECTIONS,
    max_connections_per_address=CONNECTIONS,
    idle_timeout_s=600.0,
    max_body_bytes=MAX_LINE_BYTES,
)

_log = logging.getLogger("heddle.stdio")


class Host:
    """What runs, and the socket it is reached on."""

    def __init__(self, path: Path, state: Path) -> None:
        self._path = path
        self._state = state
        self._bridge = Bridge()
        self._retiring: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        spec = ListenerSpec(name="stdio", address="", port=0, protocol="HTTP", limits=_LIMITS)
        self._server = HttpServer(self._bridge.handle, spec, answer_error=answer_error, half_close=False)

    async def start(self) -> None:
        """Open the socket. Raises OSError."""
        self._socket = bind_private(self._path)
        await self._server.start(self._socket)

    def configure(self, order: Configure) -> None:
        """Run what `order` says; what did not change runs on, with its children and sessions."""
        before, targets = self._bridge.targets, {}
        for name, spec in order.targets.items():
            passed = {one: order.environ[one] for one in spec.pass_env if one in order.environ}
            old = before.get(name)
            if old is not None and (old.spec, old.environ) == (spec, passed):
                targets[name] = old
            else:
                targets[name] = Target(name, spec, passed, str(self._state))
        self._bridge.targets = targets
        for name, target in before.items():
            if targets.get(name) is not target:
                task = asyncio.ensure_future(target.retire())
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)

    async def housekeeping(self) -> None:
        """Stop idle children, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for target in self._bridge.targets.values():
                target.sweep(now_s)

    async def stop(self, grace_s: float) -> None:
        """End in order: no more calls, then the children. What takes longer than `grace_s` is left to watchdogs."""
        self._server.stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._server.drain(min(grace_s / 2, 5.0))
                await asyncio.gather(*(target.stop() for target in self._bridge.targets.values()), *self._retiring)
        if self._socket is not None:
            self._socket.close()
            self._path.unlink(missing_ok=True)


async def serve(host: Host, channel: Channel) -> None:
    """Do what the mesh says until it says drain, or is gone."""
    housekeeping = asyncio.ensure_future(host.housekeeping())
    try:
        while True:
            order = await channel.receive()
            if isinstance(order, Configure):
                host.configure(order)
                await channel.send(Configured())
            elif isinstance(order, Drain):
                await host.stop(order.grace_s)
                return
    except ConnectionError:
        # Nobody is left to wait for an orderly end: this process goes, and the watchdogs do the rest.
        _log.warning("the mesh is gone; ending every tool server")
    finally:
        housekeeping.cancel()


async def run(path: Path, state: Path, control: socket.socket) -> None:
    """Serve until told to end. Raises OSError when the socket cannot be opened."""
    host = Host(path, state)
    channel = Channel(*await asyncio.open_connection(sock=control))
    await host.start()
    await serve(host, channel)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the process."""
    parser = argparse.ArgumentParser(prog="heddle-stdio", description="Run tool servers that speak over stdio.")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to serve")
    parser.add_argument("--state", type=Path, required=True, help="working directory of tool servers that name none")
    parser.add_argument("--control", type=int, required=True, help="inherited descriptor of the control socket")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s stdio %(levelname)s %(name)s %(message)s"
    )
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the mesh decides; a Ctrl-C reaches the whole group
    os.umask(0o077)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    orphans.adopt()
    control = socket.socket(fileno=options.control)
    control.set_inheritable(False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run(options.socket, options.state, control))
        except OSError as exc:
            _log.error("no socket at %s: %s", options.socket, exc.strerror or exc)
            os._exit(1)
        # Tasks that wait for stubborn children would hold up the end; the watchdogs end those.
        os._exit(0)
