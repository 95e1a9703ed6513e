"""gateway.networking.k8s.io/v1: GatewayClass and Gateway.

What the Gateway API has no field for stands in a GatewayParameters resource, named by `infrastructure.parametersRef`,
which is the extension point made for it. Fields that are not listed here are refused rather than ignored; protocols,
addresses and references that this mesh cannot serve are accepted, and said to be unsupported when they are compiled.
*Source:* Gateway API v1.4, GatewayClass, Gateway, GatewayInfrastructure.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Address, Hostname, Name, Part, Port
from heddle.model.gateway_types import (
    GATEWAY_GROUP,
    HOST_PATTERN,
    UNSET,
    ControllerName,
    FromNamespaces,
    Group,
    KindName,
    ParametersReference,
    SecretRef,
)
from heddle.model.kube import (
    AGE,
    ATOMIC,
    Served,
    by,
    column,
    condition,
    default,
    form,
    most,
    rule,
    rules,
    said,
    shaped,
)
from heddle.model.meta import LabelSelector, Resource
from heddle.model.resources_status import Condition, Conditions, waiting

GATEWAY_VERSION: Literal["gateway.networking.k8s.io/v1"] = "gateway.networking.k8s.io/v1"
PROTOCOL_PATTERN = (
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|"
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$"
)
_ADDRESS_PATTERN = (
    r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    r"\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"
)
_KEY = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?"
    r"[A-Za-z0-9]$"
)


class TlsSettings(Part, frozen=True, kw_only=True):
    """TLS of a listener."""

    RULES: ClassVar = (
        rule(
            "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
            "certificateRefs or options must be specified when mode is Terminate",
        ),
    )
    mode: Literal["Passthrough", "Terminate"] = "Terminate"
    """`Terminate` decrypts here."""
    certificate_refs: Annotated[tuple[SecretRef, ...], msgspec.Meta(max_length=64), ATOMIC] = ()
    """Certificates, each with its key."""
    options: Annotated[dict[str, str], most(16)] = msgspec.field(default_factory=dict)
    """Further settings."""


class RouteKind(Part, frozen=True, kw_only=True):
    """A kind of route."""

    group: Group = GATEWAY_GROUP
    """Its API group."""
    kind: KindName
    """Its kind."""


class RouteNamespaces(Part, frozen=True, kw_only=True):
    """Namespaces of routes."""

    from_: FromNamespaces = msgspec.field(default="Same", name="from")
    """`All`, those that `selector` finds, or only the gateway's own."""
    selector: LabelSelector | None = None
    """Labels of the namespaces, for `Selector`."""


class AllowedRoutes(Part, frozen=True, kw_only=True):
    """Routes that may attach to a listener."""

    namespaces: Annotated[RouteNamespaces, default({"from": "Same"})] = RouteNamespaces()
    """Namespaces they may be in."""
    kinds: Annotated[tuple[RouteKind, ...], msgspec.Meta(max_length=8), ATOMIC] = ()
    """Their kinds; none is what fits the protocol."""


class GatewayListener(Part, frozen=True, kw_only=True):
    """One port of a gateway."""

    name: Annotated[Name, said(minLength=1, maxLength=253)]
    """Unique in the gateway."""
    hostname: Annotated[Hostname, said(minLength=1, maxLength=253, pattern=HOST_PATTERN)] = ""
    """Host name that requests must name; unset is any."""
    port: Annotated[Port, said(minimum=1), form("int32")]
    """TCP port."""
    protocol: Annotated[str, said(minLength=1, maxLength=255, pattern=PROTOCOL_PATTERN)]
    """`HTTP` serves the model dialects, `HTTPS` the same over TLS, `heddle.dev/MCP` virtual servers, `heddle.dev/A2A`
    agents. Others are not served."""
    tls: TlsSettings | None = None
    """TLS, for `HTTPS`. Files on this machine are named in the GatewayParameters instead."""
    allowed_routes: Annotated[AllowedRoutes, default({"namespaces": {"from": "Same"}})] = AllowedRoutes()
    """Routes that may attach to it."""


class GatewayAddress(Part, frozen=True, kw_only=True):
    """Where a gateway binds."""

    RULES: ClassVar = (
        rule(
            'self.type == \'Hostname\' ? (!has(self.value) || self.value.matches(r"""' + HOST_PATTERN + '""")): true',
            f"Hostname value must be empty or contain only valid characters (matching {HOST_PATTERN})",
        ),
    )
    type: Annotated[str, said(minLength=1, maxLength=253, pattern=_ADDRESS_PATTERN)] = "IPAddress"
    """Kind of address; only `IPAddress` is served."""
    value: Annotated[Address, said(maxLength=253)]
    """The address."""


class ParametersRef(Part, frozen=True, kw_only=True):
    """The resource that holds a gateway's further settings."""

    SAID: ClassVar = {"required": ["group", "kind", "name"]}
    group: Annotated[Group, UNSET] = "heddle.dev"
    """API group."""
    kind: Annotated[KindName, UNSET] = "GatewayParameters"
    """Kind."""
    name: Annotated[Name, said(minLength=1, maxLength=253)]
    """Name."""


def _keys(what: str) -> msgspec.Meta:
    """Upstream's rules about the keys of labels and annotations."""
    return rules(
        rule(
            f'self.all(key, key.matches(r"""{_KEY}"""))',
            f"{what.capitalize()} keys must be in the form of an optional DNS subdomain prefix followed by a required"
            " name segment of up to 63 characters.",
        ),
        rule(
            'self.all(key, key.split("/")[0].size() < 253)',
            f"If specified, the {what} key's prefix must be a DNS subdomain not longer than 253 characters in total.",
        ),
    )


