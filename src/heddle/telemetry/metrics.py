"""Counting: one file of numbers for each process, which only that process writes and anybody may read and sum.

Owns the writing side; `series` is the file's layout, `exposition` reads and sums. It refuses names that `names` does
not have, other labels than declared, and more series than a metric may have: what does not fit is counted in a series
whose labels are all `other`, so that no caller can grow a file, a process or a Prometheus server.

One writer, no lock: storing a number is a single eight-byte store, and a killed writer leaves nothing half-written. A
worker that takes over its predecessor's file goes on counting there (counters never fall), with gauges at zero.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from heddle.model.snapshot import ApiKeyAuthn, KubernetesAuthn, Snapshot
from heddle.telemetry import names
from heddle.telemetry.exposition import render, render_files
from heddle.telemetry.names import MetricSpec
from heddle.telemetry.series import USED_WORD, Series, decode, empty_header, encode_record, label_text

__all__ = ["Counter", "Gauge", "Histogram", "Metrics", "TenantLabels", "render"]

FILE_BYTES: Final = 4 * 1024 * 1024
"""Some 20,000 series; only what is used occupies memory."""
OTHER: Final = "other"
_SPARE_BYTES: Final = 1024
"""At the end, never published: where a metric counts for which a full file has no room."""


class Counter:
    """A number that only grows."""

    __slots__ = ("_numbers", "at")

    def __init__(self, numbers: "memoryview[float]", at: int) -> None:
        self._numbers = numbers
        self.at = at

    def add(self, amount: float = 1.0) -> None:
        """Count `amount`, which is not negative."""
        self._numbers[self.at] += amount

    @property
    def value(self) -> float:
        """What this process has counted."""
        return self._numbers[self.at]


class Gauge:
    """A number that goes up and down; over several processes it is summed."""

    __slots__ = ("_numbers", "at")

    def __init__(self, numbers: "memoryview[float]", at: int) -> None:
        self._numbers = numbers
        self.at = at

    def set(self, value: float) -> None:
        """Be `value`."""
        self._numbers[self.at] = value

    def add(self, amount: float = 1.0) -> None:
        """Change by `amount`."""
        self._numbers[self.at] += amount

    @property
    def value(self) -> float:
        """What this process has."""
        return self._numbers[self.at]


class Histogram:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("_numbers", "at", "bounds")

    def __init__(self, numbers: "memoryview[float]", at: int, bounds: tuple[float, ...]) -> None:
        self._numbers = numbers
        self.at = at
        """The sum; the buckets follow, the last one for everything above the bounds."""
        self.bounds = bounds

    def observe(self, value: float) -> None:
        """Count one value."""
        numbers, at = self._numbers, self.at
        numbers[at] += value
        numbers[at + 1 + bisect_left(self.bounds, value)] += 1.0

    @property
    def count(self) -> int:
        """How many values this process has seen."""
        return int(sum(self._numbers[self.at + 1 : self.at + 2 + len(self.bounds)]))

    @property
    def sum(self) -> float:
        """Their sum."""
        return self._numbers[self.at]


_Child = TypeVar("_Child", Counter, Gauge, Histogram)


class Metrics:
    """The numbers of one process. Metrics are bound once for each label set and then only added to."""

    def __init__(self, path: Path | None) -> None:
        """Go on with the file at `path`, or make it. Raises OSError when the disk is full or the file cannot be made.

        Only one process may have it open; one that cannot be read is begun anew. None is `in_memory`.
        """
        if path is None:
            self._open(mmap.mmap(-1, FILE_BYTES))
            return
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(fd).st_size != FILE_BYTES:
                os.ftruncate(fd, 0)
                os.ftruncate(fd, FILE_BYTES)
            if hasattr(os, "posix_fallocate"):  # a store into a hole of a full disk would kill the process
                os.posix_fallocate(fd, 0, FILE_BYTES)
            self._open(mmap.mmap(fd, FILE_BYTES))
        finally:
            os.close(fd)

    @classmethod
    def in_memory(cls) -> "Metrics":
        """One that no other process sees, for tests and one-off commands."""
        return cls(None)

    def _open(self, buffer: mmap.mmap) -> None:
        self._buffer = buffer
        self.numbers: memoryview[float] = memoryview(buffer).cast("d")
        """All numbers; a child's `at` is an index into them."""
        self._words: memoryview[int] = memoryview(buffer).cast("Q")
        self._places: dict[tuple[str, bytes], Series] = {}
        self._counts: dict[str, int] = {}
        self._children: dict[tuple[str, tuple[str, ...]], object] = {}
        found = decode(buffer[:])
        if found is None:
            header = empty_header()
            buffer[: len(header)] = header
        for series in found or ():
            self._enter(series)
            if series.kind == "gauge":
                self.numbers[series.at] = 0.0

    def close(self) -> None:
        """Unmap. What was bound must not be used any more; the numbers stay in the file."""
        self.numbers.release()
        self._words.release()
        self._buffer.close()

    def counter(self, name: str, **labels: str) -> Counter:
        """The counter `name` with these labels, all that are declared. Raises ValueError for any other."""
        return self._child("counter", name, labels, lambda series: Counter(self.numbers, series.at))

    def gauge(self, name: str, **labels: str) -> Gauge:
        """Likewise for a gauge."""
        return self._child("gauge", name, labels, lambda series: Gauge(self.numbers, series.at))

    def histogram(self, name: str, buckets: tuple[float, ...] = (), **labels: str) -> Histogram:
        """Likewise for a histogram; `buckets` (upper bounds, ascending) stands in for the declared ones."""
        return self._child(
            "histogram", name, labels, lambda series: Histogram(self.numbers, series.at, series.bounds), buckets
        )

    def render(self) -> bytes:
        """The numbers of this process alone, as `render` writes those of all."""
        return render_files([self._buffer[: self._words[USED_WORD]]])

    def _child(
        self,
        kind: str,
        name: str,
        labels: dict[str, str],
        make: Callable[[Series], _Child],
        buckets: tuple[float, ...] = (),
    ) -> _Child:
        spec = names.METRICS.get(name)
        if spec is None or spec.kind != kind:
            raise ValueError(f"{name} is not a declared {kind}")
        if labels.keys() != set(spec.labels):
            raise ValueError(
                f"{name} has the labels {', '.join(spec.labels) or '(none)'}, not {', '.join(labels) or '(none)'}"
            )
        key = (name, tuple([labels[label] for label in spec.labels]))
        child = self._children.get(key)
        if child is None:
            series, own = self._place(spec, key[1], buckets or spec.buckets)
            child = make(series)
            if own:
                self._children[key] = child
        return cast("_Child", child)

    def _place(self, spec: MetricSpec, values: tuple[str, ...], bounds: tuple[float, ...]) -> tuple[Series, bool]:
        """The series of a label set, and whether it is its own: not the one that all beyond the bound share."""
        text = label_text(spec.labels, values)
        series = self._places.get((spec.name, text))
        if series is None and self._counts.get(spec.name, 0) < spec.max_series:
            series = self._append(spec, text, bounds)
        if series is not None:
            return series, True
        if spec.name != names.METRIC_OVERFLOW:
            self.counter(names.METRIC_OVERFLOW, metric=spec.name).add()
        rest = label_text(spec.labels, (OTHER,) * len(spec.labels))
        series = self._places.get((spec.name, rest)) or self._append(spec, rest, bounds)
        spare = (FILE_BYTES - _SPARE_BYTES) // 8
        return series or Series(spec.kind, spec.name, rest, bounds, spare), False

    def _append(self, spec: MetricSpec, text: bytes, bounds: tuple[float, ...]) -> Series | None:
        """Write a record and publish it; None when the file is full."""
        series = Series(spec.kind, spec.name, text, bounds, 0)
        record = encode_record(series)
        begin = self._words[USED_WORD]
        end = begin + len(record)
        if end > FILE_BYTES - _SPARE_BYTES:
            return None
        self._buffer[begin:end] = record
        series = series._replace(at=end // 8 - series.width)
        self._enter(series)
        # Last: from here on readers look at it.
        self._words[USED_WORD] = end
        return series

    def _enter(self, series: Series) -> None:
        self._places[series.name, series.labels] = series
        self._counts[series.name] = self._counts.get(series.name, 0) + 1


class TenantLabels:
    """Which tenants may be label values: those that the configuration names. Tokens can carry any other."""

    def __init__(self, snapshot: Snapshot) -> None:
        matches = [rule.match for rule in snapshot.authorization] + [limit.match for limit in snapshot.limits]
        tenants = {tenant for match in matches for tenant in match.tenants}
        for authn in snapshot.authentication:
            if isinstance(authn, ApiKeyAuthn):
                tenants.update(key.tenant for key in authn.keys)
            elif isinstance(authn, KubernetesAuthn):
                tenants.update(authn.allowed_namespaces or ())
        self._known: dict[str, str] = {tenant: tenant for tenant in tenants if not set(tenant) & set("*?[")} | {"": ""}

    def label(self, tenant: str) -> str:
        """The tenant, `other` when the configuration does not name it; empty stays empty."""
        return self._known.get(tenant, OTHER)
