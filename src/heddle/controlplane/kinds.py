"""All kinds that the resource API serves, and in which order clients find them.

kubectl resolves a bare name (`agents`, `models`) to the first group that has it, so groups stand here in the order in
which people should meet them: Kubernetes' own, then what is declared (kagent.dev, heddle.dev, Gateway API), then what
is generated.
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
from heddle.model.resources_events import NewerEvent
from heddle.model.resources_gateway import Gateway
from heddle.model.resources_heddle import Backend, GatewayParameters, Model, Policy, VirtualServer
from heddle.model.resources_kagent import Agent
from heddle.model.resources_kagent_models import ModelConfig, ModelProviderConfig
from heddle.model.resources_mcp import MCPServer, RemoteMCPServer
from heddle.model.resources_source import Source

_BUILTIN: tuple[AnyStruct, ...] = (
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
_UPSTREAM: tuple[AnyStruct, ...] = (Agent, ModelConfig, RemoteMCPServer, ModelProviderConfig, MCPServer, Gateway)
"""Kinds of others, with their defaults, which are written into objects as they do it."""
_OWN: tuple[AnyStruct, ...] = (Backend, Model, VirtualServer, Policy, GatewayParameters, Source)
"""Ours. Their defaults stay out of objects: what stands in for a missing field is said by the version that reads it."""


@cache
def served_kinds() -> Kinds:
    """Everything that is served; made once."""
    upstream = [kind_of(one) for one in (*_BUILTIN, *_UPSTREAM)]
    return Kinds([*upstream, *(kind_of(one, defaults=False) for one in _OWN)])
