"""Starts tool servers as processes, and ends them by their id. Also finds what `scripts/node_setup.sh` installs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NODE_HOME = ROOT / ".bench" / "node" / "node_modules"
EVERYTHING = "tests.mcp_servers.everything"
SHOP = "tests.mcp_servers.shop"


def environ() -> dict[str, str]:
    """Of a server that is run from this folder. Its warnings are its own: the tests' filters do not reach it."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


def stdio_command(*arguments: str) -> list[str]:
    """The everything-server over stdio, as a command that needs nothing of its environment."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {EVERYTHING} import main; main()"
    return [sys.executable, "-W", "ignore", "-c", start, "--transport", "stdio", *arguments]


@contextmanager
def running(module: str, *arguments: str) -> Iterator[int]:
    """The port of a server of this folder, which ends with the block."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ(), cwd=ROOT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("listening on "), f"{module} did not start: {line!r}"
        yield int(line.split()[-1])
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def everything(transport: str = "http", eras: str = "both", page: int = 0) -> Iterator[str]:
    """The URL of an everything-server."""
    with running(EVERYTHING, "--transport", transport, "--eras", eras, "--page", str(page)) as port:
        yield f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"


def node() -> str | None:
    """Node 22, or None where it cannot be had: no npm, or no registry it may ask."""
    if shutil.which("npm") is None and not (NODE_HOME / ".bin" / "node").exists():
        return None
    done = subprocess.run([ROOT / "scripts" / "node_setup.sh"], capture_output=True, check=False, timeout=300)
    return str(NODE_HOME / ".bin" / "node") if done.returncode == 0 else None
