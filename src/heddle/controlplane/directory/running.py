"""The directory of a control plane, as one thing to join to gateways and to run.

Owns who tells it what: gateways what they find, the roll who has left, the compiler which object a part was made of.
"""

from collections.abc import Callable, Iterable

from heddle.controlplane.directory.placing import Store
from heddle.controlplane.directory.recording import KEEP_S, Recording
from heddle.controlplane.distribution.hub import Hub
from heddle.controlplane.distribution.roll import GatewayRecord
from heddle.drivers.documents import Key


class Directory:
    """What gateways find, kept in a store."""

    def __init__(
        self,
        store: Store,
        makers: Callable[[str], Iterable[Key]],
        now: Callable[[], float],
        keep_s: float = KEEP_S,
    ) -> None:
        """See `Recording`."""
        self.recording = Recording(store, makers, now, keep_s)

    def join(self, hub: Hub) -> None:
        """Hear what its gateways find, from now on."""
        hub.on_found = self.recording.hear
        hub.roll.on_change(self._roll)

    def _roll(self, record: GatewayRecord) -> None:
        if not record.connected:
            self.recording.leave(record.name)

    async def run(self) -> None:
        """Write, until cancelled."""
        await self.recording.run()
