"""The MCP gateways that are compared, each as one process on one core, in front of the same upstream.

Owns: how each is configured and started. FastMCP's proxy and ContextForge run as their documentation starts them; what
would refuse our calls (rate limits, loopback addresses) is switched off, nothing is tuned against them.
Refuses: installing anything (scripts/bench_setup.sh does).
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.gateways import HOME, PYTHON, Rig, ours
from bench.load import CONF, KEY
from bench.mcp_load import Endpoint
from bench.processes import GATEWAY_CORE, LOAD_CORE, Process, free_port

SECRET = "bench-secret-0123456789abcdef0123456789"
ADMIN = "admin@example.com"
FORGE = {
    "JWT_SECRET_KEY": SECRET,
    "AUTH_ENCRYPTION_SECRET": SECRET,
    "PLATFORM_ADMIN_EMAIL": ADMIN,
    "PLATFORM_ADMIN_PASSWORD": "Bench-Pass-0123!",
    "BASIC_AUTH_PASSWORD": "Bench-Pass-0123!",
    "MCPGATEWAY_UI_ENABLED": "false",
    "CACHE_TYPE": "memory",
    "LOG_LEVEL": "ERROR",
    "PLUGINS_ENABLED": "false",
    "RATE_LIMITING_ENABLED": "false",
    "TOOL_RATE_LIMIT": "1000",
    "SSRF_ALLOW_LOCALHOST": "true",
    "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
}
START_S = 120.0


@dataclass(frozen=True)
class McpGateway:
    """A started gateway and where its tool is."""

    name: str
    process: Process
    endpoint: Endpoint


def upstream(rig: Rig, era: str, core: int = LOAD_CORE) -> McpGateway:
    """The tool server behind them all, at the rig's upstream port."""
    command = [sys.executable, "-m", "bench.mcp_upstream", str(rig.upstream), era]
    process = rig.start(f"upstream-{era}", command, core, PYTHON)
    endpoint = Endpoint(rig.upstream, modern=era != "legacy")
    return _ready(McpGateway("upstream alone", process, endpoint))


def heddle(rig: Rig, modern: bool) -> McpGateway:
    """Ours, one worker: a key, authorization of the tool, a limit, records."""
    port = free_port()
    name = "heddle" if modern else "heddle-session"
    path = rig.write(f"{name}.yaml", rig.render("mcp.yaml", PORT=port, ADMIN=free_port(), OTLP=free_port()).read_text())
    state = str(rig.folder / f"{name}-state")
    command = [sys.executable, "-m", "heddle", "gateway", "-f", str(path), "--workers", "1", "--state", state]
    process = rig.start(name, command, GATEWAY_CORE, ours())
    return _ready(McpGateway("heddle", process, Endpoint(port, modern=modern, key=KEY)))


def fastmcp(rig: Rig, modern: bool) -> McpGateway:
    """FastMCP's `create_proxy(url)`: no authentication, no authorization."""
    port = free_port()
    url = f"http://127.0.0.1:{rig.upstream}/mcp"
    command = [str(HOME / "fastmcp/bin/python"), str(CONF / "fastmcp_proxy.py"), str(port), url]
    process = rig.start("fastmcp", command, GATEWAY_CORE)
    return _ready(McpGateway("fastmcp", process, Endpoint(port, modern=modern)))


def contextforge(rig: Rig, modern: bool) -> McpGateway:
    """ContextForge, SQLite, one worker, a JWT: only the older era is spoken to callers."""
    port = free_port()
    if modern:
        raise RuntimeError("ContextForge does not serve 2026-07-28")
    database = {"DATABASE_URL": f"sqlite:///{rig.folder / 'contextforge.db'}"}
    command = [str(HOME / "contextforge/bin/mcpgateway"), "--host", "127.0.0.1", "--port", str(port)]
    process = rig.start("contextforge", command, GATEWAY_CORE, FORGE | database)
    key = _token()
    _wait(process, lambda: _forge(port, key, "GET", "/health"))
    url = f"http://127.0.0.1:{rig.upstream}/mcp"
    _forge(port, key, "POST", "/gateways", {"name": "up", "url": url, "transport": "STREAMABLEHTTP"})
    tools = _forge(port, key, "GET", "/tools")
    assert isinstance(tools, list)
    asked = {"server": {"name": "bench", "associated_tools": [tools[0]["id"]]}}
    server = _forge(port, key, "POST", "/servers", asked)
    assert isinstance(server, dict)
    endpoint = Endpoint(port, f"/servers/{server['id']}/mcp", "up-echo", modern=False, key=key)
    return _ready(McpGateway("contextforge", process, endpoint))


PEERS: dict[str, Callable[[Rig, bool], McpGateway]] = {
    "heddle": heddle,
    "fastmcp": fastmcp,
    "contextforge": contextforge,
}


def installed(name: str) -> bool:
    """Whether a gateway can be run here."""
    return name == "heddle" or (HOME / name / "bin/python").exists()


def _token() -> str:
    command = [str(HOME / "contextforge/bin/python"), "-m", "mcpgateway.utils.create_jwt_token"]
    asked = [*command, "--username", ADMIN, "--exp", "600", "--secret", SECRET]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=FORGE | {"PATH": "/usr/bin:/bin"})
    return done.stdout.split()[-1]


def _forge(port: int, key: str, method: str, path: str, body: object = None) -> object:
    """Asks ContextForge's own API. RuntimeError when it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        fields = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), fields)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"ContextForge: {method} {path}: HTTP {answer.status} {text[:500]!r}")
    told: object = json.loads(text)
    return told


def _wait(process: Process, check: Callable[[], object]) -> None:
    """Until the check neither fails nor says no; RuntimeError when the program ends or is too late."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.alive():
        try:
            if check():
                return
        except (OSError, http.client.HTTPException, RuntimeError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{process.name} does not answer:\n{process.log.read_text(errors='replace')[-2000:]}")


def _ready(gateway: McpGateway) -> McpGateway:
    """Waits until a call gets the upstream's answer."""
    endpoint = gateway.endpoint

    def works() -> bool:
        return endpoint.works("" if endpoint.modern else endpoint.open())

    _wait(gateway.process, works)
    return gateway
