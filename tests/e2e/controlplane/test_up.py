"""`heddle up` whose resources come from elsewhere: a Git branch, and a Kubernetes API server. Real processes."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.running import eventually, free_ports

CONFIG = """\
listeners: [{name: llm, port: %d}]
admin: {port: %d}
llm:
  providers: [{name: offline, type: scripted}]
  models: [{name: %s, provider: offline}]
security: {authentication: {type: none}}
"""
GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def models(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
            return [one["id"] for one in json.load(answer)["data"]]
    except (urllib.error.URLError, OSError, KeyError):
        return []


def commit(repository: Path, content: str) -> None:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    if not repository.exists():
        repository.mkdir()
        subprocess.run([*GIT, "init", "--quiet", "--initial-branch=main"], cwd=repository, env=environ, check=True)
    (repository / "mesh.yaml").write_text(content)
    subprocess.run([*GIT, "add", "-A"], cwd=repository, env=environ, check=True)
    subprocess.run([*GIT, "commit", "--quiet", "-m", "a change"], cwd=repository, env=environ, check=True)


def test_a_branch_then_a_cluster(tmp_path: Path):
    """First a mesh that follows a branch; then its control plane alone is the cluster that another mesh follows."""
    port, admin, api, gateways, other_api, other_gateways = free_ports(6)
    repository, state, log = tmp_path / "repo", tmp_path / "state", tmp_path / "log"
    commit(repository, CONFIG % (port, admin, "small"))
    places = ("--api", f"127.0.0.1:{api}", "--gateways", f"127.0.0.1:{gateways}")
    source = ("--git", f"file://{repository}#main", "--git-interval", "5")
    with running(log, "heddle", "up", *source, "--state", str(state), *places):
        eventually(lambda: models(port) == ["small"], 40)
        commit(repository, CONFIG % (port, admin, "large"))
        eventually(lambda: models(port) == ["large"], 30)
    command = [sys.executable, "-m", "heddle", "kubeconfig", "--state", str(state)]
    kubeconfig = tmp_path / "kubeconfig"
    subprocess.run(
        [*command, "--server", f"https://127.0.0.1:{api}", "--out", str(kubeconfig)], check=True, capture_output=True
    )
    alone = ("heddle.controlplane.process", "--state", str(state), "--port", str(api))
    places = ("--api", f"127.0.0.1:{other_api}", "--gateways", f"127.0.0.1:{other_gateways}")
    other = ("heddle", "up", "--kubeconfig", str(kubeconfig), "--state", str(tmp_path / "other"), *places)
    with running(log, *alone):
        eventually(lambda: f"served on https://127.0.0.1:{api}" in log.read_text(), 20)
        with running(log, *other):
            eventually(lambda: models(port) == ["large"], 40)
            command = [sys.executable, "-m", "heddle", "wait", "gateways.gateway.networking.k8s.io", "mesh"]
            goal = ("--for=condition=Programmed", "--kubeconfig", str(kubeconfig))
            done = subprocess.run([*command, *goal], capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
    assert "Traceback" not in log.read_text()
