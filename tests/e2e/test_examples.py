"""Every example, byte for byte but for its ports: validated, started, and led to the answer that it promises. What
pages about tools print as configuration is one, too.
"""

import asyncio
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from tests.e2e.running import RunningMesh, free_ports
from tests.mcp_servers.running import everything, running

from heddle.controlplane.load import load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TRIED = ("guards.yaml", "mcp-gateway.yaml", "model-gateway.yaml")


def test_every_example_is_tried():
    assert {path.name for path in EXAMPLES.glob("*.yaml")} == set(TRIED)


@pytest.mark.parametrize("name", TRIED)
def test_it_is_valid_as_it_stands(name: str):
    command = [sys.executable, "-m", "heddle", "validate", "--format", "json", "-f", str(EXAMPLES / name)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert shown["valid"] is True
    assert shown["inactive"] == []
    assert {one["message"].partition(" ")[0] for one in shown["problems"]} <= {"holds", "environment"}


PAGES = ("README.md", "docs/concepts/mcp.md", "docs/concepts/stdio-servers.md", "docs/concepts/tool-safety.md",
         "docs/guides/tools.md")  # fmt: skip
AROUND = {
    "listeners": "listeners: [{name: tools, address: 127.0.0.1, port: 8081, protocol: MCP}]\n",
    "security": "security: {authentication: {type: api_key, keys: [{key: '${ALICE_KEY}', user: alice}]}}\n",
}
"""What a block needs that shows something else."""


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_print_is_valid(page: str, tmp_path: Path):
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        config = tmp_path / "heddle.yaml"
        needed = [text for name, text in AROUND.items() if not re.search(f"^{name}:", block, re.MULTILINE)]
        config.write_text("".join([*needed, block]))
        loaded = load([config], environ={"ALICE_KEY": "sk-alice-0123456789", "GITHUB_TOKEN": "never-sent-anywhere"})
        assert not [one.line_text() for one in loaded.problems if one.severity == "error"], block


@contextmanager
def example(folder: Path, name: str, *, path: str = "", **ports: int) -> Iterator[RunningMesh]:
    """`ports`: what stands in place of `127.0.0.1:PORT`, by `at_PORT`; `path` goes before that of programs."""
    port, admin_port = free_ports(2)
    text = (EXAMPLES / name).read_text()
    assert "port: 8080" in text
    for written, real in ports.items():
        was = f"127.0.0.1:{written.removeprefix('at_')}"
        assert text.count(was) == 1
        text = text.replace(was, f"127.0.0.1:{real}")
    config = folder / name
    config.write_text(
        text.replace("port: 8080", f"port: {port}") + f"admin: {{address: 127.0.0.1, port: {admin_port}}}\n"
    )
    environ = {"PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    mesh = RunningMesh(config, folder / "state", port, admin_port, environ=environ)
    try:
        yield mesh.start()
        assert mesh.stop() == 0
    finally:
        mesh.kill()


def said(mesh: RunningMesh, key: str, model: str, content: str) -> tuple[int, str]:
    status, _, data = mesh.post({"model": model, "messages": [{"role": "user", "content": content}]}, key=key)
    answer = json.loads(data)
    return status, answer["choices"][0]["message"]["content"] if status == 200 else answer["error"]["code"]


def test_guards(tmp_path: Path):
    with example(tmp_path, "guards.yaml") as mesh:
        say = "[[say Pay {0} for T-1234.]]".format
        assert said(mesh, "sk-demo-alice", "demo", say("4111 1111 1111 1111")) == (200, "Pay [CARD] for T-1234.")
        assert said(mesh, "sk-demo-sam", "demo", "[[say See T-1234.]]") == (200, "See [TICKET].")
        key = "AKIA" + "IOSFODNN7EXAMPLE"
        assert said(mesh, "sk-demo-alice", "demo", key) == (400, "content_policy_violation")
        assert said(mesh, "sk-demo-alice", "demo", "[[say Project Bluebird]]") == (400, "content_policy_violation")
        command = [sys.executable, "-m", "heddle", "status", "--state", str(mesh.state)]
        shown = subprocess.run([*command, "--admin", f"127.0.0.1:{mesh.admin_port}"], capture_output=True, check=True)
        assert b"\nguards     6\n" in shown.stdout


def test_model_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with example(tmp_path, "model-gateway.yaml") as mesh:
        for model in ("smart", "gpt-4o", "claude-sonnet-4-5", "quick"):
            assert said(mesh, "sk-example-alice", model, "hi")[0] == 200
        assert said(mesh, "sk-example-ci", "quick", "hi")[0] == 200
        assert said(mesh, "sk-example-ci", "smart", "hi")[0] == 403


class Shop(http.server.BaseHTTPRequestHandler):
    """What `apis/shop.yaml` describes. Says which request it was."""

    asked: list[str]

    def answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        body = json.dumps({"asked": self.asked[-1]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def shop(asked: list[str]) -> Iterator[int]:
    handler = type("OneShop", (Shop,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def uvx(folder: Path) -> str:
    """A folder with a `uvx` that runs what is installed beside the tests, and fetches nothing."""
    folder.mkdir()
    program = folder / "uvx"
    program.write_text(f'#!/bin/sh\nserver=$1; shift\nexec "{Path(sys.executable).parent}/$server" "$@"\n')
    program.chmod(0o755)
    return str(folder)


def file_tools(folder: Path) -> Path:
    path = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    names = ("read_file", "list_directory", "list_secrets", "delete_file")
    offered = folder / "files.json"
    offered.write_text(json.dumps([{"name": name, "description": name, "inputSchema": path} for name in names]))
    return offered


@contextmanager
def mcp_gateway(folder: Path, asked: list[str]) -> Iterator[RunningMesh]:
    """The example with everything that it names: a program, three servers."""
    shutil.copytree(EXAMPLES / "apis", folder / "apis")
    with ExitStack() as stack:
        files = stack.enter_context(running("tests.mcp_servers.changing", str(file_tools(folder))))
        legacy = stack.enter_context(everything("sse"))
        ports = {
            "at_9301": files,
            "at_9302": int(legacy.split(":")[2].partition("/")[0]),
            "at_9303": stack.enter_context(shop(asked)),
        }
        yield stack.enter_context(example(folder, "mcp-gateway.yaml", path=uvx(folder / "bin"), **ports))


@asynccontextmanager
async def tools_of(mesh: RunningMesh, key: str, path: str = "/mcp", mode: str = "auto") -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=30) as web:
        way = streamable_http_client(f"http://127.0.0.1:{mesh.port}{path}", http_client=web)
        async with Client(way, mode=mode, read_timeout_seconds=30, cache=None) as client:
            yield client


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


async def text(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return str(getattr(result.content[0], "text", ""))


ENGINEERS = {"time__get_current_time", "time__convert_time", "fs__read", "fs__list_directory", "shop__list_orders",
             "shop__get_order"}  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_gateway(tmp_path: Path, mode: str):
    asked: list[str] = []
    with mcp_gateway(tmp_path, asked) as mesh:
        async with tools_of(mesh, "sk-demo-alice", mode=mode) as client:
            assert await names(client) == ENGINEERS
            when = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
            assert "T21:00:00+09:00" in await text(client, "time__convert_time", **when)
            assert await text(client, "fs__read", path="/data/notes") == 'read_file {"path": "/data/notes"}'
            for path in ("/etc/passwd", "/data/../etc/passwd"):
                with pytest.raises(MCPError, match="Unknown tool"):
                    await client.call_tool("fs__read", {"path": path})
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("shop__cancel_order", {"id": "7"})
        async with tools_of(mesh, "sk-demo-sam", "/mcp/support", mode) as client:
            assert await names(client) == {"order", "orders"}
            assert "GET /orders/7" in await text(client, "order", id="7")
            assert "customer=ada" in await text(client, "orders", customer="ada")
        assert [one.partition("?")[0] for one in asked] == ["GET /orders/7", "GET /orders"]
        assert mesh.metric("heddle_mcp_cost_usd_total", server="support", tool="orders", tenant="support") == 0.001
        approve(mesh, "legacy")
        async with tools_of(mesh, "sk-demo-alice", mode=mode) as client:
            for _ in range(100):  # a worker looks for decisions once a second
                if await names(client) != ENGINEERS:
                    break
                await asyncio.sleep(0.1)
            assert await names(client) > ENGINEERS
            assert await text(client, "legacy__echo", text="hello") == "hello"


def approve(mesh: RunningMesh, target: str) -> None:
    """As somebody at the terminal does who was shown what waits."""
    command = [sys.executable, "-m", "heddle", "tools", "approve", "--all", target, "--yes"]
    command += ["--state", str(mesh.state), "--admin", f"127.0.0.1:{mesh.admin_port}"]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
