"""Equal refusals counted instead of written one by one.

Owns the choice of which audit records may be counted: refusals only, never an allowed call or a change, and only after
the first few of a second have been written out. The count itself is written within a second.
"""

import msgspec

from heddle.telemetry.records import AuditRecord

WRITTEN_PER_WINDOW = 5
WINDOW_S = 1.0
MAX_KEYS = 1024

_COUNTED_KINDS = frozenset({"authn", "authz", "limit"})
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
        if record.outcome != "deny" or record.kind not in _COUNTED_KINDS:
            return False
        if not self._absorbed and now - self._began_s >= WINDOW_S:
            self._written.clear()
            self._began_s = now
        who = record.principal
        key: _Key = (record.kind, who.key_id, who.workload, who.user, record.source, record.resource, record.policy)
        if key not in self._written and len(self._written) >= MAX_KEYS:
            # Refusals from ever new sources or for ever new names: what is left to tell apart is their kind.
            key = (record.kind,)
            record = msgspec.structs.replace(record, source="", resource="", detail="various", trace_id="")
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
        return records
