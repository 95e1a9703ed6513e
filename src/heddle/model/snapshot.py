"""The compiled, immutable configuration that a gateway runs: the contract between the two planes.

The control plane builds it from resources; a gateway decodes it, builds its routes from it and swaps
it in, or refuses it and keeps the old one. It carries resolved secrets and so never leaves
the processes of one mesh unencrypted, and is never printed.
"""

from typing import Literal

import msgspec

from heddle.model.prices import PriceTable
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_budgets import BudgetSpec, LedgerSpec, StateSpec
from heddle.model.snapshot_caching import CacheSpec
from heddle.model.snapshot_guards import GuardSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.model.snapshot_mcp import McpSpec
from heddle.model.snapshot_routes import RouteSpec
from heddle.model.snapshot_timeouts import TimeoutSpec as TimeoutSpec  # noqa: PLC0414 - given on to those who read this

SERVED_PROTOCOLS = frozenset({"HTTP", "MCP"})
"""Listener protocols that are bound; the others are checked, stored, and reported as not active."""


class TlsSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Server side TLS of a listener. Files are read when the listener is built and on each reload."""

    cert_file: str
    key_file: str
    client_ca_file: str = ""
    """PEM bundle that client certificates must chain to; empty means that none is asked for."""


class ListenerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what one listener accepts. Times in seconds, sizes in bytes."""

    max_connections: int = 10_000
    max_connections_per_address: int = 2_000
    head_timeout_s: float = 10.0
    """From the first byte (or accept) to the end of the request head."""
    body_timeout_s: float = 60.0
    """From the end of the head to the end of the request body."""
    idle_timeout_s: float = 60.0
    """Between two requests on a kept connection."""
    write_timeout_s: float = 30.0
    """How long a full write buffer may take to drain before the reader counts as stalled."""
    max_body_bytes: int = 16 * 1024 * 1024


class ListenerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One listening socket."""

    name: str
    address: str
    port: int
    protocol: str
    """`HTTP` serves the model dialects; other protocols are declared but not bound yet."""
    tls: TlsSpec | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose `X-Forwarded-For` is believed; empty believes none."""
    hostnames: tuple[str, ...] = ()
    """Accepted Host names; empty means any, but loopback names only on a loopback address (DNS rebinding)."""
    origins: tuple[str, ...] = ()
    """Origins a browser may call from; empty means none but loopback ones on a loopback address."""
    limits: ListenerLimits = ListenerLimits()


class AdminSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where /healthz, /readyz, /metrics and /config are served."""

    address: str = "127.0.0.1"
    port: int = 9090


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where models live, and with which credential they are reached."""

    name: str
    type: str
    """A key of `plugins.PROVIDERS`: `openai` or `scripted`."""
    base_url: str = ""
    credential: str = ""
    """The resolved secret; empty when none is configured."""
    credential_error: str = ""
    """Why a configured secret could not be resolved (names it, never its value); calls then answer 503."""
    timeouts: TimeoutSpec = TimeoutSpec()
    proxy: str = ""
    """`http://host:port` of a forward proxy; empty connects directly."""
    ca_file: str = ""
    """PEM bundle to trust instead of the system's."""
    max_connections: int = 1_000
    options: dict[str, object] = {}
    """Fields of the provider type itself, already validated (the pace of `scripted`, say)."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One place a model can lead to."""

    provider: str
    model: str = ""
    """Upstream name; empty keeps the caller's."""
    weight: int = 1
    priority: int = 0
    """Lower first."""
    when: str = ""
    """CEL; empty is true."""
    first_token_s: float = 0.0
    """Longest wait for the first token of a stream; 0 is no bound of its own."""


class MediaSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway may fetch for a provider that does not fetch by itself."""

    hosts: tuple[str, ...] = ()
    """Globs of host names; empty fetches nothing."""
    networks: tuple[str, ...] = ()
    """Networks (CIDR) that may be asked although they are not public."""
    max_bytes: int = 20 * 1024 * 1024
    """Of all files of one call together."""
    timeout_s: float = 10.0


class RetrySpec(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a target fails before anything of its answer was seen."""

    attempts: int = 3
    same_target: bool = False
    budget: float = 0.2
    """Most further attempts per call, over time."""
    cooldown_s: float = 30.0
    """0 turns it off."""
    cooldown_after: int = 3


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A name callers may use, perhaps a glob such as `claude-*`, and where it leads."""

    name: str
    provider: str = ""
    """Empty with `targets`."""
    model: str = ""
    """Upstream name; empty keeps the caller's."""
    max_output_tokens: int = 0
    """Most tokens the model can generate in one choice; 0 means unknown."""
    targets: tuple[TargetSpec, ...] = ()
    """Of a virtual model; empty leads to `provider` and `model`."""
    aliases: tuple[str, ...] = ()
    """Further names or globs."""
    access: MatchSpec | None = None
    """Who may use it; None leaves that to keys and policies."""
    retry: RetrySpec = RetrySpec()
    defaults: dict[str, object] = {}
    """Parameters by their canonical names, for calls that do not state them."""
    overrides: dict[str, object] = {}
    system: str = ""
    """Instructions that stand before the caller's."""
    source: str = ""
    """Where it was declared (`file:line`), for messages."""


