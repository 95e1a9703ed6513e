"""One worker's end of the ledger: entries are sealed, written, and the head moved, before `append` returns.

Owns what a crash can cost, which is nothing that was appended: an entry is one write(2) into the page cache and one
store into a mapped page, and both outlive the process. Killed between the two, the segment is one entry ahead of the
head, which is what `Writer` finds and goes on from. It never raises on the way of a call: what the disk refuses is kept
in memory, unsealed, and written first when the disk is back.
*Source:* write(2), open(2) (O_APPEND); `chain` for the form.
"""

import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from heddle.drivers.ledger import Entry, LedgerError
from heddle.drivers.ledger.chain import (
    SEAL_BYTES,
    BadLineError,
    Line,
    Opening,
    Seal,
    SegmentName,
    encode_opening,
    line,
    lines,
    prove_entry,
    prove_opening,
    read_opening,
    segment_path,
    segments,
)
from heddle.drivers.ledger.heads import Head, Heads

_log = logging.getLogger("heddle.ledger")

SEGMENT_BYTES = 16 * 1024 * 1024
"""Some 60,000 entries. A worker reads its last segment when it starts, which takes a tenth of a second."""
MAX_HELD = 65_536
"""Entries kept in memory while the disk refuses them; beyond it they are lost, and counted."""

_encode = msgspec.json.Encoder().encode


class _End(NamedTuple):
    """Where a chain ends, as its writer finds it."""

    entries: int
    seal: bytes
    segment: int
    proven: bool


