"""Guards as the real SDKs see them: what is masked, what comes back, and what is raised."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import anthropic
import boto3
import openai
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from google import genai
from google.genai import errors, types
from tests.e2e.running import RunningMesh, free_ports
from tests.e2e.servers import Asked, Server, reply, serving

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: vendor, type: openai, base_url: "{vendor}/v1", api_key: sk-vendor, options: {{apis: [chat]}}}}
  models:
    - {{name: echo, provider: vendor}}
    - {{name: hooked, provider: vendor}}
    - {{name: open, provider: vendor}}
    - {{name: shaped, provider: vendor}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: sk-test-123, user: alice, tenant: t, agent: a}}
authorization:
  policies:
    - {{name: all, match: {{tenant: t}}, resources: ["model:*"], action: allow}}
guards:
  - {{name: no-secrets, direction: request, recognisers: [secret], action: refuse}}
  - {{name: hide-people, direction: request, recognisers: [email], action: mask_reversible}}
  - {{name: no-cards, direction: response, recognisers: [card], action: mask}}
  - {{name: bluebird, direction: response, phrases: [project bluebird], action: refuse}}
  - {{name: seen, recognisers: [ipv4], action: log}}
  - name: asked
    match: {{model: hooked}}
    direction: request
    webhook: {{url: "{hook}/judge", api_key: sk-hook, timeout: 300ms}}
    action: webhook
  - name: asked-kindly
    match: {{model: open}}
    direction: request
    webhook: {{url: "{hook}/judge", timeout: 300ms}}
    action: webhook
    on_error: allow
  - {{name: shape, match: {{model: shaped}}, direction: response, schema: request, action: refuse}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""
MAIL = "joe@example.com"
SAY = f"Write {MAIL} of 4111 1111 1111 1111, or not."
HEARD = f"Write {MAIL} of [CARD], or not."
CUT = "Meet at Project Bluebird, said nobody."
SECRET = "AKIA" + "IOSFODNN7EXAMPLE"


def echo(asked: Asked) -> bytes:
    """A vendor that says what it was told, also as arguments of a tool when it has one; streams in pieces of three."""
    body = json.loads(asked.body)
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if body.get("tools"):
        called = {"name": "send", "arguments": json.dumps({"text": text, "number": 4111111111111111})}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
    finish = "tool_calls" if body.get("tools") else "stop"
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    made = {"id": "c1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        answer = {**made, "object": "chat.completion", "choices": [choice], "usage": usage}
        return reply(200, json.dumps(answer).encode())
    deltas = list(_deltas(message))
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": finish}])
    events = [{**made, "object": "chat.completion.chunk", "choices": one} for one in choices]
    events.append({**made, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    return reply(200, data, content_type="text/event-stream")


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    text = message["content"] or ""
    yield from ({"content": text[at : at + 3]} for at in range(0, len(text), 3))
    for call in message.get("tool_calls", ()):
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [{"index": 0, **call, "function": {"name": "send", "arguments": ""}}]}
        for at in range(0, len(arguments), 3):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 3]}}]}


def judge(asked: Asked) -> bytes:
    """Refuses what is rude, and does not answer in time about what is slow."""
    if b"slow" in asked.body:
        time.sleep(1)
    if b"broken" in asked.body:
        return reply(500, b"secret detail")
    verdict = {"allow": b"rude" not in asked.body, "reason": "it is rude"}
    return reply(200, json.dumps(verdict).encode())


@pytest.fixture(scope="module")
def vendor() -> Iterator[Server]:
    with serving(echo) as running:
        yield running


@pytest.fixture(scope="module")
def hook() -> Iterator[Server]:
    with serving(judge) as running:
        yield running


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, vendor: Server, hook: Server) -> Iterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("guards-sdk")
    port, admin_port = free_ports(2)
    text = CONFIG.format(port=port, admin_port=admin_port, vendor=vendor.url, hook=hook.url)
    (folder / "heddle.yaml").write_text(text)
    running = RunningMesh(folder / "heddle.yaml", folder / "state", port, admin_port).start()
    try:
        yield running
        assert running.stop() == 0
    finally:
        running.kill()


Said = tuple[str, dict[str, Any] | None]
"""What an SDK gathered: the text, and the arguments of the tool that was called."""
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


def by_chat(mesh: RunningMesh, text: str, stream: bool, tool: bool) -> Said:
    tools = [{"type": "function", "function": {"name": "send", "parameters": SCHEMA}}] if tool else openai.omit
    asked: Any = {"model": "echo", "messages": [{"role": "user", "content": text}], "tools": tools}
    with openai.OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        if stream:
            with client.chat.completions.stream(**asked) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**asked).choices[0].message
    calls = message.tool_calls
    return message.content or "", json.loads(calls[0].function.arguments) if calls else None


def by_responses(mesh: RunningMesh, text: str, stream: bool, tool: bool) -> Said:
    tools = [{"type": "function", "name": "send", "parameters": SCHEMA, "strict": False}] if tool else openai.omit
    asked: Any = {"model": "echo", "input": text, "tools": tools}
    with openai.OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        if stream:
            with client.responses.stream(**asked) as events:
                pieces = "".join(one.delta for one in events if one.type == "response.output_text.delta")
                answer = events.get_final_response()
            assert pieces == answer.output_text
        else:
            answer = client.responses.create(**asked)
    called = [item.arguments for item in answer.output if item.type == "function_call"]
    return answer.output_text, json.loads(called[0]) if called else None


def by_anthropic(mesh: RunningMesh, text: str, stream: bool, tool: bool) -> Said:
    tools = [{"name": "send", "input_schema": SCHEMA}] if tool else anthropic.omit
    turn = {"role": "user", "content": text}
    asked: Any = {"model": "echo", "max_tokens": 99, "messages": [turn], "tools": tools}
    url = mesh.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="sk-test-123", max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**asked)
    said = "".join(block.text for block in answer.content if block.type == "text")
    return said, next((dict(block.input) for block in answer.content if block.type == "tool_use"), None)


def by_gemini(mesh: RunningMesh, text: str, stream: bool, tool: bool) -> Said:
    options = types.HttpOptions(base_url=mesh.url.removesuffix("/v1"))
    declared: Any = [{"function_declarations": [{"name": "send", "parameters_json_schema": SCHEMA}]}]
    config = types.GenerateContentConfig(tools=declared) if tool else None
    with genai.Client(api_key="sk-test-123", http_options=options) as client:
        asked: Any = {"model": "echo", "contents": text, "config": config}
        answers: Any = (
            list(client.models.generate_content_stream(**asked))
            if stream
            else [client.models.generate_content(**asked)]
        )
    parts = [part for one in answers for part in (one.candidates[0].content.parts or ())]
    called = [part.function_call.args for part in parts if part.function_call]
    return "".join(part.text or "" for part in parts), called[0] if called else None


def by_bedrock(mesh: RunningMesh, text: str, stream: bool, tool: bool) -> Said:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=mesh.url.removesuffix("/v1"),
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={}),
    )
    bearer = "Bearer sk-test-123"
    client.meta.events.register(
        "before-send.bedrock-runtime.*",
        lambda request, **_: request.headers.__setitem__("Authorization", bearer),
    )
    asked: Any = {"modelId": "echo", "messages": [{"role": "user", "content": [{"text": text}]}]}
    if tool:
        asked["toolConfig"] = {"tools": [{"toolSpec": {"name": "send", "inputSchema": {"json": SCHEMA}}}]}
    try:
        if stream:
            with closing(client.converse_stream(**asked)["stream"]) as events:
                deltas = [one["contentBlockDelta"]["delta"] for one in events if "contentBlockDelta" in one]
            arguments = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
            return "".join(delta.get("text", "") for delta in deltas), json.loads(arguments) if arguments else None
        blocks = client.converse(**asked)["output"]["message"]["content"]
        called = [block["toolUse"]["input"] for block in blocks if "toolUse" in block]
        return "".join(block.get("text", "") for block in blocks), called[0] if called else None
    finally:
        client.close()


CALLERS: dict[str, tuple[Callable[[RunningMesh, str, bool, bool], Said], type[Exception], tuple[type[Exception], ...]]]
CALLERS = {
    "chat": (by_chat, openai.BadRequestError, (openai.APIError,)),
    "responses": (by_responses, openai.BadRequestError, (openai.APIError, RuntimeError)),
    "anthropic": (by_anthropic, anthropic.BadRequestError, (anthropic.APIError,)),
    "gemini": (by_gemini, errors.ClientError, (errors.APIError,)),
    "bedrock": (by_bedrock, ClientError, (EventStreamError,)),
}
"""How each SDK asks, what it raises when a call is refused, and when a stream is."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", CALLERS)
def test_callers_get_the_original_back_and_no_card(mesh: RunningMesh, vendor: Server, sdk: str, stream: bool):
    ask = CALLERS[sdk][0]
    assert ask(mesh, SAY, stream, False) == (HEARD, None)
    assert MAIL.encode() not in vendor.asked[-1].body
    assert b"[EMAIL_1]" in vendor.asked[-1].body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", CALLERS)
