"""What a target asked for beyond what it was given, and how often that may go on.

Owns the union of scopes: stepping up for one call must not lose what another one needs. It refuses to go in circles: a
target that is never content is asked only so often.

*Source:* MCP 2026-07-28, "Step-Up Authorization Flow"; RFC 6750 section 3.1 (`insufficient_scope`).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

MAX_OWNERS = 8_192
MAX_SCOPES = 100
STEPS = 3
"""Most step-ups of a caller in `WINDOW_S`."""
WINDOW_S = 600.0
RENEWAL_S = 30.0
"""Least time between two renewals because a target did not take a token."""


class _Known:
    __slots__ = ("renewed_at_s", "scopes", "steps")

    def __init__(self) -> None:
        self.scopes: tuple[str, ...] = ()
        self.steps: list[float] = []
        self.renewed_at_s = float("-inf")


class Steps:
    """Of the callers of one target; those who were not heard of for longest are forgotten."""

    __slots__ = ("_known", "_monotonic")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def scopes(self, owner: str) -> tuple[str, ...]:
        """What was asked of this caller so far."""
        known = self._known.get(owner)
        return known.scopes if known is not None else ()

    def step(self, owner: str, held: Iterable[str], challenged: tuple[str, ...]) -> bool:
        """Add what a target asks for to what the caller holds; False when that is nothing new, or happens too often."""
        known, now = self._of(owner), self._monotonic()
        wanted = union(held, known.scopes, challenged)
        recent = [at for at in known.steps if now - at < WINDOW_S]
        if set(challenged) <= set(held) or len(recent) >= STEPS or len(wanted) > MAX_SCOPES:
            return False
        known.scopes, known.steps = wanted, [*recent, now]
        return True

    def renewal(self, owner: str) -> bool:
        """Whether a token that was not taken may be renewed now."""
        known, now = self._of(owner), self._monotonic()
        if now - known.renewed_at_s < RENEWAL_S:
            return False
        known.renewed_at_s = now
        return True

    def _of(self, owner: str) -> _Known:
        known = self._known.setdefault(owner, _Known())
        self._known.move_to_end(owner)
        if len(self._known) > MAX_OWNERS:
            self._known.popitem(last=False)
        return known


def union(*scopes: Iterable[str]) -> tuple[str, ...]:
    """All scopes, each once, in the order they came."""
    return tuple(dict.fromkeys(one for some in scopes for one in some))
