"""Every example, byte for byte but for its ports: validated, started, and led to the answer that it promises."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIED = ("guards.yaml", "mcp-gateway.yaml", "model-gateway.yaml")


def test_every_example_is_tried():
    assert {path.name for path in EXAMPLES.glob("*.yaml")} == set(TRIED)


@pytest.mark.parametrize("name", TRIED)
def test_it_is_valid_as_it_stands(name: str):
    command = [sys.executable, "-m", "heddle", "validate", "--format", "json", "-f", str(EXAMPLES / name)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert shown["valid"] is True
    assert shown["inactive"] == []
    assert {one["message"].partition(" ")[0] for one in shown["problems"]} <= {"holds", "environment"}


@contextmanager
def example(folder: Path, name: str) -> Iterator[RunningMesh]:
    port, admin_port = free_ports(2)
    text = (EXAMPLES / name).read_text()
    assert "port: 8080" in text
    config = folder / name
    config.write_text(
        text.replace("port: 8080", f"port: {port}") + f"admin: {{address: 127.0.0.1, port: {admin_port}}}\n"
    )
    mesh = RunningMesh(config, folder / "state", port, admin_port)
    try:
        yield mesh.start()
        assert mesh.stop() == 0
    finally:
        mesh.kill()


def said(mesh: RunningMesh, key: str, model: str, content: str) -> tuple[int, str]:
    status, _, data = mesh.post({"model": model, "messages": [{"role": "user", "content": content}]}, key=key)
    answer = json.loads(data)
    return status, answer["choices"][0]["message"]["content"] if status == 200 else answer["error"]["code"]


def test_guards(tmp_path: Path):
    with example(tmp_path, "guards.yaml") as mesh:
        say = "[[say Pay {0} for T-1234.]]".format
        assert said(mesh, "sk-demo-alice", "demo", say("4111 1111 1111 1111")) == (200, "Pay [CARD] for T-1234.")
        assert said(mesh, "sk-demo-sam", "demo", "[[say See T-1234.]]") == (200, "See [TICKET].")
        key = "AKIA" + "IOSFODNN7EXAMPLE"
        assert said(mesh, "sk-demo-alice", "demo", key) == (400, "content_policy_violation")
        assert said(mesh, "sk-demo-alice", "demo", "[[say Project Bluebird]]") == (400, "content_policy_violation")
        command = [sys.executable, "-m", "heddle", "status", "--state", str(mesh.state)]
        shown = subprocess.run([*command, "--admin", f"127.0.0.1:{mesh.admin_port}"], capture_output=True, check=True)
        assert b"\nguards     6\n" in shown.stdout


def test_model_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with example(tmp_path, "model-gateway.yaml") as mesh:
        for model in ("smart", "gpt-4o", "claude-sonnet-4-5", "quick"):
            assert said(mesh, "sk-example-alice", model, "hi")[0] == 200
        assert said(mesh, "sk-example-ci", "quick", "hi")[0] == 200
        assert said(mesh, "sk-example-ci", "smart", "hi")[0] == 403
