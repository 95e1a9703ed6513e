"""The tools: those the conformance suite asks for, then those the era matrix adds (`echo`, `add`, `slow` ...)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from tests.mcp_servers import content, tasks
from tests.mcp_servers.asking import answers, declared, elicitation, require, roots, sampling

Context = ServerRequestContext[Any, Any]
Params = types.CallToolRequestParams
Handler = Callable[[Context, Params], Awaitable[Any]]
TEXT = {"type": "string"}


@dataclass
class Entry:
    """A tool and what it does."""

    tool: types.Tool
    handler: Handler


TABLE: dict[str, Entry] = {}
CANCELLED: list[str] = []
"""Names of calls of `slow` that were ended from outside."""


def tool(description: str, properties: dict[str, Any] | None = None, *required: str, **more: Any) -> Any:
    """Registers the handler below under its own name."""

    def add(handler: Handler) -> Handler:
        schema: dict[str, Any] = {"type": "object", "properties": properties or {}}
        if required:
            schema["required"] = list(required)
        name = handler.__name__
        TABLE[name] = Entry(types.Tool(name=name, description=description, input_schema=schema, **more), handler)
        return handler

    return add


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


async def call(ctx: Context, params: Params) -> Any:
    """Runs a tool. Unknown names are the caller's error, not the tool's."""
    entry = TABLE.get(params.name)
    if entry is None:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    missing = [name for name in entry.tool.input_schema.get("required", ()) if name not in (params.arguments or {})]
    if missing:
        return types.CallToolResult(content=[types.TextContent(text=f"missing: {missing}")], is_error=True)
    return await entry.handler(ctx, params)


# What the suite calls


@tool("Returns one text.")
async def test_simple_text(ctx: Context, params: Params) -> Any:
    return said("This is a simple text response for testing.")


@tool("Returns a picture.")
async def test_image_content(ctx: Context, params: Params) -> Any:
    return types.CallToolResult(content=[types.ImageContent(data=content.PNG, mime_type="image/png")])


@tool("Returns a sound.")
async def test_audio_content(ctx: Context, params: Params) -> Any:
    return types.CallToolResult(content=[types.AudioContent(data=content.WAV, mime_type="audio/wav")])


@tool("Returns a resource within the result.")
async def test_embedded_resource(ctx: Context, params: Params) -> Any:
    text = "This is an embedded resource content."
    found = types.TextResourceContents(uri="test://embedded-resource", mime_type="text/plain", text=text)
    return types.CallToolResult(content=[types.EmbeddedResource(resource=found)])


@tool("Returns a text, a picture and a resource.")
async def test_multiple_content_types(ctx: Context, params: Params) -> Any:
    found = types.TextResourceContents(
        uri="test://mixed-content-resource", mime_type="application/json", text='{"test":"data","value":123}'
    )
    return types.CallToolResult(
        content=[
            types.TextContent(text="Multiple content types test:"),
            types.ImageContent(data=content.PNG, mime_type="image/png"),
            types.EmbeddedResource(resource=found),
        ]
    )


async def log(ctx: Context, text: str) -> None:
    await ctx.session.send_log_message("info", text, logger="everything", related_request_id=ctx.request_id)


@tool("Logs three lines while it runs.")
async def test_tool_with_logging(ctx: Context, params: Params) -> Any:
    await log(ctx, "Tool execution started")
    await asyncio.sleep(0.05)
    await log(ctx, "Tool processing data")
    await asyncio.sleep(0.05)
    await log(ctx, "Tool execution completed")
    return said("Tool with logging executed successfully")


@tool("Logs a line, to those who want to read it.")
async def test_logging_tool(ctx: Context, params: Params) -> Any:
    await log(ctx, "a line")
    return said("logged")


@tool("Always fails.")
async def test_error_handling(ctx: Context, params: Params) -> Any:
    text = "This tool intentionally returns an error for testing"
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


@tool("Reports its progress.")
async def test_tool_with_progress(ctx: Context, params: Params) -> Any:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"{done} of 100")
        # The last pause too: one of the SDKs handles a message and the answer right behind it in the wrong order.
        await asyncio.sleep(0.05)
    return said("Tool with progress executed successfully")


@tool("Asks the client's model.", {"prompt": TEXT}, "prompt")
async def test_sampling(ctx: Context, params: Params) -> Any:
    heard = await answers(ctx, params, {"answer": sampling((params.arguments or {})["prompt"])})
    return said(f"LLM response: {heard['answer'].content.text}")


async def form(ctx: Context, params: Params, message: str, properties: dict[str, Any], *required: str) -> Any:
    heard = (await answers(ctx, params, {"form": elicitation(message, properties, *required)}))["form"]
    return heard.action, json.dumps(heard.content)


@tool("Asks the user for a name and an address.", {"message": TEXT}, "message")
async def test_elicitation(ctx: Context, params: Params) -> Any:
    properties = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    action, given = await form(ctx, params, (params.arguments or {})["message"], properties, *properties)
    return said(f"User response: action={action}, content={given}")


@tool("Asks with defaults of every kind.")
async def test_elicitation_sep1034_defaults(ctx: Context, params: Params) -> Any:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    action, given = await form(ctx, params, "Are these right?", properties)
    return said(f"Elicitation completed: action={action}, content={given}")


@tool("Asks with choices of every kind.")
async def test_elicitation_sep1330_enums(ctx: Context, params: Params) -> Any:
    action, given = await form(ctx, params, "Choose.", content.CHOICES)
    return said(f"Elicitation completed: action={action}, content={given}")


# Asking in rounds. The questions are the suite's; a legacy client gets them as requests.

NAME = elicitation("What is your name?", {"name": TEXT}, "name")
CONFIRM = elicitation("Please confirm", {"ok": {"type": "boolean"}}, "ok")


@tool("Greets whom the user names.")
async def test_input_required_result_elicitation(ctx: Context, params: Params) -> Any:
    heard = await answers(ctx, params, {"user_name": NAME})
    return said(f"Hello, {(heard['user_name'].content or {}).get('name')}!")


@tool("Asks the client's model for a capital.")
async def test_input_required_result_sampling(ctx: Context, params: Params) -> Any:
    heard = await answers(ctx, params, {"capital_question": sampling("What is the capital of France?")})
    return said(heard["capital_question"].content.text)


@tool("Names the client's folders.")
async def test_input_required_result_list_roots(ctx: Context, params: Params) -> Any:
    heard = await answers(ctx, params, {"client_roots": roots()})
    return said("Roots: " + ", ".join(str(root.uri) for root in heard["client_roots"].roots))


@tool("Asks for a confirmation, and knows what it asked.")
async def test_input_required_result_request_state(ctx: Context, params: Params) -> Any:
    heard = await answers(ctx, params, {"confirm": CONFIRM}, state="state-of-confirm")
    kept = "state-ok" if params.request_state in (None, "state-of-confirm") else "state-lost"
    return said(f"{kept}: {heard['confirm'].content}")


@tool("Asks for a confirmation that nobody can forge.")
async def test_input_required_result_tampered_state(ctx: Context, params: Params) -> Any:
    await answers(ctx, params, {"confirm": CONFIRM}, state="untampered")
    return said("confirmed")


@tool("Asks three things at once.")
async def test_input_required_result_multiple_inputs(ctx: Context, params: Params) -> Any:
    questions = {"user_name": NAME, "greeting": sampling("Generate a greeting", 50), "client_roots": roots()}
    heard = await answers(ctx, params, questions, state="three")
    name = (heard["user_name"].content or {}).get("name")
    return said(f"{heard['greeting'].content.text} {name}, {len(heard['client_roots'].roots)} root")


@tool("Asks one thing after the other.")
async def test_input_required_result_multi_round(ctx: Context, params: Params) -> Any:
    name = params.request_state
    if name is None or name == "step1":
        heard = await answers(
            ctx, params, {"step1": elicitation("Step 1: What is your name?", {"name": TEXT}, "name")}, state="step1"
        )
        name = f"named {(heard['step1'].content or {}).get('name')}"
    color = elicitation("Step 2: What is your favorite color?", {"color": TEXT}, "color")
    heard = await answers(ctx, params, {"step2": color}, state=name)
    return said(f"{name}, likes {(heard['step2'].content or {}).get('color')}")


@tool("Asks only what this client can be asked.")
async def test_input_required_result_capabilities(ctx: Context, params: Params) -> Any:
    questions: dict[str, Any] = {}
    if declared(ctx, "sampling"):
        questions["model"] = sampling("Say something.")
    if declared(ctx, "elicitation"):
        questions["user"] = NAME
    heard = await answers(ctx, params, questions)
    return said(f"asked: {sorted(heard)}")


@tool("Asks the user, with a stream open.")
async def test_streaming_elicitation(ctx: Context, params: Params) -> Any:
    await ctx.session.report_progress(1, 2)
    heard = await answers(ctx, params, {"user_name": NAME})
    return said(f"Hello, {(heard['user_name'].content or {}).get('name')}!")


@tool("Needs a client with a model.")
async def test_missing_capability(ctx: Context, params: Params) -> Any:
    require(ctx, "sampling")
    return said("the client has a model")


# What the matrix calls


@tool("Says it back.", {"text": TEXT}, "text", title="Echo", annotations=types.ToolAnnotations(read_only_hint=True))
async def echo(ctx: Context, params: Params) -> Any:
    return said((params.arguments or {})["text"])


NUMBER = {"type": "number"}
SUM = {"type": "object", "properties": {"sum": NUMBER}, "required": ["sum"]}


@tool("Adds two numbers.", {"a": NUMBER, "b": NUMBER}, "a", "b", output_schema=SUM)
async def add(ctx: Context, params: Params) -> Any:
    given = params.arguments or {}
    total = {"sum": given["a"] + given["b"]}
    return types.CallToolResult(content=[types.TextContent(text=json.dumps(total))], structured_content=total)


@tool("Says which `_meta` it was called with.")
async def meta(ctx: Context, params: Params) -> Any:
    return types.CallToolResult(
        content=[types.TextContent(text=json.dumps(dict(ctx.meta or {})))], _meta={"example.test/answered": True}
    )


@tool("Takes its time.", {"seconds": NUMBER, "name": TEXT}, "seconds", "name")
async def slow(ctx: Context, params: Params) -> Any:
    given = params.arguments or {}
    try:
        for _ in range(int(given["seconds"] * 20)):
            await asyncio.sleep(0.05)
            await ctx.session.report_progress(1)
    except asyncio.CancelledError:
        CANCELLED.append(given["name"])
        raise
    return said(f"{given['name']} done")


@tool("Names the calls of `slow` that were cancelled.")
async def cancelled(ctx: Context, params: Params) -> Any:
    return said(json.dumps(CANCELLED))


@tool("Greets at once.", {"name": TEXT}, "name")
async def greet(ctx: Context, params: Params) -> Any:
    return said(f"Hello, {(params.arguments or {})['name']}!")


@tool("Becomes a task, for those who know tasks.", {"seconds": NUMBER}, "seconds")
async def slow_compute(ctx: Context, params: Params) -> Any:
    seconds = float((params.arguments or {})["seconds"])
    return await tasks.started(ctx, said(f"computed for {seconds:g} s"), seconds)


@tool("Becomes a task whose tool fails.")
async def failing_job(ctx: Context, params: Params) -> Any:
    failed = types.CallToolResult(content=[types.TextContent(text="the job failed")], is_error=True)
    return await tasks.started(ctx, failed, 1.0)


@tool("Becomes a task that ends in an error of the protocol.")
async def protocol_error_job(ctx: Context, params: Params) -> Any:
    return await tasks.started(ctx, MCPError(types.INTERNAL_ERROR, "the job broke"), 0.2)


@tool("Wants its region in a header, too.", {"region": {"type": "string", "x-mcp-header": "Region"}}, "region")
async def regional(ctx: Context, params: Params) -> Any:
    return said(f"served in {(params.arguments or {})['region']}")


async def json_schema_2020_12_tool(ctx: Context, params: Params) -> Any:
    return said("valid")


TABLE["json_schema_2020_12_tool"] = Entry(
    types.Tool(
        name="json_schema_2020_12_tool", description="Has every keyword in its schema.", input_schema=content.SCHEMA
    ),
    json_schema_2020_12_tool,
)
