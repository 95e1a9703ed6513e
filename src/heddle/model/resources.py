"""All kinds, by the name they are declared under, and a resource together with where it was declared."""

from typing import NamedTuple

from heddle.model.problem import Place, Source
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_gateway import GATEWAY_VERSION, Gateway
from heddle.model.resources_heddle import HEDDLE_VERSION, Backend, GatewayParameters, Model, Policy, VirtualServer
from heddle.model.resources_mcp import KAGENT_SERVER_VERSION, KAGENT_VERSION, MCPServer, RemoteMCPServer

AnyResource = (
    Gateway
    | Backend
    | Model
    | VirtualServer
    | Policy
    | GatewayParameters
    | SecretResource
    | ConfigMap
    | RemoteMCPServer
    | MCPServer
)

KINDS: dict[tuple[str, str], type[AnyResource]] = {
    (GATEWAY_VERSION, "Gateway"): Gateway,
    (HEDDLE_VERSION, "Backend"): Backend,
    (HEDDLE_VERSION, "Model"): Model,
    (HEDDLE_VERSION, "VirtualServer"): VirtualServer,
    (HEDDLE_VERSION, "Policy"): Policy,
    (HEDDLE_VERSION, "GatewayParameters"): GatewayParameters,
    ("v1", "Secret"): SecretResource,
    ("v1", "ConfigMap"): ConfigMap,
    (KAGENT_VERSION, "RemoteMCPServer"): RemoteMCPServer,
    (KAGENT_SERVER_VERSION, "MCPServer"): MCPServer,
}
"""(apiVersion, kind) -> struct."""

LATER_GROUPS = ("kagent.dev",)
"""API groups whose other resources are recognised, and not active yet."""


class Declared(NamedTuple):
    """A resource and the text it came from."""

    resource: AnyResource
    source: Source
    moved: dict[str, str]
    """Path in the resource -> path in the short form it was expanded from; empty for a resource written as one."""

    def place(self, path: str) -> Place:
        """Where what stands at `path` of the resource was written."""
        return Place(self.source, self.moved.get(path, path))
