"""gateway.networking.k8s.io: ReferenceGrant, by which a namespace lets others refer to what is in it.

Served as v1, and as v1beta1, which is what there was before; both are one set of objects.
*Source:* Gateway API v1.5, ReferenceGrant; v1beta1 is the same but for its name.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.gateway_types import Group, KindName, NamespaceName, ObjectName
from heddle.model.kube import AGE, ATOMIC, Served
from heddle.model.meta import Resource

_SERVED = Served("referencegrants", short_names=("refgrant",), categories=("gateway-api",), columns=(AGE,))


class GrantFrom(Part, frozen=True, kw_only=True):
    """Who may refer."""

    group: Group
    """API group of the referrer."""
    kind: KindName
    """Its kind, such as `HTTPRoute`, `Gateway` or `Agent`."""
    namespace: NamespaceName
    """Its namespace."""


class GrantTo(Part, frozen=True, kw_only=True):
    """To what."""

    group: Group
    """API group of what is referred to; empty is the core group."""
    kind: KindName
    """Its kind, such as `Secret`, `Backend` or `ModelConfig`."""
    name: ObjectName | None = None
    """Its name; unset is every one in the grant's namespace."""


class ReferenceGrantSpec(Part, frozen=True, kw_only=True):
    """Who may refer to what. Any of the first may, to any of the second."""

    from_: Annotated[tuple[GrantFrom, ...], msgspec.Meta(min_length=1, max_length=16), ATOMIC] = msgspec.field(
        name="from"
    )
    """Who may refer."""
    to: Annotated[tuple[GrantTo, ...], msgspec.Meta(min_length=1, max_length=16), ATOMIC]
    """To what."""


class ReferenceGrant(Resource, frozen=True, kw_only=True):
    """Lets objects of other namespaces refer to objects of this one. Without one, they may not; when it is taken away,
    they may no longer."""

    SERVED: ClassVar = _SERVED
    api_version: Literal["gateway.networking.k8s.io/v1"]
    """API group and version."""
    kind: Literal["ReferenceGrant"]
    """Kind."""
    spec: ReferenceGrantSpec
    """Who may refer to what."""


class OlderReferenceGrant(Resource, frozen=True, kw_only=True):
    """Lets objects of other namespaces refer to objects of this one. Without one, they may not; when it is taken away,
    they may no longer."""

    SERVED: ClassVar = _SERVED
    api_version: Literal["gateway.networking.k8s.io/v1beta1"]
    """API group and version."""
    kind: Literal["ReferenceGrant"]
    """Kind."""
    spec: ReferenceGrantSpec
    """Who may refer to what."""
