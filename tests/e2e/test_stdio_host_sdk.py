"""The official SDK on both sides of the stdio host: its client over the Unix socket, a server of it as the child.

The host translates nothing between protocol versions, so each kind of server is asked in its own way.
"""

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.e2e.running import CONFIG, RunningMesh, running_mesh
from tests.eras.sdks import EXPECTED, _python
from tests.mcp_servers.running import stdio_command

TARGETS = {
    f"{eras}-{isolation}": f"{{{{command: {stdio_command('--eras', eras)!r}, isolation: {isolation}}}}}"
    for eras in ("legacy", "modern", "both")
    for isolation in ("session", "shared")
}
TEXT = CONFIG + "mcp:\n  targets:\n" + "".join(f"    - {{{{name: {n}, stdio: {t}}}}}\n" for n, t in TARGETS.items())


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("mesh"), TEXT) as started:
        yield started


@asynccontextmanager
async def connected(socket: Path, target: str, owner: str = "alice"):
    """A transport for the SDK's client."""
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    headers = {"x-heddle-owner": owner}
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers, timeout=30) as http,
        streamable_http_client(f"http://localhost/t/{target}", http_client=http) as streams,
    ):
        yield streams


@pytest.mark.parametrize(
    ("target", "mode"),
    [
        ("legacy-session", "auto"),
        ("legacy-shared", "legacy"),
        ("modern-session", "auto"),
        ("modern-shared", "2026-07-28"),
        ("both-session", "legacy"),
        ("both-session", "auto"),
        ("both-shared", "auto"),
    ],
)
async def test_everything_a_server_can(mesh: RunningMesh, target: str, mode: str):
    async with asyncio.timeout(60):
        heard: dict[str, Any] = await _python(connected(mesh.state / "stdio.sock", target), mode, True)
    assert {feature: heard[feature] for feature in EXPECTED} == EXPECTED
    assert len(heard["tools"]) > 10


async def test_many_callers_of_one_shared_server(mesh: RunningMesh):
    """Progress of each reaches the one who asked, though all use the same numbers for everything."""

    async def one(owner: str) -> list[float]:
        seen: list[float] = []

        async def progressed(done: float, *_: Any) -> None:
            seen.append(done)

        transport = connected(mesh.state / "stdio.sock", "legacy-shared", owner)
        async with Client(transport, mode="legacy") as client:
            await client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
        return seen

    async with asyncio.timeout(60):
        assert await asyncio.gather(*(one(f"owner{number}") for number in range(8))) == [EXPECTED["progress"]] * 8
