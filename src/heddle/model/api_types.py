"""What every answer of the resource API is made of, for OpenAPI only: metadata, lists, Status, options of a delete.

Owns their fields and what is said of them; the API itself handles them as plain objects.
*Source:* k8s.io/apimachinery meta/v1.
"""

from typing import Annotated, Any

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import ATOMIC, OPEN, by, form, merged

Time = Annotated[str, form("date-time")]
Texts = tuple[str, ...]


class OwnerReference(Part, frozen=True, kw_only=True):
    """An object that another one belongs to: when none of its owners is left, it is deleted."""

    api_version: str
    """API group and version of the owner."""
    kind: str
    """Its kind."""
    name: str
    """Its name."""
    uid: str
    """Which one of that name."""
    controller: bool | None = None
    """It is the one that decides about the object."""
    block_owner_deletion: bool | None = None
    """When the owner is deleted in the foreground, it waits for this object."""


class ManagedFieldsEntry(Part, frozen=True, kw_only=True):
    """Which fields somebody set."""

    manager: str = ""
    """Who."""
    operation: str = ""
    """`Apply` or `Update`."""
    api_version: str = ""
    """API group and version it was done in."""
    time: Time = ""
    """When it last changed."""
    fields_type: str = ""
    """`FieldsV1`."""
    fields_v1: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict, name="fieldsV1")
    """The fields, as a tree."""
    subresource: str = ""
    """Subresource it was done through."""


class ObjectMetadata(Part, frozen=True, kw_only=True):
    """What every object has: who it is, labels, and what the API keeps of it."""

    name: str = ""
    """Unique among objects of its kind in its namespace. Cannot be changed."""
    generate_name: str = ""
    """Beginning of a name that the API completes."""
    namespace: str = ""
    """Namespace it is in. Cannot be changed."""
    self_link: str = ""
    """Not used any more."""
    uid: str = ""
    """Tells it from every other object there ever was; set by the API."""
    resource_version: str = ""
    """Changes with every change; given with an update, it must be the current one."""
    generation: Annotated[int, form("int64")] = 0
    """Changes when what is declared changes; set by the API."""
    creation_timestamp: Time = ""
    """When it was made; set by the API."""
    deletion_timestamp: Time = ""
    """When its deletion was asked for; it is gone when `finalizers` is empty."""
    deletion_grace_period_seconds: Annotated[int, form("int64")] = 0
    """Seconds until it is gone."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Short values to select objects by."""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    """Values for programs."""
    owner_references: Annotated[tuple[OwnerReference, ...], by("uid"), merged("uid")] = ()
    """Objects it belongs to."""
    finalizers: Annotated[Texts, merged("")] = ()
    """Names of programs that must do something before it is gone."""
    managed_fields: Annotated[tuple[ManagedFieldsEntry, ...], ATOMIC] = ()
    """Who set which fields; kept by the API."""


class ListMetadata(Part, frozen=True, kw_only=True):
    """What every list has."""

    resource_version: str = ""
    """What it is a picture of; a watch can go on from there."""
    continue_: str = msgspec.field(default="", name="continue")
    """Where the next page begins; empty when there is none."""
    remaining_item_count: Annotated[int, form("int64")] = 0
    """Items after this page."""
    self_link: str = ""
    """Not used any more."""


class StatusCause(Part, frozen=True, kw_only=True):
    """One reason of several."""

    reason: str = ""
    """In one word, for programs."""
    message: str = ""
    """For people."""
    field: str = ""
    """The field it is about."""


class StatusDetails(Part, frozen=True, kw_only=True):
    """What a Status is about."""

    name: str = ""
    """Name of the object."""
    group: str = ""
    """API group of the object."""
    kind: str = ""
    """Kind of the object."""
    uid: str = ""
    """Which one of that name."""
    causes: Annotated[tuple[StatusCause, ...], ATOMIC] = ()
    """All reasons."""
    retry_after_seconds: Annotated[int, form("int32")] = 0
    """Seconds to wait before asking again."""


class Status(Part, frozen=True, kw_only=True):
    """What came of a request that gives no object back."""

    api_version: str = ""
    """API version."""
    kind: str = ""
    """Kind."""
    metadata: ListMetadata = ListMetadata()
    """Not used."""
    status: str = ""
    """`Success` or `Failure`."""
    message: str = ""
    """For people."""
    reason: str = ""
    """In one word, for programs."""
    details: StatusDetails = StatusDetails()
    """What it is about."""
    code: Annotated[int, form("int32")] = 0
    """HTTP status."""


class Preconditions(Part, frozen=True, kw_only=True):
    """What must be true of an object that is deleted."""

    uid: str = ""
    """Which one of that name it is."""
    resource_version: str = ""
    """Which version of it."""


class DeleteOptions(Part, frozen=True, kw_only=True):
    """How something is deleted."""

    api_version: str = ""
    """API version."""
    kind: str = ""
    """Kind."""
    grace_period_seconds: Annotated[int, form("int64")] = 0
    """Not used: there is nothing to wait for."""
    preconditions: Preconditions = Preconditions()
    """What must be true of the object."""
    orphan_dependents: bool = False
    """Not used any more: see `propagationPolicy`."""
    propagation_policy: str = ""
    """What becomes of what belongs to it: `Background`, `Foreground` or `Orphan`."""
    dry_run: Annotated[Texts, ATOMIC] = ()
    """`All` does everything but commit."""


COMMON: dict[str, type[msgspec.Struct]] = {
    "ObjectMeta": ObjectMetadata,
    "ListMeta": ListMetadata,
    "Status": Status,
    "DeleteOptions": DeleteOptions,
    "OwnerReference": OwnerReference,
    "ManagedFieldsEntry": ManagedFieldsEntry,
}
"""Names in `io.k8s.apimachinery.pkg.apis.meta.v1` -> structs."""
