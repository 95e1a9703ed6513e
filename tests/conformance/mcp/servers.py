"""What is asked: the gateway in front of an everything-server of a kind, or any URL."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.running import running_mesh
from tests.mcp_servers.running import everything, stdio_command

CONFIG = """\
listeners:
  - {{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
mcp:
  targets:
    - {{{{name: everything, {target}}}}}
  servers:
    - {{{{name: default, targets: [everything]}}}}
security:
  authentication: {{{{type: none}}}}
authorization:
  policies:
    - {{{{name: all, resources: ["server:*", "tool:*", "prompt:*", "resource:*"], action: allow}}}}
"""
KINDS = {
    "both": "streamable HTTP, both eras on one address",
    "legacy": "streamable HTTP with sessions, 2025-11-25 and before",
    "modern": "streamable HTTP without sessions, 2026-07-28",
    "stdio": "a child process, 2025-11-25 and before",
    "sse": "HTTP+SSE, 2025-11-25 and before",
}
"""Kinds of servers behind the gateway."""


@contextmanager
def server(kind: str) -> Iterator[str]:
    """A target of this kind, as configuration."""
    if kind == "stdio":
        yield f"stdio: {{{{command: {json.dumps(stdio_command('--eras', 'legacy'))}}}}}"
        return
    transport, eras = {"both": ("http", "both"), "legacy": ("http", "legacy"), "modern": ("stateless", "modern"),
                       "sse": ("sse", "legacy")}[kind]  # fmt: skip
    with everything(transport, eras) as url:
        yield f'{"sse" if kind == "sse" else "http"}: {{{{url: "{url}"}}}}'


@contextmanager
def gateway(folder: Path, kind: str = "both") -> Iterator[str]:
    """The URL of a gateway with this one server behind it, anonymous, on loopback."""
    with ExitStack() as stack:
        text = CONFIG.format(target=stack.enter_context(server(kind)))
        mesh = stack.enter_context(running_mesh(folder, text))
        yield f"http://127.0.0.1:{mesh.port}/mcp"
