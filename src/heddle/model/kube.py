"""What a field of a resource says beyond its type: how lists merge, what is written in for nothing, which rules hold.

Owns the marks; `structural` makes schemas of them, and nothing else reads them. A rule about a whole struct stands in
its `RULES`.
*Source:* apiextensions.k8s.io/v1 JSONSchemaProps; Kubernetes API conventions, "Lists of named subobjects".
"""

from typing import Any, NamedTuple

import msgspec

from heddle.model.kinds import ALL_VERBS, READ_VERBS, Column

Rule = dict[str, str]


class Served(NamedTuple):
    """How the resource API serves a kind: what its struct's `SERVED` says. Group, version and kind are those of its
    fields."""

    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    builtin: bool = False
    """A kind of Kubernetes itself."""
    generated: bool = False
    """Made by the control plane, read by everybody else."""
    storage: str = ""
    """Where its objects are, when two kinds share them."""

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done with it."""
        return READ_VERBS if self.generated else ALL_VERBS


def column(name: str, path: str, of: str = "string", **more: Any) -> Column:
    """A column of `kubectl get`, `of` values of a type."""
    return Column(name=name, path=path, type=of, **more)


def condition(name: str, **more: Any) -> Column:
    """A column with the status of a condition."""
    return Column(name=name, path=f'.status.conditions[?(@.type=="{name}")].status', **more)


AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")


def rule(expression: str, message: str, **more: str) -> Rule:
    """A CEL expression that must be true of `self`, and what is said where it is not. `more` is `reason`,
    `fieldPath`."""
    return {"message": message, "rule": expression, **more}


def rules(*given: Rule) -> msgspec.Meta:
    """Rules about a field; those of a struct stand in its `RULES`."""
    return _said(**{"x-kubernetes-validations": list(given)})


def by(*keys: str) -> msgspec.Meta:
    """A list whose items are told apart by fields, so that several people can each own some."""
    return _said(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


def default(value: Any) -> msgspec.Meta:
    """What is written into objects that do not have the field."""
    return _said(default=value)


def form(name: str) -> msgspec.Meta:
    """A format: `int32`, `int64`, `date-time`, `byte`."""
    return _said(format=name)


def merged(key: str) -> msgspec.Meta:
    """A list that a strategic merge patch merges by a field of its items; an empty key merges plain values."""
    said = {"x-kubernetes-patch-strategy": "merge"}
    return _said(**said, **({"x-kubernetes-patch-merge-key": key} if key else {}))


def shaped(struct: type[msgspec.Struct]) -> msgspec.Meta:
    """A mapping that is read freely, and whose schema is that of a struct."""
    return msgspec.Meta(extra={"shape": struct})


def most(entries: int) -> msgspec.Meta:
    """Most entries of a mapping."""
    return _said(maxProperties=entries)


def said(**keywords: Any) -> msgspec.Meta:
    """Keywords of the schema as they are; None takes away what the type says."""
    return _said(**keywords)


def _said(**keywords: Any) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema=keywords)


ATOMIC = _said(**{"x-kubernetes-list-type": "atomic"})
"""A list that is replaced as a whole."""
SET = _said(**{"x-kubernetes-list-type": "set"})
"""A list of distinct values."""
MAP_ATOMIC = _said(**{"x-kubernetes-map-type": "atomic"})
"""A section that is replaced as a whole."""
OPEN = _said(**{"x-kubernetes-preserve-unknown-fields": True})
"""Fields that are not listed are kept."""
EMBEDDED = _said(**{"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True})
"""Holds a whole object."""
