"""Kinds as the resource API serves them: names, scope, schema, columns.

A kind is data, had from one of our structs or from a CustomResourceDefinition; the API knows no kind by its name.
*Source:* apiextensions.k8s.io/v1 CustomResourceDefinition.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_VERBS = ("get", "list", "watch")


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of `kubectl get`."""

    name: str
    type: str = "string"
    """`string`, `integer`, `number`, `boolean`, `date`."""
    path: str
    """JSONPath, such as `.spec.type` or `.status.conditions[?(@.type=="Ready")].status`."""
    priority: int = 0
    """Above 0: only with `-o wide`."""
    description: str = ""
    format: str = ""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind in the one version it is served in."""

    group: str
    """Empty is the core group."""
    version: str
    kind: str
    plural: str
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    schema: dict[str, Any]
    """A structural openAPIV3Schema of the whole object, with `x-kubernetes-*` (list types, map keys, CEL rules)."""
    columns: tuple[Column, ...] = ()
    """Without Name, Namespace; Age is added where there are none."""
    has_status: bool = False
    """Has a `status` subresource."""
    builtin: bool = False
    """A kind of Kubernetes itself: strategic merge patches, protobuf bodies, PUT without resourceVersion."""
    verbs: tuple[str, ...] = ALL_VERBS
    storage: str = ""
    """Name under which its objects are stored, where two kinds share them; empty is `resource`."""
    generated: bool = False
    """Made by the control plane itself: nobody else writes it."""

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`plural.group`, or the plural alone: unique, and what is stored under."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored_as(self) -> str:
        """Where its objects are."""
        return self.storage or self.resource


class Kinds:
    """All kinds that are served. Immutable once made."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        self._by_resource: dict[str, Kind] = {}
        for one in kinds:
            self._by_path[one.group, one.version, one.plural] = one
            self._by_kind[one.api_version, one.kind] = one
            self._by_resource.setdefault(one.resource, one)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_path.values())

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served at a path."""
        return self._by_path.get((group, version, plural))

    def of(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an object."""
        return self._by_kind.get((api_version, kind))

    def resource(self, name: str) -> Kind | None:
        """The kind called `plural.group`; of several versions, the one first named, in which objects are stored."""
        return self._by_resource.get(name)

    def versions(self) -> dict[str, tuple[str, ...]]:
        """Group -> its versions, as first named; the core group is ''."""
        found: dict[str, list[str]] = {}
        for one in self:
            known = found.setdefault(one.group, [])
            if one.version not in known:
                known.append(one.version)
        return {group: tuple(versions) for group, versions in found.items()}
