"""Anthropic's answers, whole and streamed, in canonical form."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import vendor


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(index=0, **block):
    return event("content_block_start", index=index, content_block=block)


def delta(index=0, **fields):
    return event("content_block_delta", index=index, delta=fields)


def stop(index=0):
    return event("content_block_stop", index=index)


def last(reason="end_turn", **fields):
    return event("message_delta", delta={"stop_reason": reason, **fields}, usage={"output_tokens": 9})


USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 1}
BEGIN = event("message_start", message={"id": "msg_1", "model": "claude", "usage": USAGE})
END = event("message_stop")
BEGAN = Began(id="msg_1", model="claude", usage=Usage(input_tokens=15, output_tokens=1, cached_input_tokens=5))
USED = Used(usage=Usage(input_tokens=15, output_tokens=9, cached_input_tokens=5))


def read(*pieces):
    decoder = vendor.open_decoder()
    said = [event for piece in pieces for event in decoder.feed(piece)]
    return [*said, *decoder.finish()]


def test_text():
    pieces = [start(type="text", text=""), event("ping"), delta(type="text_delta", text="Hi"), stop()]
    expected = [
        BEGAN,
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="Hi"),
        PartEnded(index=0),
        ChoiceEnded(stop="stop"),
        USED,
        Ended(),
    ]
    assert read(BEGIN, *pieces, last(), END) == expected
    assert read(b"".join([BEGIN, *pieces, last(), END, event("ping")])) == expected


def test_thinking_and_redacted_thinking():
    said = read(
        BEGIN,
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="Sg=="),
        stop(0),
        start(1, type="redacted_thinking", data="xx"),
        stop(1),
        last(),
        END,
    )
    assert said[1:7] == [
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="hm"),
        PartDelta(index=0, signature="anthropic.Sg=="),
        PartEnded(index=0),
        PartBegan(index=1, kind="thinking"),
        PartDelta(index=1, redacted="anthropic.xx"),
    ]


def test_calls():
    said = read(
        BEGIN,
        start(0, type="tool_use", id="a", name="f", input={}),
        delta(0, type="input_json_delta", partial_json=""),
        delta(0, type="input_json_delta", partial_json='{"x":1}'),
        stop(0),
        start(1, type="tool_use", id="b", name="g", input={}),
        stop(1),
        start(2, type="tool_use", id="c", name="h", input={"y": 2}),
        stop(2),
        last("tool_use"),
        END,
    )
    assert [e for e in said if isinstance(e, PartDelta)] == [
        PartDelta(index=0, text='{"x":1}'),
        PartDelta(index=1, text="{}"),
        PartDelta(index=2, text='{"y": 2}'),
    ]
    assert ChoiceEnded(stop="tool_use") in said


def test_blocks_of_hosted_tools_are_passed_over():
    said = read(
        BEGIN,
        start(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json="{}"),
        stop(0),
        start(1, type="web_search_tool_result", tool_use_id="s", content=[]),
        stop(1),
        start(2, type="text", text="a"),
        delta(2, type="citations_delta", citation={"type": "x"}),
        stop(2),
        event("something_new", index="x"),
        last(),
        END,
    )
    assert said[1:4] == [PartBegan(index=0, kind="text"), PartDelta(index=0, text="a"), PartEnded(index=0)]
    assert said[-1] == Ended()


def test_a_refusal_says_why():
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    said = read(BEGIN, last("refusal", stop_details=details), END)
    assert said[1:5] == [
        PartBegan(index=0, kind="refusal"),
        PartDelta(index=0, text="No."),
        PartEnded(index=0),
        ChoiceEnded(stop="refusal"),
    ]


def test_an_open_block_ends_with_its_choice():
    said = read(BEGIN, start(0, type="text", text=""), last(), END)
    assert said[1:4] == [PartBegan(index=0, kind="text"), PartEnded(index=0), ChoiceEnded(stop="stop")]


@pytest.mark.parametrize(
    ("reason", "stopped"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("pause_turn", "pause"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_use"),
        ("refusal", "refusal"),
        ("brand_new", "stop"),
    ],
)
def test_stop_reasons(reason, stopped):
    assert ChoiceEnded(stop=stopped, stop_sequence="x") in read(BEGIN, last(reason, stop_sequence="x"), END)
    whole = {"content": [], "stop_reason": reason, "stop_sequence": "x"}
    assert vendor.decode_answer(json.dumps(whole).encode()).choices == (Choice(stop=stopped, stop_sequence="x"),)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [BEGIN],
        [BEGIN, END],
        [BEGIN, BEGIN],
        [start(0, type="text", text="")],
        [last()],
        [BEGIN, delta(0, type="text_delta", text="x")],
        [BEGIN, stop(0)],
        [BEGIN, start(0, type="text", text=""), start(0, type="text", text="")],
        [BEGIN, last(), start(0, type="text", text="")],
        [BEGIN, b"data: {oops}\n\n"],
        [BEGIN, event("content_block_stop", index="x")],
        [BEGIN, b"data: \xff\n\n"],
        [BEGIN, b"event: error\ndata: secret\n\n"],
        [BEGIN, b"x" * (1024 * 1024 + 1)],
    ],
)
def test_broken_streams_fail_once_and_are_over(pieces):
    said = read(*pieces, END, b"x" * 2_000_000)
    assert [type(e) for e in said].count(Failed) == 1
    assert isinstance(said[-1], Failed)
    assert not any(isinstance(e, Ended) for e in said)


@pytest.mark.parametrize(
    ("kind", "status", "retryable"),
    [
        ("overloaded_error", 529, True),
        ("rate_limit_error", 429, True),
        ("api_error", 500, True),
        ("timeout_error", 504, True),
        ("invalid_request_error", 400, False),
        ("authentication_error", 502, False),
        ("billing_error", 502, False),
        ("something new", 502, False),
    ],
)
def test_error_events(kind, status, retryable):
    failed = read(BEGIN, event("error", error={"type": kind, "message": "secret"}))[-1]
    assert (failed.status, failed.retryable) == (status, retryable)
    assert "secret" not in failed.detail
    assert (kind in failed.detail) == (" " not in kind)


def test_a_whole_answer():
    body = {
        "id": "msg_1",
        "type": "message",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Sg=="},
            {"type": "redacted_thinking", "data": "xx"},
            {"type": "text", "text": "Hi", "citations": None},
            {"type": "server_tool_use", "id": "s", "name": "n", "input": {}},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}},
            {"type": "tool_use", "id": "b", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "explanation": "No."},
        "usage": {**USAGE, "output_tokens": 9},
    }
    assert vendor.decode_answer(json.dumps(body).encode()) == ChatAnswer(
        id="msg_1",
        model="claude",
        choices=(
            Choice(
                parts=(
                    Thinking(text="hm", signature="anthropic.Sg=="),
                    Thinking(redacted="anthropic.xx"),
                    Text(text="Hi"),
                    ToolCall(id="a", name="f", arguments='{"x": 1.0}'),
                    ToolCall(id="b", name="g", arguments="{}"),
                    Refusal(text="No."),
                ),
                stop="tool_use",
            ),
        ),
        usage=USED.usage,
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"type":"error","error":{}}', b'{"content":[]}'])
def test_what_is_no_answer(body):
    with pytest.raises(ProtocolError):
        vendor.decode_answer(body)
