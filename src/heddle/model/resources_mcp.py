"""kagent.dev: RemoteMCPServer and MCPServer, tool servers as people already declare them for Kubernetes.

Owns the fields, those too that mean nothing outside of a cluster: they are accepted, and `kagent` says what is not
used. Other kinds of this group are not active yet.
*Source:* kagent 0.10 API `kagent.dev/v1alpha2` RemoteMCPServer; kmcp API `kagent.dev/v1alpha1` MCPServer.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Duration, Name, Part, Port, Url
from heddle.model.config_mcp_targets import Variable
from heddle.model.kube import AGE, Served, column, condition, rule, shaped
from heddle.model.meta import Resource
from heddle.model.resources_status import ResourceStatus

KAGENT_VERSION: Literal["kagent.dev/v1alpha2"] = "kagent.dev/v1alpha2"
KAGENT_SERVER_VERSION: Literal["kagent.dev/v1alpha1"] = "kagent.dev/v1alpha1"
Word = Annotated[str, msgspec.Meta(max_length=8192)]
DataKey = Annotated[str, msgspec.Meta(max_length=253, pattern=r"^[A-Za-z0-9._-]+$")]


class ValueSource(Part, frozen=True, kw_only=True):
    """Where a value comes from."""

    type: Literal["Secret", "ConfigMap"]
    """Kind of the resource."""
    name: Name
    """Name of the resource."""
    key: DataKey
    """Key of the value in it."""


class HeaderSource(Part, frozen=True, kw_only=True):
    """A field of every request."""

    RULES: ClassVar = (
        rule(
            "(has(self.value) && !has(self.valueFrom)) || (!has(self.value) && has(self.valueFrom))",
            "Exactly one of value or valueFrom must be specified",
        ),
    )
    name: Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
    """Name of the field."""
    value: Variable = ""
    """Its value. Give this or `valueFrom`."""
    value_from: ValueSource | None = None
    """Where its value comes from."""


class RemoteTls(Part, frozen=True, kw_only=True):
    """TLS towards a tool server, or a provider of models."""

    RULES: ClassVar = (
        rule(
            "!(has(self.caCertSecretKey) && size(self.caCertSecretKey) > 0"
            " && (!has(self.caCertSecretRef) || size(self.caCertSecretRef) == 0))",
            "caCertSecretKey requires caCertSecretRef",
        ),
        rule(
            "!(has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0"
            " && (!has(self.caCertSecretKey) || size(self.caCertSecretKey) == 0))",
            "caCertSecretRef requires caCertSecretKey",
        ),
        rule(
            "!(has(self.disableSystemCAs) && self.disableSystemCAs && (!has(self.disableVerify) || !self.disableVerify)"
            " && (!has(self.caCertSecretRef) || size(self.caCertSecretRef) == 0))",
            "disableSystemCAs requires caCertSecretRef or disableVerify (trust-nothing config rejects every upstream)",
        ),
    )
    disable_verify: bool = False
    """`true` is refused: certificates are always verified."""
    ca_cert_secret_ref: str = ""
    """Not used: a Backend with `mcp.http.caFile` names the bundle."""
    ca_cert_secret_key: str = ""
    """Not used."""
    disable_system_cas: bool = msgspec.field(default=False, name="disableSystemCAs")
    """Not used."""


class RemoteMCPServerSpec(Part, frozen=True, kw_only=True):
    """A tool server that runs somewhere, reached over HTTP."""

    SAID: ClassVar = {"required": ["description", "url"]}
    description: str = ""
    """For people."""
    url: Url
    """Its endpoint."""
    protocol: Literal["STREAMABLE_HTTP", "SSE"] = "STREAMABLE_HTTP"
    """How it is spoken to."""
    headers_from: tuple[HeaderSource, ...] = ()
    """Fields of every request."""
    timeout: Duration = "30s"
    """Longest wait for lists, and for calls without `sseReadTimeout`."""
    sse_read_timeout: Duration = ""
    """Longest silence inside a call."""
    terminate_on_close: bool = True
    """Sessions are ended when they are over; `false` is not used."""
    allowed_namespaces: Any = None
    """Not used: who may call is said in policies."""
    tls: RemoteTls | None = None
    """TLS towards it."""


class DiscoveredTool(Part, frozen=True, kw_only=True):
    """A tool that was found at a server."""

    name: str
    """Its name."""
    description: str = ""
    """What it does, as the server says it."""


class RemoteMCPServerStatus(ResourceStatus, frozen=True, kw_only=True):
    """What was found at a tool server."""

    discovered_tools: tuple[DiscoveredTool, ...] = ()
    """Its tools."""
    secret_hash: str = ""
    """Digest of the Secrets it uses; changes when they do."""


class RemoteMCPServer(Resource, frozen=True, kw_only=True):
    """A tool server that runs somewhere: becomes a target."""

    SERVED: ClassVar = Served(
        "remotemcpservers",
        short_names=("rmcps",),
        categories=("kagent",),
        columns=(column("Protocol", ".spec.protocol"), column("URL", ".spec.url"), condition("Accepted")),
        has_status=True,
    )
    api_version: Literal["kagent.dev/v1alpha2"]
    """API group and version."""
    kind: Literal["RemoteMCPServer"]
    """Kind."""
    spec: RemoteMCPServerSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(RemoteMCPServerStatus)] = msgspec.field(default_factory=dict)
    """Observed; not read."""


class LocalReference(Part, frozen=True, kw_only=True):
    """A resource, by its name."""

    name: Name
    """Its name."""


class Deployment(Part, frozen=True, kw_only=True):
    """How a tool server is run. Here it is a program on this machine, so what is about pods is not used."""

    image: str = ""
    """Not used: `cmd` is run on this machine. An image alone can only run in a pod."""
    port: Port = 3000
    """Not used: programs are spoken to on their standard streams."""
    cmd: Word = ""
    """Program."""
    args: tuple[Word, ...] = ()
    """Its arguments."""
    env: dict[str, Variable] = msgspec.field(default_factory=dict)
    """Variables it gets."""
    secret_refs: tuple[LocalReference, ...] = ()
    """Secrets, each of whose keys becomes a variable."""
    config_map_refs: tuple[LocalReference, ...] = ()
    """ConfigMaps, each of whose keys becomes a variable."""
    replicas: Any = None
    """Not used."""
    volumes: Any = None
    """Not used."""
    volume_mounts: Any = None
    """Not used."""
    init_container: Any = None
    """Not used."""
    service_account: Any = None
    """Not used."""
    sidecars: Any = None
    """Not used."""
    resources: Any = None
    """Not used: limits of programs stand in a Backend, `mcp.stdio`."""
    image_pull_policy: Any = None
    """Not used."""
    image_pull_secrets: Any = None
    """Not used."""
    labels: Any = None
    """Not used."""
    annotations: Any = None
    """Not used."""
    node_selector: Any = None
    """Not used."""
    tolerations: Any = None
    """Not used."""
    affinity: Any = None
    """Not used."""
    security_context: Any = None
    """Not used."""
    pod_security_context: Any = None
    """Not used."""


class HttpTransport(Part, frozen=True, kw_only=True):
    """A tool server that listens by itself."""

    target_port: Port = 0
    """Its port in the pod."""
    path: str = ""
    """Its path."""
    tls: Any = None
    """Its TLS."""


class MCPServerSpec(Part, frozen=True, kw_only=True):
    """A tool server that is started."""

    deployment: Deployment = Deployment()
    """How it is run."""
    transport_type: Literal["stdio", "http"] = "stdio"
    """`stdio` is run on this machine; `http` needs a pod."""
    stdio_transport: Any = None
    """Has no fields."""
    http_transport: HttpTransport | None = None
    """For servers that listen by themselves."""
    timeout: Duration = "30s"
    """Longest silence inside a call."""


class MCPServer(Resource, frozen=True, kw_only=True):
    """A tool server that is started: becomes a target when it is a program."""

    SERVED: ClassVar = Served(
        "mcpservers",
        short_names=("mcps", "mcp"),
        categories=("kagent",),
        columns=(condition("Ready"), AGE),
        has_status=True,
    )
    api_version: Literal["kagent.dev/v1alpha1"]
    """API group and version."""
    kind: Literal["MCPServer"]
    """Kind."""
    spec: MCPServerSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; not read."""
