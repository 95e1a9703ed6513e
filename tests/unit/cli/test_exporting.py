"""When `heddle up` starts an exporter."""

from pathlib import Path

import pytest

from heddle.cli.exporting import needs_exporter
from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec, TracingSpec
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.spool import Spool

FILE = SinkSpec(type="file", path="access.log")
STDOUT = SinkSpec(type="stdout")


def observed(*sinks: SinkSpec, enabled: bool = True) -> ObservabilitySpec:
    return ObservabilitySpec(logging=LoggingSpec(sinks=sinks, enabled=enabled))


@pytest.mark.parametrize(
    ("observability", "needed"),
    [
        (observed(), False),
        (observed(FILE), False),
        (observed(STDOUT), True),
        (observed(FILE, STDOUT), True),
        (observed(STDOUT, enabled=False), False),
        (ObservabilitySpec(tracing=TracingSpec(enabled=True, endpoint="collector:4317")), True),
        (ObservabilitySpec(tracing=TracingSpec(enabled=False, endpoint="collector:4317")), False),
    ],
)
def test_it_depends_on_what_workers_cannot_deliver_themselves(
    tmp_path: Path, observability: ObservabilitySpec, needed: bool
):
    assert needs_exporter(observability, tmp_path / "spool") is needed


def test_what_an_earlier_run_left_is_delivered_too(tmp_path: Path):
    earlier = Spool(tmp_path, 0)
    earlier.configure(observed(STDOUT))
    assert not needs_exporter(observed(FILE), tmp_path)
    earlier.audit(AuditRecord(kind="config", outcome="applied"))
    earlier.close()
    assert needs_exporter(observed(FILE), tmp_path)
    assert not needs_exporter(observed(), tmp_path), "nobody is there to take it"
