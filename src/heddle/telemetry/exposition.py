"""Reading the numbers of all processes, summing them, and writing them out for Prometheus.

Needs no lock and no cooperation: a file shows complete records only, and a number is one aligned double. Files that
cannot be read, are cut short or come from something else are left out. *Source:* Prometheus text exposition format
0.0.4.
"""

import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from heddle.telemetry import names
from heddle.telemetry.series import HEADER, Series, decode, find, used_bytes

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BEGINNING_BYTES = 64 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024

_Sums = dict[str, dict[bytes, tuple[Series, list[float]]]]


def render(state_dir: Path) -> bytes:
    """The sums over all `metrics-*.bin` of a state directory, as an exposition of format 0.0.4."""
    return render_files(_read(path) for path in sorted(state_dir.glob("metrics-*.bin")))


def render_files(files: Iterable[bytes]) -> bytes:
    """Likewise, over the contents of files; each only as far as it is used."""
    sums: _Sums = {}
    for data in files:
        _add(sums, data)
    lines: list[bytes] = []
    for name in sorted(sums, key=_rank):
        _write(lines, name, sums[name])
    return b"".join(lines)


def total(state_dir: Path, name: str) -> float:
    """The sum over all processes of a gauge or counter without labels that each of them binds first.

    Looks at the beginnings of files only: cheap enough for every probe.
    """
    found = 0.0
    for path in state_dir.glob("metrics-*.bin"):
        data = _read(path, _BEGINNING_BYTES)
        series = find(data, name)
        if series is not None:
            found += struct.unpack_from("d", data, series.at * 8)[0]
    return found


def by_process(state_dir: Path, name: str) -> list[dict[str, float]]:
    """The values of one gauge or counter in each process that has any, by its labels in exposition form."""
    found = []
    for path in sorted(state_dir.glob("metrics-*.bin")):
        data = _read(path)
        series = [one for one in decode(data) or () if one.name == name and one.kind != "histogram"]
        values = {one.labels.decode(): struct.unpack_from("d", data, one.at * 8)[0] for one in series}
        if values:
            found.append(values)
    return found


def _read(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        used = used_bytes(os.pread(fd, HEADER.size, 0))
        return os.pread(fd, min(used, most), 0)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _add(sums: _Sums, data: bytes) -> None:
    for series in decode(data) or ():
        values = struct.unpack_from(f"{series.width}d", data, series.at * 8)
        family = sums.setdefault(series.name, {})
        known = family.get(series.labels)
        if known is None:
            family[series.labels] = (series, list(values))
        elif known[0].bounds == series.bounds and known[0].kind == series.kind:
            known[1][:] = map(float.__add__, known[1], values)


def _rank(name: str) -> tuple[int, str]:
    """Declared metrics in their order, others after them."""
    order = _ORDER.get(name)
    return (len(_ORDER), name) if order is None else (order, "")


_ORDER = {name: index for index, name in enumerate(names.METRICS)}


def _write(lines: list[bytes], name: str, family: dict[bytes, tuple[Series, list[float]]]) -> None:
    spec = names.METRICS.get(name)
    text = spec.help.replace("\\", "\\\\").replace("\n", "\\n") if spec else ""
    kind = next(iter(family.values()))[0].kind
    lines.append(f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode())
    encoded = name.encode()
    for labels in sorted(family):
        series, values = family[labels]
        if series.kind == "histogram":
            _write_histogram(lines, encoded, series, values)
        else:
            lines.append(b"%b%b %b\n" % (encoded, b"{%b}" % labels if labels else b"", _number(values[0])))


def _write_histogram(lines: list[bytes], name: bytes, series: Series, values: list[float]) -> None:
    labels = series.labels
    comma = b"," if labels else b""
    total = 0.0
    prefix = b"%b_bucket{%b%b" % (name, labels, comma)
    for le, count in zip(_les(series.bounds), values[1:], strict=True):
        total += count
        lines.append(b"%b%b %b\n" % (prefix, le, _number(total)))
    braces = b"{%b}" % labels if labels else b""
    lines.append(b"%b_sum%b %b\n%b_count%b %b\n" % (name, braces, _number(values[0]), name, braces, _number(total)))


@lru_cache(maxsize=64)
def _les(bounds: tuple[float, ...]) -> list[bytes]:
    return [f'le="{bound}"}}'.encode() for bound in (*bounds, "+Inf")]


def _number(value: float) -> bytes:
    if value.is_integer() and abs(value) < 2**53:
        return b"%d" % value
    text = repr(value)
    return {"inf": b"+Inf", "-inf": b"-Inf", "nan": b"NaN"}.get(text) or text.encode()
