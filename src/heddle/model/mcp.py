"""One message of a caller to a virtual MCP server, in the form that every policy reads.

Owns the canonical call. Fronts make it, policies read it, targets answer it.
*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Tools", "Prompts", "Resources".
"""

from typing import Any, Literal

import msgspec

Kind = Literal["tool", "prompt", "resource", "server"]
"""What a call is about; `server` is everything that names none of the others (lists, completions, discovery)."""


class McpCall(msgspec.Struct, kw_only=True, gc=False, eq=False):
    """One request, decoded as far as policies need."""

    method: str
    """JSON-RPC method, e.g. `tools/call`."""
    server: str
    """Name of the virtual server."""
    version: str
    """Protocol version that the caller speaks."""
    kind: Kind = "server"
    name: str = ""
    """Name of the tool or prompt, or URI of the resource, as the caller wrote it."""
    target: str = ""
    """The tool server that it leads to."""
    target_name: str = ""
    """Its name there: stable, whatever callers see."""
    params: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """Everything under `params`, each value as it was written."""
    arguments: dict[str, Any] | None = None
    """`params.arguments`, parsed when somebody asked for them (`parsed_arguments`)."""
    size: int = 0
    """Bytes of the request body."""
    cost_usd: float = 0.0
    """What one call of this tool costs, where that is declared."""
    session: str = ""
    """Id of the caller's session, for records; empty without one."""
    request_id: bytes = b""
    """Id of the request as its caller wrote it, for traces."""
    tool_error: bool = False
    """The tool answered that it failed: an answer of the protocol, but no success."""
    asks_back: bool = False
    """The server wants to know something first: its caller calls again, and that is the same call."""

    @property
    def resource(self) -> str:
        """What rules and records call it: `tool:fs__read`."""
        return f"{self.kind}:{self.name}" if self.name else f"server:{self.server}"

    @property
    def stable_name(self) -> str:
        """`files/read_file`: what a tool or prompt is called whatever callers see; empty where no target is known."""
        return f"{self.target}/{self.target_name}" if self.target and self.target_name else ""