def test_arguments_of_tools_are_json_without_cards(mesh: RunningMesh, sdk: str, stream: bool):
    _, arguments = CALLERS[sdk][0](mesh, SAY, stream, True)
    assert arguments == {"text": HEARD, "number": "[CARD]"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", CALLERS)
def test_what_is_refused_is_raised_and_never_sent(mesh: RunningMesh, vendor: Server, sdk: str, stream: bool):
    ask, refused, _ = CALLERS[sdk]
    before = len(vendor.asked)
    with pytest.raises(refused, match="no-secrets"):
        ask(mesh, f"what is {SECRET}?", stream, False)
    assert len(vendor.asked) == before


@pytest.mark.parametrize("sdk", CALLERS)
def test_answers_that_are_refused_are_raised_whole_and_streamed(mesh: RunningMesh, sdk: str):
    ask, refused, cut = CALLERS[sdk]
    with pytest.raises(refused, match="bluebird"):
        ask(mesh, CUT, False, False)
    with pytest.raises(cut, match="bluebird"):
        ask(mesh, CUT, True, False)


def raised(mesh: RunningMesh, model: str, text: str, **fields: Any) -> openai.APIStatusError | None:
    with openai.OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        try:
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **fields)
        except openai.APIStatusError as exc:
            return exc
    return None


