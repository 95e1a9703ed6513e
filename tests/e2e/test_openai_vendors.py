"""OpenAI's SDK through a running mesh to servers that speak its API in their own ways: by preset and adapted."""

import json

import httpx2
import openai
import pytest
from tests.e2e.running import running_mesh
from tests.e2e.servers import Asked, reply, serving

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: strict, type: mistral, base_url: "@URL@/mistral/v1", api_key: sk-ours}}
    - {{name: fast, type: groq, base_url: "@URL@/groq/openai/v1", api_key: sk-ours}}
    - {{name: cloud, type: azure, base_url: "@URL@/cloud", api_key: sk-ours, options: {{api_version: "2024-10-21"}}}}
  models:
    - {{name: mistral, provider: strict}}
    - {{name: groq, provider: fast}}
    - {{name: gpt, provider: cloud, model: my-deployment}}
security:
  authentication: {{type: api_key, keys: [{{key: sk-test-123, user: ann, tenant: t, agent: a}}]}}
"""
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
HI = [{"role": "user", "content": "hi"}]


def sse(*chunks):
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return reply(200, b"".join(events) + b"data: [DONE]\n\n", content_type="text/event-stream")


def said(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **fields}


def answer(asked: Asked) -> bytes:
    call = json.loads(asked.body)
    if "too long" in asked.body.decode():
        return reply(400, b'{"object":"error","message":"maximum context length is 9","type":"x","code":"3051"}')
    if call.get("stream"):
        # As Mistral: usage unasked, with the last chunk that has a choice.
        return sse(said({"role": "assistant", "content": "Hel"}), said({"content": "lo"}, "stop", usage=USAGE))
    message = {"role": "assistant", "content": "Hello", "reasoning": "hm"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}
    return reply(200, json.dumps(body).encode())


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with (
        serving(answer) as server,
        running_mesh(tmp_path_factory.mktemp("vendors"), CONFIG.replace("@URL@", server.url)) as mesh,
    ):
        yield mesh, server


@pytest.fixture
def client(stage):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{stage[0].port}/v1", api_key="sk-test-123", max_retries=0) as one:
        yield one


def last(stage):
    asked = stage[1].asked[-1]
    return asked, json.loads(asked.body)


def test_a_callers_own_body_has_the_names_that_a_strict_server_knows(stage, client):
    with client.chat.completions.stream(model="mistral", messages=HI, max_completion_tokens=9) as stream:
        got = stream.get_final_completion() if list(stream) else None
    assert got.choices[0].message.content == "Hello"
    asked, body = last(stage)
    assert asked.target == "/mistral/v1/chat/completions"
    assert asked.header("authorization") == "Bearer sk-ours"
    assert body == {"model": "mistral", "messages": HI, "stream": True, "max_tokens": 9}


def test_the_older_azure_has_the_deployment_in_its_path(stage, client):
    assert client.chat.completions.create(model="gpt", messages=HI).choices[0].message.content == "Hello"
    asked, _ = last(stage)
    assert asked.target == "/cloud/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert (asked.header("api-key"), asked.header("authorization")) == ("sk-ours", None)


def test_completions_are_served_by_a_chat_model(stage, client):
    raw = client.completions.with_raw_response.create(model="mistral", prompt="once", max_tokens=9, seed=3)
    got = raw.parse()
    assert (got.object, got.choices[0].text, got.choices[0].finish_reason) == ("text_completion", "Hello", "stop")
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 5)
    messages = [{"role": "user", "content": "once"}]
    assert last(stage)[1] == {"model": "mistral", "messages": messages, "max_tokens": 9, "random_seed": 3}
    with pytest.raises(openai.BadRequestError, match="suffix"):
        client.completions.create(model="mistral", prompt="once", suffix="upon")


def test_streamed_completions_are_served_too(stage, client):
    stream = client.completions.create(
        model="mistral", prompt="once", stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Hello"
    assert chunks[-1].usage.total_tokens == 12
    assert "stream_options" not in last(stage)[1]


def test_azure_serves_completions_itself(stage, client):
    client.completions.create(model="gpt", prompt="once")
    assert last(stage)[0].target.startswith("/cloud/openai/deployments/my-deployment/completions?")


def ask_messages(stage, content="hi", **fields):
    body = {"model": "groq", "max_tokens": 9, "messages": [{"role": "user", "content": content}], **fields}
    url = f"http://127.0.0.1:{stage[0].port}/v1/messages"
    return httpx2.post(url, json=body, headers={"x-api-key": "sk-test-123", "anthropic-version": "2023-06-01"})


def test_another_dialect_is_told_what_was_left_out(stage):
    got = ask_messages(stage, top_k=3, metadata={"user_id": "u"})
    assert got.status_code == 200
    assert [(part["type"], part.get("text") or part.get("thinking")) for part in got.json()["content"]] == [
        ("thinking", "hm"),
        ("text", "Hello"),
    ]
    assert "top_k" in got.headers["x-heddle-translation"]
    _, body = last(stage)
    assert body == {"model": "groq", "messages": HI, "max_completion_tokens": 9, "user": "u"}


def test_another_dialect_gets_the_vendors_words(stage):
    got = ask_messages(stage, content="too long")
    assert got.status_code == 400
    assert got.json()["error"]["message"] == "maximum context length is 9"
