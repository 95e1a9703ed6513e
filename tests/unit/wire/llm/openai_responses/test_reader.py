"""Streams on their way through: what is forwarded, what is counted, and which of them are whole."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.llm.openai_responses.reader import MAX_EVENT_BYTES, StreamReader, payload

USAGE = {"input_tokens": 7, "output_tokens": 3}


def event(kind, **fields):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def text(delta):
    return event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=delta)


def end(kind="response.completed", **fields):
    return event(kind, response={"status": kind[9:], "usage": USAGE, **fields})


CREATED = event("response.created", response={"usage": None, "error": None})
WHOLE = [CREATED, text("Warp"), text(" and"), end()]


def run(events):
    reader = StreamReader()
    out = b"".join(reader.feed(piece) for piece in events)
    reader.finish()
    return reader, out


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete"])
def test_a_whole_stream_is_forwarded_untouched(last):
    given = [*WHOLE[:-1], end(last)]
    reader, out = run(given)
    assert out == b"".join(given)
    assert (reader.failure, reader.done, reader.events) == (None, True, 3)
    assert reader.usage(100) == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_any_split(size):
    data = b"".join(WHOLE)
    reader, out = run([data[i : i + size] for i in range(0, len(data), size)])
    assert (out, reader.failure) == (data, None)


@pytest.mark.parametrize("events", [[], [CREATED], WHOLE[:-1], [*WHOLE[:-1], end()[:-1]], [b"data: [DONE]\n\n"]])
def test_what_just_ends_is_broken(events):
    reader, out = run(events)
    assert reader.failure is not None
    assert b"completed" not in out


def test_nothing_follows_the_end():
    reader, out = run([b"".join([*WHOLE, text("late")]), b"data: garbage\n\n"])
    assert (out, reader.failure) == (b"".join(WHOLE), None)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (end("response.failed", error={"code": "server_error", "message": "sk-1"}), "(server_error)."),
        (end("response.failed", error=None), "answer."),
        (event("response.failed"), "answer."),
        (event("response.failed", response="sk-1"), "answer."),
        (event("error", code="rate_limit_exceeded", message="sk-1"), "(rate_limit_exceeded)."),
        (event("error", error={"type": "x_error", "code": "y", "message": "sk-1"}), "(x_error, y)."),
        (event("error", error="sk-1"), "answer."),
        (event("error", code="<b> sk-1"), "answer."),
        (event("response.output_item.done", error={"code": "odd"}), "(odd)."),
    ],
)
def test_a_failure_is_told_in_our_words_and_not_forwarded(last, said):
    reader, out = run([CREATED, last, end()])
    assert out == CREATED
    assert not reader.done
    assert reader.failure.detail.endswith(said)
    assert "sk-1" not in reader.failure.detail


def test_a_failed_response_still_says_what_it_used():
    reader, _ = run([CREATED, end("response.failed", error={"code": "server_error"})])
    assert reader.usage(100) == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("bad", [b"data: {\n\n", b"data: {}x\n\n", b"data: 7\n\n", b"event: x\ndata: \xff\n\n"])
def test_what_is_not_json_breaks_the_stream_after_what_was_good(bad):
    reader, out = run([CREATED + bad + text("x")])
    assert out == CREATED
    assert reader.failure is not None


def test_events_in_an_unknown_form_pass_and_an_end_in_one_is_an_end():
    odd = event("response.future.thing", response="text", delta={"x": 1})
    last = event("response.completed", response={"usage": "free"})
    reader, out = run([odd, text("four"), last])
    assert out == odd + text("four") + last
    assert reader.done
    assert reader.usage(4) == Usage(input_tokens=1, output_tokens=1, estimated=True)


def test_text_is_counted_wherever_it_is_but_sound_is_not():
    reader, _ = run(
        [
            text("x" * 8),
            event("response.reasoning_summary_text.delta", delta="r" * 4),
            event("response.function_call_arguments.delta", delta="a" * 4),
            event("response.refusal.delta", delta="n" * 4),
            event("response.audio.delta", delta="A" * 400),
        ]
    )
    assert reader.text_chars == 20
    assert reader.usage(9) == Usage(input_tokens=3, output_tokens=5, estimated=True)


def test_comments_pass():
    data = [b": keep-alive\n\n", *WHOLE]
    assert run(data)[1] == b"".join(data)


def test_a_large_event_passes_and_one_without_end_is_bounded():
    large = event("response.created", response={"instructions": "x" * 3_000_000})
    assert run([large, *WHOLE])[1] == large + b"".join(WHOLE)
    reader = StreamReader()
    for _ in range(MAX_EVENT_BYTES // 1_000_000 + 2):
        reader.feed(b"x" * 1_000_000)
    assert reader.failure is not None
    assert reader.feed(b"\n\n") == b""


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"event: a\ndata: {}\n\n", b"{}"),
        (b"event: a\r\ndata: {}\r\n\r\n", b"{}"),
        (b"event: a\ndata: {\ndata: }\n\n", b"{\n}"),
        (b"data: {}\n\n", b"{}"),
        (b"data: {}\nevent: a\n\n", b"{}"),
        (b"event: a\nid: 1\ndata: {}\n\n", b"{}"),
        (b"event: a\ndata:{}\n\n", b"{}"),
        (b"event: a\n\n", b""),
    ],
)
def test_the_data_of_an_event(frame, said):
    assert payload(frame) == said
