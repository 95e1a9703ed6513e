"""Is the ledger what was written? Walks every chain from its beginning and compares its end with the head.

Owns the words for what is wrong and where. It reads only, so it can run while the mesh writes: heads are read first,
and a chain that has grown since reaches beyond its head, which nobody without the key can make it do.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from heddle.drivers.ledger import LedgerError
from heddle.drivers.ledger.chain import (
    SEAL_BYTES,
    BadLineError,
    Line,
    Opening,
    Seal,
    SegmentName,
    lines,
    prove_entry,
    prove_opening,
    read_opening,
    segments,
)
from heddle.drivers.ledger.heads import FILE, Head, Heads


class Finding(msgspec.Struct, kw_only=True):
    """Something that is not as it was written."""

    slot: int
    place: str
    """`file:line (byte N)`, or the file."""
    what: str


class Chain(msgspec.Struct, kw_only=True):
    """One writer's chain as far as it is proven."""

    slot: int
    segments: int
    entries: int
    """The number of the last proven entry."""
    head: int
    """The number that the head says."""


class Verdict(msgspec.Struct, kw_only=True):
    """What was looked at, and what is wrong with it."""

    chains: list[Chain]
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not self.findings


class _Reached(NamedTuple):
    """How far a walk has come: number of the last entry, its seal, the key of its segment."""

    entries: int
    seal: bytes
    key_id: str


_NOTHING = _Reached(0, bytes(SEAL_BYTES), "")


def verify(
    directory: Path, seals: list[Seal], *, archived: bool = False, anchors: dict[int, Head] | None = None
) -> Verdict:
    """Check everything. `archived` accepts that the oldest segments are elsewhere; `anchors` are heads kept elsewhere.

    Raises OSError when the directory cannot be read.
    """
    heads, page = _read_heads(directory, seals)
    known = segments(directory)
    verdict = Verdict(chains=[], findings=[])
    if page and (known or heads):
        verdict.findings.append(Finding(slot=-1, place=FILE, what=page))
    for slot in sorted({*heads, *known, *(anchors or {})}):
        walk = _Walk(slot, known.get(slot, []), {seal.key_id: seal for seal in seals}, heads.get(slot))
        walk.archived = archived
        walk.anchor = (anchors or {}).get(slot)
        verdict.chains.append(walk.run())
        verdict.findings += walk.findings
    return verdict


def _read_heads(directory: Path, seals: list[Seal]) -> tuple[dict[int, Head | None], str]:
    """Heads of all slots that were ever used, and what is wrong with the page that counts them."""
    try:
        heads = Heads(directory)
    except FileNotFoundError:
        return {}, "the heads are gone"
    except LedgerError as exc:
        return {}, str(exc)
    try:
        sound = heads.counted_by(seals)
        found = {slot: heads.read(slot) for slot in range(heads.slots)}
        return found, "" if sound else "the number of chains was changed, or written with another key"
    finally:
        heads.close()


class _Walk:
    """The check of one chain."""

    def __init__(self, slot: int, files: list[SegmentName], seals: dict[str, Seal], head: Head | None) -> None:
        self._slot, self._files, self._seals, self._head = slot, files, seals, head
        self._met = head is not None and not head.entries
        self._broken = False
        self.findings: list[Finding] = []
        self.archived = False
        self.anchor: Head | None = None

    def run(self) -> Chain:
        """Walk; what is wrong is in `findings`."""
        reached, expected = _NOTHING, 1
        for name in self._files:
            if name.segment != expected and not (self.archived and expected == 1):
                missing = f"{expected}" if name.segment == expected + 1 else f"{expected} to {name.segment - 1}"
                self._find(name.path.name, f"segment {missing} before it is gone")
            reached, expected = self._segment(name, reached), name.segment + 1
        self._compare_head(reached)
        head = self._head
        return Chain(
            slot=self._slot, segments=len(self._files), entries=reached.entries, head=head.entries if head else 0
        )

    def _find(self, place: str, what: str) -> None:
        self._broken = True
        self.findings.append(Finding(slot=self._slot, place=place, what=what))

    def _segment(self, name: SegmentName, before: _Reached) -> _Reached:
        place = name.path.name
        try:
            reader = lines(name.path)
            first = next(reader, Line(1, 0, b""))
            opening = read_opening(first.data)
            seal = self._seals.get(opening.key)
            if seal is None:
                self._find(place, f"sealed with another key ({opening.key}); give that one too")
                return before
            state = prove_opening(first.data, seal)
        except BadLineError as exc:
            self._find(f"{place}:1", str(exc))
            return before
        self._check_opening(name, opening, before)
        reached = _Reached(opening.first - 1, bytes.fromhex(opening.prev), opening.key)
        self._meet(reached, state)
        return self._entries(name, reader, seal, state, reached)

    def _entries(
        self, name: SegmentName, reader: Iterator[Line], seal: Seal, state: bytes, reached: _Reached
    ) -> _Reached:
        for one in reader:
            if not one.data.endswith(b"\n") and name is self._files[-1]:
                break  # being written, or the writer was killed while it wrote: nobody was told of it
            try:
                state = prove_entry(one.data, seal, state, reached.entries + 1)
            except BadLineError as exc:
                self._find(f"{name.path.name}:{one.number} (byte {one.offset})", f"{exc}; nothing after it is proven")
                break
            reached = _Reached(reached.entries + 1, state[:SEAL_BYTES], reached.key_id)
            self._meet(reached, state)
        return reached

    def _check_opening(self, name: SegmentName, opening: Opening, before: _Reached) -> None:
        place = f"{name.path.name}:1"
        follows = (opening.first, opening.prev) == (before.entries + 1, before.seal.hex())
        if (opening.slot, opening.segment) != (name.slot, name.segment):
            self._find(place, f"this is segment {opening.segment} of slot {opening.slot} under another's name")
        elif opening.unproven and not (follows and before.key_id not in ("", opening.key)):
            # With another key than before, the writer could not prove it, but this walk, which has both, did.
            self._find(place, "what stands before it was damaged when the writer began this segment")
        elif not follows and not (self.archived and before is _NOTHING) and not self._broken:
            gone = f"entries {before.entries + 1} to {opening.first - 1} before it are gone"
            self._find(
                place, gone if opening.first > before.entries + 1 else "it does not follow what stands before it"
            )

    def _meet(self, reached: _Reached, state: bytes) -> None:
        """Is this the entry that the head, or an anchor, is about?"""
        head, anchor = self._head, self.anchor
        if head is not None and reached.entries == head.entries and state[SEAL_BYTES:] == head.proof:
            self._met = True
        if anchor is not None and reached.entries == anchor.entries and reached.seal == anchor.seal:
            self.anchor = None

    def _compare_head(self, reached: _Reached) -> None:
        head, anchor = self._head, self.anchor
        if head is None:
            self._find(FILE, f"the head of chain {self._slot} is gone or damaged")
        elif reached.entries < head.entries and not self._broken:
            gone = f"entries {reached.entries + 1} to {head.entries} are gone: the head tells of {head.entries}"
            self._find(self._files[-1].path.name if self._files else FILE, gone)
        elif not self._met and not self._broken:
            self._find(FILE, f"the head of chain {self._slot} does not fit entry {head.entries}: it was put there")
        if anchor is not None:
            self._find(FILE, f"entry {anchor.entries} is not the one that was anchored: an earlier copy was put back")