class Infrastructure(Part, frozen=True, kw_only=True):
    """How a gateway is run."""

    labels: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=63)]], most(8), _keys("label")] = msgspec.field(
        default_factory=dict
    )
    """Labels for what is made for it; not read."""
    annotations: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=4096)]], most(8), _keys("annotation")] = (
        msgspec.field(default_factory=dict)
    )
    """Annotations for what is made for it; not read."""
    parameters_ref: ParametersRef | None = None
    """Further settings of this gateway."""


_TLS_FREE = "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)"
_TERMINATED = (
    "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)"
)
_NAMELESS = "self.all(l, l.protocol in ['TCP', 'UDP']  ? (!has(l.hostname) || l.hostname == '') : true)"
_DISTINCT = (
    "self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && (has(l1.hostname) &&"
    " has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))"
)
LISTENER_RULES = rules(
    rule(_TLS_FREE, "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"),
    rule(_TERMINATED, "tls mode must be Terminate for protocol HTTPS"),
    rule(_NAMELESS, "hostname must not be specified for protocols ['TCP', 'UDP']"),
    rule("self.all(l1, self.exists_one(l2, l1.name == l2.name))", "Listener name must be unique within the Gateway"),
    rule(_DISTINCT, "Combination of port, protocol and hostname must be unique for each listener"),
)


def _unique(kind: str) -> dict[str, str]:
    return rule(
        f"self.all(a1, a1.type == '{kind}' && has(a1.value) ? self.exists_one(a2, a2.type == a1.type && has(a2.value)"
        " && a2.value == a1.value) : true )",
        f"{kind} values must be unique",
    )


class GatewaySpec(Part, frozen=True, kw_only=True):
    """What a gateway is."""

    SAID: ClassVar = {"required": ["gatewayClassName", "listeners"]}
    gateway_class_name: Annotated[Name, UNSET, said(minLength=1, maxLength=253)] = "heddle"
    """Class; `heddle`."""
    addresses: Annotated[
        tuple[GatewayAddress, ...],
        msgspec.Meta(max_length=16),
        ATOMIC,
        rules(_unique("IPAddress"), _unique("Hostname")),
    ] = ()
    """The one address to bind; unset is 127.0.0.1."""
    listeners: Annotated[
        tuple[GatewayListener, ...], msgspec.Meta(max_length=64), said(minItems=1), by("name"), LISTENER_RULES
    ]
    """Its ports."""
    infrastructure: Infrastructure | None = None
    """How it is run."""


class StatusAddress(Part, frozen=True, kw_only=True):
    """An address a gateway is bound to."""

    type: str = "IPAddress"
    """Kind of address."""
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    """The address."""


class ListenerStatus(Part, frozen=True, kw_only=True):
    """What was made of a listener."""

    name: str
    """Its name."""
    supported_kinds: Annotated[tuple[RouteKind, ...], msgspec.Meta(max_length=8), ATOMIC] = ()
    """Kinds of routes it takes."""
    attached_routes: Annotated[int, form("int32")]
    """Number of routes attached to it."""
    conditions: Annotated[tuple[Condition, ...], msgspec.Meta(max_length=8), by("type")]
    """What is said of it."""


class GatewayStatus(Part, frozen=True, kw_only=True):
    """What was made of a gateway."""

    addresses: Annotated[tuple[StatusAddress, ...], msgspec.Meta(max_length=16), ATOMIC] = ()
    """Addresses it is bound to."""
    conditions: Annotated[Conditions, waiting("Accepted", "Programmed")] = ()
    """What is said of it."""
    listeners: Annotated[tuple[ListenerStatus, ...], msgspec.Meta(max_length=64), by("name")] = ()
    """What is said of its listeners."""


_WAITING = (waiting("Accepted", "Programmed").extra_json_schema or {})["default"]


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
    status: Annotated[dict[str, Any], shaped(GatewayStatus), default({"conditions": _WAITING})] = msgspec.field(
        default_factory=dict
    )
    """Observed; written by the control plane."""


class GatewayClassSpec(Part, frozen=True, kw_only=True):
    """What a class of gateways is."""

    controller_name: Annotated[ControllerName, rules(rule("self == oldSelf", "Value is immutable"))]
    """Who serves its gateways: `heddle.dev/gateway` is this mesh. Cannot be changed."""
    parameters_ref: ParametersReference | None = None
    """Settings of all its gateways; not read."""
    description: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """For people."""


class SupportedFeature(Part, frozen=True, kw_only=True):
    """A feature of the Gateway API."""

    name: str
    """Its name."""


class GatewayClassStatus(Part, frozen=True, kw_only=True):
    """What was made of a class."""

    conditions: Annotated[Conditions, waiting("Accepted")] = ()
    """What is said of it."""
    supported_features: Annotated[tuple[SupportedFeature, ...], msgspec.Meta(max_length=64), by("name")] = ()
    """Names of the features of the Gateway API that it has."""


class GatewayClass(Resource, frozen=True, kw_only=True):
    """Gateways that are served by the same program."""

    SERVED: ClassVar = Served(
        "gatewayclasses",
        short_names=("gc",),
        categories=("gateway-api",),
        columns=(
            column("Controller", ".spec.controllerName"),
            condition("Accepted"),
            AGE,
            column("Description", ".spec.description", priority=1),
        ),
        namespaced=False,
        has_status=True,
    )
    api_version: Literal["gateway.networking.k8s.io/v1"]
    """API group and version."""
    kind: Literal["GatewayClass"]
    """Kind."""
    spec: GatewayClassSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(GatewayClassStatus), default({"conditions": _WAITING[:1]})] = (
        msgspec.field(default_factory=dict)
    )
    """Observed; written by the control plane."""
