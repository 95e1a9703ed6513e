"""kagent.dev/v1alpha2: Agent, as people already declare agents for Kubernetes.

Owns the fields, and upstream's rules about them. What can only mean something to a pod is kept, and not read.
*Source:* kagent 0.10 API `kagent.dev/v1alpha2` Agent.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import Served, column, condition, rule, shaped
from heddle.model.meta import LabelSelector, Resource
from heddle.model.resources_kagent_pods import ByoAgent, DeclarativeDeployment, Open, Opens
from heddle.model.resources_mcp import HeaderSource, ValueSource
from heddle.model.resources_status import ResourceStatus

AgentVersion = Literal["kagent.dev/v1alpha2"]
Texts = tuple[str, ...]


class AllowedNamespaces(Part, frozen=True, kw_only=True):
    """Namespaces that may refer to a resource from outside."""

    RULES: ClassVar = (
        rule("!(self.from == 'Selector' && !has(self.selector))", "selector must be specified when from is Selector"),
    )
    from_: Literal["All", "Same", "Selector"] = msgspec.field(default="Same", name="from")
    """`All`, those that `selector` finds, or only the resource's own."""
    selector: LabelSelector | None = None
    """Labels of the namespaces, for `Selector`."""


class ToolReference(Part, frozen=True, kw_only=True):
    """A resource that offers tools."""

    kind: str = ""
    """Its kind."""
    api_group: str = ""
    """Its API group."""
    name: str
    """Its name."""
    namespace: str = ""
    """Its namespace; unset is the agent's. Another one must allow it."""


class McpServerTool(ToolReference, frozen=True, kw_only=True):
    """Tools of a server."""

    RULES: ClassVar = (
        rule(
            "!has(self.requireApproval) || self.requireApproval.all(x, has(self.toolNames) && x in self.toolNames)",
            "each RequireApproval entry must also appear in ToolNames",
        ),
    )
    kind: Literal["", "MCPServer", "RemoteMCPServer", "Service"] = ""
    """`MCPServer` (also when unset), `RemoteMCPServer` or `Service`."""
    tool_names: Annotated[Texts, msgspec.Meta(max_length=50)] = ()
    """Its tools that the agent may call."""
    require_approval: Annotated[Texts, msgspec.Meta(max_length=50)] = ()
    """Those of them that a person must approve, each time."""
    allowed_headers: Texts = ()
    """Header fields of the agent's caller that are passed on to it."""


class AgentTool(ToolReference, frozen=True, kw_only=True):
    """Another agent, to be called as a tool."""

    kind: str = ""
    """`Agent` (also when unset) or `SandboxAgent`."""


def _either(field: str, tag: str) -> tuple[dict[str, str], dict[str, str]]:
    return (
        rule(f"!(has(self.{field}) && self.type != '{tag}')", f"type.{field} must be nil if the type is not {tag}"),
        rule(f"!(!has(self.{field}) && self.type == '{tag}')", f"type.{field} must be specified for {tag} filter.type"),
    )


class Tool(Part, frozen=True, kw_only=True):
    """Something the agent may call."""

    RULES: ClassVar = (*_either("mcpServer", "McpServer"), *_either("agent", "Agent"))
    type: Literal["Agent", "McpServer"]
    """Which of them it is."""
    mcp_server: McpServerTool | None = None
    """Tools of a server."""
    agent: AgentTool | None = None
    """Another agent."""
    headers_from: tuple[HeaderSource, ...] = ()
    """Header fields of every request to it."""
    isolate_sessions: bool = False
    """The agent called starts every time without what was said before; for agents only."""


class PromptSource(Part, frozen=True, kw_only=True):
    """A ConfigMap whose values can be included in the system message."""

    kind: str = ""
    """`ConfigMap`."""
    api_group: str = ""
    """Empty: the core group."""
    name: str
    """Its name."""
    alias: str = ""
    """Shorter name to include its values by."""


class PromptTemplate(Part, frozen=True, kw_only=True):
    """Makes the system message a template."""

    data_sources: Annotated[tuple[PromptSource, ...], msgspec.Meta(max_length=20)] = ()
    """What it can include."""


class Memory(Part, frozen=True, kw_only=True):
    """What an agent remembers between sessions."""

    model_config: str
    """ModelConfig whose model makes the embeddings."""
    ttl_days: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Days until it is forgotten; unset is 15."""


class Summarizer(Part, frozen=True, kw_only=True):
    """How older events are summarised."""

    model_config: str = ""
    """ModelConfig whose model does it; unset is the agent's own."""
    prompt_template: str = ""
    """What it is told."""


