"""directory.heddle.dev/v1alpha1: what was found: tools, tool servers, models and agents, and how they are.

These objects are made by the control plane and read by everybody else.

**Names.** kubectl and `heddle get` resolve a bare name to the first group that has it. `agents` is kagent's, `models`
is `heddle.dev`'s, `gateways` is the Gateway API's, and all three are what people *declare*: `get agents` must go on
showing those, and `delete agents --all` must never mean what was found. So what is found has names of its own, except
`tools`, which nobody declares: `get tools,agents,models -A` shows tools that were found beside agents and models as
declared, with the health that was found in their status, and `get directory -A` (the category) everything that was
found. A category called `agents` over both was thought of and left out: kubectl expands a category for every verb,
`delete` too. Which version each connected gateway runs is a GatewayStatus of `heddle.dev`, in the same category.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import AGE, OPEN, Served, column, form
from heddle.model.meta import Resource
from heddle.model.resources_status import Conditions

_Version = Literal["directory.heddle.dev/v1alpha1"]
DIRECTORY_VERSION: _Version = "directory.heddle.dev/v1alpha1"
Time = Annotated[str, form("date-time")]
_SEEN = (column("Available", ".status.available", "boolean"), column("Last Seen", ".status.lastSeen", "date"))


def _served(plural: str, short: str, *columns: Any) -> Served:
    short_names = (short,) if short else ()
    return Served(plural, short_names, ("directory",), (*columns, *_SEEN, AGE), generated=True)


class Source(Part, frozen=True, kw_only=True):
    """The object that led to it."""

    api_version: str
    """Its API group and version."""
    kind: str
    """Its kind."""
    name: str
    """Its name."""
    namespace: str = ""
    """Its namespace."""


class Seen(Part, frozen=True, kw_only=True):
    """How it is. Kept when its source is away."""

    available: bool
    """It was there when it was last looked for."""
    first_seen: Time
    """When it was found."""
    last_seen: Time
    """When it was last there. Of what is available it is when anything of it changed: it is there still."""
    source: str = ""
    """Name of the gateway that says so; its GatewayStatus is called the same."""
    latency_ms: Annotated[int, form("int64")] | None = None
    """Milliseconds it took to answer, last time."""
    digest: str = ""
    """SHA-256 of its definition; another one is another definition."""
    message: str = ""
    """Why it is not available, or what else is to be said."""
    conditions: Conditions = ()
    """What is said of it: `Available`, of tools `Approved`, and `Agreed` where gateways say different things."""


class ToolSeen(Seen, frozen=True, kw_only=True):
    """How a tool is."""

    approval: str = ""
    """What screening made of its definition: `approved`, `unchecked` (its pins are off), or why callers do not see it:
    `pending`, `changed`, `poisoned`, `rejected`. Of what callers do not see no text is here either; `heddle tools diff`
    shows it."""


class ToolSpec(Part, frozen=True, kw_only=True):
    """A tool, as its server describes it."""

    source: Source
    """The object that declares its server."""
    server: str
    """Name of the server."""
    name: str
    """Name it is called by."""
    title: str = ""
    """For people."""
    description: str = ""
    """What it does."""
    input_schema: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """JSON Schema of its arguments."""
    output_schema: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """JSON Schema of what it returns."""
    annotations: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """What its server claims of it, `readOnlyHint` say; not trusted."""


class Tool(Resource, frozen=True, kw_only=True):
    """A tool that was found at a server."""

    SERVED: ClassVar = _served(
        "tools",
        "",
        column("Server", ".spec.server"),
        column("Tool", ".spec.name"),
        column("Approval", ".status.approval"),
        column("Description", ".spec.description", priority=1),
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["Tool"]
    """Kind."""
    spec: ToolSpec
    """The tool."""
    status: ToolSeen
    """How it is."""


class DiscoveredServerSpec(Part, frozen=True, kw_only=True):
    """A tool server, as it describes itself."""

    source: Source
    """The object that declares it."""
    title: str = ""
    """Name it gives itself."""
    version: str = ""
    """Version it gives itself."""
    protocol_version: str = ""
    """Version of MCP that is spoken with it."""
    transport: str = ""
    """How it is reached: `http`, `sse`, `stdio`."""
    instructions: str = ""
    """What it says to models."""
    tools: int = 0
    """Number of its tools."""
    resources: int = 0
    """Number of its resources."""
    prompts: int = 0
    """Number of its prompts."""


class DiscoveredServer(Resource, frozen=True, kw_only=True):
    """A tool server that was reached."""

    SERVED: ClassVar = _served(
        "discoveredservers",
        "dservers",
        column("Transport", ".spec.transport"),
        column("Tools", ".spec.tools", "integer"),
        column("Version", ".spec.version", priority=1),
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["DiscoveredServer"]
    """Kind."""
    spec: DiscoveredServerSpec
    """The server."""
    status: Seen
    """How it is."""


class DiscoveredModelSpec(Part, frozen=True, kw_only=True):
    """A model, as its provider lists it."""

    source: Source
    """The object that declares its provider."""
    provider: str
    """Name of the provider."""
    model: str
    """Name it is called by there."""
    owned_by: str = ""
    """Who made it, as the provider says."""
    context_tokens: int | None = None
    """Tokens that fit."""


class DiscoveredModel(Resource, frozen=True, kw_only=True):
    """A model that was found at a provider."""

    SERVED: ClassVar = _served(
        "discoveredmodels", "dmodels", column("Provider", ".spec.provider"), column("Model", ".spec.model")
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["DiscoveredModel"]
    """Kind."""
    spec: DiscoveredModelSpec
    """The model."""
    status: Seen
    """How it is."""


class DiscoveredAgentSpec(Part, frozen=True, kw_only=True):
    """An agent, as its card describes it."""

    source: Source
    """The object that declares it."""
    url: str
    """Where it is called."""
    title: str = ""
    """Name on its card."""
    description: str = ""
    """What it is for."""
    version: str = ""
    """Version on its card."""
    protocol_version: str = ""
    """Version of A2A it speaks."""
    skills: tuple[str, ...] = ()
    """Names of its skills."""


class DiscoveredAgent(Resource, frozen=True, kw_only=True):
    """An agent whose card was read."""

    SERVED: ClassVar = _served(
        "discoveredagents",
        "dagents",
        column("URL", ".spec.url"),
        column("Skills", ".spec.skills", priority=1),
        column("Version", ".spec.version", priority=1),
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["DiscoveredAgent"]
    """Kind."""
    spec: DiscoveredAgentSpec
    """The agent."""
    status: Seen
    """How it is."""
