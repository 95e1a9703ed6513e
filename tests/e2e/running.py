"""A running mesh for tests that go through the real door: processes, sockets, files."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 20.0


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    for sock in held:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Poll until `condition()` is true; AssertionError when it is not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.02)


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in units of 1,048,576 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class RunningMesh:
    """A `heddle up` under test."""

    config: Path
    state: Path
    port: int
    admin_port: int
    workers: int = 1
    command: str = "up"
    arguments: tuple[str, ...] = ()
    grace_s: float = 5.0
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def log_file(self) -> Path:
        """What it printed; beside the configuration, so that the state directory is all its own making."""
        return self.config.with_suffix(".out")

    def start(self) -> "RunningMesh":
        command = [sys.executable, "-m", "heddle", self.command, "-f", str(self.config), "--state", str(self.state)]
        command += ["--workers", str(self.workers), "--grace", str(self.grace_s), *self.arguments]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.environ})
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the mesh ended with {self.process.returncode}:\n{self.log}")
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the mesh was not ready in {START_S} s:\n{self.log}")

    def get(self, path: str, *, authorized: bool = False) -> tuple[int, bytes]:
        """GET on the admin listener."""
        headers = {"authorization": f"Bearer {self.token}"} if authorized else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @property
    def token(self) -> str:
        return (self.state / "admin.token").read_text().strip()

    def running(self) -> dict[str, object]:
        """What /config says."""
        status, body = self.get("/config", authorized=True)
        assert status == 200, body
        shown: dict[str, object] = json.loads(body)
        return shown

    def post(
        self,
        body: bytes | dict[str, object],
        *,
        path: str = "/v1/chat/completions",
        key: str | None = "sk-test-123",
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """POST to the model listener."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body=data, headers=sent)
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def raw(self, data: bytes, *, timeout_s: float = 5.0, eof: bool = False) -> bytes:
        """What comes back for these bytes until the mesh closes; TimeoutError when it neither answers nor closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as sock:
            received = b""
            try:
                sock.sendall(data)
                if eof:
                    sock.shutdown(socket.SHUT_WR)
                while piece := sock.recv(65536):
                    received += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
            return received

    def records(self, name: str = "access.log") -> list[dict[str, object]]:
        """The access records in a log file of the state directory."""
        return [one for one in self._lines(name) if "audit" not in one]

    def audits(self, name: str = "access.log") -> list[dict[str, object]]:
        """The audit records in it."""
        return [one for one in self._lines(name) if "audit" in one]

    def _lines(self, name: str) -> list[dict[str, object]]:
        try:
            lines = (self.state / name).read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def recorded(self, body: bytes | dict[str, object], **settings: str | None) -> tuple[int, dict[str, object]]:
        """POST, and the access record that came of it; found by a trace id of its own."""
        trace_id = secrets.token_hex(16)
        status, _, _ = self.post(body, traceparent=f"00-{trace_id}-00f067aa0ba902b7-00", **settings)  # type: ignore[arg-type]

        def mine() -> list[dict[str, object]]:
            return [one for one in self.records() if one.get("trace_id") == trace_id]

        eventually(mine)
        return status, mine()[0]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of a metric that have these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].decode().splitlines():
            series, _, value = line.rpartition(" ")
            named = series.partition("{")[0] == name
            if named and all(f'{label}="{text}"' in series for label, text in labels.items()):
                total += float(value)
        return total

    def rewrite(self, text: str) -> None:
        """Replace the configuration and wait until it is served or rejected."""
        before = self.running()
        self.config.write_text(text)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            now = self.running()
            if (now["version"], now["rejected"]) != (before["version"], before["rejected"]):
                return
            time.sleep(0.05)
        raise AssertionError(f"the change was not noticed:\n{self.log}")

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def restart(self) -> "RunningMesh":
        """Stop as asked, then start anew on the same state."""
        assert self.stop() == 0
        return self.start()

    def kill(self) -> None:
        """End it however it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_mesh(folder: Path, text: str, **settings: object) -> Iterator[RunningMesh]:
    """A started mesh; at the end it must stop as asked. `text` has {{port}} and {{admin_port}} to be filled in."""
    port, admin_port = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "heddle.yaml"
    config.write_text(text.format(port=port, admin_port=admin_port))
    mesh = RunningMesh(config, folder / "state", port, admin_port, **settings)  # type: ignore[arg-type]
    try:
        yield mesh.start()
        assert mesh.stop() == 0
    finally:
        mesh.kill()


CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: offline, type: scripted, options: {{tokens_per_s: 0, first_token_s: 0}}}}
  models:
    - {{name: gpt-4o-mini, provider: offline}}
    - {{name: gpt-5-large, provider: offline}}
    - {{name: text-embedding-3-small, provider: offline}}
    - {{name: "claude-*", provider: offline}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: "sk-test-123", user: alice, tenant: dev-team, agent: planner}}
      - {{key: "sk-bob-456", user: bob, tenant: dev-team, agent: coder}}
      - {{key: "sk-narrow-789", user: carol, tenant: dev-team, agent: reader, models: ["gpt-4o*"]}}
      - {{key: "sk-other-000", user: dave, tenant: other-team, agent: spy}}
authorization:
  policies:
    - {{name: dev, match: {{kubernetes: {{namespace: dev-team}}}}, resources: ["model:*"], action: allow}}
    - {{name: no-big, when: 'principal.user == "bob" && call.model.startsWith("gpt-5")', action: deny}}
"""
