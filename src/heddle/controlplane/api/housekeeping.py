"""What the control plane does of its own accord behind the API.

Owns the namespaces that every client expects, and the tasks that follow the store.
"""

import contextlib
from typing import Any

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.api import builtin, metadata
from heddle.controlplane.api.answer import encode
from heddle.controlplane.api.core import NAMESPACES, Core
from heddle.controlplane.api.deleting import KEPT_NAMESPACES
from heddle.drivers.documents import Author, ConflictError, Key, Write


class Housekeeping:
    """Everything that runs beside requests."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self) -> None:
        """Begin. Raises UnavailableError."""
        await make_namespaces(self._core)

    async def stop(self) -> None:
        """End."""


async def make_namespaces(core: Core) -> None:
    """Have the namespaces that are always there. Raises UnavailableError."""
    kind = core.kinds.resource(NAMESPACES)
    if kind is None:
        return
    for name in sorted(KEPT_NAMESPACES):
        if core.namespace(name) is not None:
            continue
        now_s = core.hooks.clock()
        meta: dict[str, Any] = {"name": name, "uid": metadata.new_uid()}
        meta["creationTimestamp"] = metadata.timestamp(now_s)
        value = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        builtin.complete(kind, value, None)
        author = Author(CONTROL_PLANE.name, "", "create")
        # Another control plane on the same database may be as quick.
        with contextlib.suppress(ConflictError):
            await core.store.write([Write(Key(NAMESPACES, "", name), encode(value), 0, author, now_s)])
