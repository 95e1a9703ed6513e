"""Reloads and kills while others call: a reload costs no call, a killed worker at most those it had."""

import json
import os
import signal
import threading
import time

import pytest
from tests.e2e.running import CONFIG, RunningMesh, eventually, free_ports, running_mesh
from tests.proofs import kills
from tests.proofs.callers import CALL, Callers

THREADS = 8


def reload_thrice(mesh: RunningMesh, text: str, extra: int, failures: list[BaseException]) -> None:
    """A model more; a listener more, which serves; and both gone again."""
    try:
        time.sleep(0.3)
        mesh.rewrite(
            text.replace(
                "    - {name: gpt-5-large", "    - {name: gpt-4o-nano, provider: offline}\n    - {name: gpt-5-large"
            )
        )
        assert mesh.post({**CALL, "model": "gpt-4o-nano"})[0] == 200
        second = f"  - {{name: second, address: 127.0.0.1, port: {extra}, protocol: HTTP}}\n"
        mesh.rewrite(text.replace("admin:", second + "admin:", 1))
        beside = RunningMesh(mesh.config, mesh.state, extra, mesh.admin_port)
        assert beside.post(CALL)[0] == 200
        time.sleep(0.3)
        mesh.rewrite(text)
        with pytest.raises(OSError, match="refused"):
            beside.post(CALL)
        assert mesh.post({**CALL, "model": "gpt-4o-nano"})[0] == 404
        time.sleep(0.3)
    except BaseException as exc:
        failures.append(exc)


def test_reloads_lose_no_call(tmp_path):
    (extra,) = free_ports(1)
    failures: list[BaseException] = []
    with running_mesh(tmp_path, CONFIG, workers=2) as mesh:
        text, first = mesh.config.read_text(), mesh.running()["workers"]
        callers = Callers(mesh.port, threads=THREADS, pause_s=0)
        callers.during(None, threading.Thread(target=reload_thrice, args=(mesh, text, extra, failures)))
        if failures:
            raise failures[0]
        assert callers.errors == []
        assert callers.answered > 500
        assert mesh.running()["workers"] == first
        assert mesh.metric("heddle_config_reloads_total", result="applied") == 3


def test_streams_outlive_a_reload(tmp_path):
    call = {**CALL, "stream": True, "messages": [{"role": "user", "content": "[[pace 20]] [[length 40]] hi"}]}
    with running_mesh(tmp_path, CONFIG) as mesh:
        text, answers = mesh.config.read_text(), []
        threads = [threading.Thread(target=lambda: answers.append(mesh.post(call))) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: mesh.metric("heddle_inflight_requests") == 4)
        # The listener changes too: its server is replaced under the streams.
        changed = text.replace("protocol: HTTP}", "protocol: HTTP, limits: {idle_timeout: 30s}}")
        mesh.rewrite(changed.replace("gpt-5-large", "gpt-5-small"))
        assert mesh.post({**CALL, "model": "gpt-5-small"})[0] == 200
        for thread in threads:
            thread.join(20)
        assert [status for status, _, _ in answers] == [200] * 4
        for _, _, data in answers:
            events = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]
            assert sum(1 for event in events if event["choices"][0]["delta"].get("content")) == 40
            assert data.endswith(b"data: [DONE]\n\n")


def test_a_killed_worker_costs_at_most_the_calls_it_had(tmp_path):
    with running_mesh(tmp_path, CONFIG, workers=2) as mesh:
        first = mesh.running()["workers"]
        callers = Callers(mesh.port, threads=THREADS, pause_s=0)

        def kill() -> None:
            time.sleep(0.5)
            os.kill(first[0], signal.SIGKILL)
            eventually(lambda: kills.whole(mesh) and first[0] not in mesh.running()["workers"])
            time.sleep(0.5)

        callers.during(None, threading.Thread(target=kill))
        assert len(callers.errors) <= THREADS, callers.errors
        assert callers.answered > 300
        assert mesh.running()["restarts"] == 1
        assert first[1] in mesh.running()["workers"]


def test_kills_in_short(tmp_path):
    result = kills.run(tmp_path, 3, pause_s=0.3)
    missed = [target.line() for target in result.targets if not target.met]
    assert missed == [], result.text()
