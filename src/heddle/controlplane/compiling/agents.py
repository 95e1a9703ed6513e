"""Agents, and what they think with: the directory's parts of the snapshot.

Owns kagent's references: a ModelConfig, tool servers, agents as tools, texts in ConfigMaps and Secrets. What is in
another namespace needs a ReferenceGrant there, or, for tool servers and agents, to be open to this one by its own
`allowedNamespaces`. Agents that call each other in a circle are refused, with the way round.
*Source:* kagent v1alpha2, AgentSpec, ModelConfigSpec, ModelProviderConfigSpec.
"""

from typing import Any, Literal

from heddle.controlplane.compiling.conditions import Fault, judged
from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import RESOURCES, Fact, Seen, items, mapping, text
from heddle.controlplane.compiling.references import by_name, cycle, permitted, refusal
from heddle.controlplane.compiling.selecting import open_to
from heddle.controlplane.secrets import SecretError
from heddle.drivers.documents import Key
from heddle.model.snapshot_routes import AgentModelSpec, AgentSpec, AgentToolSpec

AGENTS = ("A2A",)
"""Who needs what is about agents: listeners of this protocol."""
DEFAULT_MODEL = "default-model-config"
"""What kagent documents for agents that name no ModelConfig."""
_SERVERS = {
    "": "mcpservers.kagent.dev",
    "MCPServer": "mcpservers.kagent.dev",
    "RemoteMCPServer": "remotemcpservers.kagent.dev",
    "Service": "services",
}
_OPEN = ("remotemcpservers.kagent.dev", "agents.kagent.dev")
"""Kinds with `allowedNamespaces`."""
_PROVIDERS = {
    "openai": "OpenAI", "anthropic": "Anthropic", "azureopenai": "AzureOpenAI", "ollama": "Ollama",
    "gemini": "Gemini", "geminivertexai": "GeminiVertexAI", "anthropicvertexai": "AnthropicVertexAI",
    "bedrock": "Bedrock", "sapaicore": "SAPAICore", "foundry": "Foundry",
}  # fmt: skip
_ENDPOINTS = (
    ("openAI", "baseUrl"), ("anthropic", "baseUrl"), ("azureOpenAI", "azureEndpoint"), ("ollama", "host"),
    ("sapAICore", "baseUrl"), ("foundry", "endpoint"),
)  # fmt: skip


def named_facts(seen: Seen) -> tuple[Fact, ...]:
    """So that it is found by those of other namespaces, who may then be told why they may not use it."""
    return (Fact(("named", seen.key.resource, seen.key.name)),)


def compile_model_config(work: Work) -> Fragment:
    """A ModelConfig, in either spelling."""
    spec, key = work.seen.spec, work.seen.key
    written = text(spec.get("provider")) or "OpenAI"
    provider = _PROVIDERS.get(written.lower().replace("_", "").replace("-", ""))
    if provider is None:
        known = ", ".join(sorted(_PROVIDERS.values()))
        work.refused.append(Fault("Invalid", f"spec.provider: `{written[:60]}` is unknown; known are {known}"))
    ref = mapping(spec.get("apiKeySecretRef"))
    name = text(spec.get("apiKeySecret")) or text(ref.get("name"))
    secret = _secret(work, name, text(spec.get("apiKeySecretKey")) or text(ref.get("key"))) if name else ""
    base_url = text(spec.get("baseUrl"))
    for block, field in _ENDPOINTS:
        base_url = base_url or text(mapping(spec.get(block)).get(field))
    body = AgentModelSpec(
        name=f"{key.namespace}/{key.name}",
        provider=provider or "",
        model=text(spec.get("model")),
        base_url=base_url,
        api_key=secret,
        api_key_error="; ".join(fault.message for fault in work.unresolved),
    )
    work.part(f"agentmodel/{body.name}", body, protocols=AGENTS)
    return work.done(body.name)


def compile_model_provider(work: Work) -> Fragment:
    """A ModelProviderConfig: only whether its secret can be had; models are discovered elsewhere."""
    ref = mapping(work.seen.spec.get("secretRef"))
    name = text(ref.get("name")) or text(work.seen.spec.get("secretRef"))
    if name:
        _secret(work, name, text(ref.get("key")))
    resolved = judged("SecretResolved", work.unresolved, "SecretResolved")
    return work.done(True, status=work.verdict(resolved))


def _secret(work: Work, name: str, key: str) -> str:
    """A reference to a key of a Secret of this namespace; of a Secret with one key it need not be said."""
    usable = work.lookup.outcome(Key("secrets", work.namespace, name))
    if not key:
        key = next(iter(usable)) if usable is not None and len(usable) == 1 else "api-key"
    try:
        return work.values.named(name, "", key)
    except SecretError:
        return ""  # `named` has said so


