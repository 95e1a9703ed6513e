"""One tool server as a process: started behind a watchdog, written to, read from, ended.

Owns pipes and their back-pressure, the environment and limits a server gets, and the orderly end: standard input is
closed, then SIGTERM, then SIGKILL, each after its time. It knows lines, not messages.

*Source:* Model Context Protocol 2025-11-25, "Lifecycle", Shutdown (stdio); setrlimit(2).
"""

import asyncio
import contextlib
import errno
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any

from heddle.model.snapshot_mcp import StdioSpec
from heddle.stdio import orphans, watchdog
from heddle.stdio.lines import LineSplitter, LineTooLongError
from heddle.stdio.stderr import Complaints

START_TIMEOUT_S = 10.0
"""From the start of the watchdog to its word that the server runs; a machine that needs longer is out of order."""
READ_BYTES = 64 * 1024
_UNREAD_BYTES = 256 * 1024
_CLOSE_S = 3.0
"""What a watchdog may take to end what it watches over."""


class StartError(Exception):
    """The server could not be started. The text says what is missing, and is safe to show."""


class Inlet(asyncio.BaseProtocol):
    """The standard input of a server, with back-pressure."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._room: asyncio.Future[None] | None = None

    @property
    def unsent(self) -> int:
        """Bytes that the server has not read yet, beyond what the pipe holds."""
        size: int = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return size

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is ready."""
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """The server closed it, or ended."""
        self._transport = None
        self.resume_writing()

    def pause_writing(self) -> None:
        """The server reads more slowly than is written."""
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It caught up."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def push(self, line: bytes) -> None:
        """Write. Silent when the server is gone: its end is told elsewhere."""
        if self._transport is not None:
            self._transport.write(line)

    async def drain(self) -> None:
        """Wait until there is room for more."""
        if self._room is not None:
            await asyncio.shield(self._room)

    def close(self) -> None:
        """The server reads the end of its input once it has read the rest."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


class ServerProcess:
    """A running server. Made by `start`; `ended` is done once its whole tree is gone."""

    def __init__(self, target: str, spec: StdioSpec, complaints: Complaints) -> None:
        self.pid = 0
        self.stdin = Inlet()
        self.status: int | None = None
        """How it ended: an exit code, or a signal's number, negative; None while it runs or when nobody can tell."""
        self._spec = spec
        self._target = target
        self._complaints = complaints
        self._tasks: list[asyncio.Task[None]] = []
        self._stdout = asyncio.StreamReader(limit=_UNREAD_BYTES)
        self._stderr = asyncio.StreamReader(limit=READ_BYTES)
        self._control: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._popen: subprocess.Popen[bytes]
        self._transports: list[asyncio.BaseTransport] = []
        self._unconnected: list[IO[bytes]] = []
        self.ended: asyncio.Future[None]

    @classmethod
    async def start(
        cls, target: str, spec: StdioSpec, complaints: Complaints, environ: Mapping[str, str], state: str
    ) -> "ServerProcess":
        """Run it. `environ` is what may be passed on; `state` its working directory by default. Raises StartError."""
        self = cls(target, spec, complaints)
        self.ended = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", watchdog.__file__, str(theirs.fileno())]
        try:
            self._popen = orphans.start(command, theirs.fileno())
        except OSError as exc:
            ours.close()
            raise StartError(f"The system has no room for another process: {exc.strerror}.") from exc
        finally:
            theirs.close()
        try:
            await self._connect(ours)
            await self._order(environ, state)
        except BaseException:
            if self._control is None:
                ours.close()
            await asyncio.shield(self._abandon())
            raise
        self._tasks += [asyncio.ensure_future(self._follow()), asyncio.ensure_future(self._read_stderr())]
        return self

    async def _connect(self, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        stdin, stdout, stderr = self._pipes()
        self._control = await asyncio.open_connection(sock=control)
        self._unconnected.remove(stdin)
        self._transports.append((await loop.connect_write_pipe(lambda: self.stdin, stdin))[0])
        for pipe, reader in ((stdout, self._stdout), (stderr, self._stderr)):
            self._unconnected.remove(pipe)
            protocol = asyncio.StreamReaderProtocol(reader)
            self._transports.append((await loop.connect_read_pipe(lambda p=protocol: p, pipe))[0])  # type: ignore[misc]

    def _pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        popen = self._popen
        assert popen.stdin is not None
        assert popen.stdout is not None
        assert popen.stderr is not None
        self._unconnected = [popen.stdin, popen.stdout, popen.stderr]
        return popen.stdin, popen.stdout, popen.stderr

    async def _order(self, environ: Mapping[str, str], state: str) -> None:
        spec = self._spec
        env = {name: environ[name] for name in spec.pass_env if name in environ} | spec.env
        order = {"command": list(spec.command), "env": env, "cwd": spec.cwd or state, "limits": _limits(spec)}
        assert self._control is not None
        reader, writer = self._control
        writer.write(json.dumps(order).encode() + b"\n")
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answer = json.loads(await reader.readline() or b"{}")
        except TimeoutError as exc:
            raise StartError(f"The tool server was not started within {START_TIMEOUT_S:g} s.") from exc
        except (ConnectionError, ValueError) as exc:
            raise StartError("The watchdog of the tool server died.") from exc
        if "pid" not in answer:
            raise StartError(_explained(spec, str(answer.get("failed", "")), int(answer.get("errno", 0))))
        self.pid = answer["pid"]

    async def _abandon(self) -> None:
        """It never came to life: nothing of it may stay."""
        if self._control is not None:
            self._control[1].close()  # which a watchdog takes for the end of the host
        else:
            self._popen.kill()
        await self._gone()
        for pipe in self._unconnected:
            pipe.close()  # the others are their transports' to close
        for transport in self._transports:
            transport.close()

    # Reading.

    async def lines(self, max_bytes: int) -> AsyncIterator[bytes]:
        """What it writes, line by line, until it closes its output. Raises LineTooLongError."""
        splitter = LineSplitter(max_bytes)
        while data := await self._stdout.read(READ_BYTES):
            for line in splitter.feed(data):
                yield line

    async def _read_stderr(self) -> None:
        splitter = LineSplitter(READ_BYTES)
        while data := await self._stderr.read(READ_BYTES):
            try:
                lines = splitter.feed(data)
            except LineTooLongError as exc:
                lines = [exc.begun]
                splitter = LineSplitter(READ_BYTES)
            for line in lines:
                self._complaints.line(line)
        self._complaints.line(splitter.rest)

    # Ending.

    async def stop(self) -> None:
        """End it as a server is to be ended: close its input, then SIGTERM, then SIGKILL. Returns when it is over."""
        self.stdin.close()
        grace_s = self._spec.stop_grace_s
        if not await self._over(grace_s):
            self._tell(b"T")
            if not await self._over(grace_s):
                self.kill()
        await self.ended

    def kill(self) -> None:
        """End it and everything it started, at once."""
        self._tell(b"K")

    async def _over(self, within_s: float) -> bool:
        return bool((await asyncio.wait([self.ended], timeout=within_s))[0])

    def _tell(self, letter: bytes) -> None:
        if self._control is not None and not self._control[1].is_closing():
            self._control[1].write(letter)

    async def _follow(self) -> None:
        """Until the watchdog says how it ended, or is dead itself."""
        assert self._control is not None
        reader, writer = self._control
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                said: dict[str, Any] = json.loads(line)
                self.status = said.get("exit", self.status)
        writer.close()
        await self._gone()

    async def _gone(self) -> None:
        """The watchdog has ended: collect it, and whoever it could not take along."""
        await orphans.collect(self._popen, _CLOSE_S)
        for transport in self._transports[:1]:
            transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    async def close(self) -> None:
        """After its end, when all its output has been read."""
        await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()
        for transport in self._transports:
            transport.close()


def _limits(spec: StdioSpec) -> dict[str, tuple[int, int]]:
    limits = {"RLIMIT_CORE": (0, 0)}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # The host raised its own soft limit; programs that use select(2) rely on the usual one.
    usual = min(1024, hard) if hard != resource.RLIM_INFINITY else 1024
    limits["RLIMIT_NOFILE"] = (spec.open_files, spec.open_files) if spec.open_files else (usual, hard)
    if spec.memory_bytes:
        limits["RLIMIT_AS"] = (spec.memory_bytes, spec.memory_bytes)
    if spec.cpu_s:
        limits["RLIMIT_CPU"] = (spec.cpu_s, spec.cpu_s + 1)
    return limits


def _explained(spec: StdioSpec, where: str, number: int) -> str:
    """Why it could not be started, in a sentence."""
    command = spec.command[0]
    reason = os.strerror(number) if number else "not possible"
    if where == "exec" and number == errno.ENOENT:
        return f"There is no such command `{command}`; is it installed, and in the PATH that the server gets?"
    if where == "exec":
        return f"The command `{command}` cannot be run: {reason}."
    if where == "cwd":
        return f"The working directory {spec.cwd!r} cannot be entered: {reason}."
    if where == "limits":
        return f"The limits of the tool server cannot be set: {reason}."
    return f"The tool server could not be started: {reason}."
