"""What we write in Anthropic's dialect, whole and streamed: the order of events, and what has no place in them."""

import json

import pytest

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
from heddle.wire.llm.anthropic import dialect
from heddle.wire.sse import Splitter, decode

CALL = ModelCall(operation="chat", dialect="anthropic_messages", model="asked", body=b"x" * 400, stream=True)
USAGE = Usage(input_tokens=1110, output_tokens=5, cached_input_tokens=1000, cache_write_tokens=100, reasoning_tokens=3)
WIRE_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 3},
}


def written(*events):
    encoder = dialect.open_encoder(CALL, 0)
    data = b"".join([encoder.encode(event) for event in events])
    found = [decode(piece) for piece in Splitter().feed(data)]
    said = [json.loads(event.data) for event in found]
    assert [event.event.decode() for event in found] == [event["type"] for event in said]
    return said


def kinds(said):
    return [
        f"{event['type'].removeprefix('content_block_')}{event.get('index', '')}"
        for event in said
        if event["type"] != "ping"
    ]


END = [ChoiceEnded(stop="stop"), Used(usage=USAGE), Ended()]


def test_text():
    said = written(
        Began(id="msg_1", model="m"),
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text='H"i'),
        PartDelta(index=0, text=""),
        PartEnded(index=0),
        *END,
    )
    assert [event["type"] for event in said] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert said[0]["message"]["id"] == "msg_1"
    assert said[0]["message"]["usage"]["input_tokens"] == 100  # an estimate: the vendor has not said it yet
    assert said[3] == {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'H"i'}}
    assert said[5] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": WIRE_USAGE,
    }


def test_what_the_vendor_says_first_is_told_first():
    started = written(Began(id="a", usage=USAGE))[0]["message"]
    assert (started["model"], started["usage"]) == ("asked", WIRE_USAGE)


def test_overlapping_calls_come_one_after_the_other():
    said = written(
        Began(),
        PartBegan(index=0, kind="tool_call", id="a", name="f"),
        PartBegan(index=1, kind="tool_call", id="b", name="g"),
        PartDelta(index=1, text='{"y":'),
        PartDelta(index=0, text='{"x":'),
        PartBegan(index=2, kind="tool_call", id="c", name="h"),
        PartDelta(index=1, text="2}"),
        PartEnded(index=1),
        PartDelta(index=0, text="1}"),
        PartDelta(index=2, text="{"),
        PartEnded(index=0),
        PartDelta(index=2, text="}"),
        PartEnded(index=2),
        ChoiceEnded(stop="tool_use"),
        Ended(),
    )
    assert kinds(said) == [
        "message_start",
        "start0",
        "delta0",
        "delta0",
        "stop0",
        "start1",
        "delta1",
        "delta1",
        "stop1",
        "start2",
        "delta2",
        "delta2",
        "stop2",
        "message_delta",
        "message_stop",
    ]
    pieces = {}
    for event in said:
        if event["type"] == "content_block_delta":
            pieces[event["index"]] = pieces.get(event["index"], "") + event["delta"]["partial_json"]
    assert pieces == {0: '{"x":1}', 1: '{"y":2}', 2: "{}"}
    assert said[-2]["delta"]["stop_reason"] == "tool_use"


def test_thinking_and_its_proof():
    said = written(
        Began(),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="hm"),
        PartDelta(index=0, signature="gemini.Sg=="),
        PartEnded(index=0),
        PartBegan(index=1, kind="thinking"),
        PartDelta(index=1, redacted="anthropic.xx"),
        PartEnded(index=1),
        *END,
    )
    blocks = [event.get("content_block") or event.get("delta") for event in said if "index" in event]
    assert blocks == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "gemini.Sg=="},
        None,
        {"type": "redacted_thinking", "data": "xx"},
        None,
    ]
    assert kinds(said)[1:7] == ["start0", "delta0", "delta0", "stop0", "start1", "stop1"]


def test_the_proof_of_a_call_follows_its_block():
    said = written(
        Began(),
        PartBegan(index=0, kind="tool_call", id="a", name="f"),
        PartDelta(index=0, text="{}", signature="gemini.s"),
        PartEnded(index=0),
        *END,
    )
    assert kinds(said)[1:6] == ["start0", "delta0", "stop0", "start1", "stop1"]
    assert said[5]["content_block"] == {"type": "redacted_thinking", "data": "call.gemini.s"}


def test_empty_parts_leave_no_block():
    said = written(
        Began(),
        PartBegan(index=0, kind="text"),
        PartEnded(index=0),
        PartBegan(index=1, kind="refusal"),
        PartDelta(index=1, text="No."),
        PartEnded(index=1),
        ChoiceEnded(stop="refusal"),
        Ended(),
    )
    assert kinds(said) == ["message_start", "start0", "delta0", "stop0", "message_delta", "message_stop"]


def test_other_choices_have_no_place():
    said = written(
        Began(),
        PartBegan(index=0, kind="text"),
        PartBegan(choice=1, index=0, kind="text"),
        PartDelta(choice=1, index=0, text="other"),
        PartDelta(index=0, text="one"),
        PartEnded(choice=1, index=0),
        PartEnded(index=0),
        ChoiceEnded(choice=1, stop="length"),
        *END,
    )
    assert [event["delta"].get("text") for event in said if event["type"] == "content_block_delta"] == ["one"]
    assert said[-2]["delta"]["stop_reason"] == "end_turn"


def test_an_end_without_counts_is_estimated():
    said = written(
        Began(), PartBegan(index=0, kind="text"), PartDelta(index=0, text="12345"), PartEnded(index=0), Ended()
    )
    assert said[-2]["usage"]["output_tokens"] == 2
    assert said[-2]["usage"]["input_tokens"] == 100


def whole(*parts, stop="stop", usage=USAGE, **fields):
    answer = ChatAnswer(id="i", model="", choices=(Choice(parts=parts, stop=stop, **fields),), usage=usage)
    return json.loads(dialect.encode_answer(answer, CALL, 0))


def test_a_whole_answer():
    said = whole(
        Thinking(text="hm", signature="anthropic.Sg=="),
        Thinking(redacted="bedrock.xx"),
        Text(text=""),
        Text(text="Hello"),
        Refusal(text="No."),
        ToolCall(id="a", name="f", arguments='{"x": 1.0}', signature="gemini.s"),
        stop="stop_sequence",
        stop_sequence="END",
    )
    assert said == {
        "id": "i",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Sg=="},
            {"type": "redacted_thinking", "data": "bedrock.xx"},
            {"type": "text", "text": "Hello"},
            {"type": "text", "text": "No."},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}},
            {"type": "redacted_thinking", "data": "call.gemini.s"},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
        "usage": WIRE_USAGE,
    }


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_use", "tool_use"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_stop_reasons(stop, reason):
    assert whole(stop=stop)["stop_reason"] == reason
    assert written(Began(), ChoiceEnded(stop=stop), Ended())[-2]["delta"]["stop_reason"] == reason


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [("", {}), (" ", {}), ("{", {"INVALID_JSON": "{"}), ("[1]", {"INVALID_JSON": "[1]"}), ('{"a":[1]}', {"a": [1]})],
)
def test_arguments_are_an_object(arguments, shown):
    assert whole(ToolCall(id="a", name="f", arguments=arguments))["content"][0]["input"] == shown


def test_an_answer_without_counts_is_estimated():
    usage = whole(Text(text="x" * 40), usage=None)["usage"]
    assert usage["input_tokens"] == 100
    assert usage["output_tokens"] >= 10
