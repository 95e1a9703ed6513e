"""Backends and tool servers: providers and targets of the snapshot.

Owns what each needs of others (Secrets and ConfigMaps of its namespace) and that a name is its oldest owner's. The
checks are those of files, run over the one object.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from heddle.controlplane.compile import PriceSource, compile_provider
from heddle.controlplane.compile_mcp_targets import Values, compile_target
from heddle.controlplane.compiling.conditions import Fault
from heddle.controlplane.compiling.fragment import Fragment, Piece, Work, declared, maps
from heddle.controlplane.compiling.objects import Fact, Seen, global_name
from heddle.controlplane.compiling.rules import scoped_parts
from heddle.controlplane.verify import provider_types, verify_plan
from heddle.model.config_llm import Provider
from heddle.model.config_mcp_targets import McpTarget, upstream_of
from heddle.model.kagent import remote_target, started_target
from heddle.model.parts import ProviderPart, SnapshotPart, encode_body, encode_part
from heddle.model.plan import Placed, Plan
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_heddle import Backend
from heddle.model.resources_mcp import MCPServer, RemoteMCPServer
from heddle.model.rules import check_rules
from heddle.model.rules_mcp_targets import check_targets
from heddle.model.snapshot import ModelSpec

MODELS = ("HTTP",)
"""Who needs what is about models: listeners of these protocols."""
TOOLS = ("MCP",)
NOT_UNIQUE = "there is already a {what} `{name}`: {kind} {owner} is older"


def backend_facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    """The names that it takes."""
    spec, meta = seen.spec, seen.key
    if isinstance(seen.resource, Backend):
        own = seen.resource.spec.provider or seen.resource.spec.mcp
        name = global_name(meta.namespace, (own.name if own is not None else "") or meta.name, root)
        if seen.resource.spec.provider is not None:
            return Fact(("provider", name)), Fact(("providers-of", meta.namespace), name)
        return (Fact(("target", name)),)
    what = "provider" if "provider" in spec else "target"
    return (Fact((what, global_name(meta.namespace, meta.name, root))),)


def compile_backend(work: Work) -> Fragment:
    """A Backend: a provider or a target."""
    backend: Backend = work.seen.resource
    spec, name = backend.spec, work.seen.key.name
    if (spec.provider is None) == (spec.mcp is None):
        work.report.error(work.seen.place, "expected exactly one of provider, mcp")
        return work.done()
    if spec.provider is not None:
        return _provider(work, spec.provider, spec.provider.name or name)
    assert spec.mcp is not None
    return _target(work, Placed(spec.mcp, work.seen.place.at("mcp")), spec.mcp.name or name)


def compile_remote(work: Work) -> Fragment:
    """A RemoteMCPServer: a target."""
    resource: RemoteMCPServer = work.seen.resource
    target = remote_target(resource, work.seen.place, work.report)
    return _target(work, Placed(target, work.seen.place), target.name)


def compile_started(work: Work) -> Fragment:
    """An MCPServer: a target, when it is a program."""
    resource: MCPServer = work.seen.resource
    deployment = resource.spec.deployment
    named = (
        declared(work.lookup, work.namespace, (one.name for one in deployment.secret_refs)),
        maps(work.lookup, work.namespace, (one.name for one in deployment.config_map_refs)),
    )
    _missing(work, "Secret", (one.name for one in deployment.secret_refs), named[0])
    _missing(work, "ConfigMap", (one.name for one in deployment.config_map_refs), named[1])
    target = None
    if not work.unresolved:
        target = started_target(resource, work.seen.place, named, work.report)
    if target is None:
        return work.done()
    return _target(work, Placed(target, work.seen.place), target.name)


def _missing(
    work: Work, kind: str, names: Iterable[str], found: dict[str, SecretResource] | dict[str, ConfigMap]
) -> None:
    for name in names:
        if name not in found:
            message = f"there is no usable {kind} `{name}` in namespace `{work.namespace}`"
            work.unresolved.append(Fault(f"{kind}NotFound", message))


def _provider(work: Work, provider: Provider, name: str) -> Fragment:
    name = work.named(name)
    plan = Plan()
    plan.providers.append(Placed(msgspec.structs.replace(provider, name=name), work.seen.place.at("provider")))
    check_rules(plan, provider_types([provider.type]), work.report)
    verify_plan(plan, work.around.environ, work.report)
    unique(work, "provider", name)
    if work.faults:
        return work.done()
    spec = compile_provider(plan.providers[0], work.values, work.report)
    _warned(work)
    prices, data = _price_list(work.around.prices, spec.type, spec.base_url)
    if prices:
        work.parts[f"prices/{prices}"] = Piece(data, protocols=MODELS)
    work.part(f"provider/{name}", ProviderPart(spec=spec, prices=prices), protocols=MODELS)
    work.part("declared/models", True, order="-", protocols=MODELS)
    root = work.around.root
    alone = work.lookup.sole(("providers-of", root)) if work.namespace == root else None
    if alone is not None and not work.lookup.any(("models-of", root)):
        # Where the root namespace has one provider and no Models, every name is that provider's.
        work.part(f"model/* {name}", ModelSpec(name="*", provider=name), order="2", protocols=MODELS)
    return work.done(plan.providers[0].value)


@lru_cache(maxsize=256)
def _price_list(prices: PriceSource, kind: str, base_url: str) -> tuple[str, bytes]:
    """A price list under its digest: providers of one kind share it. Empty, where nothing is known of prices."""
    table = prices(kind, base_url)
    if not table.models:
        return "", b""
    data = encode_part(SnapshotPart(body=encode_body(table)))
    return hashlib.sha256(data).hexdigest()[:16], data


def _target(work: Work, placed: Placed[McpTarget], name: str) -> Fragment:
    name = work.named(name)
    plan = Plan()
    plan.targets.append(Placed(msgspec.structs.replace(placed.value, name=name), placed.place))
    plan.config_maps = maps(work.lookup, work.namespace, _maps_of(placed.value))
    check_targets(plan, work.report)
    verify_plan(plan, work.around.environ, work.report)
    scoped_parts(work, plan)
    unique(work, "target", name)
    openapi = placed.value.openapi
    if openapi is not None and openapi.schema.url:
        hint = "compiling asks nobody: give the document inline"
        work.report.error(placed.place.at("openapi", "schema", "url"), "is read only from files", hint)
    if work.faults:
        return work.done()
    spec = compile_target(plan.targets[0], Values(plan, work.values, work.report), work.report)
    _warned(work)
    work.part(f"target/{name}", spec, protocols=TOOLS)
    if work.namespace == work.around.root:
        work.part(f"offered/{name}", True, protocols=TOOLS)
    return work.done(plan.targets[0].value)


def unique(work: Work, what: str, name: str) -> None:
    """The oldest has a name; another's would lead calls that were meant for it elsewhere."""
    first = work.lookup.first((what, name))
    if first is not None and first.key != work.seen.key:
        owner = f"{first.key.namespace}/{first.key.name}"
        message = NOT_UNIQUE.format(what=what, name=name, kind=first.key.resource, owner=owner)
        work.refused.append(Fault("Conflicted", message))


def _warned(work: Work) -> None:
    """Values that could not be had: what needs them is there, and refuses its calls."""
    if work.unresolved:
        return
    said = [one for one in work.report.problems if one.severity == "warning" and "will be" in one.message]
    work.unresolved.extend(Fault("SecretNotFound", one.message) for one in said)


def _maps_of(target: McpTarget) -> list[str]:
    """Names of the ConfigMaps that values of a target are in."""
    upstream = upstream_of(target)
    values = upstream.headers if upstream is not None else target.stdio.env if target.stdio is not None else {}
    references = [value.removeprefix("configmap:") for value in values.values() if value.startswith("configmap:")]
    return [name for name, slash, _ in (one.partition("/") for one in references) if slash]
