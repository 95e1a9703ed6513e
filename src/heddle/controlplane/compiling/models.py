"""Models and virtual servers: names that callers use, and the backends that they lead to.

Owns which backends a name may lead to, and what happens without them: a target that cannot be used is left out, and a
name of which nothing is left is not served. What callers name belongs to who named it first.
"""

import msgspec

from heddle.controlplane.compile import compile_model
from heddle.controlplane.compile_mcp import compile_server
from heddle.controlplane.compiling.backends import MODELS, TOOLS, unique
from heddle.controlplane.compiling.conditions import Fault
from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.listeners import listeners_named
from heddle.controlplane.compiling.objects import Fact, Seen, global_name, turn_of
from heddle.controlplane.compiling.references import by_claim
from heddle.controlplane.compiling.rules import scoped_parts
from heddle.controlplane.verify import verify_plan
from heddle.model.config_llm import ModelEntry, Provider, Retry
from heddle.model.config_mcp import McpServer, ServerTarget, VersionedTool, parts_of, path_of, prefix_of
from heddle.model.config_mcp_targets import McpTarget
from heddle.model.config_policies import Match
from heddle.model.match import is_glob
from heddle.model.plan import Placed, Plan
from heddle.model.resources_heddle import Model, VirtualServer
from heddle.model.rules_mcp import check_policies
from heddle.model.rules_mcp_servers import check_server
from heddle.model.rules_models import check_models


def model_facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    """The names that it takes."""
    namespace, name = seen.key[1:]
    own = (Fact(("models-of", namespace)),)
    if not isinstance(seen.resource, Model):
        return (Fact(("model", _model_name(namespace, name, root))), *own)
    spec = seen.resource.spec
    names = dict.fromkeys(_model_name(namespace, one, root) for one in (spec.name or name, *spec.aliases))
    return (*(Fact(("model", one)) for one in names), *own)


def _model_name(namespace: str, name: str, root: str) -> str:
    """What callers say. Outside of the root namespace it begins with the namespace: nobody's Model can stand before
    the calls of others."""
    return name if namespace == root else f"{namespace}/{name}"


def compile_served_model(work: Work) -> Fragment:
    """A Model."""
    entry = _placed(work, work.seen.resource.spec)
    for name in (entry.name, *entry.aliases):
        unique(work, "model", name)
    providers: dict[str, Provider] = {}
    if entry.targets:
        found = [(target, _provider(work, target.provider, providers)) for target in entry.targets]
        kept = tuple(msgspec.structs.replace(target, provider=name) for target, name in found if name)
        entry = msgspec.structs.replace(entry, targets=kept)
    else:
        entry = msgspec.structs.replace(entry, provider=_provider(work, entry.provider, providers))
    plan = Plan()
    plan.models.append(Placed(entry, work.seen.place))
    plan.providers.extend(Placed(one, work.seen.place) for one in providers.values())
    if providers:
        check_models(plan, work.report)
    check_policies(plan, work.report)
    verify_plan(_without_providers(plan), work.around.environ, work.report)
    if work.faults or not providers:
        return work.done()
    made = compile_model(plan.models[0], "", _retry(work, entry))
    work.part(f"model/{entry.name}", made, order=_precedence(entry.name, work), protocols=MODELS)
    return work.done(entry.name)


def _placed(work: Work, spec: ModelEntry) -> ModelEntry:
    """A Model under the names that callers say. One outside of the root namespace is for callers of its own, unless it
    says for whom, and its targets know it by the name that was written."""
    name, namespace, root = spec.name or work.seen.key.name, work.namespace, work.around.root
    if namespace == root:
        return msgspec.structs.replace(spec, name=name)
    if any(map(is_glob, (name, *spec.aliases))):
        work.refused.append(Fault("NotPermitted", f"patterns of names stand in namespace `{root}`"))
    targets = tuple(one if one.model else msgspec.structs.replace(one, model=name) for one in spec.targets)
    return msgspec.structs.replace(
        spec,
        name=_model_name(namespace, name, root),
        aliases=tuple(_model_name(namespace, one, root) for one in spec.aliases),
        targets=targets,
        model=spec.model if spec.model or targets else name,
        access=spec.access or Match(tenant=namespace),
    )


