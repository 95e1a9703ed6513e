"""apiextensions.k8s.io/v1: CustomResourceDefinition, as far as clients read it and kinds are made of it.

The control plane serves its own kinds so, read-only: operators and Helm look here for what there is.
*Source:* Kubernetes apiextensions.k8s.io/v1.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import OPEN, Served, column
from heddle.model.meta import Resource

CRD_VERSION: Literal["apiextensions.k8s.io/v1"] = "apiextensions.k8s.io/v1"


class PrinterColumn(Part, frozen=True, kw_only=True):
    """A column of `kubectl get`."""

    name: str
    """Its heading."""
    type: str = "string"
    """Type of its values."""
    json_path: str = msgspec.field(name="jsonPath")
    """Where its values are."""
    description: str = ""
    """For people."""
    format: str = ""
    """Format of its values."""
    priority: int = 0
    """Above 0: only in the wide form."""


class VersionSchema(Part, frozen=True, kw_only=True):
    """The schema of a version."""

    open_apiv3_schema: Annotated[dict[str, Any], OPEN] = msgspec.field(name="openAPIV3Schema")
    """A structural schema."""


class CrdVersion(Part, frozen=True, kw_only=True):
    """One version of a kind."""

    name: str
    """Its name, such as `v1alpha2`."""
    served: bool
    """Is there to be used."""
    storage: bool
    """Is what objects are kept in."""
    deprecated: bool = False
    """Should no longer be used."""
    deprecation_warning: str = ""
    """What its users are told."""
    schema: VersionSchema
    """Its schema."""
    subresources: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """`status` and `scale`, where it has them."""
    additional_printer_columns: tuple[PrinterColumn, ...] = ()
    """Columns besides the name."""


class CrdNames(Part, frozen=True, kw_only=True):
    """What a kind is called."""

    plural: str
    """Name in paths."""
    singular: str = ""
    """Name of one."""
    kind: str
    """Its kind."""
    list_kind: str = ""
    """Kind of its lists."""
    short_names: tuple[str, ...] = ()
    """Shorter names for the command line."""
    categories: tuple[str, ...] = ()
    """Names of groups of kinds it belongs to."""


class CrdSpec(Part, frozen=True, kw_only=True):
    """What is defined."""

    group: str
    """API group."""
    names: CrdNames
    """Its names."""
    scope: Literal["Namespaced", "Cluster"]
    """Whether its objects are in namespaces."""
    versions: tuple[CrdVersion, ...]
    """Its versions."""
    conversion: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """How versions are made of each other; not read."""
    preserve_unknown_fields: bool = False
    """Not read: unknown fields are pruned."""


class CustomResourceDefinition(Resource, frozen=True, kw_only=True):
    """A kind that the API serves."""

    SERVED: ClassVar = Served(
        "customresourcedefinitions",
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        columns=(column("Created At", ".metadata.creationTimestamp", "date"),),
        namespaced=False,
        has_status=True,
        builtin=True,
        generated=True,
    )
    api_version: Literal["apiextensions.k8s.io/v1"]
    """API group and version."""
    kind: Literal["CustomResourceDefinition"]
    """Kind."""
    spec: CrdSpec
    """What is defined."""
    status: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """Whether it is served."""
