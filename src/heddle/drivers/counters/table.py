"""The file behind the shared counters: its layout, its making, and how a row is found and given to a key.

Owns everything that knows an offset. The file is one page of header and then rows, `WAYS` to a bucket; a key can
only be in the bucket its digest points to, and the digest is keyed with the file's own salt, so that nobody outside can
aim at a bucket. A row of `w` workers, in 64-bit words:

    generation | held[0..w) | settled[0..w) | digest, 2 words | ends_s | limit | padding to whole cache lines

*Each worker writes only its own `held` and `settled` words*; two writers on one word lost 41 % of increments when
measured. `generation` says which key the row is for at the moment, and never occurs twice.

A row is given to another key under a lock, in this order: generation := 0, barrier, look whether anything
is held, clear, write the new key, generation := new. Users add first and read the generation after a barrier. So
either a user sees that the row is being taken, or the taker sees what the user holds and gives the row back. It
follows that *a row with something held is never taken*, which is why a settlement need not look.

All reads and writes of words go through `memoryview` and native `struct` codes, which copy eight aligned bytes with
one instruction. *Source:* x86-64 memory model (Intel SDM vol. 3A, 9.2): stores and loads keep their order but for a
load overtaking an earlier store, which the barrier prevents. On processors with weaker ordering (ARM64) a reader can,
within some nanoseconds, miss a settlement under way; nothing worse follows.
"""

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from heddle.drivers.counters import CountersFullError, Tally

MAGIC: Final = b"heddleLC"
VERSION: Final = 1
HEADER_BYTES: Final = 4096
WAYS: Final = 16
MAX_WORKERS: Final = 1000
SLOT_BITS: Final = 10
SLOT_MASK: Final = (1 << SLOT_BITS) - 1
_HEAD: Final = struct.Struct("<8sIIQ16s")
_COUNTER_WORD: Final = 64 // 8
_OWNER_BYTE: Final = 2048
"""Locked by the parent for its life; byte 0 by whoever claims a row; byte 1 + slot by a worker for its life."""


class DamagedError(Exception):
    """The file is not a table that this version can read."""


