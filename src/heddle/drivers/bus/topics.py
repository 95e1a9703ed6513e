"""Who in this process wants to hear of what, and how it gets there."""

import asyncio
import logging
from collections.abc import Callable

from heddle.drivers.bus import MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, Handler
from heddle.drivers.bus.backlog import Backlog, Losses

_log = logging.getLogger("heddle.bus")


class Topics:
    """The subscribers of one process."""

    __slots__ = ("_draining", "_handlers", "_losses", "_waiting")

    def __init__(self, losses: Losses) -> None:
        self._handlers: dict[str, dict[object, Handler]] = {}
        self._losses = losses
        self._waiting: Backlog[tuple[str, bytes]] = Backlog(losses, "this process")
        self._draining = False

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """See `Bus`."""
        if not 0 < len(topic.encode()) <= MAX_TOPIC_BYTES:
            raise ValueError(f"a topic has 1 to {MAX_TOPIC_BYTES} bytes")
        token = object()
        self._handlers.setdefault(topic, {})[token] = handler

        def unsubscribe() -> None:
            handlers = self._handlers.get(topic, {})
            handlers.pop(token, None)
            if not handlers:
                self._handlers.pop(topic, None)

        return unsubscribe

    def fits(self, topic: str, payload: bytes) -> bool:
        """Whether it is a message; what is none is counted as given up."""
        if 0 < len(topic.encode()) <= MAX_TOPIC_BYTES and len(payload) <= MAX_PAYLOAD_BYTES:
            return True
        self._losses.add(f"one about {topic[:40]!r} has {len(payload)} bytes")
        return False

    def post(self, topic: str, payload: bytes) -> None:
        """Have the subscribers hear it in the loop's next turn: who speaks is not finished with its own state."""
        if topic in self._handlers and self._waiting.add((topic, payload), len(payload)) and not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        for _ in range(len(self._waiting)):
            self.deliver(*self._waiting.take())
        self._draining = bool(self._waiting)
        if self._draining:
            # What handlers said meanwhile: in a turn of its own, so that two that answer each other stop nobody.
            asyncio.get_running_loop().call_soon(self._drain)

    def deliver(self, topic: str, payload: bytes) -> None:
        """Have the subscribers hear it now."""
        handlers = self._handlers.get(topic)
        if handlers is None:
            return
        for token, handler in tuple(handlers.items()):
            if token not in handlers:
                # Another handler of this very message has unsubscribed it.
                continue
            try:
                handler(payload)
            except Exception:
                _log.exception("a subscriber of %s failed", topic)
