"""The spool: what is on disk and when, what a full disk does, and what an abuser can make it do."""

import errno
import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from heddle.model.principal import Principal
from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec, TracingSpec
from heddle.telemetry import segments, spool
from heddle.telemetry.records import AccessRecord, AuditRecord
from heddle.telemetry.spans import finished
from heddle.telemetry.spool import Spool, direct_file
from heddle.telemetry.trace import fresh

STDOUT = ObservabilitySpec(
    logging=LoggingSpec(sinks=(SinkSpec(type="stdout"),)), tracing=TracingSpec(enabled=True, endpoint="collector:4317")
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def _spool(directory: Path, observability: ObservabilitySpec = STDOUT, slot: int = 0) -> tuple[Spool, Clock]:
    clock = Clock()
    made = Spool(directory, slot, now=clock)
    made.configure(observability)
    return made, clock


def _file(path: Path) -> ObservabilitySpec:
    return ObservabilitySpec(logging=LoggingSpec(sinks=(SinkSpec(type="file", path=str(path)),)))


def _lines(directory: Path, kind: str) -> list[dict[str, object]]:
    paths = sorted(directory.glob(f"{kind}-*.jsonl"))
    return [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines()]


def _access(number: int = 0) -> AccessRecord:
    return AccessRecord(time="t", span_id=f"{number:016x}", status=200)


def _denied(**fields: object) -> AuditRecord:
    return AuditRecord(kind="authn", outcome="deny", **fields)  # type: ignore[arg-type]


def test_access_records_wait_for_the_flush_and_are_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = _spool(tmp_path)
    writes = _counting(monkeypatch)
    for number in range(100):
        made.access(_access(number))
    assert _lines(tmp_path, "access") == []
    made.flush()
    assert len(_lines(tmp_path, "access")) == 100
    assert writes == [1]
    made.close()


def test_audit_records_are_on_disk_before_the_call_goes_on(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    made.audit(AuditRecord(kind="authz", outcome="allow", resource="model:x"))
    (line,) = _lines(tmp_path, "audit")
    assert (line["audit"], line["time"]) == ("authz", "2023-11-14T22:13:20.000Z")
    made.close()


def test_equal_audit_records_stay_distinguishable(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    for _ in range(100):
        made.audit(AuditRecord(kind="authz", outcome="allow"))
    assert len({line["id"] for line in _lines(tmp_path, "audit")}) == 100
    made.close()


def test_spans_reach_their_own_segment(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    made.span(finished(fresh(1.0), _access(), 1.0))
    made.flush()
    assert len(_lines(tmp_path, "spans")) == 1
    made.close()


def test_without_a_sink_nothing_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    made, _ = _spool(directory, ObservabilitySpec())
    made.access(_access())
    made.span(finished(fresh(1.0), _access(), 1.0))
    made.close()
    assert not directory.exists()


def test_audit_records_do_not_need_a_sink(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path, ObservabilitySpec())
    made.access(_access())
    made.audit(_denied())
    made.close()
    assert len(_lines(tmp_path, "audit")) == 1
    assert _lines(tmp_path, "access") == []


def test_with_logging_switched_off_nothing_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    made, _ = _spool(directory, ObservabilitySpec(logging=LoggingSpec(enabled=False, sinks=STDOUT.logging.sinks)))
    made.access(_access())
    made.audit(_denied())
    made.close()
    assert not directory.exists()


def test_a_single_file_sink_is_written_directly(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    made, _ = _spool(tmp_path / "spool", _file(log))
    made.access(_access())
    made.audit(_denied())
    made.flush()
    assert len(log.read_bytes().splitlines()) == 2
    assert not (tmp_path / "spool").exists()
    made.close()


def test_two_sinks_go_through_the_spool() -> None:
    both = LoggingSpec(sinks=(SinkSpec(type="file", path="/x"), SinkSpec(type="stdout")))
    assert direct_file(both) == ""
    assert direct_file(LoggingSpec(sinks=(SinkSpec(type="file", path="/dev/stdout"),))) == ""
    assert direct_file(LoggingSpec(sinks=(SinkSpec(type="file", path="/x"),))) == "/x"


def test_a_log_file_that_logrotate_renamed_is_opened_anew(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    made, clock = _spool(tmp_path / "spool", _file(log))
    made.access(_access(1))
    made.flush()
    log.rename(tmp_path / "access.log.1")
    clock.now += 2
    made.access(_access(2))
    made.flush()
    assert len((tmp_path / "access.log.1").read_bytes().splitlines()) == 1
    assert len(log.read_bytes().splitlines()) == 1
    os.truncate(log, 0)  # copytruncate
    made.access(_access(3))
    made.flush()
    assert log.read_bytes().startswith(b"{")
    made.close()


def test_a_fifo_that_nobody_reads_does_not_stop_a_call(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    made, _ = _spool(tmp_path / "spool", _file(tmp_path / "pipe"))
    made.access(_access())
    made.flush()
    assert made.lost["access"] == 1
    made.close()


def test_configuration_can_move_records_elsewhere(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    made, _ = _spool(tmp_path / "spool")
    made.access(_access(1))
    made.configure(_file(log))
    made.access(_access(2))
    made.configure(ObservabilitySpec())
    made.access(_access(3))
    made.close()
    assert len(_lines(tmp_path / "spool", "access")) == 1
    assert len(log.read_bytes().splitlines()) == 1


def test_segments_are_rotated_and_locked_while_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1000)
    made, _ = _spool(tmp_path)
    for number in range(100):
        made.access(_access(number))
        made.flush()
    paths = sorted(tmp_path.glob("access-0-*.jsonl"))
    assert len(paths) > 5
    assert all(path.stat().st_size < 1200 for path in paths)
    assert [_locked(path) for path in paths] == [False] * (len(paths) - 1) + [True]
    made.close()
    assert not _locked(paths[-1])
    assert len(_lines(tmp_path, "access")) == 100


def test_a_worker_that_takes_over_a_slot_never_writes_into_its_predecessors_segment(tmp_path: Path) -> None:
    draining, _ = _spool(tmp_path)
    draining.audit(_denied())
    successor, _ = _spool(tmp_path)
    successor.audit(_denied())
    draining.audit(_denied())
    assert sorted(path.name for path in tmp_path.glob("audit-*")) == [
        "audit-0-0000000001.jsonl",
        "audit-0-0000000002.jsonl",
    ]
    assert len(_lines(tmp_path, "audit")) == 3
    draining.close()
    successor.close()


def test_unread_segments_are_bounded_and_losses_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1000)
    monkeypatch.setattr(segments, "MAX_UNREAD_BYTES", 5000)
    made, _ = _spool(tmp_path)
    idle, _ = _spool(tmp_path, slot=1)
    idle.access(_access(7))
    idle.flush()
    for number in range(500):
        made.access(_access(number))
        made.audit(AuditRecord(kind="authz", outcome="allow"))
        made.flush()
    kept = len(_lines(tmp_path, "access")) - 1
    assert kept < 120
    assert made.lost["access"] == 500 - kept
    assert len(_lines(tmp_path, "audit")) == 500, "audit records are never deleted"
    assert len(list(tmp_path.glob("access-1-*"))) == 1, "nor is a segment that another worker still writes"
    made.close()
    idle.close()


def test_a_full_disk_loses_access_records_countedly_and_audit_records_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, clock = _spool(tmp_path)
    made.audit(AuditRecord(kind="authz", outcome="allow", resource="before"))
    heal = _break(monkeypatch)
    for number in range(10):
        made.access(_access(number))
        made.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{number}"))
        made.flush()
    assert made.degraded
    assert made.lost == {"access": 10, "spans": 0, "audit": 0}
    heal()
    clock.now += 1
    made.flush()
    assert not made.degraded
    assert [line["resource"] for line in _lines(tmp_path, "audit")] == ["before"] + [f"r{n}" for n in range(10)]
    made.close()


def test_memory_for_held_audit_records_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_HELD_AUDIT", 50)
    made, _ = _spool(tmp_path)
    heal = _break(monkeypatch)
    for number in range(80):
        made.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{number}"))
    assert made.lost["audit"] == 30
    heal()
    made.flush()
    assert [line["resource"] for line in _lines(tmp_path, "audit")] == [f"r{n}" for n in range(30, 80)]
    made.close()


def test_audit_records_held_when_logging_is_switched_off_are_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = _spool(tmp_path)
    heal = _break(monkeypatch)
    made.audit(AuditRecord(kind="config", outcome="applied"))
    made.configure(ObservabilitySpec())
    heal()
    made.flush()
    assert len(_lines(tmp_path, "audit")) == 1
    assert not made.degraded
    made.close()


def test_a_write_that_stops_half_way_spoils_one_line_only(tmp_path: Path) -> None:
    """A real limit of the kernel: the file may not grow beyond 4,000 bytes."""
    code = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from heddle.telemetry.segments import Segments
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, {resource.RLIM_INFINITY}))
segment = Segments(Path({str(tmp_path)!r}), "audit", 0)
line = b'{{"n":"' + b"x" * 92 + b'"}}\\n'
written = sum(segment.append([line] * 7) for _ in range(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
written += segment.append([line] * 5)
print(written)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    raw = (tmp_path / "audit-0-0000000001.jsonl").read_bytes().splitlines()
    whole = [line for line in raw if line.startswith(b"{") and line.endswith(b"}")]
    assert len(whole) == int(done.stdout)
    assert len(raw) - len(whole) == 1


def test_hammering_the_door_does_not_fill_the_disk(tmp_path: Path) -> None:
    made, clock = _spool(tmp_path)
    for number in range(10_000):
        made.audit(_denied(source="203.0.113.9", detail="unknown key"))
        if number % 1000 == 999:
            clock.now += 0.25
            made.flush()
    clock.now += 2
    made.flush()
    lines = _lines(tmp_path, "audit")
    assert len(lines) < 40
    assert sum(int(str(line.get("count", 1))) for line in lines) == 10_000
    made.close()


def test_nor_does_doing_so_from_ever_new_names(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    for number in range(20_000):
        made.audit(_denied(source=f"2001:db8:{number:x}::1", resource=f"model:{number}"))
    made.close()
    lines = _lines(tmp_path, "audit")
    assert len(lines) < 1100
    assert sum(int(str(line.get("count", 1))) for line in lines) == 20_000


def test_addresses_of_one_subscriber_and_names_under_one_pattern_are_not_told_apart(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    for number in range(1_000):
        made.audit(_denied(source=f"2001:db8::{number:x}", resource=f"model:claude-{number}", entry="claude-*"))
    made.close()
    lines = _lines(tmp_path, "audit")
    assert [line.get("count", 1) for line in lines] == [1, 1, 998]
    assert "trace_id" not in lines[-1], "it stands for calls of many traces"
    assert not [line for line in lines if "entry" in line]


@pytest.mark.parametrize("outcome", ["deny", "would_deny", "error"])
def test_whatever_did_not_simply_pass_is_folded(tmp_path: Path, outcome: str) -> None:
    made, _ = _spool(tmp_path)
    for _ in range(50):
        made.audit(AuditRecord(kind="authz", outcome=outcome, trace_id="1" * 32))
    made.close()
    assert [line.get("count", 1) for line in _lines(tmp_path, "audit")] == [1, 1, 48]


def test_what_was_allowed_or_changed_is_never_merely_counted(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path)
    for kind, outcome in (("authz", "allow"), ("config", "rejected"), ("admin", "allow"), ("config", "applied")):
        for _ in range(20):
            made.audit(AuditRecord(kind=kind, outcome=outcome, principal=Principal(user="alice")))
    assert len(_lines(tmp_path, "audit")) == 80
    made.close()


def test_the_spool_is_not_readable_by_others(tmp_path: Path) -> None:
    made, _ = _spool(tmp_path / "spool")
    made.audit(_denied())
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "spool").iterdir())
    made.close()


def test_a_segment_removed_before_it_could_be_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    removed: list[Path] = []

    def too_late(fd: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob("audit-*"))
            removed[0].unlink()
        lock(fd, operation)

    monkeypatch.setattr(segments.fcntl, "flock", too_late)
    made, _ = _spool(tmp_path)
    made.audit(_denied())
    assert len(_lines(tmp_path, "audit")) == 1
    made.close()


def _locked(path: Path) -> bool:
    with open(path, "rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    writes: list[int] = []
    write = os.write

    def counted(fd: int, data: bytes) -> int:
        writes.append(1)
        return write(fd, data)

    monkeypatch.setattr(segments.os, "write", counted)
    return writes


def _break(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    broken = True
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr(segments.os, "write", full)

    def heal() -> None:
        nonlocal broken
        broken = False

    return heal
