"""Bedrock Converse at the door: targets, what is read of requests, and answers that pass through."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import encode
from heddle.wire.llm.bedrock import codec

BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def body(**fields):
    return json.dumps({"messages": [{"role": "user", "content": [{"text": "hi"}]}], **fields}).encode()


@pytest.mark.parametrize(
    ("target", "model", "stream"),
    [
        ("/model/m/converse", "m", False),
        ("/model/m/converse-stream", "m", True),
        ("/model/m/converse?x=1", "m", False),
        ("/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse", "anthropic.claude-3-haiku-20240307-v1:0", False),
        ("/model/anthropic.claude-3-haiku-20240307-v1:0/converse", "anthropic.claude-3-haiku-20240307-v1:0", False),
        ("/model/" + ARN.replace(":", "%3A").replace("/", "%2f") + "/converse-stream", ARN, True),
        ("/model/%E2%9C%93/converse", "✓", False),
    ],
)
def test_the_model_is_in_the_path(target, model, stream):
    call = codec.decode_request(BODY, target)
    assert (call.model, call.stream, call.include_usage) == (model, stream, stream)
    assert (call.operation, call.dialect, call.choices, call.max_output_tokens) == ("chat", "bedrock_converse", 1, None)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/model/m/invoke",
        "/model/m/converse/",
        "/model/m/converse-streams",
        "/model//converse",
        "/models/m/converse",
        "/x/model/m/converse",
        "/model/a/b/converse",
        "/model/%/converse",
        "/model/%4/converse",
        "/model/%ff/converse",
        "/model/%00/converse",
        "/model/%2e%2e/converse",
        "/model/./converse",
        "/model/a%2A/converse",
        "/model/" + "a" * 257 + "/converse",
    ],
)
def test_paths_that_name_no_model(target):
    with pytest.raises(ProtocolError):
        codec.decode_request(BODY, target)


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({"inferenceConfig": {"maxTokens": 7}}, 7),
        ({"inferenceConfig": {}}, None),
        ({"inferenceConfig": {"maxTokens": 7}, "additionalModelRequestFields": {"max_tokens": 9}}, 9),
        ({"additionalModelRequestFields": {"max_gen_len": 9, "max_tokens": True}}, 9),
        ({"additionalModelRequestFields": {"max_tokens": "9"}}, None),
        ({"additionalModelRequestFields": "x"}, None),
        ({"additionalModelRequestFields": {"inferenceConfig": {"max_new_tokens": 9}}}, 9),
        ({"additionalModelRequestFields": {"thinking": {"budget_tokens": 9}}}, None),
    ],
)
def test_the_bound_on_output_is_the_largest_stated(fields, bound):
    assert codec.decode_request(body(**fields), "/model/m/converse").max_output_tokens == bound


@pytest.mark.parametrize(
    ("data", "param", "malformed"),
    [
        (b"", None, True),
        (b"{", None, True),
        (b'{"a":1,"a":1}', None, True),
        (b"[]", None, False),
        (b"{}", "messages", False),
        (b'{"messages":[]}', "messages", False),
        (b'{"messages":[{"role":"user"}]}', "messages[0].content", False),
        (b'{"messages":[{"role":"user","content":"hi"}]}', "messages[0].content", False),
        (body(inferenceConfig={"maxTokens": 0}), "inferenceConfig.maxTokens", False),
        (body(inferenceConfig={"maxTokens": 2**31}), "inferenceConfig.maxTokens", False),
        (body(inferenceConfig={"maxTokens": "9"}), "inferenceConfig.maxTokens", False),
    ],
)
def test_bodies_that_are_refused(data, param, malformed):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(data, "/model/m/converse")
    assert (caught.value.param, caught.value.malformed) == (param, malformed)


def test_a_stored_prompt_needs_no_messages():
    target = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aprompt%2FABC%3A1/converse"
    assert codec.decode_request(b"{}", target).model.endswith("prompt/ABC:1")


def test_a_body_is_never_rewritten():
    assert codec.rewrite(BODY, model="other", include_usage=True) is BODY


ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "x" * 30}]}}, "stopReason": "end_turn"}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, Usage(input_tokens=3, output_tokens=2)),
        (
            {"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 20},
            Usage(input_tokens=33, output_tokens=2, cached_input_tokens=10, cache_write_tokens=20),
        ),
        ({"inputTokens": 3.0, "outputTokens": 0, "cacheReadInputTokens": None}, Usage(input_tokens=3)),
    ],
)
def test_usage_of_a_whole_answer(usage, expected):
    assert codec.read_usage(json.dumps({**ANSWER, "usage": usage}).encode(), 100) == expected


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"inputTokens": 3},
        {"inputTokens": -3, "outputTokens": 1},
        {"inputTokens": 3, "outputTokens": 1.5},
        {"inputTokens": 1e300, "outputTokens": 1},
        {"inputTokens": 1, "outputTokens": 1, "cacheReadInputTokens": -1},
    ],
)
def test_usage_that_cannot_be_is_estimated(usage):
    read = codec.read_usage(json.dumps({**ANSWER, "usage": usage}).encode(), 100)
    assert read.estimated
    assert read.input_tokens == 25
    assert read.output_tokens >= 8


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"output":{}}', b"[" * 5000])
def test_what_is_no_answer(data):
    with pytest.raises(ProtocolError):
        codec.read_usage(data, 1)


# Streams


def frame(name, payload):
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return encode({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, data)


def exception(name, kind="exception"):
    key = ":exception-type" if kind == "exception" else ":error-code"
    return encode({key: name, ":message-type": kind}, b'{"message":"arn:aws:iam::1 sk-secret"}')


START = frame("messageStart", {"role": "assistant", "p": "abcd"})
TEXT = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
BLOCK_STOP = frame("contentBlockStop", {"contentBlockIndex": 0})
STOP = frame("messageStop", {"stopReason": "end_turn"})
METADATA = frame("metadata", {"usage": {"inputTokens": 7, "outputTokens": 3}, "metrics": {"latencyMs": 1}})
WHOLE = [START, TEXT, BLOCK_STOP, STOP, METADATA]


def run(frames):
    reader = codec.open_stream(True)
    out = b"".join([reader.feed(one) for one in frames])
    reader.finish()
    return reader, out


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_whole_stream_is_forwarded_untouched(size):
    data = b"".join(WHOLE)
    reader, out = run([data[at : at + size] for at in range(0, len(data), size)])
    assert out == data
    assert (reader.failure, reader.done, reader.events) == (None, True, 4)
    assert reader.usage(100) == Usage(input_tokens=7, output_tokens=3)


def test_nothing_follows_the_metadata():
    reader, out = run([*WHOLE, START, b"garbage that is no frame"])
    assert out == b"".join(WHOLE)
    assert reader.failure is None
    reader, out = run([b"".join([*WHOLE, START, b"garbage that is no frame"])])
    assert out == b"".join(WHOLE)
    assert reader.failure is None


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [START],
        [START, TEXT, BLOCK_STOP, STOP],
        [START, TEXT, METADATA],
        [STOP, METADATA],
        [METADATA, STOP],
        [START, TEXT, STOP, METADATA[:-1]],
    ],
)
def test_a_stream_that_is_not_whole_never_looks_finished(frames):
    reader, out = run(frames)
    assert reader.failure is not None
    assert not reader.done
    assert not (STOP in out and METADATA in out and out.index(STOP) < out.index(METADATA))


def test_an_estimate_counts_all_that_was_generated():
    tool = frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "x" * 20}}})
    thinking = frame("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"reasoningContent": {"text": "y" * 15}}})
    reader, _ = run([START, TEXT, tool, thinking])
    assert reader.usage(40) == Usage(input_tokens=10, output_tokens=10, estimated=True)


@pytest.mark.parametrize(
    ("name", "kind", "said", "status"),
    [
        ("throttlingException", "exception", "(throttlingException)", 429),
        ("validationException", "exception", "(validationException)", 400),
        ("modelStreamErrorException", "exception", "(modelStreamErrorException)", 424),
        ("InternalError", "error", "(InternalError)", 502),
        ("<b>sk-secret", "exception", "during the answer.", 502),
    ],
)
def test_an_exception_breaks_the_stream_and_its_message_is_not_repeated(name, kind, said, status):
    reader, out = run([START, TEXT, exception(name, kind), STOP, METADATA])
    assert out == START + TEXT
    assert said in reader.failure.detail
    assert reader.failure.status == status
    assert "sk-secret" not in reader.failure.detail


@pytest.mark.parametrize(
    "bad",
    [
        frame("contentBlockDelta", b"{"),
        frame("contentBlockDelta", b"[]"),
        frame("metadata", b"\xff"),
        frame("new", b"nonsense"),
        encode({":message-type": "event"}, b"{}"),
        encode({":event-type": "messageStart"}, b"{}"),
        encode({":message-type": "other", ":event-type": "x"}, b"{}"),
        encode({":message-type": "event", ":event-type": 5}, b"{}"),
        TEXT[:-1] + bytes([TEXT[-1] ^ 1]),
        b"event: x\ndata: {}\n\n",
    ],
)
def test_what_is_no_event_breaks_the_stream_after_what_was_good(bad):
    reader, out = run([START + TEXT + bad + STOP + METADATA])
    assert out == START + TEXT
    assert reader.failure is not None


@pytest.mark.parametrize(
    "odd",
    [
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": 5}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 5}}),
        frame("metadata", {"usage": {"inputTokens": "x"}}),
        frame("somethingNew", {"a": 1}),
    ],
)
def test_json_in_an_unknown_form_passes(odd):
    reader, out = run([START, odd, *WHOLE[1:]])
    assert odd in out
    assert reader.failure is None
    assert reader.usage(1) == Usage(input_tokens=7, output_tokens=3)
