"""v1: Namespace, Service, ServiceAccount and Event, as far as clients need them without a cluster.

Fields of Kubernetes that mean nothing here are kept, and not read.
*Source:* Kubernetes core v1.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import AGE, MAP_ATOMIC, OPEN, SET, Served, by, column, form, merged
from heddle.model.meta import ObjectMeta, Resource

Texts = dict[str, str]


class NamespaceSpec(Part, frozen=True, kw_only=True):
    """What a namespace is."""

    finalizers: Annotated[tuple[str, ...], SET] = ()
    """What must be done before it is gone; `kubernetes` empties it."""


class Namespace(Resource, frozen=True, kw_only=True):
    """A tenant: names are unique in one, and access is given by it."""

    SERVED: ClassVar = Served(
        "namespaces",
        short_names=("ns",),
        columns=(column("Status", ".status.phase"), AGE),
        namespaced=False,
        has_status=True,
        builtin=True,
    )
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["Namespace"]
    """Kind."""
    spec: NamespaceSpec = NamespaceSpec()
    """What it is."""
    status: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """`phase` is `Active` or `Terminating`."""


class ObjectReference(Part, frozen=True, kw_only=True):
    """An object, or a part of one."""

    SAID: ClassVar = {"x-kubernetes-map-type": "atomic"}
    api_version: str = ""
    """API group and version."""
    kind: str = ""
    """Kind."""
    namespace: str = ""
    """Namespace."""
    name: str = ""
    """Name."""
    uid: str = ""
    """Which one of that name."""
    resource_version: str = ""
    """Which version of it."""
    field_path: str = ""
    """Which part of it."""


class LocalObjectReference(Part, frozen=True, kw_only=True):
    """An object of the same namespace."""

    SAID: ClassVar = {"x-kubernetes-map-type": "atomic"}
    name: str = ""
    """Its name."""


class ServicePort(Part, frozen=True, kw_only=True):
    """A port of a service."""

    name: str = ""
    """Unique in the service."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Protocol."""
    app_protocol: str = ""
    """What is spoken: `mcp` makes kagent's Agents find tools there."""
    port: Annotated[int, form("int32")]
    """Port callers use."""
    target_port: int | str = ""
    """Port it leads to; not read."""
    node_port: Annotated[int, form("int32")] = 0
    """Not read."""


class ServiceSpec(Part, frozen=True, kw_only=True):
    """What a service is."""

    SAID: ClassVar = {"x-kubernetes-preserve-unknown-fields": True}
    type: Literal["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"] = "ClusterIP"
    """`ExternalName` leads to a host outside."""
    external_name: str = ""
    """DNS name of an `ExternalName`."""
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    """Address; not given out here."""
    ports: Annotated[tuple[ServicePort, ...], by("port", "protocol"), merged("port")] = ()
    """Its ports."""
    selector: Annotated[Texts, MAP_ATOMIC] = msgspec.field(default_factory=dict)
    """Labels of the pods behind it; not read."""


class Service(Resource, frozen=True, kw_only=True):
    """A name under which something is reached."""

    SERVED: ClassVar = Served(
        "services",
        short_names=("svc",),
        categories=("all",),
        columns=(
            column("Type", ".spec.type"),
            column("Cluster-IP", ".spec.clusterIP"),
            column("External-Name", ".spec.externalName"),
            column("Ports", ".spec.ports[*].port"),
            AGE,
            column("Selector", ".spec.selector", priority=1),
        ),
        has_status=True,
        builtin=True,
    )
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["Service"]
    """Kind."""
    spec: ServiceSpec = ServiceSpec()
    """What it is."""
    status: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """Not read."""


class ServiceAccount(Part, frozen=True, kw_only=True):
    """An identity for a workload."""

    SERVED: ClassVar = Served("serviceaccounts", short_names=("sa",), columns=(AGE,), builtin=True)
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["ServiceAccount"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""
    secrets: Annotated[tuple[ObjectReference, ...], by("name"), merged("name")] = ()
    """Not read."""
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], by("name"), merged("name")] = ()
    """Not read."""
    automount_service_account_token: bool | None = None
    """Not read."""


Time = Annotated[str, form("date-time")]


class EventSource(Part, frozen=True, kw_only=True):
    """Who reported an event."""

    component: str = ""
    """Program."""
    host: str = ""
    """Machine."""


class EventSeries(Part, frozen=True, kw_only=True):
    """An event that went on."""

    count: Annotated[int, form("int32")] = 0
    """How often it happened."""
    last_observed_time: Time = ""
    """When it last happened."""


class Event(Part, frozen=True, kw_only=True):
    """Something that happened to an object, said once and counted after. Kept for an hour."""

    SERVED: ClassVar = Served(
        "events",
        short_names=("ev",),
        columns=(
            column("Last Seen", ".lastTimestamp", "date"),
            column("Type", ".type"),
            column("Reason", ".reason"),
            column("Kind", ".involvedObject.kind"),
            column("Object", ".involvedObject.name"),
            column("Subobject", ".involvedObject.fieldPath", priority=1),
            column("Source", ".source.component", priority=1),
            column("Message", ".message"),
            column("First Seen", ".firstTimestamp", "date", priority=1),
            column("Count", ".count", "integer", priority=1),
            column("Name", ".metadata.name", priority=1),
        ),
        builtin=True,
        storage="events",
    )
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["Event"]
    """Kind."""
    metadata: ObjectMeta
    """Who the event is."""
    involved_object: ObjectReference
    """What it is about."""
    reason: str = ""
    """Why, in one CamelCase word."""
    message: str = ""
    """What happened, for people."""
    source: EventSource = EventSource()
    """Who reported it."""
    first_timestamp: Annotated[Time | None, form("date-time")] = None
    """When it first happened."""
    last_timestamp: Annotated[Time | None, form("date-time")] = None
    """When it last happened."""
    count: Annotated[int, form("int32")] = 0
    """How often it happened."""
    type: str = ""
    """`Normal` or `Warning`."""
    event_time: Annotated[Time | None, form("date-time")] = None
    """When it was first noticed."""
    series: EventSeries | None = None
    """That it went on."""
    action: str = ""
    """What was done."""
    related: ObjectReference | None = None
    """What else it is about."""
    reporting_component: str = ""
    """Controller that reports."""
    reporting_instance: str = ""
    """Which of its instances."""
