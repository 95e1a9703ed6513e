"""The records of one worker on their way out: append-only segments in the state directory, or one log file.

Owns when a line reaches the disk and what happens when it cannot. Access records and spans are gathered and written
together; an audit record is written before the call goes on. Nothing here raises or waits for a reader: a call is
worth more than its record, and an access record or span that cannot be kept is counted, an audit record kept in memory.

A segment `<kind>-<slot>-<seq>.jsonl` is locked (flock) by the worker that writes it, so whoever gets the lock knows
that the segment is complete, also after kill -9. A line survives the process; that it survives the machine is seen to
by the exporter's fdatasync, off the request path.
*Source:* flock(2), write(2) ("partial writes"); architecture.md, "Exporters run outside the workers".
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from heddle.model.snapshot import LoggingSpec, ObservabilitySpec
from heddle.telemetry.lines import timestamp
from heddle.telemetry.records import AccessRecord, AuditRecord, encode_access, encode_audit
from heddle.telemetry.repeats import Repeats
from heddle.telemetry.segments import LogFile, Segments
from heddle.telemetry.spans import SpanRecord, encode_span

MAX_BUFFERED_LINES: Final = 128
"""Lines gathered before they are written without waiting for the timer."""
MAX_HELD_AUDIT: Final = 65_536
"""Audit lines kept in memory while the disk refuses them, about 20 MB; beyond it they are counted as lost."""

_RETRIED_LINES: Final = 1000


def direct_file(logging: LoggingSpec) -> str:
    """Path of the one log file that workers write themselves; empty when records go through the exporter."""
    if not logging.enabled or len(logging.sinks) != 1 or logging.sinks[0].type != "file":
        return ""
    path = logging.sinks[0].path
    return "" if path.startswith("/dev/") else path


class Spool:
    """Where one worker puts its records. Not safe for threads; `flush` must be called about every 50 ms."""

    def __init__(self, directory: Path, slot: int, *, now: Callable[[], float] = time.time) -> None:
        """Writes nothing until `configure`. `now` is Unix time, in seconds."""
        self._directory = directory
        self._slot = slot
        self._now = now
        self._access_lines: list[bytes] = []
        self._span_lines: list[bytes] = []
        self._held: list[bytes] = []
        self._access: Segments | LogFile | None = None
        self._spans: Segments | LogFile | None = None
        self._audit: Segments | LogFile | None = None
        self._wanted = ("", False, False)
        """The log file written directly, whether access records are written, whether audit records are."""
        self._repeats = Repeats()
        self._serial = 0
        self._prefix = ""
        self.audit_lost = 0
        """Audit records given up because memory for them ran out too: alert on anything but 0."""
        self._lost_before = {"access": 0, "spans": 0}

    def configure(self, observability: ObservabilitySpec) -> None:
        """Follow a new configuration: what is written, and where. What was gathered goes where it was meant to."""
        self.flush()
        logging = observability.logging
        direct = direct_file(logging)
        # Audit records wait for a sink when there is none; only who switches logging off altogether wants none.
        wanted = (direct, logging.enabled and bool(logging.sinks), logging.enabled)
        if wanted != self._wanted:
            self._close_logs()
            if direct:
                self._access = self._audit = LogFile(self._directory.parent / direct, self._now)
            else:
                self._access = self._segments("access") if wanted[1] else None
                self._audit = self._segments("audit") if wanted[2] else None
            self._wanted = wanted
        traced = observability.tracing.enabled and bool(observability.tracing.endpoint)
        if traced != (self._spans is not None):
            self._retire("spans", self._spans)
            self._spans = self._segments("spans") if traced else None
        if not self._prefix:
            self._prefix = f"{self._slot:x}-{time.time_ns():x}-"

    def access(self, record: AccessRecord) -> None:
        """Keep the record of a call that ended; nothing happens when no sink wants it."""
        if self._access is None:
            return
        lines = self._access_lines
        lines.append(encode_access(record))
        if len(lines) >= MAX_BUFFERED_LINES:
            self._flush_access()

    def access_line(self, line: bytes) -> None:
        """Likewise, already encoded by `records.access_line`."""
        if self._access is None:
            return
        lines = self._access_lines
        lines.append(line)
        if len(lines) >= MAX_BUFFERED_LINES:
            self._flush_access()

    def span(self, record: SpanRecord) -> None:
        """Keep the spans of a sampled call that ended; nothing happens when tracing is off."""
        if self._spans is None:
            return
        self._span_lines.append(encode_span(record))
        if len(self._span_lines) >= MAX_BUFFERED_LINES:
            self._flush_spans()

    def audit(self, record: AuditRecord) -> None:
        """Write the record before returning, unless logging is off; when that fails it is held and `degraded` tells.

        Of equal refusals of one caller only the first few of a second are written at once; the rest become one
        record with their `count`, so that hammering the door does not fill the disk.
        """
        if self._audit is None:
            return
        now = self._now()
        if self._repeats.absorbs(record, now):
            return
        self._write_audit(self._stamped(record, now))

    def flush(self) -> None:
        """Write what was gathered, and retry what was held."""
        if self._access_lines:
            self._flush_access()
        if self._span_lines:
            self._flush_spans()
        if self._repeats:
            now = self._now()
            for record in self._repeats.due(now):
                self._write_audit(self._stamped(record, now))
        if self._held:
            self._retry_held()

    def close(self) -> None:
        """Flush everything, repeats included, and give the segments up."""
        for record in self._repeats.due(float("inf")):
            self._write_audit(self._stamped(record, self._now()))
        self.flush()
        self._close_logs()
        self._retire("spans", self._spans)
        self._spans = None

    @property
    def held(self) -> int:
        """Audit records that wait in memory because they cannot be written."""
        return len(self._held)

    @property
    def degraded(self) -> bool:
        """True while there are any."""
        return bool(self._held)

    @property
    def lost(self) -> dict[str, int]:
        """Records lost since the start, by kind: refused by the disk, or deleted unread to keep the spool's bound."""
        access, spans = (sink.lost if sink is not None else 0 for sink in (self._access, self._spans))
        return {
            "access": self._lost_before["access"] + access,
            "spans": self._lost_before["spans"] + spans,
            "audit": self.audit_lost,
        }

    def _segments(self, kind: str) -> Segments:
        return Segments(self._directory, kind, self._slot)

    def _flush_access(self) -> None:
        lines, self._access_lines = self._access_lines, []
        if self._access is not None:
            self._access.write(lines)

    def _flush_spans(self) -> None:
        lines, self._span_lines = self._span_lines, []
        if self._spans is not None:
            self._spans.write(lines)

    def _stamped(self, record: AuditRecord, now: float) -> bytes:
        self._serial += 1
        record.time = record.time or timestamp(now)
        record.id = f"{self._prefix}{self._serial:x}"
        return encode_audit(record)

    def _write_audit(self, line: bytes) -> None:
        # Behind lines that wait, this one waits too: the timer retries, not every call of a bad minute.
        if self._held or self._audit is None or not self._audit.append([line]):
            self._held.append(line)
            if len(self._held) > MAX_HELD_AUDIT:
                del self._held[0]
                self.audit_lost += 1

    def _retry_held(self) -> None:
        # Without a destination any more (logging was switched off meanwhile) what is held still reaches the spool.
        sink = self._audit if self._audit is not None else self._segments("audit")
        while self._held:
            written = sink.append(self._held[:_RETRIED_LINES])
            del self._held[:written]
            if written < _RETRIED_LINES:
                break
        if sink is not self._audit:
            sink.close()

    def _close_logs(self) -> None:
        audit, self._audit = self._audit, None
        if audit is not None and audit is not self._access:
            audit.close()
        self._retire("access", self._access)
        self._access = None

    def _retire(self, kind: str, sink: Segments | LogFile | None) -> None:
        if sink is not None:
            self._lost_before[kind] += sink.lost
            sink.close()
