"""Targets from what is declared of them.

Owns which way leads to which kind. Raises ValueError, naming the target, for what cannot be built.
"""

from heddle.backends.mcp.contract import Target
from heddle.backends.mcp.detecting import DetectedTarget
from heddle.backends.mcp.kept import KeptSessions
from heddle.backends.mcp.legacy import LegacyTarget
from heddle.backends.mcp.modern import ModernTarget
from heddle.backends.mcp.peer import Peer, place
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec
from heddle.pipeline.assembly import Tools
from heddle.wire.mcp.versions import LEGACY, MODERN


def build_target(spec: McpTargetSpec, tools: Tools, session_ttl_s: float) -> Target:
    """The target that `spec` declares."""
    connect = spec.connect
    if isinstance(connect, HttpSpec):
        peer = Peer(spec.name, place(connect, spec.name, tools), spec.timeouts, tools, connect.headers)
        return of_both_eras(peer, spec, tools, session_ttl_s)
    raise ValueError(f"tool server {spec.name!r}: this kind of target is not built")


def of_both_eras(peer: Peer, spec: McpTargetSpec, tools: Tools, session_ttl_s: float) -> Target:
    """A server behind streamable HTTP: of the era that its version says, or of the one that it turns out to have."""
    kept = KeptSessions(spec.name, tools, session_ttl_s)
    if spec.version in MODERN:
        return ModernTarget(peer, spec.version)
    if spec.version in LEGACY:
        return LegacyTarget(peer, kept, spec.version)
    return DetectedTarget(ModernTarget(peer), LegacyTarget(peer, kept))
