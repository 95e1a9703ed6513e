"""The official OpenAI SDK, unmodified, against a running mesh."""

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.e2e.running import CONFIG, RunningMesh, free_ports

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HELLO = [{"role": "user", "content": "Say hello to the weavers."}]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdk")
    port, admin_port = free_ports(2)
    (folder / "heddle.yaml").write_text(CONFIG.format(port=port, admin_port=admin_port))
    running = RunningMesh(folder / "heddle.yaml", folder / "state", port, admin_port, workers=2).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(mesh):
    with OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        yield client


def test_a_chat_completion(client):
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_a_stream_says_the_same_as_the_whole_answer(client):
    whole = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices[0].message.content
    chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole
    assert len(chunks) > 3
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"
    assert all(chunk.choices for chunk in chunks), "the usage chunk must stay hidden"


def test_a_stream_with_usage_asked_for(client):
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


def test_tool_calls_whole_and_streamed(client):
    messages = [{"role": "user", "content": "What is the weather in Oslo? Use get_weather."}]
    whole = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL], tool_choice="required")
    call = whole.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert "city" in arguments
    assert whole.choices[0].finish_reason == "tool_calls"
    with client.chat.completions.stream(
        model="gpt-4o-mini", messages=messages, tools=[TOOL], tool_choice="required"
    ) as stream:
        final = stream.get_final_completion()
    streamed = final.choices[0].message.tool_calls[0]
    assert json.loads(streamed.function.arguments) == arguments
    follow_up = [*messages, whole.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=follow_up, tools=[TOOL])
    assert answer.choices[0].message.content


def test_embeddings(client):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["warp", "weft"], dimensions=64)
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    assert answer.usage.prompt_tokens > 0


def test_models_are_listed_as_far_as_they_are_allowed(mesh, client):
    assert {model.id for model in client.models.list()} == {
        "gpt-4o-mini", "gpt-5-large", "text-embedding-3-small", "claude-*"
    }  # fmt: skip
    with OpenAI(base_url=mesh.url, api_key="sk-narrow-789") as narrow:
        assert {model.id for model in narrow.models.list()} == {"gpt-4o-mini"}
    with OpenAI(base_url=mesh.url, api_key="sk-other-000") as other:
        assert list(other.models.list()) == []


def test_its_own_error_classes(mesh, client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert missing.value.code == "model_not_found"
    assert missing.value.param == "model"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4o-mini", messages=[])
    with (
        OpenAI(base_url=mesh.url, api_key="sk-wrong", max_retries=0) as wrong,
        pytest.raises(openai.AuthenticationError),
    ):
        wrong.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    with (
        OpenAI(base_url=mesh.url, api_key="sk-narrow-789", max_retries=0) as narrow,
        pytest.raises(openai.PermissionDeniedError),
    ):
        narrow.chat.completions.create(model="gpt-5-large", messages=HELLO)


def test_a_denial_by_expression(mesh):
    with OpenAI(base_url=mesh.url, api_key="sk-bob-456", max_retries=0) as bob:
        assert bob.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices
        with pytest.raises(openai.PermissionDeniedError):
            bob.chat.completions.create(model="gpt-5-large", messages=HELLO)


def test_a_pattern_serves_any_name_under_it(client):
    assert client.chat.completions.create(model="claude-sonnet", messages=HELLO).choices[0].message.content


async def test_the_async_client_in_parallel(mesh):
    async with AsyncOpenAI(base_url=mesh.url, api_key="sk-test-123") as client:

        async def one(number: int) -> str:
            stream = await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": f"number {number}"}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        answers = await asyncio.gather(*(one(number) for number in range(40)))
    assert all(f"number {number}" in answer or answer for number, answer in enumerate(answers))
    assert len(set(answers)) > 1


def test_everything_was_counted(mesh, client):
    client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    text = mesh.get("/metrics")[1].decode()
    assert "heddle_requests_total{" in text
    assert 'tenant="dev-team"' in text
    assert "sk-test-123" not in text
