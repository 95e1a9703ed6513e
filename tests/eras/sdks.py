"""Real clients, unmodified: each asks a server everything it can, and says what it heard."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fastmcp
import mcp_types as types
from mcp import Client
from mcp.client.sse import sse_client
from tests.eras.wire import Message
from tests.mcp_servers.running import NODE_HOME

Heard = dict[str, Any]
SDK_FEATURES = (
    "tools", "echo", "sum", "progress", "sampling", "elicitation", "roots", "prompt", "resource", "completion",
    "instructions",
)  # fmt: skip
OF_EVERY_SERVER = ("tools", "echo", "sum")
EXPECTED: Heard = {
    "echo": "Grüße 😀",
    "sum": {"sum": 5.5},
    "progress": [0, 50, 100],
    "sampling": "LLM response: to “6 by 7?”: 42",
    "elicitation": 'User response: action=accept, content={"username": "Alice", "email": "Alice"}',
    "roots": "Roots: file:///work/here",
    "prompt": "This is a simple prompt for testing.",
    "resource": "This is the content of the static text resource.",
    "completion": ["paris", "park", "party"],
}
CALLS: dict[str, tuple[str, Message]] = {
    "sampling": ("test_sampling", {"prompt": "6 by 7?"}),
    "elicitation": ("test_elicitation", {"message": "Who is it?"}),
    "roots": ("test_input_required_result_list_roots", {}),
}
ARGUMENT = {"name": "arg1", "value": "par"}


async def sampled(_: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    content: Any = params.messages[0].content
    text = (content[0] if isinstance(content, list) else content).text
    return types.CreateMessageResult(
        role="assistant", content=types.TextContent(text=f"to “{text}”: 42"), model="test-model", stop_reason="endTurn"
    )


async def elicited(*_: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": "Alice", "email": "Alice"})


async def rooted(_: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///work/here", name="Here")])


async def _pages(client: Client) -> list[str]:
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        names += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return names


async def _python(server: Any, mode: str, everything: bool) -> Heard:
    async with Client(
        server, mode=mode, sampling_callback=sampled, elicitation_callback=elicited, list_roots_callback=rooted
    ) as client:
        heard: Heard = {"tools": await _pages(client)}
        heard["echo"] = _text(await client.call_tool("echo", {"text": "Grüße 😀"}))
        heard["sum"] = (await client.call_tool("add", {"a": 2, "b": 3.5})).structured_content
        if not everything:
            return heard
        seen: list[float] = []

        async def progressed(done: float, *_: Any) -> None:
            seen.append(done)

        await client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
        heard["progress"] = seen
        for name, (tool, arguments) in CALLS.items():
            heard[name] = _text(await client.call_tool(tool, arguments))
        heard["prompt"] = (await client.get_prompt("test_simple_prompt")).messages[0].content.text  # type: ignore[union-attr]
        heard["resource"] = (await client.read_resource("test://static-text")).contents[0].text  # type: ignore[union-attr]
        ref = types.PromptReference(name="test_prompt_with_arguments")
        heard["completion"] = (await client.complete(ref, ARGUMENT)).completion.values
        heard["instructions"] = client.instructions
        return heard


def _text(result: types.CallToolResult) -> str:
    assert not result.is_error, result
    return str(getattr(result.content[0], "text", result.content[0]))


async def python_auto(url: str, everything: bool) -> Heard:
    return await _python(url, "auto", everything)


async def python_legacy(url: str, everything: bool) -> Heard:
    return await _python(url, "legacy", everything)


async def python_sse(url: str, everything: bool) -> Heard:
    return await _python(sse_client(url), "legacy", everything)


async def fast(url: str, everything: bool) -> Heard:
    async def answer(messages: list[Any], *_: Any) -> str:
        return f"to “{messages[0].content.text}”: 42"

    async def fill(*_: Any) -> dict[str, str]:
        return {"username": "Alice", "email": "Alice"}

    seen: list[float] = []

    async def progressed(done: float, *_: Any) -> None:
        seen.append(done)

    async with fastmcp.Client(
        url, sampling_handler=answer, elicitation_handler=fill, roots=["file:///work/here"]
    ) as client:
        heard: Heard = {"tools": [tool.name for tool in await client.list_tools()]}
        heard["echo"] = (await client.call_tool("echo", {"text": "Grüße 😀"})).content[0].text
        heard["sum"] = (await client.call_tool("add", {"a": 2, "b": 3.5})).structured_content
        if not everything:
            return heard
        await client.call_tool("test_tool_with_progress", {}, progress_handler=progressed)
        heard["progress"] = seen
        for name, (tool, arguments) in CALLS.items():
            heard[name] = (await client.call_tool(tool, arguments)).content[0].text
        heard["prompt"] = (await client.get_prompt("test_simple_prompt")).messages[0].content.text
        heard["resource"] = (await client.read_resource("test://static-text"))[0].text
        ref = types.PromptReference(name="test_prompt_with_arguments")
        heard["completion"] = (await client.complete(ref, ARGUMENT)).values
        heard["instructions"] = client.instructions
        return heard


def _typescript(kind: str) -> Callable[[str, bool], Awaitable[Heard]]:
    async def ask(url: str, everything: bool) -> Heard:
        environ = {**os.environ, "NODE_HOME": str(NODE_HOME), "ERAS_ALL": "1" if everything else ""}
        process = await asyncio.create_subprocess_exec(
            str(NODE_HOME / ".bin" / "node"),
            str(Path(__file__).with_name("clients.mjs")),
            kind,
            url,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, errors.decode()[-2000:]
        heard: Heard = json.loads(out)
        return heard

    return ask


ASK: dict[str, Callable[[str, bool], Awaitable[Heard]]] = {
    "python": python_auto,
    "python-legacy": python_legacy,
    "python-sse": python_sse,
    "fastmcp": fast,
    "typescript-2": _typescript("v2"),
    "typescript-1": _typescript("v1"),
    "typescript-1-sse": _typescript("v1-sse"),
}
CLIENTS = {
    "python": "the Python SDK (`mcp`), which finds out what a server speaks: 2026-07-28 here",
    "python-legacy": "the Python SDK, told to begin with the handshake: 2025-11-25",
    "python-sse": "the Python SDK over HTTP+SSE",
    "fastmcp": "the client of FastMCP",
    "typescript-2": "the TypeScript SDK, second line (`@modelcontextprotocol/client`): 2026-07-28",
    "typescript-1": "the TypeScript SDK, first line (`@modelcontextprotocol/sdk`): 2025-11-25",
    "typescript-1-sse": "the TypeScript SDK, first line, over HTTP+SSE",
}
OVER_SSE = {"python-sse", "typescript-1-sse"}
