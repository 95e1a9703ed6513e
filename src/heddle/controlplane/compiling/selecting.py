"""Which namespaces something is open to: its own, all, or those with labels.

*Source:* Gateway API v1, FromNamespaces; kagent v1alpha2, AllowedNamespaces; Kubernetes LabelSelector.
"""

from typing import Any

from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import items, mapping, text
from heddle.drivers.documents import Key


def open_to(lookup: Lookup, allowed: dict[str, Any], owner: str, namespace: str) -> bool:
    """Whether what stands in `owner` and says `allowed` is open to a namespace. Said nothing, it is to its own."""
    mode = text(allowed.get("from")) or "Same"
    if namespace == owner or mode == "All":
        return mode in ("All", "Same", "Selector") and (mode != "Selector" or _selected(lookup, allowed, namespace))
    return mode == "Selector" and _selected(lookup, allowed, namespace)


def _selected(lookup: Lookup, allowed: dict[str, Any], namespace: str) -> bool:
    selector = mapping(allowed.get("selector"))
    seen = lookup.object(Key("namespaces", "", namespace))
    labels = mapping(mapping(seen.raw.get("metadata")).get("labels")) if seen is not None else {}
    # Kubernetes gives every namespace this label, and lets none say another's name.
    labels = {**labels, "kubernetes.io/metadata.name": namespace}
    wanted = mapping(selector.get("matchLabels"))
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(mapping(one), labels) for one in items(selector.get("matchExpressions")))


def _holds(expression: dict[str, Any], labels: dict[str, Any]) -> bool:
    name, operator, values = text(expression.get("key")), expression.get("operator"), items(expression.get("values"))
    if operator == "Exists":
        return name in labels
    if operator == "DoesNotExist":
        return name not in labels
    if operator == "In":
        return labels.get(name) in values
    return operator == "NotIn" and labels.get(name) not in values
