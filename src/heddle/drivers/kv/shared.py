"""Values in files of the state directory, which all workers of a machine see and which outlive them.

Owns the layout. Every worker writes a lane of its own (one file for each space) and reads all lanes, so that nobody
waits for anybody: there is no lock. A lane is an index of buckets, each of WAYS slots, and behind it a ring in which
records follow each other and overwrite the oldest. A slot says where a record is; the record repeats its key, and has
a checksum. Whatever was overwritten, half written when the machine lost power, or damaged since does not match, and is
not there. Of several lanes that know a key the latest word holds.

Reads and writes are system calls on the page cache (a few microseconds), not a mapping: a full disk is then an error
to live with, where a mapping would end the process.
"""

import contextlib
import logging
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from heddle.drivers.kv import KEY_BYTES, MAX_TTL_S, SPACES, Space

_log = logging.getLogger("heddle.kv")

WAYS = 8
_SLOT = struct.Struct("<16sQQII")
"""Half of the key, microsecond of Unix time at which it was put, offset in the ring, length, Unix time of its end.
Length 0 is a deletion."""
_RECORD = struct.Struct("<32sQIII")
"""Key, microsecond, end, length of the value, CRC-32 of all this and the value."""
_TAG_BYTES = 16
_BUCKET_BYTES = WAYS * _SLOT.size
_EMPTY = bytes(_BUCKET_BYTES)
_CHUNK = 1024 * _BUCKET_BYTES
_SKEW_US = 3600 * 1_000_000
"""What claims to have been put later than in an hour is damage, or written before the clock was set back."""
_LATEST_END = 2**32 - 1

_Slot = tuple[bytes, int, int, int, int]


