"""Objects in short, and a compiler over them."""

from typing import Any

import yaml

from heddle.controlplane.compiling import Compiler, Surroundings
from heddle.controlplane.compiling.objects import BY_KIND
from heddle.drivers.documents import Key
from heddle.model.assembly import assemble
from heddle.model.prices import PriceTable
from heddle.model.snapshot import Snapshot

NOW_S = 1_800_000_000.0
NOW = "2027-01-15T08:00:00Z"
AROUND = Surroundings({"KEY": "from-the-environment"}, "/etc/mesh", lambda *_: PriceTable(), lambda: NOW_S, "default")
GROUPS = {"Agent": "kagent.dev", "ModelConfig": "kagent.dev", "RemoteMCPServer": "kagent.dev", "Secret": ""}
GROUPS |= {"Gateway": "gateway.networking.k8s.io", "HTTPRoute": "gateway.networking.k8s.io", "ConfigMap": ""}
GROUPS |= {"ReferenceGrant": "gateway.networking.k8s.io", "Namespace": "", "Service": "", "MCPServer": "kagent.dev"}


def key(path: str) -> Key:
    """`Kind/namespace/name`, or `Kind/name` in the root namespace."""
    kind, *where = path.split("/")
    namespace = where[0] if len(where) == 2 else "default"
    return Key(BY_KIND[GROUPS.get(kind, "heddle.dev"), kind], namespace, where[-1])


def raw(path: str, body: str = "", *, generation: int = 1, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    """An object as the store has it; `body` is YAML of what stands beside its metadata, or of its spec alone."""
    found = yaml.safe_load(body) if body else {}
    held = found if any(field in found for field in ("spec", "data", "stringData")) else {"spec": found}
    one = key(path)
    meta = {"name": one.name, "namespace": one.namespace, "generation": generation, "creationTimestamp": created}
    return {"apiVersion": "x/v1", "kind": path.partition("/")[0], "metadata": meta, **held}


class Mesh:
    """A compiler, and what it said so far."""

    def __init__(self, around: Surroundings = AROUND) -> None:
        self.compiler = Compiler(around)
        self.statuses: dict[Key, dict[str, Any]] = {}

    def put(self, path: str, body: str = "", **more: Any) -> "Mesh":
        self.compiler.change(key(path), raw(path, body, **more))
        return self

    def delete(self, path: str) -> "Mesh":
        self.compiler.change(key(path), None)
        return self

    def settle(self) -> tuple[set[str], set[str]]:
        """Names of parts that changed, and of those that are gone."""
        delta = self.compiler.settle()
        self.statuses.update(self.compiler.conditions(NOW_S))
        return set(delta.changed), set(delta.removed)

    def condition(self, path: str, kind: str = "Accepted") -> tuple[str, str]:
        """Status and reason."""
        self.settle()
        found = {one["type"]: one for one in self.statuses[key(path)]["conditions"]}[kind]
        return found["status"], found["reason"]

    def message(self, path: str, kind: str = "Accepted") -> str:
        self.settle()
        return str({one["type"]: one for one in self.statuses[key(path)]["conditions"]}[kind]["message"])

    def snapshot(self) -> Snapshot:
        self.settle()
        return assemble({name: part.body for name, part in self.compiler.full().items()}, "v")


CALLERS = "authentication: {type: api_key, keys: [{key: '${KEY}', user: ada, tenant: team}]}"
GATEWAY = "{gatewayClassName: heddle, listeners: [{name: http, port: 8080, protocol: HTTP}]}"
