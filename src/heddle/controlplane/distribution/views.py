"""What one Gateway needs, how that came to be, and every change of it encoded once.

A view moves only when one of its own parts does, so that a change is news to those it concerns. Whoever is at a point
of a view's recent past is sent what changed since, whoever is not everything; a frame is made for the first who asks
and is the same bytes for the thousandth.

Owns which parts a Gateway needs: those that are for it, or for all, where it has a listener they can be met on, and the
secrets that these refer to. No other secret is ever in its view.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec

from heddle.model.parts import decode_part, kind_of_part
from heddle.model.snapshot import ListenerSpec
from heddle.wire.delta import Delta, Full, Point, encode, hexed, moved

EVERYTHING = "*"
"""Interest of a machine that runs the whole mesh."""
STEPS = 256
"""Changes that are remembered; at most ten per second are made, and a gateway that missed more is sent everything."""
STEP_NAMES = 20_000
"""Names of parts in all of them together."""
SECRET = "secret"  # noqa: S105
LISTENER = "listener"

_listener = msgspec.msgpack.Decoder(ListenerSpec)


class Part(NamedTuple):
    """A part, and what has to be known of it to find who needs it."""

    data: bytes
    gateways: frozenset[str]
    """Empty is all."""
    protocols: frozenset[str]
    """Empty is any."""
    secrets: tuple[str, ...]
    listens: str
    """Protocol, of a listener."""
    is_secret: bool

    def is_for(self, gateway: str) -> bool:
        """Whether it concerns a Gateway, as far as that depends on neither listeners nor references."""
        return not self.gateways or gateway == EVERYTHING or gateway in self.gateways


def part_of(name: str, data: bytes, gateways: Iterable[str] = (), protocols: Iterable[str] = ()) -> Part:
    """A part as the compiler made it, and whom it says it is for; nobody named is everybody. Raises PartError."""
    part, kind = decode_part(name, data), kind_of_part(name)
    listens = _listener.decode(part.body).protocol if kind == LISTENER else ""
    return Part(data, frozenset(gateways), frozenset(protocols), part.secrets, listens, kind == SECRET)


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
        self._protocols: Counter[str] = Counter()
        """Of its listeners."""
        self._references: Counter[str] = Counter()
        """Name of a secret -> how many of its parts refer to it."""
        self._digest = 0
        self._steps: deque[_Step] = deque()
        self._names = 0
        self._frames: dict[str, bytes] = {}
        """Base digest -> the frame that leads from there to here; '' is from nothing."""

    def fill(self, version: int, parts: Mapping[str, Part]) -> None:
        """Begin with all parts there are."""
        self._recount(parts)
        self._move(version, {name: part.data for name, part in parts.items() if self._needs(name, part)}, ())
        self.at = Point(self.at.lineage, version, self.at.digest)

    def follow(self, version: int, touched: Mapping[str, Part | None], parts: Mapping[str, Part]) -> bool:
        """Take over a change: name -> the part before, and all as they are now. False when it concerns only others."""
        met = set(self._protocols)
        mine = [name for name, old in touched.items() if self._concerned(old) or self._concerned(parts.get(name))]
        secrets: set[str] = set()
        for name in mine:
            secrets |= self._count(touched[name], -1) | self._count(parts.get(name), 1)
        if met != set(self._protocols):
            # Another protocol is served, or one less: any part may be needed now that was not.
            self._recount(parts)
            return self._turn(version, {*parts, *self.parts}, parts)
        return self._turn(version, {*mine, *secrets, *(name for name in touched if name in self.parts)}, parts)

    def _turn(self, version: int, names: Iterable[str], parts: Mapping[str, Part]) -> bool:
        changed: dict[str, bytes] = {}
        removed: list[str] = []
        for name in names:
            part = parts.get(name)
            if part is not None and self._needs(name, part):
                if self.parts.get(name) != part.data:
                    changed[name] = part.data
            elif name in self.parts:
                removed.append(name)
        return self._move(version, changed, removed)

    def _concerned(self, part: Part | None) -> bool:
        if part is None:
            return False
        return part.is_secret or part.is_for(self.gateway)

    def _needs(self, name: str, part: Part) -> bool:
        if part.is_secret:
            return self._references[name] > 0
        return part.is_for(self.gateway) and self._meets(part)

    def _meets(self, part: Part) -> bool:
        return not part.protocols or any(self._protocols[one] for one in part.protocols)

    def _count(self, part: Part | None, by: int) -> set[str]:
        """Count what a part brings or takes; the secrets it refers to."""
        if part is None or part.is_secret or not part.is_for(self.gateway):
            return set()
        if part.listens:
            self._protocols[part.listens] += by
            if not self._protocols[part.listens]:
                del self._protocols[part.listens]
        if not self._meets(part):
            return set()
        for secret in part.secrets:
            self._references[secret] += by
        return set(part.secrets)

    def _recount(self, parts: Mapping[str, Part]) -> None:
        mine = [part for part in parts.values() if not part.is_secret and part.is_for(self.gateway)]
        self._protocols = Counter(part.listens for part in mine if part.listens)
        self._references = Counter(secret for part in mine if self._meets(part) for secret in part.secrets)

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
