"""Equal refusals counted instead of written one by one, so that somebody who is refused cannot fill a disk.

Owns the choice of which audit records may be counted: refusals and failed checks only, never an allowed call or a
change, and only after the first few of a second have been written out. Every one of them is in some record's `count`,
which is written within a second.
*Source:* RFC 4291 section 2.5.4 (a subscriber holds a whole IPv6 /64).
"""

import ipaddress

import msgspec

from heddle.telemetry.records import AuditRecord

WRITTEN_PER_WINDOW = 2
WINDOW_S = 1.0
MAX_KEYS = 512
"""Kinds of refusal told apart within a window; what comes beyond is counted together."""

_COUNTED_KINDS = frozenset({"authn", "authz", "limit", "admin", "api"})
_WRITTEN_OUTCOMES = frozenset({"allow", "applied", "rejected"})
_Key = tuple[object, ...]


class Repeats:
    """Refusals of the current window, by what makes them equal."""

    __slots__ = ("_absorbed", "_began_s", "_written")

    def __init__(self) -> None:
        self._began_s = 0.0
        self._written: dict[_Key, int] = {}
        self._absorbed: dict[_Key, AuditRecord] = {}

    def __bool__(self) -> bool:
        return bool(self._absorbed)

    def absorbs(self, record: AuditRecord, now: float) -> bool:
        """True when `record` was counted and need not be written now."""
        if record.outcome in _WRITTEN_OUTCOMES or record.kind not in _COUNTED_KINDS:
            return False
        if not self._absorbed and now - self._began_s >= WINDOW_S:
            self._written.clear()
            self._began_s = now
        key = _key(record)
        if key not in self._written and len(self._written) >= MAX_KEYS:
            # Refusals of ever new callers or from ever new sources: what is left to tell apart is their kind.
            key = (record.kind, record.outcome)
            record = AuditRecord(kind=record.kind, outcome=record.outcome, source="(many)", detail="various")
        written = self._written.get(key, 0)
        if written < WRITTEN_PER_WINDOW:
            self._written[key] = written + 1
            return False
        known = self._absorbed.get(key)
        if known is None:
            self._absorbed[key] = record
        else:
            known.count += record.count
        return True

    def due(self, now: float) -> list[AuditRecord]:
        """The counted records to write now: all of them when the window is over, else none."""
        if now - self._began_s < WINDOW_S:
            return []
        records = list(self._absorbed.values())
        self._absorbed.clear()
        return [one if one.count == 1 else msgspec.structs.replace(one, trace_id="") for one in records]


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


def _key(record: AuditRecord) -> _Key:
    who = record.principal
    caller = (who.key_id, who.workload, who.user, source_group(record.source))
    # Where a caller chose the resource's name the configured one stands for it: names are as cheap as addresses.
    return (record.kind, record.outcome, record.policy, record.entry or record.resource, *caller)
