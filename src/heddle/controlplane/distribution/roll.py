"""The roll of gateways: who was ever here since the start, what each runs, and what it said to what it was sent.

Owns what is remembered and for how many. It is memory only: a gateway that is connected says everything again when the
control plane starts, and one that is not cannot be known to run anything. Those that left are forgotten, the longest
away first, once there are too many.
"""

from collections.abc import Callable, Iterable

import msgspec

from heddle.wire.delta import MAX_TEXT, Point

MAX_AWAY = 2_000
"""Gateways that are not connected and still remembered."""


class GatewayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one gateway."""

    name: str
    node: str = ""
    """Host it runs on, as it says."""
    address: str = ""
    """Where it connected from."""
    program: str = ""
    """Version of its program, as it says."""
    gateway: str = ""
    """`namespace/name` of the Gateway it serves; `*` is all."""
    connected: bool = False
    since_s: float = 0.0
    """Unix time at which it connected, or left."""
    wanted: Point = Point()
    """What it should run."""
    runs: Point = Point()
    """What all its workers run, as it said last."""
    runs_since_s: float = 0.0
    error: str = ""
    """Why it does not run what it should; empty when it does, or has not answered yet."""
    error_path: str = ""
    """Part that the error is about."""

    @property
    def current(self) -> bool:
        """It runs what it should, and all of it."""
        return self.connected and self.runs.digest == self.wanted.digest and not self.error


class Roll:
    """All gateways by their names."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is Unix time in seconds."""
        self._now = now
        self._records: dict[str, GatewayRecord] = {}
        self._told: list[Callable[[GatewayRecord], None]] = []

    def on_change(self, told: Callable[[GatewayRecord], None]) -> None:
        """Call `told` with every record that changed, at once: it must be quick, and gather what is slow."""
        self._told.append(told)

    def get(self, name: str) -> GatewayRecord | None:
        """One gateway."""
        return self._records.get(name)

    def records(self) -> list[GatewayRecord]:
        """All, by name."""
        return [self._records[name] for name in sorted(self._records)]

    def came(self, record: GatewayRecord) -> None:
        """It is connected now. What it runs is what it says; an earlier error is over."""
        self._records.pop(record.name, None)
        self._set(msgspec.structs.replace(record, connected=True, since_s=self._now(), runs_since_s=self._now()))

    def left(self, name: str) -> None:
        """Its connection ended."""
        record = self._records.pop(name, None)
        if record is not None:
            # At the end: the first ones are those that have been away longest.
            self._set(msgspec.structs.replace(record, connected=False, since_s=self._now()))
            self._forget()

    def missed(self, record: GatewayRecord) -> None:
        """It was connected before this control plane was restarted, and is not."""
        if record.name not in self._records:
            self._set(msgspec.structs.replace(record, connected=False, since_s=self._now()))

    def wants(self, names: Iterable[str], wanted: Point) -> None:
        """They should run this."""
        for name in names:
            self._change(name, wanted=wanted)

    def runs(self, name: str, at: Point, lacks: str = "", path: str = "") -> None:
        """It took what it was sent; `lacks` says why not all of it, `path` which part."""
        self._change(name, runs=at, runs_since_s=self._now(), error=_safe(lacks), error_path=_safe(path))

    def refuses(self, name: str, message: str, path: str) -> None:
        """It did not; what it ran before runs on."""
        self._change(name, error=_safe(message), error_path=_safe(path))

    def _change(self, name: str, **fields: object) -> None:
        record = self._records.get(name)
        if record is not None:
            self._set(msgspec.structs.replace(record, **fields))

    def _set(self, record: GatewayRecord) -> None:
        self._records[record.name] = record
        for told in self._told:
            told(record)

    def _forget(self) -> None:
        away = [name for name, record in self._records.items() if not record.connected]
        for name in away[: max(len(away) - MAX_AWAY, 0)]:
            del self._records[name]


def _safe(text: str) -> str:
    """What a gateway says is shown in terminals: one line, no control characters, not without end."""
    return "".join(char if char.isprintable() else " " for char in text[:MAX_TEXT]).strip()
