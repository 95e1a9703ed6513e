"""The bus of a process that is alone: for tests, and where nothing else speaks.

Owns the form of addresses, which every driver shares: `<machine>.<pid>-<random>`.
"""

import os
import re
from collections.abc import Callable

from heddle.drivers.bus import Handler
from heddle.drivers.bus.backlog import Losses
from heddle.drivers.bus.topics import Topics

MACHINE_BYTES = 6
ADDRESS = re.compile(r"([0-9a-f]{12})\.([0-9]{1,10}-[0-9a-f]{12})", re.ASCII)
"""Machine and process. Addresses come back from outside, and a process names a file."""


def new_process() -> str:
    """A name that no process had before, this one before it forked included."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"


class MemoryBus:
    """A `Bus` without others."""

    __slots__ = ("address", "losses", "topics")

    def __init__(self) -> None:
        self.address = f"{os.urandom(MACHINE_BYTES).hex()}.{new_process()}"
        self.losses = Losses()
        self.topics = Topics(self.losses)

    @property
    def dropped(self) -> int:
        """See `Bus`."""
        return self.losses.count

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus`."""
        if self.topics.fits(topic, payload):
            self.topics.post(topic, payload)

    def send(self, address: str, topic: str, payload: bytes) -> bool:
        """See `Bus`."""
        if address != self.address:
            return False
        self.publish(topic, payload)
        return True

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """See `Bus`."""
        return self.topics.subscribe(topic, handler)
