"""What is asked in every cell. A feature is a function of a session, and fails where a user would notice."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable

import pytest
from tests.eras.wire import MODERN, Message, Modern, RpcError, Session

TEXT = "Grüße \\ 😀 \u0007"
"""What its JSON has to escape, and characters of two, three and four bytes."""
TASKS = "io.modelcontextprotocol/tasks"
FORMS_SINCE = "2025-06-18"

Feature = Callable[[Session], Awaitable[None]]
FEATURES: dict[str, Feature] = {}


def capabilities(version: str) -> Message:
    """What a client of a version declares: all that it can."""
    declared: Message = {"sampling": {}, "roots": {} if version == MODERN else {"listChanged": True}}
    if version >= FORMS_SINCE:
        declared["elicitation"] = {}
    if version == MODERN:
        declared["extensions"] = {TASKS: {}}
    return declared


def elicited(params: Message) -> Message:
    """Fills in a form as asked: a value for each of its fields."""
    values = {"string": "Alice", "boolean": True, "integer": 7, "number": 1.5}
    fields = params["requestedSchema"]["properties"]
    return {"action": "accept", "content": {name: values[field["type"]] for name, field in fields.items()}}


def sampled(params: Message) -> Message:
    """Says back what the model was asked."""
    asked = params["messages"][0]["content"]
    text = (asked[0] if isinstance(asked, list) else asked)["text"]
    answer = {"type": "text", "text": f"to “{text}”: 42"}
    return {"role": "assistant", "content": answer, "model": "test-model", "stopReason": "endTurn"}


ANSWERS: dict[str, Callable[[Message], Message]] = {
    "sampling/createMessage": sampled,
    "elicitation/create": elicited,
    "roots/list": lambda _: {"roots": [{"uri": "file:///work/here", "name": "Here"}]},
}


def feature(name: str) -> Callable[[Feature], Feature]:
    """Registers a feature under its name in the table."""

    def add(check: Feature) -> Feature:
        FEATURES[name] = check
        return check

    return add


async def every(session: Session, method: str, field: str) -> list[Message]:
    """All entries of a list, from all of its pages."""
    found: list[Message] = []
    cursor: str | None = None
    for _ in range(50):
        result = await session.request(method, {} if cursor is None else {"cursor": cursor})
        found += result[field]
        cursor = result.get("nextCursor")
        if cursor is None:
            return found
    raise AssertionError("a list without an end")


async def eventually(check: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    """Asks again until it is so."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110 - what is polled is another process
            await asyncio.sleep(0.05)


@feature("tools: list")
async def list_tools(session: Session) -> None:
    found = {tool["name"]: tool for tool in await every(session, "tools/list", "tools")}
    assert {"echo", "add"} <= found.keys()
    schema = found["echo"]["inputSchema"]
    assert (schema["properties"]["text"]["type"], schema["required"]) == ("string", ["text"])
    assert "capabilities" in session.hello
    assert "tools" in session.hello["capabilities"]


@feature("tools: call")
async def call_tool(session: Session) -> None:
    assert TEXT in await session.text("echo", {"text": TEXT})


@feature("tools: structured output")
async def structured(session: Session) -> None:
    result = await session.call("add", {"a": 2, "b": 3.5})
    assert json.loads(result["content"][0]["text"]) == {"sum": 5.5}
    if session.version >= "2025-06-18":
        assert result["structuredContent"] == {"sum": 5.5}


@feature("tools: errors")
async def errors(session: Session) -> None:
    failed = await session.call("test_error_handling")
    assert failed["isError"] is True
    assert "intentionally" in failed["content"][0]["text"]
    with pytest.raises(RpcError) as caught:
        await session.call("no_such_tool")
    assert caught.value.code == -32602


@feature("tools: pictures, sounds, resources")
async def contents(session: Session) -> None:
    (picture,) = (await session.call("test_image_content"))["content"]
    assert (picture["type"], picture["mimeType"]) == ("image", "image/png")
    text, picture, found = (await session.call("test_multiple_content_types"))["content"]
    assert [text["type"], picture["type"], found["type"]] == ["text", "image", "resource"]
    assert json.loads(found["resource"]["text"]) == {"test": "data", "value": 123}


