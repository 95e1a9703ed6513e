"""One path that is served: what it is called, and who answers which method."""

from dataclasses import dataclass

from heddle.pipeline.exchange import Handler

OPENAI = "openai_chat"
"""The dialect of paths that belong to none."""
MCP = "mcp"
"""Failures are told as JSON-RPC."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what it is called in records, who answers which method, and the dialect errors are told in."""

    operation: str
    methods: dict[str, Handler]
    dialect: str = OPENAI
