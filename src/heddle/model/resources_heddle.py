"""heddle.dev/v1alpha1: Backend, Model, VirtualServer, Policy, GatewayParameters.

The payload structs are those of the short form, so that both say the same thing and are checked by the same rules.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Name, Part, TrustDomain
from heddle.model.config_budgets import Budget, Ledger, Price, State
from heddle.model.config_caching import Cache
from heddle.model.config_guards import Guard
from heddle.model.config_listeners import Admin, ListenerSettings
from heddle.model.config_llm import Media, ModelEntry, Provider, Retry
from heddle.model.config_mcp import McpServer, McpSessions
from heddle.model.config_mcp_auth import Credentials
from heddle.model.config_mcp_judge import Judge
from heddle.model.config_mcp_targets import McpTarget
from heddle.model.config_observability import Observability
from heddle.model.config_policies import AuthorizationPolicy, RateLimit
from heddle.model.config_security import Authentication
from heddle.model.kube import AGE, ATOMIC, Served, column, condition, rule, shaped
from heddle.model.meta import Resource, TargetRef
from heddle.model.resources_status import ResourceStatus

_Version = Literal["heddle.dev/v1alpha1"]
HEDDLE_VERSION: _Version = "heddle.dev/v1alpha1"


class BackendSpec(Part, frozen=True, kw_only=True):
    """What a backend is: exactly one of its kinds."""

    RULES: ClassVar = (rule("has(self.provider) != has(self.mcp)", "expected exactly one of provider, mcp"),)
    provider: Provider | None = None
    """A provider of models."""
    mcp: McpTarget | None = None
    """A tool server."""


class Backend(Resource, frozen=True, kw_only=True):
    """The end of a route: a provider of models, or a tool server."""

    SERVED: ClassVar = Served(
        "backends",
        short_names=("be",),
        categories=("heddle",),
        columns=(condition("Accepted"), AGE),
        has_status=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["Backend"]
    """Kind."""
    spec: BackendSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""


class Model(Resource, frozen=True, kw_only=True):
    """A name callers may use, and the backend that it leads to."""

    SERVED: ClassVar = Served(
        "models",
        categories=("heddle",),
        columns=(column("Provider", ".spec.provider"), condition("Accepted"), condition("Ready"), AGE),
        has_status=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["Model"]
    """Kind."""
    spec: ModelEntry
    """What it is; `provider` names a Backend."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""


class VirtualServer(Resource, frozen=True, kw_only=True):
    """What MCP clients see at one path: tools of several backends, as one server."""

    SERVED: ClassVar = Served(
        "virtualservers",
        short_names=("vs",),
        categories=("heddle",),
        columns=(column("Path", ".spec.path"), condition("Accepted"), condition("Ready"), AGE),
        has_status=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["VirtualServer"]
    """Kind."""
    spec: McpServer
    """What it is; `targets` name Backends with `mcp`."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""


_CONCERNS = ("authorization", "rateLimit", "guard", "cache", "budget", "prices", "retry", "media", "observability")
"""Those a rule can see: `authentication` is one section or a list of them, which schemas cannot say."""
_ONE_CONCERN = f"[{', '.join(f'has(self.{one})' for one in _CONCERNS)}].filter(given, given).size() <= 1"


class PolicySpec(Part, frozen=True, kw_only=True):
    """Exactly one concern, and what it is attached to."""

    RULES: ClassVar = (rule(_ONE_CONCERN, "expected exactly one concern; give each its own Policy"),)
    target_refs: Annotated[tuple[TargetRef, ...], msgspec.Meta(max_length=16), ATOMIC] = ()
    """Gateways or listeners it holds for; none is everywhere. Only authorization can be attached yet."""
    authentication: Authentication | tuple[Authentication, ...] | None = None
    """Who may call."""
    authorization: AuthorizationPolicy | None = None
    """Who may do what."""
    rate_limit: RateLimit | None = None
    """How much of it."""
    guard: Guard | None = None
    """What may be said."""
    cache: Cache | None = None
    """Which answers are kept."""
    budget: Budget | None = None
    """What may be spent."""
    prices: tuple[Price, ...] | None = None
    """What models cost."""
    retry: Retry | None = None
    """What happens when a target of a model fails."""
    media: Media | None = None
    """Images and documents by URL."""
    observability: Observability | None = None
    """Where traces and records go."""


class Policy(Resource, frozen=True, kw_only=True):
    """One concern around calls: authentication, authorization, a limit, a budget, a guard and others."""

    SERVED: ClassVar = Served(
        "policies",
        short_names=("pol",),
        categories=("heddle",),
        columns=(column("Targets", ".spec.targetRefs[*].name"), condition("Accepted"), AGE),
        has_status=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["Policy"]
    """Kind."""
    spec: PolicySpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""


class ListenerParameters(ListenerSettings, frozen=True, kw_only=True):
    """Settings of one listener."""

    name: Name
    """Name of the listener in the gateway."""


class GatewayParametersSpec(Part, frozen=True, kw_only=True):
    """What the Gateway API has no field for."""

    trust_domain: TrustDomain = ""
    """Trust domain of workload identities. Unset is `heddle.local`."""
    admin: Admin | None = None
    """Where administration is served."""
    listeners: tuple[ListenerParameters, ...] = ()
    """Settings by listener."""
    ledger: Ledger | None = None
    """The record of what was spent."""
    state: State | None = None
    """Where limits and budgets are counted, and what workers remember for each other."""
    mcp_sessions: McpSessions | None = None
    """Sessions of MCP clients of the older protocol versions."""
    mcp_credentials: Credentials | None = None
    """Credentials of callers for tool servers."""
    mcp_judge: Judge | None = None
    """A model that reads definitions of tool servers before any agent does."""


class GatewayParameters(Resource, frozen=True, kw_only=True):
    """Further settings of a Gateway, which names it in `infrastructure.parametersRef`."""

    SERVED: ClassVar = Served(
        "gatewayparameters",
        short_names=("gwp",),
        categories=("heddle",),
        columns=(condition("Accepted"), AGE),
        has_status=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["GatewayParameters"]
    """Kind."""
    spec: GatewayParametersSpec
    """The settings."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""
