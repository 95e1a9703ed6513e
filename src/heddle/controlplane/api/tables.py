"""Tables: objects as rows of cells, the way `kubectl get` asks for them.

Owns the columns of every kind, and the few cells of Kubernetes' own kinds that no path can express.
*Source:* meta.k8s.io/v1 Table; Kubernetes API concepts, "Receiving resources as Tables".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from heddle.controlplane.api.columns import Step, age, cell, compiled
from heddle.controlplane.api.parts import Object
from heddle.model.kinds import Column, Kind

API_VERSION = "meta.k8s.io/v1"
_AGE = Column(
    name="Age",
    type="date",
    path=".metadata.creationTimestamp",
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
)
_NAME = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": "Name must be unique within a namespace.",
    "priority": 0,
}

Special = Callable[[Object, float], Any]


class _Plan(NamedTuple):
    """Columns of a kind, ready to use."""

    definitions: list[dict[str, Any]]
    cells: list[tuple[Special | tuple[Step, ...], str]]


_plans: dict[int, tuple[Kind, _Plan]] = {}
"""By identity of the kind, which is kept so that the identity stays its own."""


def _plan(kind: Kind) -> _Plan:
    known = _plans.get(id(kind))
    if known is None:
        known = _plans[id(kind)] = (kind, _planned(kind))
    return known[1]


def _planned(kind: Kind) -> _Plan:
    definitions, cells = [_NAME], []
    special = _SPECIAL.get(kind.resource, {})
    for column in kind.columns or (_AGE,):
        definition = {"name": column.name, "type": column.type, "format": column.format}
        definitions.append(definition | {"description": column.description, "priority": column.priority})
        cells.append((special.get(column.name) or compiled(column.path), column.type))
    return _Plan(definitions, cells)


def table(kind: Kind, rows: list[Any], meta: Object, *, headed: bool = True) -> Object:
    """A Table. A watch heads only its first."""
    definitions = _plan(kind).definitions if headed else None
    made: Object = {"kind": "Table", "apiVersion": API_VERSION, "metadata": meta}
    return made | {"columnDefinitions": definitions, "rows": rows}


def row(kind: Kind, value: Object, now_s: float, include: str) -> Object:
    """A row; `include` is `Metadata`, `Object` or `None`."""
    cells: list[Any] = [value["metadata"].get("name", "")]
    for read, type_name in _plan(kind).cells:
        cells.append(read(value, now_s) if callable(read) else cell(read, type_name, value, now_s))
    made: Object = {"cells": cells}
    if include == "Object":
        made["object"] = value
    elif include != "None":
        made["object"] = partial(value)
    return made


def partial(value: Object) -> Object:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": API_VERSION, "metadata": value["metadata"]}


def _count(*fields: str) -> Special:
    def counted(value: Object, _now_s: float) -> int:
        return sum(len(value.get(field) or ()) for field in fields)

    return counted


def _ports(value: Object, _now_s: float) -> str:
    shown = []
    for port in (value.get("spec") or {}).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or "<none>"


def _selector(value: Object, _now_s: float) -> str:
    found = (value.get("spec") or {}).get("selector") or {}
    return ",".join(f"{key}={found[key]}" for key in sorted(found)) or "<none>"


def _last_seen(value: Object, now_s: float) -> str:
    series = value.get("series") or {}
    times = (series.get("lastObservedTime"), value.get("lastTimestamp"), value.get("eventTime"))
    found = next((one for one in times if one), None) or value["metadata"].get("creationTimestamp", "")
    return age(found, now_s)


def _about(value: Object, _now_s: float) -> str:
    about = value.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _role(value: Object, _now_s: float) -> str:
    ref = value.get("roleRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def _subjects(kind: str) -> Special:
    def named(value: Object, _now_s: float) -> str:
        found = [one for one in value.get("subjects") or () if one.get("kind") == kind]
        space = [f"{one['namespace']}/" if one.get("namespace") else "" for one in found]
        return ", ".join(prefix + one.get("name", "") for prefix, one in zip(space, found, strict=True))

    return named


_BOUND: dict[str, Special] = {
    "Role": _role,
    "Users": _subjects("User"),
    "Groups": _subjects("Group"),
    "ServiceAccounts": _subjects("ServiceAccount"),
}
_EVENT: dict[str, Special] = {"Last Seen": _last_seen, "Object": _about}
_SPECIAL: dict[str, dict[str, Special]] = {
    "secrets": {"Data": _count("data")},
    "configmaps": {"Data": _count("data", "binaryData")},
    "services": {"Ports": _ports, "Selector": _selector},
    "serviceaccounts": {"Secrets": _count("secrets")},
    "events": _EVENT,
    "rolebindings.rbac.authorization.k8s.io": _BOUND,
    "clusterrolebindings.rbac.authorization.k8s.io": _BOUND,
}
"""Resource -> name of a column -> what it shows."""
