"""The short form's `mcp`: the virtual servers that callers see, and what of which target each offers.

*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Tools", "Authorization"; RFC 9728 for protected resources.
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.model.config_base import Duration, Free, Identity, Name, Part, Pattern, Period, Secret, Url
from heddle.model.config_mcp_auth import Credentials, Scope
from heddle.model.config_mcp_judge import Judge
from heddle.model.config_mcp_targets import NamedMcpTarget
from heddle.model.config_policies import ScopedRule

ToolName = Annotated[str, msgspec.Meta(description="tool's name", extra={"form": "tool_name"})]
Prefix = Annotated[str, msgspec.Meta(description="prefix of names", extra={"form": "prefix"})]
ServerPath = Annotated[str, msgspec.Meta(description="path, e.g. `/mcp/NAME`", extra={"form": "server_path"})]
VersionName = Annotated[str, msgspec.Meta(max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Json = bool | int | float | str | tuple[Any, ...] | dict[str, Any]
"""Any JSON value but null, which would look like nothing."""
Prose = Annotated[str, msgspec.Meta(max_length=16_384)]


class ToolArgument(Part, frozen=True, kw_only=True):
    """What becomes of one argument of a tool."""

    fixed: Json | None = None
    """Value that it always has; callers neither see nor set it."""
    default: Json | None = None
    """Value that it has when callers leave it out; they need not give it then."""
    hidden: bool = False
    """Callers neither see nor set it. Give it a `default` where the tool needs it."""
    description: Prose = ""
    """Stands in place of the target's."""


class Tool(Part, frozen=True, kw_only=True):
    """A tool that a virtual server offers, and how it looks there."""

    name: Pattern
    """The target's own name for it, or a pattern."""
    alias: ToolName = msgspec.field(default="", name="as")
    """Name that callers see instead, before any prefix; only for one tool, not for a pattern."""
    title: Annotated[str, msgspec.Meta(max_length=256)] = ""
    """Stands in place of the target's."""
    description: Prose = ""
    """Stands in place of the target's."""
    annotations: Free = msgspec.field(default_factory=dict)
    """Added to the target's, and winning over them: `readOnlyHint`, say."""
    arguments: dict[str, ToolArgument] = msgspec.field(default_factory=dict)
    """What becomes of its arguments, by their names."""
    timeout: Duration = "0s"
    """Longest silence inside a call of it. `0s` is the target's."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Most calls of it under way in one worker. 0 is no limit of its own."""
    cost_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    """What one call costs, for records, metrics and the ledger."""
    scopes: tuple[Scope, ...] = ()
    """OAuth scopes that its callers need, all of them."""


class ServerTarget(Part, frozen=True, kw_only=True):
    """A target's part in a virtual server."""

    name: Name
    """Name of the target."""
    prefix: Prefix | None = None
    """Stands before names of its tools and prompts (`fs` makes `fs__read`); an empty one leaves them as they are.
    Unset leaves it to the server's `prefix`, which takes the target's name."""
    tools: tuple[Pattern | Tool, ...] | None = None
    """Tools to offer, patterns allowed. Unset offers all, `[]` none."""
    hide: tuple[Pattern, ...] = ()
    """Tools not to offer, patterns allowed."""
    prompts: tuple[Pattern, ...] | None = None
    """Prompts to offer, patterns allowed. Unset offers all, `[]` none."""
    resources: tuple[Pattern, ...] | None = None
    """Resources to offer, by URI, patterns allowed. Unset offers all, `[]` none."""
    fallbacks: tuple[Name, ...] = ()
    """Targets that serve the same, asked in this order while this one is unhealthy."""


