"""What an operator does to a running mesh: secrets that come later, addresses that move, and not having the time."""

import concurrent.futures
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.e2e.running import CONFIG, RunningMesh, eventually

from heddle.cli.main import main

LOG = "observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}\n"
STREAM = {
    "model": "gpt-4o-mini",
    "stream": True,
    "messages": [{"role": "user", "content": "go on and on [[length 400]] [[pace 2]]"}],
}
CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


def test_a_file_that_a_rejected_configuration_was_waiting_for_is_noticed(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh().start()
    text = mesh.config.read_text()
    mesh.rewrite(text.replace('"sk-bob-456"', '"file:newkey"'))
    assert "newkey" in str(mesh.running()["rejected"])
    (mesh.config.parent / "newkey").write_text("sk-from-a-file\n")
    eventually(lambda: not mesh.running()["rejected"])
    assert mesh.post(CALL, key="sk-from-a-file")[0] == 200
    assert mesh.post(CALL, key="sk-bob-456")[0] == 401
    assert mesh.stop() == 0


def test_moving_to_another_address_of_the_same_port_says_what_to_do(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh().start()
    mesh.rewrite(mesh.config.read_text().replace(f"127.0.0.1, port: {mesh.port}", f"localhost, port: {mesh.port}"))
    rejected = str(mesh.running()["rejected"])
    assert f"cannot listen on localhost:{mesh.port}" in rejected
    assert f"this mesh listens on 127.0.0.1:{mesh.port}" in rejected
    assert "takes a restart" in rejected
    assert mesh.post(CALL)[0] == 200
    mesh.restart()
    assert mesh.post(CALL)[0] == 200
    assert mesh.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_wait_for_calls(new_mesh: Any, number: signal.Signals) -> None:
    mesh: RunningMesh = new_mesh(CONFIG + LOG).start()
    assert mesh.process is not None
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(mesh.post, STREAM)
        eventually(lambda: mesh.metric("heddle_inflight_requests") == 1)
        mesh.process.send_signal(number)
        eventually(lambda: "stopping: calls under way have 5 s; a second signal ends them at once" in mesh.log)
        assert mesh.process.poll() is None
        assert not answer.done()
        began = time.monotonic()
        mesh.process.send_signal(number)
        assert mesh.process.wait(timeout=15) == 0
        assert time.monotonic() - began < 3, "the grace is 5 s"
        with pytest.raises(Exception, match=r"."):
            answer.result()
    assert [record["reason"] for record in mesh.records() if "audit" not in record] == ["caller_gone"]


def test_a_state_directory_that_is_not_as_it_should_be_is_refused_in_words(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh()
    for name, spoil in {
        "limits.bin": lambda path: path.mkdir(),
        "metrics-0.bin": lambda path: path.mkdir(),
        "admin.token": lambda path: path.mkdir(),
        "lock": lambda path: path.symlink_to("/dev/null"),
    }.items():
        folder = mesh.config.parent / f"state-{name}"
        folder.mkdir()
        spoil(folder / name)
        mesh.state = folder
        with pytest.raises(AssertionError, match=rf"Error: state directory \S+, {name}: .*; choose another with --st"):
            mesh.start()
        assert "Traceback" not in mesh.log


def test_the_state_directory_of_a_running_mesh_is_private(new_mesh: Any) -> None:
    mesh: RunningMesh = new_mesh()
    mesh.state.mkdir(mode=0o755)
    mesh.state.chmod(0o755)
    mesh.start()
    assert mesh.state.stat().st_mode & 0o777 == 0o700
    assert mesh.stop() == 0


def test_a_directory_without_permission_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "demo.key").mkdir()
    result = CliRunner().invoke(main, ["up", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert "demo.key" in result.output
    assert "choose another with --state" in result.output
    assert "Traceback" not in result.output
