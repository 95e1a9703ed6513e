"""Which targets are left alone for a while, and how many further attempts calls may make.

Owns two small memories of one worker. A target cools down after so many failures in a row, or at once when the
provider says that it is over its limits; a success ends its row. When the time is over, one call tries it before the
others follow. Further attempts come out of a budget that calls pay into, so that when everything fails the load on
what is left grows by a fixed share, not by the number of targets.

*Source:* Envoy's outlier detection and Finagle's RetryBudget, for the ideas.
"""

MAX_COOLDOWN_S = 600.0
"""Longest time a provider's `retry-after` keeps a target away."""
MAX_TARGETS = 16_384
"""Targets remembered; names under a pattern are the callers' choice, so there must be a bound."""
RESERVE = 5.0
"""Attempts that a worker may make ahead of what calls have paid for: quiet gateways fail over too."""


class _State:
    """What is known of one target."""

    __slots__ = ("failures", "probing_s", "until_s")

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self.until_s = 0.0
        """Monotonic time until which it is left alone."""
        self.probing_s = 0.0
        """Monotonic time until which a first call after that may take; others keep away meanwhile."""


class Health:
    """Cooldowns by target. Times are monotonic, in seconds."""

    __slots__ = ("_states",)

    PROBE_S = 5.0
    """How long the others wait for the call that tries a target anew."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _State] = {}

    def cooling(self, key: tuple[str, str], now_s: float) -> bool:
        """Whether a target is to be left alone. The first to ask after its time may try it."""
        state = self._states.get(key)
        if state is None or not state.until_s:
            return False
        if now_s < state.until_s or now_s < state.probing_s:
            return True
        state.probing_s = now_s + self.PROBE_S
        return False

    def resting(self, key: tuple[str, str], now_s: float) -> bool:
        """Whether its time is not over; asking changes nothing."""
        state = self._states.get(key)
        return state is not None and now_s < state.until_s

    def failed(self, key: tuple[str, str], now_s: float, after: int, cooldown_s: float) -> None:
        """One more failure; the `after`th in a row, and each later one, cools the target down."""
        state = self._state(key)
        state.failures += 1
        if cooldown_s and state.failures >= after:
            self._cool(state, now_s + cooldown_s)

    def refused(self, key: tuple[str, str], now_s: float, for_s: float) -> None:
        """The provider said that it will not answer; it is left alone for `for_s` seconds, MAX_COOLDOWN_S at most."""
        if for_s > 0:
            self._cool(self._state(key), now_s + min(for_s, MAX_COOLDOWN_S))

    def succeeded(self, key: tuple[str, str]) -> None:
        """It answered: its row of failures is over."""
        self._states.pop(key, None)

    def _cool(self, state: _State, until_s: float) -> None:
        state.until_s = max(state.until_s, until_s)
        state.probing_s = 0.0

    def _state(self, key: tuple[str, str]) -> _State:
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= MAX_TARGETS:
                del self._states[next(iter(self._states))]
            state = self._states[key] = _State()
        return state


class RetryBudget:
    """Further attempts that may be made; `share` of one is paid in by each call."""

    __slots__ = ("_left", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = RESERVE if share else 0.0

    def deposit(self) -> None:
        """A call began."""
        self._left = min(self._left + self._share, max(RESERVE, 100 * self._share))

    def withdraw(self) -> bool:
        """Whether a further attempt may be made now; it is then counted."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
