"""A mesh with a tool server over stdio: its processes, and calls over the host's Unix socket."""

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.running import CONFIG, RunningMesh

from heddle.net.unixsocket import STDIO_SOCKET, socket_path

SERVER = Path(__file__).parents[1] / "unit" / "stdio" / "tool_server.py"
TEXT = (
    CONFIG
    + f"""\
mcp:
  targets:
    - {{{{name: tools, stdio: {{{{command: ["{sys.executable}", "{SERVER}"]}}}}}}}}
    - {{{{name: other, stdio: {{{{command: ["{sys.executable}", "{SERVER}", "--modern"], isolation: shared}}}}}}}}
"""
)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in {b"Z", b"X"}
    except OSError:
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Tools:
    """One session with a target of a running mesh, and the process tree behind it."""

    def __init__(self, mesh: RunningMesh, target: str = "tools", owner: str = "alice") -> None:
        self.mesh = mesh
        self.path = f"/t/{target}"
        self.headers = {"x-heddle-owner": owner}

    def http(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        connection = Unix(socket_path(self.mesh.state, STDIO_SOCKET))
        try:
            connection.request(method, path, body=body, headers=self.headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def ask(self, method: str, **params: object) -> tuple[int, dict[str, str], dict[str, object]]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        status, headers, answer = self.http("POST", self.path, body)
        return status, headers, json.loads(answer)

    def begin(self) -> int:
        """Begin a session; the process id of its server."""
        self.headers.pop("mcp-session-id", None)
        status, headers, answer = self.ask("initialize", protocolVersion="2025-11-25")
        assert status == 200, answer
        self.headers["mcp-session-id"] = headers["mcp-session-id"]
        return int(answer["result"]["serverInfo"]["pid"])  # type: ignore[index, call-overload]

    def call(self, name: str, **arguments: object) -> object:
        status, _, answer = self.ask("tools/call", name=name, arguments=arguments)
        assert status == 200, answer
        return answer["result"]["value"]  # type: ignore[index, call-overload]

    def tree(self) -> dict[str, int]:
        """Begin a session and have its server start a near and a far grandchild; every process by its part."""
        server = self.begin()
        watchdog = parent(server)
        host = parent(watchdog)
        assert self.mesh.process is not None
        assert parent(host) == self.mesh.process.pid
        near, far = int(str(self.call("spawn"))), int(str(self.call("spawn", far=True)))
        tree = {"mesh": parent(host), "host": host, "watchdog": watchdog, "server": server, "near": near, "far": far}
        assert all(map(alive, tree.values()))
        return tree


def kill(tree: dict[str, int], victim: str, within_s: float = 2.0) -> tuple[list[str], float]:
    """Kill -9 one of a tree: who of those below it still lives when the time is over, and when the last one ended."""
    parts = list(tree)
    below = parts[parts.index(victim) + 1 :]
    begun_s = time.monotonic()
    os.kill(tree[victim], signal.SIGKILL)
    left = below
    while left and time.monotonic() - begun_s < within_s:
        time.sleep(0.002)
        left = [part for part in below if alive(tree[part])]
    return left, time.monotonic() - begun_s


def whole_trees(tools: Tools) -> Iterator[dict[str, int]]:
    """Tree after tree, each once the mesh answers again."""
    while True:
        deadline_s = time.monotonic() + 20
        while True:
            try:
                tree = tools.tree()
                break
            except (OSError, AssertionError, http.client.HTTPException):
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.02)
        yield tree