def _without_providers(plan: Plan) -> Plan:
    """Their own options are checked with them."""
    bare = Plan()
    bare.models = plan.models
    return bare


def _provider(work: Work, name: str, found: dict[str, Provider]) -> str:
    """What the snapshot calls the provider of a target; empty, and said why, when there is none to use. An empty name
    is the sole provider of the namespace."""
    if not name:
        sole = work.lookup.sole(("providers-of", work.namespace))
        key = sole.key if sole is not None else None
        fault = Fault("BackendNotFound", "names no provider, and its namespace has not exactly one")
    else:
        reference = by_claim(work.lookup, work.seen.key, "provider", name, work.around.root)
        key, fault = reference.key, reference.fault or Fault("", "")
    provider = work.lookup.outcome(key) if key is not None else None
    if key is not None and provider is None:
        fault = Fault("BackendNotUsable", f"Backend {key.namespace}/{key.name} is not accepted")
    if not isinstance(provider, Provider):
        work.unresolved.append(fault)
        return ""
    found[provider.name] = provider
    return provider.name


def _retry(work: Work, entry: ModelEntry) -> Retry:
    """What holds where a model says nothing of retries: the mesh's Policy of them, or nothing."""
    first = work.lookup.first(("concern", "retry")) if entry.retry is None else None
    policy = work.lookup.outcome(first.key) if first is not None else None
    return policy if isinstance(policy, Retry) else Retry()


def _precedence(name: str, work: Work) -> str:
    """Exact names first; of patterns the first that fits is taken: as they are numbered, else the longest beginning."""
    if not is_glob(name):
        return f"0|{work.order}"
    literal = len(name.partition("*")[0])
    return f"1|{turn_of(work.seen.raw)}|{9999 - literal:04}|{work.seen.order}"


def server_facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    """The name and the paths that it takes."""
    namespace, name = seen.key[1:]
    own = Fact(("servers-of", namespace))
    if not isinstance(seen.resource, VirtualServer):
        return Fact(("server", global_name(namespace, name, root))), own
    server = _called(seen.resource.spec, namespace, name, root)
    path = path_of(server)
    claims = (path, f"{path}/sse", f"{path}/messages") if server.sse else (path,)
    return Fact(("server", server.name)), own, *(Fact(("path", claim), server.listeners) for claim in claims)


def _called(server: McpServer, namespace: str, name: str, root: str) -> McpServer:
    return msgspec.structs.replace(server, name=global_name(namespace, server.name or name, root))


def compile_virtual_server(work: Work) -> Fragment:
    """A VirtualServer. Its own names are checked as they are written, then replaced by those of the snapshot."""
    spec: McpServer = work.seen.resource.spec
    name = work.named(spec.name or work.seen.key.name)
    unique(work, "server", name)
    found = {named: target for named in _named(spec) if (target := _target(work, named)) is not None}
    pruned = _pruned(spec, found)
    local = {named: msgspec.structs.replace(target, name=named) for named, target in found.items()}
    check_server(Placed(pruned, work.seen.place), local, work.report)
    server = _renamed(pruned, {named: target.name for named, target in found.items()})
    server = msgspec.structs.replace(
        server, name=name, path=path_of(_called(spec, *work.seen.key[1:], work.around.root))
    )
    _check_paths(work, server)
    server, gateways = _listening(work, server)
    plan = Plan()
    plan.servers.append(Placed(server, work.seen.place))
    scoped_parts(work, plan)
    verify_plan(plan, work.around.environ, work.report)
    if work.faults or (spec.listeners and not server.listeners):
        return work.done()
    made = compile_server(plan.servers[0])
    work.part(f"server/{name}", made, gateways=gateways, protocols=TOOLS)
    ruled = any(rule.mode == "enforce" for rule in server.authorization)
    return work.done(name, (Fact(("servers",)), *(() if ruled else (Fact(("open-servers",)),))))