class KeySpec(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, known only by its digest."""

    sha256: str
    """Lower-case hex SHA-256 of the key."""
    user: str = ""
    tenant: str = ""
    agent: str = ""
    models: tuple[str, ...] | None = None
    """Glob patterns; None is no bound, an empty tuple allows no model."""
    expires_at_s: float = 0.0
    """Unix time after which the key is refused; 0 never."""
    metadata: dict[str, object] = {}

    def __repr__(self) -> str:
        return hidden_repr(self)


class ApiKeyAuthn(msgspec.Struct, frozen=True, kw_only=True, tag="api_key"):
    """Keys, sent as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`."""

    keys: tuple[KeySpec, ...] = ()
    virtual: bool = False
    """Those made at run time are accepted too."""


class ClaimNames(msgspec.Struct, frozen=True, kw_only=True):
    """Which claim of a token says what; a dotted name descends into objects. Empty reads nothing."""

    user: str = "sub"
    tenant: str = ""
    agent: str = ""


class JwksSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where the verification keys of an issuer come from: exactly one of file, url and inline."""

    file: str = ""
    url: str = ""
    inline: str = ""
    refresh_s: float = 300.0


class IssuerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A token issuer: `iss` and `aud` are compared exactly, algorithms only from the list."""

    issuer: str
    audiences: tuple[str, ...]
    jwks: JwksSpec
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    claims: ClaimNames = ClaimNames()
    leeway_s: float = 30.0


class JwtAuthn(msgspec.Struct, frozen=True, kw_only=True, tag="jwt"):
    """Bearer JWTs of the listed issuers."""

    issuers: tuple[IssuerSpec, ...] = ()


class KubernetesAuthn(msgspec.Struct, frozen=True, kw_only=True, tag="kubernetes"):
    """Service-account tokens: by TokenReview inside a cluster, by the issuer's keys outside."""

    allowed_namespaces: tuple[str, ...] | None = None
    """Namespaces whose accounts may authenticate; None allows every namespace."""
    audiences: tuple[str, ...] = ()
    issuer: IssuerSpec | None = None
    """Set when tokens are verified locally; None asks the API server (TokenReview)."""
    api_server: str = ""
    """Base URL for TokenReview; empty reads the in-cluster environment."""
    token_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
    ca_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


class NoAuthn(msgspec.Struct, frozen=True, kw_only=True, tag="none"):
    """Everybody is anonymous; only loopback addresses may be bound with it."""


Authn = ApiKeyAuthn | JwtAuthn | KubernetesAuthn | NoAuthn


class AuthzRule(msgspec.Struct, frozen=True, kw_only=True):
    """One authorization policy of a level. See architecture.md, "Authorization, everywhere the same"."""

    name: str
    action: Literal["allow", "deny"]
    level: str = "global"
    """`global`, `listener:<name>`, `server:<name>` (a virtual server) or `target:<name>` (a tool server)."""
    match: MatchSpec = MatchSpec()
    resources: tuple[str, ...] = ()
    """`model:`, `server:`, `tool:`, `prompt:` or `resource:` and a glob; empty means every resource of the call's
    kind."""
    when: str = ""
    """CEL over `principal`, `call`, `request`, `source`; empty is true."""
    mode: Literal["enforce", "audit"] = "enforce"
    source: str = ""
    """Where it was declared (`file:line`), for messages."""


class LimitSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A keyed limit over a fixed, UTC-aligned window."""

    name: str
    limit: int
    window_s: int
    limit_by: Literal["requests", "tokens"]
    match: MatchSpec = MatchSpec()
    key: tuple[str, ...] = ()
    """Any of `tenant`, `user`, `agent`, `model`, `key`, `server`, `tool`; each combination has its own count. Empty is
    one count for all that match. `model` is of calls to models only, `server` and `tool` of calls to tools."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    """What a token limit holds before the call: input bytes plus the stated maximum, or a learned estimate."""


class TracingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where spans go. Without `endpoint` none are recorded; trace headers are passed on all the same."""

    enabled: bool = False
    protocol: Literal["grpc", "http"] = "grpc"
    endpoint: str = ""
    """`host:port`, or a URL."""
    insecure: bool = True
    headers: dict[str, str] = {}
    propagation: tuple[str, ...] = ("w3c", "b3")
    sample_ratio: float = 1.0
    """Share of traces that are recorded; a caller's own decision wins once it has proven who it is."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class SinkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One place that access and audit records are written to."""

    type: Literal["stdout", "file", "elasticsearch"]
    path: str = ""
    endpoint: str = ""
    index: str = ""
    username: str = ""
    password: str = ""
    api_key: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return hidden_repr(self)


class LoggingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Access and audit records."""

    enabled: bool = True
    sinks: tuple[SinkSpec, ...] = ()
    bodies: bool = False
    """Record prompts and completions; off, because they are the callers' data."""


class ObservabilitySpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that tells what happened."""

    tracing: TracingSpec = TracingSpec()
    logging: LoggingSpec = LoggingSpec()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a gateway needs to serve. Compare `version`, not contents."""

    version: str
    """Content digest, 16 hex digits: the same configuration has the same version."""
    trust_domain: str = "heddle.local"
    listeners: tuple[ListenerSpec, ...] = ()
    admin: AdminSpec = AdminSpec()
    providers: tuple[ProviderSpec, ...] = ()
    media: MediaSpec = MediaSpec()
    models: tuple[ModelSpec, ...] = ()
    """Empty means that any name goes to the sole provider."""
    authentication: tuple[Authn, ...] = ()
    authorization: tuple[AuthzRule, ...] = ()
    limits: tuple[LimitSpec, ...] = ()
    budgets: tuple[BudgetSpec, ...] = ()
    guards: tuple[GuardSpec, ...] = ()
    caching: tuple[CacheSpec, ...] = ()
    ledger: LedgerSpec = LedgerSpec()
    state: StateSpec = StateSpec()
    mcp: McpSpec = McpSpec()
    routes: tuple[RouteSpec, ...] = ()
    """Rules of HTTPRoutes. No listener serves them yet."""
    observability: ObservabilitySpec = ObservabilitySpec()
    prices: dict[str, PriceTable] = {}
    """By provider name; a provider without a table has no known prices."""
    files: dict[str, str] = {}
    """Certificates, keys and CA bundles that gateways read: path and digest of the contents, 16 hex digits, empty for
    one that cannot be read. A renewed certificate is another version."""
