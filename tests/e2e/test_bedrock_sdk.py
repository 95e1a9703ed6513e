"""boto3, unmodified, through a running mesh: to Bedrock untouched and signed anew, and to others translated."""

import contextlib
import json

import boto3
import openai
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import EventStreamError
from tests.e2e.running import RunningMesh, eventually, free_ports
from tests.e2e.servers import reply, serving

from heddle.wire.eventstream import encode

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
TARGET = "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - name: aws
      type: bedrock
      base_url: "{vendor}"
      api_key: mesh-secret
      options: {{region: eu-west-1, access_key_id: AKIDEXAMPLE12345}}
    - {{name: other, type: openai, base_url: "{vendor}/v1", api_key: sk-ours}}
  models:
    - {{name: claude, provider: aws, model: "{model}"}}
    - {{name: "arn:aws:bedrock:*", provider: aws}}
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


def saying(text):
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


ASK = saying("hi")
USAGE = {"inputTokens": 7, "outputTokens": 5, "totalTokens": 22, "cacheReadInputTokens": 10}
WHOLE = {
    "metrics": {"latencyMs": 3},
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
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


def frames(*events):
    headers = {":content-type": "application/json", ":message-type": "event"}
    return [encode({":event-type": name, **headers}, json.dumps(said).encode()) for name, said in events]


def delta(block, **said):
    return "contentBlockDelta", {"contentBlockIndex": block, "delta": said, "p": "abc"}


BEGUN = [("messageStart", {"role": "assistant"}), delta(0, text="Hel"), delta(0, text="lo")]
STREAM = frames(
    *BEGUN,
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
    delta(1, toolUse={"input": '{"x":'}),
    delta(1, toolUse={"input": "1}"}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 3}}),
)
BROKEN = [
    *frames(*BEGUN),
    encode({":exception-type": "throttlingException", ":message-type": "exception"}, b'{"message":"secret"}'),
]


def vendor(asked):
    """Bedrock, as far as it is needed; what is asked for decides what happens."""
    if asked.target == "/v1/chat/completions":
        return reply(200, json.dumps(COMPLETION).encode())
    text = json.dumps(json.loads(asked.body)["messages"])
    if "limit" in text:
        error = b'{"message":"Too many tokens, please wait before trying again."}'
        return reply(429, error, x_amzn_errortype="ThrottlingException:http://internal.amazon.com/")
    if asked.target.endswith("/converse-stream"):
        said = BROKEN if "break" in text else STREAM
        return reply(200, b"".join(said), content_type="application/vnd.amazon.eventstream")
    return reply(200, json.dumps(WHOLE).encode(), x_amzn_requestid="r-1")


@pytest.fixture(scope="module")
def server():
    with serving(vendor) as running:
        yield running


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, server):
    folder = tmp_path_factory.mktemp("bedrock")
    port, admin_port = free_ports(2)
    (folder / "heddle.yaml").write_text(CONFIG.format(port=port, admin_port=admin_port, vendor=server.url, model=MODEL))
    running = RunningMesh(folder / "heddle.yaml", folder / "state", port, admin_port).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def bedrock(mesh):
    """Without TLS boto3 sends no bearer key by itself: it is unsigned, and given the key as a field."""
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=mesh.url.removesuffix("/v1"),
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={}),
    )
    made.meta.events.register(
        "before-send.bedrock-runtime.*",
        lambda request, **_: request.headers.__setitem__("Authorization", "Bearer sk-test-123"),
    )
    yield made
    made.close()


def test_an_answer_comes_untouched_and_the_request_is_signed_by_the_mesh(bedrock, server):
    answer = bedrock.converse(modelId="claude", **ASK)
    assert {name: answer[name] for name in WHOLE} == WHOLE
    asked = server.asked[-1]
    assert asked.target == TARGET
    assert json.loads(asked.body) == ASK
    request = AWSRequest(
        "POST",
        f"{server.url}{asked.target}",
        {"content-type": "application/json", "x-amz-date": asked.header("x-amz-date")},
        asked.body,
    )
    signer = SigV4Auth(Credentials("AKIDEXAMPLE12345", "mesh-secret"), "bedrock", "eu-west-1")
    request.context["timestamp"] = asked.header("x-amz-date")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert asked.header("authorization").endswith(f"Signature={signature}")
    assert "sk-test-123" not in str(asked.fields)


def test_an_arn_is_a_model(bedrock, server):
    arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-7"
    assert bedrock.converse(modelId=arn, **ASK)["stopReason"] == "end_turn"
    assert server.asked[-1].target == "/model/" + arn.replace(":", "%3A").replace("/", "%2F") + "/converse"


def test_a_stream(bedrock, mesh):
    before = mesh.metric("heddle_tokens_total", model="claude", type="input")
    events = list(bedrock.converse_stream(modelId="claude", **ASK)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join([one.get("text", "") for one in deltas]) == "Hello"
    assert events[-2:] == [
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": USAGE, "metrics": {"latencyMs": 3}}},
    ]
    eventually(lambda: mesh.metric("heddle_tokens_total", model="claude", type="input") == before + 17)


def test_a_stream_that_breaks_is_raised(bedrock):
    stream = bedrock.converse_stream(modelId="claude", **saying("break"))["stream"]
    with contextlib.closing(stream), pytest.raises(EventStreamError) as caught:
        list(stream)
    assert "secret" not in str(caught.value)


def test_a_limit_is_bedrocks_own_exception(bedrock):
    with pytest.raises(bedrock.exceptions.ThrottlingException, match="Too many tokens"):
        bedrock.converse(modelId="claude", **saying("limit"))


def test_refusals_of_the_mesh_are_raised_as_bedrocks(bedrock):
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        bedrock.converse(modelId="nobody", **ASK)


def test_a_signature_of_the_callers_is_no_key(mesh):
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=mesh.url.removesuffix("/v1"),
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    with pytest.raises(made.exceptions.AccessDeniedException):
        made.converse(modelId="claude", **ASK)
    made.close()


def test_another_vendor_answers_a_caller_of_bedrock(bedrock, server):
    answer = bedrock.converse(modelId="gpt", system=[{"text": "Be brief."}], **ASK)
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "Hello"}]}
    assert answer["usage"]["totalTokens"] == 12
    assert [message["role"] for message in json.loads(server.asked[-1].body)["messages"]] == ["system", "user"]


def test_bedrock_answers_a_caller_of_openai(mesh, server):
    with openai.OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=0) as client:
        answer = client.chat.completions.create(model="claude", messages=[{"role": "user", "content": "hi"}])
        assert answer.choices[0].message.content == "Hello"
        assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (17, 10)
        assert server.asked[-1].target == TARGET
        chunks = list(
            client.chat.completions.create(
                model="claude",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        calls = [c for chunk in chunks for choice in chunk.choices for c in choice.delta.tool_calls or ()]
        assert "".join(c.function.arguments for c in calls) == '{"x":1}'
        assert chunks[-1].usage.prompt_tokens == 17
        with pytest.raises(openai.RateLimitError, match="Too many tokens"):
            client.chat.completions.create(model="claude", messages=[{"role": "user", "content": "limit"}])
        with pytest.raises(openai.APIError):
            list(
                client.chat.completions.create(
                    model="claude", messages=[{"role": "user", "content": "break"}], stream=True
                )
            )
