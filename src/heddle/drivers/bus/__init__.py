"""What workers say to each other while it matters: short-lived messages by topic, to everybody or to one.

Owns the promises. A message comes to each subscriber at most once, whole, and those of one speaker in the order in
which they were said; it may not come at all (its reader was busy for too long, died, or was not there yet). Who needs
more keeps the truth in `kv` and says here only that it changed. Nothing waits for a listener, and nothing raises:
queues are bounded, what does not fit is given up, counted and logged.

Handlers run in the loop's thread, never within the call that says something; one that fails is logged and nobody else
notices. A bus is made and used within a running loop.
"""

from collections.abc import Callable
from typing import Protocol

MIB = 1024 * 1024
MAX_PAYLOAD_BYTES = 64 * MIB
MAX_TOPIC_BYTES = 255

Handler = Callable[[bytes], None]


class Bus(Protocol):
    """The bus as one process sees it."""

    @property
    def address(self) -> str:
        """What others `send` to: `<machine>.<process>`, safe in file names and URLs, of this incarnation alone."""
        ...

    @property
    def dropped(self) -> int:
        """How many messages this process has given up since it began."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Say it to every subscriber of `topic` in all processes, this one too. Payloads have at most 64 MiB."""
        ...

    def send(self, address: str, topic: str, payload: bytes) -> bool:
        """Say it to the subscribers in one process. False when that is known to be gone, or cannot be reached."""
        ...

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """Hear what is said about `topic` from now on, until the function that is returned is called.

        Raises ValueError for a topic without characters, or with more than 255 bytes.
        """
        ...
