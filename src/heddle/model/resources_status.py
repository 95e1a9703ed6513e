"""What the control plane says about an object: conditions, as Kubernetes spells them.

*Source:* Kubernetes API conventions, "Typical status properties"; k8s.io/apimachinery meta/v1 Condition.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import by, default, form

_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
PENDING = {
    "status": "Unknown",
    "reason": "Pending",
    "message": "Waiting for controller",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}
"""What Gateway API says of an object that nobody has looked at yet."""


class Condition(Part, frozen=True, kw_only=True):
    """One aspect of the current state."""

    type: Annotated[str, msgspec.Meta(max_length=316, pattern=_TYPE)]
    """Which aspect: `Accepted`, `ResolvedRefs`, `Programmed`, `Ready` and others."""
    status: Literal["False", "True", "Unknown"]
    """Whether it is so."""
    observed_generation: Annotated[int, msgspec.Meta(ge=0), form("int64")] = 0
    """Generation of the object that this was said of."""
    last_transition_time: Annotated[str, form("date-time")]
    """When the status last changed."""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=_REASON)]
    """Why, in one CamelCase word, for programs."""
    message: Annotated[str, msgspec.Meta(max_length=32768)]
    """Why, for people; may be empty."""


Conditions = Annotated[tuple[Condition, ...], msgspec.Meta(max_length=8), by("type")]
Generation = Annotated[int, form("int64")]


class ResourceStatus(Part, frozen=True, kw_only=True):
    """What the control plane made of an object."""

    SAID: ClassVar = {"x-kubernetes-preserve-unknown-fields": True}
    observed_generation: Generation = 0
    """Generation of the object that the conditions are about. Missing until it was looked at."""
    conditions: Conditions = ()
    """What is said of it."""


def waiting(*types: str) -> msgspec.Meta:
    """Conditions as an object has them before anyone looked at it."""
    return default([{"type": one, **PENDING} for one in types])
