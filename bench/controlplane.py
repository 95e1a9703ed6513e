"""How many writes does the control plane take, and how soon do a thousand watchers know of one?

Owns a small HTTP client that costs little beside the server: both share the machine. SQLite with synchronous=FULL, TLS,
client certificates, schemas, managedFields and CEL as always.
"""

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import cast

import uvloop

from bench.figures import Options, Result, Target
from heddle.controlplane.access.authority import Authority

CONNECTIONS = 32
WATCHERS = 1_000
CHANGES = 10
SECONDS = 4.0
_HOST = "127.0.0.1"
_KIND = "/apis/kagent.dev/v1alpha2/namespaces/default/modelconfigs"
_START_S = 20.0


class Server:
    """A control plane of its own."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, time.time)
        self._log = (folder / "log").open("wb")
        command = [sys.executable, "-m", "heddle.controlplane.process", "--state", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self.port = self._wait(folder / "log")
        self.context = ssl.create_default_context(cadata=self.authority.ca_pem.decode())
        pair = self.authority.issue("bench", ["heddle:admins"], 3600)
        (folder / "bench.pem").write_bytes(pair.certificate + pair.key)
        self.context.load_cert_chain(folder / "bench.pem")

    def _wait(self, log: Path) -> int:
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            text = log.read_text()
            if "served on https://" in text:
                return int(text.split("served on https://")[1].split()[0].rsplit(":", 1)[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the control plane did not start: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)
        self._log.close()

    def rss_mb(self) -> float:
        """Memory it holds now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0


class Connection:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, server: Server) -> "Connection":
        """Connect."""
        reader, writer = await asyncio.open_connection(_HOST, server.port, ssl=server.context, limit=1 << 20)
        return cls(reader, writer)

    def send(self, method: str, path: str, body: bytes = b"", content: str = "application/json") -> None:
        """Send a request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nUser-Agent: bench\r\nContent-Type: {content}\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def call(self, method: str, path: str, body: bytes = b"", content: str = "application/json") -> int:
        """Send a request and read the answer; its status."""
        self.send(method, path, body, content)
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(size)
        return int(head[9:12])


def model(name: str, number: int) -> bytes:
    """A ModelConfig."""
    value = {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": name, "labels": {"app": "bench", "team": "a"}},
        "spec": {"provider": "OpenAI", "model": f"gpt-{number}", "openAI": {"baseUrl": "https://llm.example.com/v1"}},
    }
    return json.dumps(value, separators=(",", ":")).encode()


async def rate(server: Server, seconds: float, once: Callable[[Connection, int, int], Awaitable[int]]) -> float:
    """Calls per second over many connections. `once` gets a connection, its number and a counter."""
    connections = [await Connection.open(server) for _ in range(CONNECTIONS)]
    end = time.perf_counter() + seconds
    done = 0

    async def work(number: int, connection: Connection) -> None:
        nonlocal done
        count = 0
        while time.perf_counter() < end:
            status = await once(connection, number, count)
            if status not in (200, 201):
                raise RuntimeError(f"answered {status}")
            count += 1
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work(number, one) for number, one in enumerate(connections)))
    took = time.perf_counter() - began
    for one in connections:
        one.writer.close()
    return done / took


async def create(connection: Connection, number: int, count: int) -> int:
    """A new object."""
    return await connection.call("POST", _KIND, model(f"c-{number}-{count}", count))


async def apply(connection: Connection, number: int, count: int) -> int:
    """Server-side apply that changes something."""
    path = f"{_KIND}/a-{number}-{count % 20}?fieldManager=bench&force=true"
    return await connection.call(
        "PATCH", path, model(f"a-{number}-{count % 20}", count), "application/apply-patch+yaml"
    )


async def get(connection: Connection, number: int, count: int) -> int:
    """A read."""
    return await connection.call("GET", f"{_KIND}/a-{number}-{count % 20}")


class Crowd:
    """What all watchers wait for, and how many still do."""

    def __init__(self) -> None:
        self.wanted = b"HTTP/1.1 200 OK"
        self.left = 0
        self.done = asyncio.Event()

    def wait_for(self, wanted: bytes, count: int) -> None:
        """Begin anew."""
        self.wanted, self.left = wanted, count
        self.done.clear()


class Watcher(asyncio.Protocol):
    """One of them; whoever has a thousand on the server's machine must do little for each."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        path = "/api/v1/namespaces/default/configmaps?watch=1&allowWatchBookmarks=true"
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        # What is sent at once is short, and comes as one record.
        if self._crowd.wanted in data:
            self._crowd.left -= 1
            if not self._crowd.left:
                self._crowd.done.set()


async def fan_out(server: Server) -> float:
    """Milliseconds from a change to the last of the watchers, the median of some."""
    crowd, loop, transports = Crowd(), asyncio.get_running_loop(), []
    crowd.left = WATCHERS
    for _ in range(WATCHERS):
        transport, _watcher = await loop.create_connection(
            lambda: Watcher(crowd), _HOST, server.port, ssl=server.context
        )
        transports.append(transport)
    await asyncio.wait_for(crowd.done.wait(), _START_S)
    writer = await Connection.open(server)
    took = []
    for number in range(CHANGES):
        name = f"n{number}"
        crowd.wait_for(f'"name":"{name}"'.encode(), WATCHERS)
        await asyncio.sleep(0.1)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
        began = time.perf_counter()
        await writer.call("POST", "/api/v1/namespaces/default/configmaps", json.dumps(body).encode())
        await asyncio.wait_for(crowd.done.wait(), _START_S)
        took.append((time.perf_counter() - began) * 1000)
    for transport in transports:
        transport.close()
    writer.writer.close()
    return median(took)


async def measure(server: Server, seconds: float) -> dict[str, float]:
    """All figures."""
    found = {"creates a second": await rate(server, seconds, create)}
    found["server-side applies a second"] = await rate(server, seconds, apply)
    found["reads a second"] = await rate(server, seconds / 2, get)
    found[f"ms to the last of {WATCHERS} watchers"] = await fan_out(server)
    found["MB held with them"] = server.rss_mb()
    return found


def run(options: Options) -> Result:
    """One control plane, measured from outside."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            found = uvloop.run(measure(server, options.seconds or SECONDS))
        finally:
            server.stop()
    result = Result("Control plane", ["what", "figure"])
    result.rows = [[name, value] for name, value in found.items()]
    result.targets.append(Target("creates a second", found["creates a second"], at_least=1_000))
    applies = found["server-side applies a second"]
    result.targets.append(Target("server-side applies a second", applies, at_least=400))
    fan = f"ms to the last of {WATCHERS} watchers"
    result.targets.append(Target(fan, found[fan], at_most=60))
    return result


if __name__ == "__main__":
    for row in run(Options(None, 1, [], None)).rows:
        print(*row)
