"""Does every virtual server offer what it says? Paths, targets, names of tools, versions, fallbacks.

Owns the checks of `mcp.servers` that need nothing but the configuration itself. What targets really offer is known
only later; here names are checked as far as they are written.
*Source:* Model Context Protocol 2026-07-28, "Tools" (names); what clients accept is stricter: letters, digits, `_` and
`-`, at most 64.
"""

from heddle.model.config_mcp import (
    McpServer,
    ProtectedResource,
    ServerTarget,
    Tool,
    VersionedTool,
    parts_of,
    path_of,
    prefix_of,
    tools_of,
)
from heddle.model.config_mcp_targets import McpTarget, kind_of
from heddle.model.config_security import Jwt
from heddle.model.formats import complaint, is_loopback, is_tool_name, split_url
from heddle.model.match import glob_match, is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.plan_mcp import servers_of
from heddle.model.problem import Place, Report, did_you_mean
from heddle.model.rules import unique

_SEARCH_TOOLS = ("find_tools", "call_tool")


def check_servers(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    unique(((one.value.name, one.place) for one in plan.servers), "virtual server", report)
    _check_paths(plan, report)
    for placed in plan.servers:
        _check_listeners(placed, plan, report)
        if placed.value.oauth is not None:
            _check_oauth(placed.value.oauth, placed.place.at("oauth"), plan, report)
    targets = {placed.value.name: placed.value for placed in plan.targets}
    for placed in servers_of(plan):
        _Server(placed, targets, report, declared=bool(plan.servers)).check()
    _check_unused(plan, report)


def check_server(placed: Placed[McpServer], targets: dict[str, McpTarget], report: Report) -> None:
    """One virtual server alone, with those of its targets that there are."""
    if placed.value.oauth is not None:
        _check_oauth(placed.value.oauth, placed.place.at("oauth"), Plan(), report)
    _Server(placed, targets, report, declared=True).check()


def _check_paths(plan: Plan, report: Report) -> None:
    """Two servers at one path of one listener: the second would never be reached."""
    taken: list[tuple[str, McpServer]] = []
    for server, place in servers_of(plan):
        path = path_of(server)
        claims = (path, f"{path}/sse", f"{path}/messages") if server.sse else (path,)
        clashes = [(at, one) for at, one in taken if at in claims and _meet(one, server) and one.name != server.name]
        for claimed, other in clashes[:1]:
            hint = "choose another `path`"
            report.error(place.at("path"), f"`{claimed}` is already served by virtual server `{other.name}`", hint)
        taken += [(claimed, server) for claimed in claims]


def _meet(one: McpServer, other: McpServer) -> bool:
    return not (one.listeners and other.listeners) or bool({*one.listeners} & {*other.listeners})


def _check_listeners(placed: Placed[McpServer], plan: Plan, report: Report) -> None:
    protocols: dict[str, str] = {one.value.name: one.value.protocol for one in plan.listeners}
    for index, name in enumerate(placed.value.listeners):
        here = placed.place.at("listeners", index)
        if name not in protocols:
            report.error(here, f"there is no listener `{name}`", did_you_mean(name, tuple(protocols)))
        elif protocols[name] != "MCP":
            report.error(here, f"listener `{name}` is of protocol {protocols[name]}", "it must be of protocol MCP")


def _check_oauth(oauth: ProtectedResource, place: Place, plan: Plan, report: Report) -> None:
    jwt = [entry for entry, _ in plan.authentication if isinstance(entry, Jwt)]
    issuers = [issuer.issuer for entry in jwt for issuer in entry.issuers]
    for index, url in enumerate(oauth.authorization_servers):
        here, parts = place.at("authorization_servers", index), split_url(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            report.error(here, "must be https: clients send people there to sign in")
        elif url not in issuers and f"{url}/" not in issuers and report.complete:
            hint = did_you_mean(url, issuers) or "add it to an entry of `type: jwt`"
            report.warning(here, "its tokens are refused: it is no issuer of `security.authentication`", hint)
    if "offline_access" in oauth.scopes:
        report.warning(place.at("scopes"), "`offline_access` is between clients and their authorization server")


def _check_unused(plan: Plan, report: Report) -> None:
    used: set[str] = set()
    for server, _ in servers_of(plan):
        used |= {one.target for tool in server.versions for one in tool.versions}
        for part in parts_of(server):
            used |= {part.name, *part.fallbacks}
    for target, place in plan.targets:
        if report.complete and target.name not in used:
            report.warning(place, f"no virtual server offers target `{target.name}`", "add it to one in `mcp.servers`")


class _Server:
    """The check of one virtual server."""

    def __init__(
        self, placed: Placed[McpServer], targets: dict[str, McpTarget], report: Report, *, declared: bool
    ) -> None:
        self._server, self._place = placed
        self._declared = declared
        self._targets = targets
        self._report = report
        self._parts = parts_of(self._server)
        self._names: dict[str, Place] = {}
        """Names that callers see, as far as they are written."""

    def check(self) -> None:
        server, place = self._server, self._place
        if not self._parts and not server.versions and self._report.complete:
            hint = "name targets, e.g. targets: [time]" if self._targets else "declare some in `mcp.targets`"
            self._report.warning(place, f"virtual server `{server.name}` offers nothing: it has no targets", hint)
        seen: dict[str, int] = {}
        for index, part in enumerate(self._parts):
            here = self._place_of(index)
            self._known(part.name, here.at("name") if isinstance(server.targets[index], ServerTarget) else here)
            if seen.setdefault(part.name, index) != index:
                self._report.error(here, f"target `{part.name}` is listed already")
            self._fallbacks(part, here)
        self._prefixes()
        for index, part in enumerate(self._parts):
            self._tools(part, self._place_of(index))
        for index, tool in enumerate(server.versions):
            self._versions(tool, place.at("versions", index))

    def _place_of(self, index: int) -> Place:
        """Where a part was written; the server nobody declared has no such place."""
        return self._place.at("targets", index) if self._declared else self._place

    def _known(self, name: str, place: Place) -> bool:
        if name not in self._targets:
            hint = did_you_mean(name, tuple(self._targets)) or _listed("declared", tuple(self._targets))
            self._report.error(place, f"there is no target `{name}`", hint)
        return name in self._targets

    def _fallbacks(self, part: ServerTarget, place: Place) -> None:
        for index, name in enumerate(part.fallbacks):
            here = place.at("fallbacks", index)
            if name == part.name:
                self._report.error(here, "a target is no fallback for itself")
            elif name in part.fallbacks[:index]:
                self._report.error(here, f"`{name}` is listed already")
            elif self._known(name, here) and part.name in self._targets:
                own, other = kind_of(self._targets[part.name]), kind_of(self._targets[name])
                if own != other:
                    message = f"`{name}` is reached by {other}, `{part.name}` by {own}: do they serve the same?"
                    self._report.warning(here, message)

    def _prefixes(self) -> None:
        taken: dict[str, str] = {}
        for index, part in enumerate(self._parts):
            prefix, here = prefix_of(self._server, part), self._place_of(index)
            if part.prefix is None and complaint("prefix", prefix):
                message = f"names of tools cannot begin with `{prefix}__`"
                self._report.error(here, message, f"write {{name: {part.name}, prefix: SHORT}}")
                continue
            for other, owner in taken.items():
                if prefix and owner != part.name and _ambiguous(prefix, other):
                    message = f"names with prefix `{prefix}` could be those of `{owner}`, whose prefix is `{other}`"
                    self._report.error(here, message, "choose another prefix")
            if prefix:
                taken.setdefault(prefix, part.name)

    def _tools(self, part: ServerTarget, place: Place) -> None:
        given = tools_of(part) or ()
        prefix = prefix_of(self._server, part)
        for index, tool in enumerate(given):
            here = place.at("tools", index)
            if tool.alias and is_glob(tool.name):
                self._report.error(here.at("as"), "a pattern has no other name", "list the tools one by one")
                continue
            if any(glob_match(hidden, tool.name) for hidden in part.hide) and not is_glob(tool.name):
                self._report.warning(here, f"`{tool.name}` is offered here and hidden by `hide`: it is hidden")
            self._arguments(tool, here)
            if not is_glob(tool.name):
                self._exposed(tool.alias or tool.name, prefix, here.at("as") if tool.alias else here)

    def _exposed(self, name: str, prefix: str, place: Place) -> None:
        """A name that callers will see."""
        shown = f"{prefix}__{name}" if prefix else name
        if not is_tool_name(shown):
            message = f"callers would see `{shown[:80]}`, and clients take 64 letters, digits, `_` and `-`"
            self._report.error(place, message, "give it another name with `as`")
        self._once(shown, place)

    def _once(self, shown: str, place: Place) -> None:
        first = self._names.setdefault(shown, place)
        if first is not place:
            where = f"{first.source.file}:{first.source.line(first.path)}"
            self._report.error(place, f"there is already a tool `{shown}`, at {where}", "give one another name")
        if self._server.search and shown in _SEARCH_TOOLS:
            self._report.error(place, f"`{shown}` is the name of a tool of `search`", "give it another name")

    def _arguments(self, tool: Tool, place: Place) -> None:
        for name, argument in tool.arguments.items():
            here = place.at("arguments", name)
            if argument.fixed is not None and argument.default is not None:
                self._report.error(here, "give `fixed` or `default`, not both")
            elif argument.fixed is not None and argument.description:
                self._report.warning(here.at("description"), "is never seen: callers do not see a fixed argument")

    def _versions(self, tool: VersionedTool, place: Place) -> None:
        self._once(tool.name, place.at("name"))
        offered = [part.name for part in self._parts]
        if not any(one.weight for one in tool.versions):
            hint = "give one a weight above 0"
            self._report.error(place.at("versions"), "all weights are 0: no call by name finds a version", hint)
        for index, one in enumerate(tool.versions):
            here = place.at("versions", index)
            if one.version in {other.version for other in tool.versions[:index]}:
                self._report.error(here.at("version"), f"there is already a version `{one.version}`")
            if is_glob(one.tool):
                self._report.error(here.at("tool"), "expected the name of one tool, not a pattern")
            if self._known(one.target, here.at("target")) and one.target not in offered:
                message = f"target `{one.target}` is none of this server's"
                self._report.error(here.at("target"), message, "add it to `targets`, with `tools: []` to offer no more")


def _ambiguous(one: str, other: str) -> bool:
    """Whether a name could be read as having either prefix."""
    return one == other or one.startswith(f"{other}__") or other.startswith(f"{one}__")


def _listed(what: str, names: tuple[str, ...]) -> str:
    return f"{what}: {', '.join(names[:10]) or 'none'}"
