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


class ApiWriter:
    """See `sync.Writer`."""

    def __init__(self, source: str, api: Api, own: Api, kinds: Callable[[], Kinds]) -> None:
        """`api` asks as the source, `own` as the control plane, which alone writes Source objects."""
        self._source = source
        self._api = api
        self._own = own
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
            if kind.generated or "list" not in kind.verbs:
                continue
            for one in (await self._api.list(kind)).items:
                if owner_of(one) == self._source:
                    meta = one["metadata"]
                    key = Key(kind.resource, meta.get("namespace", ""), meta["name"])
                    found.append(Owned(key, kind, meta["annotations"].get(DECLARED_IN, "")))
        return found

    async def record(self, value: Mapping[str, Any]) -> None:
        """Write the Source object and its status."""
        kind = self._kinds().of(value["apiVersion"], value["kind"])
        assert kind is not None
        head = {name: part for name, part in value.items() if name != "status"}
        await self._own.apply(kind, head, "heddle", force="true")
        await self._own.apply(kind, value, "heddle", force="true", subresource="status")
