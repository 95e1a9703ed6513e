"""What kinds of the Gateway API share: the forms of names, references to other objects, and where routes attach.

*Source:* Gateway API v1, `shared_types.go` and `object_reference_types.go`; GEP-2257 (durations).
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import default, form, said

GATEWAY_GROUP = "gateway.networking.k8s.io"
_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
Group = Annotated[str, msgspec.Meta(max_length=253, pattern=f"^$|^{_DNS}$")]
"""Empty is the core group."""
KindName = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")]
ObjectName = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
NamespaceName = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
SectionName = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=f"^{_DNS}$")]
HostPattern = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"^(\*\.)?{_DNS}$")]
"""A host name; its first label may be `*`."""
PreciseHost = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=f"^{_DNS}$")]
PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535), form("int32")]
GatewayDuration = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
HeaderName = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")]
ControllerName = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=253, pattern=rf"^{_DNS}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"),
]
HOST_PATTERN = rf"^(\*\.)?{_DNS}$"
"""Of `HostPattern`, for rules."""
UNSET = said(default=None)
"""No default, where the struct has one for files."""


class ParentRef(Part, frozen=True, kw_only=True):
    """What a route wants to be attached to."""

    group: Group = GATEWAY_GROUP
    """Its API group."""
    kind: KindName = "Gateway"
    """Its kind: `Gateway`, or `VirtualServer` of `heddle.dev`."""
    namespace: NamespaceName | None = None
    """Its namespace; unset is the route's own."""
    name: ObjectName
    """Its name."""
    section_name: SectionName | None = None
    """Name of one listener; unset is every one that allows it."""
    port: PortNumber | None = None
    """Port of the listeners; unset is any."""


class LocalRef(Part, frozen=True, kw_only=True):
    """An object of the same namespace."""

    group: Group
    """Its API group."""
    kind: KindName
    """Its kind."""
    name: ObjectName
    """Its name."""


class BackendObjectRef(Part, frozen=True, kw_only=True):
    """An object that requests are sent to."""

    group: Annotated[Group, default("")] = ""
    """Its API group; empty is the core group, `heddle.dev` that of Backend and Model."""
    kind: KindName = "Service"
    """Its kind."""
    name: ObjectName
    """Its name."""
    namespace: NamespaceName | None = None
    """Its namespace; unset is the route's own. Another one needs a ReferenceGrant there."""
    port: PortNumber | None = None
    """Its port; a Service needs one."""


class SecretRef(Part, frozen=True, kw_only=True):
    """An object with a certificate and its key."""

    group: Annotated[Group, default("")] = ""
    """Its API group."""
    kind: KindName = "Secret"
    """Its kind."""
    name: ObjectName
    """Its name."""
    namespace: NamespaceName | None = None
    """Its namespace; unset is the referrer's own. Another one needs a ReferenceGrant there."""


class ParametersReference(Part, frozen=True, kw_only=True):
    """An object with settings, anywhere."""

    group: Group
    """Its API group."""
    kind: KindName
    """Its kind."""
    name: ObjectName
    """Its name."""
    namespace: NamespaceName | None = None
    """Its namespace, when it has one."""


FromNamespaces = Literal["All", "Same", "Selector"]