@feature("progress")
async def progress(session: Session) -> None:
    token = f"own-{secrets.token_hex(4)}"
    await session.text("test_tool_with_progress", progressToken=token)
    mine = [one["params"] for one in session.heard if one["method"] == "notifications/progress"]
    assert [one["progress"] for one in mine] == [0, 50, 100]
    assert {one["progressToken"] for one in mine} == {token}
    assert {one["total"] for one in mine} == {100}


@feature("logging")
async def logging(session: Session) -> None:
    if isinstance(session, Modern):
        await session.text("test_tool_with_logging")
        assert not session.heard, "nobody asked for lines"
        session.level = "debug"
    else:
        assert "logging" in session.hello["capabilities"]
        assert await session.request("logging/setLevel", {"level": "debug"}) == {}
    await session.text("test_tool_with_logging")
    await session.told("notifications/message")
    lines = [one["params"] for one in session.heard if one["method"] == "notifications/message"]
    assert [line["data"] for line in lines] == [
        "Tool execution started", "Tool processing data", "Tool execution completed",
    ]  # fmt: skip
    assert {line["level"] for line in lines} == {"info"}


@feature("sampling")
async def sampling(session: Session) -> None:
    assert await session.text("test_sampling", {"prompt": "6 by 7?"}) == "LLM response: to “6 by 7?”: 42"
    assert session.asked == ["sampling/createMessage"]


@feature("elicitation")
async def elicitation(session: Session) -> None:
    said = await session.text("test_elicitation", {"message": "Who is it?"})
    assert said == 'User response: action=accept, content={"username": "Alice", "email": "Alice"}'
    assert session.asked == ["elicitation/create"]


@feature("roots")
async def roots(session: Session) -> None:
    assert await session.text("test_input_required_result_list_roots") == "Roots: file:///work/here"
    assert session.asked == ["roots/list"]


@feature("several questions at once")
async def questions(session: Session) -> None:
    said = await session.text("test_input_required_result_multiple_inputs")
    assert said == "to “Generate a greeting”: 42 Alice, 1 root"
    assert sorted(session.asked) == ["elicitation/create", "roots/list", "sampling/createMessage"]


@feature("several rounds of questions")
async def rounds(session: Session) -> None:
    assert await session.text("test_input_required_result_multi_round") == "named Alice, likes Alice"
    assert session.asked == ["elicitation/create"] * 2


@feature("prompts")
async def prompts(session: Session) -> None:
    found = {prompt["name"]: prompt for prompt in await every(session, "prompts/list", "prompts")}
    assert [one["name"] for one in found["test_prompt_with_arguments"]["arguments"]] == ["arg1", "arg2"]
    asked = {"name": "test_prompt_with_arguments", "arguments": {"arg1": TEXT, "arg2": "world"}}
    (message,) = (await session.request("prompts/get", asked))["messages"]
    assert message["content"]["text"] == f"Prompt with arguments: arg1='{TEXT}', arg2='world'"


@feature("resources")
async def resources(session: Session) -> None:
    found = {one["name"]: one["uri"] for one in await every(session, "resources/list", "resources")}
    (text,) = (await session.request("resources/read", {"uri": found["static-text"]}))["contents"]
    assert text["text"] == "This is the content of the static text resource."
    assert text["uri"] == found["static-text"]
    (blob,) = (await session.request("resources/read", {"uri": found["static-binary"]}))["contents"]
    assert blob["blob"].startswith("iVBOR")
    with pytest.raises(RpcError) as caught:
        await session.request("resources/read", {"uri": "test://nothing-here"})
    assert caught.value.code in (-32602, -32002)


@feature("resource templates")
async def templates(session: Session) -> None:
    (template,) = await every(session, "resources/templates/list", "resourceTemplates")
    uri = template["uriTemplate"].replace("{id}", "123")
    (found,) = (await session.request("resources/read", {"uri": uri}))["contents"]
    assert json.loads(found["text"])["data"] == "Data for ID: 123"


