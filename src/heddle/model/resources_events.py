"""events.k8s.io/v1: Event, the newer spelling of v1 Event; both are one set of objects.

*Source:* Kubernetes events.k8s.io/v1.
"""

from typing import Annotated, ClassVar, Literal

from heddle.model.config_base import Part
from heddle.model.kube import Served, column, form
from heddle.model.meta import ObjectMeta
from heddle.model.resources_cluster import EventSource, ObjectReference

EVENTS_VERSION: Literal["events.k8s.io/v1"] = "events.k8s.io/v1"
Time = Annotated[str, form("date-time")]


class SeriesOfEvents(Part, frozen=True, kw_only=True):
    """An event that went on."""

    count: Annotated[int, form("int32")]
    """How often it happened."""
    last_observed_time: Time
    """When it last happened."""


class NewerEvent(Part, frozen=True, kw_only=True):
    """Something that happened to an object, said once and counted after. Kept for an hour."""

    SERVED: ClassVar = Served(
        "events",
        short_names=("ev",),
        columns=(
            column("Last Seen", ".deprecatedLastTimestamp", "date"),
            column("Type", ".type"),
            column("Reason", ".reason"),
            column("Kind", ".regarding.kind"),
            column("Object", ".regarding.name"),
            column("Message", ".note"),
        ),
        builtin=True,
        storage="events",
    )
    api_version: Literal["events.k8s.io/v1"]
    """API group and version."""
    kind: Literal["Event"]
    """Kind."""
    metadata: ObjectMeta
    """Who the event is."""
    event_time: Annotated[Time | None, form("date-time")] = None
    """When it was first noticed."""
    series: SeriesOfEvents | None = None
    """That it went on."""
    reporting_controller: str = ""
    """Controller that reports."""
    reporting_instance: str = ""
    """Which of its instances."""
    action: str = ""
    """What was done."""
    reason: str = ""
    """Why, in one CamelCase word."""
    regarding: ObjectReference = ObjectReference()
    """What it is about."""
    related: ObjectReference | None = None
    """What else it is about."""
    note: str = ""
    """What happened, for people."""
    type: str = ""
    """`Normal` or `Warning`."""
    deprecated_source: EventSource = EventSource()
    """Who reported it, as v1 says it."""
    deprecated_first_timestamp: Annotated[Time | None, form("date-time")] = None
    """When it first happened, as v1 says it."""
    deprecated_last_timestamp: Annotated[Time | None, form("date-time")] = None
    """When it last happened, as v1 says it."""
    deprecated_count: Annotated[int, form("int32")] = 0
    """How often it happened, as v1 says it."""