class ToolVersion(Part, frozen=True, kw_only=True):
    """One version of a tool."""

    version: VersionName
    """Its name: callers ask for `TOOL@VERSION`."""
    target: Name
    """Target that serves it; one of the server's."""
    tool: Pattern
    """Name of the tool there."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    """Share of the callers that do not ask for a version. 0 is called by name only."""


class VersionedTool(Part, frozen=True, kw_only=True):
    """A tool of several versions. A caller that does not ask for one always gets the same."""

    name: ToolName
    """Name that callers see."""
    versions: Annotated[tuple[ToolVersion, ...], msgspec.Meta(min_length=1)]
    """Its versions."""


class ToolSearch(Part, frozen=True, kw_only=True):
    """`find_tools` and `call_tool`, so that a model need not be told of every tool."""

    replace: bool = True
    """Lists show these two only; tools can be called by name all the same."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    """Most tools in one answer."""


class ProtectedResource(Part, frozen=True, kw_only=True):
    """A virtual server as an OAuth protected resource: clients find out by themselves where to get a token. Who
    may issue one is said in `security.authentication`."""

    authorization_servers: Annotated[tuple[Url, ...], msgspec.Meta(min_length=1)]
    """Issuers that clients are sent to."""
    resource: Identity = ""
    """Its identifier, a URI that tokens must be made for. Unset is made from the host and path of the request."""
    scopes: tuple[Scope, ...] = ()
    """Scopes that every caller needs."""
    implied: dict[str, tuple[Scope, ...]] = msgspec.field(default_factory=dict)
    """Scopes that a scope includes: `admin: [read, write]`."""


class McpServer(Part, frozen=True, kw_only=True):
    """A virtual server: what callers see at one path."""

    name: Name = ""
    """Unique; policies and metrics name the server by it. A VirtualServer resource takes it from its metadata."""
    path: ServerPath = ""
    """Where it is served. Unset is `/mcp` for the server `default`, `/mcp/NAME` for others."""
    targets: tuple[Name | ServerTarget, ...] = ()
    """What it offers: names of targets, or parts of them."""
    prefix: Literal["auto", "always", "never"] = "auto"
    """Whether the target's name stands before names of tools and prompts: `auto` when there are several targets."""
    on_target_failure: Literal["degrade", "fail"] = "degrade"
    """Lists while a target is down: without its part, or not at all."""
    authorization: tuple[ScopedRule, ...] = ()
    """Rules that every call must pass, beside those of other levels. Lists show what some call could be allowed."""
    versions: tuple[VersionedTool, ...] = ()
    """Tools of several versions."""
    search: bool | ToolSearch = False
    """Search over tools in place of long lists; `true` is with the defaults."""
    title: Annotated[str, msgspec.Meta(max_length=256)] = ""
    """Name for people."""
    instructions: Prose | None = None
    """Stand in place of those of the targets; an empty text is none. Unset joins them."""
    listeners: tuple[Name, ...] = ()
    """Listeners it is served on. Empty is every one of protocol MCP."""
    oauth: ProtectedResource | None = None
    """Tells clients where to get a token."""
    sse: bool = True
    """Serve clients of 2024-11-05 too, at `PATH/sse`."""


class NamedMcpServer(McpServer, frozen=True, kw_only=True):
    """A virtual server: what callers see at one path."""

    name: Name
    """Unique; policies and metrics name the server by it."""


class McpSessions(Part, frozen=True, kw_only=True):
    """Sessions of clients of the older protocol versions. They travel in a sealed token, so any worker serves them."""

    ttl: Period = "24h"
    """From its start; an older token is refused, and clients begin anew."""
    keys: tuple[Secret, ...] = ()
    """Secrets of at least 32 characters that tokens are sealed with, the first for new ones. Empty makes and rotates
    own ones, which are this machine's alone: machines that share callers need the same."""
    replay_events: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 256
    """Events of a stream that are kept for a client that lost its connection. 0 keeps none."""
    replay: Period = "5m"
    """How long they are kept."""


class Mcp(Part, frozen=True, kw_only=True):
    """Tool servers, and the virtual servers made of them."""

    targets: tuple[NamedMcpTarget, ...] = ()
    """Tool servers behind the gateway."""
    servers: tuple[NamedMcpServer, ...] = ()
    """Virtual servers that callers see. Without any, one called `default` offers every target."""
    sessions: McpSessions | None = None
    """Sessions of clients of the older protocol versions."""
    credentials: Credentials | None = None
    """Credentials of callers for targets."""
    judge: Judge | None = None
    """A model that reads definitions before any agent does."""


def path_of(server: McpServer) -> str:
    """Where a server is served."""
    return server.path or ("/mcp" if server.name == "default" else f"/mcp/{server.name}")


def parts_of(server: McpServer) -> tuple[ServerTarget, ...]:
    """The targets of a server, those that were only named too."""
    return tuple(part if isinstance(part, ServerTarget) else ServerTarget(name=part) for part in server.targets)


def prefix_of(server: McpServer, part: ServerTarget) -> str:
    """What stands before the names of a target's tools, without `__`; empty when nothing does."""
    if part.prefix is not None:
        return part.prefix
    always = server.prefix == "always" or (server.prefix == "auto" and len(server.targets) > 1)
    return part.name if always else ""


def tools_of(part: ServerTarget) -> tuple[Tool, ...] | None:
    """The tools that a part names, those that were only named too; None when it names none."""
    if part.tools is None:
        return None
    return tuple(tool if isinstance(tool, Tool) else Tool(name=tool) for tool in part.tools)