def _named(server: McpServer) -> list[str]:
    """Every target that is named, each once."""
    parts = parts_of(server)
    names = [name for part in parts for name in (part.name, *part.fallbacks)]
    names += [one.target for tool in server.versions for one in tool.versions]
    return list(dict.fromkeys(names))


def _target(work: Work, name: str) -> McpTarget | None:
    """A target as the snapshot calls it; None, and said why, when there is none to use."""
    reference = by_claim(work.lookup, work.seen.key, "target", name, work.around.root)
    found = work.lookup.outcome(reference.key) if reference.key is not None else None
    if isinstance(found, McpTarget):
        return found
    key = reference.key
    unusable = Fault("BackendNotUsable", f"{key.resource} {key.namespace}/{key.name} is not accepted" if key else "")
    work.unresolved.append(reference.fault or unusable)
    return None


def _pruned(server: McpServer, found: dict[str, McpTarget]) -> McpServer:
    """A server without the targets that cannot be used. With one left out, the others keep their prefixes."""
    kept: list[ServerTarget] = []
    whole = all(name in found for name in _named(server))
    for part in parts_of(server):
        if part.name in found:
            fallbacks = tuple(name for name in part.fallbacks if name in found)
            prefix = part.prefix if whole else prefix_of(server, part)
            kept.append(msgspec.structs.replace(part, fallbacks=fallbacks, prefix=prefix))
    tools = []
    for tool in server.versions:
        versions = tuple(one for one in tool.versions if one.target in found)
        if versions:
            tools.append(msgspec.structs.replace(tool, versions=versions))
    return msgspec.structs.replace(server, targets=tuple(kept), versions=tuple(tools))


def _renamed(server: McpServer, names: dict[str, str]) -> McpServer:
    """A server whose targets have the names of the snapshot; callers see those that were written."""
    parts = []
    for part in parts_of(server):
        prefix = part.prefix if names[part.name] == part.name else prefix_of(server, part)
        fallbacks = tuple(names[name] for name in part.fallbacks)
        parts.append(msgspec.structs.replace(part, name=names[part.name], prefix=prefix, fallbacks=fallbacks))
    tools = tuple(
        VersionedTool(
            name=tool.name,
            versions=tuple(msgspec.structs.replace(one, target=names[one.target]) for one in tool.versions),
        )
        for tool in server.versions
    )
    return msgspec.structs.replace(server, targets=tuple(parts), versions=tools)


def _check_paths(work: Work, server: McpServer) -> None:
    """Two servers at one path of one listener: the younger would never be reached."""
    path, namespace = path_of(server), work.namespace
    given = work.seen.resource.spec.path
    if given and namespace != work.around.root and not given.startswith(f"/mcp/{namespace}/"):
        work.refused.append(Fault("NotPermitted", f"in namespace `{namespace}` paths begin with `/mcp/{namespace}/`"))
    for claim in (path, f"{path}/sse", f"{path}/messages") if server.sse else (path,):
        for entry in work.lookup.every(("path", claim)):
            if entry.key == work.seen.key:
                break
            if not (entry.value and server.listeners) or {*entry.value} & {*server.listeners}:
                owner = f"{entry.key.namespace}/{entry.key.name}"
                message = f"`{claim}` is already served by VirtualServer {owner}, which is older; choose another `path`"
                work.refused.append(Fault("Conflicted", message))
                return


def _listening(work: Work, server: McpServer) -> tuple[McpServer, tuple[str, ...]]:
    """A server with its listeners as the snapshot calls them, and the gateways these are of."""
    names: list[str] = []
    gateways: list[str] = []
    for name in server.listeners:
        found = listeners_named(work.lookup, work.namespace, name, work.around.root)
        fitting = [one for one in found if one.protocol == "MCP"]
        if not fitting:
            message = (
                f"listener `{name}` is of another protocol than MCP" if found else f"there is no listener `{name}`"
            )
            work.unresolved.append(Fault("ListenerNotFound", f"{message} in namespace `{work.namespace}`"))
        names += [one.name for one in fitting]
        gateways += [one.gateway for one in fitting]
    return msgspec.structs.replace(server, listeners=tuple(names)), tuple(dict.fromkeys(gateways))
