"""All kinds that the resource API serves, and in which order clients find them.

kubectl resolves a bare name (`agents`, `models`) to the first group that has it, so groups stand here in the order in
which people should meet them: Kubernetes' own, then what is declared (kagent.dev, heddle.dev, Gateway API), then what
is generated (`resources_directory` says why its names are what they are). Of a group's versions the first is preferred,
and is the one objects are stored in.

Owns the two places where one set of objects is seen through two kinds: events, and the versions of a kind.
"""

from functools import cache
from typing import Any

from heddle.model.crd import crds_of, kind_of
from heddle.model.fielddocs import AnyStruct
from heddle.model.kinds import Kind, Kinds
from heddle.model.resources_access import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from heddle.model.resources_cluster import Event, Namespace, Service, ServiceAccount
from heddle.model.resources_coordination import Lease
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_crd import CustomResourceDefinition
from heddle.model.resources_directory import DiscoveredAgent, DiscoveredModel, DiscoveredServer, Tool
from heddle.model.resources_events import NewerEvent, newer, older
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


def as_stored(found: dict[str, Any], kinds: Kinds) -> dict[str, Any]:
    """An object as it is kept: in the first version of its kind, an event as a v1 one. Not changed itself."""
    kind = kinds.of(found["apiVersion"], found["kind"])
    if kind is None:
        return found
    if kind.stored_as == "events":
        return older(found) if kind.group else found
    first = kinds.resource(kind.resource)
    if first is None or first.api_version == found["apiVersion"]:
        return found
    return {**found, "apiVersion": first.api_version}


def as_served(stored: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """A stored object as it is seen through a kind. Not changed itself."""
    if stored["apiVersion"] == kind.api_version:
        return stored
    if kind.stored_as == "events":
        return newer(stored)
    return {**stored, "apiVersion": kind.api_version}


@cache
def served_definitions() -> tuple[dict[str, Any], ...]:
    """The CustomResourceDefinitions that clients read: of every kind that is not Kubernetes' own, as established ones.
    `metadata` has the name only; the API gives them the rest."""
    return tuple(one | {"status": _established(one)} for one in crds_of(served_kinds()))


def _established(definition: dict[str, Any]) -> dict[str, Any]:
    spec = definition["spec"]
    since = "1970-01-01T00:00:00Z"
    conditions = [
        {"type": "NamesAccepted", "reason": "NoConflicts", "message": "no conflicts found"},
        {"type": "Established", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"},
    ]
    return {
        "conditions": [{**one, "status": "True", "lastTransitionTime": since} for one in conditions],
        "acceptedNames": spec["names"],
        "storedVersions": [one["name"] for one in spec["versions"] if one["storage"]],
    }
