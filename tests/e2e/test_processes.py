"""Workers die, configurations change, the mesh is told to stop: what callers notice."""

import concurrent.futures
import http.client
import json
import os
import signal
import time

import pytest
from tests.e2e.running import eventually, free_ports

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {
    "model": "gpt-4o-mini",
    "stream": True,
    "messages": [{"role": "user", "content": "tell me something long [[delay 0.05]]"}],
}


def test_a_valid_change_is_served_and_an_invalid_one_is_not(new_mesh):
    mesh = new_mesh().start()
    text = mesh.config.read_text()
    first = mesh.running()["version"]
    mesh.rewrite(text.replace("gpt-4o-mini, provider", "gpt-4o-nano, provider"))
    assert mesh.running()["version"] != first
    assert mesh.post(CALL)[0] == 404
    assert mesh.post({**CALL, "model": "gpt-4o-nano"})[0] == 200
    second = mesh.running()["version"]
    mesh.rewrite(text.replace("provider: offline}", "provider: ofline}", 1))
    shown = mesh.running()
    assert shown["version"] == second
    assert "offline" in shown["rejected"], shown
    assert mesh.post({**CALL, "model": "gpt-4o-nano"})[0] == 200
    assert mesh.stop() == 0


def test_sighup_reloads(new_mesh):
    mesh = new_mesh().start()
    assert mesh.process is not None
    mesh.process.send_signal(signal.SIGHUP)
    eventually(lambda: "unchanged: version" in mesh.log)
    assert mesh.post(CALL)[0] == 200


def test_a_listener_comes_and_goes(new_mesh):
    mesh = new_mesh(workers=2).start()
    text = mesh.config.read_text()
    (extra,) = free_ports(1)
    second = f"  - {{name: second, address: 127.0.0.1, port: {extra}, protocol: HTTP}}\n"
    mesh.rewrite(text.replace("admin:", second + "admin:", 1))
    old, mesh.port = mesh.port, extra
    assert mesh.post(CALL)[0] == 200
    mesh.port = old
    assert mesh.post(CALL)[0] == 200
    mesh.rewrite(text)
    mesh.port = extra
    with pytest.raises(OSError, match="refused"):
        mesh.post(CALL)
    mesh.port = old
    assert mesh.post(CALL)[0] == 200


def test_a_killed_worker_is_replaced_and_the_others_serve_on(new_mesh):
    mesh = new_mesh(workers=2).start()
    pids = mesh.running()["workers"]
    assert len(pids) == 2
    os.kill(pids[0], signal.SIGKILL)
    answers = [mesh.post(CALL)[0] for _ in range(50)]
    assert answers.count(200) >= 49
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and mesh.get("/readyz")[0] != 200:
        time.sleep(0.05)
    now = mesh.running()
    assert pids[0] not in now["workers"]
    assert now["restarts"] == 1
    assert b"heddle_worker_restarts_total 1" in mesh.get("/metrics")[1]


def test_sigterm_lets_calls_finish(new_mesh):
    mesh = new_mesh().start()

    def stream() -> bytes:
        return mesh.post(STREAM)[2]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(stream)
        time.sleep(0.3)
        assert mesh.stop() == 0
        assert answer.result().rstrip().endswith(b"data: [DONE]")


def test_no_process_outlives_a_killed_parent(new_mesh):
    mesh = new_mesh(workers=2).start()
    pids = mesh.running()["workers"]
    mesh.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(_alive(pid) for pid in pids):
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def test_a_start_waits_for_the_workers_of_a_killed_parent(new_mesh):
    mesh = new_mesh(workers=2).start()
    call = {**CALL, "messages": [{"role": "user", "content": "[[delay 1.5]] hi"}]}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(mesh.post, call)
        eventually(lambda: mesh.metric("heddle_inflight_requests") == 1)
        mesh.kill()
        mesh.start()
        assert answer.result()[0] == 200, "the old worker finishes what it began"
    assert "waiting for the workers of an earlier run" in mesh.log
    assert "Traceback" not in mesh.log
    assert mesh.post(CALL)[0] == 200


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_two_meshes_do_not_share_a_state_directory(new_mesh):
    first, second = new_mesh().start(), new_mesh()
    second.state = first.state
    with pytest.raises(AssertionError, match="is in use by pid"):
        second.start()


def test_administration_is_never_anonymous(new_mesh):
    mesh = new_mesh().start()
    assert mesh.get("/healthz") == (200, b"ok\n")
    assert mesh.get("/metrics")[0] == 200
    assert mesh.get("/config")[0] == 401
    assert mesh.get("/config", authorized=True)[0] == 200
    assert (mesh.state / "admin.token").stat().st_mode & 0o777 == 0o600
    body = mesh.get("/config", authorized=True)[1]
    assert b"sk-test-123" not in body
    assert json.loads(body)["snapshot"]["listeners"]


def test_a_rebound_name_is_refused(new_mesh):
    mesh = new_mesh().start()
    for port, path in ((mesh.port, "/v1/models"), (mesh.admin_port, "/config")):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path, headers={"host": "evil.example", "authorization": "Bearer sk-test-123"})
        assert connection.getresponse().status == 421
        connection.close()
    assert mesh.post(CALL, origin="https://evil.example")[0] == 403
    assert mesh.post(CALL, content_type="text/plain")[0] == 415
