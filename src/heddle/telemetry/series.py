"""The file of numbers that a process counts in: its layout, encoding and decoding.

    header   magic 8s | version u32 | - u32 | used u64 | padding to 64
    record   size u32 | kind, bounds, name, labels u16 | - u32 | bounds, doubles | name | labels | padding | values

Records are appended, never moved; `used` covers a record only when it is complete. Values are doubles in place: one
for a counter or gauge; for a histogram the sum and then the buckets, not cumulated, the last one for all above the
bounds. It reads no file and keeps no state: bytes in, values out.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

MAGIC = b"heddleMT"
VERSION = 1
HEADER = struct.Struct("<8sIIQ")
HEADER_BYTES = 64
USED_WORD = 2
KINDS = ("counter", "gauge", "histogram")
_RECORD = struct.Struct("<IHHHHI")
_MAX_VALUE_CHARS = 128


class Series(NamedTuple):
    """One record, as it is in the file."""

    kind: str
    name: str
    labels: bytes
    """Exposition form without the braces: `a="1",b="2"`."""
    bounds: tuple[float, ...]
    at: int
    """Index of its first double, counted from the start of the file."""

    @property
    def width(self) -> int:
        """How many doubles it has."""
        return 2 + len(self.bounds) if self.kind == "histogram" else 1


def empty_header() -> bytes:
    """A file without records."""
    return HEADER.pack(MAGIC, VERSION, 0, HEADER_BYTES).ljust(HEADER_BYTES, b"\0")


def label_text(labels: Sequence[str], values: Sequence[str]) -> bytes:
    """Labels in exposition form: backslash, quote and line feed escaped, long values cut, always valid UTF-8."""
    pairs = []
    for label, value in zip(labels, values, strict=True):
        clean = value[:_MAX_VALUE_CHARS].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        pairs.append(f'{label}="{clean}"')
    return ",".join(pairs).encode("utf-8", "replace")


def encode_record(series: Series) -> bytes:
    """A record with its values at zero; `series.at` is not looked at."""
    name, bounds = series.name.encode(), struct.pack(f"{len(series.bounds)}d", *series.bounds)
    text = bounds + name + series.labels
    text += b"\0" * (-len(text) % 8)
    size = _RECORD.size + len(text) + 8 * series.width
    head = _RECORD.pack(size, KINDS.index(series.kind), len(series.bounds), len(name), len(series.labels), 0)
    return head + text + b"\0" * (8 * series.width)


def used_bytes(head: bytes) -> int:
    """How much of a file has been published, going by its first `HEADER.size` bytes; 0 when it is not such a file."""
    if len(head) < HEADER.size:
        return 0
    magic, version, _, used = HEADER.unpack(head[: HEADER.size])
    return used if magic == MAGIC and version == VERSION and used >= HEADER_BYTES else 0


def decode(data: bytes) -> list[Series] | None:
    """All records of a file (or of as much of it as is used); None when anything about it is wrong."""
    used, at, found = used_bytes(data), HEADER_BYTES, []
    if not used or used > len(data):
        return None
    while at < used:
        series, size = _decode_record(data, at, used)
        if series is None:
            return None
        found.append(series)
        at += size
    return found


def find(data: bytes, name: str) -> Series | None:
    """The first record called `name` in a file, or in the beginning of one; None when it is not found there."""
    used, at = min(used_bytes(data), len(data)), HEADER_BYTES
    while at < used:
        series, size = _decode_record(data, at, used)
        if series is None or series.name == name:
            return series
        at += size
    return None


def _decode_record(data: bytes, at: int, used: int) -> tuple[Series | None, int]:
    if at + _RECORD.size > used:
        return None, 0
    size, kind, bounds_n, name_n, labels_n, _ = _RECORD.unpack_from(data, at)
    name_at = at + _RECORD.size + 8 * bounds_n
    labels_at = name_at + name_n
    if kind >= len(KINDS) or size % 8 or at + size > used:
        return None, 0
    width = 2 + bounds_n if KINDS[kind] == "histogram" else 1
    if labels_at + labels_n > at + size - 8 * width:
        return None, 0
    bounds = struct.unpack_from(f"{bounds_n}d", data, at + _RECORD.size)
    try:
        name = data[name_at:labels_at].decode("ascii")
    except UnicodeDecodeError:
        return None, 0
    labels = data[labels_at : labels_at + labels_n]
    return Series(KINDS[kind], name, labels, bounds, (at + size) // 8 - width), size
