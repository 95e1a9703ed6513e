"""Streams: what is forwarded, what is hidden, what is counted, and which of them are whole."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.llm.openai_stream import StreamReader


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(content=None, finish=None, index=0, **more):
    delta = {} if content is None else {"content": content}
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more})


USAGE = {"prompt_tokens": 7, "completion_tokens": 3}
USAGE_CHUNK = event({"choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"
WHOLE = [chunk("Hel", usage=None), chunk("lo"), chunk(finish="stop"), USAGE_CHUNK, DONE]


def run(events, hide=False):
    reader = StreamReader(hide)
    out = b"".join(reader.feed(piece) for piece in events)
    reader.finish()
    return reader, out


def test_a_whole_stream_is_forwarded_untouched():
    reader, out = run(WHOLE)
    assert out == b"".join(WHOLE)
    assert (reader.failure, reader.done) == (None, True)
    assert reader.usage(100) == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_hiding_takes_out_the_usage_chunk_and_nothing_else(size):
    data = b"".join(WHOLE)
    reader, out = run([data[i : i + size] for i in range(0, len(data), size)], hide=True)
    assert out == data.replace(USAGE_CHUNK, b"")
    assert reader.usage(100) == Usage(input_tokens=7, output_tokens=3)


def test_a_chunk_with_choices_keeps_its_usage_even_when_hiding():
    last = chunk(finish="stop", usage=USAGE)
    reader, out = run([chunk("a"), last, DONE], hide=True)
    assert last in out
    assert not reader.usage(1).estimated


def test_filter_results_without_usage_are_not_hidden():
    first = event({"choices": [], "prompt_filter_results": [], "usage": None})
    assert run([first, *WHOLE], hide=True)[1].startswith(first)


def test_comments_and_other_fields_pass():
    data = [b": OPENROUTER PROCESSING\n\n", b"event: ping\ndata:\n\n", *WHOLE]
    reader, out = run(data)
    assert out == b"".join(data)
    assert reader.failure is None


@pytest.mark.parametrize(
    "events",
    [
        [chunk("a")],
        [chunk("a"), chunk(finish="stop")],
        [chunk("a"), chunk(finish="stop"), USAGE_CHUNK],
        [chunk("a"), DONE],
        [chunk("a", index=0), chunk("b", index=1), chunk(finish="stop", index=0), DONE],
        [DONE],
        [USAGE_CHUNK, DONE],
        [],
        [chunk("a"), chunk(finish="stop"), b"data: [DONE]\n"],
    ],
)
def test_a_stream_that_is_not_whole_never_looks_finished(events):
    reader, out = run(events)
    assert reader.failure is not None
    assert b"[DONE]" not in out


def test_nothing_follows_the_terminator():
    reader, out = run([*WHOLE, chunk("late"), b"garbage\n\n"])
    assert out == b"".join(WHOLE)
    assert reader.failure is None


@pytest.mark.parametrize("bad", [b"data: {\n\n", b"data: {}x\n\n", b"data: [DONE\n\n", b"data: \xff\n\n"])
def test_what_is_not_json_breaks_the_stream_after_what_was_good(bad):
    reader, out = run([chunk("a") + bad + chunk("b")])
    assert out == chunk("a")
    assert reader.failure is not None


def test_json_in_an_unknown_form_passes():
    odd = event({"choices": {"0": "x"}})
    assert odd in run([odd, *WHOLE])[1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"type": "server_error", "code": "overloaded", "message": "key sk-1 is bad"}, "(server_error, overloaded)"),
        ({"message": "sk-1"}, "error during the answer."),
        ({"type": "<script> sk-1", "code": 7}, "error during the answer."),
        ("sk-1", "error during the answer."),
    ],
)
def test_an_error_event_breaks_the_stream_and_its_message_is_not_repeated(error, said):
    reader, out = run([chunk("a"), event({"error": error}), DONE])
    assert out == chunk("a")
    assert said in reader.failure.detail
    assert "sk-1" not in reader.failure.detail


def test_the_older_error_object_of_vllm():
    reader, _ = run([chunk("a"), event({"object": "error", "message": "x", "code": 400})])
    assert "error" in reader.failure.detail


def test_text_is_counted_wherever_it_is():
    call = {"index": 0, "function": {"name": "f" * 4, "arguments": "a" * 8}}
    reader, _ = run(
        [
            chunk("x" * 10),
            event({"choices": [{"index": 0, "delta": {"content": "", "reasoning_content": "r" * 5}}]}),
            event({"choices": [{"index": 0, "delta": {"content": None, "reasoning": "r" * 5}}]}),
            event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}),
            event({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "p" * 4}]}}]}),
            event({"choices": [{"index": 0, "delta": {"refusal": "n" * 3}}]}),
        ]
    )
    assert reader.text_chars == 10 + 5 + 5 + 12 + 4 + 3
    assert reader.usage(9) == Usage(input_tokens=3, output_tokens=10, estimated=True)


def test_counts_before_the_end_are_only_an_estimate():
    reader = StreamReader(False)
    reader.feed(chunk("a", usage={"prompt_tokens": 5, "completion_tokens": 1}))
    assert reader.usage(100) == Usage(input_tokens=5, output_tokens=1, estimated=True)


def test_an_event_without_end_is_bounded():
    reader = StreamReader(False)
    for _ in range(40):
        reader.feed(b"x" * 65536)
    assert reader.failure is not None
    assert reader.feed(b"\n\n") == b""


def test_absurd_indexes_do_not_grow_anything():
    reader, _ = run([chunk("a", index=10**9), chunk("a", index=-1), chunk(finish="stop", index=10**9), DONE])
    assert reader.begun.bit_length() <= 128
