"""What a caller sees of a target at which they have no account connected yet: one tool, which answers with the way.

Owns that tool. Without it such a caller would see nothing of the target, and so never make the call that says what to
do. It is the gateway's own: neither pinned nor checked with what the target lists.
*Source:* Model Context Protocol 2025-11-25, "URL Mode Elicitation" (connecting is the user's, never the client's).
"""

import msgspec

from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.contract import Described
from heddle.wire.mcp.versions import LATEST

CONNECT = "connect_account"
_DESCRIBED = Described(version=LATEST, capabilities={"tools": {}})
"""Known by its identity: no target can say the same of itself."""


def unconnected(target: str) -> Catalogue:
    """The list of such a caller."""
    tool = {
        "name": CONNECT,
        "title": f"Connect an account of {target}",
        "description": (
            f"The tools of {target} appear once the user has connected an account. "
            "Call this to get the link that the user has to open."
        ),
        "inputSchema": {"type": "object", "properties": {}},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
    offer = Offer(CONNECT, msgspec.json.encode(tool), tool)
    return Catalogue(_DESCRIBED, {"tool": {CONNECT: offer}}, 0.0)


def is_unconnected(catalogue: Catalogue) -> bool:
    """Whether a list is the gateway's own, for such a caller."""
    return catalogue.described is _DESCRIBED


def connected(target: str) -> bytes:
    """The result of calling it when there is nothing to do any more."""
    text = f"An account of {target} is connected. List the tools again to see them."
    return msgspec.json.encode({"content": [{"type": "text", "text": text}]})
