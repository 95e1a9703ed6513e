"""The chain: how a line of the ledger is sealed, and how a segment of it is read and checked.

Owns the form of a line, `<32 hex digits> <JSON>\n`, and what the digits prove. With `H(x)` = HMAC-SHA256 under the
ledger's key, the state after entry n is `S(n) = H(S(n-1) + entry)`. Its first half stands before the entry. Its second
half is written nowhere but in the head, which holds that of the last entry only: nobody without the key can make the
head fit a shorter ledger, although every line is readable.

A segment begins with a line of its own (its number, the entry it begins with, the seal of the one before it), and its
state begins with `H(label + that line)`, so that each segment can be checked by itself and none can be left out.
*Source:* RFC 2104 and FIPS 198-1 (HMAC); Bellare and Yee 1997, "Forward integrity", for why the end needs a proof.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

SEAL_BYTES = 16
MAX_LINE_BYTES = 64 * 1024
MIN_KEY_BYTES = 16
MAX_GAPS = 1000
"""Newest segments that are looked for by name when they were not listed."""
_BLOCK_BYTES = 64
_SEGMENT_LABEL = b"heddle ledger segment\0"
_KEY_LABEL = b"heddle ledger key\0"
_SUFFIX = ".ledger"


class Opening(msgspec.Struct, kw_only=True):
    """The first line of a segment."""

    ledger: int = 1
    """Version of the form."""
    slot: int
    segment: int
    """From 1, without gaps."""
    first: int
    """Number of its first entry."""
    prev: str
    """Seal of the entry before that; of nothing, 32 zeros."""
    key: str
    """Which key seals it: an id that says nothing about the key."""
    unproven: bool = False
    """The writer found what stood before it damaged, and went on from what the head said."""


class BadLineError(Exception):
    """A line that is not in its place in the chain; the message says what is wrong with it."""


class Seal:
    """HMAC-SHA256 under one key. The two padded blocks are hashed once, which leaves a third of the cost."""

    __slots__ = ("_inner", "_outer", "key_id")

    def __init__(self, key: bytes) -> None:
        """ValueError for a key that is too short to be one."""
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key of the ledger must have at least {MIN_KEY_BYTES} bytes")
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(bytes(byte ^ 0x36 for byte in range(256))))
        self._outer = hashlib.sha256(block.translate(bytes(byte ^ 0x5C for byte in range(256))))
        self.key_id = self(_KEY_LABEL)[:4].hex()

    def __call__(self, data: bytes) -> bytes:
        """32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()

    def open_segment(self, opening: bytes) -> bytes:
        """The state that a segment begins with."""
        return self(_SEGMENT_LABEL + opening)

    def __repr__(self) -> str:
        return f"Seal({self.key_id})"


def line(state: bytes, payload: bytes) -> bytes:
    """A line as it is written."""
    return b"%b %b\n" % (state[:SEAL_BYTES].hex().encode(), payload)


def split(data: bytes) -> tuple[bytes, bytes]:
    """Seal and payload of a line. Raises BadLineError."""
    seal, space, payload = data.rstrip(b"\n").partition(b" ")
    try:
        raw = bytes.fromhex(seal.decode("ascii"))
    except ValueError as exc:
        raise BadLineError("is no line of a ledger") from exc
    if not space or len(raw) != SEAL_BYTES:
        raise BadLineError("is no line of a ledger")
    return raw, payload


class SegmentName(NamedTuple):
    """What the name of a segment's file says."""

    slot: int
    segment: int
    path: Path


def segment_path(directory: Path, slot: int, segment: int) -> Path:
    """Where a segment is."""
    return directory / f"{slot:04d}-{segment:010d}{_SUFFIX}"


def segments(directory: Path) -> dict[int, list[SegmentName]]:
    """All segments by slot, each slot's in order. Files of other names are not looked at.

    Listing a directory that files are added to may show a later one and not an earlier: short gaps are looked at again.
    """
    found: dict[int, list[SegmentName]] = {}
    for path in directory.glob(f"*{_SUFFIX}"):
        slot, _, segment = path.stem.partition("-")
        if slot.isascii() and slot.isdigit() and segment.isascii() and segment.isdigit():
            found.setdefault(int(slot), []).append(SegmentName(int(slot), int(segment), path))
    return {slot: _without_gaps(directory, sorted(found[slot])) for slot in sorted(found)}


def _without_gaps(directory: Path, known: list[SegmentName]) -> list[SegmentName]:
    listed = {name.segment for name in known}
    first = max(known[0].segment, known[-1].segment - MAX_GAPS)
    missing = [number for number in range(first, known[-1].segment) if number not in listed]
    paths = [(number, segment_path(directory, known[0].slot, number)) for number in missing]
    return sorted([*known, *(SegmentName(known[0].slot, number, path) for number, path in paths if path.exists())])


class Line(NamedTuple):
    """A whole line of a segment."""

    number: int
    """From 1."""
    offset: int
    data: bytes


def lines(path: Path) -> Iterator[Line]:
    """The lines of a segment; what follows the last newline comes last, without one. Raises OSError."""
    offset = 0
    with path.open("rb") as file:
        for number in range(1, 2**62):
            data = file.readline(MAX_LINE_BYTES)
            if not data:
                return
            yield Line(number, offset, data)
            offset += len(data)


class _Numbered(msgspec.Struct):
    n: int = 0


_number_of = msgspec.json.Decoder(_Numbered).decode
_opening_of = msgspec.json.Decoder(Opening).decode
encode_opening: Callable[[Opening], bytes] = msgspec.json.Encoder().encode


def read_opening(data: bytes) -> Opening:
    """The opening of a segment, unproven. Raises BadLineError."""
    try:
        return _opening_of(split(data)[1])
    except msgspec.MsgspecError as exc:
        raise BadLineError("is not the beginning of a segment") from exc


def prove_opening(data: bytes, seal: Seal) -> bytes:
    """The state after the first line of a segment. Raises BadLineError."""
    given, payload = split(data)
    state = seal.open_segment(payload)
    if state[:SEAL_BYTES] != given:
        raise BadLineError("the beginning of the segment was changed, or made without the key")
    return state


def prove_entry(data: bytes, seal: Seal, state: bytes, expected: int) -> bytes:
    """The state after entry number `expected`. Raises BadLineError."""
    if not data.endswith(b"\n"):
        raise BadLineError(f"entry {expected} is cut off")
    given, payload = split(data)
    after = seal(state + payload)
    if after[:SEAL_BYTES] == given:
        return after
    try:
        found = _number_of(payload).n
    except msgspec.MsgspecError:
        found = expected
    if found != expected:
        raise BadLineError(f"entry {found} stands where entry {expected} belongs: entries were reordered or removed")
    raise BadLineError(f"entry {expected} was changed, or made without the key")
