"""The short form's `mcp.targets`: tool servers behind the gateway, and how each is reached.

*Source:* Model Context Protocol 2026-07-28, "Transports"; OpenAPI 3.0 and 3.1.
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.model.config_base import Count, Duration, File, Name, Part, Pattern, Period, Url
from heddle.model.config_mcp_auth import TargetAuth
from heddle.model.config_policies import ScopedRule

Variable = Annotated[
    str,
    msgspec.Meta(
        description="text, perhaps with `${ENV}`; or `file:path`, `secret:NAME/KEY`, `configmap:NAME/KEY`, `text:TEXT`",
        extra={"secret": True, "plain": True},
    ),
]
"""A value that may be a secret, and often is none: it is never shown; a literal is warned about for its name only."""
Size = Annotated[str, msgspec.Meta(description="size, e.g. `512MiB`", extra={"form": "size"})]
Argument = Annotated[str, msgspec.Meta(max_length=8192)]
EnvName = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ProtocolVersion = Literal["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
Reaction = Literal["allow", "warn", "quarantine"]


class Stdio(Part, frozen=True, kw_only=True):
    """A tool server that is a program: the stdio host runs it as a child process."""

    command: Argument | tuple[Argument, ...] = ()
    """Program and its arguments, as a list; a text is the program alone. Required. No shell reads it."""
    args: tuple[Argument, ...] = ()
    """Further arguments."""
    env: dict[str, Variable] = msgspec.field(default_factory=dict)
    """Variables it gets."""
    pass_env: tuple[EnvName, ...] = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    """Variables of the gateway's own environment that it gets too; all others it does not see."""
    cwd: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    """Working directory, relative to the configuration file. Unset is the state directory's."""
    isolation: Literal["session", "shared"] = "session"
    """`session`: a child for each session of a caller, and calls without session share one per caller. `shared`: one
    child for everybody, for servers that keep nothing between calls."""
    max_children: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 32
    """Most children at once; further sessions are refused."""
    idle: Duration = "5m"
    """A child without calls for so long is stopped. `0s` keeps it."""
    start_timeout: Period = "30s"
    """Until it answers for the first time. Long, because package runners download first."""
    stop_grace: Duration = "2s"
    """Between asking it to end and killing it, with all its children."""
    memory: Size = ""
    """Most address space of a child. Unset is no limit."""
    cpu: Duration = "0s"
    """Most CPU time of a child, in whole seconds. `0s` is no limit."""
    open_files: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    """Most open files of a child. 0 is the host's own limit."""


class Upstream(Part, frozen=True, kw_only=True):
    """What everything reached over HTTP has."""

    headers: dict[str, Variable] = msgspec.field(default_factory=dict)
    """Fields of every request."""
    ca_file: File = ""
    """PEM bundle to trust instead of the system's. Relative to the configuration file."""
    proxy: Url = ""
    """`http://host:port` of a forward proxy. Unset connects directly."""
    max_connections: Count = 1_000
    """Most connections per worker; further calls wait for one."""


class Http(Upstream, frozen=True, kw_only=True):
    """A tool server that speaks streamable HTTP, of any protocol version."""

    url: Url
    """Its endpoint, e.g. `http://127.0.0.1:9301/mcp`."""


class Sse(Upstream, frozen=True, kw_only=True):
    """A tool server that speaks HTTP+SSE of 2024-11-05."""

    url: Url
    """Address of its event stream, e.g. `http://127.0.0.1:9302/sse`."""


class ApiDocument(Part, frozen=True, kw_only=True):
    """Where an OpenAPI document comes from: exactly one of `file`, `url` and `inline`."""

    file: File = ""
    """File, JSON or YAML. Relative to the configuration file."""
    url: Url = ""
    """https, or http on loopback; read when the configuration is. Redirects are not followed."""
    inline: str | dict[str, Any] = ""
    """The document itself, as a mapping or as text."""


class OpenApi(Upstream, frozen=True, kw_only=True):
    """An HTTP API, each of its operations a tool."""

    schema: ApiDocument = ApiDocument()
    """Its description, OpenAPI 3.0 or 3.1. Required."""
    base_url: Url = ""
    """Where the API is, in place of every `servers` of the document. Unset is the document's first server; then no
    path may have servers of its own."""
    operations: tuple[Pattern, ...] = ()
    """Operation ids to offer, patterns allowed. Empty offers all."""
    exclude: tuple[Pattern, ...] = ()
    """Operation ids not to offer, patterns allowed."""
    deprecated: bool = False
    """Offer deprecated operations too."""


