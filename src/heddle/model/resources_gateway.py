"""gateway.networking.k8s.io/v1: Gateway, as far as this mesh reads it.

What the Gateway API has no field for stands in a GatewayParameters resource, named by
`infrastructure.parametersRef`, which is
the extension point made for it. Fields that are not listed here are refused rather than ignored.
*Source:* Gateway API v1, Gateway, GatewayInfrastructure.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Address, Hostname, Name, Part, Port
from heddle.model.kube import AGE, Served, column, condition, shaped
from heddle.model.meta import Resource
from heddle.model.resources_status import ResourceStatus

GATEWAY_VERSION: Literal["gateway.networking.k8s.io/v1"] = "gateway.networking.k8s.io/v1"


class GatewayListener(Part, frozen=True, kw_only=True):
    """One port of a gateway."""

    name: Name
    """Unique in the gateway."""
    hostname: Hostname = ""
    """Host name that requests must name; unset is any."""
    port: Port
    """TCP port."""
    protocol: Literal["HTTP", "HTTPS", "heddle.dev/MCP", "heddle.dev/A2A"]
    """`HTTP` serves the model dialects, `HTTPS` the same over TLS, `heddle.dev/MCP` virtual servers."""


class GatewayAddress(Part, frozen=True, kw_only=True):
    """Where a gateway binds."""

    type: Literal["IPAddress"] = "IPAddress"
    """Kind of address."""
    value: Address
    """The address."""


class ParametersRef(Part, frozen=True, kw_only=True):
    """The resource that holds a gateway's further settings."""

    group: Literal["heddle.dev"] = "heddle.dev"
    """API group."""
    kind: Literal["GatewayParameters"] = "GatewayParameters"
    """Kind."""
    name: Name
    """Name."""


class Infrastructure(Part, frozen=True, kw_only=True):
    """How a gateway is run."""

    parameters_ref: ParametersRef | None = None
    """Further settings of this gateway."""


class GatewaySpec(Part, frozen=True, kw_only=True):
    """What a gateway is."""

    gateway_class_name: Name = "heddle"
    """Class; `heddle`."""
    addresses: Annotated[tuple[GatewayAddress, ...], msgspec.Meta(max_length=1)] = ()
    """The one address to bind; unset is 127.0.0.1."""
    listeners: tuple[GatewayListener, ...]
    """Its ports."""
    infrastructure: Infrastructure | None = None
    """How it is run."""


class Gateway(Resource, frozen=True, kw_only=True):
    """Listeners that share an address."""

    SERVED: ClassVar = Served(
        "gateways",
        short_names=("gtw",),
        categories=("gateway-api",),
        columns=(
            column("Class", ".spec.gatewayClassName"),
            column("Address", ".status.addresses[*].value"),
            condition("Programmed"),
            AGE,
        ),
        has_status=True,
    )
    api_version: Literal["gateway.networking.k8s.io/v1"]
    """API group and version."""
    kind: Literal["Gateway"]
    """Kind."""
    spec: GatewaySpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""
