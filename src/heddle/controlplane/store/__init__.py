"""The resources as the control plane holds them: all in memory, each write on the disk first, each change told once.

Owns the cache, the sealing of Secrets and the watches, over a driver of `heddle.drivers.documents`. Serves nobody
itself and knows no kinds: what an object must look like and who may write it is the API's.
"""

from heddle.controlplane.store.sealing import KeyedSeal, Seal, seal_of
from heddle.controlplane.store.store import Store
from heddle.controlplane.store.stored import Event, EventKind, Stored
from heddle.controlplane.store.watching import Watch

__all__ = ["Event", "EventKind", "KeyedSeal", "Seal", "Store", "Stored", "Watch", "seal_of"]