class McpTimeouts(Part, frozen=True, kw_only=True):
    """Deadlines of calls to a target. `0s` turns one off."""

    connect: Duration = "5s"
    """Until the connection, with TLS, stands."""
    call: Duration = "60s"
    """Longest silence inside a call: progress and messages begin it anew."""
    total: Duration = "10m"
    """The whole call."""
    list: Duration = "10s"
    """Discovery and lists: how long one target may hold up the lists of all."""


class McpHealth(Part, frozen=True, kw_only=True):
    """Active health checks of a target."""

    interval: Duration = "10s"
    """Between two checks. `0s` turns them off: then only calls tell."""
    timeout: Period = "3s"
    """Longest wait for one."""
    unhealthy_after: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    """Failed checks or calls in a row until the target is left alone."""
    healthy_after: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    """Good checks in a row until it is called again."""


class OnChange(Part, frozen=True, kw_only=True):
    """What becomes of a definition that differs from the one that was approved, by the worst of its changes."""

    schema_widened: Reaction = "quarantine"
    """Arguments take more than before, or there are more of them."""
    instructions: Reaction = "quarantine"
    """New text that reads like instructions to the model."""
    added: Reaction = "warn"
    """Something that was not there when the target was approved."""
    schema_narrowed: Reaction = "warn"
    """Arguments take less than before."""
    wording: Reaction = "warn"
    """Anything else."""


class Safety(Part, frozen=True, kw_only=True):
    """What definitions of a target must pass before callers see them."""

    pin: Literal["first_use", "manual", "off"] = "first_use"
    """`first_use` takes what is seen first for approved; `manual` holds everything back until `heddle tools approve`;
    `off` compares nothing."""
    poisoning: Literal["off", "warn", "quarantine", "block"] = "quarantine"
    """What a finding of the poisoning checks does. `block` holds back what was approved too."""
    on_change: OnChange = OnChange()
    """What a change does."""
    ignore: tuple[Pattern, ...] = ()
    """Names of rules of the poisoning checks that do not count here."""


class McpTarget(Part, frozen=True, kw_only=True):
    """A tool server behind the gateway: exactly one of `stdio`, `http`, `sse` and `openapi` says how it is reached."""

    name: Name = ""
    """Unique; virtual servers, policies and metrics name the target by it. A Backend resource takes it from its
    metadata."""
    stdio: Stdio | None = None
    """A program."""
    http: Http | None = None
    """Streamable HTTP."""
    sse: Sse | None = None
    """HTTP+SSE of 2024-11-05."""
    openapi: OpenApi | None = None
    """An HTTP API."""
    auth: TargetAuth | None = None
    """Credential that it is called with. Unset is none but what `headers` say; a caller's own token is never passed
    on."""
    version: ProtocolVersion | None = None
    """Protocol version to speak. Unset finds out."""
    timeouts: McpTimeouts = McpTimeouts()
    """Deadlines."""
    health: McpHealth = McpHealth()
    """Active health checks."""
    safety: Safety = Safety()
    """Pinning and poisoning checks of its definitions."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Most calls under way in one worker; more are refused. 0 is no limit."""
    refresh: Period = "5m"
    """How old a list may be before it is asked for again, where the target does not say."""
    per_caller: bool = False
    """Its lists differ from caller to caller, so they are kept for each. Always so with credentials of callers."""
    authorization: tuple[ScopedRule, ...] = ()
    """Rules that every call to it must pass, whichever virtual server it came through."""


class NamedMcpTarget(McpTarget, frozen=True, kw_only=True):
    """A tool server behind the gateway: exactly one of `stdio`, `http`, `sse` and `openapi` says how it is reached."""

    name: Name
    """Unique; virtual servers, policies and metrics name the target by it."""


def kind_of(target: McpTarget) -> str:
    """`stdio`, `http`, `sse` or `openapi`: the first that is given; empty when none is."""
    return next((kind for kind in KINDS if getattr(target, kind) is not None), "")


def upstream_of(target: McpTarget) -> Upstream | None:
    """What it is reached with over HTTP; None for a program."""
    return target.http or target.sse or target.openapi


KINDS = ("stdio", "http", "sse", "openapi")
"""Ways to reach a target."""
