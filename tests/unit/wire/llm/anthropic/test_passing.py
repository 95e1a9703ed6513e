"""Streams on their way through: forwarded untouched, judged, counted."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.llm.anthropic.passing import StreamReader, split
from heddle.wire.sse import MAX_EVENT_BYTES


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def delta(index=0, **fields):
    return event("content_block_delta", index=index, delta=fields)


USAGE = {"input_tokens": 2679, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3}
START = event("message_start", message={"id": "msg_1", "model": "m", "content": [], "usage": USAGE})
LAST = event(
    "message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={"input_tokens": 10682, "output_tokens": 510, "server_tool_use": {"web_search_requests": 1}},
)
STOP = event("message_stop")
PING = event("ping")
TEXT = [
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    PING,
    delta(type="text_delta", text="Hello"),
    delta(type="text_delta", text=" you"),
    event("content_block_stop", index=0),
]
WHOLE = [START, *TEXT, LAST, STOP]


def run(pieces):
    reader = StreamReader()
    out = b"".join([reader.feed(piece) for piece in pieces])
    reader.finish()
    return reader, out


def test_a_whole_stream_is_forwarded_untouched():
    reader, out = run(WHOLE)
    assert out == b"".join(WHOLE)
    assert (reader.done, reader.failure) == (True, None)
    assert (reader.events, reader.text_chars) == (6, 9)


def test_the_last_counts_hold():
    # The documented web search example: taking the first counts would bill a quarter of the input.
    assert run(WHOLE)[0].usage(1) == Usage(input_tokens=10682, output_tokens=510)


def test_counts_that_are_left_out_keep_their_value():
    first = {**USAGE, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 20}
    start = event("message_start", message={"usage": first})
    last = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
    assert run([start, *TEXT, last, STOP])[0].usage(1) == Usage(
        input_tokens=3699, output_tokens=7, cached_input_tokens=1000, cache_write_tokens=20
    )


def test_a_stream_that_breaks_knows_its_input_and_estimates_its_output():
    reader, _ = run([START, *TEXT[:3], delta(type="text_delta", text="x" * 391)])
    assert "before the answer was complete" in reader.failure.detail
    assert reader.usage(1) == Usage(input_tokens=2679, output_tokens=99, estimated=True)


def test_a_stream_without_counts_is_estimated():
    reader, _ = run([event("message_start", message={}), delta(type="input_json_delta", partial_json="12345678")])
    assert reader.usage(40) == Usage(input_tokens=10, output_tokens=2, estimated=True)
    assert run([])[0].usage(4) == Usage(input_tokens=1, estimated=True)


def test_thinking_and_arguments_are_counted_as_text():
    pieces = [delta(type="thinking_delta", thinking="ab"), delta(type="input_json_delta", partial_json="cde")]
    assert run([START, *pieces, delta(type="signature_delta", signature="xyz")])[0].text_chars == 5


@pytest.mark.parametrize("pieces", [[STOP], [START, STOP], [START, *TEXT, STOP], [LAST, STOP]])
def test_an_undeserved_end_is_held_back(pieces):
    reader, out = run(pieces)
    assert reader.failure is not None
    assert not reader.done
    assert b"message_stop" not in out


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (event("error", error={"type": "overloaded_error", "message": "secret"}), "overloaded_error"),
        (b'event: error\ndata: {"error":{"type":"secret words","message":"secret"}}\n\n', ""),
        (b"event: error\ndata: secret\n\n", ""),
        (b'data: {"type":"error","error":{"type":"api_error","message":"secret"}}\n\n', "api_error"),
        (b'event: ping\ndata: {"error":"secret"}\n\n', ""),
    ],
)
def test_an_error_event_breaks_the_stream_in_our_words(data, named):
    reader, out = run([START, data, *TEXT])
    assert out == START
    assert reader.failure.detail.startswith("The provider reported an error during the answer")
    assert named in reader.failure.detail
    assert "secret" not in reader.failure.detail


@pytest.mark.parametrize("data", [b"data: {oops}\n\n", b"data: []\n\n", b"event: x\ndata: \xff\n\n", b"data: 1\n\n"])
def test_what_is_no_event_breaks_the_stream(data):
    reader, out = run([START, data, *TEXT])
    assert (out, reader.failure.malformed) == (START, True)


def test_what_is_new_passes():
    new = [event("message_note", note=1), b": comment\n\n", b'event: x\ndata: {"type":"x","delta":7}\n\n']
    reader, out = run([START, *new, *TEXT, LAST, STOP])
    assert reader.failure is None
    assert out == b"".join([START, *new, *TEXT, LAST, STOP])


def test_nothing_follows_the_end():
    reader, out = run([*WHOLE, PING])
    assert out == b"".join(WHOLE)
    assert run([b"".join([*WHOLE, PING])])[1] == b"".join(WHOLE)
    assert reader.done


def test_an_endless_event_is_refused():
    reader, _ = run([START, b"event: content_block_delta\ndata: {" + b"x" * MAX_EVENT_BYTES, b"x"])
    assert "larger than" in reader.failure.detail


def test_events_are_split_the_slow_way_too():
    assert split(b'event: a\ndata: {"b":1}\n\n') == (b"a", b'{"b":1}')
    assert split(b'event: a\r\ndata: {"b":1}\r\n\r\n') == (b"a", b'{"b":1}')
    assert split(b'data: {"b":1}\nevent: a\n\n') == (b"a", b'{"b":1}')
    assert split(b'event:a\ndata: {"b":\ndata: 1}\n\n') == (b"a", b'{"b":\n1}')
    assert split(b": nothing\n\n") == (b"", b"")