class Compaction(Part, frozen=True, kw_only=True):
    """When older events of a session are made shorter."""

    compaction_interval: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Invocations after which it happens."""
    overlap_size: Annotated[int, msgspec.Meta(ge=0)] = 2
    """Earlier invocations that are summarised once more."""
    summarizer: Summarizer | None = None
    """How; unset drops them."""
    token_threshold: int | None = None
    """Tokens of a prompt from which it happens earlier."""
    event_retention_size: int | None = None
    """Newest events that are never touched."""


class Context(Part, frozen=True, kw_only=True):
    """How the context of a session is kept in bounds."""

    compaction: Compaction | None = None
    """Making older events shorter."""


class AgentSkill(Part, frozen=True, kw_only=True):
    """What an agent says that it can do, on its card."""

    id: str
    """Unique on the card."""
    name: str
    """For people."""
    description: str = ""
    """For people, and for agents that choose."""
    tags: Texts
    """For finding it."""
    examples: Texts = ()
    """What could be asked."""
    input_modes: Texts = ()
    """Media types it takes."""
    output_modes: Texts = ()
    """Media types it gives."""


class A2AConfig(Part, frozen=True, kw_only=True):
    """What other agents see of it."""

    skills: Annotated[tuple[AgentSkill, ...], msgspec.Meta(min_length=1)] | None = None
    """What it can do."""


class DeclarativeAgent(Part, frozen=True, kw_only=True):
    """An agent that is a prompt, a model and tools."""

    RULES: ClassVar = (
        rule(
            "!has(self.systemMessage) || !has(self.systemMessageFrom)",
            "systemMessage and systemMessageFrom are mutually exclusive",
        ),
    )
    runtime: Literal["go", "python"] = "python"
    """Not read: this mesh runs agents in Python."""
    system_message: str = ""
    """What it is told before everything else."""
    system_message_from: ValueSource | None = None
    """Where that stands."""
    prompt_template: PromptTemplate | None = None
    """Makes it a template."""
    model_config: str = ""
    """Name of a ModelConfig; unset is `default-model-config`. In the agent's namespace, or `NAMESPACE/NAME` or the
    name of one elsewhere, with a ReferenceGrant there."""
    stream: bool = False
    """Ask the model for streams."""
    tools: Annotated[tuple[Tool, ...], msgspec.Meta(max_length=20)] = ()
    """What it may call."""
    a2a_config: A2AConfig | None = msgspec.field(default=None, name="a2aConfig")
    """What other agents see of it."""
    deployment: DeclarativeDeployment | None = None
    """How its pod is made."""
    execute_code_blocks: bool | None = None
    """Not read."""
    share_tools: bool | None = None
    """Not read."""
    memory: Memory | None = None
    """What it remembers between sessions."""
    context: Context | None = None
    """How its context is kept in bounds."""


class GitSkill(Part, frozen=True, kw_only=True):
    """Skills in a Git repository."""

    url: str
    """The repository."""
    ref: str = "main"
    """Branch, tag or commit."""
    path: str = ""
    """Folder in it."""
    name: str = ""
    """What the skill is called."""


class Skills(Part, frozen=True, kw_only=True):
    """Skills that are loaded into the agent."""

    SAID: ClassVar = {"anyOf": [{"required": ["refs"]}, {"required": ["gitRefs"]}, {"required": ["s3Refs"]}]}
    insecure_skip_verify: bool = False
    """Not read: registries are always verified."""
    refs: Annotated[Texts, msgspec.Meta(min_length=1, max_length=20)] | None = None
    """OCI images."""
    image_pull_secrets: Annotated[Opens, msgspec.Meta(max_length=20)] = ()
    """Credentials for registries."""
    git_auth_secret_ref: Open | None = None
    """Credentials for Git."""
    git_refs: Annotated[tuple[GitSkill, ...], msgspec.Meta(min_length=1, max_length=20)] | None = None
    """Git repositories."""
    s3_refs: Opens | None = msgspec.field(default=None, name="s3Refs")
    """Not read."""
    init_container: Open | None = None
    """Not read."""


class Network(Part, frozen=True, kw_only=True):
    """What a sandbox may reach."""

    allowed_domains: Texts = ()
    """Domains, `*.example.com` too; none reaches nothing."""


class Sandbox(Part, frozen=True, kw_only=True):
    """Where what the agent starts runs."""

    network: Network | None = None
    """What it may reach."""


class AgentProvider(Part, frozen=True, kw_only=True):
    """Who offers an agent."""

    organization: str = ""
    """Name of the organisation."""
    url: str = ""
    """Its page."""


class AgentSpec(Part, frozen=True, kw_only=True):
    """What an agent is."""

    RULES: ClassVar = (
        rule("has(self.type)", "type must be specified"),
        rule("self.type == 'Declarative' || self.type == 'BYO'", "type must be either Declarative or BYO"),
        rule(
            "(self.type == 'Declarative' && has(self.declarative)) || (self.type == 'BYO' && has(self.byo))",
            "declarative must be specified if type is Declarative, or byo must be specified if type is BYO",
        ),
    )
    type: Literal["BYO", "Declarative"] = "Declarative"
    """Which of them it is."""
    byo: ByoAgent | None = None
    """An agent of one's own."""
    declarative: DeclarativeAgent | None = None
    """A prompt, a model and tools."""
    description: str = ""
    """What it is for; other agents choose by it."""
    icon_url: str = ""
    """Its icon."""
    documentation_url: str = ""
    """Its documentation."""
    version: str = ""
    """Its version."""
    provider: AgentProvider | None = None
    """Who offers it."""
    skills: Skills | None = None
    """Skills that are loaded."""
    sandbox: Sandbox | None = None
    """Where what it starts runs."""
    allowed_namespaces: AllowedNamespaces | None = None
    """Namespaces whose agents may call it as a tool; unset is its own."""


class Agent(Resource, frozen=True, kw_only=True):
    """An agent: declared, or one's own."""

    SERVED: ClassVar = Served(
        "agents",
        categories=("kagent",),
        columns=(
            column("Type", ".spec.type", description="The type of the agent."),
            column("Runtime", ".spec.declarative.runtime", description="What a declared agent runs in.", priority=1),
            condition("Ready", description="Whether it can be called."),
            condition("Accepted", description="Whether it was accepted."),
        ),
        has_status=True,
    )
    api_version: AgentVersion
    """API group and version."""
    kind: Literal["Agent"]
    """Kind."""
    spec: AgentSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ResourceStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""
