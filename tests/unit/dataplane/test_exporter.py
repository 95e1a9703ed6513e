"""The exporter's decisions: what is delivered, repeated, deleted, and what a failing sink does to the others."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from heddle import plugins
from heddle.dataplane import exporter
from heddle.dataplane.exporter import Exporter, Shipper
from heddle.drivers.sinks.base import SinkTools, UnavailableError
from heddle.drivers.sinks.http import Poster
from heddle.drivers.sinks.tail import Cursor, Spooled
from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec, TracingSpec
from heddle.net.client import Client
from heddle.telemetry import segments
from heddle.telemetry.records import AccessRecord, AuditRecord
from heddle.telemetry.spool import Spool

BOTH = ObservabilitySpec(
    logging=LoggingSpec(sinks=(SinkSpec(type="stdout"), SinkSpec(type="elasticsearch", endpoint="http://x")))
)


class MemorySink:
    """Keeps what it gets; fails when it is told to."""

    built: list["MemorySink"] = []  # noqa: RUF012  # reset by the fixture

    def __init__(self, spec: SinkSpec | TracingSpec, tools: SinkTools) -> None:
        self.spec = spec
        self.lines: list[tuple[str, bytes]] = []
        self.failure: Exception | None = None
        self.closed = False
        MemorySink.built.append(self)

    async def write(self, kind: str, lines: list[bytes]) -> int:
        if self.failure is not None:
            raise self.failure
        self.lines += [(kind, line) for line in lines]
        return len(lines)

    async def close(self) -> None:
        self.closed = True

    def of(self, kind: str) -> list[bytes]:
        return [line for key, line in self.lines if key == kind]


@pytest.fixture(autouse=True)
def _memory_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    MemorySink.built = []
    monkeypatch.setattr(plugins, "load", lambda group, name: MemorySink)
    monkeypatch.setattr(exporter, "POLL_S", 0.001)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool", 0)
    made.configure(BOTH)
    return made


def _audit(spool: Spool, count: int) -> None:
    for number in range(count):
        spool.audit(AuditRecord(kind="authz", outcome="allow", resource=f"r{number}"))


def _shipper(tmp_path: Path, sink: MemorySink) -> Shipper:
    directory = tmp_path / "spool"
    return Shipper("sink", sink, ("audit", "access"), directory, SinkTools(Poster(Client()), directory))


def _sink() -> MemorySink:
    return MemorySink(SinkSpec(type="stdout"), None)  # type: ignore[arg-type]


async def _until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_every_record_reaches_the_sink_once_and_audit_goes_first(tmp_path: Path, spool: Spool) -> None:
    spool.access(AccessRecord(time="t"))
    _audit(spool, 100)
    spool.flush()
    sink = _sink()
    shipper = _shipper(tmp_path, sink)
    while await shipper.step():
        pass
    assert [kind for kind, _ in sink.lines] == ["audit"] * 100 + ["access"]
    assert not await shipper.step()
    _audit(spool, 1)
    assert await shipper.step()
    assert len(sink.lines) == 102


async def test_what_failed_is_tried_again_and_nothing_is_skipped(tmp_path: Path, spool: Spool) -> None:
    _audit(spool, 10)
    sink = _sink()
    shipper = _shipper(tmp_path, sink)
    for failure in (ConnectionError("down"), TimeoutError(), UnavailableError("busy", 3.0)):
        sink.failure = failure
        with pytest.raises((ConnectionError, TimeoutError)):
            await shipper.step()
    sink.failure = None
    await shipper.step()
    assert len(sink.lines) == 10


async def test_a_batch_that_breaks_a_sink_is_put_aside_after_a_few_attempts(tmp_path: Path, spool: Spool) -> None:
    _audit(spool, 3)
    sink = _sink()
    shipper = _shipper(tmp_path, sink)
    sink.failure = ZeroDivisionError("a defect")
    for _ in range(exporter.ATTEMPTS_AT_A_FAULT - 1):
        with pytest.raises(UnavailableError):
            await shipper.step()
    assert await shipper.step()
    assert (shipper.delivered, shipper.refused) == (0, 3)
    assert len((tmp_path / "spool" / "dead-sink-audit.jsonl").read_bytes().splitlines()) == 3
    sink.failure = None
    _audit(spool, 1)
    await shipper.step()
    assert shipper.delivered == 1


async def test_a_new_exporter_continues_where_the_last_one_was(tmp_path: Path, spool: Spool) -> None:
    _audit(spool, 5)
    await _shipper(tmp_path, _sink()).step()
    _audit(spool, 2)
    successor = _sink()
    await _shipper(tmp_path, successor).step()
    assert len(successor.lines) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a":"b"}', b"\x00" * 10])
async def test_a_cursor_that_cannot_be_read_starts_over(tmp_path: Path, spool: Spool, content: bytes) -> None:
    (tmp_path / "spool" / "cursors").mkdir(parents=True)
    (tmp_path / "spool" / "cursors" / "sink.json").write_bytes(content)
    _audit(spool, 4)
    sink = _sink()
    await _shipper(tmp_path, sink).step()
    assert len(sink.lines) == 4


async def test_a_line_still_being_written_waits_and_a_fragment_of_the_dead_is_left_out(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    segment = segments.Segments(directory, "audit", 0)
    segment.append([b'{"a":1}\n', b'{"b":'])
    sink = _sink()
    shipper = _shipper(tmp_path, sink)
    await shipper.step()
    assert sink.of("audit") == [b'{"a":1}\n']
    assert not await shipper.step(), "the worker lives: the line may yet be completed"
    segment.close()
    await shipper.step()
    assert sink.of("audit") == [b'{"a":1}\n']
    assert Spooled(directory).remove(directory / "audit-0-0000000001.jsonl", [shipper.cursor])


async def test_a_dead_sink_does_not_stop_the_others_and_keeps_the_segment(tmp_path: Path, spool: Spool) -> None:
    made = Exporter(tmp_path)
    await made.apply(BOTH)
    healthy, dead = MemorySink.built
    dead.failure = ConnectionError("down")
    _audit(spool, 50)
    spool.close()
    await _until(lambda: len(healthy.lines) == 50)
    made.tidy()
    assert list((tmp_path / "spool").glob("audit-*")), "the other sink has yet to get it"
    report = msgspec.json.decode((tmp_path / "spool" / "exporter.json").read_bytes())["sinks"]
    assert sorted(bool(sink["error"]) for sink in report.values()) == [False, True]
    dead.failure = None
    await _until(lambda: len(dead.lines) == 50)
    await _until(lambda: made.tidy() or not list((tmp_path / "spool").glob("audit-*")))
    await made.drain()
    assert len(healthy.lines) == len(dead.lines) == 50
    assert healthy.closed
    assert dead.closed


async def test_reconfiguring_keeps_what_stays_and_closes_what_goes(tmp_path: Path) -> None:
    made = Exporter(tmp_path)
    await made.apply(BOTH)
    stdout, elastic = MemorySink.built
    await made.apply(ObservabilitySpec(logging=LoggingSpec(sinks=(SinkSpec(type="stdout"),))))
    assert elastic.closed
    assert not stdout.closed
    assert len(MemorySink.built) == 2
    await made.apply(BOTH)
    assert len(MemorySink.built) == 3
    await made.drain()


async def test_spans_go_to_the_collector_only(tmp_path: Path, spool: Spool) -> None:
    made = Exporter(tmp_path)
    await made.apply(ObservabilitySpec(tracing=TracingSpec(enabled=True, endpoint="c:1")))
    _audit(spool, 1)
    spool.close()
    made.tidy()
    assert len(list((tmp_path / "spool").glob("audit-*"))) == 1, "audit waits until there is a sink for it"
    (collector,) = MemorySink.built
    await made.drain()
    assert collector.lines == []


async def test_records_that_nobody_wants_any_more_are_deleted_but_audit_is_not(tmp_path: Path, spool: Spool) -> None:
    spool.access(AccessRecord(time="t"))
    _audit(spool, 1)
    spool.close()
    Exporter(tmp_path).tidy()
    assert [path.name.partition("-")[0] for path in (tmp_path / "spool").glob("*.jsonl")] == ["audit"]


async def test_a_segment_in_use_is_never_removed(tmp_path: Path, spool: Spool) -> None:
    _audit(spool, 1)
    shipper = _shipper(tmp_path, _sink())
    await shipper.step()
    (path,) = (tmp_path / "spool").glob("audit-*")
    assert not Spooled(tmp_path / "spool").remove(path, [shipper.cursor])
    spool.close()
    assert Spooled(tmp_path / "spool").remove(path, [shipper.cursor])


async def test_a_sink_that_cannot_be_built_leaves_the_others_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: str, name: str) -> type[MemorySink]:
        if name == "elasticsearch":
            raise ValueError("no such host")
        return MemorySink

    monkeypatch.setattr(plugins, "load", load)
    made = Exporter(tmp_path)
    await made.apply(BOTH)
    assert len(MemorySink.built) == 1
    await made.drain()


async def test_cursors_forget_segments_that_are_gone(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "c.json")
    cursor.advance("audit-0-1.jsonl", 10)
    cursor.advance("audit-0-2.jsonl", 20)
    cursor.forget({"audit-0-2.jsonl"})
    assert Cursor(tmp_path / "c.json").positions == {"audit-0-2.jsonl": 20}


async def test_the_feed_takes_the_last_configuration_and_ends_with_its_writer() -> None:
    reader, writer = os.pipe()
    feed = exporter.SpecFeed(str(reader))
    first, second = ObservabilitySpec(), BOTH
    os.write(writer, msgspec.json.encode(first) + b"\n" + msgspec.json.encode(second) + b"\n{")
    assert await feed.next() == second
    waiting = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    os.close(writer)
    assert await waiting is None
    os.close(reader)


async def test_the_feed_reads_a_file_again_when_told(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(msgspec.json.encode(BOTH))
    feed = exporter.SpecFeed(str(path))
    assert await feed.next() == BOTH
    feed.reread.set()
    assert await feed.next() == BOTH


def test_back_off_grows_is_bounded_and_differs() -> None:
    assert exporter._backoff_s(1) < exporter._backoff_s(8) <= exporter.MAX_BACKOFF_S
    assert exporter._backoff_s(10_000) <= exporter.MAX_BACKOFF_S
    assert len({exporter._backoff_s(3) for _ in range(10)}) > 1


def test_a_sinks_name_does_not_depend_on_its_credentials() -> None:
    def names(password: str) -> list[str]:
        sink = SinkSpec(type="elasticsearch", endpoint="https://es", password=password)
        return list(exporter._wanted(ObservabilitySpec(logging=LoggingSpec(sinks=(sink,)))))

    assert names("one") == names("two")
    assert "one" not in names("one")[0]