class SharedKv:
    """One space of one worker. Costs two system calls for each lane and value read, three for one written."""

    def __init__(self, folder: Path, name: str, slot: int, space: Space, now: Callable[[], float]) -> None:
        """Raises OSError when the worker's own lane cannot be opened."""
        self._folder, self._name, self._space, self._now = folder, name, space, now
        self._buckets = max(1, space.entries // WAYS)
        self._ring_at = self._buckets * _BUCKET_BYTES
        self._lanes: list[int] = []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(slot + 1):
            # Lanes before ours too, so that there is never a gap: readers open them in their order.
            self._open_lane(number, os.O_CREAT)
        self._own = self._lanes[slot]
        self._latest, self._head = self._recover()
        self._failing = False

    def _open_lane(self, number: int, flags: int = 0) -> None:
        path = self._folder / f"{self._name}-{number}.bin"
        self._lanes.append(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600))

    def _recover(self) -> tuple[int, int]:
        """The last microsecond used in our lane, and where the next record goes."""
        latest, head = 0, 0
        horizon = self._horizon()
        for at in range(0, self._ring_at, _CHUNK):
            chunk = os.pread(self._own, min(_CHUNK, self._ring_at - at), at)
            for start in range(0, len(chunk) - _BUCKET_BYTES + 1, _BUCKET_BYTES):
                bucket = chunk[start : start + _BUCKET_BYTES]
                if bucket == _EMPTY:
                    continue
                for _, put_us, offset, length, _ in _SLOT.iter_unpack(bucket):
                    if latest < put_us <= horizon and offset + length <= self._space.bytes:
                        latest, head = put_us, offset + length if length else head
        return latest, head

    def _horizon(self) -> int:
        return int(self._now() * 1e6) + _SKEW_US

    async def get(self, key: bytes) -> bytes | None:
        """See `Kv`."""
        return self.find(key)

    def find(self, key: bytes) -> bytes | None:
        """The same at once."""
        try:
            return self._find(key)
        except OSError as exc:
            self._complain(exc)
            return None

    def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """See `Kv`."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        if len(value) > self._space.value_bytes:
            self.delete(key)
            return
        put_us, ends = self._stamp(ttl_s)
        size = _RECORD.size + len(value)
        offset = self._head if self._head + size <= self._space.bytes else 0
        try:
            # The record first: a slot never leads to what is not there yet.
            os.pwrite(self._own, _record(key, put_us, ends, value), self._ring_at + offset)
            self._head = offset + size
            self._index(key, put_us, offset, size, ends)
        except OSError as exc:
            self._complain(exc)

    def delete(self, key: bytes) -> None:
        """See `Kv`."""
        if self.find(key) is None:
            return
        put_us, ends = self._stamp(MAX_TTL_S)
        try:
            self._index(key, put_us, 0, 0, ends)
        except OSError as exc:
            self._complain(exc)

    def close(self) -> None:
        """Let go of all files."""
        for lane in self._lanes:
            os.close(lane)
        self._lanes.clear()
        # What still comes finds no file, rather than one that was opened since under the same number.
        self._own = -1

    def _stamp(self, ttl_s: float) -> tuple[int, int]:
        """When it is put, later than all before, and when it ends."""
        now_s = self._now()
        self._latest = max(int(now_s * 1e6), self._latest + 1)
        # Rounded down: a value may be gone a second early, and never stays for longer.
        return self._latest, min(int(now_s + min(ttl_s, MAX_TTL_S)), _LATEST_END)

    def _bucket_at(self, key: bytes) -> int:
        return int.from_bytes(key[_TAG_BYTES : _TAG_BYTES + 8], "little") % self._buckets * _BUCKET_BYTES

    def _find(self, key: bytes) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            # A further worker may have begun.
            self._open_lane(len(self._lanes))
        at, tag, horizon = self._bucket_at(key), key[:_TAG_BYTES], self._horizon()
        found: tuple[int, int, int, int] | None = None
        for lane in self._lanes:
            bucket = os.pread(lane, _BUCKET_BYTES, at)
            start = bucket.find(tag)
            if start < 0 or start % _SLOT.size or start + _SLOT.size > len(bucket):
                continue
            _, put_us, offset, length, _ = _SLOT.unpack_from(bucket, start)
            if put_us <= horizon and (found is None or put_us > found[0]):
                found = put_us, lane, offset, length
        if found is None or not found[3]:
            return None
        put_us, lane, offset, length = found
        if length > _RECORD.size + self._space.value_bytes or offset > self._space.bytes:
            return None
        return _value(os.pread(lane, length, self._ring_at + offset), key, put_us, self._now())

    def _index(self, key: bytes, put_us: int, offset: int, length: int, ends: int) -> None:
        at, tag = self._bucket_at(key), key[:_TAG_BYTES]
        bucket = os.pread(self._own, _BUCKET_BYTES, at).ljust(_BUCKET_BYTES, b"\0")
        slots = list(_SLOT.iter_unpack(bucket))
        now_s, horizon = self._now(), self._horizon()
        # The same key's; else one that is free or over; else the oldest.
        chosen = min(range(WAYS), key=lambda way: _use(slots[way], tag, now_s, horizon))
        os.pwrite(self._own, _SLOT.pack(tag, put_us, offset, length, ends), at + chosen * _SLOT.size)

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("%s: what should be remembered cannot be: %s", self._name, error.strerror or error)


def _use(slot: _Slot, tag: bytes, now_s: float, horizon: int) -> int:
    """How much a slot is worth keeping."""
    found, put_us, _, _, ends = slot
    if found == tag:
        return -2
    return -1 if ends <= now_s or put_us > horizon else put_us


def _record(key: bytes, put_us: int, ends: int, value: bytes) -> bytes:
    start = _RECORD.pack(key, put_us, ends, len(value), 0)
    return _RECORD.pack(key, put_us, ends, len(value), zlib.crc32(value, zlib.crc32(start))) + value


def _value(record: bytes, key: bytes, put_us: int, now_s: float) -> bytes | None:
    """The value of a record, if it is the one that was looked for."""
    if len(record) < _RECORD.size:
        return None
    found, at_us, ends, length, checksum = _RECORD.unpack_from(record)
    if found != key or at_us != put_us or ends <= now_s or length != len(record) - _RECORD.size:
        return None
    value = record[_RECORD.size :]
    start = _RECORD.pack(found, at_us, ends, length, 0)
    return value if zlib.crc32(value, zlib.crc32(start)) == checksum else None


class SharedStores:
    """The spaces of one worker in `folder`; a `Stores`."""

    def __init__(self, folder: Path, slot: int, now: Callable[[], float]) -> None:
        self._folder, self._slot, self._now = folder, slot, now
        self._spaces: dict[str, SharedKv] = {}

    def __call__(self, name: str) -> SharedKv:
        """The space called `name`. Raises OSError."""
        if name not in self._spaces:
            self._spaces[name] = SharedKv(self._folder, name, self._slot, SPACES[name], self._now)
        return self._spaces[name]

    def close(self) -> None:
        """Let go of all files."""
        for space in self._spaces.values():
            space.close()
        self._spaces.clear()
