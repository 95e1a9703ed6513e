"""The leases of one replica.

Owns their names: one for what the control plane does of its own accord, one for each source, so that replicas with
different sources follow each of them once.
"""

from heddle.controlplane.replicas.leading import Alone, Lead, Leading, Store

HOUSE = "heddle-control-plane"


class Leases:
    """All leases that this replica tries to have."""

    def __init__(self, store: Store, holder: str, *, shared: bool) -> None:
        """`holder` names this replica. Where the store is not `shared`, it leads everywhere."""
        self._store, self._holder, self._shared = store, holder, shared
        self._leading: dict[str, Leading] = {}

    @property
    def is_alone(self) -> bool:
        """There are no other replicas."""
        return not self._shared

    @property
    def house(self) -> Lead:
        """For what a control plane does of its own accord."""
        return self.of(HOUSE)

    def of(self, name: str) -> Lead:
        """The lease of this name, which this replica tries to have from now on."""
        if not self._shared:
            return Alone()
        if name not in self._leading:
            made = self._leading[name] = Leading(self._store, name, self._holder)
            made.start()
        return self._leading[name]

    async def stop(self) -> None:
        """Let go of all of them."""
        for one in self._leading.values():
            await one.stop()
