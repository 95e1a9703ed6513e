"""What one Gateway needs, how that came to be, and every change of it encoded once.

A view moves only when one of its own parts does, so that a change is news to those it concerns. Whoever is at a point
of a view's recent past is sent what changed since, whoever is not everything; a frame is made for the first who asks
and is the same bytes for the thousandth.

Owns that a Gateway is shown parts that are for it, and no other. Whom a part is for, secrets included, the compiler
says.
"""

from collections import deque
from collections.abc import Collection, Mapping
from itertools import islice
from typing import NamedTuple

from heddle.wire.delta import Delta, Full, Point, encode, hexed, moved

EVERYTHING = "*"
"""Interest of a machine that runs the whole mesh."""
STEPS = 256
"""Changes that are remembered; at most ten per second are made, and a gateway that missed more is sent everything."""
STEP_NAMES = 20_000
"""Names of parts in all of them together."""


class Part(NamedTuple):
    """A part, and who needs it."""

    data: bytes
    audience: frozenset[str] | None = None
    """Gateways, as `namespace/name`; None is every one."""
    alone: bool = False
    """What it says holds for a whole process, and so only for one that serves such a Gateway and no other."""

    def is_for(self, gateway: str) -> bool:
        """Whether a Gateway needs it; `*` needs what anybody does, but for what is for that one alone."""
        if self.audience is None:
            return True
        if gateway == EVERYTHING:
            return bool(self.audience) and not self.alone
        return gateway in self.audience


class _Step(NamedTuple):
    """One change of a view."""

    base: str
    """Digest before it."""
    names: frozenset[str]
    came: frozenset[str]
    """Those of `names` that were not there before."""


class View:
    """What one Gateway needs."""

    def __init__(self, lineage: str, gateway: str) -> None:
        self.gateway = gateway
        self.at = Point(lineage, 0, hexed(0))
        self.parts: dict[str, bytes] = {}
        self.encodings = 0
        """Frames that were made so far."""
        self.unused_s: float | None = None
        """Since when nobody follows it, as far as was looked."""
        self._digest = 0
        self._steps: deque[_Step] = deque()
        self._names = 0
        self._frames: dict[str, bytes] = {}
        """Base digest -> the frame that leads from there to here; '' is from nothing."""

    def fill(self, version: int, parts: Mapping[str, Part]) -> None:
        """Begin with all parts there are."""
        self._move(version, {name: part.data for name, part in parts.items() if part.is_for(self.gateway)}, ())
        self.at = Point(self.at.lineage, version, self.at.digest)

    def follow(self, version: int, touched: Mapping[str, Part | None]) -> bool:
        """Take over parts as they are now, None for those that are gone. False when they concern only others."""
        changed: dict[str, bytes] = {}
        removed: list[str] = []
        for name, part in touched.items():
            if part is not None and part.is_for(self.gateway):
                if self.parts.get(name) != part.data:
                    changed[name] = part.data
            elif name in self.parts:
                removed.append(name)
        return self._move(version, changed, removed)

    def _move(self, version: int, changed: Mapping[str, bytes], removed: Collection[str]) -> bool:
        if not changed and not removed:
            return False
        gone = [(name, self.parts[name]) for name in (*changed, *removed) if name in self.parts]
        came = frozenset(name for name in changed if name not in self.parts)
        step = _Step(self.at.digest, frozenset((*changed, *removed)), came)
        self._digest = moved(self._digest, gone, changed.items())
        self.parts.update(changed)
        for name in removed:
            del self.parts[name]
        self.at = Point(self.at.lineage, version, hexed(self._digest))
        self._frames.clear()
        self._remember(step)
        return True

    def _remember(self, step: _Step) -> None:
        self._steps.append(step)
        self._names += len(step.names)
        while len(self._steps) > STEPS or self._names > STEP_NAMES:
            self._names -= len(self._steps.popleft().names)

    def frame(self, base: Point) -> bytes:
        """What leads a gateway from `base` to here: a change where its past is known, else everything."""
        start = self._start(base.digest) if base.digest else -1
        key = base.digest if start >= 0 else ""
        frame = self._frames.get(key)
        if frame is None:
            self.encodings += 1
            frame = encode(self._since(start, base) if start >= 0 else Full(self.at, self.parts))
            self._frames[key] = frame
        return frame

    def forget_frames(self) -> None:
        """They are made again when they are asked for."""
        self._frames.clear()

    def _start(self, digest: str) -> int:
        """The latest step that began there; -1 when none is remembered. The same content can recur."""
        for back, step in enumerate(reversed(self._steps), 1):
            if step.base == digest:
                return len(self._steps) - back
        return -1

    def _since(self, start: int, base: Point) -> Delta:
        there: dict[str, bool] = {}
        """Name -> whether the base had it, which the first step that touches it knows."""
        for step in islice(self._steps, start, None):
            for name in step.names:
                there.setdefault(name, name not in step.came)
        changed = {name: self.parts[name] for name in sorted(there) if name in self.parts}
        removed = tuple(name for name in sorted(there) if name not in self.parts and there[name])
        return Delta(base, self.at, changed, removed)
