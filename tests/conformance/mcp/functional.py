"""What each scenario is about, asked once more by the official Python client, and the content of the answer checked.

Some checks of the suite pass on any text, or on a result that says an error occurred; these do not. Every scenario that
a revision requires has one here (`test_functional` says so).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2 as httpx
import mcp_types as types
import pytest
from mcp import Client, MCPError
from tests.eras.features import ANSWERS, capabilities
from tests.eras.wire import META, MODERN, Modern, RpcError
from tests.mcp_servers import content
from tests.mcp_servers.server import PROMPTS, TEXT_URI, TRIGGERS, WATCHED_URI
from tests.mcp_servers.tools import TABLE

PARIS = "The capital of France is Paris."


class User:
    """Who sits before the client: answers questions, and remembers them."""

    def __init__(self, url: str, revision: str) -> None:
        self.url, self.revision = url, revision
        self.forms: list[Any] = []
        self.lines: list[str] = []
        self.news: list[Any] = []
        self.client = Client(
            url,
            mode=MODERN if revision == MODERN else "legacy",
            sampling_callback=self.sampled,
            elicitation_callback=self.elicited,
            list_roots_callback=self.rooted,
            logging_callback=self.logged,
            message_handler=self.told,
            cache=None,
        )

    async def sampled(self, _: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        return types.CreateMessageResult(role="assistant", content=types.TextContent(text=PARIS), model="m")

    async def elicited(self, _: Any, params: Any) -> types.ElicitResult:
        self.forms.append(params.requested_schema)
        values = {"string": "Alice", "boolean": True, "integer": 7, "number": 1.5, "array": []}
        fields = params.requested_schema["properties"]
        given = {name: field.get("default", values[field["type"]]) for name, field in fields.items()}
        return types.ElicitResult(action="accept", content=given)

    async def rooted(self, _: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///test/root", name="Test Root")])

    async def logged(self, params: types.LoggingMessageNotificationParams) -> None:
        self.lines.append(str(params.data))

    async def told(self, message: Any) -> None:
        self.news.append(message)

    async def call(self, tool: str, **arguments: Any) -> list[Any]:
        """The contents of a result, which must not be an error."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result
        return result.content

    async def text(self, tool: str, **arguments: Any) -> str:
        (one,) = await self.call(tool, **arguments)
        text: str = one.text
        return text

    async def updated(self, within_s: float) -> bool:
        """Whether a resource is said to have changed."""
        try:
            async with asyncio.timeout(within_s):
                while not any(isinstance(one, types.ResourceUpdatedNotification) for one in self.news):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True


Asked = Callable[[User], Awaitable[None]]
CHECKS: dict[str, Asked] = {}


def of(*scenarios: str) -> Callable[[Asked], Asked]:
    """Registers a check for scenarios."""

    def add(check: Asked) -> Asked:
        CHECKS.update(dict.fromkeys(scenarios, check))
        return check

    return add


@of("server-initialize")
async def _(user: User) -> None:
    assert user.client.protocol_version == "2025-11-25"
    assert user.client.server_info.name
    can = user.client.server_capabilities
    assert can.tools is not None
    assert can.prompts is not None
    assert can.resources is not None
    assert can.resources.subscribe
    assert can.logging is not None
    assert can.completions is not None
    assert "Start with echo." in (user.client.instructions or "")


@of("logging-set-level", "tools-call-with-logging")
async def _(user: User) -> None:
    await user.client.set_logging_level("debug")
    await user.text("test_tool_with_logging")
    assert user.lines == ["Tool execution started", "Tool processing data", "Tool execution completed"]


@of("ping")
async def _(user: User) -> None:
    assert await user.client.send_ping() == types.EmptyResult()


@of("completion-complete")
async def _(user: User) -> None:
    ref = types.PromptReference(name="test_prompt_with_arguments")
    found = await user.client.complete(ref, {"name": "arg1", "value": "pari"})
    assert found.completion.values == ["paris"]


