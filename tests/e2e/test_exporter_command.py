"""`heddle gateway` and `heddle exporter` as two programs on one state directory; and what the exporter may know."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.running import CONFIG, RunningMesh, eventually

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


def shipped(*names: str) -> str:
    """Two outputs at least: a single file is written by the workers themselves."""
    outputs = ", ".join(f"{{{{type: file, path: {name}}}}}" for name in names)
    return f"observability: {{{{logging: {{{{output: [{outputs}]}}}}}}}}\n"


@contextmanager
def exporter(mesh: RunningMesh, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "heddle", "exporter", "--state", str(mesh.state), *arguments]
    with (mesh.config.parent / "exporter.out").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **mesh.environ})
    try:
        yield process
        process.terminate()
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()


def calls(path: Path) -> list[dict[str, Any]]:
    """The access records in a file."""
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record for record in records if "audit" not in record]


def test_the_exporter_follows_what_the_gateway_leaves(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh(CONFIG + shipped("one.log", "two.log"), command="gateway").start()
    left = mesh.state / "observability.json"
    assert left.stat().st_mode & 0o777 == 0o600
    assert mesh.post(CALL)[0] == 200
    assert not (mesh.state / "one.log").exists()
    with exporter(mesh):
        eventually(lambda: len(calls(mesh.state / "one.log")) == len(calls(mesh.state / "two.log")) == 1)
        mesh.rewrite(mesh.config.read_text().replace("two.log", "three.log"))
        assert mesh.post(CALL)[0] == 200
        eventually(lambda: calls(mesh.state / "three.log"))
    assert mesh.stop() == 0


def test_an_exporter_that_comes_first_waits_for_the_gateway(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh(CONFIG + shipped("one.log", "two.log"), command="gateway")
    with exporter(mesh):
        eventually(lambda: "waiting for a gateway" in (mesh.config.parent / "exporter.out").read_text())
        mesh.start()
        assert mesh.post(CALL)[0] == 200
        eventually(lambda: calls(mesh.state / "two.log"))
    assert mesh.stop() == 0


def test_the_exporter_reads_a_configuration_of_its_own_and_skips_a_bad_one(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh(CONFIG + shipped("one.log", "two.log"), command="gateway").start()
    own = mesh.config.parent / "exporter.yaml"
    text = mesh.config.read_text().replace("one.log", "own.log")
    own.write_text(text)
    printed = mesh.config.parent / "exporter.out"
    with exporter(mesh, "-f", str(own)) as process:
        assert mesh.post(CALL)[0] == 200
        eventually(lambda: calls(mesh.state / "own.log"))
        own.write_text(text.replace("observability", "observabilty"))
        eventually(lambda: "observabilty" in printed.read_text())
        own.write_text(text.replace("two.log", "late.log"))
        process.send_signal(signal.SIGHUP)
        assert mesh.post(CALL)[0] == 200
        eventually(lambda: calls(mesh.state / "late.log"))
    assert not (mesh.state / "one.log").exists()
    assert mesh.stop() == 0


def test_what_a_gateway_left_is_gone_when_one_program_does_both(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh(CONFIG + shipped("one.log", "two.log"), command="gateway").start()
    mesh.command = "up"
    mesh.restart()
    assert not (mesh.state / "observability.json").exists()
    assert mesh.post(CALL)[0] == 200
    eventually(lambda: calls(mesh.state / "one.log"))
    assert mesh.stop() == 0


def test_no_process_beside_the_parent_has_the_secrets_of_the_environment(new_mesh: Any) -> None:
    text = CONFIG.replace('"sk-bob-456"', '"${{PLANTED_KEY}}"') + shipped("one.log", "two.log")
    mesh: RunningMesh = new_mesh(text, environ={"PLANTED_KEY": "sk-planted-in-the-environment"}).start()
    assert mesh.process is not None
    assert mesh.post(CALL, key="sk-planted-in-the-environment")[0] == 200
    children = Path(f"/proc/{mesh.process.pid}/task/{mesh.process.pid}/children").read_text().split()
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    assert sorted(b"heddle.dataplane.exporter" in command for command in commands.values()) == [False, True]
    for pid in children:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"PLANTED" not in environment
        assert b"planted" not in environment
    assert mesh.stop() == 0
