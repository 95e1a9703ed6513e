"""Targets from what is declared of them.

Owns which way leads to which kind. Raises ValueError, naming the target, for what cannot be built.
"""

from heddle.backends.mcp.contract import Target
from heddle.backends.mcp.detecting import DetectedTarget
from heddle.backends.mcp.kept import KeptSessions
from heddle.backends.mcp.legacy import LegacyTarget
from heddle.backends.mcp.modern import ModernTarget
from heddle.backends.mcp.openapi import OpenApiTarget
from heddle.backends.mcp.peer import Authorizing, Manner, Peer, Place, place
from heddle.backends.mcp.sse import SseTarget
from heddle.backends.mcp.unconfigured import UnconfiguredTarget
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec, OpenApiSpec, SseSpec, StdioSpec
from heddle.net.unixsocket import STDIO_SOCKET, socket_path
from heddle.pipeline.assembly import Tools
from heddle.wire.mcp.versions import LEGACY, MODERN


def build_target(
    spec: McpTargetSpec, tools: Tools, session_ttl_s: float, authorizing: Authorizing | None = None
) -> Target:
    """The target that `spec` declares."""
    connect, name = spec.connect, spec.name
    if spec.credential_error:
        return UnconfiguredTarget(name, spec.credential_error)
    if isinstance(connect, StdioSpec):
        return _of_both_eras(
            Peer(name, _host(name, tools), spec.timeouts, tools, Manner(owned=True)), spec, tools, session_ttl_s
        )
    manner = Manner(connect.headers, authorizing, plain=isinstance(connect, OpenApiSpec))
    peer = Peer(name, place(connect, name, tools), spec.timeouts, tools, manner)
    if isinstance(connect, HttpSpec):
        return _of_both_eras(peer, spec, tools, session_ttl_s)
    if isinstance(connect, SseSpec):
        return SseTarget(peer, connect.url, spec.timeouts.call_s)
    return OpenApiTarget(peer, connect)


def _host(name: str, tools: Tools) -> Place:
    """A server that the stdio host runs."""
    path = str(socket_path(tools.state_dir, STDIO_SOCKET))
    origin = tools.client.origin("http://localhost", owner=f"mcp:{name}", address=path)
    tools.closers.append(lambda: tools.client.discard(origin))
    return Place(origin, f"/t/{name}".encode())


def _of_both_eras(peer: Peer, spec: McpTargetSpec, tools: Tools, session_ttl_s: float) -> Target:
    """A server behind streamable HTTP: of the era that its version says, or of the one that it turns out to have."""
    kept = KeptSessions(spec.name, tools, session_ttl_s)
    if spec.version in MODERN:
        return ModernTarget(peer, spec.version)
    if spec.version in LEGACY:
        return LegacyTarget(peer, kept, spec.version)
    return DetectedTarget(ModernTarget(peer), LegacyTarget(peer, kept))
