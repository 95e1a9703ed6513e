"""One gateway, five servers behind it, each at an address of its own."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.running import running_mesh
from tests.eras.wire import OldSse
from tests.mcp_servers.running import SHOP, everything, running, stdio_command
from tests.mcp_servers.shop import DOCUMENT

DIRECT = bool(os.environ.get("HEDDLE_ERAS_DIRECT"))
"""Asks the servers themselves, with no gateway between: proves that the questions are right."""
PAGE = 5

CONFIG = """\
listeners:
  - {{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
mcp:
  targets:
    - {{{{name: stdio, stdio: {{{{command: {stdio}}}}}}}}}
    - {{{{name: sse, sse: {{{{url: "{sse}"}}}}}}}}
    - {{{{name: http, http: {{{{url: "{http}"}}}}}}}}
    - {{{{name: stateless, http: {{{{url: "{stateless}"}}}}}}}}
    - {{{{name: openapi, openapi: {{{{schema: {{{{file: shop.json}}}}, base_url: "{openapi}"}}}}}}}}
  servers:
    - {{{{name: stdio, targets: [stdio]}}}}
    - {{{{name: old, targets: [sse]}}}}
    - {{{{name: http, targets: [http]}}}}
    - {{{{name: stateless, targets: [stateless]}}}}
    - {{{{name: openapi, targets: [openapi]}}}}
security:
  authentication: {{{{type: none}}}}
authorization:
  policies:
    - {{{{name: all, resources: ["server:*", "tool:*", "prompt:*", "resource:*"], action: allow}}}}
"""


class Addresses:
    """Where a client of a version finds a backend."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls

    def of(self, backend: str, kind: type) -> str:
        if DIRECT:
            return self._urls["sse" if kind is OldSse else "http"]
        return self._urls[backend] + ("/sse" if kind is OldSse else "")


@contextmanager
def addresses(folder: Path) -> Iterator[Addresses]:
    """Everything runs within the block."""
    with ExitStack() as stack:
        if DIRECT:
            urls = {kind: stack.enter_context(everything(kind, page=PAGE)) for kind in ("sse", "http")}
            yield Addresses(urls)
            return
        shop = stack.enter_context(running(SHOP))
        text = CONFIG.format(
            stdio=json.dumps(stdio_command("--eras", "legacy", "--page", str(PAGE))),
            sse=stack.enter_context(everything("sse", page=PAGE)),
            http=stack.enter_context(everything("http", "legacy", page=PAGE)),
            stateless=stack.enter_context(everything("stateless", "modern", page=PAGE)),
            openapi=f"http://127.0.0.1:{shop}",
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "shop.json").write_text(json.dumps(DOCUMENT))
        mesh = stack.enter_context(running_mesh(folder, text))
        # One of the clients takes an address that ends in `sse` for the older transport's.
        names = {"stdio": "stdio", "sse": "old", "http": "http", "stateless": "stateless", "openapi": "openapi"}
        yield Addresses({kind: f"http://127.0.0.1:{mesh.port}/mcp/{name}" for kind, name in names.items()})
