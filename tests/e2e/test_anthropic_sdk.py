"""The official Anthropic SDK, unmodified, through a running mesh: to Anthropic untouched, and to others translated."""

import json

import anthropic
import openai
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION as SDK_VERSION
from tests.e2e.running import RunningMesh, free_ports
from tests.e2e.servers import reply, serving

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: vendor, type: anthropic, base_url: "{vendor}", api_key: sk-ant-ours}}
    - {{name: other, type: openai, base_url: "{vendor}/v1", api_key: sk-ours}}
  models:
    - {{name: claude, provider: vendor, model: claude-opus-4-7}}
    - {{name: gpt, provider: other}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: "sk-test-123", user: alice, tenant: dev-team, agent: planner}}
authorization:
  policies:
    - {{name: dev, match: {{kubernetes: {{namespace: dev-team}}}}, resources: ["model:*"], action: allow}}
"""

USAGE = {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 5}
ASKED = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"x": {"type": "integer"}}}}


def events(*said):
    return b"".join([b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in said])


def block(index, start, *deltas):
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


def stream(*blocks, stop="end_turn"):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-7", "content": []}
    return events(
        {"type": "message_start", "message": {**message, "usage": {**USAGE, "output_tokens": 1}}},
        *[event for one in blocks for event in one],
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE},
        {"type": "message_stop"},
    )


TEXT = block(
    0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}
)
CALLS = [
    block(i, {"type": "tool_use", "id": f"toolu_{i}", "name": "f", "input": {}},
          {"type": "input_json_delta", "partial_json": '{"x":'}, {"type": "input_json_delta", "partial_json": f"{i}}}"})
    for i in range(2)
]  # fmt: skip
WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-7",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
}


def vendor(asked):
    """Anthropic, as far as it is needed; what is asked for decides what happens."""
    body = json.loads(asked.body)
    text = json.dumps(body["messages"])
    if asked.target == "/v1/chat/completions":
        return reply(200, json.dumps(COMPLETION).encode())
    if asked.target == "/v1/messages/count_tokens":
        return reply(200, b'{"input_tokens": 2095}')
    if "limit" in text:
        error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many."}, "request_id": "req_1"}
        return reply(429, json.dumps(error).encode(), retry_after="3", request_id="req_1")
    if not body.get("stream"):
        return reply(200, json.dumps(WHOLE).encode(), request_id="req_1")
    if "break" in text:
        broken = stream(TEXT).split(b"event: message_delta")[0]
        error = events({"type": "error", "error": {"type": "overloaded_error", "message": "secret"}})
        return reply(200, broken + error, content_type="text/event-stream")
    said = stream(*CALLS, stop="tool_use") if body.get("tools") else stream(TEXT)
    return reply(200, said, content_type="text/event-stream")


@pytest.fixture(scope="module")
def server():
    with serving(vendor) as running:
        yield running


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, server):
    folder = tmp_path_factory.mktemp("anthropic")
    port, admin_port = free_ports(2)
    (folder / "heddle.yaml").write_text(CONFIG.format(port=port, admin_port=admin_port, vendor=server.url))
    running = RunningMesh(folder / "heddle.yaml", folder / "state", port, admin_port).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(mesh):
    url = mesh.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="sk-test-123", max_retries=0) as client:
        yield client


def test_a_message_goes_and_comes_untouched(client, server):
    answer = client.messages.with_raw_response.create(model="claude", **ASKED, extra_headers={"anthropic-beta": "b-1"})
    assert answer.json() == WHOLE
    asked = server.asked[-1]
    assert json.loads(asked.body) == {"model": "claude-opus-4-7", **ASKED}
    assert (asked.header("x-api-key"), asked.header("authorization")) == ("sk-ant-ours", None)
    assert (asked.header("anthropic-beta"), asked.header("anthropic-version")) == ("b-1", SDK_VERSION)


def test_a_stream(client):
    with client.messages.stream(model="claude", **ASKED) as said:
        message = said.get_final_message()
    assert (message.content[0].text, message.stop_reason) == ("Hello", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 5)


def test_parallel_streamed_tools(client):
    with client.messages.stream(model="claude", **ASKED, tools=[TOOL]) as said:
        assert [call.input for call in said.get_final_message().content] == [{"x": 0}, {"x": 1}]


def test_counting(client):
    assert client.messages.count_tokens(model="claude", messages=ASKED["messages"]).input_tokens == 2095


def test_a_limit_of_the_vendor(client):
    with pytest.raises(anthropic.RateLimitError, match="Too many") as caught:
        client.messages.create(model="claude", max_tokens=5, messages=[{"role": "user", "content": "limit"}])
    assert caught.value.response.headers["retry-after"] == "3"


def test_a_broken_stream_is_an_error(client):
    asked = {"max_tokens": 5, "messages": [{"role": "user", "content": "break"}]}
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error") as caught,
        client.messages.stream(model="claude", **asked) as said,
    ):
        said.get_final_message()
    assert "secret" not in str(caught.value)


def test_our_own_errors_are_in_the_dialect(client, mesh):
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nobody", **ASKED)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model="claude", max_tokens=-1, messages=ASKED["messages"])
    with (
        anthropic.Anthropic(base_url=mesh.url.removesuffix("/v1"), api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="claude", **ASKED)


def test_another_vendor_answers_in_the_dialect(client):
    message = client.messages.create(model="gpt", **ASKED)
    assert (message.content[0].text, message.stop_reason) == ("Hello", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 5)


def test_anthropic_answers_in_openais_dialect(mesh, server):
    with openai.OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        whole = client.chat.completions.create(model="claude", messages=ASKED["messages"])
        assert (whole.choices[0].message.content, whole.usage.prompt_tokens) == ("Hello", 10)
        asked = server.asked[-1]
        assert (asked.target, asked.header("anthropic-version")) == ("/v1/messages", "2023-06-01")
        assert json.loads(asked.body)["max_tokens"] == 8192
        parts = client.chat.completions.create(model="claude", messages=ASKED["messages"], stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "Hello"
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="claude", messages=[{"role": "user", "content": "limit"}])
