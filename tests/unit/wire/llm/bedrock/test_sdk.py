"""What boto3 makes of what we write, and what we make of what boto3 sends."""

import json

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import EventStreamError, InvalidEndpointConfigurationError
from tests.unit.wire.llm.bedrock.stand_in import SERVICE, client, serving

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.bedrock import codec, dialect
from heddle.wire.llm.bedrock.names import STATUSES

JSON = [(b"content-type", b"application/json")]
STREAM = [(b"content-type", codec.STREAM_TYPE)]
CALL = ModelCall(operation="chat", dialect=codec.DIALECT, model="m", body=b"x" * 40, stream=True)
USAGE = Usage(input_tokens=30, output_tokens=5, cached_input_tokens=10, cache_write_tokens=4)
ASK = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def converse(*answer):
    with serving(answer) as server, client(server) as bedrock:
        return bedrock.converse(**ASK)


def stream(events, tail=b""):
    encoder = dialect.open_encoder(CALL, 0)
    body = b"".join(encoder.encode(event) for event in events) + tail
    with serving((200, STREAM, body)) as server, client(server) as bedrock:
        return list(bedrock.converse_stream(**ASK)["stream"])


def test_a_whole_answer():
    parts = (
        Thinking(text="hm", signature="bedrock.sig"),
        Thinking(redacted="bedrock.AAE="),
        Text(text="Hello"),
        Refusal(text="no"),
        ToolCall(id="t1", name="f", arguments='{"a": [1]}'),
        ToolCall(id="t2", name="g", arguments="{broken"),
    )
    answer = ChatAnswer(id="x", model="y", choices=(Choice(parts=parts, stop="tool_use"),), usage=USAGE)
    read = converse(200, JSON, dialect.encode_answer(answer, CALL, 0))
    assert read["output"]["message"] == {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": b"\x00\x01"}},
            {"text": "Hello"},
            {"text": "no"},
            {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": [1]}}},
            {"toolUse": {"toolUseId": "t2", "name": "g", "input": "{broken"}},
        ],
    }
    assert read["stopReason"] == "tool_use"
    assert read["usage"] == {
        "inputTokens": 16,
        "outputTokens": 5,
        "totalTokens": 35,
        "cacheReadInputTokens": 10,
        "cacheWriteInputTokens": 4,
    }
    assert read["metrics"] == {"latencyMs": 0}


def test_an_answer_without_usage_has_an_estimate():
    answer = ChatAnswer(id="", model="", choices=(Choice(parts=(Text(text="12345"),)),))
    usage = converse(200, JSON, dialect.encode_answer(answer, CALL, 0))["usage"]
    assert (usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]) == (10, 2, 12)


EVENTS = [
    Began(id="a", model="b"),
    PartBegan(index=0, kind="thinking"),
    PartDelta(index=0, text="hm"),
    PartDelta(index=0, signature="anthropic.sig"),
    PartEnded(index=0),
    PartBegan(index=1, kind="text"),
    PartDelta(index=1, text="Hel"),
    PartBegan(index=2, kind="tool_call", id="t1", name="f"),
    PartDelta(index=2, text='{"a":'),
    PartBegan(index=3, kind="tool_call", id="t2", name="g"),
    PartDelta(index=1, text="lo"),
    PartEnded(index=1),
    PartDelta(index=2, text="1}"),
    PartEnded(index=3),
    PartEnded(index=2),
    PartBegan(index=4, kind="text"),
    PartEnded(index=4),
    ChoiceEnded(stop="tool_use"),
    Used(usage=USAGE),
    Ended(),
]


def test_a_stream_of_thinking_text_and_parallel_tools():
    events = stream(EVENTS)
    assert events[0] == {"messageStart": {"role": "assistant"}}
    blocks = events[1:-2]
    assert blocks == [
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "anthropic.sig"}}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 1}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t1", "name": "f"}}, "contentBlockIndex": 2}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"a":'}}, "contentBlockIndex": 2}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "1}"}}, "contentBlockIndex": 2}},
        {"contentBlockStop": {"contentBlockIndex": 2}},
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t2", "name": "g"}}, "contentBlockIndex": 3}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 3}},
        {"contentBlockStop": {"contentBlockIndex": 3}},
    ]
    assert events[-2] == {"messageStop": {"stopReason": "tool_use"}}
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 35
    assert events[-1]["metadata"]["metrics"] == {"latencyMs": 0}


