"""Streams of chunks in canonical events: servers' habits, the brackets, and every way to break."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.llm.openai_chat_vendor import open_decoder

DONE = b"data: [DONE]\n\n"
BEGAN = Began(id="c1", model="g")


def chunk(delta=None, finish=None, index=0, **fields):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return event({"id": "c1", "model": "g", "choices": [choice], **fields})


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def read(*pieces):
    decoder = open_decoder()
    return [*decoder.feed(b"".join(pieces)), *decoder.finish()]


def tool(index=0, name=None, arguments=None, ident=None):
    call = {"index": index, "id": ident, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in call.items() if value is not None}]}


def test_text():
    assert read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({}, "stop"),
        event({"id": "c1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        DONE,
    ) == [
        BEGAN,
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="a"),
        PartDelta(index=0, text="b"),
        PartEnded(index=0),
        ChoiceEnded(stop="stop"),
        Used(usage=Usage(input_tokens=3, output_tokens=2)),
        Ended(),
    ]


def test_thinking_text_and_calls_follow_each_other():
    assert read(
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m", "reasoning": "m"}),
        chunk({"content": "t"}),
        chunk(tool(0, "f", "", "a")),
        chunk(tool(0, arguments="{}")),
        chunk({}, "tool_calls"),
        DONE,
    ) == [
        BEGAN,
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="h"),
        PartDelta(index=0, text="m"),
        PartEnded(index=0),
        PartBegan(index=1, kind="text"),
        PartDelta(index=1, text="t"),
        PartEnded(index=1),
        PartBegan(index=2, kind="tool_call", id="a", name="f"),
        PartDelta(index=2, text="{}"),
        PartEnded(index=2),
        ChoiceEnded(stop="tool_use"),
        Ended(),
    ]


def test_calls_in_pieces_may_interleave():
    events = read(
        chunk(tool(0, "f", "", "a")),
        chunk(tool(1, "g", "", "b")),
        chunk(tool(0, arguments='{"x":')),
        chunk(tool(1, arguments="{}")),
        chunk(tool(0, arguments="1}")),
        chunk({}, "stop"),
        DONE,
    )
    assert calls_of(events) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    assert ChoiceEnded(stop="tool_use") in events


def calls_of(events):
    begun = [event for event in events if isinstance(event, PartBegan)]
    return [
        (one.id, one.name, "".join(e.text for e in events if isinstance(e, PartDelta) and e.index == one.index))
        for one in begun
    ]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        # no index: ids begin calls, pieces without one belong to the last
        (
            [
                {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x"'}}]},
                {"tool_calls": [{"function": {"arguments": ":1}"}}]},
                {"tool_calls": [{"id": "b", "function": {"name": "f", "arguments": "{}"}}]},
            ],
            [("a", "f", '{"x":1}'), ("b", "f", "{}")],
        ),
        # no index and no ids: names begin calls
        (
            [
                {"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
                {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            ],
            [("call_c1_0", "f", '{"x":1}'), ("call_c1_1", "f", "{}")],
        ),
        # every call is number 0
        ([tool(0, "f", "{}", "a"), tool(0, "g", "{}", "b")], [("a", "f", "{}"), ("b", "g", "{}")]),
        # id and name again with every piece
        ([tool(0, "f", "{", "a"), tool(0, "f", "}", "a")], [("a", "f", "{}")]),
        # another id with every piece, and no name
        ([tool(0, "f", "{", "a"), tool(0, None, "}", "z")], [("a", "f", "{}")]),
        # the name comes after the first piece
        ([tool(0, None, "{", "a"), tool(0, "f", "}")], [("a", "f", "{}")]),
        # the older form
        (
            [{"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}}],
            [("call_c1_0", "f", "{}")],
        ),
    ],
)
def test_calls_as_servers_number_them(deltas, expected):
    assert calls_of(read(*map(chunk, deltas), chunk({}, "tool_calls"), DONE)) == expected


def test_several_choices():
    events = read(
        chunk({"content": "a"}),
        chunk({"content": "b"}, index=1),
        chunk({}, "stop", index=1),
        chunk({}, "length"),
        DONE,
    )
    assert events[-3:] == [PartEnded(index=0), ChoiceEnded(stop="length"), Ended()]
    assert [e.text for e in events if isinstance(e, PartDelta) and e.choice == 1] == ["b"]
    assert ChoiceEnded(choice=1, stop="stop") in events


def test_refusals_and_log_probabilities():
    token = {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}, "finish_reason": None}
    events = read(
        event({"id": "c1", "model": "g", "choices": [choice]}), chunk({"refusal": "no"}), chunk({}, "stop"), DONE
    )
    assert json.loads(events[2].logprobs) == [token]
    assert PartBegan(index=1, kind="refusal") in events
    assert ChoiceEnded(stop="refusal") in events


def test_usage_with_every_chunk_is_said_once():
    events = read(
        chunk({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
        chunk({"content": ""}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
        chunk({"content": ""}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 3}),
        DONE,
    )
    assert [e for e in events if isinstance(e, Used)] == [Used(usage=Usage(input_tokens=1, output_tokens=3))]
    assert len([e for e in events if isinstance(e, ChoiceEnded)]) == 1


def test_azure_begins_with_a_chunk_that_says_nothing():
    first = event({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    assert read(first, chunk({"content": "a"}), chunk({}, "stop"), DONE)[0] == BEGAN


def test_comments_and_nulls_are_nothing():
    assert read(b": OPENROUTER PROCESSING\n\n", chunk({"content": None, "refusal": None}), chunk({}, "stop"), DONE) == [
        BEGAN,
        ChoiceEnded(stop="stop"),
        Ended(),
    ]


def test_what_comes_after_the_end_is_not_read():
    decoder = open_decoder()
    assert decoder.feed(chunk({"content": "a"}, "stop") + DONE + b"data: {nonsense\n\n")[-1] == Ended()
    assert decoder.feed(chunk({"content": "b"})) == []
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [DONE],
        [chunk({"content": "a"})],
        [chunk({"content": "a"}), DONE],
        [chunk({"content": "a"}, "stop")],
        [chunk({"content": "a"}, "stop"), chunk({"content": "b"}, index=1), DONE],
        [chunk({"content": "a"}, "error"), DONE],
        [chunk({"content": "a"}, "stop"), chunk({"content": "more"}), DONE],
        [chunk({"content": "a"}), b"data: {nonsense\n\n", chunk({}, "stop"), DONE],
        [b"data: [1]\n\n"],
        [b"data: \xff\n\n"],
        [b"data: " + b"[" * 100_000 + b"\n\n"],
        [b"data: " + b"x" * 2_000_000],
        [chunk({"content": "a"}, index=-1)],
        [chunk({"content": "a"}, index=128)],
        [chunk({"content": "a"}, index=10**30)],
        [chunk(tool(0, None, "{}", "a")), chunk({}, "tool_calls"), DONE],
        [chunk({"content": "a"}), event({"error": {"message": "secret", "type": "server_error"}})],
        [chunk({"tool_calls": [{"id": str(i), "function": {"name": "f"}} for i in range(2_000)]})],
    ],
)
def test_broken_streams_fail_once_and_last(pieces):
    events = read(*pieces)
    assert isinstance(events[-1], Failed)
    assert len([e for e in events if isinstance(e, Failed)]) == 1
    assert Ended() not in events
    assert "secret" not in events[-1].detail


def test_a_stream_that_breaks_still_says_what_it_used():
    events = read(chunk({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert events[-2] == Used(usage=Usage(input_tokens=1, output_tokens=1, estimated=True))
    assert events[-1].retryable


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        ({"type": "server_error", "code": None}, 500, True),
        ({"code": "rate_limit_exceeded"}, 429, True),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, 429, False),
        ({"code": "context_length_exceeded", "type": "invalid_request_error"}, 400, False),
        ({"code": 503, "message": "x"}, 503, True),
        ({"code": 401}, 502, False),
        ({"code": 7}, 502, True),
        ("overloaded", 502, True),
    ],
)
def test_errors_inside_a_stream(error, status, retryable):
    failed = read(event({"error": error}))[-1]
    assert (failed.status, failed.retryable) == (status, retryable)