def test_webhooks_decide_and_whether_they_fail_open(mesh: RunningMesh, hook: Server):
    assert raised(mesh, "hooked", f"be nice to {MAIL}") is None
    asked = json.loads(hook.asked[-1].body)
    assert asked["texts"] == [{"scope": "user", "text": "be nice to [EMAIL_1]"}]
    assert hook.asked[-1].header("authorization") == "Bearer sk-hook"
    rude = raised(mesh, "hooked", "be rude")
    assert isinstance(rude, openai.BadRequestError)
    assert "it is rude" in str(rude)
    for text in ("be slow", "be broken"):
        closed = raised(mesh, "hooked", text)
        assert closed is not None
        assert (closed.status_code, closed.code) == (503, "guard_unavailable")
        assert "secret" not in str(closed)
        assert raised(mesh, "open", text) is None
    written = mesh.log + json.dumps(mesh.running()) + (mesh.state / "access.log").read_text()
    assert "sk-hook" not in written
    assert MAIL not in written


def test_answers_satisfy_the_stated_schema_or_are_refused(mesh: RunningMesh):
    schema = {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "properties": {"a": {"type": "number"}},
    }
    stated: Any = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    assert raised(mesh, "shaped", '{"a": 1}', response_format=stated) is None
    assert isinstance(raised(mesh, "shaped", '{"b": 1}', response_format=stated), openai.BadRequestError)


def test_what_is_only_logged_is_counted(mesh: RunningMesh):
    before = mesh.metric("heddle_guard_decisions_total", guard="seen")
    assert by_chat(mesh, "ping 192.168.1.1", True, False) == ("ping 192.168.1.1", None)
    deadline = time.monotonic() + 5
    while mesh.metric("heddle_guard_decisions_total", guard="seen") < before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mesh.metric("heddle_guard_decisions_total", guard="seen") == before + 2
