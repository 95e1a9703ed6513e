"""The heads: how far each writer's chain reaches, in one small mapped file that outlives its writers.

Owns its layout: a page that says how many slots were ever used (sealed), then 128 bytes for each slot: two
copies, written in turn, of `count | segment | seal | proof | crc`. A process killed inside one write leaves the other,
which is one entry older; the segment has the entry itself.
*Source:* `chain`, for what a proof is; zlib CRC-32, which only tells a torn copy from a whole one.
"""

import contextlib
import fcntl
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from heddle.drivers.ledger import LedgerError
from heddle.drivers.ledger.chain import SEAL_BYTES, Seal

FILE = "heads.bin"
MAX_SLOTS = 1024
MAGIC = b"heddleLH"
_PAGE = struct.Struct("<8sIQ16s")
_HEAD = struct.Struct("<QQ16s16s")
_CRC = struct.Struct("<I")
_COPY_BYTES = 64
_PAGE_BYTES = 4096
SIZE = _PAGE_BYTES + MAX_SLOTS * 2 * _COPY_BYTES
_SLOTS_LABEL = b"heddle ledger slots\0"
_VERSION = 1


class Head(NamedTuple):
    """The end of one chain."""

    entries: int
    segment: int
    """Number of the segment with the last one; 0 before the first."""
    seal: bytes
    """First half of the state after it: what its line shows."""
    proof: bytes
    """Second half, which is nowhere else."""

    def text(self) -> str:
        """The count and a fingerprint, to be kept elsewhere. The proof itself must not leave the ledger."""
        return f"{self.entries}:{self.seal.hex()}"


class Heads:
    """The open file. Writers hold a lock on their slot; readers need none."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Raises OSError (FileNotFoundError without `create`), LedgerError for a file that is something else."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        self._fd = os.open(directory / FILE, flags, 0o600)
        try:
            if create and os.fstat(self._fd).st_size == 0:
                os.ftruncate(self._fd, SIZE)
            if os.fstat(self._fd).st_size != SIZE:
                raise LedgerError(f"{directory / FILE} has not the size of a file of heads")
            self._map = mmap.mmap(self._fd, SIZE)
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Unmap; the lock is gone."""
        self._map.close()
        os.close(self._fd)

    def own(self, slot: int, seal: Seal, written: bool) -> bool:
        """Be the only writer of `slot`. Whether its head can be believed. Raises OSError when another owns it.

        A slot that was never counted gets the head of an empty chain. One that was, and has none, was tampered with;
        so was a count that is not sealed, and a slot that was never counted but has segments (`written`).
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _PAGE_BYTES + slot)
        with self._locked():
            sound = self.counted_by([seal]) or self._map[: _PAGE.size] == bytes(_PAGE.size)
            slots = self.slots
            sound = sound and not (written and slot >= slots)
            for number in range(slots, slot + 1):
                self.write(number, Head(0, 0, bytes(SEAL_BYTES), bytes(SEAL_BYTES)))
            slots = max(slots, slot + 1)
            _PAGE.pack_into(self._map, 0, MAGIC, _VERSION, slots, _slots_seal(seal, slots))
        return sound and self.read(slot) is not None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)

    @property
    def slots(self) -> int:
        """How many slots were ever used, as the file says."""
        magic, _, slots, _ = _PAGE.unpack_from(self._map, 0)
        return min(slots, MAX_SLOTS) if magic == MAGIC else 0

    def counted_by(self, seals: list[Seal]) -> bool:
        """Whether the number of slots was written with one of these keys."""
        magic, version, slots, given = _PAGE.unpack_from(self._map, 0)
        return (magic, version) == (MAGIC, _VERSION) and any(_slots_seal(seal, slots) == given for seal in seals)

    def read(self, slot: int) -> Head | None:
        """The newer whole copy; None when there is none."""
        copies = [self._copy(_PAGE_BYTES + (2 * slot + half) * _COPY_BYTES) for half in (0, 1)]
        return max((copy for copy in copies if copy is not None), default=None)

    def _copy(self, at: int) -> Head | None:
        data = self._map[at : at + _HEAD.size]
        (crc,) = _CRC.unpack_from(self._map, at + _HEAD.size)
        return Head(*_HEAD.unpack(data)) if crc == _checksum(data) else None

    def write(self, slot: int, head: Head) -> None:
        """Move a head: one copy into the file's memory, no system call."""
        at = _PAGE_BYTES + (2 * slot + (head.entries & 1)) * _COPY_BYTES
        data = _HEAD.pack(*head)
        self._map[at : at + _HEAD.size + _CRC.size] = data + _CRC.pack(_checksum(data))

    def sync(self) -> None:
        """Have the disk keep it (msync)."""
        self._map.flush()


def read_heads(directory: Path) -> dict[str, str]:
    """The heads by slot, as they are anchored elsewhere. Raises OSError, LedgerError."""
    heads = Heads(directory)
    try:
        found = {slot: heads.read(slot) for slot in range(heads.slots)}
    finally:
        heads.close()
    return {str(slot): one.text() for slot, one in found.items() if one is not None and one.entries}


def _checksum(data: bytes) -> int:
    # Of nothing but zeros it must not be zero: a hole in the file is no head.
    return zlib.crc32(data, 0x4C48)


def _slots_seal(seal: Seal, slots: int) -> bytes:
    return seal(_SLOTS_LABEL + slots.to_bytes(8, "little"))[:SEAL_BYTES]
