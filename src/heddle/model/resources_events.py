"""events.k8s.io/v1: Event, the newer spelling of v1 Event; both are one set of objects.

Owns the translation between the two: what is kept is a v1 Event.
*Source:* Kubernetes events.k8s.io/v1; `pkg/apis/core/v1` conversion of events.
"""

from typing import Annotated, Any, ClassVar, Literal

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


_SPELLINGS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def newer(event: dict[str, Any]) -> dict[str, Any]:
    """A v1 Event as an events.k8s.io/v1 one; the object is not changed."""
    return {_SPELLINGS.get(key, key): value for key, value in event.items()} | {"apiVersion": EVENTS_VERSION}


def older(event: dict[str, Any]) -> dict[str, Any]:
    """An events.k8s.io/v1 Event as a v1 one; the object is not changed."""
    spellings = {new: old for old, new in _SPELLINGS.items()}
    made = {spellings.get(key, key): value for key, value in event.items()} | {"apiVersion": "v1"}
    made.setdefault("involvedObject", {})
    return made