@of("tools-list")
async def _(user: User) -> None:
    found = {tool.name: tool for tool in (await user.client.list_tools()).tools if not tool.name.startswith("later_")}
    expected = {**{name: entry.tool for name, entry in TABLE.items()}, **{tool.name: tool for tool in TRIGGERS}}
    assert found.keys() == expected.keys()
    for name, tool in expected.items():
        assert found[name].input_schema == tool.input_schema, "schemas pass verbatim"
        assert found[name].output_schema == tool.output_schema
        assert (found[name].description, found[name].title) == (tool.description, tool.title)


@of("tools-call-simple-text")
async def _(user: User) -> None:
    assert await user.text("test_simple_text") == "This is a simple text response for testing."


@of("tools-call-image")
async def _(user: User) -> None:
    assert await user.call("test_image_content") == [types.ImageContent(data=content.PNG, mime_type="image/png")]


@of("tools-call-audio")
async def _(user: User) -> None:
    assert await user.call("test_audio_content") == [types.AudioContent(data=content.WAV, mime_type="audio/wav")]


@of("tools-call-embedded-resource")
async def _(user: User) -> None:
    (found,) = await user.call("test_embedded_resource")
    assert found.resource.text == "This is an embedded resource content."
    assert (str(found.resource.uri), found.resource.mime_type) == ("test://embedded-resource", "text/plain")


@of("tools-call-mixed-content")
async def _(user: User) -> None:
    text, picture, found = await user.call("test_multiple_content_types")
    assert text.text == "Multiple content types test:"
    assert picture.data == content.PNG
    assert json.loads(found.resource.text) == {"test": "data", "value": 123}


@of("tools-call-error")
async def _(user: User) -> None:
    result = await user.client.call_tool("test_error_handling", {})
    assert result.is_error
    assert result.content == [types.TextContent(text="This tool intentionally returns an error for testing")]


@of("tools-call-with-progress")
async def _(user: User) -> None:
    seen: list[tuple[float, float | None]] = []

    async def progressed(done: float, total: float | None, _: str | None) -> None:
        seen.append((done, total))

    await user.client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
    assert seen == [(0, 100), (50, 100), (100, 100)]


@of("tools-call-sampling")
async def _(user: User) -> None:
    assert await user.text("test_sampling", prompt="Where?") == f"LLM response: {PARIS}"


@of("tools-call-elicitation")
async def _(user: User) -> None:
    said = await user.text("test_elicitation", message="Who?")
    assert said == 'User response: action=accept, content={"username": "Alice", "email": "Alice"}'


@of("elicitation-sep1034-defaults")
async def _(user: User) -> None:
    said = await user.text("test_elicitation_sep1034_defaults")
    given = json.loads(said.partition("content=")[2])
    assert given == {"name": "John Doe", "age": 30, "score": 95.5, "status": "active", "verified": True}


@of("elicitation-sep1330-enums")
async def _(user: User) -> None:
    await user.text("test_elicitation_sep1330_enums")
    assert user.forms[0]["properties"] == content.CHOICES


@of("server-sse-multiple-streams")
async def _(user: User) -> None:
    said = await asyncio.gather(*(user.text("echo", text=f"stream {n}") for n in range(8)))
    assert said == [f"stream {n}" for n in range(8)]


@of("resources-list")
async def _(user: User) -> None:
    found = {resource.name: resource.mime_type for resource in (await user.client.list_resources()).resources}
    assert found | {"static-text": "text/plain", "static-binary": "image/png"} == found


@of("resources-read-text")
async def _(user: User) -> None:
    (found,) = (await user.client.read_resource(TEXT_URI)).contents
    assert isinstance(found, types.TextResourceContents)
    assert found.text == "This is the content of the static text resource."


