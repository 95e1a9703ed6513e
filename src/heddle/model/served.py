"""The structs of all kinds that the resource API serves, and which of them a name means.

A bare name (`agents`, `models`) means the first kind that has it, so groups stand here in the order in which people
should meet them: Kubernetes' own, then what is declared (kagent.dev, heddle.dev, Gateway API), then what is generated
(`resources_directory` says why its names are what they are). Of a group's versions the first is preferred, and is the
one objects are stored in.
"""

from heddle.model.crd import identity
from heddle.model.fielddocs import AnyStruct
from heddle.model.kube import Served
from heddle.model.resources_access import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from heddle.model.resources_cluster import Event, Namespace, Service, ServiceAccount
from heddle.model.resources_coordination import Lease
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_crd import CustomResourceDefinition
from heddle.model.resources_directory import DiscoveredAgent, DiscoveredModel, DiscoveredServer, Tool
from heddle.model.resources_events import NewerEvent
from heddle.model.resources_gateway import Gateway, GatewayClass
from heddle.model.resources_gateway_status import GatewayStatus
from heddle.model.resources_grants import OlderReferenceGrant, ReferenceGrant
from heddle.model.resources_heddle import Backend, GatewayParameters, Model, Policy, VirtualServer
from heddle.model.resources_kagent import Agent
from heddle.model.resources_kagent_models import ModelConfig, ModelProviderConfig
from heddle.model.resources_mcp import MCPServer, RemoteMCPServer
from heddle.model.resources_routes import HTTPRoute
from heddle.model.resources_source import Source

BUILTIN: tuple[AnyStruct, ...] = (
    Namespace,
    SecretResource,
    ConfigMap,
    Service,
    ServiceAccount,
    Event,
    NewerEvent,
    Role,
    RoleBinding,
    ClusterRole,
    ClusterRoleBinding,
    Lease,
    CustomResourceDefinition,
)
"""Kubernetes' own."""
KAGENT: tuple[AnyStruct, ...] = (Agent, ModelConfig, RemoteMCPServer, ModelProviderConfig, MCPServer)
"""kagent's, with upstream's defaults, which are written into objects as upstream does it."""
OWN: tuple[AnyStruct, ...] = (Backend, Model, VirtualServer, Policy, GatewayParameters, GatewayStatus, Source)
"""Ours. Their defaults stay out of objects: what stands in for a missing field is said by the version that reads it."""
GATEWAY: tuple[AnyStruct, ...] = (GatewayClass, Gateway, HTTPRoute, ReferenceGrant, OlderReferenceGrant)
"""The Gateway API's, with its defaults."""
DIRECTORY: tuple[AnyStruct, ...] = (Tool, DiscoveredServer, DiscoveredModel, DiscoveredAgent)
"""What was found."""
SERVED: tuple[AnyStruct, ...] = (*BUILTIN, *KAGENT, *OWN, *GATEWAY, *DIRECTORY)
"""All of them, in the order clients find them."""


def struct_named(name: str) -> AnyStruct | None:
    """The struct of the kind called `name`: its kind, plural, singular or a short name. None when there is none."""
    lower = name.lower()
    for struct in SERVED:
        served: Served = getattr(struct, "SERVED")  # noqa: B009 - structs in general have none
        if lower in (served.plural, identity(struct)[1].lower(), *served.short_names):
            return struct
    return None
