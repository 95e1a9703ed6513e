"""Six tool servers that people use, behind one address: time, git and fetch in Python; files, everything and memory in
Node. One client of each era uses all of them as one server.
"""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from tests.e2e.running import RunningMesh, free_ports, running_mesh
from tests.mcp_servers.running import NODE_HOME, node

SECRET = "never-in-a-child-0123456789"
CONFIG = """\
listeners:
  - {{{{name: mcp, address: 127.0.0.1, port: {{port}}, protocol: MCP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
mcp:
  targets:
    - {{{{name: time, stdio: {{{{command: {time}}}}}}}}}
    - {{{{name: git, stdio: {{{{command: {git}}}}}}}}}
    - {{{{name: fetch, stdio: {{{{command: {fetch}}}}}}}}}
    - {{{{name: files, stdio: {{{{command: {files}}}}}}}}}
    - {{{{name: memory, stdio: {{{{command: {memory}, env: {{{{MEMORY_FILE_PATH: "{folder}/memory.json"}}}}}}}}}}}}
    - {{{{name: everything, http: {{{{url: "http://127.0.0.1:{everything}/mcp"}}}}}}}}
  servers:
    - name: default
      targets: [time, git, fetch, {{{{name: files, prefix: fs}}}}, memory, everything]
      authorization:
        - when: 'call.tool == "fs__read_text_file" && !under(call.arguments.path, "{folder}/open")'
          action: deny
        - {{{{resources: ["tool:fs__write_file"], action: deny}}}}
        - {{{{resources: ["tool:*", "prompt:*", "resource:*"], action: allow}}}}
    - {{{{name: child, targets: [{{{{name: everything-stdio, tools: [get-env, echo]}}}}]}}}}
security:
  authentication: {{{{type: none}}}}
authorization:
  policies:
    - {{{{name: all, resources: ["server:*", "tool:*", "prompt:*", "resource:*"], action: allow}}}}
"""
CHILD = "    - {{{{name: everything-stdio, stdio: {{{{command: {command}}}}}}}}}\n"


class Page(http.server.BaseHTTPRequestHandler):
    """One page to fetch."""

    def do_GET(self) -> None:
        body = b"<html><body><h1>Looms</h1><p>A heddle lifts each thread.</p></body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/looms"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to read, and a repository."""
    found = tmp_path_factory.mktemp("world").resolve()
    (found / "open").mkdir()
    (found / "open" / "note.txt").write_text("warp and weft")
    (found / "closed.txt").write_text("not for agents")
    git = ["git", "-C", str(found / "open"), "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "note.txt"], ["commit", "-qm", "the first thread"]):
        subprocess.run([*git, *command], check=True)
    return found


def python(server: str) -> str:
    """The command of a server that is installed beside the tests, as JSON is YAML."""
    return json.dumps([str(Path(sys.executable).parent / f"mcp-server-{server}"), *EXTRA.get(server, [])])


EXTRA = {"fetch": ["--ignore-robots-txt", "--allow-private-ips"]}


def script(server: str, *arguments: str) -> str:
    found = NODE_HOME / ".bin" / f"mcp-server-{server}"
    return json.dumps([str(NODE_HOME / ".bin" / "node"), str(found), *arguments])


@contextlib.contextmanager
def everything_http() -> Iterator[int]:
    """The official everything-server over streamable HTTP."""
    (port,) = free_ports(1)
    command = [*json.loads(script("everything")), "streamableHttp"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env={**os.environ, "PORT": str(port)}, stdout=quiet, stderr=quiet)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[RunningMesh]:
    assert node(), "see .bench/node.log"
    with everything_http() as everything:
        text = CONFIG.replace("  servers:\n", CHILD + "  servers:\n", 1).format(
            time=python("time"),
            git=python("git"),
            fetch=python("fetch"),
            files=script("filesystem", str(folder)),
            memory=script("memory"),
            command=script("everything"),
            everything=everything,
            folder=folder,
        )
        environ = {"HEDDLE_TEST_SECRET": SECRET}
        with running_mesh(tmp_path_factory.mktemp("real"), text, environ=environ) as running:
            yield running


@pytest.fixture(params=["auto", "legacy"])
def client(mesh: RunningMesh, request: pytest.FixtureRequest) -> Client:
    return Client(f"http://127.0.0.1:{mesh.port}/mcp", mode=request.param, read_timeout_seconds=30, cache=None)


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a result that is no error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return "\n".join(getattr(content, "text", "") for content in result.content)


pytestmark = pytest.mark.timeout(90)


async def test_one_list_of_six_servers(client: Client) -> None:
    async with client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {
            "time__convert_time",
            "git__git_log",
            "fetch__fetch",
            "fs__read_text_file",
            "memory__read_graph",
            "everything__get-sum",
        } <= names
        assert "fs__write_file" not in names, "what nobody may call is not shown"
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} >= {"everything__simple-prompt"}
        assert client.server_capabilities.completions is not None


async def test_time_git_and_fetch(client: Client, folder: Path, page: str) -> None:
    async with client:
        asked = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        assert "T21:00:00+09:00" in await said(client, "time__convert_time", **asked)
        assert "the first thread" in await said(client, "git__git_log", repo_path=str(folder / "open"))
        assert "A heddle lifts each thread." in await said(client, "fetch__fetch", url=page, raw=True)


async def test_files_within_what_is_allowed(client: Client, folder: Path) -> None:
    async with client:
        note = str(folder / "open" / "note.txt")
        assert await said(client, "fs__read_text_file", path=note) == "warp and weft"
        for path in (str(folder / "closed.txt"), f"{folder}/open/../closed.txt"):
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("fs__read_text_file", {"path": path})
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("fs__write_file", {"path": note, "content": "cut"})
        assert (folder / "open" / "note.txt").read_text() == "warp and weft"


async def test_memory_is_kept_by_its_server(client: Client) -> None:
    async with client:
        entity = {"name": "Ada", "entityType": "person", "observations": ["weaves"]}
        await said(client, "memory__create_entities", entities=[entity])
        assert "weaves" in await said(client, "memory__search_nodes", query="Ada")


async def test_everything(client: Client) -> None:
    seen: list[float] = []

    async def progressed(done: float, *_: Any) -> None:
        seen.append(done)

    async with client:
        assert "7" in await said(client, "everything__get-sum", a=3, b=4)
        found = await client.call_tool("everything__get-structured-content", {"location": "New York"})
        assert found.structured_content is not None
        assert {"temperature", "conditions", "humidity"} <= found.structured_content.keys()
        slow = {"duration": 0.4, "steps": 4}
        await client.call_tool("everything__trigger-long-running-operation", slow, progress_callback=progressed)
        assert seen == [1, 2, 3, 4]
        (listed, *_) = (await client.list_resources()).resources
        (read,) = (await client.read_resource(str(listed.uri))).contents
        assert getattr(read, "text", "")
        assert (await client.get_prompt("everything__simple-prompt")).messages


async def test_a_child_sees_nothing_of_ours(mesh: RunningMesh) -> None:
    async with Client(f"http://127.0.0.1:{mesh.port}/mcp/child", read_timeout_seconds=30, cache=None) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"get-env", "echo"}
        assert "PATH" in json.loads(await said(client, "get-env"))
        assert SECRET not in await said(client, "get-env")