@of("resources-read-binary")
async def _(user: User) -> None:
    (found,) = (await user.client.read_resource("test://static-binary")).contents
    assert isinstance(found, types.BlobResourceContents)
    assert (found.blob, found.mime_type) == (content.PNG, "image/png")


@of("resources-templates-read")
async def _(user: User) -> None:
    (template,) = (await user.client.list_resource_templates()).resource_templates
    (found,) = (await user.client.read_resource(template.uri_template.replace("{id}", "4711"))).contents
    assert isinstance(found, types.TextResourceContents)
    assert json.loads(found.text) == {"id": "4711", "templateTest": True, "data": "Data for ID: 4711"}


@of("resources-subscribe")
async def _(user: User) -> None:
    await user.client.subscribe_resource(WATCHED_URI)
    await user.text("test_trigger_resource_update")
    assert await user.updated(5)


@of("resources-unsubscribe")
async def _(user: User) -> None:
    await user.client.subscribe_resource(WATCHED_URI)
    await user.client.unsubscribe_resource(WATCHED_URI)
    await user.text("test_trigger_resource_update")
    assert not await user.updated(0.5)


@of("prompts-list")
async def _(user: User) -> None:
    found = [one for one in (await user.client.list_prompts()).prompts if not one.name.startswith("later_")]
    assert [(one.name, one.description) for one in found] == [(one.name, one.description) for one in PROMPTS]


async def prompted(user: User, name: str, **arguments: str) -> list[Any]:
    return [message.content for message in (await user.client.get_prompt(name, arguments)).messages]


@of("prompts-get-simple")
async def _(user: User) -> None:
    expected = [types.TextContent(text="This is a simple prompt for testing.")]
    assert await prompted(user, "test_simple_prompt") == expected


@of("prompts-get-with-args")
async def _(user: User) -> None:
    (found,) = await prompted(user, "test_prompt_with_arguments", arg1="hello", arg2="world")
    assert found.text == "Prompt with arguments: arg1='hello', arg2='world'"


@of("prompts-get-embedded-resource")
async def _(user: User) -> None:
    found, text = await prompted(user, "test_prompt_with_embedded_resource", resourceUri=TEXT_URI)
    assert found.resource.text == "Embedded resource content for testing."
    assert str(found.resource.uri) == TEXT_URI
    assert text.text == "Please process the embedded resource above."


@of("prompts-get-with-image")
async def _(user: User) -> None:
    picture, text = await prompted(user, "test_prompt_with_image")
    assert (picture.data, text.text) == (content.PNG, "Please analyze the image above.")


