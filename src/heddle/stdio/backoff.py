"""When a server that keeps ending may be started again."""

import time
from collections import OrderedDict
from collections.abc import Callable

PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""After the first end, the second, and so on; the last one holds."""
SETTLED_S = 60.0
"""A server that lived so long begins anew."""
MAX_KEYS = 1_024

_NONE = (0, 0.0, "")


class Backoff:
    """Apart for each caller of a target: one who makes a server crash does not keep it from others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float, str]] = OrderedDict()

    def failed(self, key: str, lived_s: float, why: str) -> None:
        """It ended by itself after so long, or could not be started."""
        failures = 1 if lived_s >= SETTLED_S else self._failed.get(key, _NONE)[0] + 1
        pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1]
        self._failed[key] = (failures, self._clock() + pause_s, why)
        self._failed.move_to_end(key)
        if len(self._failed) > MAX_KEYS:
            self._failed.popitem(last=False)

    def wait_s(self, key: str) -> float:
        """Seconds until it may be started."""
        return max(0.0, self._failed.get(key, _NONE)[1] - self._clock())

    def why(self, key: str) -> str:
        """What was said of its last end; empty when it has not ended."""
        return self._failed.get(key, _NONE)[2]
