"""All parts there are, and a view of them for each Gateway that somebody follows.

Owns what was published last, and how long a view outlives its last follower. Refuses nothing: what is published was
compiled here.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from heddle.controlplane.distribution.views import Part, View
from heddle.wire.delta import Interest

KEPT_S = 600.0
"""How long a view lives without a follower: a gateway that was cut off is sent what changed, not everything."""


class Settled(NamedTuple):
    """What came of compiling; of the first time it is everything."""

    version: int
    """Of the store when it was compiled; never less than before."""
    changed: Mapping[str, Part | None]
    """By name; None for one that is gone."""


class Source(Protocol):
    """Where states come from: the compiler over the store."""

    @property
    def lineage(self) -> str:
        """Which store it is."""
        ...

    async def settle(self) -> Settled | None:
        """Compile what changed since the last time; None when nothing that gateways run has."""
        ...


class States:
    """All parts, and the views."""

    def __init__(self, lineage: str) -> None:
        self.lineage = lineage
        self.version = 0
        """Of the store, of what was published last."""
        self.published = False
        """There is something to send, were it that there is nothing."""
        self._parts: dict[str, Part] = {}
        self._views: dict[str, View] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def view(self, interest: Interest) -> View:
        """What a Gateway needs."""
        view = self._views.get(interest.gateway)
        if view is None:
            view = self._views[interest.gateway] = View(self.lineage, interest.gateway)
            view.fill(self.version, self._parts)
        return view

    def publish(self, settled: Settled) -> list[View]:
        """Take over a change; the views that it moved."""
        self.version = max(self.version, settled.version)
        self.published = True
        for name, part in settled.changed.items():
            if part is None:
                self._parts.pop(name, None)
            else:
                self._parts[name] = part
        return [view for view in self._views.values() if view.follow(self.version, settled.changed)]

    def sweep(self, followed: Collection[int], now_s: float) -> None:
        """Drop the views that nobody has followed for long; `followed` are the ids of those that somebody does."""
        for gateway, view in list(self._views.items()):
            if id(view) in followed:
                view.unused_s = None
            elif view.unused_s is None:
                view.unused_s = now_s
            elif now_s - view.unused_s > KEPT_S:
                del self._views[gateway]

    def forget_frames(self) -> None:
        """Nobody is expected to ask for any soon; a state of a large mesh is megabytes."""
        for view in self._views.values():
            view.forget_frames()
