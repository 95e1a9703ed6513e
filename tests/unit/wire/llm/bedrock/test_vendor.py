"""Bedrock as a vendor: what is refused, and its answers whole and streamed."""

import base64
import json

import pytest
from tests.unit.wire.llm.bedrock.test_codec import exception, frame

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    Choice,
    ChoiceEnded,
    Ended,
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import ChatRequest, HostedTool, Media, Message, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.bedrock import vendor
from heddle.wire.llm.codec import Vendor
from heddle.wire.llm.codecs import CODECS, DIALECTS, VENDORS


def ask(*parts, **fields):
    request = ChatRequest(model="m", messages=(Message(role="user", parts=parts or (Text(text="q"),)),), **fields)
    return json.loads(vendor.encode_chat(request, "anthropic.claude-3-haiku-20240307-v1:0", Notes()))


def test_it_is_registered():
    named: Vendor = VENDORS["bedrock_converse"]
    assert named is vendor
    assert {"bedrock_converse"} <= set(CODECS) & set(DIALECTS)


@pytest.mark.parametrize(
    ("parts", "fields", "said"),
    [
        ((Media(kind="image", url="https://a/b.png"),), {}, "image by URL"),
        ((Media(kind="document", url="https://a/b.pdf"),), {}, "document by URL"),
        ((Media(kind="video", url="https://a/b.mp4"),), {}, "video by URL"),
        ((Media(kind="audio", url="https://a/b.mp3"),), {}, "audio by URL"),
        ((Media(kind="document", file_id="file-1"),), {}, "a file kept by the vendor"),
        ((Media(kind="image", media_type="image/tiff", data="AAAA"),), {}, "only as png, jpeg, gif, webp"),
        ((Media(kind="document", media_type="application/zip", data="AAAA"),), {}, "only as pdf"),
        (
            (ToolResult(call_id="a", parts=(Media(kind="audio", media_type="audio/wav", data="AAAA"),)),),
            {},
            "audio in tool results",
        ),
        ((), {"hosted_tools": (HostedTool(type="web_search"),)}, "tools that the vendor runs"),
        ((), {"choices": 2}, "more than one choice"),
        ((), {"logprobs": 0}, "log probabilities"),
        ((), {"logit_bias": "{}"}, "logit bias"),
    ],
)
def test_what_bedrock_cannot_do_is_refused(parts, fields, said):
    with pytest.raises(UntranslatableError, match=said):
        ask(*parts, **fields)


def test_only_text_can_be_a_system_prompt():
    message = Message(role="system", parts=(Media(kind="image", media_type="image/png", data="AAAA"),))
    request = ChatRequest(model="m", messages=(message, Message(role="user", parts=(Text(text="q"),))))
    with pytest.raises(UntranslatableError, match="only text"):
        vendor.encode_chat(request, "m", Notes())


@pytest.mark.parametrize(
    ("media", "form"),
    [
        (Media(kind="document", media_type="text/html; charset=utf-8", data="AAAA"), "html"),
        (Media(kind="document", media_type="application/octet-stream", data="AAAA", name="a.DOCX"), "docx"),
        (Media(kind="document", media_type="text/x-rst", text="words"), "txt"),
        (Media(kind="image", media_type="image/jpg", data="AAAA"), "jpeg"),
    ],
)
def test_formats_are_found(media, form):
    (block,) = ask(media)["messages"][0]["content"]
    assert block[media.kind]["format"] == form


# Whole answers


def answer(content, stop="end_turn", **fields):
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, **fields}
    return vendor.decode_answer(json.dumps(body).encode())


def test_a_whole_answer():
    read = answer(
        [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "AAE="}},
            {"reasoningContent": {"reasoningText": {"text": "open"}}},
            {"text": "Hello"},
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}]}},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
            {"toolUse": {"toolUseId": "u", "name": "g", "input": "{x"}},
        ],
        stop="tool_use",
        usage={"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    )
    assert read.choices == (
        Choice(
            parts=(
                Thinking(text="hm", signature="bedrock.sig"),
                Thinking(redacted="bedrock.AAE="),
                Thinking(text="open"),
                Text(text="Hello"),
                Text(text="ab"),
                ToolCall(id="t", name="f", arguments='{"a": 1}'),
                ToolCall(id="u", name="g", arguments="{x"),
            ),
            stop="tool_use",
        ),
    )
    assert read.usage == Usage(input_tokens=1, output_tokens=2)


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("of_tomorrow", "stop"),
    ],
)
def test_stop_reasons(said, stop):
    read = answer([], said, additionalModelResponseFields={"stop_sequence": "X"})
    assert (read.choices[0].stop, read.choices[0].stop_sequence) == (stop, "X")


@pytest.mark.parametrize("said", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_model_garbled_is_no_answer(said):
    with pytest.raises(ProtocolError, match="malformed"):
        answer([{"text": "x"}], said)
    assert failure([START, frame("messageStop", {"stopReason": said})]).status == 502


@pytest.mark.parametrize("block", [{}, {"image": {}}, {"toolUse": {"toolUseId": "a", "name": "f", "type": "x"}}])
def test_content_that_cannot_be_carried_is_not_lost(block):
    with pytest.raises(ProtocolError, match="cannot be carried"):
        answer([block])


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"output":{"message":{"content":[5]}},"stopReason":"x"}'])
def test_what_is_no_answer(data):
    with pytest.raises(ProtocolError):
        vendor.decode_answer(data)


