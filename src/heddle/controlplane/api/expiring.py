"""Events are forgotten: an hour after they last happened, and the oldest when there are too many.

*Source:* kube-apiserver `--event-ttl`, whose default this is.
"""

from datetime import datetime

from heddle.controlplane.api.core import Core
from heddle.controlplane.api.parts import Object, Stored
from heddle.drivers.documents import Author, ConflictError, Write

TTL_S = 3600.0
MAX_EVENTS = 20_000
"""Of all namespaces together: whoever may write Events must not fill the store with them."""
_AT_ONCE = 200
_TIMES = ("lastTimestamp", "eventTime", "firstTimestamp")


async def forget(core: Core) -> int:
    """Delete Events that are over; how many. Raises UnavailableError."""
    now_s = core.hooks.clock()
    found = sorted(((last_seen(one.object), one) for one in core.store.list("events", None)), key=lambda pair: pair[0])
    over = [one for seen, one in found if now_s - seen > TTL_S]
    beyond = max(len(found) - MAX_EVENTS, len(over))
    doomed = [one for _, one in found[:beyond]]
    for start in range(0, len(doomed), _AT_ONCE):
        await _delete(core, doomed[start : start + _AT_ONCE], now_s)
    return len(doomed)


async def _delete(core: Core, doomed: list[Stored], now_s: float) -> None:
    author = Author("system:control-plane", "event-ttl", "delete")
    try:
        await core.store.write([Write(one.key, None, one.version, author, now_s) for one in doomed])
    except ConflictError:
        # One of them happened again meanwhile; the others go with the next round.
        return


def last_seen(value: Object) -> float:
    """When an Event was last told, in Unix time; 0 where it does not say."""
    series = value.get("series") or {}
    told = [series.get("lastObservedTime"), *(value.get(field) for field in _TIMES)]
    told.append(value["metadata"].get("creationTimestamp"))
    return max((_seconds(one) for one in told if isinstance(one, str)), default=0.0)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
