"""The stdio host, from the mesh's point of view: started with the first target that needs it, told of changes, revived.

Owns the process and its control socket, for `heddle up` and for `heddle stdio-host`, which runs it alone.
"""

import asyncio
import http.client
import json
import logging
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heddle.dataplane.supervisor import child_environment
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_mcp import StdioSpec
from heddle.net.unixsocket import STDIO_SOCKET, socket_path
from heddle.stdio.control import Channel, Configure, Configured, Drain

ANSWER_TIMEOUT_S = 10.0
"""From the start of the process, or from a change, to its word that it serves."""
GRACE_S = 8.0
"""How long tool servers may take to end when the mesh ends; what is left is killed."""
REVIVE_S = (0.0, 0.5, 1.0, 5.0)
"""Back-off of a host that keeps dying within a minute."""
_SETTLED_S = 60.0
_log = logging.getLogger("heddle.supervisor")


def stdio_targets(snapshot: Snapshot) -> dict[str, StdioSpec]:
    """What the host has to run."""
    return {target.name: target.connect for target in snapshot.mcp.targets if isinstance(target.connect, StdioSpec)}


class _Connection(http.client.HTTPConnection):
    """To a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def host_status(state_dir: Path) -> dict[str, Any]:
    """What the host of this state directory runs, by target; nothing when there is none. Blocks: for commands."""
    connection = _Connection(socket_path(state_dir, STDIO_SOCKET), 5.0)
    try:
        connection.request("GET", "/status")
        targets: dict[str, Any] = json.loads(connection.getresponse().read())["targets"]
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return targets


class StdioHost:
    """The process, while there is anything for it to do."""

    def __init__(self, state_dir: Path, environ: Mapping[str, str]) -> None:
        """`environ` is what targets may pass on, of which each names what it does."""
        self._state_dir = state_dir
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._told: Configure | None = None
        self._born_s = 0.0
        self._deaths = 0
        self._next_s = 0.0
        self._turn = asyncio.Lock()
        self._reviving: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[int] | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._alive and self._process is not None else 0

    @property
    def _alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def apply(self, snapshot: Snapshot) -> None:
        """Have it run what `snapshot` declares. Raises OSError when it cannot be started or told."""
        targets = stdio_targets(snapshot)
        names = {name for spec in targets.values() for name in spec.pass_env}
        order = Configure(targets, {name: self._environ[name] for name in sorted(names) if name in self._environ})
        if not targets and not self._alive:
            self._told = None
        elif order != self._told or not self._alive:
            self._told = order
            await self._tell(order)

    def revive(self) -> None:
        """When it died, start it again; its callers begin new sessions. Called when it ends, and twice a second."""
        under_way = self._reviving is not None and not self._reviving.done()
        if self._told is not None and not self._alive and not under_way and time.monotonic() >= self._next_s:
            self._reviving = asyncio.ensure_future(self._again(self._told))

    async def _again(self, order: Configure) -> None:
        self._deaths = self._deaths + 1 if time.monotonic() - self._born_s < _SETTLED_S else 1
        self._next_s = time.monotonic() + REVIVE_S[min(self._deaths, len(REVIVE_S) - 1)]
        _log.warning("the stdio host ended with %s; another starts", self._process.returncode if self._process else "")
        try:
            await self._tell(order)
        except OSError as exc:
            _log.error("the stdio host was not started: %s", exc)

    async def _tell(self, order: Configure) -> None:
        try:
            async with self._turn, asyncio.timeout(ANSWER_TIMEOUT_S):
                if not self._alive:
                    await self._start()
                assert self._channel is not None
                await self._channel.send(order)
                answer = await self._channel.receive()
        except (ConnectionError, TimeoutError) as exc:
            self.hurry()
            raise OSError("the stdio host died or hung") from exc
        if not isinstance(answer, Configured):
            raise OSError("unexpected message from the stdio host")

    async def _start(self) -> None:
        if self._channel is not None:
            self._channel.close()
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "heddle.stdio", "--control", str(theirs.fileno())]
        command += ["--socket", str(socket_path(self._state_dir, STDIO_SOCKET)), "--state", str(self._state_dir)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, env=child_environment()
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._born_s = time.monotonic()
        self._waiting = asyncio.ensure_future(self._process.wait())
        self._waiting.add_done_callback(lambda _: self.revive())
        self._channel = Channel(*await asyncio.open_connection(sock=ours))

    async def stop(self) -> None:
        """End it and every tool server."""
        self._told = None
        if self._reviving is not None:
            await asyncio.wait([self._reviving])
        if self._channel is None or self._process is None:
            return
        try:
            async with asyncio.timeout(GRACE_S + 1):
                await self._channel.send(Drain(GRACE_S))
                await self._process.wait()
        except (ConnectionError, TimeoutError):
            self.hurry()
            await self._process.wait()
        self._channel.close()

    def hurry(self) -> None:
        """End it now; watchdogs end what it ran."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