# Streams


def delta(block, **said):
    return frame("contentBlockDelta", {"contentBlockIndex": block, "delta": said, "p": "abc"})


def tool(block, ident, name):
    use = {"toolUse": {"toolUseId": ident, "name": name}}
    return frame("contentBlockStart", {"contentBlockIndex": block, "start": use})


def end(block):
    return frame("contentBlockStop", {"contentBlockIndex": block})


def read(frames):
    decoder = vendor.open_decoder()
    return [event for one in frames for event in decoder.feed(one)] + list(decoder.finish())


def failure(frames):
    *_, last = read(frames)
    assert isinstance(last, Failed)
    return last


START = frame("messageStart", {"role": "assistant"})
STOP = frame("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"stop_sequence": "X"}})
METADATA = frame("metadata", {"usage": {"inputTokens": 7, "outputTokens": 3, "cacheReadInputTokens": 5}})


def test_a_stream():
    frames = [
        START,
        delta(0, reasoningContent={"text": "h"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "si"}),
        delta(0, reasoningContent={"signature": "g"}),
        end(0),
        delta(1, reasoningContent={"redactedContent": base64.b64encode(b"a").decode()}),
        delta(1, reasoningContent={"redactedContent": base64.b64encode(b"bc").decode()}),
        end(1),
        delta(2, text=""),
        end(2),
        delta(3, text="Hi"),
        delta(3, citation={"title": "t"}),
        end(3),
        tool(4, "t1", "f"),
        tool(5, "t2", "g"),
        delta(4, toolUse={"input": ""}),
        delta(4, toolUse={"input": '{"a":1}'}),
        end(4),
        end(5),
        frame("somethingNew", {}),
        STOP,
        METADATA,
        b"what follows is not read",
    ]
    assert read(frames) == [
        Began(),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="h"),
        PartDelta(index=0, text="m"),
        PartDelta(index=0, signature="bedrock.sig"),
        PartEnded(index=0),
        PartBegan(index=1, kind="thinking"),
        PartDelta(index=1, redacted="bedrock.YWJj"),
        PartEnded(index=1),
        PartBegan(index=2, kind="text"),
        PartDelta(index=2, text="Hi"),
        PartEnded(index=2),
        PartBegan(index=3, kind="tool_call", id="t1", name="f"),
        PartBegan(index=4, kind="tool_call", id="t2", name="g"),
        PartDelta(index=3, text='{"a":1}'),
        PartEnded(index=3),
        PartDelta(index=4, text="{}"),
        PartEnded(index=4),
        ChoiceEnded(stop="stop", stop_sequence="X"),
        Used(usage=Usage(input_tokens=12, output_tokens=3, cached_input_tokens=5)),
        Ended(),
    ]


def test_blocks_that_are_open_end_with_the_message():
    events = read([START, delta(0, text="Hel"), STOP, METADATA])
    assert events[3:5] == [PartEnded(index=0), ChoiceEnded(stop="stop", stop_sequence="X")]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [START],
        [START, delta(0, text="x"), end(0), STOP],
        [START, METADATA],
        [START, STOP, METADATA[:-1]],
    ],
)
def test_a_broken_stream_fails(frames):
    assert failure(frames).detail.endswith("before the answer was complete.")


@pytest.mark.parametrize(
    "bad",
    [
        delta(0, image={"source": {}}),
        delta(0, toolUse={"input": "x"}),
        delta(0, text=5),
        delta("x", text="a"),
        delta(0, reasoningContent={"redactedContent": "!"}),
        frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
        frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a", "name": ""}}}),
        frame("messageStop", b"{"),
        frame("metadata", b"[" * 3000),
        tool(9, "a", "f") + tool(9, "a", "f"),
        tool(9, "a", "f") + delta(9, text="x"),
        delta(9, text="x") + delta(9, toolUse={"input": "x"}),
        STOP + STOP,
        STOP + delta(9, text="x"),
        b"no frame at all",
    ],
)
def test_what_cannot_be_fails_and_nothing_follows(bad):
    events = read([START, bad, STOP, METADATA])
    assert isinstance(events[-1], Failed)
    assert (events[-1].status, events[-1].retryable) == (502, False)
    assert sum(isinstance(event, Failed) for event in events) == 1


@pytest.mark.parametrize(
    ("name", "status", "retryable"),
    [
        ("throttlingException", 429, True),
        ("modelStreamErrorException", 424, True),
        ("serviceUnavailableException", 503, True),
        ("internalServerException", 500, True),
        ("validationException", 400, False),
        ("neverHeardOfException", 502, False),
    ],
)
def test_an_exception_in_a_stream(name, status, retryable):
    failed = failure([START, delta(0, text="x"), exception(name)])
    assert (failed.status, failed.retryable) == (status, retryable)
    assert name in failed.detail
    assert "sk-secret" not in failed.detail
