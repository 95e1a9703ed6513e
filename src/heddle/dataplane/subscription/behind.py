"""Control planes that know an older state than runs here: one of several replicas that lags, or a backup.

Owns the difference. A backup was restored once every replica has said so for a minute and none of them, asked in turn,
knew what runs here; a replica that lags, or is cut off from its database, is one whose word alone counts for nothing.
"""

import logging
import time

_log = logging.getLogger("heddle.subscription")

BEHIND_S = 60.0
"""How long all must be behind us before their state is taken for what is meant."""


class Behind:
    """What was said about it, by each place in turn."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._since_s: dict[int, float] = {}

    def said(self, turn: int, *, behind: bool) -> None:
        """The control plane whose turn it was has said whether it is behind us."""
        if not behind:
            self.over()
            return
        self._since_s.setdefault(turn % self._places, time.monotonic())
        if self.insisted:
            _log.warning("the control plane has been behind this gateway for a minute; its older state will be taken")

    def over(self) -> None:
        """Somebody knows what runs here, or we run what they know."""
        self._since_s.clear()

    @property
    def insisted(self) -> bool:
        """Their older state is what is meant."""
        return len(self._since_s) == self._places and time.monotonic() - max(self._since_s.values()) > BEHIND_S
