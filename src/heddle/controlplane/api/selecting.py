"""Which objects of a list or watch a client means.

Owns the field selectors that are served: name and namespace of everything, and a few of Events and Secrets.
*Source:* Kubernetes concepts, "Field Selectors", "Labels and Selectors".
"""

from typing import Any, NamedTuple

from heddle.controlplane.api.core import Call
from heddle.controlplane.api.parts import Object
from heddle.wire.kube.selectors import LabelSelector, parse_fields, parse_labels
from heddle.wire.kube.status import bad_request

_EVERYWHERE = {"metadata.name", "metadata.namespace"}
_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_SERVED = {
    "events": {*(f"involvedObject.{field}" for field in _ABOUT), "reason", "reportingComponent", "source", "type"},
    "secrets": {"type"},
    "namespaces": {"status.phase"},
}
_RENAMED = {"reportingController": "reportingComponent"} | {f"regarding.{f}": f"involvedObject.{f}" for f in _ABOUT}


class Selector(NamedTuple):
    """What objects must be."""

    labels: LabelSelector | None
    fields: tuple[tuple[tuple[str, ...], bool, str], ...]
    """(path, equal or not, value)."""
    name: str
    """The one object that can match; empty is any."""

    @property
    def empty(self) -> bool:
        """Everything matches."""
        return self.labels is None and not self.fields

    def matches(self, value: Object) -> bool:
        """Whether an object is meant."""
        if self.labels is not None and not self.labels.matches(value["metadata"].get("labels") or {}):
            return False
        return all((_read(value, path) == wanted) is equal for path, equal, wanted in self.fields)


def _read(value: Any, path: tuple[str, ...]) -> str:
    for field in path:
        value = value.get(field) if isinstance(value, dict) else None
    if path == ("source",) and isinstance(value, dict):
        value = value.get("component")
    return value if isinstance(value, str) else ""


def selector(call: Call) -> Selector:
    """The selectors of a request. Raises ApiError 400."""
    labels, fields = call.request.option("labelSelector"), call.request.option("fieldSelector")
    asked = [_served(call, *one) for one in parse_fields(fields)] if fields else []
    names = [value for path, equal, value in asked if path == ("metadata", "name") and equal]
    if call.target.name:
        asked.append((("metadata", "name"), True, call.target.name))
        names.append(call.target.name)
    return Selector(parse_labels(labels) if labels else None, tuple(asked), names[0] if names else "")


def _served(call: Call, path: str, operator: str, value: str) -> tuple[tuple[str, ...], bool, str]:
    path = _RENAMED.get(path, path) if call.kind.resource == "events" else path
    if path not in _EVERYWHERE and path not in _SERVED.get(call.kind.resource, ()):
        raise bad_request(f"field label not supported: {path}")
    return tuple(path.split(".")), operator != "!=", value