def compile_agent(work: Work) -> Fragment:
    """An Agent."""
    spec, key = work.seen.spec, work.seen.key
    kind: Literal["Declarative", "BYO"] = "BYO" if text(spec.get("type")) == "BYO" else "Declarative"
    declarative = mapping(spec.get("declarative")) if kind == "Declarative" else {}
    model = _model(work, text(declarative.get("modelConfig")) or DEFAULT_MODEL) if kind == "Declarative" else ""
    _texts(work, declarative)
    tools = tuple(one for tool in items(declarative.get("tools")) if (one := _tool(work, mapping(tool))) is not None)
    around = cycle(work.lookup, key, _follow)
    if around is not None:
        work.refused.append(around._replace(message=f"as a tool of agents it {around.message}"))
    body = AgentSpec(
        name=f"{key.namespace}/{key.name}",
        kind=kind,
        description=text(spec.get("description")),
        model=model,
        tools=tools,
    )
    work.part(f"agent/{body.name}", body, protocols=AGENTS)
    return work.done(body.name)


def _model(work: Work, name: str) -> str:
    reference = by_name(work.lookup, work.seen.key, "modelconfigs.kagent.dev", name)
    if reference.key is None:
        _fault(work, reference.fault)
        return ""
    found = work.lookup.outcome(reference.key)
    if found is None:
        said = f"ModelConfig {reference.key.namespace}/{reference.key.name} is not accepted"
        work.unresolved.append(Fault("RefInvalid", said))
    return text(found)


def _fault(work: Work, fault: Fault | None) -> None:
    """What is not permitted keeps an agent from being accepted; what is not there may yet come."""
    if fault is not None:
        (work.refused if fault.reason in ("RefNotPermitted", "RefAmbiguous") else work.unresolved).append(fault)


def _tool(work: Work, tool: dict[str, Any]) -> AgentToolSpec | None:
    server, agent = mapping(tool.get("mcpServer")), mapping(tool.get("agent"))
    ref = server or agent
    resource = _SERVERS.get(text(ref.get("kind"))) if server else "agents.kagent.dev"
    if resource is None:
        work.refused.append(Fault("Invalid", f"tools: a {text(ref.get('kind'))[:60]} cannot be a tool server"))
        return None
    key = _tool_key(work.seen.key, resource, ref)
    if not _open(work.lookup, work.seen.key, key):
        _fault(work, refusal(work.seen.key, key))
        return None
    kind = RESOURCES[resource][1]
    if work.lookup.object(key) is None:
        work.unresolved.append(Fault("RefNotFound", f"there is no {kind} `{key.name}` in namespace `{key.namespace}`"))
    elif resource.endswith("mcpservers.kagent.dev") and work.lookup.outcome(key) is None:
        work.unresolved.append(Fault("RefInvalid", f"{kind} {key.namespace}/{key.name} is not accepted"))
    return AgentToolSpec(
        kind=kind,
        name=f"{key.namespace}/{key.name}",
        tools=tuple(map(text, items(server.get("toolNames")))),
        approval=tuple(map(text, items(server.get("requireApproval")))),
    )


def _tool_key(who: Key, resource: str, ref: dict[str, Any]) -> Key:
    """What a tool names: `name`, in `namespace` or as `NAMESPACE/NAME`, or in the agent's own namespace."""
    name, namespace = text(ref.get("name")), text(ref.get("namespace"))
    if not namespace and name.count("/") == 1:
        namespace, _, name = name.partition("/")
    return Key(resource, namespace or who.namespace, name)


def _open(lookup: Lookup, who: Key, whom: Key) -> bool:
    if permitted(lookup, who, whom):
        return True
    seen = lookup.object(whom) if whom.resource in _OPEN else None
    if seen is None:
        return False
    return open_to(lookup, mapping(seen.spec.get("allowedNamespaces")), whom.namespace, who.namespace)


def _texts(work: Work, declarative: dict[str, Any]) -> None:
    """ConfigMaps and Secrets that an agent's words come from; they are of its own namespace."""
    sources = [mapping(declarative.get("systemMessageFrom"))]
    sources += map(mapping, items(mapping(declarative.get("promptTemplate")).get("dataSources")))
    for source in sources:
        name, key = text(source.get("name")), text(source.get("key"))
        if not name:
            continue
        kind = text(source.get("type")) or text(source.get("kind")) or "ConfigMap"
        resource = "secrets" if kind == "Secret" else "configmaps"
        seen = work.lookup.object(Key(resource, work.namespace, name))
        data = {**mapping(seen.raw.get("data")), **mapping(seen.raw.get("stringData"))} if seen is not None else {}
        if seen is None:
            said = f"there is no {kind} `{name}` in namespace `{work.namespace}`"
            work.unresolved.append(Fault(f"{kind}NotFound", said))
        elif key and key not in data:
            work.unresolved.append(Fault(f"{kind}NotFound", f"{kind} `{name}` has no `{key}`"))


def _follow(lookup: Lookup, key: Key) -> list[Key]:
    """The agents that an agent calls."""
    seen = lookup.object(key)
    tools = items(mapping(seen.spec.get("declarative")).get("tools")) if seen is not None else []
    refs = [mapping(mapping(tool).get("agent")) for tool in tools if not mapping(mapping(tool).get("mcpServer"))]
    return [_tool_key(key, "agents.kagent.dev", ref) for ref in refs if ref]
