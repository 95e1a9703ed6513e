"""What somebody may have to answer for is written down, whatever is configured, and the mesh says when it cannot."""

import json
import socket
import subprocess
import sys

from tests.e2e.running import CONFIG, RunningMesh, eventually

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
FILE_LOG = """\
observability:
  logging: {{output: [{{type: file, path: access.log}}]}}
"""
LIMIT = """\
rate_limiting:
  - {{name: once, key: [user], limit: 1, window: 24h, limit_by: requests}}
"""
SILENT = """\
observability:
  logging: {{enabled: false}}
"""


def spooled(mesh: RunningMesh, kind: str = "audit") -> list[dict[str, object]]:
    paths = sorted((mesh.state / "spool").glob(f"{kind}-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def audited(records: list[dict[str, object]], kind: str) -> list[tuple[object, object]]:
    return [(record["outcome"], record.get("policy", "")) for record in records if record.get("audit") == kind]


def test_refusals_changes_and_administration_are_audited_in_the_log_file(new_mesh):
    mesh = new_mesh(CONFIG + FILE_LOG + LIMIT).start()
    assert [mesh.post(CALL)[0] for _ in range(2)] == [200, 429]
    assert mesh.post(CALL, key="sk-other-000")[0] == 403
    assert mesh.post(CALL, key="sk-guess")[0] == 401
    assert mesh.get("/config")[0] == 401
    text = mesh.config.read_text()
    mesh.rewrite(text.replace("provider: offline}", "provider: ofline}", 1))
    mesh.rewrite(text.replace("limit: 1,", "limit: 2,"))

    def changes() -> list[object]:
        return [outcome for outcome, _ in audited(mesh.audits(), "config")]

    eventually(lambda: changes() == ["applied", "rejected", "applied"])
    records = mesh.audits()
    assert audited(records, "limit") == [("deny", "once")]
    assert audited(records, "authz") == [("deny", "")]
    assert audited(records, "authn") == [("deny", "unknown_key")]
    looked = audited(records, "admin")
    assert ("deny", "admin_token") in looked
    assert ("allow", "admin_token") in looked
    rejected = next(record for record in records if record.get("outcome") == "rejected")
    assert "ofline" in str(rejected["detail"])
    assert str(rejected["source"]).endswith("heddle.yaml")
    assert mesh.stop() == 0


def test_without_any_output_audit_records_wait_in_the_spool(new_mesh):
    mesh = new_mesh(CONFIG).start()
    assert mesh.post(CALL, key="sk-guess")[0] == 401
    assert audited(spooled(mesh), "authn") == [("deny", "unknown_key")]
    assert audited(spooled(mesh), "config") == [("applied", "")]
    assert spooled(mesh, "access") == []
    assert mesh.stop() == 0
    assert audited(spooled(mesh), "authn") == [("deny", "unknown_key")]


def test_with_logging_off_nothing_is_written(new_mesh):
    mesh = new_mesh(CONFIG + SILENT).start()
    assert mesh.post(CALL, key="sk-guess")[0] == 401
    assert mesh.stop() == 0
    assert not list((mesh.state / "spool").glob("*.jsonl"))


def test_what_an_earlier_run_left_for_other_sinks_is_delivered(new_mesh):
    mesh = new_mesh(CONFIG).start()
    assert mesh.post(CALL, key="sk-guess")[0] == 401
    assert mesh.stop() == 0
    assert spooled(mesh)
    mesh.config.write_text(mesh.config.read_text() + FILE_LOG.format())
    mesh.start()
    eventually(lambda: ("deny", "unknown_key") in audited(mesh.audits(), "authn"))
    assert mesh.stop() == 0


def test_a_log_that_cannot_be_written_makes_the_mesh_unready_until_it_can(new_mesh):
    """The log file's place is taken by a directory, which stops even root."""
    mesh = new_mesh(CONFIG + FILE_LOG).start()
    log = mesh.state / "access.log"
    log.rename(mesh.state / "access.log.1")
    log.mkdir()

    def refuse() -> tuple[int, bytes]:
        assert mesh.post(CALL, key="sk-guess")[0] == 401
        return mesh.get("/readyz")

    eventually(lambda: refuse()[0] == 503)
    assert b"audit" in mesh.get("/readyz")[1]
    assert mesh.metric("heddle_audit_held") > 0
    assert mesh.post(CALL)[0] == 200, "calls are served all the same"
    eventually(lambda: mesh.post(CALL)[0] == 200 and mesh.metric("heddle_records_lost_total", kind="access") > 0)
    log.rmdir()
    eventually(lambda: mesh.get("/readyz")[0] == 200)
    assert mesh.metric("heddle_audit_held") == 0
    assert audited(mesh.audits(), "authn")[0] == ("deny", "unknown_key")
    assert mesh.stop() == 0


def test_metrics_say_which_version_runs_and_what_streams_carry(new_mesh):
    mesh = new_mesh(workers=2).start()
    assert mesh.metric("heddle_build_info") == 1
    status, _, body = mesh.post({**CALL, "stream": True})
    assert status == 200
    events = body.count(b"data: {")
    # The last chunk, with the usage, is read and hidden: the caller did not ask for it.
    eventually(lambda: mesh.metric("heddle_stream_events_total", model="gpt-4o-mini") == events + 1)
    assert mesh.stop() == 0


def test_under_a_hard_limit_a_crowd_from_one_address_leaves_room_for_others(new_mesh):
    """Only a process of its own can have its hard limit lowered for good: the mesh is started by a shell."""
    mesh = new_mesh()
    command = f"{sys.executable} -m heddle up -f {mesh.config} --state {mesh.state} --grace 1"
    with mesh.log_file.open("ab") as log:
        mesh.process = subprocess.Popen(["sh", "-c", f"ulimit -n 256; exec {command}"], stdout=log, stderr=log)

    def ready() -> bool:
        try:
            return mesh.get("/readyz")[0] == 200
        except OSError:
            return False

    eventually(ready, 20.0)
    assert "at most 192 connections" in mesh.log
    crowd = []
    try:
        for _ in range(250):
            sock = socket.socket()
            sock.bind(("127.0.0.9", 0))
            sock.connect(("127.0.0.1", mesh.port))
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost:")
            crowd.append(sock)
        eventually(lambda: mesh.metric("heddle_connections_refused_total", reason="capped") >= 250 - 96)
        assert [mesh.post(CALL)[0] for _ in range(20)] == [200] * 20
        assert "accepting on" not in mesh.log
    finally:
        for sock in crowd:
            sock.close()
    assert mesh.stop() == 0