PROVEN = ToolCall(id="t1", name="f", arguments="{}", signature="gemini.a/b=")


def replayed(content):
    """What boto3 sends when its user sends an answer back."""
    messages = [*ASK["messages"], {"role": "assistant", "content": content}]
    with serving((200, JSON, dialect.encode_answer(WHOLE, CALL, 0))) as server, client(server) as bedrock:
        bedrock.converse(modelId="m", messages=messages)
        return dialect.decode_chat(server.requests[-1][2], CALL).messages[1].parts


WHOLE = ChatAnswer(id="x", model="y", choices=(Choice(parts=(PROVEN, Text(text="go")), stop="tool_use"),), usage=USAGE)


def test_the_proof_of_a_call_follows_it_and_comes_back_to_it():
    read = converse(200, JSON, dialect.encode_answer(WHOLE, CALL, 0))
    content = read["output"]["message"]["content"]
    assert content[1] == {"reasoningContent": {"redactedContent": b"call.gemini.a/b="}}
    assert replayed(content) == (PROVEN, Text(text="go"))


def test_the_proof_of_a_call_in_a_stream_is_a_block_of_its_own():
    events = stream(
        [
            Began(id="x"),
            PartBegan(index=0, kind="tool_call", id="t1", name="f"),
            PartDelta(index=0, signature="gemini.a/b="),
            PartEnded(index=0),
            PartBegan(index=1, kind="tool_call", id="t2", name="g"),
            PartDelta(index=1, text="{}"),
            PartEnded(index=1),
            ChoiceEnded(stop="tool_use"),
            Used(usage=USAGE),
            Ended(),
        ]
    )
    places = [(name, value["contentBlockIndex"]) for event in events for name, value in event.items()
              if "contentBlockIndex" in value]  # fmt: skip
    start, delta, stop = "contentBlockStart", "contentBlockDelta", "contentBlockStop"
    assert places == [(start, 0), (delta, 0), (stop, 0), (delta, 1), (stop, 1), (start, 2), (delta, 2), (stop, 2)]
    blob = events[4]["contentBlockDelta"]["delta"]["reasoningContent"]["redactedContent"]
    assert blob == b"call.gemini.a/b="


@pytest.mark.parametrize("blob", [b"call.", b"call.nobody.x", b"gemini.x", b"\xff"])
def test_other_blobs_behind_a_call_are_thinking(blob):
    call = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
    first, second = replayed([call, {"reasoningContent": {"redactedContent": blob}}])
    assert (first.signature, second.redacted != "") == ("", True)


def test_redacted_thinking_of_another_vendor_comes_as_a_blob_with_its_name():
    events = stream(
        [
            Began(),
            PartBegan(index=0, kind="thinking"),
            PartDelta(index=0, redacted="anthropic.x/y="),
            PartEnded(index=0),
        ]
    )
    assert events[1]["contentBlockDelta"]["delta"] == {"reasoningContent": {"redactedContent": b"anthropic.x/y="}}


def test_a_stream_without_usage_ends_with_an_estimate():
    said = [PartBegan(index=0, kind="text"), PartDelta(index=0, text="12345"), PartEnded(index=0)]
    events = stream([Began(), *said, ChoiceEnded(stop="stop"), Ended()])
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 12


def test_of_several_choices_the_first_is_streamed():
    more = [PartBegan(choice=1, index=0, kind="text"), PartDelta(choice=1, index=0, text="B")]
    more += [PartEnded(choice=1, index=0), ChoiceEnded(choice=1, stop="stop")]
    assert len(stream([Began(), *more, ChoiceEnded(stop="length"), Ended()])) == 3


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (402, "ServiceQuotaExceededException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (413, "ValidationException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (502, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (504, "ModelTimeoutException"),
        (529, "ServiceUnavailableException"),
    ],
)
def test_errors_are_raised_as_their_classes(status, name):
    body = codec.encode_error(status, "kind", "code", "what went wrong", "messages")
    fields = JSON + codec.error_fields(status, "code")
    with serving((status, fields, body)) as server, client(server) as bedrock:
        with pytest.raises(bedrock.exceptions.ClientError) as caught:
            bedrock.converse(**ASK)
        assert type(caught.value).__name__ == name
        assert caught.value.response["Error"] == {"Message": "what went wrong", "Code": name}


