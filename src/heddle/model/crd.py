"""Kinds, from our structs and from CustomResourceDefinitions, and CustomResourceDefinitions of kinds.

Owns the way from a struct's fields, marks and `SERVED` to what the resource API serves. Refuses definitions that are
none, naming the place; whether a schema in one is structural is for whoever compiles it to say.
*Source:* apiextensions.k8s.io/v1 CustomResourceDefinition; Kubernetes, "Version priority".
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect as types

from heddle.model.fielddocs import AnyStruct
from heddle.model.kinds import Column, Kind
from heddle.model.kube import Served
from heddle.model.resources_crd import CRD_VERSION, CrdSpec, CrdVersion, CustomResourceDefinition
from heddle.model.structural import structural_schema

_VERSION = re.compile(r"v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?\Z")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,20}\Z")


class CrdError(ValueError):
    """Not a CustomResourceDefinition; the message names the place."""


def kind_of(struct: AnyStruct, *, defaults: bool = True) -> Kind:
    """The kind a struct with `SERVED` describes. `defaults`: see `structural_schema`."""
    served: Served = getattr(struct, "SERVED")  # noqa: B009 - only some structs have it
    api_version, kind = identity(struct)
    group, _, version = api_version.rpartition("/")
    return Kind(
        group=group,
        version=version,
        kind=kind,
        plural=served.plural,
        singular=kind.lower(),
        list_kind=f"{kind}List",
        short_names=served.short_names,
        categories=served.categories,
        namespaced=served.namespaced,
        schema=structural_schema(struct, defaults=defaults, nullable=served.builtin),
        columns=served.columns,
        has_status=served.has_status,
        builtin=served.builtin,
        verbs=served.verbs,
        storage=served.storage,
        generated=served.generated,
    )


def identity(struct: AnyStruct) -> tuple[str, str]:
    """The apiVersion and kind that a struct's fields fix."""
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    fixed = {one.name: one.type.values[0] for one in info.fields if isinstance(one.type, types.LiteralType)}
    return str(fixed["api_version"]), str(fixed["kind"])


def kinds_of_crd(doc: Any) -> list[Kind]:
    """The kinds a CustomResourceDefinition defines, one for each version that is served, the preferred one first.
    Raises CrdError."""
    try:
        definition = msgspec.convert(doc, CustomResourceDefinition)
    except msgspec.ValidationError as exc:
        raise CrdError(f"no CustomResourceDefinition: {exc}") from exc
    spec = definition.spec
    _check_names(definition)
    served = [one for one in spec.versions if one.served]
    return [_kind(spec, one) for one in sorted(served, key=lambda one: priority(one.name))]


def _check_names(definition: CustomResourceDefinition) -> None:
    spec = definition.spec
    if definition.metadata.name != f"{spec.names.plural}.{spec.group}":
        raise CrdError(f"metadata.name: must be spec.names.plural+'.'+spec.group: {definition.metadata.name}")
    for field, text in (("spec.group", spec.group), ("spec.names.plural", spec.names.plural)):
        if not _NAME.match(text):
            raise CrdError(f"{field}: expected a lower-case DNS name, got {text[:60]!r}")
    names = [one.name for one in spec.versions]
    if len(set(names)) < len(names):
        raise CrdError("spec.versions: must contain unique version names")
    if sum(one.storage for one in spec.versions) != 1:
        raise CrdError("spec.versions: must have exactly one version marked as storage version")


def _kind(spec: CrdSpec, version: CrdVersion) -> Kind:
    names = spec.names
    return Kind(
        group=spec.group,
        version=version.name,
        kind=names.kind,
        plural=names.plural,
        singular=names.singular or names.kind.lower(),
        list_kind=names.list_kind or f"{names.kind}List",
        short_names=names.short_names,
        categories=names.categories,
        namespaced=spec.scope == "Namespaced",
        schema=version.schema.open_apiv3_schema,
        columns=tuple(
            Column(
                name=one.name,
                type=one.type,
                path=one.json_path,
                priority=one.priority,
                description=one.description,
                format=one.format,
            )
            for one in version.additional_printer_columns
        ),
        has_status="status" in version.subresources,
    )


def priority(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta2, v1beta1, v1alpha1, and then whatever else."""
    match = _VERSION.match(version)
    if match is None:
        return (3, 0, 0, version)
    stability = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stability, -int(match[1]), -int(match[3] or 0), version)


def crd_of(kind: Kind, *others: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind; `others` are further versions of it, which are served and not stored."""
    names = {
        "plural": kind.plural,
        "singular": kind.singular or kind.kind.lower(),
        "kind": kind.kind,
        "listKind": kind.list_kind or f"{kind.kind}List",
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }
    return {
        "apiVersion": CRD_VERSION,
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "names": {key: value for key, value in names.items() if value},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(one, storage=one is kind) for one in (kind, *others)],
        },
    }


def crds_of(kinds: Iterable[Kind]) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of all kinds that are not Kubernetes' own, versions of one kind together."""
    found: dict[str, list[Kind]] = {}
    for one in kinds:
        if not one.builtin:
            found.setdefault(one.resource, []).append(one)
    return [crd_of(*versions) for versions in found.values()]


def _version(kind: Kind, *, storage: bool) -> dict[str, Any]:
    columns = [_column(one) for one in kind.columns]
    made: dict[str, Any] = {"name": kind.version, "served": True, "storage": storage}
    if columns:
        made["additionalPrinterColumns"] = columns
    made["schema"] = {"openAPIV3Schema": kind.schema}
    if kind.has_status:
        made["subresources"] = {"status": {}}
    return made


def _column(column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    more = {"priority": column.priority, "description": column.description, "format": column.format}
    return made | {key: value for key, value in more.items() if value}
