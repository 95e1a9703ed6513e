"""Same dialect on both sides: the stand-ins are heard by the SDKs themselves, for not a byte is changed on the way."""

import http.client
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google
from tests.matrix.meshes import KEY, MODELS, VENDORS, Meshes
from tests.unit.providers.scripted_asking import ASKING

TARGETS = {
    "openai_chat": ("/v1/chat/completions", "/v1/chat/completions"),
    "openai_responses": ("/v1/responses", "/v1/responses"),
    "anthropic_messages": ("/v1/messages", "/v1/messages"),
    "gemini": ("/v1beta/models/{}:generateContent", "/v1beta/models/{}:streamGenerateContent?alt=sse"),
    "bedrock_converse": ("/model/{}/converse", "/model/{}/converse-stream"),
}
PROMPTS = ("Hello “there” 😀 [[cached 7]]", "[[tools 3]][[think Hm.]] for “Pa\\ris”", "[[refuse]]")
COUNTS = {
    "anthropic_messages": ("/v1/messages/count_tokens", "input_tokens"),
    "openai_responses": ("/v1/responses/input_tokens", "input_tokens"),
    "gemini": ("/v1beta/models/{}:countTokens", "totalTokens"),
}
EMBEDDINGS = {
    "/v1/embeddings": {"model": MODELS["openai_chat"], "input": ["a word", "another"], "dimensions": 8},
    f"/v1beta/models/{MODELS['gemini']}:embedContent": {"content": {"parts": [{"text": "x"}]}},
    f"/v1beta/models/{MODELS['gemini']}:batchEmbedContents": {
        "requests": [{"model": f"models/{MODELS['gemini']}", "content": {"parts": [{"text": "x"}]}}] * 2
    },
}


def post(meshes: Meshes, target: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", meshes.gateway.port, timeout=30)
    try:
        connection.request("POST", target, body, {"authorization": f"Bearer {KEY}", "content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor", VENDORS)
def test_not_a_byte_changes(meshes, vendor, stream, prompt):
    asked = ASKING[vendor].body(prompt, stream=stream, tools=True)
    if "model" in asked:
        asked["model"] = MODELS[vendor]
    body = json.dumps(asked, indent=1).encode()
    status, answer = post(meshes, TARGETS[vendor][stream].format(MODELS[vendor]), body)
    passed = meshes.passed[-1]
    assert (status, passed.vendor) == (200, vendor)
    assert passed.body == body
    assert passed.answer == answer
    assert passed.told().usage.taken > 0


@pytest.mark.parametrize("vendor", COUNTS)
def test_counts_come_from_the_vendor(meshes, vendor):
    target, key = COUNTS[vendor]
    asked = ASKING[vendor].body("Hello there")
    asked = {key: value for key, value in asked.items() if key in ("model", "messages", "contents", "input")}
    if "model" in asked:
        asked["model"] = MODELS[vendor]
    status, answer = post(meshes, target.format(MODELS[vendor]), json.dumps(asked).encode())
    assert status == 200, answer
    assert json.loads(answer)[key] == 4 - (-len("Hello there") // 4)
    assert meshes.passed[-1].answer == answer


@pytest.mark.parametrize("target", EMBEDDINGS)
def test_embeddings_come_from_the_vendor(meshes, target):
    body = json.dumps(EMBEDDINGS[target]).encode()
    status, answer = post(meshes, target, body)
    assert status == 200, answer
    assert (meshes.passed[-1].body, meshes.passed[-1].answer) == (body, answer)


async def openai_chat(url: str) -> AsyncIterator[str]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        asked: Any = {"model": MODELS["openai_chat"], "messages": [{"role": "user", "content": "Hello"}]}
        yield (await client.chat.completions.create(**asked)).choices[0].message.content or ""
        async with client.chat.completions.stream(**asked) as stream:
            yield (await stream.get_final_completion()).choices[0].message.content or ""


async def openai_responses(url: str) -> AsyncIterator[str]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        asked: Any = {"model": MODELS["openai_responses"], "input": "Hello"}
        yield (await client.responses.create(**asked)).output_text
        async with client.responses.stream(**asked) as stream:
            yield (await stream.get_final_response()).output_text


async def anthropic_messages(url: str) -> AsyncIterator[str]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        asked: Any = {"model": MODELS["anthropic_messages"], "max_tokens": 500}
        asked["messages"] = [{"role": "user", "content": "Hello"}]
        yield (await client.messages.create(**asked)).content[0].text
        async with client.messages.stream(**asked) as stream:
            yield await stream.get_final_text()


async def gemini(url: str) -> AsyncIterator[str]:
    client = genai.Client(api_key=KEY, http_options=google.HttpOptions(base_url=url))
    try:
        asked: Any = {"model": MODELS["gemini"], "contents": "Hello"}
        yield (await client.aio.models.generate_content(**asked)).text or ""
        stream = await client.aio.models.generate_content_stream(**asked)
        yield "".join([chunk.text or "" async for chunk in stream])
    finally:
        await client.aio.aclose()
        client.close()


@pytest.mark.parametrize("sdk", [openai_chat, openai_responses, anthropic_messages, gemini])
async def test_asynchronous_clients(meshes, sdk):
    whole, streamed = [said async for said in sdk(meshes.url)]
    assert whole == streamed
    assert "You said: “Hello”" in whole
