"""The end of a worker, and of a snapshot that it could not take."""

import gc
import os
import socket
from pathlib import Path

import msgspec
import pytest

from heddle.dataplane import sockets
from heddle.dataplane.worker import Worker
from heddle.drivers.counters.shared import prepare
from heddle.model.snapshot import (
    ListenerSpec,
    LoggingSpec,
    ObservabilitySpec,
    ProviderSpec,
    SinkSpec,
    Snapshot,
    TlsSpec,
)
from heddle.telemetry.records import AccessRecord, AuditRecord

LOGGED = ObservabilitySpec(logging=LoggingSpec(sinks=(SinkSpec(type="stdout"),)))
UP = ProviderSpec(name="up", type="openai", base_url="http://127.0.0.1:1/v1")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    prepare(tmp_path / "limits.bin", 1).close()
    return tmp_path


def lines(state: Path, kind: str) -> list[dict[str, object]]:
    paths = sorted((state / "spool").glob(f"{kind}-*.jsonl"))
    return [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines()]


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def test_an_ending_worker_writes_what_it_holds_and_closes_every_file(state: Path):
    before = open_files()
    worker = Worker(state, 0)
    await worker.apply(Snapshot(version="v", providers=(UP,), observability=LOGGED), {})
    worker.spool.access(AccessRecord(time="t"))
    for _ in range(10):
        worker.spool.audit(AuditRecord(kind="authn", outcome="deny"))
    await worker.drain(0.0)
    worker.close()
    assert len(lines(state, "access")) == 1
    assert sum(int(str(line.get("count", 1))) for line in lines(state, "audit")) == 10
    assert worker.tools.client.connection_counts() == {}
    assert open_files() == before


async def test_a_snapshot_whose_listener_cannot_be_served_leaves_nothing_behind(state: Path, tmp_path: Path):
    worker = Worker(state, 0)
    await worker.apply(Snapshot(version="v1", observability=LOGGED), {})
    tls = TlsSpec(cert_file=str(tmp_path / "absent.pem"), key_file=str(tmp_path / "absent.key"))
    spec = ListenerSpec(name="llm", address="127.0.0.1", port=0, protocol="HTTP", tls=tls)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(OSError, match="No such file"):
        await worker.apply(Snapshot(version="v2", providers=(UP,), listeners=(spec,)), {sockets.key(spec): listening})
    assert worker.gateway is not None
    assert worker.gateway.runtime.snapshot.version == "v1"
    assert worker.tools.client.connection_counts() == {}
    worker.close()
