"""A store that says what it was told, and refuses what a test wants refused."""

from collections.abc import Callable, Mapping
from typing import Any

from heddle.controlplane.sources.declared import DECLARED_IN
from heddle.controlplane.sources.sync import Owned
from heddle.drivers.documents import Key
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError


class FakeWriter:
    """See `sync.Writer`. `refuse` may raise for a value."""

    def __init__(self) -> None:
        self.objects: dict[Key, tuple[Kind, Mapping[str, Any]]] = {}
        self.applied: list[str] = []
        self.namespaces: list[str] = []
        """Made without being declared."""
        self.deleted: list[str] = []
        self.reasons: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.refuse: Callable[[Mapping[str, Any]], None] = lambda value: None
        self.broken: Exception | None = None

    async def apply(self, kind: Kind, value: Mapping[str, Any], why: str) -> None:
        if self.broken is not None:
            raise self.broken
        self.refuse(value)
        meta = value["metadata"]
        if kind.kind == "Namespace" and "annotations" not in meta:
            self.namespaces.append(meta["name"])
            return
        self.objects[Key(kind.resource, meta.get("namespace", ""), meta["name"])] = (kind, value)
        self.applied.append(meta["name"])
        self.reasons.append(why)

    async def delete(self, kind: Kind, key: Key, why: str) -> None:
        if key not in self.objects:
            raise ApiError(404, "NotFound", "not found")
        del self.objects[key]
        self.deleted.append(key.name)

    async def owned(self) -> list[Owned]:
        return [
            Owned(key, kind, value["metadata"]["annotations"][DECLARED_IN])
            for key, (kind, value) in self.objects.items()
        ]

    async def record(self, value: Mapping[str, Any]) -> None:
        self.records.append(dict(value))

    @property
    def names(self) -> set[str]:
        return {key.name for key in self.objects}

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.records[-1]["status"]["conditions"]
        return next(one for one in conditions if one["type"] == kind)


def config_map(name: str, value: str = "v", **meta: Any) -> str:
    lines = [f"  {field}: {text}" for field, text in meta.items()]
    return "\n".join(
        ["apiVersion: v1", "kind: ConfigMap", "metadata:", f"  name: {name}", *lines, f"data: {{v: {value}}}", ""]
    )
