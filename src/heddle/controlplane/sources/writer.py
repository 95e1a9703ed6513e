"""The resource API as sources write to it: over HTTP, like everybody else.

Owns the paths and the reading of what a source owns. A source has a credential of its own (`system:source:...`), so
that validation, ownership, rights and the audit are those of the API, wherever that is.
"""

from collections.abc import Callable, Mapping
from typing import Any

from heddle.controlplane.sources.declared import DECLARED_IN
from heddle.controlplane.sources.ownership import owner_of
from heddle.controlplane.sources.sync import Owned
from heddle.drivers.documents import Key
from heddle.drivers.kube.client import WHY, Api, path_of, spoken
from heddle.model.kinds import Kind, Kinds
from heddle.wire.kube.status import ApiError

_NEVER_DECLARED = {"events", "leases.coordination.k8s.io"}
"""Many, and nobody's to declare."""


class ApiWriter:
    """Most of `sync.Writer`: who writes Source objects says how."""

    def __init__(self, source: str, api: Api, kinds: Callable[[], Kinds]) -> None:
        """`api` asks as the source."""
        self._source = source
        self._api = api
        self._kinds = kinds

    async def apply(self, kind: Kind, value: Mapping[str, Any], why: str) -> None:
        """Server-side apply as the source, never by force."""
        await self._api.apply(kind, value, self._source, why=why)

    async def delete(self, kind: Kind, key: Key, why: str) -> None:
        """Delete an object."""
        path = path_of(kind, key.namespace, key.name)
        await self._api.send("DELETE", path, headers={WHY: spoken(why)} if why else None)

    async def owned(self) -> list[Owned]:
        """Everything that the source owns, by the annotation."""
        found: list[Owned] = []
        for kind in self._kinds():
            if kind.generated or "list" not in kind.verbs or kind.stored_as in _NEVER_DECLARED:
                continue
            for one in await self._all(kind):
                if owner_of(one) == self._source:
                    meta = one["metadata"]
                    key = Key(kind.resource, meta.get("namespace", ""), meta["name"])
                    found.append(Owned(key, kind, meta["annotations"].get(DECLARED_IN, "")))
        return found

    async def _all(self, kind: Kind) -> list[dict[str, Any]]:
        """Every object of a kind; none of one that the source may not read, and so has never written."""
        try:
            return (await self._api.list(kind)).items
        except ApiError as exc:
            if exc.code != 403:
                raise
            return []

    def close(self) -> None:
        """Close its connections."""
        self._api.close()