class Writer:
    """The chain of one slot. One process, one thread."""

    def __init__(self, directory: Path, slot: int, seal: Seal) -> None:
        """Take the slot and find the end of its chain. Raises OSError, LedgerError."""
        self._directory, self._slot, self._seal = directory, slot, seal
        self._heads = Heads(directory, create=True)
        try:
            known = segments(directory).get(slot, [])
            end = self._find_end(known, self._heads.own(slot, seal, bool(known)))
        except OSError as exc:
            self._heads.close()
            raise LedgerError(f"the ledger's slot {slot} cannot be taken: {exc.strerror or exc}") from exc
        self._count, self._last, self._segment = end.entries, end.seal, end.segment
        self._proven = end.proven
        self._state = b""
        self._fd = -1
        self._size = 0
        self._failing = False
        self._held: list[Entry] = []
        self.lost = 0
        """Entries given up because memory for them ran out too."""
        if not end.proven:
            self._own_up()

    @property
    def count(self) -> int:
        """Entries in the chain."""
        return self._count

    @property
    def held(self) -> int:
        """Entries that wait in memory because they cannot be written."""
        return len(self._held)

    def append(self, entry: Entry) -> None:
        """Write one entry, after those that wait. Never raises."""
        if self._held:
            self._hold(entry)
            return
        try:
            self._write(entry)
        except OSError as exc:
            self._complain(exc)
            self._hold(entry)

    def flush(self) -> None:
        """Write what waits, if the disk takes it now. Call it every now and then."""
        try:
            while self._held:
                self._write(self._held[0])
                del self._held[0]
            self._failing = False
        except OSError as exc:
            self._complain(exc)

    def close(self) -> None:
        """Let go of the slot."""
        self.flush()
        self.lost += len(self._held)
        self._close_segment()
        self._heads.close()

    def _hold(self, entry: Entry) -> None:
        self._held.append(entry)
        if len(self._held) > MAX_HELD:
            del self._held[0]
            self.lost += 1

    def _complain(self, exc: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error("the ledger cannot be written, entries are kept in memory: %s", exc)

    def _write(self, entry: Entry) -> None:
        if self._fd < 0 or self._size >= SEGMENT_BYTES:
            self._begin_segment()
        entry.n = self._count + 1
        payload = _encode(entry)
        state = self._seal(self._state + payload)
        data = line(state, payload)
        self._put(data)
        self._state, self._last = state, state[:SEAL_BYTES]
        self._count += 1
        self._heads.write(self._slot, Head(self._count, self._segment, self._last, state[SEAL_BYTES:]))

    def _put(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        if written != len(data):
            # Half a line is worse than none: it is taken back before anybody can mistake it for the end.
            os.ftruncate(self._fd, self._size)
            raise OSError(f"only {written} of {len(data)} bytes were written")
        self._size += written

    def _begin_segment(self) -> None:
        self._close_segment()
        number = self._segment + 1
        opening = Opening(
            slot=self._slot,
            segment=number,
            first=self._count + 1,
            prev=self._last.hex(),
            key=self._seal.key_id,
            unproven=not self._proven,
        )
        payload = encode_opening(opening)
        state = self._seal.open_segment(payload)
        path = segment_path(self._directory, self._slot, number)
        fresh = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd, self._size = os.open(fresh, flags, 0o600), 0
        try:
            self._put(line(state, payload))
            # It has its name only once it has its first line: a segment without one is never an accident.
            fresh.rename(path)
        except OSError:
            self._close_segment()
            raise
        self._segment, self._state, self._proven = number, state, True

    def _own_up(self) -> None:
        """Say at once, in a sealed line, that something is wrong: after the next start it may look right."""
        try:
            self._begin_segment()
        except OSError as exc:
            self.close()
            raise LedgerError(f"the ledger cannot be written: {exc.strerror or exc}") from exc

    def _close_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _find_end(self, known: list[SegmentName], believed: bool) -> _End:
        """The end of the chain: the head's, or what was written after the head was moved for the last time."""
        head = self._heads.read(self._slot) or Head(0, 0, bytes(SEAL_BYTES), bytes(SEAL_BYTES))
        last = max([head.segment, *(name.segment for name in known)])
        if believed and not head.entries:
            # Nothing was ever acknowledged. A segment can be there all the same: killed before the head moved.
            believed = len(known) <= 1
        since = [name for name in known if name.segment >= max(1, head.segment)]
        if not since and not head.entries:
            return _End(0, bytes(SEAL_BYTES), last, believed)
        try:
            count, state = self._prove(self._trusted(since), head)
        except (BadLineError, OSError) as exc:
            _log.error("the ledger of slot %d is damaged, and goes on in a new segment: %s", self._slot, exc)
            return _End(head.entries, head.seal, last, proven=False)
        return _End(count, state, last, believed)

    def _trusted(self, since: list[SegmentName]) -> list[SegmentName]:
        """From the last segment on that owns up to damage before it; what is before has been told of."""
        for index in range(len(since) - 1, 0, -1):
            first = next(lines(since[index].path), Line(1, 0, b"")).data
            if read_opening(first).unproven and prove_opening(first, self._seal):
                return since[index:]
        return since

    def _prove(self, since: list[SegmentName], head: Head) -> tuple[int, bytes]:
        """Count and seal at the end of the segments from the head's on. Raises BadLineError."""
        count, seal, met = -1, bytes(SEAL_BYTES), not head.entries
        for name in since:
            reader = lines(name.path)
            first = next(reader, Line(1, 0, b"")).data
            opening = read_opening(first)
            state = prove_opening(first, self._seal)
            if count >= 0 and (opening.first, opening.prev) != (count + 1, seal.hex()):
                raise BadLineError(f"segment {name.segment} does not follow the one before it")
            count, seal = opening.first - 1, bytes.fromhex(opening.prev)
            met = met or (opening.unproven and head.entries <= count)
            for one in reader:
                if not one.data.endswith(b"\n"):
                    break  # a write that nobody was told had succeeded
                state = prove_entry(one.data, self._seal, state, count + 1)
                count, seal = count + 1, state[:SEAL_BYTES]
                met = met or (count == head.entries and state[SEAL_BYTES:] == head.proof)
        if not met:
            raise BadLineError(f"the entry that the head tells of, number {head.entries}, is not there")
        return count, seal


class Ledger:
    """The ledger as a worker holds it: off until it is configured, and told again with each configuration."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._directory, self._slot = directory, slot
        self._writer: Writer | None = None
        self._key_id = ""
        self._lost = 0

    def open(self, seal: Seal) -> None:
        """Write from now on, with this key. Raises LedgerError."""
        if self._writer is not None and self._key_id == seal.key_id:
            return
        self.close()
        self._writer, self._key_id = Writer(self._directory, self._slot, seal), seal.key_id

    def close(self) -> None:
        """Write no more."""
        if self._writer is not None:
            self._writer.close()
            self._lost += self._writer.lost
            self._writer = None

    def append(self, entry: Entry) -> None:
        """Write one entry; nothing happens while the ledger is off. Never raises."""
        if self._writer is not None:
            entry.t = entry.t or round(time.time(), 3)
            self._writer.append(entry)

    def flush(self) -> None:
        """Write what the disk refused before."""
        if self._writer is not None and self._writer.held:
            self._writer.flush()

    @property
    def held(self) -> int:
        """Entries in memory only."""
        return self._writer.held if self._writer is not None else 0

    @property
    def lost(self) -> int:
        """Entries given up since the start."""
        return self._lost + (self._writer.lost if self._writer is not None else 0)
