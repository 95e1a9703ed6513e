"""MCP of the plan, compiled into the snapshot: targets, virtual servers, their rules, sessions.

Owns the translation. Targets are in `compile_mcp_targets`.
"""

import msgspec

from heddle.controlplane.compile_mcp_auth import compile_credentials, sealing_keys
from heddle.controlplane.compile_mcp_judge import compile_judge
from heddle.controlplane.compile_mcp_targets import Values, compile_target
from heddle.controlplane.paths import said_at
from heddle.controlplane.secrets import Secrets
from heddle.model.config_mcp import (
    Json,
    McpServer,
    McpSessions,
    ProtectedResource,
    ServerTarget,
    Tool,
    ToolArgument,
    ToolSearch,
    VersionedTool,
    parts_of,
    path_of,
    tools_of,
)
from heddle.model.formats import duration_s
from heddle.model.plan import Placed, Plan
from heddle.model.plan_mcp import scoped_rules, servers_of
from heddle.model.problem import Report
from heddle.model.snapshot import AuthzRule
from heddle.model.snapshot_mcp import (
    ArgumentSpec,
    McpServerSpec,
    McpSessionSpec,
    McpSpec,
    ResourceServerSpec,
    SearchSpec,
    ServerTargetSpec,
    ToolSpec,
    VersionedToolSpec,
    VersionSpec,
)


def compile_mcp(plan: Plan, secrets: Secrets, report: Report) -> McpSpec:
    """Everything about MCP but rules. What cannot be had is reported."""
    return McpSpec(
        targets=tuple(compile_target(placed, Values(plan, secrets, report), report) for placed in plan.targets),
        servers=tuple(compile_server(placed) for placed in servers_of(plan)),
        sessions=compile_sessions(plan.sessions[0], secrets, report) if plan.sessions else McpSessionSpec(),
        credentials=compile_credentials(plan.credentials[0] if plan.credentials else None, secrets, report),
        judge=compile_judge(plan.judges[0], secrets, report) if plan.judges else None,
    )


def compile_mcp_rules(plan: Plan) -> tuple[AuthzRule, ...]:
    """The rules of virtual servers and targets, each at its level."""
    return tuple(
        AuthzRule(
            name=one.name,
            action=one.rule.action,
            level=one.level,
            match=one.rule.match.spec(),
            resources=one.rule.about(),
            when=one.rule.when,
            mode=one.rule.mode,
            source=said_at(one.place),
        )
        for one in scoped_rules(plan)
    )


def compile_server(placed: Placed[McpServer]) -> McpServerSpec:
    """A virtual server, without its rules."""
    server, place = placed
    search = ToolSearch() if server.search is True else server.search or None
    return McpServerSpec(
        name=server.name,
        path=path_of(server),
        targets=tuple(_part(part) for part in parts_of(server)),
        prefix=server.prefix,
        on_target_failure=server.on_target_failure,
        versions=tuple(_versions(one) for one in server.versions),
        search=SearchSpec(replace=search.replace, limit=search.limit) if search is not None else None,
        title=server.title,
        instructions=server.instructions,
        listeners=server.listeners,
        oauth=_oauth(server.oauth) if server.oauth is not None else None,
        sse=server.sse,
        source=said_at(place),
    )


def _part(part: ServerTarget) -> ServerTargetSpec:
    tools = tools_of(part)
    return ServerTargetSpec(
        target=part.name,
        prefix=part.prefix,
        tools=None if tools is None else tuple(_tool(tool) for tool in tools),
        hide=part.hide,
        prompts=part.prompts,
        resources=part.resources,
        fallbacks=part.fallbacks,
    )


def _tool(tool: Tool) -> ToolSpec:
    return ToolSpec(
        name=tool.name,
        alias=tool.alias,
        title=tool.title,
        description=tool.description,
        annotations=tool.annotations,
        arguments={name: _argument(one) for name, one in tool.arguments.items()},
        timeout_s=duration_s(tool.timeout),
        max_concurrent=tool.max_concurrent,
        cost_usd=tool.cost_usd,
        scopes=tool.scopes,
    )


def _argument(argument: ToolArgument) -> ArgumentSpec:
    return ArgumentSpec(
        fixed=_text(argument.fixed),
        default=_text(argument.default),
        hidden=argument.hidden,
        description=argument.description,
    )


def _text(value: Json | None) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def _versions(tool: VersionedTool) -> VersionedToolSpec:
    return VersionedToolSpec(
        name=tool.name,
        versions=tuple(
            VersionSpec(version=one.version, target=one.target, tool=one.tool, weight=one.weight)
            for one in tool.versions
        ),
    )


def _oauth(oauth: ProtectedResource) -> ResourceServerSpec:
    return ResourceServerSpec(
        authorization_servers=oauth.authorization_servers,
        resource=oauth.resource,
        scopes=oauth.scopes,
        implied=oauth.implied,
    )


def compile_sessions(placed: Placed[McpSessions], secrets: Secrets, report: Report) -> McpSessionSpec:
    """Sessions of callers. Keys that cannot be had are errors: those sealed with others are good on this machine
    alone."""
    sessions, place = placed
    return McpSessionSpec(
        ttl_s=duration_s(sessions.ttl),
        keys=sealing_keys(sessions.keys, place.at("keys"), secrets, report),
        replay_events=sessions.replay_events,
        replay_s=duration_s(sessions.replay),
    )
