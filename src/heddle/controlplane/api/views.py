"""Kinds that share their objects: Events of the core group and of `events.k8s.io`, and one kind in two versions.

Owns the translation between the form that is kept and the others. Versions of one kind have the same fields; anything
else of which a kind would need more is not served.
*Source:* Kubernetes API reference: core/v1 Event, events.k8s.io/v1 Event.
"""

from heddle.controlplane.api.core import Core
from heddle.controlplane.api.parts import Object
from heddle.model.kinds import Kind

_RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
"""Field of events.k8s.io/v1 -> field of core/v1."""
_BACK = {old: new for new, old in _RENAMED.items()}


def to_stored(core: Core, kind: Kind, value: Object) -> Object:
    """An object of a served kind as it is kept; the argument may be changed."""
    kept = core.stored_kind(kind)
    return value if kept is kind else _renamed(value, _RENAMED if kind.storage else {}, kept)


def to_served(core: Core, kind: Kind, value: Object) -> Object:
    """A kept object as a kind serves it."""
    return value if core.stored_kind(kind) is kind else _renamed(value, _BACK if kind.storage else {}, kind)


def _renamed(value: Object, names: dict[str, str], kind: Kind) -> Object:
    made = {names.get(field, field): below for field, below in value.items()}
    return made | {"apiVersion": kind.api_version, "kind": kind.kind}
