"""MCP of the snapshot: tool servers behind the gateway (targets), and the virtual servers that callers see."""

from typing import Literal

import msgspec

from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_mcp_auth import CredentialsSpec, NoTargetAuth, TargetAuthSpec

Severity = Literal["schema_widened", "instructions", "added", "schema_narrowed", "wording"]
"""How a definition changed, the worst first."""
ON_CHANGE: dict[Severity, Literal["allow", "warn", "quarantine"]] = {
    "schema_widened": "quarantine",
    "instructions": "quarantine",
    "added": "warn",
    "schema_narrowed": "warn",
    "wording": "warn",
}


class StdioSpec(msgspec.Struct, frozen=True, kw_only=True, tag="stdio"):
    """A tool server that the stdio host runs as a child process."""

    command: tuple[str, ...]
    env: dict[str, Secret] = {}
    """Variables it gets, resolved; may hold secrets."""
    pass_env: tuple[str, ...] = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    """Variables of the stdio host that it gets too."""
    cwd: str = ""
    """Working directory; empty is the state directory's."""
    isolation: Literal["session", "shared"] = "session"
    """`session`: a child for each session of a caller; sessionless calls of one caller share one."""
    max_children: int = 32
    idle_s: float = 300.0
    """A child without calls for so long is stopped; 0 keeps it."""
    start_timeout_s: float = 30.0
    stop_grace_s: float = 2.0
    memory_bytes: int = 0
    """Address space; 0 is no limit."""
    cpu_s: int = 0
    """Seconds of CPU; 0 is no limit."""
    open_files: int = 0
    """0 is the host's own limit."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class HttpSpec(msgspec.Struct, frozen=True, kw_only=True, tag="http"):
    """Streamable HTTP, of either era."""

    url: str
    headers: dict[str, Secret] = {}
    """Fields of every request; may hold secrets."""
    ca_file: str = ""
    proxy: str = ""
    max_connections: int = 1_000

    def __repr__(self) -> str:
        return hidden_repr(self)


class SseSpec(msgspec.Struct, frozen=True, kw_only=True, tag="sse"):
    """HTTP+SSE of 2024-11-05."""

    url: str
    headers: dict[str, Secret] = {}
    ca_file: str = ""
    proxy: str = ""
    max_connections: int = 1_000

    def __repr__(self) -> str:
        return hidden_repr(self)


class OpenApiSpec(msgspec.Struct, frozen=True, kw_only=True, tag="openapi"):
    """An HTTP API that is described by an OpenAPI document."""

    document: str
    """The document as JSON text, read and checked when the configuration was."""
    base_url: str
    """Stands in place of every `servers` of the document."""
    headers: dict[str, Secret] = {}
    ca_file: str = ""
    proxy: str = ""
    max_connections: int = 1_000
    operations: tuple[str, ...] = ()
    """Globs of operation ids to offer; empty offers all."""
    exclude: tuple[str, ...] = ()
    """Globs of operation ids not to offer."""
    deprecated: bool = False
    """Deprecated operations are offered too."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class SafetySpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a target's definitions must pass before callers see them."""

    pin: Literal["first_use", "manual", "off"] = "first_use"
    """`first_use` takes what is seen first for approved; `manual` holds everything back until it is approved."""
    poisoning: Literal["off", "warn", "quarantine", "block"] = "quarantine"
    """`block` holds back what was approved too."""
    on_change: dict[Severity, Literal["allow", "warn", "quarantine"]] = msgspec.field(
        default_factory=lambda: dict(ON_CHANGE)
    )
    ignore: tuple[str, ...] = ()
    """Names of rules that do not count."""


class McpHealthSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Active health checks; times in seconds."""

    interval_s: float = 10.0
    """0 turns active checks off."""
    timeout_s: float = 3.0
    unhealthy_after: int = 3
    """Failed checks or calls in a row."""
    healthy_after: int = 1


class McpTimeoutSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines of calls to a target, in seconds; 0 turns one off."""

    connect_s: float = 5.0
    call_s: float = 60.0
    """Longest silence inside a call: progress and messages begin it anew."""
    total_s: float = 600.0
    list_s: float = 10.0
    """Of discovery and lists: how long one target may hold up the lists of all."""


class McpTargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool server behind the gateway."""

    name: str
    connect: StdioSpec | HttpSpec | SseSpec | OpenApiSpec
    auth: TargetAuthSpec = NoTargetAuth()
    """What it is called with, beside its `headers`."""
    version: str = ""
    """Protocol version to speak; empty finds out: `server/discover` first, then `initialize`."""
    timeouts: McpTimeoutSpec = McpTimeoutSpec()
    health: McpHealthSpec = McpHealthSpec()
    safety: SafetySpec = SafetySpec()
    max_concurrent: int = 0
    """Calls under way in one worker; more are refused. 0 is no limit."""
    refresh_s: float = 300.0
    """How old a list may be before it is asked for again, where the target does not say."""
    per_caller: bool = False
    """Lists differ from caller to caller: they are kept for each. Always so with credentials of callers."""
    credential_error: str = ""
    """Why a value that it needs (a header, a variable) could not be had: names it, never the value. Calls to it are
    refused, and it is not started."""
    source: str = ""
    """Where it was declared (`file:line`), for messages."""


class ArgumentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one argument of a tool."""

    fixed: str = ""
    """JSON text of the value it always has; callers neither see nor set it. Empty fixes nothing."""
    default: str = ""
    """JSON text of the value it has when callers leave it out. Empty is none."""
    hidden: bool = False
    """Callers neither see nor set it."""
    description: str = ""
    """Replaces the target's; empty keeps it."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One tool, or those a pattern means, as a virtual server offers it."""

    name: str
    """The target's own name, or a glob."""
    alias: str = ""
    """Name that callers see instead, before any prefix; only for an exact name."""
    title: str = ""
    description: str = ""
    annotations: dict[str, object] = {}
    """Added to, and winning over, the target's."""
    arguments: dict[str, ArgumentSpec] = {}
    timeout_s: float = 0.0
    """0 is the target's."""
    max_concurrent: int = 0
    """0 is no limit of its own."""
    cost_usd: float = 0.0
    """Of one call."""
    scopes: tuple[str, ...] = ()
    """OAuth scopes that its callers need, all of them."""


class ServerTargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A target's part in a virtual server."""

    target: str
    prefix: str | None = None
    """None leaves it to the server; empty is none."""
    tools: tuple[ToolSpec, ...] | None = None
    """Those that are offered; None offers all."""
    hide: tuple[str, ...] = ()
    """Globs of tools that are not."""
    prompts: tuple[str, ...] | None = None
    """Globs; None offers all, an empty tuple none."""
    resources: tuple[str, ...] | None = None
    """Globs of URIs; None offers all, an empty tuple none."""
    fallbacks: tuple[str, ...] = ()
    """Targets that serve the same, asked in order while this one is unhealthy."""


class VersionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a tool."""

    version: str
    target: str
    tool: str
    weight: int = 1
    """Share of the callers that do not name a version; 0 is called by name only."""


class VersionedToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool with versions: called by its name, one is chosen by weight and caller; `name@version` names one."""

    name: str
    versions: tuple[VersionSpec, ...]


class SearchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`find_tools` and `call_tool` in place of, or beside, the tools themselves."""

    replace: bool = True
    """Lists show the two only; tools can be called by name all the same."""
    limit: int = 8
    """Most tools in one answer."""


class ResourceServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The virtual server as an OAuth protected resource (RFC 9728)."""

    authorization_servers: tuple[str, ...]
    resource: str = ""
    """Canonical URI; empty is made from the request's host and path."""
    scopes: tuple[str, ...] = ()
    """Scopes that every caller needs."""
    implied: dict[str, tuple[str, ...]] = {}
    """Scope -> those it includes."""


class McpServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual server: what callers see at one path. Its rules are in `Snapshot.authorization`, level
    `server:<name>`."""

    name: str
    path: str
    """`/mcp` or `/mcp/<name>`."""
    targets: tuple[ServerTargetSpec, ...] = ()
    prefix: Literal["auto", "always", "never"] = "auto"
    on_target_failure: Literal["degrade", "fail"] = "degrade"
    versions: tuple[VersionedToolSpec, ...] = ()
    search: SearchSpec | None = None
    title: str = ""
    instructions: str | None = None
    """Replace those of the targets; None joins them."""
    listeners: tuple[str, ...] = ()
    """Listeners it is served on; empty is every one of protocol MCP."""
    oauth: ResourceServerSpec | None = None
    sse: bool = True
    """HTTP+SSE of 2024-11-05 is served too, at `<path>/sse`."""
    source: str = ""


class McpSessionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of callers of the older protocol versions."""

    ttl_s: float = 86_400.0
    """From its start; a token that is older is refused."""
    keys: tuple[Secret, ...] = ()
    """Secrets that session tokens are sealed with, the first for new ones; empty makes and rotates own ones, which
    are this machine's alone."""
    replay_events: int = 256
    """Events of a stream that are kept for a caller that comes back; 0 keeps none."""
    replay_s: float = 300.0

    def __repr__(self) -> str:
        return hidden_repr(self)


class JudgeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A model that says of definitions whether they are there to mislead."""

    url: str
    """Where a chat completion is posted."""
    model: str
    credential: Secret = ""
    """Sent as bearer token; empty sends none."""
    credential_error: str = ""
    """Why the credential could not be had; then nothing is asked."""
    parameters: dict[str, object] = {}
    """Further members of each request."""
    overrules: Literal["all", "medium", "none"] = "all"
    """Up to which severity findings of rules count no longer in what it finds harmless."""
    on_error: Literal["quarantine", "rules"] = "quarantine"
    timeout_s: float = 30.0
    max_concurrent: int = 8
    """Questions under way in one worker; no target has more than half of them."""
    max_per_hour: int = 1_000
    """Requests about one target, of one worker."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class McpSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about MCP."""

    targets: tuple[McpTargetSpec, ...] = ()
    servers: tuple[McpServerSpec, ...] = ()
    sessions: McpSessionSpec = McpSessionSpec()
    credentials: CredentialsSpec = CredentialsSpec()
    judge: JudgeSpec | None = None
