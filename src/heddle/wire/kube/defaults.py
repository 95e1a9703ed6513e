"""Filling in what a schema gives, and taking out what it does not know.

Owns defaulting, the dropping of nulls that mean nothing, and pruning with the list of what was pruned. Both change the
value in place: it must not be one that is stored. What a schema leaves open stays as it is.
*Source:* apiextensions.k8s.io/v1 "Defaulting", "Defaulting and nullable", "Pruning versus preserving unknown fields".
"""

from typing import Any

from heddle.wire.kube.structure import Structure
from heddle.wire.kube.values import ABSENT, copied

MAX_UNKNOWN = 64
"""Unknown fields that are named; more of them are pruned all the same."""


def default(value: Any, structure: Structure) -> None:
    """Fill in defaults, in place; a null that the schema does not allow is its default, or is taken out."""
    if type(value) is dict:
        _default_map(value, structure)
    elif type(value) is list and structure.items is not None and structure.items.defaulting:
        for item in value:
            default(item, structure.items)


def _default_map(value: dict[str, Any], structure: Structure) -> None:
    for name, below in structure.properties.items():
        found = value.get(name, ABSENT)
        if found is ABSENT or (found is None and not below.nullable):
            if below.default is not ABSENT:
                found = value[name] = copied(below.default)
            elif found is None:
                del value[name]
                continue
        if below.defaulting and found is not ABSENT:
            default(found, below)
    additional = structure.additional
    if additional is not None and not additional.deduced:
        _default_entries(value, structure, additional)


def _default_entries(value: dict[str, Any], structure: Structure, additional: Structure) -> None:
    for name in [name for name in value if name not in structure.properties]:
        found = value[name]
        if found is None and not additional.nullable:
            if additional.default is ABSENT:
                del value[name]
                continue
            found = value[name] = copied(additional.default)
        if additional.defaulting:
            default(found, additional)


def drop_empty_metadata(value: dict[str, Any]) -> None:
    """Take empty labels, annotations, finalizers and owners out of the metadata, in place, as objects are stored.

    After their owners are reckoned: an applier keeps the labels that it emptied.
    """
    metadata = value.get("metadata")
    if type(metadata) is dict:
        for name in _DROPPED:
            if name in metadata and not metadata[name]:
                del metadata[name]


_DROPPED = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")


def prune(value: Any, structure: Structure) -> list[str]:
    """Take out, in place, what the schema does not know; the paths of it, such as `spec.tools[0].y`, in order."""
    removed: list[str] = []
    _prune(value, structure, "", removed)
    return sorted(removed)


def _prune(value: Any, structure: Structure, path: str, removed: list[str]) -> None:
    if type(value) is dict:
        _prune_map(value, structure, path, removed)
    elif type(value) is list and structure.items is not None and not structure.items.deduced:
        for index, item in enumerate(value):
            if type(item) in {dict, list}:
                _prune(item, structure.items, f"{path}[{index}]", removed)


def _prune_map(value: dict[str, Any], structure: Structure, path: str, removed: list[str]) -> None:
    properties, additional = structure.properties, structure.additional
    unknown = []
    for name, item in value.items():
        below = properties.get(name) or additional
        if below is None:
            unknown.append(name)
        elif type(item) in {dict, list} and not below.deduced:
            _prune(item, below, f"{path}.{name}" if path else name, removed)
    for name in unknown:
        del value[name]
        if len(removed) < MAX_UNKNOWN:
            removed.append(f"{path}.{name}" if path else name)
