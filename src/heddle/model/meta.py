"""What every resource has: `apiVersion`, `kind`, `metadata`.

*Source:* Kubernetes API conventions, "Types (Kinds)" and "Metadata".
"""

import hashlib
import re
from typing import Annotated, Any

import msgspec

from heddle.model.config_base import Name, Part

ORDER = "heddle.dev/order"
"""Annotation: 0 to 999999. Guards, caching rules and patterns of models stand in this order, then by age and name."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")


class ObjectMeta(Part, frozen=True, kw_only=True):
    """Who a resource is. What only a server sets is accepted and kept, so that exported resources can be read back."""

    name: Name
    """Unique among resources of its kind in its namespace."""
    namespace: Name = "default"
    """Namespace of the resource."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """For selecting resources; not read by gateways."""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    """For tools; not read by gateways."""
    generate_name: Any = None
    """Set by API clients."""
    uid: Any = None
    """Set by the server."""
    resource_version: Any = None
    """Set by the server."""
    generation: Any = None
    """Set by the server."""
    creation_timestamp: Any = None
    """Set by the server."""
    deletion_timestamp: Any = None
    """Set by the server."""
    deletion_grace_period_seconds: Any = None
    """Set by the server."""
    finalizers: Any = None
    """Set by controllers."""
    owner_references: Any = None
    """Set by controllers."""
    managed_fields: Any = None
    """Set by the server."""
    self_link: Any = None
    """Set by old servers."""


class Resource(Part, frozen=True, kw_only=True):
    """Anything declared. `api_version` and `kind` are fixed by each kind's struct."""

    api_version: str
    """API group and version."""
    kind: str
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""


class LabelRequirement(Part, frozen=True, kw_only=True):
    """A condition on one label."""

    key: str
    """Name of the label."""
    operator: Annotated[str, msgspec.Meta(description="`In`, `NotIn`, `Exists` or `DoesNotExist`")]
    """How it is compared."""
    values: tuple[str, ...] = ()
    """With what; none for `Exists` and `DoesNotExist`."""


class LabelSelector(Part, frozen=True, kw_only=True):
    """Objects that have all of these labels. Without any, every object."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Labels with exactly these values."""
    match_expressions: tuple[LabelRequirement, ...] = ()
    """Conditions on labels."""


class TargetRef(Part, frozen=True, kw_only=True):
    """What a policy is attached to.

    *Source:* Gateway API GEP-713, policy attachment.
    """

    group: Annotated[str, msgspec.Meta(max_length=253)] = "gateway.networking.k8s.io"
    """API group of the target."""
    kind: str = "Gateway"
    """Kind of the target; `Gateway` only."""
    name: Name
    """Name of the target."""
    section_name: Name = ""
    """Name of one listener of it. Unset is all of its listeners."""


def resource_name(text: str) -> str:
    """A name that Kubernetes accepts for something called `text`; itself where it can be, else unique by a digest."""
    if _LABEL.match(text):
        return text
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:200] or "x"
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
