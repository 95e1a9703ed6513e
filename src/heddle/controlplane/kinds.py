"""All kinds that the resource API serves, and in which order clients find them.

kubectl resolves a bare name (`agents`, `models`) to the first group that has it, so groups stand here in the order in
which people should meet them: Kubernetes' own, then what is declared (kagent.dev, heddle.dev, Gateway API), then what
is generated (`resources_directory` says why its names are what they are). Of a group's versions the first is preferred,
and is the one objects are stored in. Events of both groups, and the versions of a kind, are one set of objects each;
`api/views.py` translates.
"""

from functools import cache

from heddle.model.crd import kind_of
from heddle.model.fielddocs import AnyStruct
from heddle.model.kinds import Kinds
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


@cache
def served_kinds() -> Kinds:
    """Everything that is served; made once."""
    return Kinds(kind_of(one, defaults=one not in OWN) for one in (*BUILTIN, *KAGENT, *OWN, *GATEWAY, *DIRECTORY))
