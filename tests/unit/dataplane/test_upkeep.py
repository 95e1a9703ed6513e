"""Numbers that no call brings up to date: what was lost, what waits, what is open."""

import ast
import errno
import time
from pathlib import Path
from typing import Any

import pytest

from heddle.dataplane.upkeep import ORIGINS_EVERY, Upkeep
from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry import names, segments
from heddle.telemetry.exposition import total
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AccessRecord, AuditRecord
from heddle.telemetry.spool import Spool

SRC = Path(names.__file__).parent.parent


@pytest.fixture
async def tools(tmp_path: Path) -> Any:
    client = Client()
    metrics = Metrics(tmp_path / "metrics-0.bin")
    made = Tools(Clock(time.time, time.monotonic), client, metrics, None, lambda _: None, tmp_path)  # type: ignore[arg-type]
    yield made
    await client.close()


def spooling(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool", 0)
    spool.configure(ObservabilitySpec(logging=LoggingSpec(sinks=(SinkSpec(type="stdout"),))))
    return spool


def lost(tools: Tools, kind: str) -> float:
    return tools.metrics.counter(names.RECORDS_LOST, kind=kind).value


async def test_lost_records_are_counted_and_held_ones_shown(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spool = spooling(tmp_path)
    upkeep = Upkeep(tools, spool)
    upkeep.look()
    assert total(tmp_path, names.AUDIT_HELD) == 0
    write, full = segments.os.write, True

    def fails(fd: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(segments.os, "write", fails)
    for _ in range(3):
        spool.access(AccessRecord(time="t"))
        spool.audit(AuditRecord(kind="config", outcome="applied"))
        spool.flush()
        upkeep.look()
    assert (lost(tools, "access"), lost(tools, "audit")) == (3, 0)
    assert total(tmp_path, names.AUDIT_HELD) == 3
    full = False
    spool.flush()
    upkeep.look()
    assert total(tmp_path, names.AUDIT_HELD) == 0
    assert lost(tools, "access") == 3
    spool.close()


async def test_connections_to_providers_are_shown_and_fall_to_zero_when_one_is_gone(tools: Tools, tmp_path: Path):
    upkeep = Upkeep(tools, Spool(tmp_path / "spool", 0))
    counts = {"up": 3, "": 7}
    tools.client.connection_counts = lambda: counts  # type: ignore[method-assign]
    upkeep.look()
    gauge = tools.metrics.gauge(names.UPSTREAM_CONNECTIONS, provider="up")
    assert gauge.value == 3
    counts = {}
    for _ in range(ORIGINS_EVERY):
        upkeep.look()
    assert gauge.value == 0
    assert tools.metrics.render().count(b"heddle_upstream_connections{") == 1, "what is no provider is not shown"


def test_a_total_is_summed_over_processes_and_broken_files_left_out(tmp_path: Path):
    for number, value in enumerate((2, 3)):
        metrics = Metrics(tmp_path / f"metrics-{number}.bin")
        metrics.gauge(names.AUDIT_HELD).set(value)
        metrics.counter(names.LIMIT_REFUSALS, limit="other").add(100)
    Metrics(tmp_path / "metrics-2.bin").close()
    (tmp_path / "metrics-3.bin").write_bytes(b"nonsense")
    assert total(tmp_path, names.AUDIT_HELD) == 5
    assert total(tmp_path / "absent", names.AUDIT_HELD) == 0


def used_names() -> set[str]:
    """Constants of `names` that some call binds a metric with: `metrics.counter(names.X, ...)`, or imported alone."""
    used = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            called = node.func if isinstance(node, ast.Call) and node.args else None
            if isinstance(called, ast.Attribute) and called.attr in {"counter", "gauge", "histogram"}:
                first = node.args[0]
                used.add(first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", ""))
    return used


def test_every_declared_metric_is_counted_somewhere():
    declared = {key for key, value in vars(names).items() if isinstance(value, str) and value in names.METRICS}
    assert len(declared) == len(names.METRICS)
    assert declared - used_names() == set()


def test_no_metric_is_named_by_a_literal():
    """Names are spelled in one place, or a renamed one would be counted under two."""
    found = []
    for path in SRC.rglob("*.py"):
        if path.name != "names.py":
            constants = [n.value for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Constant)]
            found += [f"{path.name}: {value}" for value in constants if value in names.METRICS]
    assert found == []
