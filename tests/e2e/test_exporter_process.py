"""The exporter as a process: killed while it ships, it loses no audit record; and it ends when its parent does."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.spool import Spool

RECORDS = 6000
KILLS = 6


class Bulk(BaseHTTPRequestHandler):
    """Accepts everything, slowly enough to be interrupted, and counts each record."""

    received: ClassVar[Counter[str]] = Counter()
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
        time.sleep(0.02)
        items = []
        for document in lines[1::2]:
            Bulk.received[json.loads(document)["resource"]] += 1
            items.append({"create": {"status": 201}})
        body = json.dumps({"errors": False, "items": items}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bulk() -> Iterator[str]:
    Bulk.received = Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bulk)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def _start(state: Path, source: str, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "heddle.dataplane.exporter", "--state", str(state), "--config", source]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload,no-any-return]


def test_kill_9_in_the_middle_loses_no_audit_record(tmp_path: Path, bulk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sinks = (
        SinkSpec(type="elasticsearch", endpoint=bulk, index="audit"),
        SinkSpec(type="file", path=str(tmp_path / "log")),
    )
    observability = ObservabilitySpec(logging=LoggingSpec(sinks=sinks))
    config = tmp_path / "observability.json"
    config.write_bytes(msgspec.json.encode(observability))
    monkeypatch.setattr("heddle.telemetry.segments.SEGMENT_BYTES", 100_000)
    spool = Spool(tmp_path / "spool", 0)
    spool.configure(observability)
    written = 0
    for _ in range(KILLS):
        process = _start(tmp_path, str(config))
        before = sum(Bulk.received.values())
        deadline = time.monotonic() + 20
        while sum(Bulk.received.values()) == before and time.monotonic() < deadline:
            for _ in range(RECORDS // KILLS // 10):
                if written < RECORDS:
                    spool.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{written}"))
                    written += 1
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    while written < RECORDS:
        spool.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{written}"))
        written += 1
    process = _start(tmp_path, str(config))
    deadline = time.monotonic() + 30
    while len(Bulk.received) < RECORDS and time.monotonic() < deadline:
        time.sleep(0.05)
    spool.close()
    process.terminate()
    assert process.wait(timeout=15) == 0
    assert len(Bulk.received) == RECORDS
    in_file = Counter(json.loads(line)["resource"] for line in (tmp_path / "log").read_bytes().splitlines())
    assert len(in_file) == RECORDS
    assert list((tmp_path / "spool").glob("audit-*")) == [], "everything was delivered, so nothing is kept"


def test_it_follows_its_parent_and_delivers_before_it_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sinks = (SinkSpec(type="stdout"), SinkSpec(type="file", path=str(log)))
    observability = ObservabilitySpec(logging=LoggingSpec(sinks=sinks))
    spool = Spool(tmp_path / "spool", 0)
    spool.configure(observability)
    for number in range(10):
        spool.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{number}"))
    reader, writer = os.pipe()
    process = _start(tmp_path, str(reader), pass_fds=(reader,), stdout=subprocess.PIPE)
    os.close(reader)
    os.write(writer, msgspec.json.encode(observability) + b"\n")
    os.close(writer)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(output.splitlines()) == 10
    assert len(log.read_bytes().splitlines()) == 10
    spool.close()


def test_a_second_exporter_of_the_same_directory_waits_for_the_first(tmp_path: Path) -> None:
    config = tmp_path / "observability.json"
    config.write_bytes(msgspec.json.encode(ObservabilitySpec()))
    first = _start(tmp_path, str(config))
    status = tmp_path / "spool" / "exporter.json"
    deadline = time.monotonic() + 20
    while not status.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = _start(tmp_path, str(config))
    time.sleep(0.5)
    assert second.poll() is None
    first.kill()
    first.wait()
    status.unlink(missing_ok=True)
    while not status.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status.exists()
    second.terminate()
    assert second.wait(timeout=15) == 0
