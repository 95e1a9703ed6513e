"""What kubectl applied on its side of the wire, before an object was applied here.

Owns the annotation in which kubectl keeps it: what it says of fields that stand as kubectl left them is no conflict for
kubectl, and it is kept up to date for those who still apply on their side. Only the field manager `kubectl` has this.
*Source:* Kubernetes "Server-Side Apply", upgrading from client-side apply; apimachinery pkg/util/managedfields.
"""

from typing import Any

import msgspec

from heddle.wire.kube.fieldsets import Fields, difference
from heddle.wire.kube.structure import Structure
from heddle.wire.kube.typed import UnkeyedError, compare, fields_of
from heddle.wire.kube.values import encoded

KUBECTL = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MAX_BYTES = 256 * 1024
"""Of all annotations of an object, as Kubernetes bounds them."""


def kept_as_applied(live: dict[str, Any], structure: Structure) -> Fields:
    """The fields of an object that are as kubectl applied them last; none where it did not."""
    text = _annotations(live).get(ANNOTATION)
    if type(text) is not str or len(text) > MAX_BYTES:
        return {}
    try:
        applied = msgspec.json.decode(text)
        if type(applied) is not dict:
            return {}
        changed, _ = compare(live, applied, structure)
        return difference(fields_of(applied, structure), changed)
    except (msgspec.DecodeError, UnkeyedError, RecursionError, UnicodeError):
        return {}


def keep_applied(result: dict[str, Any], config: dict[str, Any]) -> None:
    """Write what was applied now into the annotation, in place, where there is one."""
    annotations = _annotations(result)
    if ANNOTATION not in annotations:
        return
    metadata = dict(config["metadata"]) if type(config.get("metadata")) is dict else {}
    if type(metadata.get("annotations")) is dict:
        metadata["annotations"] = {name: one for name, one in metadata["annotations"].items() if name != ANNOTATION}
    metadata.pop("managedFields", None)
    text = encoded({**config, "metadata": metadata}).decode() + "\n"
    others = sum(len(name) + len(str(one)) for name, one in annotations.items() if name != ANNOTATION)
    if others + len(text) + len(ANNOTATION) <= MAX_BYTES:
        annotations[ANNOTATION] = text
    else:
        del annotations[ANNOTATION]


def _annotations(value: dict[str, Any]) -> dict[str, Any]:
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if type(metadata) is dict else None
    return annotations if type(annotations) is dict else {}
