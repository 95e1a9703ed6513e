"""Routes of HTTPRoutes, and agents, as gateways are told them.

Owns the shapes. Which of them a gateway serves is the data plane's; what it does not serve yet is told all the same, so
that the contract between the planes is whole.
*Source:* Gateway API v1, HTTPRoute.
"""

from typing import Literal

import msgspec


class ValueMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A header or a query parameter that a request must have."""

    name: str
    value: str
    kind: Literal["Exact", "RegularExpression"] = "Exact"


class RouteMatch(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests are meant: everything given must fit."""

    path: str = "/"
    path_kind: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    method: str = ""
    """Empty is any."""
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()


class RouteBackend(msgspec.Struct, frozen=True, kw_only=True):
    """Where a share of the requests goes."""

    kind: Literal["provider", "model", "target", "server", "service", "invalid"]
    """`invalid` could not be resolved: its share is answered 500, as the Gateway API says."""
    name: str
    """As the snapshot calls it; of a service `NAME.NAMESPACE`."""
    port: int = 0
    weight: int = 1
    filters: tuple[dict[str, object], ...] = ()


class RouteSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of an HTTPRoute."""

    name: str
    """`NAMESPACE/NAME#INDEX`, or with the rule's own name."""
    listeners: tuple[str, ...]
    """Those it is attached to, as the snapshot calls them."""
    hostnames: tuple[str, ...] = ()
    """Empty is any."""
    matches: tuple[RouteMatch, ...] = (RouteMatch(),)
    """Any of them; the more specific of two routes wins, then the older."""
    backends: tuple[RouteBackend, ...] = ()
    filters: tuple[dict[str, object], ...] = ()
    """As declared."""
    request_s: float = 0.0
    """Longest time of a whole request; 0 is no bound of its own."""
    backend_request_s: float = 0.0
    retry: dict[str, object] = {}
    """As declared."""
    session: dict[str, object] = {}
    """Session persistence, as declared."""


class AgentModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A ModelConfig: what an agent thinks with."""

    name: str
    """`NAMESPACE/NAME`."""
    provider: str
    model: str
    base_url: str = ""
    api_key: str = ""
    """The secret; empty is none."""
    api_key_error: str = ""
    """Why it could not be had, without its value."""


class AgentToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Tools of one server, or an agent, that an agent may call."""

    kind: str
    """`RemoteMCPServer`, `MCPServer`, `Service` or `Agent`."""
    name: str
    """`NAMESPACE/NAME`."""
    tools: tuple[str, ...] = ()
    """Empty is all of the server's."""
    approval: tuple[str, ...] = ()
    """Those that a person is asked about first."""


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A declared agent, as far as the mesh knows it."""

    name: str
    """`NAMESPACE/NAME`; its principal is `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/NAME`."""
    kind: Literal["Declarative", "BYO"] = "Declarative"
    description: str = ""
    model: str = ""
    """`NAMESPACE/NAME` of its ModelConfig."""
    tools: tuple[AgentToolSpec, ...] = ()
