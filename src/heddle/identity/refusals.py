"""Audit records of refusals: the first of a kind at once, its repeats together.

Owns the bound on what somebody who is refused can make us write. A caller that hammers with a wrong key, or a thousand
of them, costs a few records per window; every refusal is still counted in one of them.

*Source:* RFC 4291 section 2.5.4 (a subscriber holds a whole IPv6 /64).
"""

import asyncio
import ipaddress
from collections.abc import Callable, Hashable

import msgspec

from heddle.telemetry.records import AuditRecord

WINDOW_S = 10.0
MAX_WINDOWS = 4096
"""Kinds of refusal told apart within a window; what comes beyond is counted together."""
_OVERFLOW = object()


class _Window:
    __slots__ = ("record", "repeats", "started_s")

    def __init__(self, record: AuditRecord, started_s: float) -> None:
        self.record = record
        self.started_s = started_s
        self.repeats = 0


class Refusals:
    """Writes refusals, at most two records per key and window: the first, and the count of those that followed."""

    __slots__ = ("_monotonic", "_timer", "_windows", "_write")

    def __init__(self, write: Callable[[AuditRecord], None], monotonic: Callable[[], float]) -> None:
        self._write = write
        self._monotonic = monotonic
        self._windows: dict[Hashable, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: Hashable, record: AuditRecord) -> None:
        """One refusal. `key` says which ones are repeats of each other. Call it from the event loop."""
        now = self._monotonic()
        window = self._windows.get(key)
        if window is None and len(self._windows) >= MAX_WINDOWS:
            key, record = _OVERFLOW, _anybody(record)
            window = self._windows.get(key)
        if window is not None and now - window.started_s < WINDOW_S:
            window.repeats += 1
            return
        if window is not None:
            self._summarise(window)
        self._windows[key] = _Window(record, now)
        self._write(record)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._tick)

    def flush(self, *, everything: bool = False) -> None:
        """Write the summaries of windows that are over, or of all."""
        now = self._monotonic()
        for key, window in list(self._windows.items()):
            if everything or now - window.started_s >= WINDOW_S:
                del self._windows[key]
                self._summarise(window)

    def close(self) -> None:
        """Write what is still held and stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush(everything=True)

    def _tick(self) -> None:
        self._timer = None
        self.flush()
        if self._windows:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._tick)

    def _summarise(self, window: _Window) -> None:
        if window.repeats:
            # `id` and `time` belong to the record that was written first.
            self._write(msgspec.structs.replace(window.record, count=window.repeats, id="", time="", trace_id=""))


def source_group(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address; other text stands for itself."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


def _anybody(record: AuditRecord) -> AuditRecord:
    return AuditRecord(
        kind=record.kind, outcome=record.outcome, source="(many)", detail="more refusals of other callers"
    )
