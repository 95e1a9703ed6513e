"""A control-plane process, and the real kubectl beside it."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.controlplane.programs import newest

from heddle.controlplane.access.authority import Authority

START_S = 30.0


class Plane:
    """A control plane on a free port, with its state in a folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.port = 0
        self.start()
        self.authority = Authority(folder, time.time)
        self.config = self.kubeconfig("admin", "heddle:admins")

    def start(self) -> None:
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "heddle.controlplane.process", "--state", str(self.folder)]
            command += ["--port", str(self.port), "--grace", "2"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            text = self.log.read_text()
            if "served on https://127.0.0.1:" in text:
                self.port = int(text.split("served on https://127.0.0.1:")[1].split()[0])
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(self.log.read_text()[-3000:])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def kubeconfig(self, name: str, *groups: str) -> Path:
        """How somebody reaches it."""
        pair = self.authority.issue(name, groups, 3600)
        (self.folder / f"{name}.crt").write_bytes(pair.certificate)
        (self.folder / f"{name}.key").write_bytes(pair.key)
        (self.folder / "ca.crt").write_bytes(self.authority.ca_pem)
        user = {"client-certificate": str(self.folder / f"{name}.crt"), "client-key": str(self.folder / f"{name}.key")}
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self.folder / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "h", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "h", "context": {"cluster": "h", "user": "u", "namespace": "default"}}],
            "current-context": "h",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def environment(self, config: Path | None = None) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(config or self.config), "HOME": str(self.folder)}

    def kubectl(self, *arguments: str, stdin: Any = None, fails: bool = False, **options: Any) -> str:
        """Run kubectl; what it printed, both ways. `fails` says that it must. Options: `program`, `config`, `env`."""
        command = [options.get("program") or newest(), *arguments]
        environment = self.environment(options.get("config")) | options.get("env", {})
        text = stdin if isinstance(stdin, str) or stdin is None else json.dumps(stdin)
        ran = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, timeout=60, check=False
        )
        said = ran.stdout + ran.stderr
        assert (ran.returncode != 0) is fails, f"{command}: {ran.returncode}\n{said}"
        return said

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """One request as the administrator; status and what was answered, `{"text": ...}` where that is no JSON."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, method=method)
        asked.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(asked, timeout=30, context=context) as answer:
                code, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                code, text = error.code, error.read()
        try:
            return code, json.loads(text)
        except ValueError:
            return code, {"text": text.decode()}

    def start_kubectl(self, *arguments: str, program: str = "") -> "subprocess.Popen[str]":
        command = [program or newest(), *arguments]
        return subprocess.Popen(
            command, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


class Whole(Plane):
    """With gateways, so that what is stored is compiled too."""

    def start(self) -> None:
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "heddle.controlplane.whole", "--state", str(self.folder)]
        command += ["--port", str(self.port), "--gateways-port", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while "gateways are served" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text()[-3000:])
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