@feature("resources: subscribe, updated")
async def subscribe(session: Session) -> None:
    found = {one["name"]: one["uri"] for one in await every(session, "resources/list", "resources")}
    uri = found["ticking-resource" if session.own_server else "watched-resource"]
    await session.watch(uri)
    if not session.own_server:
        # At once: whoever has been told that the subscription stands misses nothing.
        await session.call("test_trigger_resource_update")
    assert (await session.told("notifications/resources/updated"))["uri"] == uri


@feature("list_changed")
async def list_changed(session: Session) -> None:
    before = len(await every(session, "tools/list", "tools"))
    await session.listen(toolsListChanged=True)
    await session.call("test_trigger_tool_change")
    await session.told("notifications/tools/list_changed")
    if session.own_server:
        return  # what lists show comes from another one

    async def grown() -> bool:
        return len(await every(session, "tools/list", "tools")) > before

    await eventually(grown)


@feature("completion")
async def completion(session: Session) -> None:
    ref = {"type": "ref/prompt", "name": "test_prompt_with_arguments"}
    asked = {"ref": ref, "argument": {"name": "arg1", "value": "par"}}
    assert (await session.request("completion/complete", asked))["completion"]["values"] == ["paris", "park", "party"]


@feature("cancellation")
async def cancellation(session: Session) -> None:
    assert json.loads(await session.text("cancelled")) is not None, "and the server is awake"
    name = secrets.token_hex(8)
    work = asyncio.create_task(session.call("slow", {"seconds": 20, "name": name}, progressToken="slow"))
    await asyncio.sleep(0.4)
    assert not work.done(), work
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    async def stopped() -> bool:
        return name in json.loads(await session.text("cancelled"))

    await eventually(stopped)


@feature("pagination")
async def pagination(session: Session) -> None:
    names = [tool["name"] for tool in await every(session, "tools/list", "tools")]
    assert len(names) == len(set(names))
    assert len(names) >= 6, "more than a page"
    with pytest.raises(RpcError):
        await session.request("tools/list", {"cursor": "not a cursor of ours"})


@feature("ping")
async def ping(session: Session) -> None:
    assert await session.request("ping") == {}


@feature("tasks")
async def tasks(session: Session) -> None:
    started = await session.call("slow_compute", {"seconds": 0.3})
    assert started["resultType"] == "task"
    task = {"taskId": started["taskId"]}
    assert (await session.request("tasks/get", task))["status"] == "working"

    async def completed() -> bool:
        return bool((await session.request("tasks/get", task))["status"] == "completed")

    await eventually(completed)
    assert (await session.request("tasks/get", task))["result"]["content"][0]["text"] == "computed for 0.3 s"
    again = {"taskId": (await session.call("slow_compute", {"seconds": 30}))["taskId"]}
    await session.request("tasks/cancel", again)
    assert (await session.request("tasks/get", again))["status"] == "cancelled"


@feature("_meta: trace context")
async def trace(session: Session) -> None:
    trace_id = secrets.token_hex(16)
    arrived = json.loads(await session.text("meta", traceparent=f"00-{trace_id}-00f067aa0ba902b7-01"))
    assert arrived["traceparent"].split("-")[1] == trace_id


@feature("_meta: vendor keys")
async def vendor_keys(session: Session) -> None:
    result = await session.call("meta", **{"example.test/own": {"deep": [1]}})
    assert json.loads(result["content"][0]["text"])["example.test/own"] == {"deep": [1]}
    assert result["_meta"]["example.test/answered"] is True


@feature("instructions")
async def instructions(session: Session) -> None:
    assert "Start with echo." in session.hello["instructions"]


async def undeclared(session: Session, capability: str, method: str, params: Message) -> None:
    """A capability that is not there is not claimed, and its method is refused at once."""
    assert capability not in session.hello["capabilities"], session.hello
    await refused(session, method, params)


async def refused(session: Session, method: str, params: Message) -> None:
    """An error of the protocol or of the tool: nothing hangs, nothing is silently different."""
    try:
        result = await session.request(method, params)
    except RpcError:
        return
    assert result.get("isError"), result