async def posted(user: User, headers: dict[str, str], method: str = "tools/list", **meta: Any) -> httpx.Response:
    """A modern request, written by hand."""
    own = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}, **meta}
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": own}}
    fields = {"accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN, "mcp-method": method}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        return await http.post(user.url, json=body, headers={**fields, **headers})


@of("dns-rebinding-protection")
async def _(user: User) -> None:
    for headers in ({"origin": "http://evil.example.com"}, {"host": "evil.example.com"}):
        assert 400 <= (await posted(user, headers)).status_code < 500
    assert (await posted(user, {"origin": "http://localhost:1234"})).status_code == 200


@of("server-stateless")
async def _(user: User) -> None:
    gone = await posted(user, {}, "ping")
    assert (gone.status_code, gone.json()["error"]["code"], gone.json()["id"]) == (404, -32601, 7)
    mismatch = await posted(user, {"mcp-method": "prompts/list"})
    assert (mismatch.status_code, mismatch.json()["error"]["code"]) == (400, -32020)
    unknown = await posted(user, {"mcp-protocol-version": "2099-01-01"}, **{f"{META}protocolVersion": "2099-01-01"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, -32022)
    assert MODERN in unknown.json()["error"]["data"]["supported"]
    listed = await posted(user, {})
    assert "mcp-session-id" not in listed.headers


@of("sep-2164-resource-not-found")
async def _(user: User) -> None:
    with pytest.raises(MCPError) as caught:
        await user.client.read_resource("test://nothing-here")
    assert (caught.value.code, caught.value.data) == (-32602, {"uri": "test://nothing-here"})


@of("caching")
async def _(user: User) -> None:
    for listed in (
        await user.client.list_tools(),
        await user.client.list_prompts(),
        await user.client.list_resources(),
        await user.client.list_resource_templates(),
        await user.client.read_resource(TEXT_URI),
    ):
        assert {"ttl_ms", "cache_scope"} <= listed.model_fields_set
        assert listed.ttl_ms is not None
        assert listed.ttl_ms >= 0
        assert listed.cache_scope in ("public", "private")


@of(
    "input-required-result-basic-elicitation",
    "input-required-result-missing-input-response",
    "input-required-result-result-type",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
)
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_elicitation") == "Hello, Alice!"
    assert [list(form["properties"]) for form in user.forms] == [["name"]]


@of("input-required-result-basic-sampling")
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_sampling") == PARIS


@of("input-required-result-basic-list-roots")
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_list_roots") == "Roots: file:///test/root"


@of("input-required-result-request-state")
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_request_state") == "state-ok: {'ok': True}"


@of("input-required-result-multiple-input-requests")
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_multiple_inputs") == f"{PARIS} Alice, 1 root"


@of("input-required-result-multi-round")
async def _(user: User) -> None:
    assert await user.text("test_input_required_result_multi_round") == "named Alice, likes Alice"
    assert [list(form["properties"]) for form in user.forms] == [["name"], ["color"]]


@of("input-required-result-non-tool-request")
async def _(user: User) -> None:
    (found,) = await prompted(user, "test_input_required_result_prompt")
    assert found.text == "Context: Alice"


@of("input-required-result-unsupported-methods")
async def _(user: User) -> None:
    assert (await user.client.list_tools()).result_type == "complete"
    assert (await user.client.list_prompts()).result_type == "complete"


@of("input-required-result-tampered-state")
async def _(user: User) -> None:
    asked = {"name": "test_input_required_result_tampered_state", "arguments": {}}
    async with Modern(user.url, MODERN, capabilities(MODERN), ANSWERS) as session:
        first = await session._once("tools/call", asked, {})
        given = {key: {"action": "accept", "content": {"ok": True}} for key in first["inputRequests"]}
        state = first["requestState"]
        swapped = state[:-2] + ("A" if state[-2] != "A" else "B") + state[-1]
        for forged in (f"{state}-TAMPERED", swapped, "", "garbage"):
            with pytest.raises(RpcError) as caught:
                await session._once("tools/call", {**asked, "inputResponses": given, "requestState": forged}, {})
            assert caught.value.code == -32602
        other = {"name": "test_input_required_result_request_state", "arguments": {}, "requestState": state}
        with pytest.raises(RpcError):
            await session._once("tools/call", {**other, "inputResponses": given}, {})
        done = await session._once("tools/call", {**asked, "inputResponses": given, "requestState": state}, {})
        assert done["content"][0]["text"] == "confirmed"


@of("input-required-result-capability-check")
async def _(user: User) -> None:
    asked = {"name": "test_input_required_result_capabilities", "arguments": {}}
    async with Modern(user.url, MODERN, {"sampling": {}}, ANSWERS) as session:
        first = await session._once("tools/call", asked, {})
        assert [one["method"] for one in first["inputRequests"].values()] == ["sampling/createMessage"]
        assert (await session.text(asked["name"])) == "asked: ['model']"


async def check(url: str, revision: str, scenario: str) -> None:
    """Asks what a scenario is about. AssertionError, or what the client raises, when the answer is another."""
    user = User(url, revision)
    async with asyncio.timeout(30):
        if scenario in ("dns-rebinding-protection", "server-stateless"):
            await CHECKS[scenario](user)
            return
        async with user.client:
            await CHECKS[scenario](user)
