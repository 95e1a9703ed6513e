"""What a head says of MCP, read once for each head on its connection: callers send the same one again and again."""

from heddle.net.message import Request
from heddle.wire.mcp.fields import Said, read_fields


def said(request: Request) -> Said:
    """What a request's fields say of its body."""
    known: Said | None = request.memory.get("mcp")
    if known is None:
        known = request.memory["mcp"] = read_fields(request.headers, request.fields())
    return known
