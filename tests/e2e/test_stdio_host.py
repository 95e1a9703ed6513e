"""Tool servers over stdio in a running mesh: served, reloaded, and gone with whoever is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, eventually, free_ports
from tests.e2e.stdio_rig import SERVER, TEXT, Tools, Unix, alive, kill, parent, whole_trees

from heddle.net.unixsocket import STDIO_SOCKET, socket_path


def test_served_shown_and_gone_with_the_mesh(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT).start()
    tools = Tools(mesh)
    tree = tools.tree()
    assert mesh.running()["stdio_host"] == tree["host"]
    assert tools.call("cwd") == str(mesh.state)
    assert tools.call("env").keys() <= {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LC_CTYPE"}
    command = [sys.executable, "-m", "heddle", "status", "--admin", f"127.0.0.1:{mesh.admin_port}"]
    shown = subprocess.run([*command, "--state", str(mesh.state)], capture_output=True, text=True, check=True).stdout
    of_tools = shown.partition("target     tools ")[2].partition("\ntarget ")[0]
    assert "1 running, 1 sessions, 0 restarts" in of_tools
    assert mesh.stop() == 0
    assert not [part for part, pid in tree.items() if alive(pid)]


def test_what_servers_say_is_in_the_log(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT).start()
    tools = Tools(mesh)
    tools.begin()
    tools.call("stderr", lines=["warming \x1b[31mup"])
    eventually(lambda: "INFO heddle.stdio.tools warming \\x1b[31mup" in mesh.log)


@pytest.mark.parametrize("victim", ["mesh", "host", "watchdog", "server"])
def test_nobody_outlives_a_killed_parent(new_mesh, victim: str):
    mesh: RunningMesh = new_mesh(TEXT).start()
    tools = Tools(mesh)
    tree = tools.tree()
    left, _ = kill(tree, victim)
    assert not left
    if victim == "mesh":
        return
    if victim != "host":
        # Not at once where the end of the server has not been noticed yet: then the call fails.
        eventually(lambda: tools.ask("tools/list")[0] == 404, 2)
    again = next(whole_trees(tools))
    assert again["server"] != tree["server"]
    assert (again["host"] == tree["host"]) == (victim != "host")
    assert mesh.get("/readyz")[0] == 200


def test_a_killed_worker_takes_no_session_along(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT).start()
    tools = Tools(mesh)
    tree = tools.tree()
    (worker,) = mesh.running()["workers"]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: mesh.running()["workers"] != [worker] and mesh.get("/readyz")[0] == 200)
    assert tools.call("pid") == tree["server"]


def test_a_reload_touches_only_what_changed(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT).start()
    kept, gone = Tools(mesh), Tools(mesh, "other")
    kept_pid, gone_pid = kept.begin(), gone.begin()
    mesh.rewrite(mesh.config.read_text().replace("isolation: shared", "isolation: session"))
    eventually(lambda: gone.ask("tools/list")[0] == 404)
    eventually(lambda: not alive(gone_pid))
    assert kept.call("pid") == kept_pid
    text = mesh.config.read_text()
    mesh.rewrite(text[: text.index("mcp:")])
    eventually(lambda: not alive(kept_pid))
    assert kept.ask("tools/list")[0] == 404


def test_without_such_targets_there_is_no_host(new_mesh):
    mesh: RunningMesh = new_mesh().start()
    assert mesh.running()["stdio_host"] == 0
    assert not (mesh.state / "stdio.sock").exists()
    mesh.rewrite(mesh.config.read_text() + TEXT[TEXT.index("mcp:") :].format())
    assert Tools(mesh).begin()


def test_a_host_that_cannot_serve_stops_nothing_else(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT)
    mesh.state.mkdir(mode=0o700)
    (mesh.state / "stdio.sock").mkdir()
    mesh.start()
    assert mesh.post({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})[0] == 200
    assert "tool servers that speak over stdio do not run" in mesh.log
    (mesh.state / "stdio.sock").rmdir()
    eventually(lambda: (mesh.state / "stdio.sock").exists(), 20)
    eventually(lambda: mesh.running()["stdio_host"])
    assert Tools(mesh).begin()


def test_the_host_alone(tmp_path: Path):
    config, state = tmp_path / "heddle.yaml", tmp_path / "state"
    port, admin_port = free_ports(2)
    config.write_text(TEXT.format(port=port, admin_port=admin_port))
    command = [sys.executable, "-m", "heddle", "stdio-host", "-f", str(config), "--state", str(state)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        assert told == f"2 tool servers at {state}/stdio.sock\n"
        mesh = RunningMesh(config, state, port, admin_port, process=process)
        tree = Tools(mesh).tree()
        config.write_text(config.read_text().replace("tools", "renamed"))
        eventually(lambda: not alive(tree["server"]))
        connection = Unix(state / "stdio.sock")
        connection.request("GET", "/status")
        assert sorted(json.loads(connection.getresponse().read())["targets"]) == ["other", "renamed"]
        connection.close()
        process.terminate()
        assert process.wait(10) == 0
        eventually(lambda: not alive(tree["host"]), 2)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_only_this_user_reaches_the_socket(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT).start()
    assert (mesh.state / "stdio.sock").stat().st_mode & 0o777 == 0o600
    assert mesh.state.stat().st_mode & 0o777 == 0o700


def test_a_state_directory_with_a_long_name(new_mesh):
    """The kernel takes no such path for a socket."""
    mesh: RunningMesh = new_mesh(TEXT)
    mesh.state = mesh.state / ("x" * 100)
    mesh.start()
    socket = socket_path(mesh.state, STDIO_SOCKET)
    assert socket.parent != mesh.state
    try:
        assert Tools(mesh).begin()
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert mesh.stop() == 0
        assert not socket.exists()
    finally:
        shutil.rmtree(socket.parent)


def test_a_stubborn_server_does_not_hold_up_the_end(new_mesh):
    mesh: RunningMesh = new_mesh(TEXT.replace(str(SERVER) + '"]', str(SERVER) + '", "--stubborn"]')).start()
    pid = Tools(mesh).begin()
    assert parent(pid) > 1
    begun_s = time.monotonic()
    assert mesh.stop() == 0
    assert time.monotonic() - begun_s < 10
    assert not alive(pid)