class Layout(NamedTuple):
    """Where things are in a file for so many workers and rows."""

    workers: int
    rows: int
    salt: bytes

    @property
    def row_words(self) -> int:
        """Words from one row to the next: whole 64-byte cache lines."""
        return (1 + 2 * self.workers + 4 + 7) // 8 * 8

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + self.rows * self.row_words * 8

    def bucket_word(self, digest: bytes) -> int:
        """First word of the bucket that a key's digest points to."""
        bucket = int.from_bytes(digest[:8], "little") % (self.rows // WAYS)
        return HEADER_BYTES // 8 + bucket * WAYS * self.row_words

    def pack(self) -> bytes:
        """The header."""
        return _HEAD.pack(MAGIC, VERSION, self.workers, self.rows, self.salt)


class Way(NamedTuple):
    """One row of a bucket, as a claim saw it."""

    rank: int
    """0 free, 1 past its window, 2 in use."""
    share: float
    """Part of its limit that is used."""
    row: int
    generation: int


def read_layout(fd: int) -> Layout:
    """Check the header; raises DamagedError."""
    head = os.pread(fd, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        raise DamagedError("shorter than its header")
    magic, version, workers, rows, salt = _HEAD.unpack(head)
    if magic != MAGIC or version != VERSION:
        raise DamagedError("made by something else, or by another version")
    layout = Layout(workers, rows, salt)
    if not 0 < workers <= MAX_WORKERS or rows == 0 or rows % WAYS or os.fstat(fd).st_size != layout.size:
        raise DamagedError("its size does not fit its header")
    return layout


def open_private(path: Path, flags: int) -> int:
    """Open a file of the state directory for reading and writing: never through a link, for the owner only."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return fd


def allocate(fd: int, size: int) -> None:
    """Give a file real blocks: storing into a mapped hole of a full disk would kill the process (SIGBUS)."""
    os.ftruncate(fd, size)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)


class Table:
    """An open table, mapped. One per process and file, used by one thread.

    POSIX locks belong to the process and are lost when it closes *any* descriptor of the file, so a process that has
    a table open opens the file nowhere else.
    """

    def __init__(self, path: Path) -> None:
        self.fd = open_private(path, 0)
        try:
            self.layout = read_layout(self.fd)
            self.buffer = mmap.mmap(self.fd, self.layout.size)
        except BaseException:
            os.close(self.fd)
            raise
        self.words: memoryview[int] = memoryview(self.buffer).cast("q")
        self.evictions = 0
        """Keys in use that lost their row to another, here."""
        self.read_row = struct.Struct(f"{1 + 2 * self.layout.workers}q").unpack_from
        """`(buffer, byte offset)` -> generation, holds, settled amounts; loaded in this order."""
        self._digest_word = 1 + 2 * self.layout.workers
        barrier = threading.Lock()
        self.acquire, self.release = barrier.acquire, barrier.release
        """`acquire()` and then `release()` are the barrier, where a call to `barrier` would cost too much."""

    def close(self) -> None:
        """Unmap and close; every lock of this process on the file is gone."""
        self.words.release()
        self.buffer.close()
        os.close(self.fd)

    def own(self, byte: int) -> None:
        """Hold one byte's lock until closed or dead; raises OSError when another process holds it."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as exc:
            raise OSError(exc.errno, "the shared counters are in use by another process") from exc

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else gives rows away meanwhile. Held for microseconds; the kernel drops it with its holder."""
        fcntl.lockf(self.fd, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, 0)

    def digest(self, tally: Tally) -> bytes:
        """Sixteen bytes that stand for a count. The `repr` of a tuple of strings and numbers is injective."""
        identity = (tally.name, tally.unit, tally.window_s, tally.starts_s, tally.values)
        return hashlib.blake2b(repr(identity).encode(), digest_size=16, key=self.layout.salt).digest()

    def find(self, digest: bytes) -> int:
        """Row word of a key, 0 when it has none. Needs no lock: callers compare the generation after their add."""
        first = self.layout.bucket_word(digest)
        step = self.layout.row_words
        # A copy of the bucket: before Python 3.11.5 mmap.find reads beyond the end of the map (gh-105235), and dies.
        bucket = self.buffer[first * 8 : (first + WAYS * step) * 8]
        at = bucket.find(digest)
        while at >= 0:
            word, rest = divmod(at, 8)
            row = first + word - self._digest_word
            # A row whose taker died half-way has generation 0 and counts as free, whatever else it says.
            if rest == 0 and word % step == self._digest_word and self.words[row]:
                return row
            at = bucket.find(digest, at + 1)
        return 0

    def locate(self, tally: Tally, slot: int, now_s: float) -> None:
        """Point `tally` at its row of the current window, claiming one if need be. Raises CountersFullError."""
        tally.enter(now_s)
        digest = self.digest(tally)
        row = self.find(digest)
        generation = self.words[row]
        at = (row + self._digest_word) * 8
        # Generation before digest: a row taken in between has another generation by now, and its user finds out.
        if row and generation and self.buffer[at : at + 16] == digest:
            tally.row, tally.generation = row, generation
            return
        with self.locked():
            row = self.find(digest) or self._make_room(tally, digest, slot, now_s)
            tally.row, tally.generation = row, self.words[row]

    def _make_room(self, tally: Tally, digest: bytes, slot: int, now_s: float) -> int:
        """Take the best row that nothing is held in: a free one, one of a past window, else the least used.

        The newcomer takes over the share that the least used had of *its* limit (the Space-Saving rule: Metwally,
        Agrawal, El Abbadi 2005, section 3). Otherwise two keys that push each other out would be counted from zero
        for ever, and limits could be passed by whoever can fill the table. Too small a table thus refuses too early
        rather than too late.
        """
        for way in sorted(self._ways(self.layout.bucket_word(digest), now_s)):
            self.words[way.row] = 0
            self.barrier()
            if self._holds(way.row):
                self.words[way.row] = way.generation
                continue
            inherited = 0
            if way.rank == 2:
                self.evictions += 1
                settled, limit = self._usage(way.row)
                inherited = min(tally.limit, -(-settled * tally.limit // limit))
            self._write(way.row, digest, tally.ends_s, tally.limit, (slot, inherited))
            return way.row
        raise CountersFullError

    def _ways(self, first: int, now_s: float) -> Iterator[Way]:
        for row in range(first, first + WAYS * self.layout.row_words, self.layout.row_words):
            generation = self.words[row]
            if generation == 0:
                yield Way(0, 0.0, row, 0)
            elif not self._holds(row):
                rank = 1 if self.words[row + self._digest_word + 2] <= now_s else 2
                settled, limit = self._usage(row)
                yield Way(rank, settled / limit, row, generation)

    def _write(self, row: int, digest: bytes, ends_s: int, limit: int, settled: tuple[int, int]) -> None:
        """Make a row with generation 0 the row of a key; `settled` is the slot and its first amount."""
        words, at = self.words, row + self._digest_word
        for word in range(row + 1, at):
            words[word] = 0
        slot, amount = settled
        words[row + 1 + self.layout.workers + slot] = amount
        self.buffer[at * 8 : at * 8 + 16] = digest
        words[at + 2] = ends_s
        words[at + 3] = limit
        count = words[_COUNTER_WORD] + 1
        words[_COUNTER_WORD] = count
        self.barrier()
        words[row] = count << SLOT_BITS | slot + 1

    def put(self, digest: bytes, ends_s: int, limit: int, settled: int) -> bool:
        """Write a count into a free row of a table that nobody else uses yet; False when there is none."""
        first, step = self.layout.bucket_word(digest), self.layout.row_words
        for row in range(first, first + WAYS * step, step):
            if self.words[row] == 0:
                self._write(row, digest, ends_s, limit, (0, settled))
                return True
        return False

    def barrier(self) -> None:
        """Let no later load overtake an earlier store: an uncontended lock is one locked instruction, a full fence."""
        self.acquire()
        self.release()

    def _holds(self, row: int) -> bool:
        return any(self.read_row(self.buffer, row * 8)[1 : 1 + self.layout.workers])

    def _usage(self, row: int) -> tuple[int, int]:
        """What was settled, and the limit as it was when the row was made, at least 1."""
        settled = sum(self.read_row(self.buffer, row * 8)[1 + self.layout.workers :])
        return settled, max(1, self.words[row + self._digest_word + 3])

    def drop_held(self, slot: int) -> int:
        """Zero one worker's holds, left by its predecessor; returns how many rows had any.

        Read from the file and not through the mapping: looking at every row would count the whole table as
        this process's memory.
        """
        step, dropped = self.layout.row_words * 8, 0
        span = step * 4096
        for begin in range(HEADER_BYTES, self.layout.size, span):
            block = os.pread(self.fd, min(span, self.layout.size - begin), begin)
            column = memoryview(block).cast("q")[1 + slot :: step // 8]
            for index, held in enumerate(column):
                if held:
                    self.words[(begin + index * step) // 8 + 1 + slot] = 0
                    dropped += 1
        return dropped


def own_parent(table: Table) -> None:
    """Be the only parent of this file; raises OSError when there is another."""
    table.own(_OWNER_BYTE)


def lock_all(fd: int) -> None:
    """Make sure that nobody uses the file; raises OSError. Dropped with the descriptor."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise OSError(exc.errno, "the state directory is in use by another process") from exc
