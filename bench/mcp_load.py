"""Asks tool servers: a client of either era that measures, and the same call as wrk sends it.

Owns: the bytes of a call in each era, sessions, a load of so many calls per second, and wrk's run over given requests.
Refuses: judging the figures.
"""

import asyncio
import http.client
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import cast

from bench.load import CONF, Report
from bench.mcp_upstream import MODERN, TEXT
from bench.processes import LOAD_CORE, pinned

CONNECTIONS = 16
LEGACY = "2025-11-25"
_CLIENT = {"name": "bench", "version": "1.0"}
_ID = b"@@@@@@@@"
"""Stands for the id; as long as the numbers that take its place."""


@dataclass(frozen=True)
class Endpoint:
    """A tool server and how it is asked."""

    port: int
    path: str = "/mcp"
    tool: str = "echo"
    modern: bool = True
    key: str = ""
    """Bearer credential; empty sends none."""

    def fields(self, session: str = "", method: str = "tools/call") -> dict[str, str]:
        """Header fields of a request."""
        fields = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if self.key:
            fields["authorization"] = f"Bearer {self.key}"
        if self.modern:
            name = {"mcp-name": self.tool} if method == "tools/call" else {}
            return {**fields, "mcp-protocol-version": MODERN, "mcp-method": method, **name}
        if session:
            fields |= {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
        return fields

    def body(self, method: str, params: dict[str, object], identity: object = 1) -> bytes:
        """A JSON-RPC request, or a notification where `identity` is None."""
        if self.modern:
            own = {"protocolVersion": MODERN, "clientCapabilities": {}, "clientInfo": _CLIENT}
            params = {**params, "_meta": {f"io.modelcontextprotocol/{key}": value for key, value in own.items()}}
        message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
        if identity is not None:
            message["id"] = identity
        return json.dumps(message, separators=(",", ":")).encode()

    def call(self, session: str = "") -> bytes:
        """A whole request for a call of the tool; `_ID` stands where its id goes."""
        params: dict[str, object] = {"name": self.tool, "arguments": {"text": "hello"}}
        body = self.body("tools/call", params, _ID.decode()).replace(b'"' + _ID + b'"', _ID)
        fields = {"host": f"127.0.0.1:{self.port}", **self.fields(session), "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def ask(
        self, connection: http.client.HTTPConnection, body: bytes, fields: dict[str, str]
    ) -> http.client.HTTPResponse:
        """Sends one request; the answer is read up to its body."""
        connection.request("POST", self.path, body, fields)
        return connection.getresponse()

    def open(self) -> str:
        """A new session's id, empty where the server keeps none. RuntimeError when it is not opened."""
        hello: dict[str, object] = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            answer = self.ask(connection, self.body("initialize", hello), self.fields())
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"no session: HTTP {answer.status} {text[:500]!r}")
            session = answer.getheader("mcp-session-id", "")
            self.ask(connection, self.body("notifications/initialized", {}, None), self.fields(session)).read()
            return session
        finally:
            connection.close()

    def works(self, session: str = "") -> bool:
        """Whether one call gets the upstream's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            params: dict[str, object] = {"name": self.tool, "arguments": {"text": "hello"}}
            answer = self.ask(connection, self.body("tools/call", params), self.fields(session))
            return TEXT.encode() in answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def reached(port: int) -> int:
    """How many calls the upstream answered so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def wrk(port: int, seconds: float, requests: Path) -> Report:
    """Sends the requests of a file in turns, as fast as answers come."""
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(CONF / "mcp.lua")]
    command = pinned(LOAD_CORE, ["wrk", *options, f"http://127.0.0.1:{port}/", "--", str(requests)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    line = next((x for x in done.stdout.splitlines() if x.startswith("{")), "")
    if not line:
        raise RuntimeError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return Report(**json.loads(line))


def requests(endpoint: Endpoint, sessions: Sequence[str]) -> bytes:
    """What `wrk` sends: one request for each session, or one in all."""
    return b"\0".join(endpoint.call(session) for session in sessions or [""])


# So many calls per second


@dataclass
class _Answers(asyncio.Protocol):
    """One connection with one call under way: tells the time when the whole answer is there."""

    done: asyncio.Future[float] | None = None
    _buffer: bytes = field(default=b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        # The upstream's text ends no answer, but it is in every one, near the end; chunks and lengths are not counted.
        if self.done is not None and TEXT.encode() in self._buffer and self._whole():
            self.done.set_result(time.perf_counter())
            self.done, self._buffer = None, b""

    def _whole(self) -> bool:
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return body.endswith(b"0\r\n\r\n")
        return len(body) >= int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed"))


async def paced(endpoint: Endpoint, sessions: Sequence[str], rate: int, seconds: float) -> float:
    """Median ms of calls that are due at a steady rate, whatever becomes of those before.

    The time counts from when the clock let a call begin (the loop's own is exact to a millisecond): one that waits for
    a free connection is late. TimeoutError when an answer takes ten seconds.
    """
    loop = asyncio.get_running_loop()
    texts = [endpoint.call(session) for session in sessions or [""]]
    free: asyncio.LifoQueue[tuple[_Answers, bytes]] = asyncio.LifoQueue()
    for number in range(CONNECTIONS):
        _, protocol = await loop.create_connection(_Answers, "127.0.0.1", endpoint.port)
        free.put_nowait((protocol, texts[number % len(texts)]))
    took: list[float] = []
    begun = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        await asyncio.sleep(begun + number / rate - time.perf_counter())
        woke = time.perf_counter()
        protocol, text = await free.get()
        protocol.done = answered = loop.create_future()
        protocol.transport.write(text.replace(_ID, b"%d" % (10_000_000 + number)))
        took.append(await asyncio.wait_for(answered, 10) - woke)
        free.put_nowait((protocol, text))

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            group.create_task(one(number))
    while not free.empty():
        free.get_nowait()[0].transport.close()
    return median(took) * 1e3