@pytest.mark.parametrize("code", ["budget_exceeded", "insufficient_quota"])
def test_what_is_spent_is_no_throttling(code):
    assert codec.error_fields(429, code) == [(b"x-amzn-errortype", b"ServiceQuotaExceededException")]


def test_the_statuses_are_the_service_models():
    shapes = [SERVICE.shape_for(name) for name in SERVICE.shape_names]
    theirs = {s.name: s.metadata["error"]["httpStatusCode"] for s in shapes if s.metadata.get("exception")}
    assert theirs == STATUSES


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "validationException"),
        (403, "validationException"),
        (429, "throttlingException"),
        (500, "internalServerException"),
        (502, "modelStreamErrorException"),
        (503, "serviceUnavailableException"),
        (504, "modelStreamErrorException"),
    ],
)
def test_an_error_in_a_stream_is_raised(status, name):
    begun = [Began(), PartBegan(index=0, kind="text"), PartDelta(index=0, text="Hel")]
    with pytest.raises(EventStreamError) as caught:
        stream(begun, codec.encode_error_event(status, "kind", "code", "it broke", None))
    assert caught.value.response["Error"] == {"Code": name, "Message": "it broke"}


PIXEL = b"\x89PNG\r\n"
FULL = {
    "modelId": "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "see"},
                {"image": {"format": "png", "source": {"bytes": PIXEL}}},
                {"document": {"format": "pdf", "name": "a", "source": {"bytes": b"%PDF"}}},
                {"video": {"format": "mp4", "source": {"bytes": b"mp4"}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": b"\x00\x01"}},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"json": {"x": 1}}, {"text": "y"}], "status": "error"}}
            ],
        },
    ],
    "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}}],
        "toolChoice": {"tool": {"name": "f"}},
    },
    "additionalModelRequestFields": {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    "requestMetadata": {"team": "a"},
    "serviceTier": {"type": "flex"},
    "performanceConfig": {"latency": "optimized"},
}


@pytest.mark.parametrize("streamed", [False, True])
def test_what_boto3_sends_is_understood(streamed):
    with serving((500, JSON, b"{}")) as server, client(server) as bedrock:
        with pytest.raises(bedrock.exceptions.ClientError):
            (bedrock.converse_stream if streamed else bedrock.converse)(**FULL)
        ((path, fields, body),) = server.requests
    assert fields["content-type"] == "application/json"
    call = codec.decode_request(body, path)
    assert (call.model, call.stream, call.include_usage) == (FULL["modelId"], streamed, streamed)
    assert call.max_output_tokens == 100
    request = dialect.decode_chat(body, call)
    assert (request.top_k, request.reasoning.budget_tokens, request.reasoning.enabled) == (5, 2000, True)
    assert request.service_tier == "flex"
    assert json.loads(request.metadata) == {"team": "a"}
    assert request.other == ("performanceConfig",)
    assert [type(part).__name__ for part in request.messages[2].parts] == ["Thinking", "Thinking", "ToolCall"]
    assert request.messages[2].parts[0].signature == "bedrock.sig"
    assert request.messages[2].parts[1].redacted == "bedrock.AAE="


class OnItsWayError(Exception):
    """A request that boto3 would have sent."""


def sent_by(endpoint, **config):
    """The fields of the request that boto3 would send."""

    def stop(request, **_):
        raise OnItsWayError({name.lower(): value for name, value in request.headers.items()})

    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=endpoint,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )
    made.meta.events.register("before-send.bedrock-runtime.Converse", stop)
    with pytest.raises(OnItsWayError) as caught:
        made.converse(**ASK)
    made.close()
    return caught.value.args[0]


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def test_a_bearer_key_is_sent_as_authorization_and_only_over_tls(monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "hk-caller")
    assert sent_by("https://127.0.0.1:1")["authorization"] == b"Bearer hk-caller"
    with pytest.raises(InvalidEndpointConfigurationError, match="requires an HTTPS endpoint"):
        sent_by("http://127.0.0.1:1")


def test_without_a_bearer_key_boto3_signs(keys):
    assert sent_by("http://127.0.0.1:1")["authorization"].startswith(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


def test_unsigned_it_sends_none():
    assert "authorization" not in sent_by("http://127.0.0.1:1", signature_version=UNSIGNED)
